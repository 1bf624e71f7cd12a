"""Which objects are compared, and where their sections lie: the addresses that every linker is told."""

import collections
import os
import subprocess
import sys

import elf
import kinds

# What src/link/order.rs collects; a section of another name is an output section of its own.
ARRAYS = ".preinit_array .init_array .fini_array .ctors .dtors".split()
COLLECTED = ".text .rodata .data.rel.ro .data .bss .gcc_except_table".split() + ARRAYS
DROPPED = [".eh_frame", ".note.gnu.property", ".note.ABI-tag", ".note.GNU-stack", ".comment"]
# What the descriptors of the images call, which the stub has.
RESOLVER = "__tlsdesc_static"
GOT_BASE = "_GLOBAL_OFFSET_TABLE_"
BLOCK_START = "_TLS_MODULE_BASE_"
# What linkers define where it is wanted: the ends of a section whose name is one of C.
ENDS = ["__start_", "__stop_"]
# Bytes at the thread pointer that are the thread's own (AAELF64, "Thread-local storage").
TCB = 16


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


def target(is_big):
    return "aarch64_be-linux-gnu" if is_big else "aarch64-linux-gnu"


def reason_to_leave_out(object, defined, able):
    """Why `object` is not part of the comparison; None if it is."""
    flags = [section.flags for section in object.sections if section.flags & elf.SHF_ALLOC]
    if any(flag & elf.SHF_WRITE and flag & elf.SHF_EXECINSTR for flag in flags):
        return "writable and executable"
    if any(symbol.type == elf.STT_GNU_IFUNC for symbol in object.symbols):
        return "indirect functions"
    if any(symbol.section == elf.SHN_COMMON for symbol in object.symbols):
        return "common symbols, which linkers order as they like"
    unknown = {entry.code for entry in object.relocations() if entry.of.flags & elf.SHF_ALLOC} - able
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


def prepare(paths, folder, assembler, is_big, linker):
    """The objects of `paths` that can be compared, cleaned, and a stub for what they leave undefined; why others are not."""
    able = kinds.applied_by(linker)
    objects, defined, left_out = [], set(), collections.defaultdict(list)
    for number, path in enumerate(paths):
        object = elf.Elf(path)
        object.drop(DROPPED)
        reason = reason_to_leave_out(object, defined, able)
        if reason:
            left_out[reason].append(os.path.basename(path))
            continue
        defined |= strong(object)
        object.clear_flags(elf.SHF_MERGE | elf.SHF_STRINGS)
        object.write(os.path.join(folder, f"{number}.o"))
        objects.append(object)
    known = {symbol.name for object in objects for symbol in object.symbols if symbol.section != elf.SHN_UNDEF}
    # The example makes a handle where none is. GNU ld 2.40 ends by a fault where a thread-local variable is nowhere.
    must_be = lambda symbol: (symbol.bind in elf.STRONG or symbol.name == "__dso_handle"
                              or symbol.type == elf.STT_TLS and linker == "gnu")
    wanted = {symbol.name for object in objects for symbol in object.symbols
              if symbol.section == elf.SHN_UNDEF and must_be(symbol)} - {GOT_BASE, BLOCK_START, ""}
    wanted -= {end + section.name for object in objects for section in object.sections for end in ENDS}
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
    subprocess.run([assembler, f"--target={target(is_big)}", "-c", source, "-o", stub], check=True)
    objects.append(elf.Elf(stub))
    return objects, left_out


