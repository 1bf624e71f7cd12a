"""Reads as much of an ELF64 file as comparing two images wants."""

import struct

SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_DYNSYM, SHT_GROUP = 1, 2, 4, 8, 11, 17
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS, SHF_TLS = 1, 2, 4, 0x10, 0x20, 0x400
SHN_UNDEF, SHN_ABS, SHN_COMMON = 0, 0xFFF1, 0xFFF2
GRP_COMDAT = 1
STRONG = {1, 10}
STB_LOCAL, STB_WEAK, STT_TLS, STT_GNU_IFUNC = 0, 2, 6, 10


class Section:
    def __init__(self, index, fields, data):
        self.index = index
        self.header = 0
        (self.name_at, self.type, self.flags, self.addr, self.offset, self.size, self.link, self.info, self.align, _) = fields
        self.data = b"" if self.type == SHT_NOBITS else data[self.offset : self.offset + self.size]

    def content(self):
        return bytes(self.size) if self.type == SHT_NOBITS else self.data


class Symbol:
    def __init__(self, name, info, section, value, size):
        self.name, self.section, self.value, self.size = name, section, value, size
        self.bind, self.type = info >> 4, info & 15


class Relocation:
    """One entry: the section that it is for, and where in the file it stands."""

    def __init__(self, of, offset, info, addend, at):
        self.of, self.offset, self.code, self.symbol, self.addend, self.at = of, offset, info & 0xFFFFFFFF, info >> 32, addend, at


class Elf:
    def __init__(self, path):
        self.path = path
        self.data = bytearray(open(path, "rb").read())
        assert self.data[:5] == b"\x7fELF\x02", path
        # The byte order of all but instructions.
        self.order = {1: "<", 2: ">"}[self.data[5]]
        at, size, count, names = self._header()
        self.sections = []
        for index in range(count):
            section = Section(index, self.unpack("IIQQQQIIQQ", at + index * size), self.data)
            section.header = at + index * size
            self.sections.append(section)
        for section in self.sections:
            section.name = self._text(self.sections[names], section.name_at)
        self._neutral = set()
        self.symbols = []
        for table in (section for section in self.sections if section.type == SHT_SYMTAB):
            self.symbols += self._symbols(table)

    def unpack(self, format, at):
        return struct.unpack_from(self.order + format, self.data, at)

    def pack(self, format, at, *numbers):
        """Changes numbers in the file's bytes."""
        struct.pack_into(self.order + format, self.data, at, *numbers)

    def _header(self):
        (at,) = self.unpack("Q", 40)
        size, count, names = self.unpack("HHH", 58)
        return at, size, count, names

    def _text(self, section, at):
        return section.data[at : section.data.index(b"\0", at)].decode()

    def _symbols(self, table):
        strings = self.sections[table.link]
        for name, info, _, section, value, length in struct.iter_unpack(self.order + "IBBHQQ", table.data):
            yield Symbol(self._text(strings, name), info, section, value, length)

    def _entries(self, table):
        for number, (offset, info, addend) in enumerate(struct.iter_unpack(self.order + "QQq", table.data)):
            yield Relocation(self.sections[table.info], offset, info, addend, table.offset + 24 * number)

    def relocations(self):
        """Every relocation of an object that was not neutralised."""
        for table in (section for section in self.sections if section.type == SHT_RELA):
            yield from (entry for entry in self._entries(table) if entry.at not in self._neutral)

    def dynamic_relocations(self):
        """Every relocation that an image leaves to its loader: code, address, addend, and the symbol it refers to."""
        for table in (section for section in self.sections if section.type == SHT_RELA and section.flags & SHF_ALLOC):
            symbols = list(self._symbols(self.sections[table.link])) if table.link else [Symbol("", 0, 0, 0, 0)]
            for entry in self._entries(table):
                yield entry.code, entry.offset, entry.addend, symbols[entry.symbol]

    def neutralise(self, entry):
        """Makes a relocation R_AARCH64_NONE, in the file's bytes."""
        self._neutral.add(entry.at)
        self.pack("QQq", entry.at, entry.offset, 0, 0)

    def group_members(self, known):
        """Members of the COMDAT groups in `known`, which the others join; with None in there, of all groups."""
        members = set()
        for section in (section for section in self.sections if section.type == SHT_GROUP):
            words = struct.unpack(f"{self.order}{section.size // 4}I", section.data)
            signature = self.symbols[section.info]
            key = signature.name or self.sections[signature.section].name
            if words[0] == GRP_COMDAT and (None in known or key in known):
                members.update(words[1:])
            elif words[0] == GRP_COMDAT:
                known.add(key)
        return members

    def drop(self, names):
        """Drops sections and the relocations for them, in memory and in the file's bytes."""
        dropped = {section.index for section in self.sections if section.name in names}
        for section in self.sections:
            if section.index in dropped or section.type == SHT_RELA and section.info in dropped:
                section.type = section.flags = 0
                self.pack("IQ", section.header + 4, 0, 0)

    def clear_flags(self, flags):
        """Clears section flags, in memory and in the file's bytes."""
        for section in self.sections:
            section.flags &= ~flags
            self.pack("Q", section.header + 8, section.flags)

    def write(self, path):
        self.path = path
        open(path, "wb").write(self.data)
