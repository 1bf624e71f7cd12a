#!/usr/bin/env bash
# Builds the check and reads the symbols that are left. `run.sh` is for this machine; `run.sh TARGET...` builds the core
# library too, from Debian's rust-web-src. After `.ci/setup`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../.ci/env
target_dir=${CARGO_TARGET_DIR:-target}

fail() {
    echo "no_std_check: $*" >&2
    exit 1
}

# Sets $library, from what is built now. $1: the target, or nothing; the rest are arguments for cargo.
build() {
    local target=$1
    shift
    if [ -z "$target" ]; then
        cargo build --quiet --release --target-dir "$target_dir" "$@" || return
        library=$target_dir/release/libno_std_check.a
    else
        RUSTC_BOOTSTRAP=1 cross cargo build --quiet --release --target-dir "$target_dir/cross" \
            -Zbuild-std=core,compiler_builtins --target "$target" "$@" || return
        library=$target_dir/cross/$target/release/libno_std_check.a
    fi
}

symbols() { llvm-nm-19 --demangle --quiet --no-sort "$library"; }

# What only a panic or an allocation needs. `on_panic` is the body of the panic handler.
forbidden() { symbols | grep -E ' on_panic$|core::panicking|unwrap_failed|expect_failed|slice_index|__rust_(alloc|dealloc|realloc)' || true; }

text_size() { llvm-size-19 "$library" 2>/dev/null | awk '$6 ~ /^no_std_check/ { sum += $1 } END { print sum }'; }

# $1: the target, or nothing; the rest are arguments for cargo.
prove() {
    local name=${1:-this machine}${2:+, $2} found
    build "${1:-}" "${@:2}"
    found=$(forbidden)
    [ -z "$found" ] || fail "$name: a panic or an allocation is left:"$'\n'"$found"
    # Every function that the sources name is in the library.
    diff <(grep -ohE '\bprove_[a-z_]+' src/{core_types,display,ledgers,link}.rs | sort -u) \
        <(symbols | sed -n 's/.* T \(prove_\)/\1/p' | sort) || fail "$name: not all functions were looked at"
    echo "$name: no panic and no allocation in $(text_size) bytes of text"
}

if [ $# -gt 0 ]; then
    for target in "$@"; do
        prove "$target"
        prove "$target" --no-default-features
    done
    exit
fi

prove ""
prove "" --no-default-features
CARGO_PROFILE_RELEASE_OPT_LEVEL=z build ""
echo "with opt-level z: $(text_size) bytes"

# The checks can fail.
build "" --features plant_panic
[ -n "$(forbidden)" ] || fail "the planted panic was not found"
for plant in "plant_alloc:no global memory allocator found" "plant_std:found duplicate lang item"; do
    output=$(build "" --features "${plant%%:*}" 2>&1) && fail "${plant%%:*} was built"
    grep -q "${plant#*:}" <<<"$output" || fail "${plant%%:*} failed, but not for what was planted:"$'\n'"$output"
done
echo "a planted panic, allocation and use of std are each found"
