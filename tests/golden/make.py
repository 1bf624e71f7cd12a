#!/usr/bin/env python3
"""Writes words.txt: what two independent linkers make of every relocation.

    python3 tests/golden/make.py

needs llvm-mc-19, ld.lld-19 and the aarch64-linux-gnu binutils on the PATH. The script chooses places and targets; every word in the
file was written by an assembler or a linker. Running it again writes the same bytes.
"""

import itertools
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from rows import ROWS, SIGNED, UNMADE
from settle import RULES, settle, unused
from tools import ASSEMBLERS, LINKERS, SCRIPT, assemble, die, link, version

M64 = (1 << 64) - 1
HERE = Path(__file__).resolve().parent
SCRATCH = tempfile.TemporaryDirectory(prefix="golden-")
FOLDER = Path(SCRATCH.name)

# Low, above 4 GiB, just below 2^48, just below 2^63, and in the upper half.
BASES = (0x10_0000, 0x1_2345_0000, 0xffff_7ff0_0000, 0x7fff_ffff_fff0_0000, 0xffff_8000_1234_0000)
# The GOT entry under test, at the end, the start and the middle of a page.
SLOTS = (0x1_4000_0ff8, 0x7ffe_4000_0000, 0xffff_8000_4000_1238)
IN_PAGE = (0, 4, 0xffc, 0x7f8)
IN_PAGE_DATA = (0, 4, 0xffc, 1, 0xffb)
TLS = 0x5000_0010
# What the entries of the plain GOT hold, sixteen bytes apart, by which they are found.
GOT_TARGETS = 0x60_0000_0000
# The dynamic relocations by which the others are found.
ENTRY_TYPE = {"gd": 1028, "ld": 1028, "ie": 1030, "de": 1031}
# Enough entries for offsets from the GOT beyond 2^15 and 2^16.
MANY = 8210


@dataclass(frozen=True)
class Case:
    row: object
    before: int
    place: int
    symbol: str
    addend: int = 0
    # The GOT entry the layout must put at a chosen address, if any.
    slot: int | None = None
    # X, to classify differences between the linkers by.
    x: int = 0


def wrap(value):
    """`value` modulo 2^64 as a signed number."""
    value &= M64
    return value - (1 << 64) if value >> 63 else value


def spell(number):
    return f"{'-' if number < 0 else ''}{abs(number):#x}"


def alias(row):
    return {"TLS_DTPREL": "TLS_DTPREL64"}.get(row.name, row.name)


def forms():
    """Each row's words as the assemblers emit them: every form either accepts."""
    made = {}
    for row in ROWS:
        for form in row.forms:
            words = {}
            for name in ASSEMBLERS:
                elf = assemble(name, '.section .cases,"a"\n' + form.format(s="s") + "\n", FOLDER, "form")
                if elf is None:
                    continue
                found = [r for r in elf.relocations(".rela.cases") if r[1] == row.code]
                if len(found) != 1 or found[0][0] != 0:
                    continue
                words[name] = int.from_bytes(elf.data(".cases")[:row.size], "little")
            # Where the linker is to choose between MOVN and MOVZ, the assemblers need not choose alike: both words are tried.
            if len(set(words.values())) > 1 and "mov" not in form:
                die(f"{row.name}: assemblers disagree on {form!r}: {words}")
            for word in sorted(set(words.values())):
                made.setdefault(row, []).append(word)
    return made


def sister(name):
    """The local-exec relocation with the field of a local-dynamic one: both are given the same X."""
    return name.replace("TLSLD", "TLSLE").replace("DTPREL", "TPREL")


