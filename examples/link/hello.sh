#!/bin/sh
# Makes hello.o, which the example carries. Compiled by clang 19.1.7 of Debian 12.
cd "$(dirname "$0")" || exit 1
clang-19 --target=aarch64-linux-gnu -O2 -fPIC -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
    -Wall -Wextra -c hello.c -o hello.o
