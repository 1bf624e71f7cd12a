"""Objects of random references: every relocation that an assembler emits, in forms that golden/rows.py has."""

import os
import re
import subprocess

import elf
import kinds
from layout import target

ASSEMBLERS = {
    "llvm-mc": lambda is_big: ["llvm-mc-19", f"-triple={target(is_big)}", "-filetype=obj"],
    "gas": lambda is_big: ["aarch64-linux-gnu-as", "-EB" if is_big else "-EL"],
}
# Name and flags: of three texts and three of data some are collected under one name, others on their own.
TEXTS = [(".text.one", '"ax"'), (".text.two", '"ax"'), ("code_apart", '"ax"')]
DATA = [(".data.one", '"aw"'), (".rodata.two", '"a"'), ("data_apart", '"aw"')]
ZEROS = [(".bss.one", '"aw",%nobits'), ("zeros_apart", '"aw",%nobits')]
VARIABLES = [(".tdata.one", '"awT"'), (".tdata.two", '"awT"'), (".tbss.one", '"awT",%nobits'), (".tbss.two", '"awT",%nobits')]
# What several objects may define, in sections of theirs, and at most one not as weak.
WEAK_CODE, WEAK_DATA = ([f"weak_{kind}{number}" for number in range(2)] for kind in ("code", "data"))
# Absolute symbols.
NUMBERS = {"small": 0x7238, "minus": -0x7238, "wide": 0x7654_3210, "below": -0x7654_3210, "page": 0x1_2345_6000,
           "high": 0x7abc_1234_5678, "deep": -0x7abc_1234_5678, "top": 0x7123_4567_89ab_cde0}
# What linkers define, of sections with names of C; the end of a text is behind its veneers, of which each linker has its own.
ENDS = [f"__{end}_{name}" for end in ("start", "stop") for name in ("data_apart", "zeros_apart")] + ["__start_code_apart"]
BRANCHES = {279, 280, 282, 283, 314}
# Symbols in each section, the last of which is local.
SYMBOLS = 6
# What no object defines, and need not be there.
NOWHERE = [f"nowhere{number}" for number in range(2)]


def assemble(name, lines, folder, stem, is_big=False):
    """The object of `lines`, but for those that the assembler refuses."""
    source, object = (os.path.join(folder, f"{stem}.{end}") for end in "so")
    while True:
        with open(source, "w") as file:
            file.writelines(line.replace("\n", ";") + "\n" for line in lines)
        run = subprocess.run([*ASSEMBLERS[name](is_big), source, "-o", object], capture_output=True, text=True)
        bad = {int(line) - 1 for line in re.findall(rf"{stem}\.s:(\d+):(?:\d+:)? [Ee]rror", run.stderr)}
        if run.returncode == 0:
            return object
        if not bad:
            raise RuntimeError(run.stderr)
        lines = [line for number, line in enumerate(lines) if number not in bad]


def usable_forms(folder):
    """The forms of each relocation that each assembler takes, and makes that relocation of."""
    usable = {name: {} for name in ASSEMBLERS}
    for name in ASSEMBLERS:
        forms = [(row, form) for row in kinds.ROWS for form in row.forms]
        lines = [f'.section .{number},"a"\n' + form.format(s="s") for number, (_, form) in enumerate(forms)]
        object = elf.Elf(assemble(name, lines, folder, "forms"))
        for entry in object.relocations():
            row, form = forms[int(entry.of.name[1:])]
            if entry.code == row.code:
                usable[name].setdefault(row, []).append(form)
    return usable