def interesting(row, step):
    """The values of X to try: both ends, one past each, and a few more. Pairs of (X, is it an end?)."""
    salt = (crc32(sister(row.name).encode()) * 0x9e37_79b9_7f4a_7c15) & M64
    if row.low is None:
        values = [0, step, -step, 0x7fff * step, 0x8000 * step, 0x1_0000 * step, -0x1_0001 * step, salt, ~salt, -1 << 63]
        found = [(x & -step, False) for x in values]
    else:
        low, end, inner = row.low, row.end, row.end - row.low
        found = [(x, True) for x in (low - step, low, end - step, end)]
        found += [(x & -step, False) for x in (0, step, low + salt % inner, low + (salt >> 7) % inner, end + (salt >> 8), low - (salt >> 8))]
        if low < 0:
            found.append((-step, False))
        if low == 0:
            found.append((wrap(-1 << 63), False))
    if row.align > 1:
        found += [(x, False) for x in (row.align // 2, 1, -row.align // 2, (row.end or 0x1000) - 1)]
    return [(wrap(x), end) for x, end in found]


def address_cases(words):
    """Rows that take an address: the symbol stands where X wants it."""
    rooms = [itertools.count() for _ in BASES]
    turn = itertools.count()
    for row, befores in words.items():
        if row.target != "addr" or row.how == "off":
            continue
        step = 0x1000 if row.how == "page" else row.align
        for i, (x, end) in enumerate(interesting(row, step)):
            # An end matters at every base if the place takes part in X.
            everywhere = end and row.how in ("pc", "page")
            for b in range(len(BASES)) if everywhere else (next(turn) % len(BASES),):
                room = next(rooms[b])
                offsets = IN_PAGE_DATA if row.data else IN_PAGE
                place = BASES[b] + 0x2000 * room + offsets[room % len(offsets)]
                target = x
                if row.how == "pc":
                    target = place + x
                if row.how == "page":
                    target = (place & ~0xfff) + x + (0, 0xfff, 0x238)[room % 3]
                addend = (0, 0, 0x1018, -8)[room % 4]
                symbol = f"s{(target - addend) & M64:x}"
                yield Case(row, befores[(i + b) % len(befores)], place, symbol, addend, x=x)


def slot_cases(words):
    """Rows that take a GOT entry: the entry stays, the places go round it."""
    for row, befores in words.items():
        if row.target not in ("got", "gd", "ld", "ie", "de") or row.how in ("off", "pageoff"):
            continue
        for n, slot in enumerate(SLOTS):
            if row.how in ("abs", "mark"):
                for i, before in enumerate(befores):
                    yield Case(row, before, slot + 0x1_0000 + 0x100 * row.code + 4 * i, row.target, slot=slot, x=slot)
                continue
            step = 0x1000 if row.how == "page" else 1 if row.data else 4
            for i, (x, end) in enumerate(interesting(row, step)):
                if row.how == "page":
                    place = (slot & ~0xfff) - x + IN_PAGE[i % len(IN_PAGE)]
                else:
                    place = slot - x
                place &= M64
                if abs(place - slot) < 0x40 or (place % 4 and not row.data):
                    continue
                if end or i % len(SLOTS) == n:
                    yield Case(row, befores[i % len(befores)], place, row.target, slot=slot, x=x)


def offset_cases(words):
    """Rows that take an offset from the thread pointer or in the module's block: the addend makes it."""
    room = itertools.count()
    for row, befores in words.items():
        if row.target in ("tprel", "dtprel"):
            start = 16 if row.target == "tprel" else 0
            for i, (x, _) in enumerate(interesting(row, row.align)):
                place = BASES[1] + 0x10 * next(room)
                yield Case(row, befores[i % len(befores)], place, row.target, wrap(x - start), x=x)


def batches(cases):
    """Cases that one link can hold: near each other, not overlapping, with the same GOT entry."""
    open_batches = []
    for case in cases:
        for batch in open_batches:
            first = batch[0]
            if first.slot == case.slot and abs(first.place - case.place) < 1 << 23 and (case.slot is None or first.symbol == case.symbol) and all(
                abs(other.place - case.place) >= 8 for other in batch[-600:]
            ):
                batch.append(case)
                break
        else:
            open_batches.append([case])
    return [sorted(batch, key=lambda c: c.place) for batch in open_batches]


def source(cases, base):
    lines = ['.section .cases,"a"']
    if cases[0].row.target not in ("addr", "got"):
        lines += [f".type {name}, @tls_object" for name in sorted({case.symbol for case in cases})]
    for case in cases:
        lines += [
            f".org {case.place - base}",
            f".reloc ., R_AARCH64_{alias(case.row)}, {case.symbol}{'+' if case.addend >= 0 else ''}{case.addend}",
            "." + {2: "hword", 4: "word" if case.row.data else "inst", 8: "xword"}[case.row.size] + f" {case.before:#x}",
        ]
    return "\n".join(lines) + "\n"


def symbols(names, thread, tls_align):
    """Defines the symbols: `s` and an address, `got` and a number, or thread-local variables that share one place."""
    lines = []
    if thread:
        lines += ['.section .tdata,"awT"', f".balign {tls_align}"]
    for name in sorted(names):
        lines.append(f".globl {name}")
        if thread:
            lines += [f".type {name}, @tls_object", f"{name}:"]
        elif name.startswith("got"):
            lines.append(f".set {name}, {GOT_TARGETS + 16 * int(name[3:] or 0):#x}")
        else:
            lines.append(f".set {name}, 0x{name[1:]}")
    if thread:
        lines.append(".xword 0")
    return "\n".join(lines) + "\n"


def entries(elf, target):
    """The address of each symbol's GOT entry."""
    if target == "got":
        base, found = elf.address(".got"), {}
        for i, (word,) in enumerate(struct.iter_unpack("<Q", elf.data(".got"))):
            n = (word - GOT_TARGETS) // 16
            if 0 <= n < MANY:
                found[f"got{n or ''}"] = base + 8 * i
        return found
    dynamic = itertools.chain(elf.relocations(".rela.dyn"), elf.relocations(".rela.plt"))
    return {name or target: offset for offset, kind, name, _ in dynamic if kind == ENTRY_TYPE[target]}


def try_link(linker, cases, base, got, tls, tls_align):
    target = cases[0].row.target
    if assemble("llvm-mc", source(cases, base), FOLDER, "cases") is None:
        die("llvm-mc refuses the cases")
    thread = target not in ("addr", "got")
    if assemble("llvm-mc", symbols({c.symbol for c in cases}, thread, tls_align), FOLDER, "symbols") is None:
        die("llvm-mc refuses the symbols")
    script = SCRIPT.format(cases=base, got=got, tls=tls)
    return link(linker, FOLDER, script, shared=target in ("gd", "ld", "ie", "de", "dtprel"))


def words_of(linker, cases, got, tls=TLS, tls_align=16):
    """What the linker writes at each case, or how it refuses it; and the image, read again for its GOT and TLS layout."""
    base = cases[0].place & ~0xfff
    kept, results = cases, {}
    while True:
        elf, verdicts, others = try_link(linker, kept, base, got, tls, tls_align)
        results |= {c: verdicts[c.place - base] for c in kept if c.place - base in verdicts}
        if elf is not None:
            break
        # Some refusals leave no image, whatever the flags: take the refused out and link again.
        fewer = [c for c in kept if c not in results]
        if len(fewer) == len(kept) or not fewer:
            if not fewer:
                return results, None
            die(f"{linker} fails: {others[:3]}")
        kept = fewer
    if elf.address(".cases") != base:
        die(f"{linker} moved the cases")
    data = elf.data(".cases")
    for case in kept:
        if case not in results:
            at = case.place - base
            results[case] = int.from_bytes(data[at:at + case.row.size], "little")
    return results, elf


def supported(words):
    """The rows each linker applies, by asking it."""
    able = {name: set() for name in LINKERS}
    for row, befores in words.items():
        for name in LINKERS:
            symbol = "s1000" if row.target == "addr" else row.target
            case = Case(row, befores[0], 0x2000, symbol)
            elf, verdicts, others = try_link(name, [case], 0x2000, 0x4000, TLS, 16)
            if elf is not None and not others or verdicts and not others:
                able[name].add(row)
    return able


def header_of(linker, target, cases):
    """How far behind the start of .got the linker puts its first entry."""
    probe = [Case(cases[0].row, cases[0].before, 0x2000, target)]
    elf, _, others = try_link(linker, probe, 0x2000, 0x1_0000, TLS, 16)
    if elf is None:
        die(f"{linker}: no image for {target}: {others}")
    return entries(elf, target)[target] - elf.address(".got")


def many_cases(linker, target, rows, words):
    """Offsets from the GOT: a GOT of thousands of entries, of which those at the ends of the ranges are used."""
    names = [f"{target}{i or ''}" for i in range(1 if target == "ld" else MANY)]
    filler = next(row for row in words if row.target == target and row.how == "abs")
    fill = [Case(filler, words[filler][0], 0x10_0000 + 4 * i, name) for i, name in enumerate(names)]
    got = 0x20_0000 + 0x238
    elf, _, others = try_link(linker, fill, 0x10_0000, got, TLS, 16)
    if elf is None:
        die(f"{linker}: no image for many {target}: {others[:3]}")
    where = entries(elf, target)
    start = elf.address(".got")
    ends = (0x7ff8, 0x8000, 0x7ff8 - 0x238, 0x8000 - 0x238, 0xfff8, 0x1_0000)
    order = sorted(where, key=where.get)
    picked = [n for i, n in enumerate(order) if i in (0, 1, len(order) - 1) or where[n] - start in ends]
    cases = list(fill)
    for row in rows:
        for name, before in itertools.product(picked, words[row]):
            cases.append(Case(row, before, 0x10_0000 + 4 * len(cases), name))
    results, elf = words_of(linker, cases, got)
    where = entries(elf, target)
    for case in cases[len(fill):]:
        origin = elf.address(".got")
        if case.row.how == "pageoff":
            origin &= ~0xfff
        yield case, where[case.symbol] - origin, results[case]


def main():
    words = forms()
    able = supported(words)
    found = {}

    def note(case, place, value, linker, result, x):
        key = (case.row.code, case.row, place, value, case.before)
        found.setdefault(key, {"x": x})[linker] = result

    if any(row.target == "addr" and row.how == "off" for rows in able.values() for row in rows):
        die("a linker has learnt GOTREL: make cases of it")
    made = {row: words[row] for row in words if any(row in rows for rows in able.values())}
    for linker in LINKERS:
        usable = {row: words[row] for row in made if row in able[linker]}
        # Places are dealt out to all rows, so that both linkers see the same cases.
        for batch in batches(case for case in address_cases(made) if case.row in usable):
            results, _ = words_of(linker, batch, 0x4000)
            for case, result in results.items():
                target = (int(case.symbol[1:], 16) + case.addend) & M64
                note(case, case.place, f"addr:{target:#x}", linker, result, case.x)
        headers = {}
        for batch in batches(slot_cases(usable)):
            target = batch[0].row.target
            if target not in headers:
                headers[target] = header_of(linker, target, batch)
            results, elf = words_of(linker, batch, batch[0].slot - headers[target])
            if elf is not None and entries(elf, target)[target] != batch[0].slot:
                die(f"{linker} put the entry of {target} elsewhere")
            for case, result in results.items():
                note(case, case.place, f"slot:{case.slot:#x}", linker, result, case.x)
        for target in ("got", "gd", "ld", "ie", "de"):
            rows = [row for row in usable if row.target == target and row.how in ("off", "pageoff")]
            if rows:
                for case, x, result in many_cases(linker, target, rows, usable):
                    note(case, 0x10_0000, f"offset:{spell(x)}", linker, result, x)
        for target in ("tprel", "dtprel"):
            rows = {row: w for row, w in usable.items() if row.target == target}
            for batch in batches(case for case in offset_cases(made) if case.row in rows):
                for tls, align in ((TLS, 16), (TLS + 0x30, 64)):
                    results, elf = words_of(linker, batch, 0x4000, tls, align)
                    address, aligned = elf.tls()
                    start = 16 + ((address - 16) & (aligned - 1)) if target == "tprel" else 0
                    for case, result in results.items():
                        x = wrap(start + case.addend)
                        note(case, case.place, f"offset:{spell(x)}", linker, result, x)

    sisters = {(row.name, value, before): case.get("lld") for (_, row, _, value, before), case in found.items()}
    lines, wrong = [], []
    for code, row, place, value, before in sorted(found, key=lambda k: (k[0], k[2:])):
        case = found[code, row, place, value, before]
        show = lambda r: f"{r:0{2 * row.size}x}" if isinstance(r, int) else r
        seen = {name: show(case[name]) if name in case else "-" for name in LINKERS}
        if row.target == "dtprel":
            twin = sisters.get((sister(row.name), value, before))
        else:
            twin = found.get((code, row, place, value, before | 1 << 30), {}).get("gnu")
        try:
            expect, why = settle(row, case["x"], seen["lld"], seen["gnu"], None if twin is None else show(twin))
        except ValueError as error:
            wrong.append(str(error))
            continue
        columns = ["=" if s == expect or s == "refused" and expect in ("range", "align") else s for s in seen.values()]
        lines.append(" ".join([row.name, f"{place:#x}", value, show(before), expect, *columns, why]).rstrip(" "))
    if wrong:
        die("\n".join(wrong))
    write(lines, words)


def write(lines, words):
    seen = {line.split()[0] for line in lines}
    unmade = dict(UNMADE) | {name: "neither linker makes a signed GOT" for name in SIGNED}
    for row in ROWS:
        if row not in words:
            unmade[row.name] = "neither assembler knows it"
        elif row.name not in seen:
            unmade[row.name] = "assembled, but neither linker applies it"
    tools = [*(version(c).strip() for c in ASSEMBLERS.values()), *(version(c).strip() for c in LINKERS.values())]
    tools = [next(line.strip() for line in t.splitlines() if any(c.isdigit() for c in line)) for t in tools]
    head = (HERE / "header.txt").read_text().format(
        llvm_mc=tools[0], gas=tools[1], lld=tools[2], gnu=tools[3], cases=len(lines), rows=len(seen),
        rules="\n".join(f"  {name}: {meaning}" for name, meaning, *_ in RULES),
    )
    out = [f"# {line}".rstrip() for line in head.splitlines()]
    out += [f"unmade {name} {reason}" for name, reason in sorted(unmade.items())]
    (HERE / "words.txt").write_text("\n".join(out + lines) + "\n")
    stale = unused()
    if stale:
        die(f"no case needs the difference {stale}")
    print(f"{len(lines)} cases of {len(seen)} relocations; {len(unmade)} not made")


main()
