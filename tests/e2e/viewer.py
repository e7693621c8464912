"""Those who watch: with python3-websockets, on a bare socket (and then as slowly as they like), and over HTTP."""
import asyncio
import json
import socket
import threading

import websockets

import mp4live
import wire
from camera import call, loop
from hub import wait_until


class Messages:
    """What a viewer got, in order: dictionaries and bytes."""

    def __init__(self):
        self.all = []

    def texts(self, kind=None):
        return [m for m in list(self.all) if isinstance(m, dict) and kind in (None, m['type'])]

    def binaries(self):
        return [m for m in list(self.all) if isinstance(m, bytes)]

    def films(self):
        """Of an MP4 viewer; the order of messages is checked on the way."""
        films, announced = [], False
        for message in list(self.all):
            if isinstance(message, dict):
                announced = announced or message['type'] == 'stream'
                if not films and not announced:
                    raise AssertionError('%r before `stream`' % message)
            elif message[4:8] == b'ftyp':
                if not announced:
                    raise AssertionError('an init segment without `stream`')
                films.append(mp4live.Film(message, []))
                announced = False
            else:
                if announced:
                    raise AssertionError('`stream` without an init segment')
                films[-1].fragments.append(mp4live.read_fragment(message))
        return films

    def fragments(self):
        return [f for film in self.films() for f in film.fragments]

    def drops(self):
        """[(frames, fragment before, fragment behind)]"""
        out, last, waiting = [], None, None
        for message in list(self.all):
            if isinstance(message, dict):
                if message['type'] == 'drop':
                    waiting = message['frames']
            elif message[4:8] != b'ftyp':
                fragment = mp4live.read_fragment(message)
                if waiting is not None:
                    out.append((waiting, last, fragment))
                last, waiting = fragment, None
        return out

    def wait(self, question, timeout=10, what=None):
        return wait_until(question, timeout, what or (lambda: '%d messages: %s' % (
            len(self.all), [m if isinstance(m, dict) else len(m) for m in self.all[-6:]])))

    def wait_pictures(self, count, timeout=10):
        """Binary messages, without init segments."""
        def enough():
            return sum(1 for m in self.binaries() if m[4:8] != b'ftyp') >= count
        self.wait(enough, timeout)


class Viewer(Messages):
    """A WebSocket as foreign programs have it."""

    def __init__(self, hub, name, query='', path=None, **options):
        super().__init__()
        self.socket = call(self._connect(hub.url(path=path or '/live/' + name + query), options))
        self._reader = asyncio.run_coroutine_threadsafe(self._read(), loop())

    async def _connect(self, url, options):
        return await websockets.connect(url, max_size=None, ping_interval=None, close_timeout=5, **options)

    async def _read(self):
        try:
            async for message in self.socket:
                self.all.append(json.loads(message) if isinstance(message, str) else message)
        except websockets.ConnectionClosed:
            pass

    def send(self, what):
        call(self.socket.send(what))

    async def _ping(self):
        await (await self.socket.ping())

    def ping(self, timeout=10):
        call(self._ping(), timeout)

    def wait_closed(self, timeout=5):
        """(code, reason) of the hub's close."""
        call(asyncio.wait_for(self.socket.wait_closed(), timeout), timeout + 5)
        return self.socket.close_code, self.socket.close_reason

    def close(self):
        call(self.socket.close())

    def abort(self):
        loop().call_soon_threadsafe(self.socket.transport.abort)


class SlowViewer(Messages):
    """A bare socket with a small buffer: reads when it is told to."""

    def __init__(self, hub, name, query='', path=None):
        super().__init__()
        self.peer = wire.Peer.__new__(wire.Peer)
        self.peer.socket = socket.socket()
        self.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.peer.socket.settimeout(10)
        self.peer.socket.connect(('127.0.0.1', hub.port))
        self.peer.port, self.peer.buffer = hub.port, b''
        status, _, _ = self.peer.upgrade(path or '/live/' + name + query)
        if status != 101:
            raise AssertionError('upgrade: %d' % status)
        self.close_code = None
        self._thread = None

    def read_one(self):
        """False at the end."""
        try:
            opcode, payload = self.peer.next_frame()
        except (ConnectionResetError, socket.timeout, OSError):
            return False
        if opcode is None:
            return False
        if opcode == wire.CLOSE:
            self.close_code = int.from_bytes(payload[:2], 'big') if payload else 1005
        elif opcode in (wire.TEXT, wire.BINARY):
            self.all.append(json.loads(payload) if opcode == wire.TEXT else payload)
        return True

    def read_on(self):
        """Reads from now on, in a thread of its own."""
        def run():
            while self.read_one():
                pass
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def close(self):
        self.peer.close()


class HttpViewer(threading.Thread):
    """GET of an answer without end. `head` and `body` grow; `ended` when the hub ended it."""

    def __init__(self, hub, path, extra=''):
        super().__init__(daemon=True)
        self.socket = socket.create_connection(('127.0.0.1', hub.port), 10)
        self.socket.sendall(('GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n' % (path, hub.port, extra)).encode())
        self.data, self.ended = b'', False
        self.start()

    def run(self):
        try:
            while chunk := self.socket.recv(65536):
                self.data += chunk
        except OSError:
            pass
        self.ended = True

    @property
    def head(self):
        return self.data.partition(b'\r\n\r\n')[0].decode('latin1')

    @property
    def body(self):
        return self.data.partition(b'\r\n\r\n')[2]

    def film(self):
        pieces = mp4live.split(self.body)
        if [is_init for is_init, _ in pieces] != [True] + [False] * (len(pieces) - 1):
            raise AssertionError('not one init segment and then pictures')
        return mp4live.Film(pieces[0][1], [mp4live.read_fragment(data) for _, data in pieces[1:]])

    def wait_fragments(self, count, timeout=10):
        wait_until(lambda: len(mp4live.split(self.body)) >= 1 + count, timeout,
                   lambda: '%d fragments, have %d pieces' % (count, len(mp4live.split(self.body))))

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
