"""Links objects by the example and by ld.lld at the same addresses, and compares the images byte for byte.

usage: identity.py --link EXAMPLE [--lld LLD] [--assembler CLANG] [--big-endian] [--rel] [--crel] PATH...

A path is an object, an archive or an assembler source. All objects are one link. Left out, and named: objects with
indirect functions or sections both writable and executable, which the linker refuses; those with common symbols, which
linkers order as they like; and those that define again what one before them defines. What none defines, a stub object
does. Merging of strings is turned off (SHF_MERGE), which ld.lld does and the example does not;
.eh_frame, which ld.lld rewrites, and the notes that it merges are dropped.

With --big-endian, sources are assembled for aarch64_be. With --rel, the example gets copies of the objects whose addends are in
place (SHT_REL): each table but those with an addend that its place cannot hold. ld.lld, which cannot read all of those, gets
the objects as they are. With --crel, the example gets copies whose relocations are compressed (SHT_CREL), after --rel without
addends of their own; ld.lld, which reads none of those, gets the copies too where all have their addends.

A load from the GOT may use another slot, for the order of slots is the linker's own: what is compared is what the slots
hold. Code that finds a thread-local variable by a slot (initial exec, descriptors) ld.lld rewrites even so to moves of its
offset from the thread pointer: what is compared is the moves and what the slot holds, and that the rest is what it was here
and nothing there. Every other byte of every section must be the same. Prints how many relocations of each kind were compared.
"""

import argparse
import collections
import os
import struct
import subprocess
import sys
import tempfile

import crel
import elf
import rel

# What src/link/order.rs collects; a section of another name is an output section of its own.
ARRAYS = ".preinit_array .init_array .fini_array .ctors .dtors".split()
COLLECTED = ".text .rodata .data.rel.ro .data .bss .gcc_except_table".split() + ARRAYS
DROPPED = [".eh_frame", ".note.gnu.property", ".note.ABI-tag", ".note.GNU-stack", ".comment"]
KINDS = {}
for line in """NONE 0 ABS64 257 ABS32 258 ABS16 259 PREL64 260 PREL32 261 PREL16 262 MOVW_UABS_G0 263 MOVW_UABS_G0_NC 264
MOVW_UABS_G1 265 MOVW_UABS_G1_NC 266 MOVW_UABS_G2 267 MOVW_UABS_G2_NC 268 MOVW_UABS_G3 269 MOVW_SABS_G0 270
MOVW_SABS_G1 271 MOVW_SABS_G2 272 LD_PREL_LO19 273 ADR_PREL_LO21 274 ADR_PREL_PG_HI21 275 ADR_PREL_PG_HI21_NC 276
ADD_ABS_LO12_NC 277 LDST8_ABS_LO12_NC 278 TSTBR14 279 CONDBR19 280 JUMP26 282 CALL26 283 LDST16_ABS_LO12_NC 284
LDST32_ABS_LO12_NC 285 LDST64_ABS_LO12_NC 286 MOVW_PREL_G0 287 MOVW_PREL_G0_NC 288 MOVW_PREL_G1 289 MOVW_PREL_G1_NC 290
MOVW_PREL_G2 291 MOVW_PREL_G2_NC 292 MOVW_PREL_G3 293 LDST128_ABS_LO12_NC 299 GOT_LD_PREL19 309 ADR_GOT_PAGE 311
LD64_GOT_LO12_NC 312 LD64_GOTPAGE_LO15 313 PLT32 314 GOTPCREL32 315 TLSIE_ADR_GOTTPREL_PAGE21 541 TLSIE_LD64_GOTTPREL_LO12_NC 542
TLSLE_MOVW_TPREL_G2 544 TLSLE_MOVW_TPREL_G1 545 TLSLE_MOVW_TPREL_G1_NC 546 TLSLE_MOVW_TPREL_G0 547 TLSLE_MOVW_TPREL_G0_NC 548
TLSLE_ADD_TPREL_HI12 549 TLSLE_ADD_TPREL_LO12_NC 551 TLSLE_LDST8_TPREL_LO12 552 TLSLE_LDST8_TPREL_LO12_NC 553
TLSLE_LDST16_TPREL_LO12 554 TLSLE_LDST16_TPREL_LO12_NC 555 TLSLE_LDST32_TPREL_LO12 556 TLSLE_LDST32_TPREL_LO12_NC 557
TLSLE_LDST64_TPREL_LO12 558 TLSLE_LDST64_TPREL_LO12_NC 559 TLSDESC_ADR_PAGE21 562 TLSDESC_LD64_LO12 563 TLSDESC_ADD_LO12 564
TLSDESC_CALL 569 TLSLE_LDST128_TPREL_LO12 570 TLSLE_LDST128_TPREL_LO12_NC 571""".splitlines():
    words = line.split()
    KINDS.update(zip(map(int, words[1::2]), words[::2]))
