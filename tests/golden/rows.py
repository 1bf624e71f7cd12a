"""What to try: one row a relocation.

A row says which instructions an assembler emits the relocation on and where the interesting values of X lie. It says nothing about the
bits that come out: those are the linkers' to tell.

`target` is what the value of a row is measured from:
  addr    the address of a symbol            got     its GOT slot
  gd, ld, ie, de   its general-dynamic, local-dynamic, initial-exec or descriptor GOT entry
  tprel, dtprel    its offset from the thread pointer or in the module's block
`how` is what X is made of it:
  abs     X = target                         pc      X = target - P
  page    X = Page(target) - Page(P)         off     X = target - GOT
  pageoff X = target - Page(GOT)             mark    nothing is written
`low` and `end` bound X (low <= X < end), None where the ABI has no check; X is a multiple of `align`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    code: int
    name: str
    target: str
    how: str
    low: int | None
    end: int | None
    align: int
    forms: tuple[str, ...]
    size: int = 4

    @property
    def data(self):
        return self.forms[0].startswith(".") and not self.forms[0].startswith(".reloc") and not self.forms[0].startswith(".tls")


ROWS = []


def row(code, name, target, how, bounds, align, *forms, size=4):
    low, end = bounds or (None, None)
    ROWS.append(Row(code, name, target, how, low, end, align, forms, size))


def signed(bits):
    return (-(1 << (bits - 1)), 1 << (bits - 1))


def unsigned(bits):
    return (0, 1 << bits)


def either(bits):
    return (-(1 << (bits - 1)), 1 << bits)


def bare(name, *instructions):
    """The instruction with a relocation no operator makes."""
    return tuple(f".reloc ., R_AARCH64_{name}, {{s}}\n{i}" for i in instructions)


# Data.
row(0, "NONE", "addr", "mark", None, 1, *bare("NONE", "nop", "add x1, x2, x3"))
row(257, "ABS64", "addr", "abs", None, 1, ".xword {s}", size=8)
row(258, "ABS32", "addr", "abs", either(32), 1, ".word {s}")
row(259, "ABS16", "addr", "abs", either(16), 1, ".hword {s}", size=2)
row(260, "PREL64", "addr", "pc", None, 1, ".xword {s} - .", size=8)
row(261, "PREL32", "addr", "pc", signed(32), 1, ".word {s} - .")
row(262, "PREL16", "addr", "pc", signed(16), 1, ".hword {s} - .", size=2)
row(314, "PLT32", "addr", "pc", signed(32), 1, ".word {s}@PLT - .")
row(315, "GOTPCREL32", "got", "pc", signed(32), 1, ".word {s}@GOTPCREL")
row(307, "GOTREL64", "addr", "off", None, 1, ".xword 0\n.reloc .-8, R_AARCH64_GOTREL64, {s}", size=8)
row(308, "GOTREL32", "addr", "off", signed(32), 1, ".word 0\n.reloc .-4, R_AARCH64_GOTREL32, {s}")
row(1029, "TLS_DTPREL", "dtprel", "abs", None, 1, ".xword 0\n.reloc .-8, R_AARCH64_TLS_DTPREL64, {s}", size=8)

# Groups of MOVZ, MOVN and MOVK.
row(263, "MOVW_UABS_G0", "addr", "abs", unsigned(16), 1, "movz x3, #:abs_g0:{s}", "movz w30, #:abs_g0:{s}", "movk x5, #:abs_g0:{s}")
row(264, "MOVW_UABS_G0_NC", "addr", "abs", None, 1, "movk x0, #:abs_g0_nc:{s}", "movz x9, #:abs_g0_nc:{s}", "movk w1, #:abs_g0_nc:{s}")
row(265, "MOVW_UABS_G1", "addr", "abs", unsigned(32), 1, "movz x3, #:abs_g1:{s}", "movz w4, #:abs_g1:{s}", "movk x30, #:abs_g1:{s}")
row(266, "MOVW_UABS_G1_NC", "addr", "abs", None, 1, "movk x3, #:abs_g1_nc:{s}", "movk w4, #:abs_g1_nc:{s}", "movz x5, #:abs_g1_nc:{s}")
row(267, "MOVW_UABS_G2", "addr", "abs", unsigned(48), 1, "movz x17, #:abs_g2:{s}", "movk x2, #:abs_g2:{s}")
row(268, "MOVW_UABS_G2_NC", "addr", "abs", None, 1, "movk x17, #:abs_g2_nc:{s}", "movz x2, #:abs_g2_nc:{s}")
row(269, "MOVW_UABS_G3", "addr", "abs", None, 1, "movz x1, #:abs_g3:{s}", "movk x30, #:abs_g3:{s}")
row(270, "MOVW_SABS_G0", "addr", "abs", signed(17), 1, "movz x3, #:abs_g0_s:{s}", "movn x4, #:abs_g0_s:{s}", "movz w5, #:abs_g0_s:{s}")
row(271, "MOVW_SABS_G1", "addr", "abs", signed(33), 1, "movz x3, #:abs_g1_s:{s}", "movn x4, #:abs_g1_s:{s}", "movn w5, #:abs_g1_s:{s}")
row(272, "MOVW_SABS_G2", "addr", "abs", signed(49), 1, "movz x3, #:abs_g2_s:{s}", "movn x30, #:abs_g2_s:{s}")
row(287, "MOVW_PREL_G0", "addr", "pc", signed(17), 1, "movz x3, #:prel_g0:{s}", "movn x4, #:prel_g0:{s}")
row(288, "MOVW_PREL_G0_NC", "addr", "pc", None, 1, "movk x3, #:prel_g0_nc:{s}", "movk w4, #:prel_g0_nc:{s}")
row(289, "MOVW_PREL_G1", "addr", "pc", signed(33), 1, "movz x3, #:prel_g1:{s}", "movn x4, #:prel_g1:{s}")
row(290, "MOVW_PREL_G1_NC", "addr", "pc", None, 1, "movk x3, #:prel_g1_nc:{s}", "movk x30, #:prel_g1_nc:{s}")
row(291, "MOVW_PREL_G2", "addr", "pc", signed(49), 1, "movz x3, #:prel_g2:{s}", "movn x4, #:prel_g2:{s}")
row(292, "MOVW_PREL_G2_NC", "addr", "pc", None, 1, "movk x3, #:prel_g2_nc:{s}")
row(293, "MOVW_PREL_G3", "addr", "pc", None, 1, "movz x3, #:prel_g3:{s}", "movn x4, #:prel_g3:{s}")
for group, bits, code in ((0, 17, 300), (1, 33, 302), (2, 49, 304)):
    z, k = (f"{op} x{3 + group}, #0, lsl #{16 * group}" for op in ("movz", "movk"))
    row(code, f"MOVW_GOTOFF_G{group}", "got", "off", signed(bits), 1, *bare(f"MOVW_GOTOFF_G{group}", z, z.replace("movz", "movn")))
    row(code + 1, f"MOVW_GOTOFF_G{group}_NC", "got", "off", None, 1, *bare(f"MOVW_GOTOFF_G{group}_NC", k))
row(306, "MOVW_GOTOFF_G3", "got", "off", None, 1, *bare("MOVW_GOTOFF_G3", "movz x3, #0, lsl #48"))

# Addresses near the place.
row(273, "LD_PREL_LO19", "addr", "pc", signed(21), 4, "ldr x1, {s}", "ldr w2, {s}", "ldrsw x30, {s}", "ldr q31, {s}", "ldr s4, {s}", "prfm pldl1keep, {s}")
row(274, "ADR_PREL_LO21", "addr", "pc", signed(21), 1, "adr x0, {s}", "adr x30, {s}")
row(275, "ADR_PREL_PG_HI21", "addr", "page", signed(33), 1, "adrp x0, {s}", "adrp x17, {s}", "adrp x30, {s}")
row(276, "ADR_PREL_PG_HI21_NC", "addr", "page", None, 1, "adrp x0, :pg_hi21_nc:{s}", "adrp x29, :pg_hi21_nc:{s}")
row(277, "ADD_ABS_LO12_NC", "addr", "abs", None, 1, "add x0, x30, :lo12:{s}", "add w7, w8, :lo12:{s}", "add sp, x1, :lo12:{s}")
row(278, "LDST8_ABS_LO12_NC", "addr", "abs", None, 1, "ldrb w1, [x2, :lo12:{s}]", "strb w3, [sp, :lo12:{s}]", "ldrsb x30, [x5, :lo12:{s}]", "ldr b6, [x7, :lo12:{s}]")
row(284, "LDST16_ABS_LO12_NC", "addr", "abs", None, 2, "ldrh w1, [x2, :lo12:{s}]", "strh w3, [x30, :lo12:{s}]", "ldrsh x4, [x5, :lo12:{s}]", "str h6, [x7, :lo12:{s}]")
row(285, "LDST32_ABS_LO12_NC", "addr", "abs", None, 4, "ldr w1, [x2, :lo12:{s}]", "str w3, [x4, :lo12:{s}]", "ldrsw x5, [x30, :lo12:{s}]", "ldr s6, [x7, :lo12:{s}]")
row(286, "LDST64_ABS_LO12_NC", "addr", "abs", None, 8, "ldr x1, [x2, :lo12:{s}]", "str x3, [x30, :lo12:{s}]", "ldr d5, [x6, :lo12:{s}]", "prfm pldl1keep, [x7, :lo12:{s}]")
row(299, "LDST128_ABS_LO12_NC", "addr", "abs", None, 16, "ldr q1, [x2, :lo12:{s}]", "str q31, [x30, :lo12:{s}]")

# Branches.
row(279, "TSTBR14", "addr", "pc", signed(16), 4, "tbz w1, #0, {s}", "tbnz x2, #63, {s}", "tbz x30, #33, {s}", "tbnz w4, #31, {s}")
row(280, "CONDBR19", "addr", "pc", signed(21), 4, "b.eq {s}", "cbz w1, {s}", "b.le {s}", "cbnz x30, {s}", "b.al {s}")
row(282, "JUMP26", "addr", "pc", signed(28), 4, "b {s}")
row(283, "CALL26", "addr", "pc", signed(28), 4, "bl {s}")

# The GOT.
row(309, "GOT_LD_PREL19", "got", "pc", signed(21), 4, "ldr x1, :got:{s}", "ldr x30, :got:{s}")
row(310, "LD64_GOTOFF_LO15", "got", "off", (0, 1 << 15), 8, "ldr x1, [x2, :gotoff_lo15:{s}]", *bare("LD64_GOTOFF_LO15", "ldr x1, [x30]"))
row(311, "ADR_GOT_PAGE", "got", "page", signed(33), 1, "adrp x0, :got:{s}", "adrp x30, :got:{s}")
row(312, "LD64_GOT_LO12_NC", "got", "abs", None, 8, "ldr x1, [x2, :got_lo12:{s}]", "str x0, [x30, :got_lo12:{s}]", "ldr d5, [x6, :got_lo12:{s}]")
row(313, "LD64_GOTPAGE_LO15", "got", "pageoff", (0, 1 << 15), 8, "ldr x1, [x2, :gotpage_lo15:{s}]", "ldr x30, [x17, :gotpage_lo15:{s}]")

# Thread-local storage through the GOT.
row(512, "TLSGD_ADR_PREL21", "gd", "pc", signed(21), 1, "adr x0, :tlsgd:{s}", "adr x30, :tlsgd:{s}")
row(513, "TLSGD_ADR_PAGE21", "gd", "page", signed(33), 1, "adrp x0, :tlsgd:{s}", "adrp x30, :tlsgd:{s}")
row(514, "TLSGD_ADD_LO12_NC", "gd", "abs", None, 1, "add x0, x30, :tlsgd_lo12:{s}")
row(515, "TLSGD_MOVW_G1", "gd", "off", signed(33), 1, "movz x0, #:tlsgd_g1:{s}")
row(516, "TLSGD_MOVW_G0_NC", "gd", "off", None, 1, "movk x0, #:tlsgd_g0_nc:{s}")
row(517, "TLSLD_ADR_PREL21", "ld", "pc", signed(21), 1, "adr x0, :tlsldm:{s}", "adr x30, :tlsldm:{s}")
row(518, "TLSLD_ADR_PAGE21", "ld", "page", signed(33), 1, "adrp x0, :tlsldm:{s}", "adrp x30, :tlsldm:{s}")
row(519, "TLSLD_ADD_LO12_NC", "ld", "abs", None, 1, "add x0, x30, :tlsldm_lo12_nc:{s}")
row(520, "TLSLD_MOVW_G1", "ld", "off", signed(33), 1, *bare("TLSLD_MOVW_G1", "movz x3, #0, lsl #16"))
row(521, "TLSLD_MOVW_G0_NC", "ld", "off", None, 1, *bare("TLSLD_MOVW_G0_NC", "movk x3, #0"))
row(522, "TLSLD_LD_PREL19", "ld", "pc", signed(21), 4, *bare("TLSLD_LD_PREL19", ".inst 0x58000003"))
row(539, "TLSIE_MOVW_GOTTPREL_G1", "ie", "off", signed(33), 1, "movz x0, #:gottprel_g1:{s}")
row(540, "TLSIE_MOVW_GOTTPREL_G0_NC", "ie", "off", None, 1, "movk x0, #:gottprel_g0_nc:{s}")
row(541, "TLSIE_ADR_GOTTPREL_PAGE21", "ie", "page", signed(33), 1, "adrp x0, :gottprel:{s}", "adrp x30, :gottprel:{s}")
row(542, "TLSIE_LD64_GOTTPREL_LO12_NC", "ie", "abs", None, 8, "ldr x1, [x2, :gottprel_lo12:{s}]", "ldr x30, [x0, :gottprel_lo12:{s}]")
row(543, "TLSIE_LD_GOTTPREL_PREL19", "ie", "pc", signed(21), 4, "ldr x1, :gottprel:{s}", "ldr x30, :gottprel:{s}")
row(560, "TLSDESC_LD_PREL19", "de", "pc", signed(21), 4, "ldr x1, :tlsdesc:{s}", "ldr x30, :tlsdesc:{s}")
row(561, "TLSDESC_ADR_PREL21", "de", "pc", signed(21), 1, "adr x0, :tlsdesc:{s}", "adr x30, :tlsdesc:{s}")
row(562, "TLSDESC_ADR_PAGE21", "de", "page", signed(33), 1, "adrp x0, :tlsdesc:{s}", "adrp x30, :tlsdesc:{s}")
row(563, "TLSDESC_LD64_LO12", "de", "abs", None, 8, "ldr x1, [x0, :tlsdesc_lo12:{s}]", "ldr x30, [x0, :tlsdesc_lo12:{s}]")
row(564, "TLSDESC_ADD_LO12", "de", "abs", None, 1, "add x0, x0, :tlsdesc_lo12:{s}", "add x30, x17, :tlsdesc_lo12:{s}")
row(565, "TLSDESC_OFF_G1", "de", "off", signed(33), 1, "movz x0, #:tlsdesc_off_g1:{s}")
row(566, "TLSDESC_OFF_G0_NC", "de", "off", None, 1, "movk x0, #:tlsdesc_off_g0_nc:{s}")
row(567, "TLSDESC_LDR", "de", "mark", None, 1, ".tlsdescldr {s}\nldr x1, [x0]", *bare("TLSDESC_LDR", "ldr x1, [x0, #8]"))
row(568, "TLSDESC_ADD", "de", "mark", None, 1, ".tlsdescadd {s}\nadd x0, x0, x1", *bare("TLSDESC_ADD", "add x0, x0, #8"))
row(569, "TLSDESC_CALL", "de", "mark", None, 1, ".tlsdesccall {s}\nblr x1", ".tlsdesccall {s}\nblr x30")


def offsets(module, base, target, op):
    """The rows that local-exec and local-dynamic share."""
    at = iter(range(base, base + 64))
    row(next(at), f"{module}_MOVW_{target}_G2", target.lower(), "abs", signed(49), 1, f"movz x3, #:{op}_g2:{{s}}", f"movn x4, #:{op}_g2:{{s}}")
    row(next(at), f"{module}_MOVW_{target}_G1", target.lower(), "abs", signed(33), 1, f"movz x3, #:{op}_g1:{{s}}", f"movn x4, #:{op}_g1:{{s}}")
    row(next(at), f"{module}_MOVW_{target}_G1_NC", target.lower(), "abs", None, 1, f"movk x3, #:{op}_g1_nc:{{s}}")
    row(next(at), f"{module}_MOVW_{target}_G0", target.lower(), "abs", signed(17), 1, f"movz x3, #:{op}_g0:{{s}}", f"movn x4, #:{op}_g0:{{s}}")
    row(next(at), f"{module}_MOVW_{target}_G0_NC", target.lower(), "abs", None, 1, f"movk x3, #:{op}_g0_nc:{{s}}")
    row(next(at), f"{module}_ADD_{target}_HI12", target.lower(), "abs", unsigned(24), 1, f"add x0, x30, :{op}_hi12:{{s}}, lsl #12", f"add w1, w2, :{op}_hi12:{{s}}, lsl #12")
    row(next(at), f"{module}_ADD_{target}_LO12", target.lower(), "abs", unsigned(12), 1, f"add x0, x30, :{op}_lo12:{{s}}", f"add w1, w2, :{op}_lo12:{{s}}")
    row(next(at), f"{module}_ADD_{target}_LO12_NC", target.lower(), "abs", None, 1, f"add x0, x30, :{op}_lo12_nc:{{s}}", f"add w1, w2, :{op}_lo12_nc:{{s}}")
    last = 572 if target == "DTPREL" else 570
    for bits, load, store in ((8, "ldrb w1", "strb w30"), (16, "ldrh w1", "strh w30"), (32, "ldr w1", "ldrsw x30"), (64, "ldr x1", "str d30"), (128, "ldr q1", "str q30")):
        for suffix, bounds in (("", unsigned(12)), ("_NC", None)):
            code = last if bits == 128 else next(at)
            last += bits == 128
            forms = (f"{i}, [x2, :{op}_lo12{suffix.lower()}:{{s}}]" for i in (load, store))
            row(code, f"{module}_LDST{bits}_{target}_LO12{suffix}", target.lower(), "abs", bounds, bits // 8, *forms)


offsets("TLSLD", 523, "DTPREL", "dtprel")
offsets("TLSLE", 544, "TPREL", "tprel")

# Rows of the table that nothing here can make: the reason stands in the file.
UNMADE = {
    "PATCHINST": "neither assembler knows it",
    "FUNCINIT64": "neither assembler knows it",
    "AUTH_ABS64": "left to the dynamic linker, which signs",
}
SIGNED = [
    f"AUTH_{name}"
    for name in (
        *(f"MOVW_GOTOFF_G{group}" for group in ("0", "0_NC", "1", "1_NC", "2", "2_NC", "3")),
        *("GOT_LD_PREL19", "LD64_GOTOFF_LO15", "ADR_GOT_PAGE", "LD64_GOT_LO12_NC", "LD64_GOTPAGE_LO15", "GOT_ADD_LO12_NC", "GOT_ADR_PREL_LO21"),
        *("TLSDESC_ADR_PAGE21", "TLSDESC_LD64_LO12", "TLSDESC_ADD_LO12"),
    )
]
