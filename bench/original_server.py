#!/usr/bin/env python3
"""A peer for the ingest benchmark: the kind of server that camhub replaces.

Python, asyncio and the `websockets` library as Debian ships them, doing per message what the wire
protocol says the original did: take the 16-byte header apart with struct, log a [Frame] line, append
the payload to the session's stream.h264. The MP4 was made afterwards by an ffmpeg child; that is
measured elsewhere (run.py ending) and left out here.

It is written to be fair: no work the protocol does not ask for, and the library's own defaults.
"""
import argparse
import asyncio
import datetime
import json
import logging
import os
import signal
import struct
import sys

import websockets

HEADER = struct.Struct(">QII")
log = logging.getLogger("camera")


class Session:
    """One recording: a folder with stream.h264 in it."""

    def __init__(self, root, client):
        stamp = datetime.datetime.now().strftime("%Y%m%d_%H%M%S")
        self.folder = os.path.join(root, f"{client}_{stamp}")
        os.makedirs(self.folder)
        self.file = open(os.path.join(self.folder, "stream.h264"), "wb")
        self.frames = 0
        self.arrivals = [None, None]
        self.device_times = [None, None]

    def append(self, device_ms, payload):
        now = datetime.datetime.now().timestamp()
        for times, value in ((self.arrivals, now), (self.device_times, device_ms)):
            if times[0] is None:
                times[0] = value
            times[1] = value
        self.file.write(payload)
        self.frames += 1

    def close(self):
        self.file.close()
        log.info("[Info] %s: %d frames", self.folder, self.frames)


class Camera:
    """One connection."""

    def __init__(self, socket, root):
        self.socket = socket
        self.root = root
        self.client = "{}_{}".format(*socket.remote_address[:2])
        self.session = None

    def on_text(self, text):
        try:
            message = json.loads(text)
        except ValueError:
            log.info("[Info] %s: %s", self.client, text)
            return
        status = message.get("status")
        log.info("[App Status] %s: %s %s", self.client, status or message.get("type"), message.get("message"))
        if status == "capture_started":
            self.end()
            self.session = Session(self.root, self.client)
        elif status == "capture_stopped":
            self.end()

    def on_binary(self, data):
        if len(data) < HEADER.size:
            log.error("[Error] %s: message of %d bytes", self.client, len(data))
            return
        device_ms, sequence, size = HEADER.unpack_from(data)
        payload = data[HEADER.size:]
        if len(payload) != size:
            log.error("[Error] %s: %d bytes announced, %d came", self.client, size, len(payload))
            return
        log.info("[Frame] %s: sequence %d, %d ms, %d bytes", self.client, sequence, device_ms, size)
        if self.session:
            self.session.append(device_ms, payload)

    def end(self):
        if self.session:
            self.session.close()
            self.session = None

    async def run(self):
        log.info("[Connection] %s connected", self.client)
        try:
            async for message in self.socket:
                if isinstance(message, str):
                    self.on_text(message)
                else:
                    self.on_binary(message)
        except websockets.ConnectionClosed:
            pass
        finally:
            self.end()
            log.info("[Connection] %s gone", self.client)


async def serve(options):
    stopped = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set_result, None)
    handler = lambda socket, path=None: Camera(socket, options.recordings).run()
    async with websockets.serve(handler, "127.0.0.1", options.port) as server:
        print("listening on 127.0.0.1:%d" % server.sockets[0].getsockname()[1], file=sys.stderr, flush=True)
        await stopped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--recordings", required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