GOT_KINDS = {309, 311, 312, 313, 315}
# What ld.lld rewrites, and to what: moves of bits 31:16 and of bits 15:0, and nothing.
HIGH, LOW, GONE = {541, 562}, {542, 563}, {564, 569}
NOP = 0xD503201F
# What the descriptors of the images call, which the stub has.
RESOLVER = "__tlsdesc_static"


def output_name(section):
    name = section.name
    if section.flags & elf.SHF_TLS:
        return ".tbss" if section.type == elf.SHT_NOBITS else ".tdata"
    array, _, priority = name.rpartition(".")
    if array in ARRAYS and priority.isdigit():
        return name
    return next((output for output in COLLECTED if name == output or name.startswith(output + ".")), name)


def align_up(number, align):
    return (number + align - 1) // align * align


def reason_to_leave_out(object, defined):
    """Why `object` is not part of the comparison; None if it is."""
    flags = [section.flags for section in object.sections if section.flags & elf.SHF_ALLOC]
    if any(flag & elf.SHF_WRITE and flag & elf.SHF_EXECINSTR for flag in flags):
        return "writable and executable"
    if any(symbol.type == elf.STT_GNU_IFUNC for symbol in object.symbols):
        return "indirect functions"
    if any(symbol.section == elf.SHN_COMMON for symbol in object.symbols):
        return "common symbols, which linkers order as they like"
    unknown = {code for of, _, code, _, _ in object.relocations() if of.flags & elf.SHF_ALLOC} - set(KINDS)
    if unknown:
        return "relocations " + " ".join(map(str, sorted(unknown)))
    if defined & strong(object):
        return "defined before"
    return None


def strong(object):
    """What must be defined once: not what lies in a group."""
    grouped = object.group_members({None})
    return {symbol.name for symbol in object.symbols
            if symbol.bind in elf.STRONG and symbol.section != elf.SHN_UNDEF and symbol.section not in grouped}


def prepare(paths, folder, tools):
    """The objects of `paths` that can be compared, cleaned, and a stub for what they leave undefined."""
    objects, defined, left_out = [], set(), collections.defaultdict(list)
    for number, path in enumerate(paths):
        object = elf.Elf(path)
        object.drop(DROPPED)
        reason = reason_to_leave_out(object, defined)
        if reason:
            left_out[reason].append(os.path.basename(path))
            continue
        defined |= strong(object)
        object.clear_flags(elf.SHF_MERGE | elf.SHF_STRINGS)
        object.write(os.path.join(folder, f"{number}.o"))
        if tools.rel:
            tools.converted += rel.convert(object)
        if tools.crel:
            crel.convert(object)
        if tools.rel or tools.crel:
            tools.copies[object.path] = object.path + ".copy"
            open(tools.copies[object.path], "wb").write(object.data)
        objects.append(object)
    known = {symbol.name for object in objects for symbol in object.symbols if symbol.section != elf.SHN_UNDEF}
    wanted = {symbol.name for object in objects for symbol in object.symbols
              if symbol.section == elf.SHN_UNDEF and symbol.bind != elf.STB_LOCAL} - {"_GLOBAL_OFFSET_TABLE_"}
    source = os.path.join(folder, "stub.s")
    with open(source, "w") as stub:
        stub.write('.section .stub,"ax",%progbits\n.p2align 4\n')
        variables = {symbol.name for object in objects for symbol in object.symbols if symbol.type == elf.STT_TLS}
        stub.write('.section .tbss,"awT",%nobits\n')
        for name in sorted((wanted - known) & variables):
            stub.write(f'.globl "{name}"\n.type "{name}",%object\n"{name}": .zero 8\n')
        stub.write('.section .stub,"ax",%progbits\n')
        for name in sorted((wanted | {RESOLVER}) - known - variables):
            stub.write(f'.globl "{name}"\n.type "{name}",%function\n"{name}": ret\n.p2align 4\n')
    stub = os.path.join(folder, "stub.o")
    subprocess.run([tools.assembler, f"--target={tools.target}", "-c", source, "-o", stub], check=True)
    objects.append(elf.Elf(stub))
    return objects, left_out


