// Calls that reach only through what the linker puts between: over 1 GiB, and over 16 GiB.
    .section .near, "ax", %progbits
    .globl _start
    .type _start, %function
_start:
    bl far
    bl away
    b away

    .section .far, "ax", %progbits
    .globl far
    .type far, %function
far:
    b _start
    ret

    .section .away, "ax", %progbits
    .globl away
    .type away, %function
away:
    bl far
    ret
