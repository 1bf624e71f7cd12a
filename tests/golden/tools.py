"""Runs the assemblers and the linkers, and reads the ELF files they write."""

import re
import struct
import subprocess
import sys

ASSEMBLERS = {
    "llvm-mc": ["llvm-mc-19", "-triple=aarch64-linux-gnu", "-filetype=obj"],
    "gas": ["aarch64-linux-gnu-as"],
}
LINKERS = {
    "lld": ["ld.lld-19", "--noinhibit-exec", "--error-limit=0", "-O0"],
    # Without --verbose GNU ld reports ten overflows and keeps the others to itself.
    "gnu": ["aarch64-linux-gnu-ld", "--noinhibit-exec", "--verbose", "-z", "noseparate-code"],
}
LINK_FLAGS = ["--no-relax", "--hash-style=sysv", "--no-check-sections", "-z", "norelro"]

# One segment for each part, so that parts gigabytes apart do not fill a file of gigabytes between them.
SCRIPT = """
PHDRS {{ cases PT_LOAD; got PT_LOAD; rest PT_LOAD; tls PT_TLS; dyn PT_DYNAMIC; }}
SECTIONS {{
  .cases {cases:#x} : {{ *(.cases) }} :cases
  .got {got:#x} : {{ *(.got) }} :got
  .got.plt : {{ *(.got.plt) }} :got
  .tdata {tls:#x} : {{ *(.tdata) }} :rest :tls
  .rela.dyn : {{ *(.rela.dyn) *(.rela.got) }} :rest
  .rela.plt : {{ *(.rela.plt) }} :rest
  .dynsym : {{ *(.dynsym) }} :rest
  .dynstr : {{ *(.dynstr) }} :rest
  .hash : {{ *(.hash) }} :rest
  .plt : {{ *(.plt) *(.iplt) }} :rest
  .dynamic : {{ *(.dynamic) }} :rest :dyn
}}
"""


def version(command):
    return subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True).stdout


class Elf:
    """A little-endian ELF64 file."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        offset, = struct.unpack_from("<Q", self.bytes, 40)
        size, count, names = struct.unpack_from("<HHH", self.bytes, 58)
        heads = [struct.unpack_from("<IIQQQQIIQQ", self.bytes, offset + size * i) for i in range(count)]
        text = heads[names][4]
        self.sections = {self.string(text + head[0]): head for head in heads}
        self.heads = heads

    def string(self, at):
        return self.bytes[at:self.bytes.index(b"\0", at)].decode()

    def address(self, section):
        return self.sections[section][3]

    def data(self, section):
        if section not in self.sections:
            return b""
        head = self.sections[section]
        return self.bytes[head[4]:head[4] + head[5]]

    def relocations(self, section):
        """(offset, type, symbol name, addend) of each."""
        if section not in self.sections:
            return
        table = self.heads[self.sections[section][6]]
        for offset, info, addend in struct.iter_unpack("<QQq", self.data(section)):
            name = ""
            if info >> 32:
                name = self.string(self.heads[table[6]][4] + struct.unpack_from("<I", self.bytes, table[4] + 24 * (info >> 32))[0])
            yield offset, info & 0xffffffff, name, addend

    def tls(self):
        """Address and alignment of the TLS segment."""
        offset, = struct.unpack_from("<Q", self.bytes, 32)
        size, count = struct.unpack_from("<HH", self.bytes, 54)
        for i in range(count):
            head = struct.unpack_from("<IIQQQQQQ", self.bytes, offset + size * i)
            if head[0] == 7:
                return head[3], head[7]
        raise LookupError("no TLS segment")


def assemble(name, text, folder, stem):
    """The object, or None if the assembler refuses the text."""
    source, target = folder / f"{stem}.s", folder / f"{stem}.o"
    source.write_text(text)
    target.unlink(missing_ok=True)
    run = subprocess.run([*ASSEMBLERS[name], str(source), "-o", str(target)], capture_output=True, text=True)
    return Elf(target) if run.returncode == 0 else None


def link(name, folder, script, shared):
    """The image or None, and what the linker says of each offset of .cases: `range`, `align` or `refused`; its other complaints last."""
    (folder / "link.ld").write_text(script)
    target = folder / "image"
    target.unlink(missing_ok=True)
    mode = ["-shared"] if shared else ["-static"]
    run = subprocess.run([*LINKERS[name], *LINK_FLAGS, *mode, "-T", "link.ld", "cases.o", "symbols.o", "-o", "image"], cwd=folder, capture_output=True, text=True)
    verdicts, others = {}, []
    for line in (run.stdout + run.stderr).splitlines():
        found = re.search(r"\(\.cases\+0x([0-9a-f]+)\): (.*)", line)
        if found is None:
            if re.search(r"error|unknown|nrecogni[sz]ed|unsupported|unresolv|failed", line):
                others.append(line)
        elif "out of range" in found[2] or "too many GOT entries" in found[2]:
            verdicts[int(found[1], 16)] = "range"
        elif "improper alignment" in found[2]:
            verdicts[int(found[1], 16)] = "align"
        elif "truncated to fit" in found[2]:
            verdicts[int(found[1], 16)] = "refused"
        elif "one possible cause" not in found[2]:
            others.append(line)
    return Elf(target) if target.exists() else None, verdicts, others


def die(message):
    sys.exit(f"make.py: {message}")
