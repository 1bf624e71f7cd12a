// Addresses and data that are not in reach.
    .include "case.inc"

    .section .rodata, "a", %progbits
    .p2align 4
    // Not at the start of a page.
    .skip 0x238
    .globl number
number:
    .xword 0x8123456789abcdef

    begin adrp_add
    adrp x1, number + 0x1000
    add x1, x1, :lo12:number + 0x1000
    end

    begin adrp_ldr
    adrp x1, number
    ldr x2, [x1, :lo12:number]
    end

    // Whichever register it is.
    begin adrp_alone
    adrp x0, number
    adrp x16, number
    adrp x17, number
    adrp x18, number
    adrp x29, number
    adrp x30, number
    end

    begin adr
    adr x6, number + 3
    end

    begin literals
    ldr x7, number
    ldr w8, number
    ldrsw x9, number
    ldr w10, number + 4
    ldrsw x11, number + 4
    end

    begin got
    adrp x12, :got:number
    ldr x13, [x12, :got_lo12:number]
    end

    begin got_literal
    ldr x14, :got:number
    end

    // Between an instruction that sets flags and one that uses them.
    begin between_flags
    adds x4, x1, x2
    adrp x3, number
    adcs x5, x1, x2
    end

    // Where a branch leads to.
    begin branched_to
    tbz x0, #0, 1f
    add x1, x1, #1
1:  adrp x2, number
    end
