#!/bin/sh
# Makes the objects of the tests in the folder $1 (this one, by default). Made with clang 19.1.7.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)
# File names in the objects are relative.
cd "$here"

for source in kinds local; do
    llvm-mc-19 -triple arm64-apple-macos13 -filetype=obj $source.s -o "$out/$source.o"
done
for level in O0 O2; do
    clang-19 --target=arm64-apple-macos13 -$level -ffreestanding -Wall -Wextra -c code.c -o "$out/c-$level.o"
    clang-19 --target=arm64-apple-macos13 -$level -ffreestanding -Wall -Wextra -std=c++17 -fexceptions -fcxx-exceptions \
        -fasynchronous-unwind-tables -femit-dwarf-unwind=always -c code.cc -o "$out/cc-$level.o"
done
# With debug information.
clang-19 --target=arm64-apple-macos13 -O1 -g -fdebug-compilation-dir=. -ffreestanding -c code.c -o "$out/debug.o"
