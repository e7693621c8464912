"""The steps of live viewing: what sending one camera's pictures to many costs, how long it takes, and what viewers that
do not read do to the hub.

All sides get the same pictures from the same camera and send the same number of bytes to the same viewers; the load
generator (viewers.c) reads them all and gives no result if they are not what was sent.
"""
import json
import os
import shutil
import subprocess

from harness import HERE, BenchError, Camhub, Server, measure
from report import Ratio, Spread, table
from steps import BUSY_LIMIT, LATENCY, Step, latency_cells, note_strangers

MESSAGE_BYTES = 10016  # 16 bytes of camera header and a picture of 10 kB: 2 Mbit/s at 25 frames/s
MASKED_HEAD_BYTES = 8
FRAGMENT_BYTES = 4 + 112 + MESSAGE_BYTES - 16  # to a viewer: WebSocket head, fragment header, picture
TAG_BYTES = 4 + 16 + MESSAGE_BYTES - 16 + 4  # as FLV: WebSocket head, tag header, picture, size of the tag
# At 5000 viewers and 25 frames/s the floor alone takes a whole core, and what waits for a core is no measure of cost.
RATES = {100: 25, 1000: 25, 5000: 10}
PEERS = os.path.join(HERE, "peers")
INSTALL_TIMEOUT_S = 120
STUCK = 1000


class LiveFloor(Server):
    name = "floor"
    raw = True

    def command(self):
        return [self.place.floor_live, "--message", str(MESSAGE_BYTES + MASKED_HEAD_BYTES)]

    def check(self, load):
        self.expect("sends", json.loads(self.output)["sends"], load["viewers"] * load["pictures"])


class Relay(Camhub):
    """camhub with a camera that does not record."""

    def __init__(self, place):
        super().__init__(place, h264=True)

    def check(self, load):
        self.expect("sessions", len(self.sessions()), 0)


class NodePeer(Server):
    name = "ws"

    def command(self):
        return ["node", os.path.join(PEERS, "ws_server.js")]


class PythonPeer(Server):
    name = "websockets"

    def command(self):
        return ["/usr/bin/python3", os.path.join(PEERS, "websockets_server.py")]


def install_node_peer():
    """Fetches what package-lock.json names, once. What stands in the way, or nothing."""
    lock, mark = (os.path.join(PEERS, name) for name in ("package-lock.json", "node_modules/.installed"))
    if not shutil.which("node"):
        return "there is no node"
    with open(lock, "rb") as file:
        wanted = file.read()
    if os.path.exists(mark):
        with open(mark, "rb") as file:
            if file.read() == wanted:
                return None
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=PEERS, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"npm ci: {error}"
    if done.returncode != 0:
        return "npm ci failed: " + " ".join(done.stderr.decode(errors="replace").split())[-200:]
    shutil.copyfile(lock, mark)
    return None


def python_peer_missing():
    done = subprocess.run(["/usr/bin/python3", "-c", "import websockets"], check=False, capture_output=True)
    return "python3-websockets is not installed" if done.returncode else None


def add_peers(step, sides):
    for side, peer, obstacle in (("ws", NodePeer, install_node_peer()),
                                 ("websockets", PythonPeer, python_peer_missing())):
        if obstacle:
            step.notes.append(f"without {side}: {obstacle}")
        else:
            sides[side] = lambda place, peer=peer: peer(place)


# Sending to many

def round_of(place, server, options):
    load = measure(place, server, options, 0, place.viewers)
    window, expected = load["window"], load["viewers"] * load["pictures"]
    if load["received"] + load["lost"] != expected or load["compared"] == 0:
        raise BenchError(f"{server.name}: {load['received']} of {expected} pictures came, {load['lost']} known as lost")
    if window["pictures"] == 0:
        raise BenchError(f"{server.name}: a measured window without a picture")
    return {
        "cpu_us_per_picture": window["server_cpu_s"] * 1e6 / window["pictures"],
        "cpu_ns_per_byte": window["server_cpu_s"] * 1e9 / window["bytes"],
        "cpu_share": window["server_cpu_s"] / window["seconds"],
        "bytes_per_picture": window["bytes"] / window["pictures"],
        "mb_per_s": window["bytes"] / window["seconds"] / 1e6,
        "pictures_per_s": window["pictures"] / window["seconds"],
        "client_core_busy": window["client_core_busy"],
        "client_cpu_share": window["client_cpu_s"] / window["seconds"],
        "server_core_busy": window["server_core_busy"],
        **{key: load[key] for key in ("lost", "drops", "latency_us", "first_us", "last_us", "lag_us")},
    }


def held_ms(side):
    return int(side.split("=")[1]) if "coalesce=" in side else 0


def picture_bytes(side):
    return TAG_BYTES if "=flv" in side else FRAGMENT_BYTES


def run_rounds(place, plan, step, sides, options):
    """The sides' rounds, with each side's own options (the path, that is)."""
    for i in range(plan.rounds):
        figures = {}
        for side in plan.order(sides, i):
            path = {"path": "/live/bench" + side.split()[1]} if " " in side else {}
            figures[side] = round_of(place, sides[side](place), {**options, **path})
        step.rounds.append(figures)


