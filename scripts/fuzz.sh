#!/usr/bin/env bash
# Runs every fuzzer of tests/fuzz for a while, two at a time.
#
#   scripts/fuzz.sh [SECONDS] [NAME...]      default: 20 seconds each, all of them
#
# Seeds: tests/fuzz/corpus/<name>, tests/fuzz/regressions/<name>. New inputs go to build-fuzz/corpus/<name>, findings
# to build-fuzz/findings. Ends with a line "N passed, M failed"; non-zero when a fuzzer found something or none is there.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

seconds=${1:-20}
shift || true
out=build-fuzz
mkdir -p "$out/findings" "$out/logs"

[ -f "$out/build.ninja" ] || cmake --preset fuzz >/dev/null
cmake --build "$out"

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] || { echo "fuzz.sh: there is no tests/fuzz/fuzz_*.c" >&2; exit 1; }
        name=${source##*/fuzz_}
        names+=("${name%.c}")
    done
fi

run_one() {
    local name=$1 dirs=("$out/corpus/$1") seeds
    mkdir -p "$out/corpus/$name"
    for seeds in "tests/fuzz/corpus/$name" "tests/fuzz/regressions/$name"; do
        [ ! -d "$seeds" ] || dirs+=("$seeds")
    done
    local dict=()
    [ ! -f "tests/fuzz/$name.dict" ] || dict=("-dict=tests/fuzz/$name.dict")
    # The outer limit is for a fuzzer that hangs where its own -timeout cannot see it.
    if timeout -k 5 $((seconds + 120)) "$out/fuzz_$name" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 "-artifact_prefix=$out/findings/$name-" "${dict[@]}" "${dirs[@]}" \
        >"$out/logs/$name.log" 2>&1 </dev/null; then
        echo "fuzz $name: passed, $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/logs/$name.log") runs"
    else
        echo "fuzz $name: FAILED"
        tail -n 60 "$out/logs/$name.log"
        return 1
    fi
}

failed=0
declare -A running=()
reap() { # waits for one of the two and counts it
    local pid code=0
    wait -n -p pid "${!running[@]}" || code=$?
    unset "running[$pid]"
    [ $code -eq 0 ] || failed=$((failed + 1))
}
for name in "${names[@]}"; do
    [ ${#running[@]} -lt 2 ] || reap
    run_one "$name" &
    running[$!]=$name
done
while [ ${#running[@]} -gt 0 ]; do reap; done
echo "$((${#names[@]} - failed)) passed, $failed failed"
[ $failed -eq 0 ]
