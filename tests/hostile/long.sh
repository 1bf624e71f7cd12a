#!/bin/sh
# Changes many files at random, in as many processes as there are processors; RESULTS.md records what came of it. What is
# measured is a release, with overflow and debug assertions checked in the crate and its tests.
# usage: long.sh [COUNT [FIRST_SEED]]
set -eu
cd "$(dirname "$0")/../.."
count=${1:-10000000}
first=${2:-0}
processes=$(nproc)
share=$(((count + processes - 1) / processes))
checked() {
    package='profile.release.package."aarch64-reloc"'
    cargo test --quiet --release --config "$package.overflow-checks=true" --config "$package.debug-assertions=true" \
        --test hostile "$@"
}
checked --no-run
running=
for number in $(seq 0 $((processes - 1))); do
    AARCH64_RELOC_MUTATIONS=$share AARCH64_RELOC_FIRST_SEED=$((first + number * share)) \
        checked changed_at_random -- --nocapture &
    running="$running $!"
done
failed=0
for process in $running; do wait "$process" || failed=1; done
exit $failed
