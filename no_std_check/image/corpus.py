#!/usr/bin/env python3
"""Makes the corpus of bad modules: corpus.py C.O RUST.O OUT. Each is a good module, cut off or with a field changed, and the
number of the refusal that it must get (Refusal in src/loader.rs): 1 unreadable, 2 not to be linked, 3 too big."""
import struct
import sys

OBJECT, LINK, ROOM = 1, 2, 3
U64 = (1 << 64) - 1


class Elf:
    def __init__(self, data):
        self.data = data
        self.shoff, = struct.unpack_from("<Q", data, 40)
        self.count, self.names = struct.unpack_from("<HH", data, 60)
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", data, self.shoff + 64 * i) for i in range(self.count)]

    def name(self, index):
        at = self.sections[self.names][4] + self.sections[index][0]
        return self.data[at:self.data.index(b"\0", at)].decode()

    def header(self, index, field):
        """The offset and the format of a field of a section's header."""
        at, form = {"name": (0, "I"), "type": (4, "I"), "flags": (8, "Q"), "offset": (24, "Q"), "size": (32, "Q"),
                    "link": (40, "I"), "info": (44, "I"), "align": (48, "Q"), "entsize": (56, "Q")}[field]
        return self.shoff + 64 * index + at, "<" + form


def bad_modules(elf):
    """Of one good module: name, refusal, length, edits."""
    size = len(elf.data)
    whole = lambda name, refusal, *edits: (name, refusal, size, [(at, struct.pack(form, new)) for at, form, new in edits])

    # The headers of sections come last: whatever is cut off, some are missing.
    for step in range(64):
        yield f"cut off after {size * step // 64}", OBJECT, size * step // 64, []
    for less in (1, 63, 64, 65):
        yield f"cut off by {less}", OBJECT, size - less, []

    for name, at, form, new in [
        ("magic", 0, "B", 0), ("32 bits", 4, "B", 1), ("no class", 4, "B", 0), ("no byte order", 5, "B", 0),
        ("version", 6, "B", 2), ("executable", 16, "<H", 2), ("shared object", 16, "<H", 3), ("core dump", 16, "<H", 4),
        ("no type", 16, "<H", 0xffff), ("x86-64", 18, "<H", 62), ("Arm", 18, "<H", 40), ("RISC-V", 18, "<H", 243),
        ("section headers beyond", 40, "<Q", size), ("section headers far beyond", 40, "<Q", U64 - 7),
        ("section header size", 58, "<H", 56), ("names nowhere", 62, "<H", 0xfff0),
    ]:
        yield whole(name, OBJECT, (at, form, new))

    for index, (_, kind, flags, _, offset, length, link, info, align, entsize) in enumerate(elf.sections):
        section = elf.name(index)
        change = lambda field, refusal, new: whole(f"{section}: {field} {new:#x}", refusal, (*elf.header(index, field), new))
        is_loaded = flags & 2 and length
        if is_loaded and kind == 1:
            yield change("offset", LINK, U64 - 3)
            yield change("offset", LINK, size)
            yield change("size", LINK, U64)
            yield change("size", LINK, size)
            yield change("align", LINK, 3)
            yield change("align", LINK, (1 << 63) + 1)
            yield change("flags", LINK, flags | 5)
            yield change("flags", LINK, flags | 0x800)
            yield change("name", LINK, 0xffffffff)
        if is_loaded and kind == 8:
            yield change("size", LINK, U64)
            yield change("size", ROOM, 1 << 30)
            yield change("align", LINK, 12)
        if kind == 4 and elf.sections[info][2] & 2:
            yield change("offset", LINK, U64 - 15)
            yield change("size", LINK, U64)
            yield change("size", LINK, length + 1)
            yield change("info", LINK, elf.count)
            yield change("entsize", LINK, 23)
            yield change("type", LINK, 0x40000014)
            for entry in range(min(length // 24, 6)):
                at = offset + 24 * entry
                of = elf.sections[info][5]
                symbol, reloc = struct.unpack_from("<II", elf.data, at + 8)[::-1]
                named = f"{section} {entry}"
                yield whole(f"{named}: at the end", LINK, (at, "<Q", of))
                yield whole(f"{named}: far beyond", LINK, (at, "<Q", U64 - 1))
                yield whole(f"{named}: no such symbol", LINK, (at + 12, "<I", 0xffffff))
                yield whole(f"{named}: no such relocation", LINK, (at + 8, "<I", 0xffff))
                yield whole(f"{named}: a dynamic one", LINK, (at + 8, "<I", 1027))
                if info and elf.sections[info][2] & 4:
                    # Not the instruction that the relocation is for: TSTBR14 is for none of a compiler's.
                    yield whole(f"{named}: another instruction", LINK, (at + 8, "<I", 279))
        if kind == 2:
            yield change("offset", OBJECT, U64 - 23)
            yield change("size", OBJECT, U64)
            yield change("entsize", OBJECT, 16)
            yield change("link", OBJECT, elf.count)
            strings = elf.sections[link][5]
            for entry in range(1, length // 24):
                at = offset + 24 * entry
                name, symbol_info, _, shndx = struct.unpack_from("<IBBH", elf.data, at)
                yield whole(f"symbol {entry}: nameless", LINK, (at, "<I", strings))
                yield whole(f"symbol {entry}: binding", LINK, (at + 4, "B", 0x70 | symbol_info & 15))
                if shndx and shndx < 0xff00:
                    yield whole(f"symbol {entry}: in no section", LINK, (at + 6, "<H", elf.count))
                    yield whole(f"symbol {entry}: extended", LINK, (at + 6, "<H", 0xffff))
                elif not shndx and symbol_info >> 4 == 1:
                    # Undefined, and of a name that nobody has: its own, without the first letter.
                    yield whole(f"symbol {entry}: undefined", LINK, (at, "<I", name + 1))
        if kind == 3 and index == elf.names:
            yield change("offset", OBJECT, U64)
            yield change("size", OBJECT, U64)


def main(c, rust, out):
    packed = bytearray()
    for of, path in enumerate((c, rust)):
        for name, refusal, size, edits in bad_modules(Elf(open(path, "rb").read())):
            name = f"{'c' if of == 0 else 'rust'}.o {name}".encode()
            edits = b"".join(struct.pack("<II", at, len(new)) + new for at, new in edits)
            packed += struct.pack("<BBIII", of, refusal, size, len(name), len(edits)) + name + edits
    open(out, "wb").write(packed)


main(*sys.argv[1:])
