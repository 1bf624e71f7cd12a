#!/usr/bin/env bash
# What parts of the core take of an AArch64 program's flash with opt-level z, and that it is no more than a budget says: text and
# constants, without what a program has anyway. No panic may be left. After `.ci/setup`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../.ci/env
target=aarch64-unknown-none
target_dir=${CARGO_TARGET_DIR:-../target}/cross

# What a small program is built with besides `opt-level = "z"`, one codegen unit, fat LTO and no unwinding (`Cargo.toml`): the tiny
# code model (AAPCS64: a program of less than 1 MiB), in which an address takes one instruction instead of two; and inlining of
# what is a little longer than LLVM inlines at "z", where its threshold is 5. Any program may be built so.
flags="-Ccode-model=tiny -Cllvm-args=-inline-threshold=40"

# Prints the bytes of a program that has these features.
size() {
    set -e
    RUSTFLAGS="$flags" RUSTC_BOOTSTRAP=1 CARGO_TARGET_AARCH64_UNKNOWN_NONE_LINKER=ld.lld-19 cross cargo build --quiet --release \
        --target-dir "$target_dir" -Zbuild-std=core,compiler_builtins --target "$target" --features "$1"
    # It would not have been linked with a panic in it; no allocator is named either.
    ! llvm-nm-19 --demangle "$target_dir/$target/release/size" | grep -E 'panicking|__rust_(alloc|dealloc|realloc)' >&2
    # Unwind tables are no part of it: a program that cannot unwind leaves them out.
    llvm-size-19 -A "$target_dir/$target/release/size" | awk '/^\.(text|rodata|data)/ { sum += $2 } END { print sum }'
}

nothing=$(size "")
while read -r budget features; do
    # On a line of its own, so that a build that fails ends the check.
    all=$(size "$features")
    bytes=$((all - nothing))
    printf '%-40s %6d bytes of %6d\n' "$features" "$bytes" "$budget"
    if [ "$bytes" -gt "$budget" ]; then
        echo "no_std_check: $features is too long" >&2
        exit 1
    fi
done <<'BUDGETS'
4608 patcher
24064 patcher,fast
13312 patcher,ledgers
32768 link
35328 install
71680 link,full
73728 install,full
101376 patcher,ledgers,install,display,full
BUDGETS
