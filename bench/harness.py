"""What every step needs: the servers, the load generator, and a clean place for their files.

Server on one core, client on another; every server's files on the same file system; between two
measurements everything is deleted and synced, so that nobody pays for another's dirty pages.
"""
import contextlib
import glob
import json
import mmap
import os
import queue
import resource
import shutil
import signal
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 60
LOAD_TIMEOUT_S = 180
QUIET_S = 1.4
MIN_FREE_BYTES = 12 << 30

MADV_HUGEPAGE = 14
MADV_POPULATE_WRITE = 23


class BenchError(Exception):
    """Something could not run, or did not do its work."""


class Place:
    """The programs, the cores, and the folder for data."""

    def __init__(self, build, data, server_core, client_core):
        self.build = build
        self.data = data
        self.server_core = server_core
        self.client_core = client_core
        self.camhub = self.program("camhub", "src/cli/camhub")
        self.floor = self.program("bench/floor")
        self.loadgen = self.program("bench/loadgen")
        self.floor_live = self.program("bench/floor-live")
        self.viewers = self.program("bench/viewers")

    def program(self, *names):
        for name in names:
            path = os.path.join(self.build, name)
            if os.access(path, os.X_OK) and os.path.isfile(path):
                return path
        raise BenchError(f"{self.build}: no program {' or '.join(names)} (build with -Dbench=true)")

    def clean(self, reserve_bytes=0):
        """An empty data folder, no dirty page left of what was in it, and a Reserve.

        The reserve is taken before the sync: what was deleted a moment ago is memory still at hand.
        """
        shutil.rmtree(self.data, ignore_errors=True)
        os.makedirs(self.data)
        reserve = Reserve(reserve_bytes)
        os.sync()
        if shutil.disk_usage(self.data).free < MIN_FREE_BYTES:
            raise BenchError(f"{self.data}: less than {MIN_FREE_BYTES >> 30} GiB free")
        return reserve

    def remove(self):
        shutil.rmtree(self.data, ignore_errors=True)