def lay_out(objects):
    """Output sections by name: address, size; and where each input section lies."""
    sizes, aligns, prots, offsets, groups = {}, {}, {}, {}, set()
    for object in objects:
        left_out = object.group_members(groups)
        for section in object.sections:
            if not section.flags & elf.SHF_ALLOC or section.index in left_out:
                continue
            name = output_name(section)
            prot = section.flags & (elf.SHF_WRITE | elf.SHF_EXECINSTR)
            if prots.setdefault(name, prot) != prot:
                sys.exit(f"{object.path}: {name} is protected in two ways")
            align = max(section.align, 1)
            offset = align_up(sizes.get(name, 0), align)
            offsets[object, section.index] = name, offset
            sizes[name] = offset + section.size
            aligns[name] = max(aligns.get(name, 1), align)
    addr, placed = 0x1000_0000, {}
    # One template, in two parts side by side.
    if ".tbss" in sizes and ".tdata" in sizes:
        aligns[".tdata"] = max(aligns[".tdata"], aligns[".tbss"])
        sizes = {".tdata": sizes.pop(".tdata"), ".tbss": sizes.pop(".tbss"), **sizes}
    for name, size in sizes.items():
        # Everything in reach of everything, no two sections in one page, and none at the start of one.
        is_apart = name != ".tbss" or ".tdata" not in sizes
        placed[name] = align_up(align_up(addr, 0x1000) + 0x120 if is_apart else addr, aligns[name])
        addr = placed[name] + size
    got = align_up(addr, 0x10000) + 0x18
    return placed, sizes, aligns, offsets, got


def link_both(objects, offsets, placed, aligns, got, folder, tools):
    paths = [object.path for object in objects]
    ours, theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")
    command = [tools.link, "--emit", ours, "--no-rescue", "--place", f".got={got:#x}"]
    for name, addr in placed.items():
        # .tbss follows .tdata, as if both were one.
        command += ["--place", f"{name}={addr:#x}"] if name != ".tbss" or ".tdata" not in placed else []
    subprocess.run(command + [tools.copies.get(path, path) for path in paths], check=True)
    script = os.path.join(folder, "script")
    with open(script, "w") as file:
        file.write("SECTIONS {\n")
        inputs = collections.defaultdict(dict)
        for object, index in offsets:
            section = object.sections[index]
            inputs[output_name(section)][section.name] = True
        for name, addr in [*placed.items(), (".got", got)]:
            # ld.lld puts .tbss right behind what is before, whatever its address; but it heeds an alignment.
            where = f": ALIGN({aligns['.tbss']})" if name == ".tbss" else f"{addr:#x} :"
            file.write(f"  {name} {where} {{ *({' '.join(inputs[name])}) }}\n")
        file.write("}\n")
    command = [tools.lld, "--no-relax", "-O0", "--build-id=none", "-static", "-e", "0", "-z", "norelro", "-T", script]
    given = paths if tools.rel else [tools.copies.get(path, path) for path in paths]
    subprocess.run(command + ["-o", theirs] + given, check=True)
    return elf.Elf(ours), elf.Elf(theirs)


