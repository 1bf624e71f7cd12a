// uint64_t use(uint64_t x): x + 1, and what `shared` holds after the call, twice.
    .text
    .globl use, page_of_shared, slot_of_shared
    .type use, %function
use:
    stp x29, x30, [sp, #-16]!
    bl increment
page_of_shared:
    adrp x1, shared
    ldr x1, [x1, :lo12:shared]
    add x0, x0, x1
slot_of_shared:
    adrp x2, :got:shared
    ldr x2, [x2, :got_lo12:shared]
    ldr x2, [x2]
    add x0, x0, x2
    ldp x29, x30, [sp], #16
    ret
