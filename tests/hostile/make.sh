#!/bin/sh
# Makes groups.o, an object of section groups, unwind tables and initialisers, with g++ 12.2 of Debian 12; and with clang and
# ld.lld 19.1.7 places.o, of many kinds of relocations, the same with compressed ones, an image that keeps such, and erratum.o,
# which Cortex-A53's erratum 843419 affects.
set -eu
cd "$(dirname "$0")"
aarch64-linux-gnu-g++ -O1 -fPIC -fno-ident -ffunction-sections -c groups.cc -o groups.o
crel="-Wa,--crel -Wa,--allow-experimental-crel"
for name in places erratum; do
    clang-19 --target=aarch64-linux-gnu -c "../verify/$name.s" -o "$name.o"
done
# shellcheck disable=SC2086 # two options
clang-19 --target=aarch64-linux-gnu $crel -c ../verify/places.s -o crel.o
ld.lld-19 --emit-relocs --no-relax -z max-page-size=4096 crel.o -o crel.elf
