#!/bin/sh
# Makes the objects of the command line's tests in the folder $1 (bad, by default): what the linker refuses, each by its
# name, and small programs. Made with clang 19.1.7, ld.lld 19.1.7, yaml2obj 19.1.7 and GNU binutils 2.40 of Debian 12.
set -eu
out=${1:-$(cd "$(dirname "$0")" && pwd)/bad}
mkdir -p "$out"
cd "$out"

assemble() { clang-19 --target="$2" $3 -c -x assembler - -o "$1.o"; }
aarch64() { assemble "$1" aarch64-linux-gnu "${2:-}"; }

# A program that ends with a status of its own, without and with arguments, and one that starts by itself.
aarch64 status <<'S'
    .globl main
    .type main, %function
main:
    add w0, w0, #40
    ret
S
aarch64 start <<'S'
    .globl _start
    .type _start, %function
_start:
    ldr x0, [sp]
    add x0, x0, #60
    mov x8, #94
    svc #0
S

# Can do without a function that is nowhere.
aarch64 weak <<'S'
    .globl main
    .type main, %function
    .weak nowhere
main:
    adrp x0, :got:nowhere
    ldr x0, [x0, #:got_lo12:nowhere]
    add w0, w0, #44
    ret
S

# Wants more zeros than there is memory.
aarch64 huge <<'S'
    .globl main
main:
    ret
    .bss
    .zero 0x400000000000
S

# Takes the address of a function through the GOT.
aarch64 address <<'S'
    .globl taken, main
    .type taken, %function
    .type main, %function
taken:
    ret
main:
    adrp x0, :got:taken
    ldr x0, [x0, #:got_lo12:taken]
    ret
S

# Refers to what no object defines, and defines what `twice` defines.
aarch64 wants <<'S'
    .globl main, one, other
main:
    bl absent_function
    adrp x0, absent_data
    bl absent_function
    ret
one:
other:
    .data
    .xword absent_in_data
S
aarch64 twice <<'S'
    .globl one, other
one:
other:
    b absent_function
S

# Calls what --define gives; has data, zeros and a local symbol.
aarch64 calls <<'S'
    .globl main, table, zeros
    .type main, %function
main:
    bl outside
    adrp x0, :got:table
    ldr x0, [x0, #:got_lo12:table]
local_label:
    ret
    .data
table:
    .xword local_label
    .size table, 8
    .bss
zeros:
    .space 0x123
S

# Versions of a function, and who wants them, by GNU's assembler: what `main` calls is the default one.
aarch64-linux-gnu-as -o versions.o - <<'S'
    .globl old, new
    .type old, %function
    .type new, %function
    .symver old, foo@V1
    .symver new, foo@@V2
old:
    ret
new:
    ret
S
aarch64-linux-gnu-as -o wants-versions.o - <<'S'
    .globl main
    .type main, %function
    .symver latest, foo@V2
    .symver system, outside@V1
main:
    bl foo
    bl latest
    bl system
S

# A protected symbol, defined and wanted.
aarch64 protected <<'S'
    .globl kept
    .protected kept, given
    .type kept, %function
    nop
kept:
    bl given
S
aarch64 wants-protected <<'S'
    .globl main, given
    .type given, %function
main:
    bl kept
given:
    ret
S

# What is not handled.
aarch64 common <<'S'
    .comm shared, 8, 8
S
aarch64 comdat <<'S'
    .section .text.inline, "axG", %progbits, inline, comdat
    ret
S
aarch64 tls <<'S'
    .section .tbss, "awT", %nobits
    .globl own
own: .space 8
S
aarch64 tls-use <<'S'
    .globl main
main:
    adrp x0, :gottprel:errno
    ret
S
aarch64 ifunc <<'S'
    .type chosen, %gnu_indirect_function
    .globl chosen
chosen: ret
S
# Answers 42 if an indirect function is called, and if its address is the same wherever it is said.
aarch64 indirect <<'S'
    .globl main, chosen, spoken
    .type main, %function
    .type answer, %function
    .type chosen, %gnu_indirect_function
answer:
    add w0, w0, #2
    ret
chosen:
    // What the C library gives a resolver: bit 62 says that there are features, of 24 bytes.
    ldr x2, [x1]
    cmp x2, #24
    b.ne 1f
    tbz x0, #62, 1f
    adr x0, answer
    ret
1:  mov x0, #0
    ret
main:
    stp x29, x30, [sp, #-16]!
    adrp x1, chosen
    add x1, x1, :lo12:chosen
    adrp x2, :got:chosen
    ldr x2, [x2, #:got_lo12:chosen]
    adrp x3, spoken
    ldr x3, [x3, #:lo12:spoken]
    cmp x1, x2
    ccmp x1, x3, #0, eq
    mov w0, #1
    b.ne 1f
    mov w0, #38
    blr x2
    bl chosen
1:  ldp x29, x30, [sp], #16
    ret
    .data
    .p2align 3
spoken:
    .xword chosen
S
# Answers 42 if functions have initialised `first` and `second`, and nothing `third`. No assembler here knows the relocation
# R_AARCH64_FUNCINIT64 (317): those of `.slots` are assembled as R_AARCH64_ABS64, and their types (ELF64_R_TYPE, the low half of
# r_info, 8 bytes into each of 24) overwritten.
aarch64 funcinit <<'S'
    .globl main, resolve, skipped
    .weak absent
    .type main, %function
    .type answer, %function
    .type chosen, %gnu_indirect_function
answer:
    mov x0, #2
    ret
chosen:
    adr x0, answer
    ret
resolve:
    // As of `indirect` above; and it calls an indirect function.
    ldr x2, [x1]
    cmp x2, #24
    b.ne 1f
    tbz x0, #62, 1f
    stp x29, x30, [sp, #-16]!
    bl chosen
    add x0, x0, #20
    ldp x29, x30, [sp], #16
    ret
1:  mov x0, #0
    ret
skipped:
    brk #1
    mov x0, #20
    ret
main:
    adrp x3, first
    add x3, x3, :lo12:first
    ldp x0, x1, [x3]
    ldr x2, [x3, #16]
    add x0, x0, x1
    add x0, x0, x2
    ret
    .section .slots, "aw", %progbits
    .p2align 3
first:  .xword resolve
second: .xword skipped + 4
third:  .xword absent + 4
S
at=$(readelf -SW funcinit.o | sed -n 's/.* \.rela\.slots *RELA *[0-9a-f]* \([0-9a-f]*\) .*/\1/p')
for index in 0 1 2; do
    printf '\075\001\000\000' | dd of=funcinit.o bs=1 seek=$((0x$at + 24 * index + 8)) conv=notrunc status=none
done
aarch64 crel -Wa,--crel,--allow-experimental-crel <<'S'
    bl main
S
aarch64 write-execute <<'S'
    .section .both, "awx", %progbits
    ret
S
assemble big-endian aarch64_be-linux-gnu '' <<'S'
    ret
S
assemble x86 x86_64-linux-gnu '' <<'S'
    ret
S
assemble elf32 armv7-linux-gnueabi '' <<'S'
    bx lr
S
yaml2obj-19 -o rel.o - <<'Y'
--- !ELF
FileHeader: { Class: ELFCLASS64, Data: ELFDATA2LSB, Type: ET_REL, Machine: EM_AARCH64 }
Sections:
  - { Name: .text, Type: SHT_PROGBITS, Flags: [SHF_ALLOC, SHF_EXECINSTR], Content: "00000094" }
  - Name: .rel.text
    Type: SHT_REL
    Info: .text
    Link: .symtab
    Relocations: [{ Offset: 0, Symbol: main, Type: R_AARCH64_CALL26 }]
Symbols:
  - { Name: main, Section: .text, Binding: STB_GLOBAL }
Y
# Without pages to map, for they are not to run.
ld.lld-19 --nmagic --strip-all -e _start start.o -o executable
ld.lld-19 --nmagic --strip-all -z noseparate-code -shared start.o -o shared.so
rm -f archive.a
llvm-ar-19 rcsD archive.a status.o
rm -f versions.a
llvm-ar-19 rcsD versions.a versions.o
