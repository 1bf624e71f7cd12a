// Every kind of relocation, with the addends that an assembler takes, and the ends of some ranges.

        .section .text,"xr"
        .globl start
        .p2align 2
start:  bl      other
        b       other
        bl      start
        b       back
back:   b.eq    other
        cbz     x0, other
        cbnz    w7, start
        tbz     w0, #3, other
        tbnz    x9, #40, start
        adrp    x0, data
        adrp    x1, data+0x1234
        adrp    x2, data-8
        adrp    x3, data+0xfffff
        adrp    x4, data-0x100000
        adr     x5, data
        adr     x6, data+5
        adr     x7, data-0x1003
        add     x0, x0, :lo12:data
        add     w1, w1, :lo12:data+0x1234
        add     x2, x2, :lo12:data-8
        ldrb    w0, [x0, :lo12:data+3]
        strh    w1, [x1, :lo12:data+6]
        ldr     w2, [x2, :lo12:data+0xffc]
        ldrsw   x3, [x3, :lo12:data+4]
        ldr     x4, [x4, :lo12:data+16]
        str     q5, [x5, :lo12:data+0x1230]
        ldr     q6, [x6, :lo12:data]
        ldr     d7, [x7, :lo12:data+0xff8]
        prfm    pldl1keep, [x0, :lo12:data+8]
        add     x8, x8, :secrel_hi12:data
        add     x8, x8, :secrel_lo12:data+4
        ldr     x8, [x8, :secrel_lo12:data+8]
        ldrb    w9, [x8, :secrel_lo12:data+0x123]
        add     x8, x8, :secrel_hi12:beyond
        add     x8, x8, :secrel_lo12:beyond
        ret

        .section .rdata,"dr"
        .p2align 3
table:  .quad   start, other+8, data-16, back
        .word   other@IMGREL
        .rva    data+4, start
        .word   other-., data-.+0x100
        .secrel32 data
        .secrel32 beyond+3
        .word   start-table
secidx_of_start:
        .secidx start
        .short  7

        .section .low,"dr"
        .word   other, data+0x1000, data-4

        .data
        .p2align 4
        .zero   0x40
        .globl  data
data:   .quad   table, other
        .zero   0x2000
beyond: .quad   1

        .bss
        .zero   0x123
        .comm   shared, 24, 4
