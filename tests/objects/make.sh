#!/bin/sh
# Makes the objects of the tests in the folder $1 (this one, by default): main.c and shapes.c, and the example's hello.c,
# by clang and gcc, at -O0 and -O2, position independent or not; and what main prints when the system's linker has
# linked it, in expected.txt. Made with clang 19.1.7, gcc 12.2 and qemu-aarch64 10 of Debian 12.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# File names in the objects are relative.
cd "$here"

both='-Wall -Wextra -Wno-pedantic -fno-stack-protector -fno-ident'
for compiler in clang gcc; do
    case $compiler in
    clang) command='clang-19 --target=aarch64-linux-gnu' ;;
    gcc) command=aarch64-linux-gnu-gcc ;;
    esac
    for level in O0 O2; do
        for pic in pic no-pic; do
            name=$compiler-$level-$pic
            case $pic in
            pic) flags=-fPIC link=-pie ;;
            no-pic) flags='-fno-pic -fno-pie' link=-no-pie ;;
            esac
            for source in main shapes; do
                $command $both "-$level" $flags -c $source.c -o "$out/$source-$name.o"
            done
            $command $both "-$level" $flags -ffreestanding -c ../../examples/link/hello.c -o "$out/hello-$name.o"
            aarch64-linux-gnu-gcc $link "$out/main-$name.o" "$out/shapes-$name.o" -o "$work/program"
            status=0
            qemu-aarch64 -0 program "$work/program" one 'two words' >"$work/$name.txt" || status=$?
            echo "status $status" >>"$work/$name.txt"
            # What the program prints depends on no compiler.
            cmp "$work/$name.txt" "$work/clang-O0-pic.txt"
        done
    done
done
cp "$work/clang-O0-pic.txt" "$out/expected.txt"