class Program:
    """Several objects that refer to each other."""

    def __init__(self, random, usable, linker, shared, is_big):
        self.random, self.usable, self.shared, self.is_big = random, usable, shared, is_big
        self.able = kinds.applied_by(linker) & self._allowed()
        self.count = random.randint(1, 3)
        # Else little is in reach of 1 MiB.
        self.is_tight = random.random() < 0.4
        # Weak symbols that are nowhere, in a third of programs; not in shared ones, where they are left to the loader.
        self.nowhere = NOWHERE if not shared and random.random() < 0.3 else []
        self.weak = self._weak()
        # GNU ld has one way for all that finds a variable by slots: it must not be found in two.
        self.ways = dict(zip(["gd", "ld", "ie", "de"], VARIABLES)) if linker == "gnu" and shared else {}

    def _weak(self):
        """Which lines define the names that several objects may, by the object, the section and the symbol beside."""
        lines = {}
        for names, sections in ((WEAK_CODE, TEXTS), (WEAK_DATA, DATA + ZEROS)):
            for name in names:
                definers = self.random.sample(range(self.count), self.random.randint(1, self.count))
                strong = self.random.choice([*definers, None])
                for number in definers:
                    place = number, self.random.choice(sections)[0], self.random.randrange(SYMBOLS)
                    kind = "%function" if names is WEAK_CODE else "%object"
                    scope = ".globl" if number == strong else ".weak"
                    lines.setdefault(place, []).extend([f"{scope} {name}", f".type {name},{kind}", f"{name}:"])
        return lines

    def _allowed(self):
        """What may be in an image: a shared one knows no address but by the loader, and no offset from the thread pointer;
        in the other, what finds variables by slots is kept only where it is known what it becomes."""
        def is_allowed(row):
            if self.shared:
                return row.target != "tprel" and not (row.target == "addr" and "ABS" in row.name and
                                                      ("MOVW" in row.name or row.name in ("ABS32", "ABS16")))
            return row.target in ("addr", "got", "tprel") or row.code in kinds.RELAXED
        return {row.code for row in kinds.ROWS if is_allowed(row)}

    def write(self, folder):
        """Writes the objects, each by one of the assemblers; their paths."""
        paths = []
        for number in range(self.count):
            name = self.random.choice(list(ASSEMBLERS))
            # A reference within a section may be too far for the assembler already.
            paths.append(assemble(name, self._object(number, self.usable[name]), folder, f"random{number}", self.is_big))
        if not self.shared:
            # In an object of their own, so that no assembler puts in what it knows.
            lines = [f".globl {name}\n.set {name}, {value:#x}" for name, value in NUMBERS.items()]
            paths.append(assemble("gas", lines, folder, "numbers", self.is_big))
        return paths

    def _object(self, number, forms):
        lines = []
        rows = [row for row in forms if row.code in self.able]
        code, data = [row for row in rows if not row.data], [row for row in rows if row.data]
        for sections, of, most in ((TEXTS, code, 14), (DATA, data, 6)):
            for section, flags in sections:
                lines.append(f".section {section},{flags}")
                lines += self._symbols(number, section, lambda: self._items(number, section, of, most, forms))
        for section, flags in ZEROS:
            lines.append(f".section {section},{flags}")
            lines += self._symbols(number, section, lambda: [f".zero {self.random.choice([4, 16, 0x1238, 0x20000])}"])
        for section, flags in VARIABLES:
            fill = ".zero" if "nobits" in flags else ".fill"
            lines.append(f".section {section},{flags}")
            lines += self._symbols(number, section, lambda: [f"{fill} {self.random.choice([4, 8, 24, 0x808])}"], "%tls_object")
        # Not of every operator does an assembler tell that its symbol is a variable.
        variables = [symbol(other, section, index) for other in range(self.count) for section, _ in VARIABLES
                     for index in range(SYMBOLS - 1)]
        return lines + [f".weak {name}" for name in self.nowhere] + [f".type {name},%tls_object" for name in variables]

    def _symbols(self, number, section, items, type=None):
        lines = []
        for index in range(SYMBOLS):
            name = symbol(number, section, index)
            scope = ".globl" if index < SYMBOLS - 1 else ".local"
            lines += [f"{scope} {name}", f".p2align {12 if self.random.random() < 0.02 else self.random.randint(4, 6)}"]
            if scope == ".globl" and self.random.random() < 0.3:
                lines.append(f".hidden {name}")
            kind = type or ("%function" if section in dict(TEXTS) else self.random.choice(["%object", "%notype"]))
            lines += [f".type {name},{kind}", f"{name}:", *self.weak.get((number, section, index), []), *items()]
        return lines

    def _items(self, number, section, rows, most, forms):
        lines = []
        for _ in range(self.random.randint(0, most)):
            row = self.random.choice(rows)
            if row.data and self.random.random() < 0.2:
                lines.append(".byte 1")
            form = self.random.choice(forms[row])
            name, addend = self._target(number, section, row)
            if "@" in form:
                lines.append(form.format(s=name) + (f" + {addend}" if addend > 0 else ""))
            else:
                lines.append(form.format(s=f"{name} + {addend}" if addend else name))
        return lines

    def _target(self, number, section, row):
        """A symbol that the relocation may refer to, mostly in reach of it, and an addend."""
        pick = self.random.random()
        other, index = self.random.randrange(self.count), self.random.randrange(SYMBOLS - 1)
        if self.random.random() < 0.3:
            other, index = number, SYMBOLS - 1
        if row.target in ("gd", "ld", "ie", "de", "tprel", "dtprel"):
            section, _ = self.ways.get(row.target) or self.random.choice(VARIABLES)
            # Of the first bytes, and now and then beyond 2^12 or below 0, to be refused.
            steps = [0, 0, 0, 1, 3, -1, 0x1000] if row.target in ("tprel", "dtprel") else [0]
            return symbol(other, section, index), row.align * self.random.choice(steps)
        if self.nowhere and pick < 0.05:
            # A jump to nowhere and further has no meaning.
            is_plain = row.target == "got" or row.code in BRANCHES
            return self.random.choice(self.nowhere), 0 if is_plain else row.align * self.random.choice([0, 0, 1, 4])
        if row.target == "got" and pick < 0.3:
            return self.random.choice(WEAK_CODE + WEAK_DATA + ENDS + list(NUMBERS) * (not self.shared)), 0
        if row.target == "got":
            # GNU as refers to a section instead of a local symbol, and adds what linkers know no slot for.
            other, index = self.random.randrange(self.count), self.random.randrange(SYMBOLS - 1)
            return symbol(other, self.random.choice(TEXTS + DATA + ZEROS)[0], index), 8 * self.random.randint(0, 2) * row.data
        addend = row.align * self.random.choice([0, 0, 1, -1, 4, 0x100, self.random.randint(-0x800, 0x800)])
        if pick > 0.98:
            addend += row.align // 2
        if row.end is not None and row.how == "abs" and not self.shared and pick < 0.8:
            fitting = [name for name, value in NUMBERS.items() if row.low <= value < row.end and row.low <= value + addend < row.end]
            return self.random.choice(fitting or list(NUMBERS)), addend
        if row.end is not None and row.end <= 1 << 20 and pick < 0.9:
            return symbol(other, section, index), addend
        if row.code in BRANCHES and pick < 0.15:
            return self.random.choice(WEAK_CODE), addend
        if row.code in BRANCHES:
            return symbol(other, self.random.choice(TEXTS)[0], index), addend
        if pick < 0.1 and not self.shared:
            return self.random.choice(list(NUMBERS)), addend
        if pick < 0.2:
            return self.random.choice(WEAK_CODE + WEAK_DATA + ENDS), addend
        return symbol(other, self.random.choice(TEXTS + DATA + ZEROS)[0], index), addend


def symbol(number, section, index):
    """The name of a symbol of an object."""
    # Local symbols of several objects have the same names.
    owner = f"s{number}" if index < SYMBOLS - 1 else "local"
    return f"{owner}_{section.replace('.', '_').strip('_')}_{index}"
