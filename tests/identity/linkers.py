"""Runs the example, ld.lld and GNU ld, which put every output section at the address that a layout says."""

import os
import re
import subprocess

import elf
import layout as layouts

FLAGS = ["--no-relax", "--build-id=none", "--hash-style=sysv", "--no-check-sections", "-e", "0", "-z", "norelro", "-z", "notext"]
COMMANDS = {
    "lld": ["ld.lld-19", "-O0", "--error-limit=0"],
    # Without --verbose GNU ld reports ten overflows and keeps the others to itself.
    "gnu": ["aarch64-linux-gnu-ld", "--verbose", "-z", "noseparate-code", "-z", "max-page-size=4096"],
}
# Of a shared image: nothing in it can be replaced by another's, so that references stay direct.
SHARED = ["-shared", "-Bsymbolic", "--version-script"]
# What linkers make besides, in pages of its own.
MADE = ".plt .rela.dyn .rela.plt .dynsym .dynstr .hash .gnu.version .gnu.version_d .gnu.version_r .dynamic".split()
TOO_FAR = ["out of range", "truncated to fit", "improper alignment", "not aligned", "too many GOT entries"]


class Linked:
    """The image, or why there is none: refused places, each with what was said, and other complaints."""

    def __init__(self, path, refused, others):
        self.refused, self.others = refused, others
        self.image = elf.Elf(path) if not refused and not others else None


def ours(example, layout, folder, copies):
    """By the example, which gets other files for the objects that `copies` has."""
    target = os.path.join(folder, "ours")
    command = [example, "--emit", target, "--no-rescue", "--place", f".got={layout.got:#x}"]
    for name in layout.to_place():
        command += ["--place", f"{name}={layout.placed[name]:#x}"]
    command += [copies.get(object.path, object.path) for object in layout.objects]
    run = subprocess.run(command, capture_output=True, text=True)
    refused, others, originals = {}, [], {copy: path for path, copy in copies.items()}
    for line in run.stderr.splitlines() if run.returncode else []:
        found = re.fullmatch(r"(.*\.o): (\S+)\+0x([0-9a-f]+): (R_AARCH64_\w+ at 0x.*)", line)
        if found:
            refused.setdefault((originals.get(found[1], found[1]), found[2], int(found[3], 16)), found[4])
        else:
            others.append(line)
    if run.returncode and not refused:
        others.append(f"status {run.returncode}")
    return Linked(target, refused, others)


def script(layout, shared):
    """Each section in a segment of its own, so that files hold nothing between them."""
    inputs = {}
    for object, index in layout.offsets:
        section = object.sections[index]
        inputs.setdefault(layouts.output_name(section), {})[section.name] = True
    placed = sorted([*layout.placed.items(), (".got", layout.got)], key=lambda item: item[1])
    headers, lines = [], []
    for number, (name, addr) in enumerate(placed):
        # ld.lld puts .tbss right behind what is before, whatever its address; but it heeds an alignment.
        where = f": ALIGN({layout.aligns['.tbss']})" if name == ".tbss" else f"{addr:#x} :"
        follows = name == ".tbss" and ".tdata" in layout.placed
        number -= follows
        if not follows:
            headers.append(f"p{number} PT_LOAD;")
        tls = " :tls" if name in (".tdata", ".tbss") else ""
        lines.append(f"  {name} {where} {{ *({' '.join(inputs.get(name, ['.got']))}) }} :p{number}{tls}")
        if name == ".got":
            lines.append(f"  .got.plt : {{ *(.got.plt .igot.plt) }} :p{number}")
    if any(" :tls" in line for line in lines):
        headers.append("tls PT_TLS;")
    # Linkers say where dynamic relocations are within 32 bits of each other; nothing measures the distance to these.
    addr = layouts.align_up(max(addr + layout.sizes.get(name, 0x10_0000) for name, addr in placed), 0x1_0000) + 0x10_0000
    dynamic = " :dynamic" if shared else ""
    headers += ["made PT_LOAD;"] + ["dynamic PT_DYNAMIC;"] * shared
    for number, name in enumerate(MADE):
        where = f" {addr:#x}" if number == 0 else ""
        lines.append(f"  {name}{where} : {{ *({name} {name.replace('plt', 'iplt')}) }} :made{dynamic if name == '.dynamic' else ''}")
    return "PHDRS { " + " ".join(headers) + " }\nSECTIONS {\n" + "\n".join(lines) + "\n}\n"


def theirs(linker, layout, folder, copies, is_big, shared):
    """By a linker that is independent of this project, with `copies` as above."""
    target, written = os.path.join(folder, "theirs"), os.path.join(folder, "script")
    with open(written, "w") as file:
        file.write(script(layout, shared))
    command = COMMANDS[linker] + ["-m", "aarch64linuxb" if is_big else "aarch64linux"] + FLAGS + ["-T", written, "-o", target]
    if shared:
        versions = os.path.join(folder, "versions")
        with open(versions, "w") as file:
            file.write("{ local: *; };\n")
        command += SHARED + [versions]
    else:
        command.append("-static")
    paths = [copies.get(object.path, object.path) for object in layout.objects]
    run = subprocess.run(command + paths, capture_output=True, text=True)
    refused, others, path, originals = {}, [], "", {copy: path for path, copy in copies.items()}
    for line in (run.stdout + run.stderr).splitlines():
        # GNU ld names the object only with the first place in a function.
        path = (re.match(r"(\S+\.o): in function|(\S+\.o):\(", line.replace(f"{COMMANDS[linker][0]}: error: ", "")) or [path])[0]
        path = path.split(": in function")[0].removesuffix(":(")
        found = re.search(r"\((?:function .*: )?(\S+)\+0x([0-9a-f]+)\): (.*)", line)
        if found and any(words in found[3] for words in TOO_FAR):
            refused.setdefault((originals.get(path, path), found[1], int(found[2], 16)), found[3])
        elif run.returncode and re.search(r"error|unknown|nrecogni[sz]ed|unsupported|unresolv|failed|undefined|dangerous|can not", line):
            if "link errors found" not in line and "one possible cause" not in line:
                others.append(line)
    if run.returncode and not refused:
        others.append(f"{linker}: status {run.returncode}")
    return Linked(target, refused, others)
