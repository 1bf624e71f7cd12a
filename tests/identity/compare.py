"""Compares two images of one layout: every byte but what refers to slots, and of that, what the slots hold."""

import bisect
import collections
import itertools
import struct

import differences
import elf
import kinds
import layout as layouts
from differences import NOP

# What ld.lld and GNU ld rewrite in an image of its own, and to what: moves of bits 31:16 and of bits 15:0, and nothing.
HIGH, LOW, GONE = {541, 562}, {542, 563}, {564, 569}
# Dynamic relocations (AAELF64, "Dynamic relocations").
NONE, ABS64, GLOB_DAT, JUMP_SLOT, RELATIVE, DTPMOD, DTPREL, TPREL, TLSDESC = 0, 257, 1025, 1026, 1027, 1028, 1029, 1030, 1031


class Image:
    """Where a linker has put what, after the loader of the only module has done what the linker left to it."""

    def __init__(self, file, layout):
        self.order = file.order
        self.sections = {section.name: section for section in file.sections if section.flags & elf.SHF_ALLOC}
        self.bytes = {name: bytearray(section.content()) for name, section in self.sections.items()}
        whole = ((section.addr, name) for name, section in self.sections.items() if section.size and name != ".tbss")
        self.starts = sorted(whole)
        for code, addr, addend, symbol in file.dynamic_relocations():
            self._load(layout, code, addr, symbol.value + addend)

    def _load(self, layout, code, addr, value):
        from_tp = layout.tcb_offset() + value
        resolver = layout.symbol(*layout.resolver())
        words = {NONE: [], ABS64: [value], GLOB_DAT: [value], JUMP_SLOT: [value], RELATIVE: [value], DTPMOD: [1], DTPREL: [value],
                 TPREL: [from_tp], TLSDESC: [resolver, from_tp]}[code]
        for number, word in enumerate(words):
            name, at = self.where(addr + 8 * number)
            struct.pack_into(self.order + "Q", self.bytes[name], at, word % (1 << 64))

    def where(self, addr):
        """The section and the offset in it."""
        start, name = self.starts[bisect.bisect(self.starts, (addr, chr(0x10FFFF))) - 1]
        assert start <= addr < start + self.sections[name].size, f"{addr:#x} is in no section"
        return name, addr - start

    def word(self, name, offset, size=4):
        order = "<" if size == 4 else self.order
        return struct.unpack_from(order + {2: "H", 4: "I", 8: "Q"}[size], self.bytes[name], offset)[0]

    def clear(self, name, offset, mask):
        struct.pack_into("<I", self.bytes[name], offset, self.word(name, offset) & ~mask)

    def contents(self, constraints, count):
        """What the slots hold, `count` words each, that fulfil all of `constraints`."""
        found = set()
        for name in {".got", ".got.plt"} & set(self.bytes):
            section = self.sections[name]
            start = section.addr + -section.addr % 8
            for slot in range(start, section.addr + section.size - 8 * count + 1, 8):
                if all((slot - origin) % (1 << 64) & mask == value % (1 << 64) for origin, mask, value in constraints):
                    found.add(struct.unpack_from(f"{self.order}{count}Q", self.bytes[name], slot - section.addr))
        return found


def signed(value, bits):
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)


def refers(row, word, place, got, order):
    """What a place says of its slot: an origin, a mask, and the slot's address from there under it; and the bits that say so."""
    if row.data:
        distance = struct.unpack(order + "i", struct.pack("<I", word))[0]
        return (0, ~0, place + distance), 0xFFFFFFFF
    if word & 0x1F000000 == 0x10000000:
        field = signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        if word >> 31:
            return (0, ~0xFFF, (place & ~0xFFF) + (field << 12)), 0x60FFFFE0
        return (0, ~0, place + field), 0x60FFFFE0
    if word & 0x3B000000 == 0x18000000:
        return (0, ~0, place + (signed(word >> 5, 19) << 2)), 0xFFFFE0
    if word & 0x1F800000 == 0x12800000:
        half = word >> 5 & 0xFFFF
        shift = 16 * (word >> 21 & 3)
        # MOVN is of a negative number, which no offset of a slot is; the linker chooses between that and MOVZ.
        opcode = word >> 29 & 3
        return (got, 0xFFFF << shift, half << shift if opcode else -1), 0xFFFF << 5 | (0 if opcode == 3 else 3 << 29)
    offset = (word >> 10 & 0xFFF) << (3 if word & 0x3B000000 == 0x39000000 else 0)
    if row.how == "abs":
        return (0, 0xFFF, offset), 0xFFF << 10
    return (got & (~0xFFF if row.how == "pageoff" else ~0), ~0, offset), 0xFFF << 10


def word_before(entry, size=4):
    """What stands at a relocation's place in the object."""
    return int.from_bytes(entry.of.data[entry.offset : entry.offset + size], "little")


class Slot:
    """What the code of each image says of where a slot is."""

    def __init__(self):
        self.here, self.there = set(), set()
        # Of a variable whose code was rewritten: halves of its offset from the thread pointer, and which bits those are.
        self.moved, self.known = 0, 0