class Image:
    """Where a linker has put what: output sections, and what the GOT holds."""

    def __init__(self, file):
        self.order = file.order
        self.sections = {section.name: section for section in file.sections if section.flags & elf.SHF_ALLOC}
        self.bytes = {name: bytearray(section.content()) for name, section in self.sections.items()}

    def word(self, name, offset):
        return struct.unpack_from("<I", self.bytes[name], offset)[0]

    def held_at(self, slot):
        got = self.sections[".got"]
        assert got.addr <= slot <= got.addr + got.size - 8 and slot % 8 == 0, f"{slot:#x} is no slot"
        return struct.unpack_from(self.order + "Q", self.bytes[".got"], slot - got.addr)[0]

    def reference(self, name, offset, code):
        """What a GOT relocation's place says of the slot: a mask, and the slot's address under it."""
        word, place = self.word(name, offset), self.sections[name].addr + offset
        signed = lambda value, bits: value - (value >> (bits - 1) << bits)
        if code == 311:
            page = signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21) << 12
            return ~0xFFF, (place & ~0xFFF) + page
        if code == 312:
            return 0xFFF, (word >> 10 & 0xFFF) << 3
        if code == 313:
            return ~0, (self.sections[".got"].addr & ~0xFFF) + ((word >> 10 & 0xFFF) << 3)
        if code == 309:
            return ~0, place + (signed(word >> 5 & 0x7FFFF, 19) << 2)
        (distance,) = struct.unpack_from(self.order + "i", self.bytes[name], offset)
        return ~0, place + distance


class Variable:
    """What the code that finds a thread-local variable by a slot says of it: here the slot, there the offset."""

    def __init__(self):
        self.here, self.there = {}, {}

    def add(self, code, ours, theirs, at, named):
        """Takes the words at one relocation out of both images, and says what is wrong with them."""
        mine, other = ours.word(*at), theirs.word(*at)
        low = (mine >> 10 & 0xFFF) << (3 if code in LOW else 0)
        wrong = code in GONE and other != NOP
        if code in HIGH:
            page = ours.reference(*at, 311)[1]
            wrong |= self.here.setdefault("page", page) != page
        elif code != 569:
            wrong |= self.here.setdefault("low", low) != low
        if code in HIGH | LOW:
            # MOVZ of bits 31:16, MOVK of bits 15:0
            wrong |= other >> 21 != (0x695 if code in HIGH else 0x794)
            half = other >> 5 & 0xFFFF
            wrong |= self.there.setdefault(code in HIGH, half) != half
        for image in (ours, theirs):
            struct.pack_into("<I", image.bytes[at[0]], at[1], 0)
        return [f"{named}: {mine:08x} here, {other:08x} there" for _ in range(wrong)]

    def slot(self):
        return self.here["page"] + self.here["low"]

    def moved(self):
        return self.there[True] << 16 | self.there[False]


# The immediates of the words that GOT relocations change.
IMMEDIATE = {309: 0x7FFFF << 5, 311: 0x3 << 29 | 0x7FFFF << 5, 312: 0xFFF << 10, 313: 0xFFF << 10, 315: 0xFFFFFFFF}


