// The sequence of Cortex-A53 erratum 843419: an ADRP at the end of a page, a store, and a load by its register.
    .text
    .p2align 12
    .globl _start
_start:
    .space 0xff8
    adrp x0, word
    str x1, [x1]
    ldr x2, [x0, :lo12:word]
    ret

    .data
    .p2align 3
    .space 24
word:
    .xword 5
