#!/bin/sh
# Makes the objects of the far tests in the folder $1 (this one, by default), by llvm-mc 19.1.7 of Debian 12.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)
# `.include` looks here.
cd "$here"
for source in *.s; do
    llvm-mc-19 -triple=aarch64 -mattr=+bti -filetype=obj "$source" -o "$out/${source%.s}.o"
done
