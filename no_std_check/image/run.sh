#!/usr/bin/env bash
# Builds the modules, the tables that they need, a corpus of bad ones and the image, and runs it in qemu. After `.ci/setup`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../.ci/env
target=aarch64-unknown-none
out=$(realpath -m "${CARGO_TARGET_DIR:-../target}/cross/$target/modules")
mkdir -p "$out"
# A program of cargo and its subcommand, then arguments.
build() {
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_AARCH64_UNKNOWN_NONE_LINKER=ld.lld-19 cross "$1" "$2" --quiet --release \
        --target-dir "${CARGO_TARGET_DIR:-../target}/cross" -Zbuild-std=core,compiler_builtins --target "$target" "${@:3}"
}

clang-19 --target=aarch64-none-elf -ffreestanding -O2 -fPIC -fno-asynchronous-unwind-tables -c module.c -o "$out/c.o"
build cargo rustc --manifest-path module/Cargo.toml --lib -- --emit "obj=$out/rust.o"

# What the tables of a loader must hold for these two, at addresses like those of the image.
(cd ../.. && cargo build --quiet --example link)
link=$(realpath "${CARGO_TARGET_DIR:-../../target}/debug/examples/link")
"$link" --needs --emit "$out/linked" --base 0x60000000 --define board_add=0x40090000 \
    --define BOARD_SERIAL=0x4000100000 "$out/c.o" "$out/rust.o" >"$out/needs.rs"
python3 corpus.py "$out/c.o" "$out/rust.o" "$out/corpus"

export MODULE_C=$out/c.o MODULE_RUST=$out/rust.o CORPUS=$out/corpus NEEDS=$out/needs.rs
build "$cross_clippy" clippy -- -D warnings
RUSTFLAGS="-C link-arg=-Tlink.ld -C link-arg=--no-relax" build cargo build
image=${CARGO_TARGET_DIR:-../target}/cross/$target/release/image

if found=$(llvm-nm-19 --demangle "$image" | grep -E 'on_panic|panicking|__rust_(alloc|dealloc|realloc)'); then
    echo "no_std_check: a panic or an allocation is left in the image:"$'\n'"$found" >&2
    exit 1
fi

# Prints the report; the status is qemu's.
boot() {
    timeout 60 qemu-system-aarch64 -M "virt,virtualization=$1" -cpu "$2" -m "$3" -nographic -nic none -semihosting -kernel "$image" \
        </dev/null | tr -d '\r'
}

for cpu in cortex-a53 cortex-a57 max; do
    for virtualization in off on; do
        level=EL$([ $virtualization = on ] && echo 2 || echo 1)
        status=0
        report=$(boot "$virtualization" "$cpu" 1G) || status=$?
        printf '%s, %s:\n%s\n' "$cpu" "$level" "$report"
        [ $status = 0 ] && grep -q "at $level," <<<"$report" && grep -qx passed <<<"$report" || {
            echo "no_std_check: the image failed on $cpu at $level with status $status" >&2
            exit 1
        }
    done
done

# It can fail: without memory for modules there is an exception.
status=0
report=$(boot off cortex-a57 256M) || status=$?
[ $status = 2 ] && grep -q '^exception ' <<<"$report" || {
    echo "no_std_check: without memory the image ended with status $status" >&2
    exit 1
}
