#!/usr/bin/env python3
"""Medians of the benchmark runs as a table, held against the targets, and as results.json.

usage: report.py runs.jsonl results.json

Reads the lines that bench_load wrote; measures nothing itself. Standard library only.
"""
import datetime
import json
import os
import platform
import statistics
import sys

# Rows of the fan-out table in order: label, what it is.
FAN_OUT = [
    ("raw-one", "raw, one at a time"),
    ("sluice-one", "Sluice, one at a time"),
    ("raw-ten", "raw, bursts of ten"),
    ("sluice-ten", "Sluice, bursts of ten"),
    ("raw-one-full", "raw, one at a time, saturated"),
    ("raw-ten-full", "raw, bursts of ten, saturated"),
    ("sluice-ten-full", "Sluice, bursts of ten, 8 under way"),
    ("raw-latency", "raw, paced"),
    ("sluice-latency", "Sluice, paced, through Kafka"),
]
IDLE = [
    ("idle-plain", "plain, own user room"),
    ("idle-joined", "plain, one room joined"),
    ("idle-tls", "TLS, own user room"),
]
# Only rows with the same pacing and the same number of events a write are held against each other.
RATIOS = [("sluice-one", "raw-one"), ("sluice-ten", "raw-ten")]
RATIO_TARGET = 0.60
TEN_TARGET = 2_000_000
IDLE_TARGET = 4096


def read_runs(path):
    runs = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            run = json.loads(line)
            if run.get("loop_cpu"):
                run["per_cpu_second"] = run["deliveries"] / run["loop_cpu"]
                run["cpu_per_million"] = run["loop_cpu"] / run["deliveries"] * 1e6
                run["process_cpu_per_million"] = run["process_cpu"] / run["deliveries"] * 1e6
                run["client_busy"] = run["client_cpu"] / run["seconds"]
            runs.setdefault(run["label"], []).append(run)
    return runs


def summarise(runs):
    """Per row and figure: median, lowest, highest."""
    rows = {}
    for label, of_row in runs.items():
        row = {"runs": len(of_row)}
        for figure, value in of_row[0].items():
            if isinstance(value, (int, float)):
                values = [run[figure] for run in of_row if figure in run]
                row[figure] = {"median": statistics.median(values), "min": min(values), "max": max(values)}
        rows[label] = row
    return rows


def median(rows, label, figure):
    return rows.get(label, {}).get(figure, {}).get("median")


def spread(rows, label, figure):
    of_row = rows[label][figure]
    return (of_row["max"] - of_row["min"]) / of_row["median"] if of_row["median"] else 0


def print_fan_out(rows):
    print(f"{'fan-out':36} {'deliveries/':>12} {'+-':>5} {'CPU s per million':>20} {'deliveries/s':>13} {'p50':>8} {'p99':>8} {'p99.9':>8} {'events':>7} {'runs':>5}")
    print(f"{'':36} {'loop CPU s':>12} {'':>5} {'loop    process':>20} {'(wall)':>13} {'us':>8} {'us':>8} {'us':>8} {'a read':>7}")
    for label, name in FAN_OUT:
        if median(rows, label, "per_cpu_second") is None:
            continue
        value = lambda figure: median(rows, label, figure)
        print(f"{name:36} {value('per_cpu_second'):12,.0f} {spread(rows, label, 'per_cpu_second') / 2:5.0%}"
              f" {value('cpu_per_million'):9.3f} {value('process_cpu_per_million'):10.3f} {value('per_second'):13,.0f}"
              f" {value('p50_us'):8,.0f} {value('p99_us'):8,.0f} {value('p999_us'):8,.0f} {value('deliveries_per_read'):7.1f} {rows[label]['runs']:5}")


def print_idle(rows):
    shown = [(label, name) for label, name in IDLE if label in rows]
    if shown:
        print(f"\n{'idle connections':36} {'bytes each':>12} {'connections':>12} {'runs':>5}")
    for label, name in shown:
        print(f"{name:36} {median(rows, label, 'bytes_per_connection'):12,.0f} {median(rows, label, 'connections'):12,.0f} {rows[label]['runs']:5}")


def paired_ratio(runs, ours, raw):
    """Median over the rounds of ours / raw within a round: what the machine's mood does to both cancels out."""
    by_round = {run["round"]: run["per_cpu_second"] for run in runs.get(raw, []) if "per_cpu_second" in run}
    ratios = [run["per_cpu_second"] / by_round[run["round"]] for run in runs.get(ours, []) if run["round"] in by_round and "per_cpu_second" in run]
    return statistics.median(ratios) if ratios else None


def judge(rows, runs):
    """The ratios and targets: name, measured, target, met (None: not measured)."""
    verdicts = []
    ratios = {f"{ours} / {raw}": paired_ratio(runs, ours, raw) for ours, raw in RATIOS}
    one = ratios["sluice-one / raw-one"]
    verdicts.append(("one at a time, share of raw", one, RATIO_TARGET, one is not None and one >= RATIO_TARGET))
    ten = median(rows, "sluice-ten", "per_cpu_second")
    verdicts.append(("bursts of ten, deliveries per loop CPU second", ten, TEN_TARGET, ten is not None and ten >= TEN_TARGET))
    idle = median(rows, "idle-plain", "bytes_per_connection")
    verdicts.append(("bytes of an idle plain connection", idle, IDLE_TARGET, idle is not None and idle <= IDLE_TARGET))
    return ratios, verdicts


def show(value):
    if value is None:
        return "not measured"
    return f"{value:.0%}" if value < 10 else f"{value:,.0f}"


def print_verdicts(ratios, verdicts):
    print()
    for name, value in ratios.items():
        print(f"{name:46} {show(value):>14}")
    print(f"\n{'target':46} {'measured':>14} {'wanted':>14}")
    for name, value, target, met in verdicts:
        bound = "<=" if target == IDLE_TARGET else ">="
        print(f"{name:46} {show(value):>14} {bound + ' ' + show(target):>14}  {'' if value is None else 'met' if met else 'MISSED'}")


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "libc": "-".join(platform.libc_ver()),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    runs = read_runs(sys.argv[1])
    rows = summarise(runs)
    ratios, verdicts = judge(rows, runs)
    about = machine()
    print(f"\n{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, {about['date']}; medians\n")
    print_fan_out(rows)
    print_idle(rows)
    print_verdicts(ratios, verdicts)
    results = {"machine": about, "rows": rows, "ratios": ratios, "runs": runs,
               "targets": [{"name": n, "measured": v, "target": t, "met": m if v is not None else None} for n, v, t, m in verdicts]}
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
