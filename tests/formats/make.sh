#!/bin/sh
# Compiles the programs of this folder for the three formats, into the folder $1 (this one, by default), by clang 19 of Debian
# 12, and makes an archive with one member of each of two formats.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
for name in status twice starts; do
    clang-19 --target=aarch64-linux-gnu -O1 -fno-asynchronous-unwind-tables -c "$here/$name.c" -o "$out/$name.elf.o"
    clang-19 --target=arm64-apple-macos13 -O1 -fno-asynchronous-unwind-tables -c "$here/$name.c" -o "$out/$name.macho.o"
    clang-19 --target=aarch64-windows-msvc -O1 -c "$here/$name.c" -o "$out/$name.coff.obj"
done
rm -f "$out/mixed.a"
(cd "$out" && llvm-ar-19 --format=gnu crD mixed.a twice.elf.o twice.macho.o twice.coff.obj)
