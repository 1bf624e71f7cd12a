#!/bin/sh
# Makes the objects of tests/coff.rs in the folder $1 (this one, by default), and of each program the image that lld-link
# makes of them. Made with clang and lld 19.1.7 of Debian 12.
#
# No section is merged with another, so that each can be placed where lld-link has it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"

compile() {
    clang-19 --target=aarch64-windows-msvc -ffile-compilation-dir=. "$@"
}
link() {
    name=$1
    shift
    lld-link-19 /nodefaultlib /entry:start /subsystem:console /base:0x10000000 /largeaddressaware:no /timestamp:0 \
        /opt:noref,noicf,nolldtailmerge /merge:.xdata=.xdata_ /merge:.bss=.bss_ /out:"$out/$name.exe" "$@"
}

for level in O0 O2; do
    for name in one two; do
        compile -$level -c $name.c -o "$out/$name-c-$level.obj"
        compile -$level -fno-exceptions -fno-threadsafe-statics -std=c++17 -c $name.cc -o "$out/$name-cc-$level.obj"
    done
    link c-$level "$out/one-c-$level.obj" "$out/two-c-$level.obj"
    link cc-$level "$out/one-cc-$level.obj" "$out/two-cc-$level.obj"
done
compile -c kinds.s -o "$out/kinds.obj"
compile -c other.s -o "$out/other.obj"
compile -c header.s -o "$out/header.obj"
link kinds "$out/kinds.obj" "$out/other.obj"
for half in one two; do
    compile -c order-$half.s -o "$out/order-$half.obj"
done
link order "$out/order-one.obj" "$out/order-two.obj"
compile -c edges.s -o "$out/edges.obj"
python3 edges.py "$out/edges.obj"
link edges "$out/edges.obj"
