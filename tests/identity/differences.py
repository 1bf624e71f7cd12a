"""Where ld.lld and GNU ld differ from this project, each by its name and on its condition: all else is an error.

The names are those of tests/golden/settle.py where both have the difference.
"""

from kinds import RELAXED, SLOTS

NOP = 0xD503201F
M64 = (1 << 64) - 1


def wrap(number):
    """`number` modulo 2^64 as a signed number."""
    number &= M64
    return number - (1 << 64) if number >> 63 else number


class Case:
    """One relocation of a layout: its row, X, and whether its symbol is nowhere (a weak one); of a slot, X of the first slot."""

    def __init__(self, row, layout, object, entry, shared):
        self.row = row
        self.relaxed = row.code in RELAXED and not shared
        self.place = layout.address(object, entry.of.index) + entry.offset
        symbol = layout.symbol(object, entry.symbol)
        self.nowhere = symbol is None
        base = {"addr": symbol or 0, "tprel": (symbol or 0) + layout.tcb_offset(), "dtprel": symbol or 0}.get(row.target, layout.got)
        self.target = base + entry.addend
        origin = {"abs": 0, "mark": 0, "pc": self.place, "page": self.place & ~0xFFF, "off": layout.got,
                  "pageoff": layout.got & ~0xFFF}[row.how]
        self.x = wrap((self.target & ~0xFFF if row.how == "page" else self.target) - origin)
        self.room = layout.slot_room() if base == layout.got and row.target != "addr" else 0

    @property
    def outside(self):
        """Whether X is out of range; of a slot, wherever it is in the GOT."""
        low, end = self.row.low, self.row.end
        return low is not None and (self.x + self.room < low or self.x >= end)

    @property
    def at_edge(self):
        """Whether the range ends among the slots, whose order is each linker's own."""
        low, end = self.row.low, self.row.end
        return low is not None and not self.outside and (self.x < low or self.x + self.room >= end)

    @property
    def crooked(self):
        return self.row.target not in SLOTS and self.x % self.row.align != 0


def set_half(before, x, shift):
    """MOVZ, or the MOVK that stands there, of 16 bits of X."""
    opcode = before if before >> 29 & 3 == 3 else before & ~(3 << 29) | 2 << 29
    return opcode & ~(0xFFFF << 5) | (x >> shift & 0xFFFF) << 5


