#!/usr/bin/python3
"""Counts the tests of the last `meson test` of a build folder one by one, not program by program.

    meson_results.py BUILD

Reads BUILD/meson-logs/testlog.json. A program that speaks TAP counts once per test in it; any other
program counts once. A program that ended badly without naming a failed test (a crash, a sanitizer's
report, a time-out, a plan not fulfilled) counts as one failure more. Prints a line per program,
the details of failures, and at the end `N passed, N failed`; exit 1 unless all is well.
"""
import json
import re
import sys
from pathlib import Path

RESULT = re.compile(r"(not )?ok\b[ \t]*\d*(.*)")
DETAIL_LINES = 60


def count_tap(text):
    """(passed, failed, skipped, planned or None)"""
    passed = failed = skipped = 0
    planned = None
    for line in text.splitlines():
        plan = re.fullmatch(r"1\.\.(\d+).*", line)
        result = RESULT.match(line)
        if plan:
            planned = int(plan.group(1))
        elif result and re.search(r"#\s*SKIP", result.group(2), re.IGNORECASE):
            skipped += 1
        elif result and result.group(1):
            failed += 1
        elif result:
            passed += 1
    return passed, failed, skipped, planned


def count_program(test):
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    passed, failed, skipped, planned = count_tap(test.get("stdout") or "")
    if planned is None:
        if test["result"] == "SKIP":
            return 0, 0, 1
        return (1, 0, 0) if good else (0, 1, 0)
    if failed == 0 and (not good or passed + skipped != planned):
        failed = 1
    return passed, failed, skipped


def show(test, failed):
    print(f"  ---- {test['name']}: {test['result']}, exit {test.get('returncode')}, {failed} failed")
    for stream in ("stdout", "stderr"):
        lines = [line for line in (test.get(stream) or "").splitlines() if not line.startswith("ok ")]
        for line in lines[:DETAIL_LINES]:
            print(f"  {line}")
        if len(lines) > DETAIL_LINES:
            print(f"  ... {len(lines) - DETAIL_LINES} lines more in meson-logs/testlog.txt")


def main(build):
    log = Path(build) / "meson-logs" / "testlog.json"
    try:
        tests = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
    except OSError as error:
        print(f"no test ran: {error}")
        tests = []
    totals = [0, 0, 0]
    for test in tests:
        counts = count_program(test)
        totals = [total + count for total, count in zip(totals, counts)]
        print(f"  {test['name'].split(' / ')[-1]:24} {counts[0]:4} ok {counts[1]:3} not ok {test['duration']:6.1f} s")
        if counts[1]:
            show(test, counts[1])
    if not tests:
        totals[1] += 1
    print(f"{totals[0]} passed, {totals[1]} failed" + (f", {totals[2]} skipped" if totals[2] else ""))
    return 1 if totals[1] else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