class Reserve:
    """Memory for the page cache, fetched from the hypervisor before the clock starts.

    A virtual machine that hands free memory back to its host pays for every page it takes again: here
    up to three times what writing the page costs, and not always the same. That would drown the
    differences between servers. Released just before the load, what is reserved is what gets used, for
    the next few seconds at least. (Letting it go bit by bit as it is used was tried and was no better.)
    """

    def __init__(self, size):
        available = int(_field("/proc/meminfo", "MemAvailable")) * 1024
        self.size = int(min(size, available // 3)) >> 21 << 21
        self.memory = mmap.mmap(-1, self.size) if self.size else None
        if not self.memory:
            return
        with contextlib.suppress(OSError):
            self.memory.madvise(MADV_HUGEPAGE)
        try:
            self.memory.madvise(MADV_POPULATE_WRITE)
        except OSError:  # before Linux 5.14
            for at in range(0, self.size, mmap.PAGESIZE):
                self.memory[at] = 1

    def release(self):
        if self.memory:
            self.memory.close()
            self.memory = None


def _field(path, name):
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(name + ":"):
                return line.split()[1]
    raise BenchError(f"{path}: no {name}")


def memory_kb(pid):
    """Resident memory of a process: all, and the part that is its own."""
    path = f"/proc/{pid}/status"
    return int(_field(path, "VmRSS")), int(_field(path, "RssAnon"))


def _prepare_child(core):
    def prepare():
        os.sched_setaffinity(0, {core})
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return prepare


class Server:
    """A program that says `listening on HOST:PORT` on standard error. Use as a context manager."""

    name = "server"
    raw = False

    def __init__(self, place):
        self.place = place
        self.folder = os.path.join(place.data, "files")
        self.log = os.path.join(place.data, "server.log")
        self.process = None
        self.port = None
        self.output = ""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {k: v for k, v in os.environ.items() if not k.startswith("CAMHUB_")}

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                env=self.environment(), preexec_fn=_prepare_child(self.place.server_core))
        try:
            self.port = self._wait_for_port()
        except BaseException:
            self._kill()
            raise
        return self

    def _wait_for_port(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                for line in log:
                    if "listening on " in line and line.endswith("\n"):
                        return int(line.split("listening on ")[1].split()[0].rsplit(":", 1)[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise BenchError(f"{self.name} did not start: {self.log_tail()}")

    def log_tail(self):
        with contextlib.suppress(OSError):
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return " | ".join(log.read()[-600:].splitlines()[-4:])
        return "no log"

    def stop(self):
        """SIGTERM; what it printed is in `output`. It must end by itself and well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            out, _ = self.process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.name} did not end within {STOP_TIMEOUT_S} s of SIGTERM") from None
        self.output = out.decode(errors="replace")
        if self.process.returncode not in (0, -signal.SIGTERM):
            raise BenchError(f"{self.name} ended with status {self.process.returncode}: {self.log_tail()}")

    def _kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def __exit__(self, *_):
        self._kill()

    def wait_written(self):
        """Waits until no file has grown for longer than camhub's interval between two syncs."""
        size, since, begin = -1, 0.0, time.monotonic()
        while size < 0 or time.monotonic() - since < QUIET_S:
            now = self.files_bytes("**")
            if now != size:
                size, since = now, time.monotonic()
            if since - begin > STOP_TIMEOUT_S:
                raise BenchError(f"{self.name} still writes {STOP_TIMEOUT_S} s after the last byte was sent")
            time.sleep(0.1)

    def settle(self):
        """Waits until all sessions are finished."""

    def check(self, load):
        """Raises unless the files hold what the load generator sent. After stop()."""

    def cpu_s(self):
        """User and system time of all its threads so far: the process's CPU clock, clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def files_bytes(self, pattern):
        return sum(os.path.getsize(p) for p in glob.glob(os.path.join(self.folder, pattern), recursive=True))

    def expect(self, what, found, wanted):
        if found != wanted:
            raise BenchError(f"{self.name}: {what}: {found}, sent were {wanted}: {self.log_tail()}")


class Floor(Server):
    raw = True

    def __init__(self, place, files):
        super().__init__(place)
        self.files = files
        self.name = "floor" if files == 1 else f"floor x{files}"

    def command(self):
        return [self.place.floor, "--dir", self.folder, "--files", str(self.files)]

    def check(self, load):
        totals = json.loads(self.output)
        self.expect("bytes received", totals["received"], load["bytes"])
        self.expect("bytes in files", self.files_bytes("*.bin"), load["bytes"] * self.files)


class Camhub(Server):
    name = "camhub"

    def __init__(self, place, h264, thumbnails=False):
        super().__init__(place)
        self.h264 = h264
        self.thumbnails = thumbnails

    def command(self):
        command = [self.place.camhub, "serve", "--host", "127.0.0.1", "--port", "0", "--recordings", self.folder,
                   "--open"]
        return command if self.h264 else command + ["--no-h264"]

    def environment(self):
        environment = super().environment()
        if not self.thumbnails:
            environment["FFMPEG_BIN"] = "/bin/false"
        return environment

    def sessions(self):
        found = []
        for path in glob.glob(os.path.join(self.folder, "*", "session.json")):
            with open(path, encoding="utf-8") as file:
                found.append(json.load(file))
        return found

    def settle(self):
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while any(s["state"] != "finished" for s in self.sessions()):
            if time.monotonic() > deadline:
                raise BenchError(f"camhub has unfinished sessions {STOP_TIMEOUT_S} s after the last byte")
            time.sleep(0.05)

    def check(self, load):
        sessions = self.sessions()
        self.expect("sessions", len(sessions), load["cameras"])
        self.expect("messages recorded", sum(s["counts"]["messages"] for s in sessions), load["messages"])
        self.expect("pictures recorded", sum(s["counts"]["frames"] for s in sessions), load["pictures"])
        self.expect("bytes in stream.h264", self.files_bytes("*/stream.h264"), load["payload_bytes"] * self.h264)
        if self.files_bytes("*/stream*.mp4") < load["payload_bytes"]:
            raise BenchError("camhub: the MP4 files are smaller than what was sent")
        if any(s["verdict"] == "damaged" for s in sessions):
            raise BenchError(f"camhub calls a session damaged: {self.log_tail()}")


class Original(Server):
    name = "original"

    def command(self):
        return ["/usr/bin/python3", os.path.join(HERE, "original_server.py"), "--recordings", self.folder]

    def check(self, load):
        self.expect("bytes in stream.h264", self.files_bytes("*/stream.h264"), load["payload_bytes"])


class Load:
    """A running load generator (place.loadgen, if none is named). Events: its output, one JSON object per line."""

    def __init__(self, place, server, options, program=None):
        command = [program or place.loadgen, "--port", str(server.port), "--server-pid", str(server.process.pid),
                   "--server-core", str(place.server_core), "--client-core", str(place.client_core)]
        for key, value in options.items():
            command += [f"--{key}"] if value is True else [f"--{key}", str(value)]
        if server.raw:
            command.append("--raw")
        self.server = server
        self.events = queue.Queue()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def wait(self, name, tick=None, tick_s=0.02):
        """The next event of that name; tick() is called meanwhile."""
        deadline = time.monotonic() + LOAD_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                event = self.events.get(timeout=tick_s if tick else 1)
            except queue.Empty:
                if tick:
                    tick()
                continue
            if event is None:
                error = "; ".join(self.process.stderr.read().split("\n")).strip("; ")
                raise BenchError(f"load generator: {error or 'ended early'}; server: {self.server.log_tail()}")
            if event["event"] == name:
                return event
        raise BenchError(f"load generator: no {name} within {LOAD_TIMEOUT_S} s")

    def let_go(self):
        """Ends a --gate or --hold."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def measure(place, server, options, reserve_bytes, program=None):
    """One round of one side: its load generator's result, after the files have been checked. With `gate` also
    the CPU time of it all until everything sent was written and synced, but the sessions not yet ended."""
    reserve = place.clean(reserve_bytes)
    try:
        with server:
            reserve.release()
            before, after = server.cpu_s(), None
            with Load(place, server, options, program) as load:
                if "gate" in options:
                    load.wait("sent")
                    server.wait_written()
                    after = server.cpu_s()
                    load.let_go()
                result = load.wait("result")
            result["whole_cpu_s"] = after - before if after else None
            server.settle()
            server.stop()
            server.check(result)
    finally:
        reserve.release()
    return result
