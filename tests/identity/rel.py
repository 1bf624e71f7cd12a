"""Objects with their addends in place (AAELF64 5.7.2), which no assembler makes: SHT_RELA becomes SHT_REL."""

import struct

import elf

SHT_REL = 9
# Bytes of data.
DATA = {257: 8, 260: 8, 307: 8, 258: 4, 261: 4, 308: 4, 314: 4, 315: 4, 259: 2, 262: 2}
# Fields of instructions: the lowest bit, the bits, and how many low bits of the addend are not in the field.
FIELDS = {
    **{code: (5, 16, 0) for code in [*range(263, 273), *range(287, 294)]},
    **{code: (10, 12, scale) for code, scale in zip([277, 278, 284, 285, 286, 299, 312, 313], [0, 0, 1, 2, 3, 4, 3, 3])},
    **{code: (5, 19, 2) for code in [273, 280, 309]},
    279: (5, 14, 2),
    282: (0, 26, 2),
    283: (0, 26, 2),
}
# ADR and ADRP, whose field is in two parts.
SPLIT = {274, 275, 276, 311}


def fits(addend, bits, scale):
    return addend % (1 << scale) == 0 and -(1 << bits + scale - 1) <= addend < 1 << bits + scale - 1


def can_hold(code, addend):
    if code in DATA:
        return fits(addend, 8 * DATA[code], 0)
    if code in SPLIT:
        return fits(addend, 21, 0)
    if code in FIELDS:
        _, bits, scale = FIELDS[code]
        return fits(addend, bits, scale)
    return addend == 0


def put(object, at, code, addend):
    """Stores `addend` at `at` in the file's bytes, for a relocation of this code."""
    if code in DATA:
        size = DATA[code]
        object.data[at : at + size] = (addend % (1 << 8 * size)).to_bytes(size, {"<": "little", ">": "big"}[object.order])
        return
    (word,) = struct.unpack_from("<I", object.data, at)
    if code in SPLIT:
        word = word & ~(3 << 29 | 0x7FFFF << 5) | (addend & 3) << 29 | (addend >> 2 & 0x7FFFF) << 5
    elif code in FIELDS:
        low, bits, scale = FIELDS[code]
        mask = (1 << bits) - 1
        word = word & ~(mask << low) | (addend >> scale & mask) << low
    struct.pack_into("<I", object.data, at, word)


def convert(object):
    """Converts the tables of `object` that can be, in the file's bytes; says how many addends in them are not 0."""
    converted = 0
    for table in (section for section in object.sections if section.type == elf.SHT_RELA):
        target = object.sections[table.info]
        entries = list(struct.iter_unpack(object.order + "QQq", table.data))
        if target.type == elf.SHT_NOBITS or not all(can_hold(info & 0xFFFFFFFF, addend) for _, info, addend in entries):
            continue
        for number, (offset, info, addend) in enumerate(entries):
            put(object, target.offset + offset, info & 0xFFFFFFFF, addend)
            object.pack("QQ", table.offset + 16 * number, offset, info)
            converted += addend != 0
        object.pack("I", table.header + 4, SHT_REL)
        object.pack("Q", table.header + 32, 16 * len(entries))
        object.pack("Q", table.header + 56, 16)
    return converted
