#!/usr/bin/env bash
# Compiles the tests of the C face with two compilers each, against an installed library, and runs them:
#
#     tests/capi/run.sh native    static and shared, and under valgrind
#     tests/capi/run.sh aarch64   by cross compilers, under qemu, after `.ci/setup`
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
out=${CARGO_TARGET_DIR:-$PWD/target}/capi/${1:-}
warnings=(-Wall -Wextra -Werror -Wpedantic -gdwarf-4 -O1)
c=(-std=c11 "${warnings[@]}")
cc=(-std=c++11 "${warnings[@]}")
run=()
case ${1:-} in
native)
    capi/install.sh "$out"
    compilers=("gcc ${c[*]}" "clang-19 ${c[*]}")
    compilers_cc=("g++ ${cc[*]}" "clang++-19 ${cc[*]}")
    ;;
aarch64)
    . .ci/env
    cross capi/install.sh "$out" --target aarch64-unknown-linux-gnu
    clang="--target=aarch64-linux-gnu"
    compilers=("aarch64-linux-gnu-gcc ${c[*]}" "clang-19 $clang ${c[*]}")
    compilers_cc=("aarch64-linux-gnu-g++ ${cc[*]}" "clang++-19 $clang ${cc[*]}")
    run=(qemu-aarch64)
    ;;
*)
    echo "usage: tests/capi/run.sh native|aarch64" >&2
    exit 2
    ;;
esac

export PKG_CONFIG_PATH=$out/lib/pkgconfig
flags=$(pkg-config --cflags aarch64_reloc)
static="$out/lib/libaarch64_reloc.a $(pkg-config --libs --static aarch64_reloc | sed 's/-laarch64_reloc//')"
shared="$(pkg-config --libs aarch64_reloc) -Wl,-rpath,$out/lib"

for compiler in "${compilers[@]}"; do
    for name in api memory manager; do
        $compiler $flags "$here/$name.c" $static -o "$out/$name"
        "${run[@]}" "$out/$name"
    done
done
if [ "$1" = native ]; then
    for name in api memory manager; do
        valgrind --quiet --leak-check=full --error-exitcode=9 "$out/$name"
    done
fi
for compiler in "${compilers_cc[@]}"; do
    $compiler $flags "$here/api.cc" $shared -o "$out/api_cc"
    "${run[@]}" "$out/api_cc"
done
