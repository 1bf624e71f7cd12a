// References whose result nobody sees, or that are to nothing; of all of these, some bits make no difference.
        .text
        .globl  odd
        .type   odd, %function
odd:    b.eq    nowhere
        bl      nowhere
        b       nowhere
        adrp    x13, nowhere
        add     x13, x13, :lo12:nowhere
        adr     x13, nowhere
        adrp    x14, :got:nowhere
        ldr     x14, [x14, :got_lo12:nowhere]
        ldr     x19, :got:nowhere
        adrp    xzr, table
        adr     xzr, table
        adr     x30, table
        adrp    x30, table
        ldr     x30, [x30, :lo12:table]
        b.al    odd
        ret

        .data
        .balign 8
        .xword  nowhere, nowhere + 8

        .weak   nowhere
