// A call, an address, a slot and a word, for relocations in compressed form.
        .globl  _start, other
_start: bl      other
        adrp    x0, word
        add     x0, x0, :lo12:word
        ret
        .section .text.other,"ax"
other:  b       _start
        .data
word:   .xword  other
