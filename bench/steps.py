"""The steps. Each prints its table and returns what goes into the JSON file.

A step runs its sides in turn, round after round, every second round in reverse order; ratios are taken
inside a round and only then is the median drawn.
"""
import glob
import json
import os
import subprocess
import time

from harness import BenchError, Camhub, Floor, Load, Original, measure, memory_kb
from report import Ratio, Spread, table

BUSY_LIMIT = 0.9
STRANGERS_LIMIT = 0.25
MESSAGE_BYTES = 20000
WIRE_BYTES = MESSAGE_BYTES + 8  # with the WebSocket frame's head
GIB = 1 << 30
LATENCY = "p50 / p99 / worst"


class Plan:
    """How long and how often."""

    def __init__(self, quick, rounds):
        self.quick = quick
        self.rounds = rounds

    def pick(self, full, quick):
        return quick if self.quick else full

    def order(self, items, round_number):
        return list(items) if round_number % 2 == 0 else list(reversed(items))


class Step:
    def __init__(self, name, title):
        self.name = name
        self.title = title
        self.rounds = []  # one dict per round: side -> figures
        self.ratios = []
        self.notes = []
        self.void = False

    def lines(self):
        yield from ("  " + note for note in self.notes)
        if self.void:
            yield "  VOID: no verdict"
        else:
            yield from (ratio.text() for ratio in self.ratios)

    def data(self):
        return {"name": self.name, "title": self.title, "void": self.void, "notes": self.notes, "rounds": self.rounds,
                "ratios": [] if self.void else [ratio.data() for ratio in self.ratios]}


# Ingest

def ingest_round(place, plan, side, options, rate):
    seconds = options["window"] / 1000 + options["warmup"] / 1000 + 0.3
    reserve = plan.pick(5 * GIB, 3 * GIB) if rate == 0 else rate * options["cameras"] * WIRE_BYTES * seconds * 2
    load = measure(place, side(), options, reserve)
    window = load["window"]
    if window["received_bytes"] <= 0:
        raise BenchError("a measured window without a received byte")
    return {
        "cpu_us_per_message": window["server_cpu_s"] * 1e6 / window["received_bytes"] * WIRE_BYTES,
        "cpu_ns_per_byte": window["server_cpu_s"] * 1e9 / window["received_bytes"],
        "whole_cpu_us_per_message": (load["whole_cpu_s"] or 0) * 1e6 / load["bytes"] * WIRE_BYTES,
        "cpu_share": window["server_cpu_s"] / window["seconds"],
        "received_bytes": window["received_bytes"],
        "mb_per_s": window["received_bytes"] / window["seconds"] / 1e6,
        "client_core_busy": window["client_core_busy"],
        "client_cpu_share": window["client_cpu_s"] / window["seconds"],
        "server_core_busy": window["server_core_busy"],
        "lag_us": load["lag_us"],
        "ping_us": load["ping_us"],
    }


def latency_cells(rounds, key):
    """Milliseconds: median of the rounds' medians and 99th percentiles, and the worst of all."""
    figures = [r[key] for r in rounds if r[key]["count"]]
    if not figures:
        return ["-"]
    p50, p99 = (Spread([f[p] for f in figures]).median / 1000 for p in ("p50", "p99"))
    return [f"{p50:.2f} / {p99:.2f} / {max(f['max'] for f in figures) / 1000:.1f}"]


def ingest_table(step, sides, saturated):
    rows = [["", "CPU us per message", "until written", "MB/s", "server CPU", "client core", "ping ms " + LATENCY,
             "send lag ms"]]
    for side in sides:
        rounds = [r[side] for r in step.rounds]
        rows.append([side, Spread([r["cpu_us_per_message"] for r in rounds]).text(1),
                     Spread([r["whole_cpu_us_per_message"] for r in rounds]).text(1) if saturated else "-",
                     Spread([r["mb_per_s"] for r in rounds]).text(0),
                     f"{100 * Spread([r['cpu_share'] for r in rounds]).median:.0f} %",
                     f"{100 * Spread([r['client_core_busy'] for r in rounds]).median:.0f} %",
                     *latency_cells(rounds, "ping_us"), *latency_cells(rounds, "lag_us")])
    return table(rows)


def note_strangers(step):
    """Whoever else works on the server's core slows it down and empties its caches."""
    worst = max(s["server_core_busy"] - s["cpu_share"] for r in step.rounds for s in r.values())
    if worst > STRANGERS_LIMIT:
        step.notes.append(f"others used up to {100 * worst:.0f} % of the server's core: repeat on an idle machine")


