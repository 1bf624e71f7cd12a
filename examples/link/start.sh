#!/bin/sh
# Makes start.o, which the example carries. Assembled by clang 19.1.7 of Debian 12.
cd "$(dirname "$0")" || exit 1
clang-19 --target=aarch64-linux-gnu -c start.s -o start.o
