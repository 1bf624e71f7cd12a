// References that nothing rescues: too short a field in data, a literal of no general register, a move of too few bits.
        .text
hard:   ldr     q1, number
        ldr     xzr, number
        ldr     s2, number + 4
        movz    x0, #:abs_g1:number
        movk    x0, #:abs_g0_nc:number
        ret

        .section .rodata, "a"
        .p2align 4
number: .word   hard - ., other - .
        .word   hard
        .hword  hard - .
