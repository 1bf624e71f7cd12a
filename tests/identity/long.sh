#!/bin/sh
# Compares whole libraries, each linked as one, with ld.lld: those given, or all that the cross compiler's packages bring.
# usage: long.sh EXAMPLE [ARCHIVE...]
set -u
here=$(cd "$(dirname "$0")" && pwd)
link=$1
shift
if [ $# = 0 ]; then
    set -- /usr/aarch64-linux-gnu/lib/*.a /usr/lib/gcc-cross/aarch64-linux-gnu/*/*.a /usr/lib/aarch64-linux-gnu/*.a
fi
failed=0
for archive in "$@"; do
    # Linker scripts and empty archives have no members to compare.
    if ! ar t "$archive" 2>/dev/null | grep -q .; then continue; fi
    echo "$archive"
    python3 "$here/identity.py" --link "$link" "$archive" || failed=1
done
exit $failed
