// Another object's text and data, after the first one's.

        .section .text,"xr"
        .globl  other
        nop
other:  adrp    x0, shared
        ldr     x0, [x0, :lo12:shared]
        bl      named
        ret

        .section .a_section_of_a_long_name,"dr"
        .quad   start, data, shared

        .section .text,"xr",one_only,named
        .globl  named
named:  b       start
        .section .rdata,"dr",associative,named
        .quad   named
