// Sections of an order that come after another object's.

        .section .text$mn,"xr"
        nop
        bl      in_mn
        .section .text,"xr"
        bl      in_x
        .section .rdata$r,"dr"
        .p2align 3
        .quad   in_r
        .section mine$a,"dr"
        .byte   3
        .section mine,"dr"
        .byte   4
        .section .CRT$XCU,"dr"
        .p2align 3
        .quad   in_dot
        .section .CRT$XCB,"dr"
        .p2align 3
        .quad   in_a
        .section .CRT$XIA,"dr"
        .p2align 3
        .quad   0

        // Of those of one key the first is kept, and in its order.
        .section .text$mn,"xr",discard,twice
        .globl  twice
twice:  b       start
        .section .text$aa,"xr"
        b       twice
