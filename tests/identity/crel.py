"""Objects with their relocations in compressed form: SHT_RELA and SHT_REL become SHT_CREL."""

import struct

import elf
from rel import SHT_REL

SHT_CREL = 0x40000014
# What follows a relocation's offset, by its bit.
SYMBOL, TYPE, ADDEND = 1, 2, 4


def unsigned(number):
    data = bytearray()
    while number > 0x7F:
        data.append(0x80 | number & 0x7F)
        number >>= 7
    return data + bytes([number])


def signed(number):
    data = bytearray()
    while not -0x40 <= number < 0x40:
        data.append(0x80 | number & 0x7F)
        number >>= 7
    return data + bytes([number & 0x7F])


def encode(entries, has_addends):
    """The bytes for entries of an offset, a symbol, a type and an addend."""
    low = 0
    for offset, *_ in entries:
        low |= offset
    shift = next((shift for shift in range(3) if low >> shift & 1), 3) if low else 3
    data = unsigned(len(entries) << 3 | has_addends << 2 | shift)
    last = (0, 0, 0, 0)
    for entry in entries:
        entry = (entry[0] >> shift, *entry[1:])
        offset, symbol, kind, addend = (new - old for new, old in zip(entry, last))
        flags = (SYMBOL if symbol else 0) | (TYPE if kind else 0) | (ADDEND if addend and has_addends else 0)
        data += unsigned((offset % (1 << 64 - shift)) << (3 if has_addends else 2) | flags)
        data += b"".join(signed(number) for number, flag in [(symbol, SYMBOL), (kind, TYPE), (addend, ADDEND)] if flags & flag)
        last = entry
    return data


def convert(object):
    """Converts the tables in the file's bytes, each as new bytes at their end."""
    for header in (section.header for section in object.sections):
        (kind,) = object.unpack("I", header + 4)
        offset, size = object.unpack("QQ", header + 24)
        if kind not in (elf.SHT_RELA, SHT_REL):
            continue
        has_addends = kind == elf.SHT_RELA
        table = bytes(object.data[offset : offset + size])
        entries = [(place, info >> 32, info & 0xFFFFFFFF, *addend)
                   for place, info, *addend in struct.iter_unpack(object.order + ("QQq" if has_addends else "QQ"), table)]
        data = encode(entries if has_addends else [(*entry, 0) for entry in entries], has_addends)
        object.pack("I", header + 4, SHT_CREL)
        object.pack("QQ", header + 24, len(object.data), len(data))
        object.pack("Q", header + 56, 1)
        object.data += data
