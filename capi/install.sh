#!/usr/bin/env bash
# Builds the C library, static and shared, and installs it with its headers and its pkg-config file:
#
#     capi/install.sh PREFIX [ARGUMENTS FOR CARGO]        as --release, or --target aarch64-unknown-linux-gnu
#
# The library alone is one command:
#
#     cargo rustc --lib --release --features capi --crate-type staticlib,cdylib
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
mkdir -p "$1/include" "$1/lib/pkgconfig"
prefix=$(cd "$1" && pwd)
shift

# Where cargo says that the two are.
cd "$root"
mapfile -t built < <(
    cargo rustc --lib --features capi --crate-type staticlib,cdylib "$@" --message-format json-render-diagnostics |
        grep -oE '"[^"]*/libaarch64_reloc\.(a|so)"' | tr -d '"' | sort -u
)
[ ${#built[@]} = 2 ] || { echo "install.sh: cargo did not build the two libraries" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

cp "${built[@]}" "$prefix/lib"
cp include/*.h include/*.hpp "$prefix/include"
sed "s|@PREFIX@|$prefix|; s|@VERSION@|$version|" capi/aarch64_reloc.pc.in >"$prefix/lib/pkgconfig/aarch64_reloc.pc"
