// An address with a tag.
    .globl tagged
    .set tagged, 0x5a00000112345678
