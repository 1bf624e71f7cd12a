// Calls and jumps to functions that are not in reach; each adds a number of its own to x0.
    .include "case.inc"

.macro callee name, section, number
    .section \section, "ax", %progbits
    .globl \name
    .type \name, %function
\name:
    add x0, x0, #\number
    ret
.endm

    callee in_beside, beside, 1
    callee in_page, page, 2
    callee in_far, far, 3
    .globl landing
    .type landing, %function
landing:
    bti c
    add x0, x0, #4
    ret

.macro calls function
    begin bl_\function
    bl \function
    .globl bl_\function\().return
bl_\function\().return:
    end
    begin b_\function
    adr x30, b_\function\().return
    b \function
    .globl b_\function\().return
b_\function\().return:
    end
.endm

    calls in_beside
    calls in_page
    calls in_far
    calls landing
    // Defined by no object: through a slot of the GOT.
    calls outside
