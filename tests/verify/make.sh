#!/bin/sh
# Makes the images of tests/verify.rs in the folder $1 (images, by default), by ld.lld 19.1.7 and GNU ld 2.40 of Debian 12 from
# objects of clang 19.1.7.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/images}
mkdir -p "$out"
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
for name in places far erratum; do
    clang-19 --target=aarch64-linux-gnu -c "$here/$name.s" -o "$objects/$name.o"
done
cat >"$objects/far.lds" <<'L'
PHDRS { near PT_LOAD; far PT_LOAD; away PT_LOAD; }
SECTIONS {
    .near 0x10000 : { *(.near) } : near
    .far 0x40010000 : { *(.far) } : far
    .away 0x400010000 : { *(.away) } : away
    /DISCARD/ : { *(.note*) }
}
L
for linker in ld.lld-19 aarch64-linux-gnu-ld; do
    case $linker in *lld*) maker=lld ;; *) maker=gnu ;; esac
    link() { image=$out/$1-$maker.elf; shift; "$linker" --emit-relocs --no-relax -z max-page-size=4096 "$@" -o "$image"; }
    link places "$objects/places.o"
    link far "$objects/far.o" -T "$objects/far.lds"
    link erratum "$objects/erratum.o" --fix-cortex-a53-843419
done
