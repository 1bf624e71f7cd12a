// Addends that fit into their places, of either sign, for every kind that holds one: what each object says of `there`, which
// lies in another section, and of `small`, a number of numbers.s.

    .text
    .globl  here
here:
    bl      there + 0x1004
    b       there - 0x1004
    b.ne    there + 0x404
    cbz     x0, there - 0x404
    tbz     x1, #3, there + 0x24
    tbnz    x1, #40, there - 0x24
    ldr     x2, there + 0x48
    ldr     w2, there - 0x44
    adr     x3, there + 0x12345
    adr     x3, there - 0x12345
    adrp    x4, there + 0xfffff
    adrp    x4, there - 0x100000
    adrp    x4, :pg_hi21_nc:there - 1
    add     x4, x4, #:lo12:there + 0x7ff
    add     x4, x4, #:lo12:there - 0x800
    ldrb    w5, [x4, #:lo12:there + 0x7ff]
    ldrb    w5, [x4, #:lo12:there - 0x800]
    ldrh    w5, [x4, #:lo12:there + 0xffe]
    ldrh    w5, [x4, #:lo12:there - 0x1000]
    ldr     w5, [x4, #:lo12:there + 0x1ffc]
    ldr     w5, [x4, #:lo12:there - 0x2000]
    ldr     x5, [x4, #:lo12:there + 0x3ff8]
    ldr     x5, [x4, #:lo12:there - 0x4000]
    ldr     q5, [x4, #:lo12:there + 0x7ff0]
    ldr     q5, [x4, #:lo12:there - 0x8000]
    movz    x6, #:abs_g3:there + 0x7fff
    movk    x6, #:abs_g2_nc:there - 0x8000
    movk    x6, #:abs_g1_nc:there + 0x7fff
    movk    x6, #:abs_g0_nc:there - 0x8000
    movz    x6, #:abs_g2:there - 0x8000
    movz    x6, #:abs_g1:there + 0x7fff
    movz    x6, #:abs_g0:small - 0x1234
    movz    x7, #:abs_g0_s:small - 0x8000
    movz    x7, #:abs_g1_s:there - 0x8000
    movz    x7, #:abs_g2_s:there + 0x7fff
    movz    x8, #:prel_g3:there + 0x7fff
    movk    x8, #:prel_g2_nc:there + 0x7fff
    movk    x8, #:prel_g1_nc:there - 0x8000
    movk    x8, #:prel_g0_nc:there + 0x7fff
    movz    x8, #:prel_g2:there - 0x8000
    movz    x8, #:prel_g1:there + 0x7fff
    movz    x8, #:prel_g0:there - 0x7ffc

    .section .text.there, "ax", %progbits
    .globl  there
    .p2align 4
there:
    ret

    .data
    .xword  there + 0x123456789abcdef
    .xword  there - 1
    .xword  there - . - 0x123456789abcdef
    .word   there + 0x7ffffff
    .word   there - . - 0x8000000
    .word   there@plt - . - 0x10
    .hword  small - 0x8000
    .hword  small + 0x7fff
    .hword  small - 0x1235
