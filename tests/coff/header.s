// Stands where an image has its headers: relocations of kind ADDR32NB measure from there.
        .section .header,"dr"
        .zero   0x200
