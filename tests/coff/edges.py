#!/usr/bin/env python3
"""Puts addends into the places of relocations of the object edges.obj, which no assembler puts there: `edges.py OBJECT`."""

import struct
import sys

# Of the instructions, what their field holds; in the order of edges.s, and None for what stays as it is.
ADRP = [16, -0xFF1, 0xFFFFF, -0x100000, 0xFC000, -1]
IMM12 = [0xFFF, 0xFFF, 0x7FF, 0x3FF, 0x1FF, 0xFF, 0xABC, 0x1FF, 0xFF]
REST = [None]
# Of data, a number of so many bytes.
DATA = [
    (8, -8), (8, 1 << 63), (4, -1 << 31), (4, (1 << 31) - 1 - (1 << 20)), (4, -4), (4, (1 << 31) - 1 - (1 << 20)),
    (4, -16), (4, -1 << 31), (4, (1 << 31) - 1), (2, 5),
]


def main(path):
    data = bytearray(open(path, "rb").read())
    fields = [("adr", value) for value in ADRP] + [("imm12", value) for value in IMM12] + [(None, None) for _ in REST]
    fields += DATA
    count = struct.unpack_from("<H", data, 2)[0]
    for section in range(count):
        content, relocations, _, number = struct.unpack_from("<IIIH", data, 20 + 40 * section + 20)
        for index in range(number):
            (kind, value), at = fields.pop(0), content + struct.unpack_from("<I", data, relocations + 10 * index)[0]
            if kind is None:
                continue
            word = struct.unpack_from("<I", data, at)[0] if isinstance(kind, str) else 0
            if kind == "adr":
                word = word & 0x9F00001F | (value & 3) << 29 | (value >> 2 & 0x7FFFF) << 5
            elif kind == "imm12":
                word = word & ~(0xFFF << 10) | value << 10
            else:
                data[at : at + kind] = (value % (1 << 8 * kind)).to_bytes(kind, "little")
                continue
            struct.pack_into("<I", data, at, word)
    assert not fields, "relocations that are not there"
    open(path, "wb").write(data)


main(sys.argv[1])
