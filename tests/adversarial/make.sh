#!/bin/sh
# Assembles the objects of this folder, beside their sources or in the folder $1.
set -eu
cd "$(dirname "$0")"
for name in branches hard kinds odd; do
    llvm-mc-19 -triple=aarch64-linux-gnu -filetype=obj -o "${1:-.}/$name.o" "$name.s"
done