def set_adr(case, before):
    """ADR of the place, or ADRP of its page, and the addend."""
    distance = case.target if case.row.code == 274 else case.target >> 12
    return before | (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5


# Name, linker, when it applies, and the word that the linker writes there; None where that is the right MOVZ of any half.
WORDS = [
    # It always writes MOVZ for MOVW_PREL_G3; here, as the ABI says, MOVN where X is negative.
    ("lld-prel-g3", "lld", lambda c: c.row.name == "MOVW_PREL_G3" and c.x < 0, lambda c, before: set_half(before, c.x, 48)),
    # It always writes MOVZ for TLSLE_MOVW_TPREL_G0 and G1.
    ("gnu-tprel-movz", "gnu", lambda c: c.row.code in (545, 547) and c.x < 0,
     lambda c, before: set_half(before, c.x, {545: 16, 547: 0}[c.row.code])),
    # A weak symbol that is nowhere: it is at the place or its page; here it is at 0, by MOVZ.
    *(("weak-adr", linker, lambda c: c.nowhere and c.row.code in (274, 275, 276), set_adr) for linker in ("lld", "gnu")),
    # A jump to such a symbol is none; here it goes on, as a conditional branch does, which there goes nowhere.
    ("weak-jump", "gnu", lambda c: c.nowhere and c.row.code in (282, 283), lambda c, before: NOP),
    ("weak-branch-to-itself", "gnu", lambda c: c.nowhere and c.row.code in (279, 280), lambda c, before: before),
    # The distance to it is 4, as that of a branch which goes on; here, as the ABI says, 0.
    ("weak-prel-next", "lld", lambda c: c.nowhere and 287 <= c.row.code <= 293,
     lambda c, before: set_half(before, 4 + c.target, {0: 0, 1: 16, 2: 32, 3: 48}[before >> 21 & 3])),
    # Another origin and no sign: see REFUSED_THERE.
    ("gnu-tprel-g2", "gnu", lambda c: c.row.code == 544, None),
]

# Name, linker, when it refuses what is linked here.
REFUSED_THERE = [
    # Here it goes through a veneer, as a call does.
    ("plt32-veneer", "lld", lambda c: c.row.name == "PLT32" and c.outside),
    # It takes ABS32 and ABS16 as unsigned; here as either.
    ("negative-data", "gnu", lambda c: c.row.name in ("ABS32", "ABS16") and c.x < 0 and not c.outside),
    # It takes TLSLD_MOVW_DTPREL_G0 to G2 as unsigned.
    ("gnu-dtprel-unsigned", "gnu", lambda c: c.row.code in (523, 524, 526) and c.x < 0 and not c.outside),
    # It measures TLSLE_MOVW_TPREL_G2 from another origin and as unsigned.
    ("gnu-tprel-g2", "gnu", lambda c: c.row.code == 544),
]

# Name, linker, when it links what is refused here.
REFUSED_HERE = [
    # Branches lose the low bits of their distance.
    ("misaligned-target", "lld", lambda c: c.row.code in (279, 282, 283) and c.crooked and not c.outside),
    ("misaligned-target", "gnu", lambda c: c.row.code in (279, 280, 282, 283) and c.crooked and not c.outside),
    # What is not to be checked (_NC) does not arrive all the same.
    *(("no-check", linker, lambda c: c.row.code == 276 and not -1 << 32 <= c.x < 1 << 32) for linker in ("lld", "gnu")),
    # There the code has become moves, and wants no slot.
    *(("relaxed", linker, lambda c: c.relaxed and c.outside) for linker in ("lld", "gnu")),
    # It takes PREL32, PREL16 and PLT32 up to the unsigned bound of older editions.
    ("upper-half", "lld", lambda c: c.row.code in (261, 262, 314) and c.row.end <= c.x < 2 * c.row.end),
    # It does not check the distance to a page of the GOT.
    ("gnu-got-page", "gnu", lambda c: c.row.code in (311, 541, 562) and c.outside),
    # It does not check the distance to a slot for thread-local storage.
    ("gnu-tls-near", "gnu", lambda c: c.row.code in (512, 513, 543, 560, 561) and c.outside),
    # It does not check LD64_GOTPAGE_LO15.
    ("lld-lo15", "lld", lambda c: c.row.code == 313 and c.outside),
    # It checks no TLSLE_MOVW_TPREL_G0 and G1.
    ("gnu-tprel-movz", "gnu", lambda c: c.row.code in (545, 547) and c.outside),
]


# Offsets from the GOT, for which GNU ld leaves a MOVN in place though X is not negative.
MOVN_LEFT = {302, 515, 539, 565}


def is_movn_left(row, linker, before, theirs):
    """Whether it did so: gnu-movn-left."""
    return linker == "gnu" and row.code in MOVN_LEFT and before >> 29 & 3 == 0 and theirs >> 29 & 3 == 0


def name_of_word(case, linker, before, theirs):
    """Why the linker's word is not ours; None where nothing explains it."""
    def is_made(makes):
        if makes is None:
            return theirs & ~(0xFFFF << 5) == set_half(before, 0, 0)
        return theirs == makes(case, before)

    return next((name for name, of, applies, makes in WORDS if of == linker and applies(case) and is_made(makes)), None)


def name_of_refusal(case, linker, is_here):
    """Why one refuses, here or there, and the other does not; None where nothing explains it."""
    if case.at_edge:
        return "slot-order"
    rules = REFUSED_HERE if is_here else REFUSED_THERE
    return next((name for name, of, applies in rules if of == linker and applies(case)), None)
