"""Steps that programs of their own measure: what they print is shown, and kept in the JSON file."""
import json
import os
import subprocess

from harness import HERE, BenchError
from report import table
from steps import Step

TIMEOUT_S = 300


def run_program(command, core=None):
    """What it prints; it must end well."""
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CAMHUB_")}
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
                              preexec_fn=pin, env=environment, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} took longer than {TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise BenchError(f"{command[0]} ended with status {done.returncode}: {' '.join(done.stderr.split())[-400:]}")
    return done.stdout


def flat(value, name=""):
    """The figures of nested objects as (name, text)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name} {key}".strip())
    elif isinstance(value, float):
        yield name, f"{value:.2f}"
    else:
        yield name, json.dumps(value) if isinstance(value, list) else str(value)


def browser(place, plan):
    """Real browsers: they need more than one core, so nothing is pinned."""
    step = Step("browser", "live: from the camera's send to the screen, in a browser")
    command = ["node", os.path.join(HERE, "browser", "run.js"), "--camhub", place.camhub]
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count()))
    try:
        out = run_program(command + ["--quick"] * plan.quick)
    except OSError as error:
        raise BenchError(f"node: {error}") from None
    finally:
        os.sched_setaffinity(0, cores)
    try:
        figures = json.loads(out)
    except ValueError:
        raise BenchError(f"bench/browser/run.js printed no JSON object: {out[-200:]}") from None
    step.rounds.append({"camhub": figures})
    return step, table([["figure", "value"], *([name, text] for name, text in flat(figures))])


def catalogue(place, plan):
    """Its own medians, of one run: it needs no second side to be compared with."""
    step = Step("catalogue", "the catalogue of recordings: microseconds with few sessions and with many")
    sizes = ["--rows", str(plan.pick(100000, 5000)), "--tree", str(plan.pick(10000, 1000))]
    place.clean()
    out = run_program([place.program("bench/catalogue"), place.data, *sizes], place.server_core)
    step.rounds.append({"camhub": {"printed": out.splitlines()}})
    return step, "\n".join("  " + line for line in out.splitlines())


def _present(steps):
    """Those whose program is there."""
    return {name: step for name, (step, source) in steps.items() if os.path.exists(os.path.join(HERE, source))}


STEPS = _present({"catalogue": (catalogue, "catalogue.c"), "browser": (browser, "browser/run.js")})
