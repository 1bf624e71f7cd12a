// Uses an address with a tag.
    .include "case.inc"
    begin to_tagged
    adrp x0, tagged
    add x0, x0, :lo12:tagged
    end