def drop_void_rounds(step, paced, nominal_mb):
    """A client that is busy all the time measures itself: such rounds do not count."""
    note_strangers(step)
    if not paced:
        return step.rounds
    good = [r for r in step.rounds if all(s["client_core_busy"] <= BUSY_LIMIT for s in r.values())]
    bad = len(step.rounds) - len(good)
    if bad:
        worst = max(s["client_core_busy"] for r in step.rounds for s in r.values())
        step.notes.append(f"{bad} of {len(step.rounds)} rounds void: client's core up to {100 * worst:.0f} % busy")
    for side in step.rounds[0]:
        slowest = min(r[side]["mb_per_s"] for r in step.rounds)
        if slowest < 0.97 * nominal_mb:
            step.notes.append(f"{side} fell behind: {slowest:.1f} of {nominal_mb:.1f} MB/s")
    step.void = len(good) * 2 <= len(step.rounds)
    return good


def ingest_ratios(step, plan, good, floor, h264, saturated):
    """Saturated, a server may take in more than it writes and would look cheap in the window: there the whole
    load is judged, until all is written. The original writes the payload once; where camhub does the same
    it is judged."""
    def ratio(title, key, a, b, target, at_least=False):
        step.ratios.append(Ratio(f"{title}, {a} / {b}", [r[a][key] / r[b][key] for r in good], target, at_least,
                                 judged=not plan.quick))
    window, whole = "cpu_us_per_message", "whole_cpu_us_per_message"
    ratio("CPU per byte", window, "camhub", floor, None if saturated else 1.2)
    if saturated:
        ratio("CPU per byte until all is written", whole, "camhub", floor, 1.2)
    if "original" in good[0]:
        ratio("CPU per byte", window, "original", "camhub", None if h264 else 4.0, at_least=True)


def ingest(place, plan, name, cameras, rate, h264, with_original=False):
    pace = f"{rate} messages/s each" if rate else "as fast as they can"
    files = "two files each" if h264 else "one file each"
    step = Step(name, f"ingest: {cameras} cameras, 20 kB messages, {pace}; {files}")
    options = {"cameras": cameras, "size": MESSAGE_BYTES, "rate": rate,
               "warmup": plan.pick(1000 if rate else 500, 500),
               "window": plan.pick(3000 if rate else 2000, 1000)}
    if rate == 0:
        options["gate"] = True
    floor = Floor(place, 2 if h264 else 1).name
    sides = {floor: lambda: Floor(place, 2 if h264 else 1), "camhub": lambda: Camhub(place, h264)}
    if with_original:
        sides["original"] = lambda: Original(place)
    for i in range(plan.rounds):
        figures = {}
        for side in plan.order(sides, i):
            figures[side] = ingest_round(place, plan, sides[side], options, rate)
        step.rounds.append(figures)
    good = drop_void_rounds(step, rate > 0, rate * cameras * WIRE_BYTES / 1e6)
    if good:
        ingest_ratios(step, plan, good, floor, h264, rate == 0)
    return step, ingest_table(step, sides, rate == 0)


def ingest_saturated(place, plan):
    return ingest(place, plan, "ingest-saturated", 16, 0, h264=False)


def ingest_paced(place, plan):
    return ingest(place, plan, "ingest-paced", 100, 25, h264=False, with_original=True)


def ingest_saturated_h264(place, plan):
    return ingest(place, plan, "ingest-saturated-h264", 16, 0, h264=True)


def ingest_paced_h264(place, plan):
    return ingest(place, plan, "ingest-paced-h264", 100, 25, h264=True, with_original=True)


# Ending a session

def session_file(folder):
    paths = glob.glob(os.path.join(folder, "*", "session.json"))
    if len(paths) != 1:
        raise BenchError(f"{len(paths)} sessions where one is recorded")
    return paths[0]


def wait_finished(path, timeout_s=60):
    """When session.json, which is replaced and never changed, says finished. Monotonic nanoseconds."""
    deadline = time.monotonic() + timeout_s
    last = None
    while time.monotonic() < deadline:
        status = os.stat(path)
        if (status.st_ino, status.st_mtime_ns) != last:
            last = (status.st_ino, status.st_mtime_ns)
            with open(path, encoding="utf-8") as file:
                if json.load(file)["state"] == "finished":
                    return time.monotonic_ns()
        time.sleep(0.0005)
    raise BenchError(f"session not finished {timeout_s} s after capture_stopped")


