#!/usr/bin/env bash
# Prints what stands in README.md: instructions, then times, of this crate, the floor and the peers. Give the names of the benches
# to be timed, or none for all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
printf 'Machine: %s, %s; %s; %s\n' "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)" "$(nproc) processors" \
    "$(rustc --version)" "$(llvm-config-19 --version 2>/dev/null | sed 's/^/LLVM /' || echo 'no LLVM')"
printf '\nInstructions for each thing done (callgrind)\n'
benches/count.sh
for bench in "${@:-patch}"; do
    printf '\nTimes of bench %s\n' "$bench"
    cargo bench --quiet -p benches --bench "$bench"
done
