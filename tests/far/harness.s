// What is before and after the instructions of every case (case.inc). In between the state lies at sp, in bytes:
//   0 x0 to x30   248 NZCV   256 v0 to v31   768 end; then what AAPCS64 6.1.1 has a function preserve, and the argument
    .text
// An island after this reaches a page further than what is before.
    .skip 4096
    .globl enter, leave
    .type enter, %function
    .type leave, %function

.macro all_x op
    \op x0, x1, [sp]
    \op x2, x3, [sp, #16]
    \op x4, x5, [sp, #32]
    \op x6, x7, [sp, #48]
    \op x8, x9, [sp, #64]
    \op x10, x11, [sp, #80]
    \op x12, x13, [sp, #96]
    \op x14, x15, [sp, #112]
    \op x16, x17, [sp, #128]
    \op x18, x19, [sp, #144]
    \op x20, x21, [sp, #160]
    \op x22, x23, [sp, #176]
    \op x24, x25, [sp, #192]
    \op x26, x27, [sp, #208]
    \op x28, x29, [sp, #224]
.endm

.macro all_v op
    \op q0, q1, [sp, #256]
    \op q2, q3, [sp, #288]
    \op q4, q5, [sp, #320]
    \op q6, q7, [sp, #352]
    \op q8, q9, [sp, #384]
    \op q10, q11, [sp, #416]
    \op q12, q13, [sp, #448]
    \op q14, q15, [sp, #480]
    \op q16, q17, [sp, #512]
    \op q18, q19, [sp, #544]
    \op q20, q21, [sp, #576]
    \op q22, q23, [sp, #608]
    \op q24, q25, [sp, #640]
    \op q26, q27, [sp, #672]
    \op q28, q29, [sp, #704]
    \op q30, q31, [sp, #736]
.endm

// With sp at what is preserved.
.macro preserved op
    \op x19, x20, [sp]
    \op x21, x22, [sp, #16]
    \op x23, x24, [sp, #32]
    \op x25, x26, [sp, #48]
    \op x27, x28, [sp, #64]
    \op x29, x0, [sp, #80]
    \op d8, d9, [sp, #96]
    \op d10, d11, [sp, #112]
    \op d12, d13, [sp, #128]
    \op d14, d15, [sp, #144]
.endm

.macro copy from, to
    mov x2, #768
1:  ldr q0, [\from], #16
    str q0, [\to], #16
    subs x2, x2, #16
    b.ne 1b
.endm

enter:
    sub sp, sp, #160
    preserved stp
    sub sp, sp, #768
    mov x1, sp
    copy x0, x1
    ldr x0, [sp, #248]
    msr nzcv, x0
    all_v ldp
    all_x ldp
    ret

leave:
    all_x stp
    all_v stp
    mrs x0, nzcv
    str x0, [sp, #248]
    ldr x0, [sp, #856]
    mov x1, sp
    copy x1, x0
    add sp, sp, #768
    preserved ldp
    add sp, sp, #160
    ret
