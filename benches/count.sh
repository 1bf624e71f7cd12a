#!/usr/bin/env bash
# Counts instructions with callgrind: `count.sh` prints how many each workload of `count.rs` runs per thing it does;
# `count.sh --check` fails where one runs more than `counts.txt` allows by over 3 %, `count.sh --record` writes that file anew.
# Counts do not depend on the machine's load; they do on the compiler, so that a new one may want a new record.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=${1:-}
bench=$(cargo bench --quiet -p benches --bench count --no-run --message-format=json |
    sed -n 's/.*"name":"count".*"executable":"\([^"]*\)".*/\1/p')
record=benches/counts.txt
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

count() {
    valgrind --tool=callgrind --toggle-collect=counted --callgrind-out-file="$out/out" "$bench" "$1" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

failed=0
while read -r name units; do
    total=$(count "$name")
    # A peer or an archive may not be installed.
    [ -n "$total" ] && [ "$total" = 0 ] && [[ $name == peer/* || $name == link/libcrypto ]] && continue
    [ "${total:-0}" -gt 0 ] || { echo "$name: nothing was counted" >&2; exit 1; }
    each=$(awk "BEGIN { printf \"%.1f\", $total / $units }")
    printf '%-32s %8s\n' "$name" "$each" | tee -a "$out/record"
    [ "$mode" = --check ] && [[ $name != peer/* ]] || continue
    allowed=$(awk -v name="$name" '$1 == name { print $2 }' "$record")
    [ -n "$allowed" ] || { echo "$name: not in $record" >&2; failed=1; continue; }
    awk "BEGIN { exit !($each > $allowed * 1.03) }" && { echo "$name: $each instructions, where it was $allowed" >&2; failed=1; }
done < <("$bench" list)
[ "$mode" != --record ] || cp "$out/record" "$record"
exit $failed
