#!/usr/bin/env bash
# Runs every benchmark row, alternating, several times over, and prints the medians beside the targets (report.py).
# docs/benchmarks.md says what the rows mean.
#
#   bench/run.sh [--quick] [--raw-only] [--rows "raw-one sluice-one"]
#
#   BENCH_RUNS=5         how often each row is run          BENCH_SECONDS=5      measured seconds a run
#   BENCH_MEMBERS=1000   members of the room                BENCH_IDLE=10000     connections of the idle rows
#   BENCH_SERVER_CPU=0   core of the server                 BENCH_CLIENT_CPU=1   core of client, broker and producer
#   BENCH_SLUICE=PATH    a gateway already built            BENCH_TOOLS=DIR      bench_* already built
#   BENCH_BROKERS=H:P    a real Kafka instead of the mock   BENCH_OUT=DIR        build/bench
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=${BENCH_OUT:-$root/build/bench}
runs=${BENCH_RUNS:-5}
seconds=${BENCH_SECONDS:-5}
warmup=1
members=${BENCH_MEMBERS:-1000}
idle=${BENCH_IDLE:-10000}
server_cpu=${BENCH_SERVER_CPU:-0}
client_cpu=${BENCH_CLIENT_CPU:-1}
latency_rate=50
rows="raw-one sluice-one raw-ten sluice-ten raw-one-full raw-ten-full sluice-ten-full raw-latency sluice-latency"
rows+=" idle-plain idle-joined idle-tls"

while [ $# -gt 0 ]; do
    case $1 in
    --quick) runs=1 seconds=2 warmup=0.5 idle=${BENCH_IDLE:-2000} ;;
    --raw-only) rows="raw-one raw-ten raw-one-full raw-ten-full raw-latency" ;;
    --rows) rows=${2:?--rows needs a list}; shift ;;
    *) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done

if [ "$(nproc)" -lt 2 ]; then
    echo "one core for the server and one for the client are needed" >&2
    exit 2
fi

pids=()
stop_all() {
    local deadline=$((SECONDS + 10)) pid
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.02; done
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    pids=()
}
trap stop_all EXIT

build() {
    local dir=$root/build/release targets=(bench_load bench_produce bench_rawref)
    sluice=$(realpath -m "${BENCH_SLUICE:-$dir/sluice}") # servers run in another directory
    if [ -n "${BENCH_TOOLS:-}" ]; then
        tools=$(realpath "$BENCH_TOOLS")
        return
    fi
    [[ $rows == *sluice* || $rows == *idle* ]] && [ -z "${BENCH_SLUICE:-}" ] && targets+=(sluice)
    cmake -S "$root" -B "$dir" -DCMAKE_BUILD_TYPE=Release -DGW_BENCH=ON >"$out/build.log"
    cmake --build "$dir" --target "${targets[@]}" >>"$out/build.log"
    tools=$dir/bench
    [ -x "$tools/bench_load" ] || tools=$dir
}

# await FILE WORD: prints what stands behind `WORD=` in a server's output, as soon as it is there.
await() {
    local deadline=$((SECONDS + 20))
    until grep -q "^$2=" "$1" 2>/dev/null; do
        if [ $SECONDS -gt $deadline ]; then
            echo "no $2= in $1" >&2
            return 1
        fi
        sleep 0.02
    done
    sed -n "s/^$2=//p" "$1" | head -n 1
}

# start NAME CPU COMMAND...: runs a server in the output directory; its output is NAME.out, NAME.err. Sets `pid`.
start() {
    local name=$1 cpu=$2
    shift 2
    rm -f "$out/$name.out"
    (cd "$out" && exec taskset -c "$cpu" "$@" >"$name.out" 2>"$name.err") &
    pid=$!
    pids+=("$pid")
}

start_raw() {
    start raw "$server_cpu" "$tools/bench_rawref" "$@"
    address=$(await "$out/raw.out" LISTEN)
    loop=raw-loop
}

# start_sluice [ENV=VALUE...]: a broker, unless one was given, and the gateway.
start_sluice() {
    brokers=${BENCH_BROKERS:-}
    if [ -z "$brokers" ]; then
        start broker "$client_cpu" "$tools/bench_produce" --serve
        brokers=$(await "$out/broker.out" BROKERS)
    fi
    start sluice "$server_cpu" env SLUICE_KAFKA_BROKERS="$brokers" "$@" "$sluice" --config bench.yaml --listen 127.0.0.1:0
    address=$(await "$out/sluice.out" LISTEN)
    loop=sluice-loop
}

# load ROW OPTIONS...: one run of the client against the server that was started last.
load() {
    local row=$1
    shift
    "$tools/bench_load" --label "$row" --round "$round" --json "$out/runs.jsonl" --connect "$address" --pid "$pid" --loop "$loop" --cpu "$client_cpu" \
        --secret "$out/hs256.key" --spin "$@"
}

fan_out=(--connections "$members" --room concept:7 --warmup "$warmup" --seconds "$seconds")
kafka() { echo --feed kafka --brokers "$brokers"; }

# One row: a server, fresh for each run, and a client. A further row is a further case here and a line in report.py.
run_row() {
    case $1 in
    raw-one) start_raw && load "$1" "${fan_out[@]}" --feed ws ;;
    raw-ten) start_raw --coalesce && load "$1" "${fan_out[@]}" --feed ws --burst 10 ;;
    raw-one-full) start_raw --saturate --members "$members" --sndbuf 65536 && load "$1" "${fan_out[@]}" ;;
    raw-ten-full) start_raw --saturate --members "$members" --sndbuf 65536 --coalesce --burst 10 && load "$1" "${fan_out[@]}" ;;
    raw-latency) start_raw && load "$1" "${fan_out[@]}" --feed ws --rate $latency_rate ;;
    sluice-one) start_sluice && load "$1" "${fan_out[@]}" $(kafka) ;;
    sluice-ten) start_sluice && load "$1" "${fan_out[@]}" $(kafka) --burst 10 ;;
    sluice-ten-full) start_sluice && load "$1" "${fan_out[@]}" $(kafka) --burst 10 --window 8 ;;
    sluice-latency) start_sluice && load "$1" "${fan_out[@]}" $(kafka) --rate $latency_rate ;;
    idle-plain) start_sluice && load "$1" --connections "$idle" --room "" --hold 3 ;;
    idle-joined) start_sluice && load "$1" --connections "$idle" --room concept:% --rooms 1000 --hold 3 ;;
    idle-tls) start_sluice SLUICE_TLS_CERT=tls.pem SLUICE_TLS_KEY=tls.key && load "$1" --tls --connections "$idle" --room "" --hold 3 ;;
    *) echo "no such row: $1" >&2; return 2 ;;
    esac
}

mkdir -p "$out"
out=$(realpath "$out")
rm -f "$out/runs.jsonl"
build
cp "$root/bench/bench.yaml" "$out/bench.yaml"
(umask 077 && openssl rand -hex 32 | tr -d '\n' >"$out/hs256.key")
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -keyout "$out/tls.key" -out "$out/tls.pem" 2>/dev/null

failures=0
for ((round = 1; round <= runs; round++)); do
    for row in $rows; do
        if ! run_row "$row"; then
            echo "FAILED: $row, round $round (see $out/*.err)" >&2
            failures=$((failures + 1))
        fi
        stop_all
    done
done
"$root/bench/report.py" "$out/runs.jsonl" "$out/results.json"
[ "$failures" -eq 0 ] || { echo "$failures runs failed" >&2; exit 1; }
