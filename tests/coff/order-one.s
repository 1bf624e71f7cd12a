// Sections that a `$` or a dot in their names puts in an order which is not that of the file.

        .section .text$x,"xr"
        .globl  in_x
in_x:   bl      in_mn
        .section .text$mn,"xr"
        .globl  in_mn
in_mn:  bl      in_a
        .section .text,"xr"
        .globl  start
start:  bl      in_x
        bl      in_dot
        adrp    x0, in_r
        add     x0, x0, :lo12:in_r
        .section .text.of,"xr"
        .globl  in_dot
in_dot: b       start
        .section .text$a,"xr"
        .globl  in_a
in_a:   b       start

        .section .rdata$r,"dr"
        .globl  in_r
        .p2align 3
in_r:   .quad   first, last, mine_b
        .section .rdata,"dr"
        .p2align 2
        .word   in_r-.

        .section mine$b,"dr"
        .p2align 4
        .globl  mine_b
mine_b: .quad   mine_a
        .section mine$a,"dr"
        .globl  mine_a
mine_a: .quad   mine_b, 1

        .section .CRT$XCU,"dr"
        .p2align 3
        .quad   in_x
        .section .CRT$XIB,"dr"
        .p2align 3
        .quad   in_a
        .section .CRT$XCA,"dr"
        .p2align 3
        .globl  first
first:  .quad   0
        .section .CRT$XCZ,"dr"
        .p2align 3
        .globl  last
last:   .quad   0
        .section .CRT$XPA,"dr"
        .p2align 3
        .quad   in_mn