def fits(figures):
    """A client without time to read measures itself, and pictures left out cost nothing."""
    return figures["client_core_busy"] <= BUSY_LIMIT and figures["lost"] == 0


def good_rounds(step, side):
    """The rounds in which what was measured of this side and of the floor counts."""
    return [r for r in step.rounds if fits(r["floor"]) and fits(r[side])]


def judge_rounds(step, options, judged):
    """Says what was wrong with which side. Void if for one of the judged sides half of the rounds do not count."""
    note_strangers(step)
    nominal = options["viewers"] * options["rate"]
    for side in step.rounds[0]:
        rounds = [r[side] for r in step.rounds]
        bad = len(rounds) - len(good_rounds(step, side))
        if bad:
            busiest = max(r["client_core_busy"] for r in rounds)
            step.notes.append(f"{side}: {bad} of {len(rounds)} rounds void (client's core up to {100 * busiest:.0f} % "
                              f"busy, up to {max(r['lost'] for r in rounds)} pictures left out)")
        slowest = min(r["pictures_per_s"] for r in rounds)
        if slowest < (0.97 - held_ms(side) / options["window"]) * nominal:
            step.notes.append(f"{side} fell behind: {slowest:.0f} of {nominal} pictures per second")
        odd = [r["bytes_per_picture"] for r in rounds if fits(r) and abs(r["bytes_per_picture"] - picture_bytes(side)) > 1]
        if odd:
            step.notes.append(f"{side} sends {odd[0]:.1f} bytes per picture, not {picture_bytes(side)}")
    step.void = any(len(good_rounds(step, side)) * 2 <= len(step.rounds) for side in judged)


def fanout_table(step, sides):
    rows = [["", "CPU us per picture sent", "MB/s", "server CPU", "client core", "latency ms " + LATENCY,
             "first viewer", "last viewer", "send lag ms"]]
    for side in sides:
        rounds = [r[side] for r in step.rounds]
        rows.append([side, Spread([r["cpu_us_per_picture"] for r in rounds]).text(2),
                     Spread([r["mb_per_s"] for r in rounds]).text(0),
                     f"{100 * Spread([r['cpu_share'] for r in rounds]).median:.0f} %",
                     f"{100 * Spread([r['client_core_busy'] for r in rounds]).median:.0f} %",
                     *(cell for key in ("latency_us", "first_us", "last_us", "lag_us")
                       for cell in latency_cells(rounds, key))])
    return table(rows)


def cpu_ratio(step, plan, side, target):
    good = good_rounds(step, side)
    if good:
        step.ratios.append(Ratio(f"CPU per byte, {side} / floor",
                                 [r[side]["cpu_ns_per_byte"] / r["floor"]["cpu_ns_per_byte"] for r in good], target,
                                 judged=not plan.quick))


def load_options(plan, viewers):
    return {"viewers": viewers, "size": MESSAGE_BYTES, "rate": RATES[viewers], "warmup": plan.pick(1000, 400),
            "window": plan.pick(5000, 1000)}


def fanout(viewers):
    def run(place, plan):
        options = load_options(plan, viewers)
        step = Step(f"fanout-{viewers}",
                    f"live: one camera's 10 kB pictures, {options['rate']} per second, to {viewers} viewers")
        sides = {"floor": LiveFloor, "camhub": Relay}
        if viewers <= 1000 or not plan.quick:
            add_peers(step, sides)
        run_rounds(place, plan, step, sides, options)
        judge_rounds(step, options, ["camhub"])
        for side in list(sides)[1:]:
            cpu_ratio(step, plan, side, 1.05 if side == "camhub" else None)
        return step, fanout_table(step, sides)
    return run


def fanout_coalesced(place, plan):
    targets = {"camhub ?coalesce=80": 0.6, "camhub ?coalesce=280": 0.4}
    options = load_options(plan, 1000)
    step = Step("fanout-coalesced", "live: as fanout-1000, pictures held back so many ms and sent together")
    sides = {"floor": LiveFloor, **dict.fromkeys(targets, Relay)}
    run_rounds(place, plan, step, sides, options)
    judge_rounds(step, options, targets)
    for side, target in targets.items():
        cpu_ratio(step, plan, side, target)
    return step, fanout_table(step, sides)


def fanout_flv(place, plan):
    options = load_options(plan, 1000)
    step = Step("fanout-flv", "live: as fanout-1000, as fragmented MP4 and as FLV over WebSocket")
    sides = {"floor": LiveFloor, "camhub": Relay, "camhub ?format=flv": Relay}
    run_rounds(place, plan, step, sides, options)
    judge_rounds(step, options, list(sides)[1:])
    cpu_ratio(step, plan, "camhub", None)
    cpu_ratio(step, plan, "camhub ?format=flv", None)
    good = good_rounds(step, "camhub ?format=flv")
    if good:
        step.ratios.append(Ratio("CPU per picture, FLV / fragmented MP4",
                                 [r["camhub ?format=flv"]["cpu_us_per_picture"] / r["camhub"]["cpu_us_per_picture"]
                                  for r in good], 1.05, judged=not plan.quick))
    return step, fanout_table(step, sides)


