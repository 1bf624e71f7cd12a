// Conditional branches that do not reach: x1 becomes larger by 16 where they are taken, else by 1.
    .include "case.inc"

.macro hop name, branch:vararg
    .section mid, "ax", %progbits
.L\name\()_taken:
    add x1, x1, #16
    b .L\name\()_back
    begin \name
    \branch .L\name\()_taken
    add x1, x1, #1
.L\name\()_back:
    end
.endm

    hop hop_eq, b.eq
    hop hop_lt, b.lt
    hop hop_cbz, cbz x3,
    hop hop_cbz_w, cbz w3,
    hop hop_cbnz, cbnz x3,
    hop hop_tbz, tbz x3, #5,
    hop hop_tbnz, tbnz x3, #40,
