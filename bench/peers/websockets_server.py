#!/usr/bin/python3
"""A peer for the fan-out benchmark: Python and the `websockets` library as Debian ships it, with its own defaults and
its own broadcast. What the camera sends at /android-cam/NAME goes, without its 16 bytes of header and behind a fragment
header's worth of bytes, to every viewer at /live/NAME.
"""
import asyncio
import json
import signal
import sys

import websockets

CAMERA_HEADER_BYTES = 16
FRAGMENT_HEAD_BYTES = 112
SETS_BYTES = 100  # parameter sets come in a message of their own, which a real relay would keep for later viewers

viewers = set()
counts = {"sends": 0}


def fragment(sample):
    """As the floor does: zeros but for the size and type of the last box."""
    head = bytes(FRAGMENT_HEAD_BYTES - 8) + (8 + len(sample)).to_bytes(4, "big") + b"mdat"
    return head + sample


async def serve_viewer(socket):
    viewers.add(socket)
    try:
        await socket.wait_closed()
    finally:
        viewers.discard(socket)


async def serve_camera(socket):
    try:
        async for message in socket:
            if isinstance(message, bytes) and len(message) > SETS_BYTES:
                websockets.broadcast(viewers, fragment(message[CAMERA_HEADER_BYTES:]))
                counts["sends"] += len(viewers)
    except websockets.ConnectionClosed:
        pass


async def handle(socket, path=None):
    path = path or socket.path
    await (serve_viewer(socket) if path.startswith("/live/") else serve_camera(socket))


async def main():
    stopped = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set_result, None)
    async with websockets.serve(handle, "127.0.0.1", 0, backlog=4096) as server:
        print("websockets: listening on 127.0.0.1:%d" % server.sockets[0].getsockname()[1], file=sys.stderr, flush=True)
        await stopped
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
