// Weak references to nothing.
    .include "case.inc"
    .weak nowhere

    begin bl_nowhere
    bl nowhere
    .globl bl_nowhere.return
bl_nowhere.return:
    end

    begin branches_nowhere
    b nowhere
    b.eq nowhere
    cbz x3, nowhere
    tbnz x3, #7, nowhere
    end

    begin address_nowhere
    adrp x1, nowhere
    add x1, x1, :lo12:nowhere
    adr x2, nowhere
    adrp x3, :got:nowhere
    ldr x3, [x3, :got_lo12:nowhere]
    end
