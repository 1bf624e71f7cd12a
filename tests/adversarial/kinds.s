// References of every kind that reach, or are brought to, whatever address.
        .text
        .globl  kinds
        .type   kinds, %function
kinds:  b       other
        bl      other
        bl      third
        b       outside
        bl      outside
        b       kinds
        adr     x7, table + 3
        adr     x23, other
        ldr     x8, table
        ldr     w9, table + 8
        ldrsw   x10, table + 4
        adrp    x11, table + 4097
        add     x11, x11, :lo12:table + 4097
        adrp    x16, table - 1
        add     x17, x16, :lo12:table - 1
        add     w17, w16, :lo12:table - 1
        adrp    x24, table
        ldr     q0, [x24, :lo12:table]
        ldrh    w1, [x24, :lo12:table + 2]
        ldrsb   x1, [x24, :lo12:table + 1]
        str     x1, [x24, :lo12:table + 8]
        adrp    x12, outside
        add     x12, x12, :lo12:outside
        adrp    x14, :got:outside
        ldr     x14, [x14, :got_lo12:outside]
        adrp    x15, :got:table
        ldr     x15, [x15, :got_lo12:table]
        ldr     x18, :got:outside
        movz    x20, #:abs_g3:table
        movk    x20, #:abs_g2_nc:table
        movk    x20, #:abs_g1_nc:table
        movk    x20, #:abs_g0_nc:table
        ret

        .section other_text, "ax", %progbits
        .p2align 2
        .globl  other
        .type   other, %function
other:  adr     x2, kinds
third:  b       kinds
        bl      kinds
        adrp    x3, kinds
        add     x3, x3, :lo12:kinds
        ldr     w4, kinds
        ret

        .section .rodata, "a"
        .p2align 4
        .globl  table
table:  .xword  0x0123456789abcdef, 0xfedcba9876543210
        .xword  other, outside + 5

        .data
        .byte   0
        .xword  kinds + 1