class Layout:
    """Output sections by name: address, size, alignment, protection; and where each input section lies."""

    def __init__(self, objects, choose):
        """`choose` gives the sections their addresses, and the GOT its own: see `near`."""
        self.objects = objects
        self.sizes, self.aligns, self.prots, self.offsets = {}, {}, {}, {}
        groups = set()
        for object in objects:
            left_out = object.group_members(groups)
            for section in object.sections:
                if section.flags & elf.SHF_ALLOC and section.index not in left_out:
                    self._add(object, section)
        # One template, in two parts side by side.
        if ".tbss" in self.sizes and ".tdata" in self.sizes:
            self.aligns[".tdata"] = max(self.aligns[".tdata"], self.aligns[".tbss"])
        self.placed = {}
        self.got = choose(self)
        if ".tbss" in self.sizes and ".tdata" in self.sizes:
            self.placed[".tbss"] = align_up(self.placed[".tdata"] + self.sizes[".tdata"], self.aligns[".tbss"])
        self._globals = {}
        for object in objects:
            for symbol in object.symbols:
                if symbol.bind != elf.STB_LOCAL and self._is_there(object, symbol):
                    before = self._globals.get(symbol.name)
                    if before is None or before[1].bind == elf.STB_WEAK and symbol.bind in elf.STRONG:
                        self._globals[symbol.name] = object, symbol

    def _add(self, object, section):
        name = output_name(section)
        prot = section.flags & (elf.SHF_WRITE | elf.SHF_EXECINSTR)
        if self.prots.setdefault(name, prot) != prot:
            sys.exit(f"{object.path}: {name} is protected in two ways")
        align = max(section.align, 1)
        offset = align_up(self.sizes.get(name, 0), align)
        self.offsets[object, section.index] = name, offset
        self.sizes[name] = offset + section.size
        self.aligns[name] = max(self.aligns.get(name, 1), align)

    def _is_there(self, object, symbol):
        return symbol.section == elf.SHN_ABS or (object, symbol.section) in self.offsets

    def to_place(self):
        """The names of what has an address of its own, and the bytes to leave room for: .tbss is behind .tdata."""
        room = self.aligns.get(".tbss", 0) + self.sizes.get(".tbss", 0)
        return {name: size + (room if name == ".tdata" else 0) for name, size in self.sizes.items()
                if name != ".tbss" or ".tdata" not in self.sizes}

    def address(self, object, index):
        """Where a section of an object lies."""
        name, offset = self.offsets[object, index]
        return self.placed[name] + offset

    def symbol(self, object, index):
        """The address of the symbol that `object` means by `index`, of a variable its offset in the block; None where there
        is none."""
        symbol = object.symbols[index]
        if symbol.name == GOT_BASE:
            return self.got
        if symbol.bind != elf.STB_LOCAL:
            if symbol.name not in self._globals:
                return 0 if symbol.name == BLOCK_START else self._end(symbol.name)
            object, symbol = self._globals[symbol.name]
        if not self._is_there(object, symbol):
            return None
        if symbol.section == elf.SHN_ABS:
            return symbol.value
        addr = self.address(object, symbol.section) + symbol.value
        return addr - self.block() if object.sections[symbol.section].flags & elf.SHF_TLS else addr

    def _end(self, name):
        """The start or the end of a section, if that is what `name` asks for."""
        for end in ENDS:
            section = name.removeprefix(end)
            if section != name and section in self.placed:
                return self.placed[section] + (self.sizes[section] if end == "__stop_" else 0)
        return None

    def resolver(self):
        """The object and the symbol of the function that descriptors call."""
        stub = self.objects[-1]
        return stub, [symbol.name for symbol in stub.symbols].index(RESOLVER)

    def slot_room(self):
        """At most so many bytes are from the first slot of the GOT to the last."""
        return 16 * sum(len(object.symbols) for object in self.objects)

    def block(self):
        """Where the template of thread-local storage begins."""
        return self.placed.get(".tdata", self.placed.get(".tbss", 0))

    def tcb_offset(self):
        """Bytes from the thread pointer to the block."""
        return max(TCB, self.aligns.get(".tdata", 1), self.aligns.get(".tbss", 1))


def near(layout):
    """Everything in reach of everything, no two sections in one page, and none at the start of one."""
    addr = 0x1000_0000
    for name, size in layout.to_place().items():
        addr = layout.placed[name] = align_up(align_up(addr, 0x1000) + 0x120, layout.aligns[name])
        addr += size
    return align_up(addr, 0x10000) + 0x18