def compare(objects, offsets, placed, sizes, files):
    ours, theirs = map(Image, files)
    errors, counts = [], collections.Counter()
    # For each symbol with a slot, what each linker's code says of the slot's address, page and offset apart.
    slots = collections.defaultdict(lambda: ({}, {}))
    variables = collections.defaultdict(Variable)
    for object in objects:
        for of, offset, code, symbol, addend in object.relocations():
            if (object, of.index) not in offsets:
                continue
            counts[code] += 1
            if code not in GOT_KINDS | HIGH | LOW | GONE:
                continue
            name, start = offsets[object, of.index]
            at = start + offset
            named = object.symbols[symbol]
            key = named.name if named.bind != elf.STB_LOCAL else (object.path, symbol)
            if code not in GOT_KINDS:
                errors += variables[key, code > 560].add(code, ours, theirs, (name, at), (object.path, of.name, offset))
                continue
            for image, said in zip((ours, theirs), slots[key]):
                mask, value = image.reference(name, at, code)
                value -= addend if code == 315 else 0
                if said.setdefault(mask, value) != value:
                    errors.append(f"{object.path}: {of.name}+{offset:#x}: two slots for {key}")
                struct.pack_into("<I", image.bytes[name], at, image.word(name, at) & ~IMMEDIATE[code])
    held = 0
    for key, both in slots.items():
        whole = [said.get(~0, said.get(~0xFFF, 0) + said.get(0xFFF, 0)) for said in both]
        parts = [{~0, ~0xFFF} & set(said) and (~0 in said or 0xFFF in said) for said in both]
        if not all(parts):
            continue
        values = [image.held_at(slot) for image, slot in zip((ours, theirs), whole)]
        held += 1
        if values[0] != values[1]:
            errors.append(f"the slots of {key} hold {values[0]:#x} and {values[1]:#x}")
    for (key, is_descriptor), variable in variables.items():
        held += 1
        # A descriptor has its function first.
        mine, other = ours.held_at(variable.slot() + 8 * is_descriptor), variable.moved()
        if mine != other:
            errors.append(f"{key} is {mine:#x} bytes from the thread pointer here, and {other:#x} there")
    size = 0
    for name, addr in placed.items():
        if sizes[name] == 0:
            continue
        one, other = ours.bytes.get(name), theirs.bytes.get(name)
        # Without .tdata, .tbss may be behind anything there.
        is_placed = lambda image: name in image.sections and (image.sections[name].addr == addr or name == ".tbss")
        if not is_placed(ours) or not is_placed(theirs):
            errors.append(f"{name} is not at {addr:#x} in both images")
            continue
        size += len(one)
        if one != other:
            found = [at for at in range(min(len(one), len(other))) if one[at] != other[at]]
            first = found[0] if found else min(len(one), len(other))
            errors.append(f"{name} differs in {len(found)} of {len(one)} and {len(other)} bytes, first at +{first:#x}: "
                          f"{one[first & ~3 : (first & ~3) + 4].hex()} here, {other[first & ~3 : (first & ~3) + 4].hex()} there")
    return errors, counts, held, size


def members(path, folder, tools):
    """The objects of an archive, each under a path of its own; an object as it is; a source assembled."""
    folder = tempfile.mkdtemp(dir=folder)
    if path.endswith(".s"):
        object = os.path.join(folder, "assembled.o")
        subprocess.run([tools.assembler, f"--target={tools.target}", "-c", path, "-o", object], check=True)
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
    parser.add_argument("--link", required=True)
    parser.add_argument("--lld", default="ld.lld-19")
    parser.add_argument("--assembler", default="clang-19")
    parser.add_argument("--big-endian", dest="target", action="store_const", const="aarch64_be-linux-gnu",
                        default="aarch64-linux-gnu")
    parser.add_argument("--rel", action="store_true")
    parser.add_argument("--crel", action="store_true")
    parser.add_argument("paths", nargs="+")
    tools = parser.parse_args(namespace=argparse.Namespace(converted=0, copies={}))
    with tempfile.TemporaryDirectory() as folder:
        paths = [member for path in tools.paths for member in members(path, folder, tools)]
        objects, left_out = prepare(paths, folder, tools)
        placed, sizes, aligns, offsets, got = lay_out(objects)
        files = link_both(objects, offsets, placed, aligns, got, folder, tools)
        errors, counts, held, size = compare(objects, offsets, placed, sizes, files)
    for code, count in sorted(counts.items()):
        print(f"{count:8}  R_AARCH64_{KINDS[code]}")
    print(f"{sum(counts.values()):8}  relocations of {len(counts)} kinds, {held} slots, in {len(objects) - 1} objects, "
          f"{len(offsets)} sections, {size} bytes")
    if tools.rel:
        print(f"{tools.converted:8}  implicit addends that are not 0")
    for reason, names in sorted(left_out.items()):
        print(f"left out: {len(names)} objects for {reason}: {' '.join(names)}")
    for error in errors:
        print("error:", error)
    sys.exit(1 if errors else 0)


main()
