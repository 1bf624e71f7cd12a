// Text for guarded pages: a call to a function far away that nothing was thought to reach indirectly.
    .text
    .globl near
    .type near, %function
near:
    bti c
    stp x29, x30, [sp, #-16]!
    bl away
    add x0, x0, #1
    ldp x29, x30, [sp], #16
    ret

    .section far, "ax", %progbits
    .globl away
    .type away, %function
away:
    add x0, x0, #10
    ret
