"""How long a viewer waits for its first picture of a source: cold (its ffmpeg is started for this viewer) and warm (it
runs already). The floor of a cold start is ffmpeg itself: the very command that the hub starts, until the first picture
stands in its output."""
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time

from harness import BenchError, Camhub
from report import Ratio, Spread, table
from steps import Step

LIMIT_S = 30
CLIP_S = 20
VIEWERS = {"fMP4": "/live/{}", "FLV": "/live/{}?format=flv"}
AVC_PICTURE = (b"\x17\x01", b"\x27\x01")  # FLV: frame and codec, packet type (Adobe, E.4.3)


def make_clip(path):
    """H.264 and AAC, a key picture per second."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=25:duration={CLIP_S}",
                    "-f", "lavfi", "-i", f"sine=duration={CLIP_S}", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25",
                    "-pix_fmt", "yuv420p", "-b:v", "2M", "-c:a", "aac", path], check=True)


class SourceHub(Camhub):
    """camhub with a source whose input is copied, and one that is encoded."""

    def __init__(self, place, clip, config):
        super().__init__(place, h264=True)
        self.config = config
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"process": {"shutdown_timeout": 0}, "sources": [
                {"name": "copied", "type": "file", "path": clip},
                {"name": "encoded", "type": "ffmpeg",
                 "args": ["-re", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25"]}]}, file)

    def command(self):
        return super().command() + ["--config", self.config]

    def environment(self):
        environment = super().environment()
        environment.pop("FFMPEG_BIN", None)
        return environment

    def camera(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", f"/api/v1/cameras/{name}")
        answer = json.load(connection.getresponse())
        connection.close()
        return answer

    def wait_for(self, name, state):
        deadline = time.monotonic() + LIMIT_S
        while (answer := self.camera(name))["source"]["state"] != state:
            if time.monotonic() > deadline:
                raise BenchError(f"{name} is not {state} after {LIMIT_S} s: {answer['source']}")
            time.sleep(0.02)
        return answer


class Viewer:
    """A WebSocket that only looks for the first picture."""

    def __init__(self, port, path):
        self.began = time.monotonic()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())

    def first_picture_ms(self, marks):
        seen = b""
        while not any(mark in seen for mark in marks):
            more = self.socket.recv(65536)
            if not more:
                raise BenchError("the hub closed a viewer before its first picture: " + repr(seen[-80:]))
            seen += more
        return (time.monotonic() - self.began) * 1e3

    def close(self):
        self.socket.close()


def marks_of(form):
    return [b"mdat"] if form == "fMP4" else AVC_PICTURE


def floor_ms(command, core):
    """ffmpeg's own time to the first picture, on the hub's core and at its children's priority."""
    def prepare():
        os.sched_setaffinity(0, {core})
        os.nice(5)
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          preexec_fn=prepare) as child:
        seen = b""
        while not any(mark in seen for mark in AVC_PICTURE):
            more = os.read(child.stdout.fileno(), 65536)
            if not more:
                raise BenchError("ffmpeg ended without a picture: " + " ".join(command))
            seen += more
        took = (time.monotonic() - began) * 1e3
        child.kill()
    return took


def command_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return [word.decode() for word in file.read().split(b"\0")[:-1]]


def one_source(place, hub, name):
    """Cold and warm, in both formats, and the floor."""
    figures = {}
    for form, path in VIEWERS.items():
        hub.wait_for(name, "stopped")
        first = Viewer(hub.port, path.format(name))
        figures[f"cold {form}"] = first.first_picture_ms(marks_of(form))
        time.sleep(0.37) # anywhere between two key pictures
        second = Viewer(hub.port, path.format(name))
        figures[f"warm {form}"] = second.first_picture_ms(marks_of(form))
        command = command_of(hub.wait_for(name, "running")["statistics"]["pid"])
        first.close()
        second.close()
    hub.wait_for(name, "stopped")
    figures["floor"] = floor_ms(command, place.server_core)
    return figures


def source_start(place, plan):
    step = Step("source-start", "sources: from a viewer's connect to its first picture, ms")
    place.clean()
    with tempfile.TemporaryDirectory(prefix="camhub-bench-") as folder:
        clip = os.path.join(folder, "clip.mp4")
        make_clip(clip)
        with SourceHub(place, clip, os.path.join(folder, "sources.json")) as hub:
            for _ in range(plan.rounds):
                step.rounds.append({name: one_source(place, hub, name) for name in ("copied", "encoded")})
            hub.stop()
    names = ("copied", "encoded")
    columns = list(step.rounds[0]["copied"])
    rows = [["source", *columns]]
    for name in names:
        rows.append([name, *(Spread([r[name][column] for r in step.rounds]).text(1) for column in columns)])
        for form in VIEWERS:
            step.ratios.append(Ratio(f"{name}, cold {form} / ffmpeg alone",
                                     [r[name][f"cold {form}"] / r[name]["floor"] for r in step.rounds], None))
    return step, table(rows)


STEPS = {"source-start": source_start}
