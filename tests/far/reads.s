// Loads from text.
    .text
    ldr x0, constant
    .section page, "ax", %progbits
    .p2align 3
constant:
    .xword 1
