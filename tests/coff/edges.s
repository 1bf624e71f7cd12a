// The edges of what relocations add to what is in their places; edges.py puts that there, line by line.

        .section .text,"xr"
        .globl  start
start:  adrp    x0, last                // the byte addend leads to the next page
        adrp    x1, last                // and to the page before
        adrp    x2, last                // 0xfffff
        adrp    x3, last                // -0x100000
        adr     x4, last                // 0xfc000
        adr     x5, last                // -1
        add     x6, x6, :lo12:last      // the sum loses its carry
        ldrb    w7, [x7, :lo12:last]    // so here, of 12 bits
        ldrh    w8, [x8, :lo12:last]    // of 11
        ldr     s9, [x9, :lo12:last]    // of 10
        ldr     x10, [x10, :lo12:last]  // of 9
        ldr     q11, [x11, :lo12:last]  // of 8
        add     x12, x12, :secrel_lo12:last
        ldr     x13, [x13, :secrel_lo12:last]
        ldr     q14, [x14, :secrel_lo12:last]
        add     x15, x15, :secrel_hi12:last
        ret

        .section .rdata,"dr"
        .p2align 3
        .quad   last                    // ADDR64, -8
        .quad   last                    // ADDR64, 2^63
        .word   last@IMGREL             // ADDR32NB, -2^31
        .word   last@IMGREL             // ADDR32NB, 2^31-1-2^20
        .word   last-.                  // REL32, -4
        .word   last-.                  // REL32, 2^31-1-2^20
        .secrel32 last                  // SECREL, -16
        .word   last                    // ADDR32, -2^31
        .word   last                    // ADDR32, 2^31-1
secidx_of_last:
        .secidx last                    // SECTION, 5
        .short  0

        .data
        .p2align 4
        .zero   0x1ff0
        .globl  last
last:   .zero   16
