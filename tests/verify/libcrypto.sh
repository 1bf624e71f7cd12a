#!/bin/bash
# Verifies all of libcrypto as each linker links it, and with a truncated ADRP planted; then a program with all that the C
# library brings to it. Prints the tables of RESULTS.md.
# usage: . .ci/env; libcrypto.sh EXAMPLE
set -eu
here=$(cd "$(dirname "$0")" && pwd)
link=$1
archive=$AARCH64_RELOC_ARM64/usr/lib/aarch64-linux-gnu/libcrypto.a
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# What no member defines, a stub does.
llvm-nm-19 "$archive" 2>/dev/null | awk 'NF == 2 && $1 == "U" { print $2 }' | sort -u >wanted
llvm-nm-19 --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >defined
{
    printf '.section .stub,"ax",%%progbits\n'
    comm -23 wanted defined | grep -vx _GLOBAL_OFFSET_TABLE_ |
        awk '{ printf ".p2align 4\n.globl \"%s\"\n.type \"%s\",%%function\n\"%s\": ret\n", $1, $1, $1 }'
} >stub.s
clang-19 --target=aarch64-linux-gnu -c stub.s -o stub.o

fail() { echo "$*" >&2; exit 1; }

# $1: the row's name; the rest makes the file `image`.
check() {
    local name=$1 said spoilt place
    shift
    "$@" -o image --whole-archive "$archive" --no-whole-archive stub.o
    said=$("$link" --verify image) || fail "$name: $said"
    place=$(python3 -B "$here/plant.py" image spoilt)
    if spoilt=$("$link" --verify spoilt); then fail "$name: the planted ADRP was not found"; fi
    [ "$(wc -l <<<"$spoilt")" = 2 ] || fail "$name: more than what was planted: $spoilt"
    grep -q "^R_AARCH64_ADR_PREL_PG_HI21 at $place: .*: the immediate was truncated)" <<<"$spoilt" || fail "$name: $spoilt"
    sed -E "s/^([0-9]+) relocations verified, ([0-9]+) not verified \(thread-local\), ([0-9]+) wrong/| $name | \1 | \2 | \3 | found |/" <<<"$said"
}

kept="--emit-relocs --no-relax"
echo '| linker | verified | thread-local | wrong | planted ADRP |'
echo '|---|---:|---:|---:|---|'
check 'this one' "$link" --emit-relocs
for linker in ld.lld-19 aarch64-linux-gnu-ld; do
    for shape in -static -pie -shared; do
        check "$linker $shape" "$linker" $kept $shape -e 0
    done
done

# Every section out of reach of every other.
echo
"$link" --emit-relocs -o image --place .rodata=0x1000000000 --place .data=0x200000000000 --place .got=0x3000000000 \
    --place .stub=0x5000000000 --whole-archive "$archive" --no-whole-archive stub.o >rungs 2>&1 || fail "$(cat rungs)"
said=$("$link" --verify image) || fail "far apart: $said"
echo "- this one, sections far apart,$(sed -n 's/ *\([0-9]* through.*\)/ \1,/p' rungs | tr -d '\n') all in all: $said"

# Thread-local storage, indirect functions, a PLT.
echo 'int puts(const char *); int main(void) { return puts("hello") < 0; }' >hello.c
echo
for options in '-static' '-static-pie' '-pie' '-static -fuse-ld=lld' '-pie -fuse-ld=lld'; do
    aarch64-linux-gnu-gcc -O2 hello.c -o image -B /usr/lib/llvm-19/bin $options -Wl,--emit-relocs,--no-relax
    said=$("$link" --verify image) || fail "gcc $options: $said"
    echo "- \`gcc $options\`: $said"
done