def mux_ms(place, folder):
    """What the original did at the end: a copy of the whole stream through ffmpeg."""
    command = [os.environ.get("FFMPEG_BIN", "ffmpeg"), "-nostdin", "-loglevel", "error", "-y", "-f", "h264", "-r", "60",
               "-i", os.path.join(folder, "stream.h264"), "-c", "copy", os.path.join(folder, "out.mp4")]
    begin = time.monotonic_ns()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          preexec_fn=lambda: os.sched_setaffinity(0, {place.server_core}), check=False)
    took = time.monotonic_ns() - begin
    if done.returncode != 0 or os.path.getsize(os.path.join(folder, "out.mp4")) == 0:
        raise BenchError(f"ffmpeg: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return took / 1e6


def ending_round(place, plan, frame_bytes):
    frames = plan.pick(1000, 250)
    options = {"cameras": 1, "size": frame_bytes, "frames": frames, "rate": 250, "pause": plan.pick(3000, 1500),
               "hold": True}
    reserve = place.clean(frame_bytes * frames * 3)
    try:
        with Camhub(place, h264=True, thumbnails=True) as server:
            reserve.release()
            with Load(place, server, options) as load:
                load.wait("window_begin")
                load.wait("window_end")
                path = session_file(server.folder)
                stopping = load.wait("stopping")["ns"]
                took_ms = (wait_finished(path) - stopping) / 1e6
                load.let_go()
                result = load.wait("result")
            server.settle()
            server.stop()
            server.check(result)
            mux = mux_ms(place, os.path.dirname(path))
    finally:
        reserve.release()
    return {"camhub_ms": took_ms, "original_ms": mux, "payload_bytes": result["payload_bytes"],
            "pictures": result["pictures"], "lag_us": result["lag_us"]}


def ending(place, plan):
    frames = plan.pick(1000, 250)
    sizes = {"small": 40000, "large": 640000}
    label = {k: f"{v * frames // 1000000} MB" for k, v in sizes.items()}
    step = Step("ending", f"ending a session: capture_stopped to finished, {frames} frames")
    for i in range(plan.rounds):
        figures = {}
        for size in plan.order(sizes, i):
            figures[size] = ending_round(place, plan, sizes[size])
        step.rounds.append(figures)
    rows = [["", "camhub ms", "original's way (ffmpeg -c copy) ms"]]
    for size in sizes:
        rows.append([label[size], Spread([r[size]["camhub_ms"] for r in step.rounds]).text(1),
                     Spread([r[size]["original_ms"] for r in step.rounds]).text(0)])
    for way, target in (("camhub", 1.5), ("original", None)):
        large, small = ([r[size][way + "_ms"] for r in step.rounds] for size in ("large", "small"))
        step.ratios.append(Ratio(f"{way}, {label['large']} / {label['small']}", [a / b for a, b in zip(large, small)],
                                 target, judged=not plan.quick, overall=Spread(large).median / Spread(small).median))
    return step, table(rows)


# Memory

def idle_round(place, plan, cameras):
    place.clean()
    with Camhub(place, h264=True) as server:
        time.sleep(0.3)
        fresh = memory_kb(server.process.pid)
        with Load(place, server, {"cameras": 1, "idle": True}) as load:
            load.wait("result")
        time.sleep(0.3)
        empty = memory_kb(server.process.pid)
        with Load(place, server, {"cameras": cameras, "idle": True, "hold": True}) as load:
            load.wait("connected")
            time.sleep(plan.pick(1.5, 0.7))
            full = memory_kb(server.process.pid)
            load.let_go()
            load.wait("result")
        server.stop()
    return {"fresh_rss_kb": fresh[0], "empty_rss_kb": empty[0], "rss_kb": full[0],
            "fresh_anon_kb": fresh[1], "empty_anon_kb": empty[1], "anon_kb": full[1]}


def memory_idle(place, plan):
    cameras = 200
    step = Step("memory-idle", f"memory: {cameras} cameras connected, ready, idle")
    for _ in range(plan.rounds):
        step.rounds.append({"camhub": idle_round(place, plan, cameras)})
    rounds = [r["camhub"] for r in step.rounds]
    per_camera = lambda r, key, base: (r[key] - r[base + "_" + key]) / cameras
    rows = [["kB", "just started", "empty", f"{cameras} cameras", "each above empty", "each above just started"]]
    for what, key in (("VmRSS", "rss_kb"), ("RssAnon", "anon_kb")):
        rows.append([what] + [Spread([r[k] for r in rounds]).text(0) for k in ("fresh_" + key, "empty_" + key, key)] +
                    [Spread([per_camera(r, key, base) for r in rounds]).text(2) for base in ("empty", "fresh")])
    step.ratios.append(Ratio("kB of VmRSS per idle camera, above the empty hub",
                             [per_camera(r, "rss_kb", "empty") for r in rounds], 4.0, judged=not plan.quick))
    return step, table(rows)


def recording_round(place, plan, options):
    samples = []
    seconds = (options["warmup"] + options["window"] + 500) / 1000
    reserve = place.clean(int(options["cameras"] * 250000 * seconds * 2.2))
    try:
        with Camhub(place, h264=True) as server:
            time.sleep(0.3)
            empty = memory_kb(server.process.pid)
            reserve.release()
            with Load(place, server, options) as load:
                load.wait("window_begin")
                load.wait("window_end", tick=lambda: samples.append(memory_kb(server.process.pid)))
                result = load.wait("result")
            server.settle()
            server.stop()
            server.check(result)
    finally:
        reserve.release()
    rss = Spread([s[0] for s in samples])
    anon = Spread([s[1] for s in samples])
    return {"empty_rss_kb": empty[0], "empty_anon_kb": empty[1], "rss_peak_kb": rss.high, "rss_median_kb": rss.median,
            "anon_peak_kb": anon.high, "anon_median_kb": anon.median, "samples": len(samples),
            "cpu_share": result["window"]["server_cpu_s"] / result["window"]["seconds"],
            "server_core_busy": result["window"]["server_core_busy"],
            "client_core_busy": result["window"]["client_core_busy"],
            "mb_per_s": result["window"]["received_bytes"] / result["window"]["seconds"] / 1e6,
            "lag_us": result["lag_us"], "ping_us": result["ping_us"]}


def memory_recording(place, plan):
    cameras = 200
    delta, key, interval = 17857, 89287, 10  # 9 * delta + key = 250 kB: one second of 2 Mbit/s
    gops_kb = cameras * (9 * delta + key) / 1024
    options = {"cameras": cameras, "size": delta, "key-size": key, "key-interval": interval, "rate": 10,
               "warmup": plan.pick(2500, 1000), "window": plan.pick(6000, 1500)}
    step = Step("memory-recording", f"memory: {cameras} cameras recording 2 Mbit/s, 10 fps, one key frame per second")
    for _ in range(plan.rounds):
        step.rounds.append({"camhub": recording_round(place, plan, options)})
    rounds = [r["camhub"] for r in step.rounds]
    above = lambda r, key: r[key] - r["empty_rss_kb" if key.startswith("rss") else "empty_anon_kb"]
    rows = [["MB above the empty hub", "peak", "median", "CPU", "MB/s", "client core", "ping ms " + LATENCY]]
    for what, short in (("VmRSS", "rss"), ("RssAnon", "anon")):
        rows.append([what, Spread([above(r, short + "_peak_kb") / 1024 for r in rounds]).text(1),
                     Spread([above(r, short + "_median_kb") / 1024 for r in rounds]).text(1),
                     f"{100 * Spread([r['cpu_share'] for r in rounds]).median:.0f} %",
                     Spread([r["mb_per_s"] for r in rounds]).text(0),
                     f"{100 * Spread([r['client_core_busy'] for r in rounds]).median:.0f} %",
                     *latency_cells(rounds, "ping_us")])
    rows.append(["one GOP of each", f"{gops_kb / 1024:.1f}", "", "", "", "", ""])
    good = drop_void_rounds(step, True, cameras * 0.25)
    step.ratios.append(Ratio("peak VmRSS above the empty hub / bytes of one GOP each",
                             [above(r["camhub"], "rss_peak_kb") / gops_kb for r in good or step.rounds], 1.3,
                             judged=not plan.quick))
    return step, table(rows)


STEPS = {
    "ingest-saturated": ingest_saturated,
    "ingest-paced": ingest_paced,
    "ingest-saturated-h264": ingest_saturated_h264,
    "ingest-paced-h264": ingest_paced_h264,
    "ending": ending,
    "memory-idle": memory_idle,
    "memory-recording": memory_recording,
}
GROUPS = {
    "ingest": ["ingest-saturated", "ingest-paced", "ingest-saturated-h264", "ingest-paced-h264"],
    "original": ["ingest-paced", "ingest-paced-h264"],
    "memory": ["memory-idle", "memory-recording"],
}
