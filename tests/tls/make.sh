#!/bin/sh
# Makes the objects, in this folder or the one named: by clang 19.1.7 and gcc 12.2 of Debian 12.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here}

# $1: the variant's name; the rest compiles. Its files: whether threads, which need the C library, are among them.
compile() {
    variant=$1
    shift
    for source in $sources; do
        "$@" -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -Wall -Wextra \
            -c "$here/$source.c" -o "$folder/$source-$variant.o"
    done
}

clang='clang-19 --target=aarch64-linux-gnu'
gcc=aarch64-linux-gnu-gcc
sources='state check threads single'
for level in O0 O2; do
    compile clang-$level-pic $clang -$level -fPIC
    compile gcc-$level-trad $gcc -$level -fPIC -mtls-dialect=trad
    compile gcc-$level-desc $gcc -$level -fPIC -mtls-dialect=desc
done
# Local-dynamic: one call for the whole of the object's own block.
compile clang-O2-local $clang -O2 -fPIC -mllvm -aarch64-elf-ldtls-generation
for source in keep huge; do
    $clang -c "$here/$source.s" -o "$folder/$source.o"
done
sources='state check single'
for level in O0 O2; do
    compile clang-$level-default $clang -$level
    compile gcc-$level-default $gcc -$level
done
compile clang-O2-no-pic $clang -O2 -fno-pic
compile gcc-O2-no-pic $gcc -O2 -fno-pic -fno-pie
