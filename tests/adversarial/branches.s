// Conditional branches, which come no further than a B in an island does.
        .text
        .globl  here
        .type   here, %function
here:   b.eq    there
        b.hi    there + 4
        b.al    there
        cbz     w3, there
        cbnz    x4, there + 8
        tbz     w5, #3, there
        tbnz    x6, #40, there + 4
        tbnz    w6, #31, there
        ret

        .section other_text, "ax", %progbits
        .p2align 2
        .globl  there
        .type   there, %function
there:  cbz     x1, here
        tbz     x9, #63, here + 4
        b.lt    here
        ret
