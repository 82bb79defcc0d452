#!/usr/bin/python3
"""Sums test results: count-tests.py FILE... -> "N passed, M failed" (", K skipped" where there are any).

A FILE is JUnit XML of ctest (--output-junit) or pytest (--junitxml), or a log with a line "N passed, M failed" as
scripts/fuzz.sh prints. A ctest test that runs pytest or cmocka counts as the cases that it says it ran.
"""
import re
import sys
import xml.etree.ElementTree as ET

CMOCKA = {"passed": r"\[  PASSED  \] (\d+) test", "failed": r"\[  FAILED  \] (\d+) test", "skipped": r"\[  SKIPPED \] (\d+) test"}
KINDS = ("passed", "failed", "skipped")


def inner_counts(text):
    """What a runner inside the test says, from its closing lines; {} when there is none."""
    summary = [line for line in text.splitlines() if re.search(r"\d+ (passed|failed|skipped|error).* in [\d.]+s", line)]
    if summary:
        last = summary[-1]
        found = {kind: sum(map(int, re.findall(rf"(\d+) {kind}", last))) for kind in KINDS}
        found["failed"] += sum(map(int, re.findall(r"(\d+) errors?", last)))
        return found
    return {k: sum(map(int, re.findall(p, text))) for k, p in CMOCKA.items() if re.search(p, text)}


def case_counts(case):
    own = "passed"
    if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        own = "failed"
    elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        own = "skipped"
    found = inner_counts(case.findtext("system-out") or "")
    if not any(found.values()):
        return {own: 1}
    if own == "failed" and not found.get("failed"):
        found["failed"] = 1  # it said that all was well, and ended badly
    return found


def counts(path):
    total = dict.fromkeys(KINDS, 0)
    with open(path, encoding="utf-8", errors="replace") as f:
        text = f.read()
    if not text.lstrip().startswith("<"):
        for passed, failed in re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M):
            total["passed"] += int(passed)
            total["failed"] += int(failed)
        return total
    for case in ET.fromstring(text).iter("testcase"):
        for kind, number in case_counts(case).items():
            total[kind] += number
    return total


def main():
    total = dict.fromkeys(KINDS, 0)
    for path in sys.argv[1:]:
        for kind, number in counts(path).items():
            total[kind] += number
    print(f"{total['passed']} passed, {total['failed']} failed" + (f", {total['skipped']} skipped" if total["skipped"] else ""))


if __name__ == "__main__":
    main()