class Comparison:
    def __init__(self, layout, ours, theirs, linker, shared):
        self.layout, self.linker, self.shared = layout, linker, shared
        self.ours, self.theirs = (Image(file, layout) for file in (ours, theirs))
        self.errors, self.counts, self.explained = [], collections.Counter(), collections.Counter()
        self.held = self.size = 0
        self.slots = collections.defaultdict(Slot)
        for object in layout.objects:
            for entry in object.relocations():
                if (object, entry.of.index) in layout.offsets:
                    self._relocation(object, entry)
        for key, slot in self.slots.items():
            self._held(key, slot)
        for name in layout.placed:
            self._section(name)

    def _relocation(self, object, entry):
        self.counts[entry.code] += 1
        row = kinds.BY_CODE[entry.code]
        name, start = self.layout.offsets[object, entry.of.index]
        at = start + entry.offset
        symbol = object.symbols[entry.symbol]
        key = symbol.name if symbol.bind != elf.STB_LOCAL else (object.path, entry.symbol)
        slot = self.slots[key, row.target]
        named = f"{object.path}: {entry.of.name}+{entry.offset:#x}: {row.name}"
        if entry.code in kinds.RELAXED and not self.shared:
            self._relaxed(slot, row, name, at, entry, named)
        elif row.target in kinds.SLOTS and row.how != "mark":
            self._refers(slot, row, name, at, entry)
        elif self.ours.word(name, at, row.size) != self.theirs.word(name, at, row.size):
            self._word(object, entry, row, name, at, named)

    def _refers(self, slot, row, name, at, entry):
        place = self.layout.placed[name] + at - entry.addend
        words = [image.word(name, at) for image in (self.ours, self.theirs)]
        if differences.is_movn_left(row, self.linker, word_before(entry), words[1]):
            words[1] |= 2 << 29
            self.explained["gnu-movn-left"] += 1
        for image, word, said in zip((self.ours, self.theirs), words, (slot.here, slot.there)):
            constraint, mask = refers(row, word, place, image.sections[".got"].addr, image.order)
            said.add(constraint)
            image.clear(name, at, mask)

    def _relaxed(self, slot, row, name, at, entry, named):
        """Takes the words at one relocation out of both images, and says what is wrong with them."""
        mine, other = self.ours.word(name, at), self.theirs.word(name, at)
        changes = 0
        if row.how != "mark":
            constraint, changes = refers(row, mine, self.layout.placed[name] + at, self.layout.got, self.ours.order)
            slot.here.add(constraint)
        wrong = (mine ^ word_before(entry)) & ~changes != 0 or row.code in GONE and other != NOP
        if row.code in HIGH | LOW:
            shift = 16 if row.code in HIGH else 0
            # MOVZ of bits 31:16, MOVK of bits 15:0, of the same register, or of x0, which a descriptor gives.
            wrong |= other >> 21 != (0x695 if shift else 0x794) or other & 31 != (mine & 31 if row.target == "ie" else 0)
            half = (other >> 5 & 0xFFFF) << shift
            wrong |= slot.known >> shift & 1 and slot.moved & 0xFFFF << shift != half
            slot.moved |= half
            slot.known |= 0xFFFF << shift
        for image in (self.ours, self.theirs):
            image.clear(name, at, ~0)
        if wrong:
            self.errors.append(f"{named}: {mine:08x} here, {other:08x} there")

    def _held(self, key, slot):
        if not slot.here:
            return
        count = 1 if key[1] in ("got", "ie") else 2
        here = self.ours.contents(slot.here, count)
        if slot.there:
            there = self.theirs.contents(slot.there, count)
            agree = here & there
        else:
            # A descriptor has its function first.
            there = {(slot.moved,)}
            agree = {held for held in here if held[-1] & slot.known == slot.moved}
        self.held += len(here) == len(there) == 1
        if not agree:
            texts = [sorted(map(str, (tuple(f"{word:#x}" for word in held) for held in some))) for some in (here, there)]
            self.errors.append(f"the slots of {key} hold {texts[0][:3]} here, {texts[1][:3]} there")

    def _word(self, object, entry, row, name, at, named):
        case = differences.Case(row, self.layout, object, entry, self.shared)
        before = word_before(entry, row.size)
        mine, other = (image.word(name, at, row.size) for image in (self.ours, self.theirs))
        reason = differences.name_of_word(case, self.linker, before, mine, other)
        if reason is None:
            self.errors.append(f"{named}: {mine:0{2 * row.size}x} here, {other:0{2 * row.size}x} there, of {before:0{2 * row.size}x} "
                               f"at {case.place:#x}, X = {case.x:#x}{', symbol nowhere' if case.nowhere else ''}")
        else:
            self.explained[reason] += 1
        for image in (self.ours, self.theirs):
            image.bytes[name][at : at + row.size] = bytes(row.size)

    def _section(self, name):
        addr, size = self.layout.placed[name], self.layout.sizes[name]
        if size == 0:
            return
        one, other = self.ours.bytes.get(name), self.theirs.bytes.get(name)
        # Without .tdata, .tbss may be behind anything there.
        is_placed = lambda image: name in image.sections and (image.sections[name].addr == addr or name == ".tbss")
        if not is_placed(self.ours) or not is_placed(self.theirs):
            self.errors.append(f"{name} is not at {addr:#x} in both images")
            return
        self.size += len(other)
        if self.layout.prots[name] & elf.SHF_EXECINSTR and len(one) > len(other) and not any(one[len(other) :]):
            # Room for veneers that might have been wanted, and were not.
            self.explained["veneer-room"] += 1
            one = one[: len(other)]
        if one != other:
            found = [at for at, (mine, theirs) in enumerate(itertools.zip_longest(one, other)) if mine != theirs]
            first = found[0] & ~3
            self.errors.append(f"{name} differs in {len(found)} of {len(one)} and {len(other)} bytes, first at +{found[0]:#x}: "
                               f"{one[first : first + 4].hex()} here, {other[first : first + 4].hex()} there")