def latency(place, plan):
    options = {**load_options(plan, 1000), "window": plan.pick(8000, 1000)}
    step = Step("latency", "live: from the camera's send to each of 1000 viewers, 25 pictures per second")
    sides = {"floor": LiveFloor, "camhub": Relay}
    run_rounds(place, plan, step, sides, options)
    judge_rounds(step, options, ["camhub"])
    good = good_rounds(step, "camhub")
    for what, key, percentile in (("median", "latency_us", "p50"), ("99th percentile", "latency_us", "p99"),
                                  ("median of the first viewer", "first_us", "p50"),
                                  ("99th percentile of the first viewer", "first_us", "p99"),
                                  ("median of the last viewer", "last_us", "p50")):
        added = [(r["camhub"][key][percentile] - r["floor"][key][percentile]) / 1000 for r in good
                 if r["floor"][key]["count"] and r["camhub"][key]["count"]]
        if added:
            step.ratios.append(Ratio(f"ms added to the {what}, camhub - floor", added, None))
    return step, fanout_table(step, sides)


# Viewers that never read

def stuck_round(place, plan):
    options = {"viewers": 10, "stuck": STUCK, "size": MESSAGE_BYTES, "rate": 25, "record": True,
               "warmup": plan.pick(2000, 800), "settle": plan.pick(4000, 800), "window": plan.pick(8000, 1200)}
    with_session = Camhub(place, h264=True)
    load = measure(place, with_session, options, 0, place.viewers)
    sessions = with_session.sessions()
    stuck = load["stuck"]
    grown = stuck["kernel_end"] - stuck["kernel_empty"]
    return {
        "rss_kb_each": (stuck["peak_kb"] - stuck["empty_kb"]) / STUCK,
        "kernel_kb_each": (grown - stuck["kernel_receive"]) / 1024 / STUCK,
        "receive_kb_each": stuck["kernel_receive"] / 1024 / STUCK,
        "kernel_middle_kb_each": (stuck["kernel_middle"] - stuck["kernel_empty"]) / 1024 / STUCK,
        "kernel_both_kb_each": grown / 1024 / STUCK,
        "lost": load["viewers"] * load["pictures"] - load["received"],
        "incomplete": sum(s["verdict"] != "complete" for s in sessions),
        "cpu_share": load["window"]["server_cpu_s"] / load["window"]["seconds"],
        "server_core_busy": load["window"]["server_core_busy"],
        "client_core_busy": load["window"]["client_core_busy"],
        **{key: load[key] for key in ("latency_us", "undisturbed_us", "lag_us")},
    }


def stuck(place, plan):
    step = Step("stuck", f"live: {STUCK} viewers that never read beside 10 that do, 2 Mbit/s, recorded")
    for _ in range(plan.rounds):
        step.rounds.append({"camhub": stuck_round(place, plan)})
    note_strangers(step)
    rounds = [r["camhub"] for r in step.rounds]
    rows = [["kB per stuck viewer", "VmRSS", "kernel", "both ends", "both ends, half-way", "receive queues"],
            [""] + [Spread([r[key] for r in rounds]).text(1) for key in
                    ("rss_kb_each", "kernel_kb_each", "kernel_both_kb_each", "kernel_middle_kb_each",
                     "receive_kb_each")]]
    readers = [["the 10 that read", "latency ms " + LATENCY],
               ["without stuck viewers", *latency_cells(rounds, "undisturbed_us")],
               ["beside them", *latency_cells(rounds, "latency_us")]]
    judged = not plan.quick
    for title, key, target in (("kB of VmRSS per stuck viewer", "rss_kb_each", 16.0),
                               ("kB of kernel memory per stuck viewer", "kernel_kb_each", 300.0),
                               ("pictures that the readers did not get", "lost", 0.0),
                               ("sessions that are not complete", "incomplete", 0.0)):
        worst = max(r[key] for r in rounds) if target == 0 else None
        step.ratios.append(Ratio(title, [r[key] for r in rounds], target, judged=judged, overall=worst))
    step.ratios.append(Ratio("readers' 99th percentile, beside stuck viewers / without",
                             [r["latency_us"]["p99"] / r["undisturbed_us"]["p99"] for r in rounds
                              if r["undisturbed_us"]["count"]], None))
    return step, table(rows) + "\n" + table(readers)


STEPS = {
    "fanout-100": fanout(100),
    "fanout-1000": fanout(1000),
    "fanout-5000": fanout(5000),
    "fanout-coalesced": fanout_coalesced,
    "fanout-flv": fanout_flv,
    "latency": latency,
    "stuck": stuck,
}
GROUPS = {
    "fanout": ["fanout-100", "fanout-1000", "fanout-5000", "fanout-coalesced", "fanout-flv"],
    "live": list(STEPS),
}
