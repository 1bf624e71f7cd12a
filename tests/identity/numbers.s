// Numbers with names: absolute symbols.

    .globl  small, minus
    .set    small, 0x1234
    .set    minus, -0x1234
