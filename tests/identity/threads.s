// Thread-local variables, in code that has their offsets or finds them by slots; ld.lld rewrites the latter to the former.
// It knows no checked loads and stores (R_AARCH64_TLSLE_LDST8_TPREL_LO12 and the like).
        .text
        movz x0, #:tprel_g2:second
        movz x0, #:tprel_g1:second
        movk x0, #:tprel_g1_nc:second
        movz x0, #:tprel_g0:second
        movk x0, #:tprel_g0_nc:second
        add x0, x0, #:tprel_hi12:second
        add x0, x0, #:tprel_lo12_nc:second
        ldrb w0, [x0, #:tprel_lo12_nc:distant]
        ldrh w0, [x0, #:tprel_lo12_nc:distant]
        ldr w0, [x0, #:tprel_lo12_nc:distant]
        ldr x0, [x0, #:tprel_lo12_nc:distant]
        ldr q0, [x0, #:tprel_lo12_nc:distant]
        add x0, x0, #:tprel_hi12:distant + 24
        add x0, x0, #:tprel_lo12_nc:distant + 24
        movz x0, #:tprel_g1:distant + 24
        movk x0, #:tprel_g0_nc:distant + 24
        adrp x0, :gottprel:distant
        ldr x0, [x0, :gottprel_lo12:distant]
        adrp x0, :tlsdesc:distant
        ldr x1, [x0, :tlsdesc_lo12:distant]
        add x0, x0, :tlsdesc_lo12:distant
        .tlsdesccall distant
        blr x1
        .section .tdata.b,"awT"
        .balign 16
        .xword 1, 2
        .xword 3, 4
second: .xword 5, 6
        .section .tdata.a,"awT"
        .balign 32
third: .xword 3
        .section .tbss.a,"awT",%nobits
        .balign 64
        .zero 0x12350
distant: .zero 16
