#!/bin/bash
# Compares whole libraries, each linked as one, with ld.lld and GNU ld, and prints the tables of RESULTS.md.
# usage: . .ci/env; libraries.sh EXAMPLE
set -u
here=$(cd "$(dirname "$0")" && pwd)
link=$1
arm64=$AARCH64_RELOC_ARM64/usr/lib/aarch64-linux-gnu
rust=$(dpkg -L libstd-rust-web-dev:arm64 | grep 'aarch64-unknown-linux-gnu/lib$')
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0

compare() {
    local name=$1 output linker
    shift
    for linker in lld gnu; do
        output=$(timeout 600 python3 -B "$here/identity.py" --link "$link" --linker $linker "$@" 2>&1) || { failed=1; echo "$output" >&2; }
        grep ' R_AARCH64_' <<<"$output" >>"$log"
        grep -E '^left out|differences by name' <<<"$output" | sed "s/^ */$name, $linker: /" >>"$log.out"
        awk -v name="$name" -v linker=$linker -v differences="$(grep -c '^error' <<<"$output")" '/ relocations of / {
            gsub(",", ""); printf "| %s | %s | %d | %d | %d | %d | %d | %d | %d |\n", name, linker, $9, $11, $13, $1, $4, $6, differences
        }' <<<"$output"
    done
}

echo '| library | linker | objects | sections | bytes | relocations | kinds | GOT slots | differences |'
echo '|---|---|---:|---:|---:|---:|---:|---:|---:|'
for library in libz liblua5.4 libpng16 libzstd libgmp libsqlite3 libcrypto; do
    compare $library "$arm64/$library.a"
done
compare libstdc++ /usr/lib/gcc-cross/aarch64-linux-gnu/*/libstdc++.a
compare 'libcore, liballoc, libstd' "$rust"/libcore-*.rlib "$rust"/liballoc-*.rlib "$rust"/libstd-*.rlib
echo
echo '| relocation | compared |'
echo '|---|---:|'
awk '{ count[$2] += $1 } END { for (kind in count) printf "| %s | %d |\n", kind, count[kind] }' "$log" | sort -t'|' -k3 -nr
echo
cat "$log.out"
rm -f "$log.out"
exit $failed
