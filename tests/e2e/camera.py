"""A phone, as a foreign client plays it: python3-websockets, the library of the original server.

The connections live on one event loop in a thread of its own; the methods here may be called from the
test's thread and wait for the loop. A ping answered by the hub proves that it has taken everything
that was sent before (`settle`).
"""
import asyncio
import json
import threading
import time

import websockets

from hub import wait_until

_loop = None


def loop():
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        threading.Thread(target=_loop.run_forever, daemon=True).start()
    return _loop


def call(coroutine, timeout=60):
    return asyncio.run_coroutine_threadsafe(coroutine, loop()).result(timeout)


READY = {'status': 'ready', 'message': 'Client is ready'}
STARTED = {'status': 'capture_started', 'message': 'Capture started.'}
STOPPED = {'status': 'capture_stopped', 'message': 'Capture stopped.'}
CAPABILITIES = {
    'type': 'capabilities', 'deviceModel': 'Pixel 7', 'sdkInt': 34,
    'resolutions': [{'width': 1920, 'height': 1080, 'format': 'YUV_420_888', 'lensFacing': 'back'},
                    {'width': 640, 'height': 480, 'format': 'YUV_420_888', 'lensFacing': 'front'}],
    'imageAnalysisResolution': {'width': 1920, 'height': 1080}}


class Camera:
    def __init__(self, hub, name=None, path=None, **options):
        self.texts = []
        self.sent = []        # (time.monotonic(), message) once the kernel has it whole
        self.sent_bytes = 0
        self.socket = call(self._connect(hub.url(name, path), options))
        self._reader = asyncio.run_coroutine_threadsafe(self._read(), loop())

    async def _connect(self, url, options):
        return await websockets.connect(url, max_size=None, ping_interval=None, close_timeout=5, **options)

    async def _read(self):
        try:
            async for message in self.socket:
                self.texts.append(message)
        except websockets.ConnectionClosed:
            pass

    # --- texts -------------------------------------------------------------------------------------

    def text(self, what):
        call(self.socket.send(what if isinstance(what, (str, bytes)) else json.dumps(what)))

    def ready(self):
        self.text(READY)

    def capabilities(self):
        self.text(CAPABILITIES)

    def started(self):
        self.text(STARTED)

    def stopped(self):
        self.text(STOPPED)

    def wait_text(self, count=1, timeout=5):
        """The first `count` messages of the hub, parsed."""
        wait_until(lambda: len(self.texts) >= count, timeout, lambda: '%d texts, have %r' % (count, self.texts))
        return [json.loads(t) for t in self.texts[:count]]

    # --- video -------------------------------------------------------------------------------------

    async def _send_all(self, messages, paced, stop):
        first, begin = None, time.monotonic()
        for message in messages:
            if stop and stop():
                break
            if paced and message.device_ms:
                first = message.device_ms if first is None else first
                await asyncio.sleep(begin + (message.device_ms - first) / 1000 / paced - time.monotonic())
            await self.socket.send(message.bytes())
            self.sent_bytes += len(message.payload)
            if self.socket.transport.get_write_buffer_size() == 0:
                self.sent.append((time.monotonic(), message))

    def send(self, messages, paced=0, timeout=60):
        """Sends Messages: as fast as the hub takes them, or `paced` times real time by their stamps."""
        call(self._send_all(messages, paced, None), timeout)

    def send_in_background(self, messages, paced=1):
        """Returns a future; errors of a lost connection end up in it."""
        return asyncio.run_coroutine_threadsafe(self._send_all(messages, paced, None), loop())

    def binary(self, data):
        """Any binary message; a list goes out as one fragmented message."""
        call(self.socket.send(data))

    async def _settle(self):
        await (await self.socket.ping())

    def settle(self, timeout=20):
        call(self._settle(), timeout)

    # --- ends ---------------------------------------------------------------------------------------

    def close(self):
        call(self.socket.close())

    def abort(self):
        """Ends the TCP connection without a WebSocket close."""
        loop().call_soon_threadsafe(self.socket.transport.abort)

    def wait_closed(self, timeout=5):
        """Waits until the hub closes; (code, reason)."""
        call(asyncio.wait_for(self.socket.wait_closed(), timeout), timeout + 5)
        return self.socket.close_code, self.socket.close_reason

    def open(self):
        return self.socket.open

    def record(self, messages, paced=0):
        """A whole session: started, video, stopped."""
        self.started()
        self.send(messages, paced)
        self.stopped()
        self.settle()
