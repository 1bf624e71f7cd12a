// One place of each kind that linkers meet in a program without relaxation; what is undefined is weak.
    .text
    .globl _start
    .type _start, %function
_start:
    adrp x0, table
    add x0, x0, :lo12:table
    adrp x1, table+8
    ldr x1, [x1, :lo12:table+8]
    adrp x2, quad
    ldr q2, [x2, :lo12:quad]
    ldr s2, [x2, :lo12:quad+4]
    ldrh w2, [x2, :lo12:quad+6]
    ldrb w3, [x2, :lo12:quad+7]
    adrp x4, :got:table
    ldr x4, [x4, :got_lo12:table]
    adrp x5, :got:callee
    ldr x5, [x5, :got_lo12:callee]
    ldr x6, :got:table
    bl callee
    cbz x0, callee
    tbz x0, #3, callee
    adr x7, callee
    ldr x8, literal
    movz x9, #:abs_g3:table
    movk x9, #:abs_g2_nc:table
    movk x9, #:abs_g1_nc:table
    movk x9, #:abs_g0_nc:table
    movz x10, #:prel_g1:callee
    movk x10, #:prel_g0_nc:callee+4
    bl nowhere
    b.eq nowhere
    adrp x11, nowhere
    add x11, x11, :lo12:nowhere
    adrp x12, :got:nowhere
    ldr x12, [x12, :got_lo12:nowhere]
    mrs x13, tpidr_el0
    add x13, x13, :tprel_hi12:local
    add x13, x13, :tprel_lo12_nc:local
    .reloc ., R_AARCH64_NONE, callee
    b callee

    .weak nowhere

    .section .text.callee, "ax", %progbits
    .globl callee
    .type callee, %function
callee:
    ret
    .p2align 3
    .globl literal
literal:
    .xword 1

    .section .rodata, "a", %progbits
    .p2align 4
    .globl quad
quad:
    .xword 2, 3
    .word callee - .
    .word callee
    .hword callee - .

    .data
    .p2align 3
    .globl table
table:
    .xword callee
    .xword quad + 8
    .xword nowhere
    .xword callee - .

    .section .tdata, "awT", %progbits
    .globl local
    .type local, %object
local:
    .word 4
