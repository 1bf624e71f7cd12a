#!/usr/bin/env bash
# Has real LLVMs, 19 and 22 for AArch64, link far apart: `tests/capi/llvm/run.sh [RUNS]`, after `.ci/setup`.
#
# The same program, MCJIT and ORC, C and C++, small and default code model, static and PIC: with a memory manager that maps
# each section by itself, and with LLVM's own under an `mmap` that puts each request 5 GiB further, every run of it ends by
# SIGSEGV; with this crate's, or LLVM's over this crate's mapper, under the same `mmap`, each of RUNS (2) answers right. Then 200
# modules one after another, and what else is to be checked. MCJIT's C functions have no relocation model: it is static.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
. .ci/env
runs=${1:-2}
out=${CARGO_TARGET_DIR:-$PWD/target}/capi/llvm
here=tests/capi/llvm
llvm=$tools/llvm/usr
mkdir -p "$out"
cross capi/install.sh "$out" --target aarch64-unknown-linux-gnu

library() { find "$llvm/lib" /usr/lib/aarch64-linux-gnu -name "libLLVM*.so.$1*" | head -n 1; }

# $1: the version of LLVM; $2, $3: the compilers of C and C++
build() {
    local cc=$2 cxx=$3
    local library flags=(-Wall -Wextra -Werror -I"$out/include" -isystem "$llvm/include/llvm-c-$1" -isystem "$llvm/include/llvm-$1")
    library=$(library "$1")
    local with=("$out/lib/libaarch64_reloc.a" "$library" -rdynamic "-Wl,-rpath,$(dirname "$library")" -Wl,--allow-shlib-undefined)
    for name in jit far; do
        $cc -std=c11 -O1 "${flags[@]}" -c "$here/$name.c" -o "$out/$name-$1.o"
    done
    $cc -std=c11 "${flags[@]}" "$here/jit_c.c" "$out"/{jit,far}-"$1".o "${with[@]}" -o "$out/jit_c-$1"
    $cxx -std=c++17 "${flags[@]}" "$here"/{jit_cc,checks}.cc "$out"/{jit,far}-"$1".o "${with[@]}" -o "$out/jit_cc-$1"
}

# What the programs are to print, and the command of each: one a line.
cases() {
    local version jit manager model relocation
    for version in 19 22; do
        echo "$version jit_cc LLJIT section small pic"
        for model in small default; do
            for manager in naive section arena; do
                echo "$version jit_c MCJIT $manager $model static"
                for relocation in static pic; do
                    echo "$version jit_c ORC $manager $model $relocation"
                    [ $manager = arena ] || continue
                    echo "$version jit_cc MCJIT arena $model $relocation"
                    echo "$version jit_cc LLJIT arena $model $relocation"
                    echo "$version jit_cc LLJIT mapper $model $relocation"
                done
            done
        done
    done
}

# Runs one case, and says what is wrong.
try() {
    local version=$1 program=$2 manager=$4 count=2 expected said
    shift 2
    case $manager in
    arena | mapper) count=$runs expected="$runs right" ;;
    *) expected="0 right, $count SIGSEGV" ;;
    esac
    said=$(timeout 1200 qemu-aarch64 "$out/$program-$version" "$@" "$count" 2 2>/dev/null) || true
    echo "$said"
    [ "${said##*: }" = "$expected" ] || { echo "expected: $expected"; return 1; }
}

clang="--target=aarch64-linux-gnu"
build 19 aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ &
build 22 "clang-19 $clang" "clang++-19 $clang" &
wait -n && wait -n
export -f try
export runs out
cases | xargs -P "$(nproc)" -L 1 bash -c 'try "$@"' try
for version in 19 22; do
    for jit in MCJIT ORC; do
        echo -n "200 modules: "
        timeout 600 qemu-aarch64 "$out/jit_c-$version" $jit arena small static 1 200
    done
    timeout 600 qemu-aarch64 "$out/jit_cc-$version" checks
done
echo "llvm: passed"
