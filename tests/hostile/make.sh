#!/bin/sh
# Makes groups.o, an object of section groups, unwind tables and initialisers, with g++ 12.2 of Debian 12.
set -eu
cd "$(dirname "$0")"
aarch64-linux-gnu-g++ -O1 -fPIC -fno-ident -ffunction-sections -c groups.cc -o groups.o
