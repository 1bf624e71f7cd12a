// The relocations that compilers seldom emit, and ld.lld handles: each against a symbol that is in reach.
// `small` and `minus` are numbers, of numbers.s.

    .text
    .globl place
place:
    ldr     x0, quad            // LD_PREL_LO19
    ldrsw   x1, quad
    ldr     q2, quad
    adr     x3, quad            // ADR_PREL_LO21
    adrp    x4, :pg_hi21_nc:quad
    tbz     x5, #33, far        // TSTBR14
    tbnz    w6, #3, far
    b.ne    far                 // CONDBR19
    cbz     x7, far
    b       far
    bl      far
    movz    x0, #:abs_g0:small
    movk    x0, #:abs_g0_nc:quad
    movz    x0, #:abs_g1:quad
    movk    x0, #:abs_g1_nc:quad
    movz    x0, #:abs_g2:quad
    movk    x0, #:abs_g2_nc:quad
    movz    x0, #:abs_g3:quad
    movz    x0, #:abs_g0_s:small
    movn    x0, #:abs_g0_s:minus
    movz    x0, #:abs_g0_s:minus
    movz    x0, #:abs_g1_s:quad
    movn    x0, #:abs_g1_s:minus
    movz    x0, #:abs_g2_s:quad
    movz    x0, #:abs_g2_s:minus
    movz    x1, #:prel_g3:quad
    movk    x1, #:prel_g2_nc:quad+4
    movk    x1, #:prel_g1_nc:quad+8
    movk    x1, #:prel_g0_nc:quad+12
    movz    x1, #:prel_g2:quad
    movz    x1, #:prel_g1:quad
    movz    x1, #:prel_g0:there
    movz    x1, #:prel_g0:place
    add     x0, x0, #:lo12:quad+3
    add     w0, w0, #:lo12:quad+3
    ldrb    w0, [x0, #:lo12:quad+1]
    strh    w0, [x0, #:lo12:quad+2]
    ldr     s0, [x0, #:lo12:quad+4]
    ldr     d0, [x0, #:lo12:quad+8]
    prfm    pldl1keep, [x0, #:lo12:quad+8]
    str     q0, [x0, #:lo12:quad+16]
    adrp    x0, :got:quad
    ldr     x0, [x0, #:got_lo12:quad]
    adrp    x0, _GLOBAL_OFFSET_TABLE_
    ldr     x0, [x0, #:gotpage_lo15:quad]
there:

    .section .text.far, "ax", %progbits
    .globl  far
    .space  0x7000
far:
    ret

    .data
    .globl  quad, lone
    .p2align 12
    .byte   1
lone:                           // At an odd address: data places have no alignment.
    .xword  quad + 5
    .word   small
    .word   minus
    .hword  small
    .hword  minus
    .xword  quad - .
    .word   quad - .
    .hword  quad - .
    .word   far@plt - .
    .word   quad@gotpcrel
    .word   quad@gotpcrel + 4
    .space  0x1000

    .section .data.quad, "aw", %progbits
    .p2align 4
quad:
    .xword  far, -1, far + 8
