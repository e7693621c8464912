"""A listener on /api/v1/events: everything that comes is checked against the contract and kept."""
import asyncio

import websockets

import contract
from camera import call, loop
from hub import wait_until


class Listener:
    def __init__(self, hub, **options):
        self.messages = []
        self.texts = []
        self.fault = None
        self.socket = call(self._connect(hub.url(path='/api/v1/events'), options))
        asyncio.run_coroutine_threadsafe(self._read(), loop())

    async def _connect(self, url, options):
        return await websockets.connect(url, max_size=None, ping_interval=None, close_timeout=5, **options)

    async def _read(self):
        try:
            async for text in self.socket:
                self.messages.append(contract.check_event(text))
                self.texts.append(text)
        except websockets.ConnectionClosed:
            pass
        except AssertionError as fault:
            self.fault = fault

    def of(self, kind):
        return [m for m in self.messages if m['type'] == kind]

    def wait(self, question, what='event', timeout=15):
        """Waits until the question is true of a message; that message."""
        def found():
            if self.fault:
                raise self.fault
            return next((m for m in self.messages if question(m)), None)
        return wait_until(found, timeout, lambda: '%s; have %s' % (what, [str(m)[:150] for m in self.messages[-12:]]))

    def wait_kind(self, kind, count=1, timeout=15):
        wait_until(lambda: self.fault or len(self.of(kind)) >= count, timeout, '%d %s' % (count, kind))
        if self.fault:
            raise self.fault
        return self.of(kind)[count - 1]

    def wait_camera(self, name, state):
        return self.wait(lambda m: m['type'] == 'camera' and m['camera']['name'] == name and
                         m['camera']['state'] == state, '%s %s' % (name, state))['camera']

    def states(self, name):
        """The states of a camera in their order, without repeats."""
        seen = []
        for message in self.messages:
            for camera in message.get('cameras', []) if message['type'] == 'cameras' else [message.get('camera')]:
                if isinstance(camera, dict) and camera['name'] == name and seen[-1:] != [camera['state']]:
                    seen.append(camera['state'])
            if message['type'] == 'camera_removed' and message['name'] == name:
                seen.append('removed')
        return seen

    def lines(self):
        return [line for m in self.of('log') for line in m['lines']]

    def send(self, data):
        call(self.socket.send(data))

    def wait_closed(self, timeout=15):
        call(asyncio.wait_for(self.socket.wait_closed(), timeout), timeout + 5)
        return self.socket.close_code, self.socket.close_reason

    def abort(self):
        loop().call_soon_threadsafe(self.socket.transport.abort)
