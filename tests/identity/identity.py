"""Links objects by the example and by ld.lld or GNU ld at the same addresses, and compares the images byte for byte.

usage: identity.py --link EXAMPLE [--linker lld|gnu] [--assembler CLANG] [--big-endian] [--rel] [--crel]
                   PATH...

A path is an object, an archive or an assembler source. All objects are one link. Left out, and named: objects with
indirect functions or sections both writable and executable, which the linker refuses; those with common symbols, which
linkers order as they like; those with relocations that the other linker does not know; and those that define again what one
before them defines. What none defines, a stub object does. Merging of strings is turned off (SHF_MERGE), which linkers do and
the example does not; .eh_frame, which they rewrite, and the notes that they merge are dropped.

With --big-endian, sources are assembled for aarch64_be. With --rel, the example gets copies of the objects whose addends are in
place (SHT_REL): each table but those with an addend that its place cannot hold. The other linker, which need not read all of
those, gets the objects as they are. With --crel, the example gets copies whose relocations are compressed (SHT_CREL), after --rel
without addends of their own; ld.lld, which reads none of those, gets the copies too where all have their addends.

A reference to the GOT may use another slot, for the order of slots is the linker's own: what is compared is what the slots
hold. Code that finds a thread-local variable by a slot (initial exec, descriptors) linkers rewrite even so to moves of its
offset from the thread pointer: what is compared is the moves and what the slot holds, and that the rest is what it was here
and nothing there. Every other byte of every section must be the same, or differ as differences.py says by name. Prints how
many relocations of each kind were compared.
"""

import argparse
import collections
import os
import subprocess
import sys
import tempfile

import kinds
import layout
from session import Session


def members(path, folder, options):
    """The objects of an archive, each under a path of its own; an object as it is; a source assembled."""
    folder = tempfile.mkdtemp(dir=folder)
    if path.endswith(".s"):
        object = os.path.join(folder, "assembled.o")
        subprocess.run([options.assembler, f"--target={layout.target(options.big_endian)}", "-c", path, "-o", object], check=True)
        return [object]
    if open(path, "rb").read(8) != b"!<arch>\n":
        return [path]
    names = subprocess.run(["ar", "t", path], check=True, capture_output=True, text=True).stdout.split()
    found, seen = [], collections.Counter()
    for name in names:
        seen[name] += 1
        inside = os.path.join(folder, str(seen[name]))
        os.makedirs(inside, exist_ok=True)
        if seen[name] > 1:
            subprocess.run(["ar", "xN", str(seen[name]), os.path.abspath(path), name], check=True, cwd=inside)
        found.append(os.path.join(inside, name))
    subprocess.run(["ar", "x", os.path.abspath(path)], check=True, cwd=os.path.join(folder, "1"))
    # `ar x` keeps the last of several members of one name; the first is the one wanted there.
    for name in (name for name, count in seen.items() if count > 1):
        subprocess.run(["ar", "xN", "1", os.path.abspath(path), name], check=True, cwd=os.path.join(folder, "1"))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", dest="example", required=True)
    parser.add_argument("--linker", choices=["lld", "gnu"], default="lld")
    parser.add_argument("--assembler", default="clang-19")
    parser.add_argument("--big-endian", action="store_true")
    parser.add_argument("--rel", action="store_true")
    parser.add_argument("--crel", action="store_true")
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()
    session = Session(options.example, options.linker, options.assembler)
    with tempfile.TemporaryDirectory() as folder:
        paths = [member for path in options.paths for member in members(path, folder, options)]
        session.run(paths, layout.near, folder, options.big_endian, options.rel, options.crel)
    for code, count in sorted(session.counts.items()):
        print(f"{count:8}  R_AARCH64_{kinds.BY_CODE[code].name}")
    sys.exit(not session.report())


if __name__ == "__main__":
    main()
