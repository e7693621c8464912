#!/usr/bin/python3
"""camhub's benchmarks: what the hub costs against a floor, against what it replaces, and in memory.

Prints a table and ratios per step; bench/README.md says what each means. A missed target is printed as
such and does not change the exit status, which is 1 only if something could not run.
"""
import argparse
import json
import os
import platform
import signal
import sys
import time

import extra
import live
import sources
import steps as recording
from harness import BenchError, Place
from steps import Plan

STEPS = {**recording.STEPS, **live.STEPS, **sources.STEPS, **extra.STEPS}
GROUPS = {**recording.GROUPS, **live.GROUPS}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", metavar="STEP",
                        help="steps or groups, all if none: " + " ".join([*STEPS, *GROUPS]))
    parser.add_argument("--build", required=True, help="build folder, made with -Dbench=true")
    parser.add_argument("--quick", action="store_true",
                        help="does it all run? one round, short windows, no verdicts, a few minutes")
    parser.add_argument("--rounds", type=int, help="rounds per step (5; with --quick 1)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--data", help="where to put the recordings meanwhile, in a folder of their own (BUILD)")
    return parser, parser.parse_args()


def chosen_steps(parser, names):
    steps = []
    for name in names or STEPS:
        if name not in STEPS and name not in GROUPS:
            parser.error(f"no step '{name}'; there are: {' '.join([*STEPS, *GROUPS])}")
        steps += [n for n in GROUPS.get(name, [name]) if n not in steps]
    return steps


def machine(place):
    model = platform.processor()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0],
            "server_core": place.server_core, "client_core": place.client_core}


def run_steps(place, plan, names):
    results, failed = [], False
    for name in names:
        begin = time.monotonic()
        try:
            step, text = STEPS[name](place, plan)
        except (BenchError, OSError) as error:
            failed = True
            results.append({"name": name, "error": str(error)})
            print(f"{name}\n  COULD NOT RUN: {error}\n", flush=True)
            continue
        results.append(step.data())
        print(f"{name}: {step.title}  [{time.monotonic() - begin:.0f} s]")
        print(text)
        print("\n".join(step.lines()) + "\n", flush=True)
    return results, failed


def main():
    parser, options = parse_arguments()
    names = chosen_steps(parser, options.which)
    rounds = options.rounds or (1 if options.quick else 5)
    cores = sorted(os.sched_getaffinity(0))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    data = os.path.abspath(os.path.join(options.data or options.build, "bench-data"))
    try:
        place = Place(os.path.abspath(options.build), data, cores[0], cores[-1])
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    about = machine(place)
    print(f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, load {about['load']:.1f}; server on core "
          f"{place.server_core}, client on core {place.client_core}; {rounds} round{'s' * (rounds > 1)}"
          + (", quick: no verdicts" if options.quick else "; median (min..max)") + "\n", flush=True)
    os.sched_setaffinity(0, {place.client_core})
    begin = time.monotonic()
    try:
        results, failed = run_steps(place, Plan(options.quick, rounds), names)
    finally:
        place.remove()
    print(f"{time.monotonic() - begin:.0f} s in all")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": about, "quick": options.quick, "rounds": rounds, "steps": results}, file, indent=1)
            file.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
