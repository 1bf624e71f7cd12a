// unsigned long keep(const unsigned long before[95], unsigned long after[95]): fills the registers from `before`, asks a TLS
// descriptor for `variable`, stores the registers to `after`, and returns the variable. q0 to q31 come first, then x2 to x29,
// NZCV, FPSR; then, of `after` alone, by what x1 has changed.
        .text
        .globl  keep
        .type   keep, %function
keep:   sub     sp, sp, #192
        stp     x19, x20, [sp]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        str     x1, [sp, #160]
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        ldr     q\n, [x0, #16 * \n]
        .endr
        ldr     x2, [x0, #736]
        msr     nzcv, x2
        ldr     x2, [x0, #744]
        msr     fpsr, x2
        .irp    n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        ldr     x\n, [x0, #512 + 8 * (\n - 2)]
        .endr
        adrp    x0, :tlsdesc:variable
        ldr     x1, [x0, :tlsdesc_lo12:variable]
        add     x0, x0, :tlsdesc_lo12:variable
        .tlsdesccall variable
        blr     x1
        str     x0, [sp, #168]
        ldr     x0, [sp, #160]
        .irp    n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        str     x\n, [x0, #512 + 8 * (\n - 2)]
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        str     q\n, [x0, #16 * \n]
        .endr
        mrs     x2, nzcv
        str     x2, [x0, #736]
        mrs     x2, fpsr
        str     x2, [x0, #744]
        adrp    x2, :tlsdesc:variable
        ldr     x2, [x2, :tlsdesc_lo12:variable]
        eor     x2, x2, x1
        str     x2, [x0, #752]
        ldr     x0, [sp, #168]
        mrs     x1, tpidr_el0
        ldr     x0, [x0, x1]
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x29, x30, [sp, #80]
        ldp     x27, x28, [sp, #64]
        ldp     x25, x26, [sp, #48]
        ldp     x23, x24, [sp, #32]
        ldp     x21, x22, [sp, #16]
        ldp     x19, x20, [sp]
        add     sp, sp, #192
        ret

        .section .tdata,"awT"
        .balign 8
        .xword  0
        .type   variable, %object
variable:
        .xword  0x123456789abcdef
