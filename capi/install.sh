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
prefix=$1
shift

# Where cargo says that the two are.
cd "$root"
built=$(cargo rustc --lib --features capi --crate-type staticlib,cdylib "$@" --message-format json-render-diagnostics |
    grep -oE '"[^"]*/libaarch64_reloc\.(a|so)"' | tr -d '"' | sort -u)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
prefix=$(cd "$prefix" && pwd)
cp $built "$prefix/lib"
cp include/*.h include/*.hpp "$prefix/include"
sed "s|@PREFIX@|$prefix|; s|@VERSION@|$version|" capi/aarch64_reloc.pc.in >"$prefix/lib/pkgconfig/aarch64_reloc.pc"
