"""Where ld.lld and GNU ld differ from this project, each by its name and on its condition: all else is an error.

The names are those of tests/golden/settle.py where both have the difference.
"""

from kinds import LEFT, NEAR, PAGES, RELAXED, SLOTS

BOTH = ("lld", "gnu")
ADR = ("ADR_PREL_LO21", "ADR_PREL_PG_HI21", "ADR_PREL_PG_HI21_NC")
TPREL_MOVZ = ("TLSLE_MOVW_TPREL_G0", "TLSLE_MOVW_TPREL_G1")
DTPREL_UNSIGNED = ("TLSLD_MOVW_DTPREL_G0", "TLSLD_MOVW_DTPREL_G1", "TLSLD_MOVW_DTPREL_G2")
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

    def of(self, *names):
        """Whether the relocation is one of these."""
        return self.row.name in names

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


def set_half(before, x):
    """MOVZ, or the MOVK that stands there, of 16 bits of X."""
    shift = 16 * (before >> 21 & 3)
    opcode = before if before >> 29 & 3 == 3 else before & ~(3 << 29) | 2 << 29
    return opcode & ~(0xFFFF << 5) | (x >> shift & 0xFFFF) << 5


def right(case, before):
    """The word that is right where a linker's is not: here."""
    x = case.target if case.nowhere else case.x
    if case.row.how == "page":
        x &= ~0xFFF
    if case.of(*ADR):
        return 0xD2800000 | before & 31 | (x & 0xFFFF) << 5
    if case.of("JUMP26", "CALL26"):
        return before | 1
    if case.of("TSTBR14", "CONDBR19"):
        return before | 1 << 5
    # MOVZ or MOVK, or MOVN.
    return set_half(before, x) if x >= 0 or before >> 29 & 3 == 3 else set_half(before, ~x) & ~(3 << 29)


def set_adr(case, before):
    """ADR of the place, or ADRP of its page, and the addend."""
    distance = case.target if case.of("ADR_PREL_LO21") else case.target >> 12
    return before | (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5


# Name, linker, when it applies, and the word that the linker writes there; None where that is the right MOVZ of any half.
WORDS = [
    # It always writes MOVZ for MOVW_PREL_G3; here, as the ABI says, MOVN where X is negative.
    ("lld-prel-g3", "lld", lambda c: c.of("MOVW_PREL_G3") and c.x < 0, lambda c, before: set_half(before, c.x)),
    # It always writes MOVZ for TLSLE_MOVW_TPREL_G0 and G1.
    ("gnu-tprel-movz", "gnu", lambda c: c.of(*TPREL_MOVZ) and c.x < 0, lambda c, before: set_half(before, c.x)),
    # A weak symbol that is nowhere: it is at the place or its page; here it is at 0, by MOVZ.
    *(("weak-adr", linker, lambda c: c.nowhere and c.of(*ADR), set_adr) for linker in BOTH),
    # A jump to such a symbol is none; here it goes on, as a conditional branch does, which there goes nowhere.
    ("weak-jump", "gnu", lambda c: c.nowhere and c.of("JUMP26", "CALL26"), lambda c, before: NOP),
    ("weak-branch-to-itself", "gnu", lambda c: c.nowhere and c.of("TSTBR14", "CONDBR19"), lambda c, before: before),
    # The distance to it is 4, as that of a branch which goes on; here, as the ABI says, 0.
    ("weak-prel-next", "lld", lambda c: c.nowhere and c.row.name.startswith("MOVW_PREL"),
     lambda c, before: set_half(before, 4 + c.target)),
    # Another origin and no sign: see REFUSED_THERE.
    ("gnu-tprel-g2", "gnu", lambda c: c.of("TLSLE_MOVW_TPREL_G2"), None),
]

# Name, linker, when it refuses what is linked here.
REFUSED_THERE = [
    # Here it goes through a veneer, as a call does.
    ("plt32-veneer", "lld", lambda c: c.of("PLT32") and c.outside),
    # It takes ABS32 and ABS16 as unsigned; here as either.
    ("negative-data", "gnu", lambda c: c.of("ABS32", "ABS16") and c.x < 0 and not c.outside),
    # It takes TLSLD_MOVW_DTPREL_G0 to G2 as unsigned.
    ("gnu-dtprel-unsigned", "gnu", lambda c: c.of(*DTPREL_UNSIGNED) and c.x < 0 and not c.outside),
    # It measures TLSLE_MOVW_TPREL_G2 from another origin and as unsigned.
    ("gnu-tprel-g2", "gnu", lambda c: c.of("TLSLE_MOVW_TPREL_G2")),
]

# Name, linker, when it links what is refused here.
REFUSED_HERE = [
    # Branches lose the low bits of their distance.
    ("misaligned-target", "lld", lambda c: c.of("TSTBR14", "JUMP26", "CALL26") and c.crooked and not c.outside),
    ("misaligned-target", "gnu", lambda c: c.of("TSTBR14", "CONDBR19", "JUMP26", "CALL26") and c.crooked and not c.outside),
    # What is not to be checked (_NC) does not arrive all the same.
    *(("no-check", linker, lambda c: c.of("ADR_PREL_PG_HI21_NC") and not -1 << 32 <= c.x < 1 << 32) for linker in BOTH),
    # There the code has become moves, and wants no slot.
    *(("relaxed", linker, lambda c: c.relaxed and c.outside) for linker in BOTH),
    # It takes PREL32, PREL16 and PLT32 up to the unsigned bound of older editions.
    ("upper-half", "lld", lambda c: c.of("PREL32", "PREL16", "PLT32") and c.row.end <= c.x < 2 * c.row.end),
    # It does not check the distance to a page of the GOT.
    ("gnu-got-page", "gnu", lambda c: c.of(*PAGES) and c.outside),
    # It does not check the distance to a slot for thread-local storage.
    ("gnu-tls-near", "gnu", lambda c: c.of(*NEAR) and c.outside),
    # It checks no TLSLE_MOVW_TPREL_G0 and G1.
    ("gnu-tprel-movz", "gnu", lambda c: c.of(*TPREL_MOVZ) and c.outside),
]


def is_movn_left(row, linker, before, theirs):
    """Whether GNU ld left a MOVN in place though X is not negative: gnu-movn-left."""
    return linker == "gnu" and row.name in LEFT and before >> 29 & 3 == 0 and theirs >> 29 & 3 == 0


def name_of_word(case, linker, before, ours, theirs):
    """Why the linker's word is not ours; None where nothing explains it, or ours is wrong."""
    if ours != right(case, before):
        return None

    def is_made(makes):
        if makes is None:
            return theirs & ~(0xFFFF << 5) == set_half(before, 0)
        return theirs == makes(case, before)

    return next((name for name, of, applies, makes in WORDS if of == linker and applies(case) and is_made(makes)), None)


def name_of_refusal(case, linker, is_here):
    """Why one refuses, here or there, and the other does not; None where nothing explains it."""
    if case.at_edge:
        return "slot-order"
    rules = REFUSED_HERE if is_here else REFUSED_THERE
    return next((name for name, of, applies in rules if of == linker and applies(case)), None)
