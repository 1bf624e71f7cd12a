"""Plants a truncated ADRP: moves the target of the middle one of an image by 0x1_2345_6000 bytes and wraps the immediate, as
RuntimeDyld does (LLVM issue 173269). Prints the place. usage: plant.py IMAGE SPOILT"""

import struct
import sys

ADR_PREL_PG_HI21, FAR = 275, 0x1_2345_6000
image = bytearray(open(sys.argv[1], "rb").read())
headers, count = struct.unpack_from("<Q", image, 40)[0], struct.unpack_from("<H", image, 60)[0]
sections = [struct.unpack_from("<IIQQQQIIQQ", image, headers + 64 * index) for index in range(count)]
places = []
for _, kind, flags, _, offset, size, _, _, _, _ in sections:
    if kind == 4 and not flags & 2:
        for at in range(offset, offset + size, 24):
            place, code = struct.unpack_from("<QI", image, at)
            if code == ADR_PREL_PG_HI21:
                places.append((place, at + 16))
place, addend = places[len(places) // 2]
struct.pack_into("<q", image, addend, struct.unpack_from("<q", image, addend)[0] + FAR)
at = next(offset + place - addr for _, kind, flags, addr, offset, size, _, _, _, _ in sections
          if flags & 2 and kind != 8 and addr <= place < addr + size)
word, = struct.unpack_from("<I", image, at)
pages = ((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3) + (FAR >> 12)
struct.pack_into("<I", image, at, word & 0x9F00001F | (pages >> 2 & 0x7FFFF) << 5 | (pages & 3) << 29)
open(sys.argv[2], "wb").write(image)
print(f"{place:#x}")
