"""Links objects made at random, at random addresses, and compares them as identity.py does; what fails is named by its seed.

usage: random_links.py --link EXAMPLE [--seeds FIRST-END] [--from assembler|compilers] [--keep FOLDER]
"""

import argparse
import collections
import random
import sys
import tempfile

import kinds
import layout as layouts
import programs
import sources
from session import Session


class Addresses:
    """Gives output sections literal addresses at random. Texts are in reach of each other's calls, the rest of them within a
    distance that is chosen around the ranges' ends, so that some of what refers to it is refused."""

    def __init__(self, random, shared, is_tight):
        """With `is_tight`, most lies within 1 MiB."""
        self.random, self.shared, self.is_tight = random, shared, is_tight

    def __call__(self, layout):
        names = list(layout.to_place())
        self.random.shuffle(names)
        texts = [name for name in names if layout.prots[name] & 4]
        others = [name for name in names if name not in texts] + [".got"]
        self.random.shuffle(others)
        # Shared images measure what is dynamic from their start, in 32 bits and more.
        tops = [0x1000_0000, 0x1_0000_0000, 0x7000_0000_0000, 0xFFFF_0000_0000] + [0xFFFF_8000_0000_0000] * (not self.shared)
        top = self.random.choice(tops)
        addr = start = self.random.randrange(0x10_0000, 0x1000_0000) + (top if top > 0x1000_0000 else 0)
        for name in texts:
            addr = self._place(layout, name, addr + self._gap([0, 0x8000, 0xF_0000, 0x200_0000]))
        reach = self._gap([0, 0, 0, 0xF_8000, 0x700_0000, 0x7FF0_0000, 0xFFFE_8000, 0xFFFF_8000, 0x30_0000_0000])
        addr += self.random.randrange(reach, reach + 0x2_0000)
        if not self.is_tight and self.random.random() < 0.3 and start > reach + 0x1000_0000:
            # Below the texts.
            addr = start - reach - self.random.randrange(0x80_0000, 0x100_0000)
        for name in others:
            addr = self._place(layout, name, addr + self._gap([0, 0, 0x3000, 0x7_0000]))
        return layout.placed.pop(".got")

    def _gap(self, gaps):
        return self.random.choice(gaps[:2] if self.is_tight else gaps)

    def _place(self, layout, name, addr):
        """At the middle of a page of its own; answers the end."""
        align = layout.aligns.get(name, 8)
        at = layouts.align_up(layouts.align_up(addr, 0x1000) + self.random.randrange(0, 0x1000), align)
        layout.placed[name] = at
        return at + layout.to_place().get(name, layout.slot_room() + 0x1000)


def print_table(sessions):
    """Prints how many relocations of each kind were compared with each linker, and how many both refused."""
    columns = {name: collections.Counter() for name in ("lld", "gnu", "refused")}
    for (linker, _), session in sessions.items():
        columns[linker] += session.counts
        columns["refused"] += session.refused
    print("| relocation | ld.lld | GNU ld | refused by both |\n|---|---:|---:|---:|")
    for code in sorted(set().union(*columns.values())):
        numbers = " | ".join(str(column[code]) for column in columns.values())
        print(f"| {kinds.BY_CODE[code].name} | {numbers} |")
    total = columns["lld"] + columns["gnu"]
    print(f"{total.total()} relocations of {len(total)} kinds in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", dest="example", required=True)
    parser.add_argument("--seeds", default="0-8")
    parser.add_argument("--from", dest="maker", choices=["assembler", "compilers"], default="assembler")
    parser.add_argument("--keep", metavar="FOLDER", help="where the files of the last link are left")
    options = parser.parse_args()
    first, end = map(int, options.seeds.split("-"))
    sessions = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = options.keep or folder
        usable = sources.usable_forms(folder)
        for seed in range(first, end):
            chance = random.Random(seed)
            for linker in ("lld", "gnu"):
                shared, is_big, rel, crel = (chance.random() < part for part in (0.4, 0.15, 0.25, 0.25))
                session = sessions.setdefault((linker, shared), Session(options.example, linker, shared=shared))
                before = len(session.errors)
                if options.maker == "assembler":
                    program = sources.Program(chance, usable, linker, shared, is_big)
                else:
                    program = programs.Program(chance, linker, shared, is_big)
                paths = program.write(folder)
                session.run(paths, Addresses(chance, shared, program.is_tight), folder, is_big, rel, crel)
                session.errors[before:] = [f"seed {seed}: {error}" for error in session.errors[before:]]
    fine = True
    for (linker, shared), session in sessions.items():
        print(f"with {linker}, {'shared' if shared else 'static'}:")
        fine &= session.report()
    print_table(sessions)
    sys.exit(not fine)


if __name__ == "__main__":
    main()
