// A block of 4 GiB for every thread.
        .section .tbss,"awT",%nobits
        .globl  huge
huge:   .zero   0x100000000
