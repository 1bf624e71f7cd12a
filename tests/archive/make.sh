#!/usr/bin/env bash
# Makes the archives of tests/archive.rs, and writes down in order.txt which members ld.lld links of them, in which order.
# Needs LLVM 19's llvm-mc, llvm-ar, llvm-as and ld.lld. What it makes is checked in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
rm -rf -- *.a *.o order.txt parts
mkdir parts
cd parts

# object NAME DEFINED WANTED...: a function that calls what it wants.
object() {
    local name=$1 defined=$2
    shift 2
    {
        echo ".globl $defined"
        echo "$defined:"
        for wanted in "$@"; do echo "bl $wanted"; done
        echo ret
    } | llvm-mc-19 -triple=aarch64 -filetype=obj -o "$name"
}

object main.o main b a
object last.o last e
object a.o a c
object a_long_name_of_a_member.o b d a
object 'c c.o' c a
object d.o d e
object e.o e
object e2.o e d
object unused.o unused nowhere
printf '.weak a\n.globl faint\nfaint: bl a\nret\n' | llvm-mc-19 -triple=aarch64 -filetype=obj -o faint.o
mv main.o last.o faint.o ..
echo 'no object' >note.txt
echo 'target triple = "aarch64"
define void @bitcode() { ret void }' | llvm-as-19 -o bitcode.o

members=(unused.o e.o d.o 'c c.o' a_long_name_of_a_member.o a.o)
ar() { llvm-ar-19 "$@"; }
ar rcs --format=gnu ../gnu.a "${members[@]}"
ar rcS --format=gnu ../gnu-plain.a "${members[@]}"
SYM64_THRESHOLD=1 ar rcs --format=gnu ../gnu64.a "${members[@]}"
ar rcs --format=bsd ../bsd.a "${members[@]}"
ar rcS --format=bsd ../bsd-plain.a "${members[@]}"
ar rcs --format=darwin ../darwin.a "${members[@]}"
SYM64_THRESHOLD=1 ar rcs --format=darwin ../darwin64.a "${members[@]}"
ar rcs --format=coff ../coff.a "${members[@]}"
ar rcs --format=gnu ../other.a e2.o
ar rcs --format=gnu ../program.a ../main.o
ar rcs --format=gnu ../mixed.a note.txt bitcode.o e.o
ar rcS --format=gnu ../mixed-plain.a note.txt bitcode.o e.o
cd ..
ar rcs --thin thin.a "${members[@]/#/parts/}"
ar rcS --thin thin-plain.a "${members[@]/#/parts/}"

# Each line: what follows `ld.lld` on its command line, then what it links.
while read -r line; do
    # shellcheck disable=SC2086 # the words of the line
    ld.lld-19 -e main --unresolved-symbols=ignore-all --trace $line -o /dev/null | paste -sd '|' | sed "s/^/$line => /"
done >order.txt <<'LINES'
main.o gnu.a
gnu.a main.o
main.o bsd.a
main.o gnu-plain.a
main.o thin.a
thin-plain.a main.o
main.o last.o gnu.a
last.o main.o gnu.a
gnu.a other.a main.o
other.a gnu.a main.o
main.o other.a gnu.a
faint.o gnu.a
gnu.a faint.o
gnu.a faint.o main.o
faint.o gnu.a last.o main.o
last.o other.a gnu.a
gnu.a last.o other.a main.o
--whole-archive gnu.a --no-whole-archive main.o
main.o --whole-archive gnu.a --no-whole-archive
--whole-archive bsd.a --no-whole-archive main.o other.a
main.o --whole-archive thin.a --no-whole-archive gnu.a
program.a gnu.a
gnu.a program.a
last.o other.a program.a gnu.a
LINES
