"""What the crate must do where the linkers differ from each other or from the ABI.

Every such difference is a rule here, with a name that stands at the end of its lines. A difference no rule names stops make.py, and so
does a rule no case needs.
"""

REFUSALS = ("range", "align", "refused")
PAGES = ("ADR_GOT_PAGE", "TLSIE_ADR_GOTTPREL_PAGE21", "TLSDESC_ADR_PAGE21")
NEAR = ("TLSGD_ADR_PREL21", "TLSGD_ADR_PAGE21", "TLSIE_LD_GOTTPREL_PREL19", "TLSDESC_LD_PREL19", "TLSDESC_ADR_PREL21")
LEFT = ("MOVW_GOTOFF_G1", "TLSGD_MOVW_G1", "TLSIE_MOVW_GOTTPREL_G1", "TLSDESC_OFF_G1")


def wrote(word):
    return word not in REFUSALS and word != "-"


class Seen:
    """One case: the row, X, what either linker made of it, and of its twin: for DTPREL what lld made of the same TPREL, else what GNU ld
    made of MOVZ instead of MOVN."""

    def __init__(self, row, x, lld, gnu, twin):
        self.row, self.x, self.lld, self.gnu, self.twin = row, x, lld, gnu, twin
        self.outside = row.low is not None and not row.low <= x < row.end
        self.crooked = x % row.align != 0
        self.kind = "range" if self.outside else "align"


# Name, what it means, when it applies, what is right.
RULES = [
    (
        "misaligned-target",
        "a linker drops the low bits of a branch's distance; the crate refuses",
        lambda s: s.crooked and not s.outside and s.row.name in ("TSTBR14", "CONDBR19", "JUMP26", "CALL26") and (wrote(s.lld) or wrote(s.gnu)),
        lambda s: "align",
    ),
    (
        "negative-data",
        "GNU ld takes ABS32 and ABS16 as unsigned; the ABI and lld as either",
        lambda s: s.row.name in ("ABS32", "ABS16") and s.x < 0 and not s.outside and wrote(s.lld) and s.gnu == "refused",
        lambda s: s.lld,
    ),
    (
        "upper-half",
        "lld takes PREL32, PREL16 and PLT32 up to the unsigned bound of older editions; AAELF64 2026Q2 and GNU ld as signed",
        lambda s: s.row.name in ("PREL32", "PREL16", "PLT32") and s.outside and wrote(s.lld) and not wrote(s.gnu),
        lambda s: "range",
    ),
    (
        "gnu-got-page",
        "GNU ld does not check the distance to a GOT page",
        lambda s: s.row.name in PAGES and s.outside and s.lld == "range" and wrote(s.gnu),
        lambda s: "range",
    ),
    (
        "gnu-tls-near",
        "GNU ld, alone in applying it, does not check the distance to a thread-local GOT entry",
        lambda s: s.row.name in NEAR and s.outside and s.lld == "-" and wrote(s.gnu),
        lambda s: "range",
    ),
    (
        "lld-lo15",
        "lld does not check LD64_GOTPAGE_LO15",
        lambda s: s.row.name == "LD64_GOTPAGE_LO15" and s.outside and wrote(s.lld) and not wrote(s.gnu),
        lambda s: "range",
    ),
    (
        "lld-prel-g3",
        "lld always writes MOVZ for MOVW_PREL_G3; the ABI and GNU ld MOVN where X is negative",
        lambda s: s.row.name == "MOVW_PREL_G3" and s.x < 0 and wrote(s.lld) and wrote(s.gnu),
        lambda s: s.gnu,
    ),
    (
        "gnu-tprel-movz",
        "GNU ld always writes MOVZ for TLSLE_MOVW_TPREL_G0 and G1, and checks nothing",
        lambda s: s.row.name in ("TLSLE_MOVW_TPREL_G0", "TLSLE_MOVW_TPREL_G1") and wrote(s.gnu) and s.lld != s.gnu,
        lambda s: s.lld,
    ),
    (
        "gnu-tprel-g2",
        "GNU ld measures TLSLE_MOVW_TPREL_G2 from another origin and as unsigned",
        lambda s: s.row.name == "TLSLE_MOVW_TPREL_G2" and s.lld != s.gnu and (wrote(s.lld) or wrote(s.gnu)),
        lambda s: s.lld,
    ),
    (
        "gnu-movn-left",
        "GNU ld leaves a MOVN in place though X is not negative; right is what it makes of the same place with MOVZ",
        lambda s: s.row.name in LEFT and s.lld == "-" and s.twin is not None and s.twin != s.gnu and s.x >= 0,
        lambda s: s.twin,
    ),
    (
        "gnu-dtprel-unsigned",
        "GNU ld, alone in applying TLSLD_MOVW_DTPREL_G0 to G2, takes them as unsigned; right is what lld makes of the same TLSLE_MOVW_TPREL",
        lambda s: s.row.name.startswith("TLSLD_MOVW_DTPREL_G") and s.x < 0 and not s.outside and s.gnu == "refused" and s.twin is not None,
        lambda s: s.twin,
    ),
]
USED = set()


def settle(row, x, lld, gnu, twin):
    """What is expected, `range` and `align` being refusals, and the name of the difference if there is one."""
    seen = Seen(row, x, lld, gnu, twin)
    for name, _, applies, right in RULES:
        if applies(seen):
            USED.add(name)
            return right(seen), name
    words = {word for word in (lld, gnu) if wrote(word)}
    refusals = {word for word in (lld, gnu) if word in REFUSALS}
    if len(words) + bool(refusals) != 1:
        raise ValueError(f"{row.name}: the linkers differ at X = {x:#x}: {lld} {gnu}")
    if words:
        if seen.outside:
            raise ValueError(f"{row.name}: X = {x:#x} is out of range, and yet {lld} {gnu}")
        return words.pop(), ""
    if not seen.outside and not seen.crooked:
        raise ValueError(f"{row.name}: X = {x:#x} is refused without reason: {lld} {gnu}")
    return seen.kind, ""


def unused():
    return [name for name, *_ in RULES if name not in USED]
