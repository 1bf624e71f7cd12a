// What one object gives to another: a function, and data that both use.
    .text
    .globl increment, shared
    .type increment, %function
increment:
    add x0, x0, #1
    adrp x1, shared
    ldr x2, [x1, :lo12:shared]
    add x2, x2, #100
    str x2, [x1, :lo12:shared]
    ret
    .data
    .p2align 3
shared:
    .xword 40
