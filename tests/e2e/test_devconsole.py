"""/dev, the console of the older programs: lines in, log lines and JPEGs out. /esp cameras are on bare WebSockets."""
import json
import os
import subprocess
import time

import camera
import media
import wire
from cases import HubTest, phone
from hub import wait_until
from viewer import HttpViewer, SlowViewer, Viewer


class Console(Viewer):
    """Log lines as strings in `lines`, pictures as bytes in `all`."""

    def __init__(self, hub, **options):
        self.lines = []
        super().__init__(hub, 'dev', path='/dev', **options)

    async def _read(self):
        try:
            async for message in self.socket:
                (self.lines if isinstance(message, str) else self.all).append(message)
        except Exception:  # the end, of whatever kind
            pass

    def wait_line(self, text, timeout=10):
        wait_until(lambda: any(text in line for line in list(self.lines)), timeout,
                   lambda: 'line with %r, have %r' % (text, self.lines[-8:]))


class SlowConsole(SlowViewer):
    def __init__(self, hub):
        super().__init__(hub, 'dev', path='/dev')

    def read_to_the_end(self):
        """Bytes that still came before the hub closed the connection."""
        return len(self.peer.closed())


def jpegs(count, size='320x240', quality=5):
    """Real ones, all different."""
    out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=%s:rate=25' % size,
                          '-frames:v', str(count), '-c:v', 'mjpeg', '-q:v', str(quality), '-f', 'mjpeg', '-'],
                         stdout=subprocess.PIPE, check=True).stdout
    parts = out.split(b'\xff\xd8\xff')[1:]
    return [b'\xff\xd8\xff' + part for part in parts]


class JpegTest(HubTest):
    def esp(self, hub, name='porch'):
        """An ESP32; skips where the hub has no /esp."""
        cam = camera.Camera(hub, path='/esp/' + name)
        self.addCleanup(cam.abort)
        try:
            cam.settle(5)
        except Exception:
            if cam.socket.close_reason == 'Unknown endpoint':
                self.skipTest('this hub has no /esp yet')
            raise
        return cam

    def send_all(self, cam, pictures, pause=0.0):
        for picture in pictures:
            cam.binary(picture)
            if pause:
                time.sleep(pause)
        cam.settle()

    def console(self, hub, kind=Console):
        console = kind(hub)
        self.addCleanup(console.abort if kind is Console else console.close)
        return console


class DevConsole(JpegTest):
    def test_lines(self):
        """What the hub logs, as it is logged; several consoles have the same."""
        hub = self.start_hub()
        consoles = [self.console(hub) for _ in range(3)]
        cam = self.camera(hub, 'roof')
        cam.record(phone(1).phone())
        for console in consoles:
            console.wait_line('roof: ready')
            console.wait_line('capture started')
        hub.wait_finished()
        consoles[0].wait_line('finished: complete')
        log = hub.log_text().splitlines()
        shared = [line for line in consoles[0].lines if line in log]
        self.assertEqual([line for line in log if line in shared], shared)
        self.assertGreater(len(shared), 4)
        self.assertEqual([c.all for c in consoles], [[], [], []])

    def test_commands_to_phones(self):
        hub = self.start_hub()
        cams = [self.camera(hub, name) for name in ('a', 'b')]
        consoles = [self.console(hub) for _ in range(2)]
        consoles[0].send('start 16:9 4')
        for cam in cams:
            self.assertEqual(cam.wait_text(1)[0]['command'], 'start_capture')
        consoles[1].send('stop')
        for cam in cams:
            self.assertEqual(cam.wait_text(2)[1]['command'], 'stop_capture')
        consoles[0].send('{"command":"blink","payload":{"n":3}}')
        for cam in cams:
            wait_until(lambda: len(cam.texts) == 3, 5, 'third command')
            self.assertEqual(cam.texts[2], '{"command":"blink","payload":{"n":3}}')
        consoles[0].wait_line('sent to 2 cameras')
        consoles[1].wait_line('"start 16:9 4" from the console')

    def test_odd_lines(self):
        """Empty, blank, hostile, nobody there: nothing happens."""
        hub = self.start_hub()
        console = self.console(hub)
        for line in ('', ' ', '\n', '\x00', 'start', 'stop\r\n', '\x1b[2J', 'ä' * 2000, 'x' * 4096, '%s%n%d',
                     '"', '{'):
            console.send(line)
        console.ping()
        self.assertTrue(console.socket.open)
        cam = self.camera(hub, 'roof')
        console.send('stop')
        cam.wait_text(1)
        self.assert_alive(hub)

    def test_refused(self):
        hub = self.start_hub()
        stays = self.console(hub)
        for data, code in ((b'binary', 1003), (b'', 1003), ([b'a', b'b'], 1003), ('x' * 4097, 1009),
                           ('y' * 100000, 1009), (['z' * 3000, 'z' * 3000], 1009)):
            with self.subTest(repr(data)[:30]):
                console = Console(hub)
                console.ping()
                console.send(data)
                self.assertEqual(console.wait_closed()[0], code)
        peer = self.peer(hub)
        self.assertEqual(peer.upgrade('/dev', ['Origin: http://evil.example'])[0], 403)
        peer = self.peer(hub)
        peer.upgrade('/dev')
        peer.frame(wire.TEXT, b'\xff\xfe')
        self.assertEqual(peer.close_code(), 1007)
        stays.ping()
        self.assert_alive(hub)

    def test_console_that_does_not_read(self):
        """It costs the others nothing, and in the end its place."""
        hub = self.start_hub()
        slow, quick = self.console(hub, SlowConsole), self.console(hub)
        cam = self.camera(hub, 'roof')
        text = json.dumps({'status': 'x' * 200, 'message': 'y' * 200})
        begin = time.monotonic()
        sent = 0
        while time.monotonic() - begin < 30 and sent < 20000:  # some 8 MB of log lines
            for _ in range(200):
                cam.text(text)
            cam.settle()
            sent += 200
        quick.ping()
        self.assertTrue(quick.socket.open)
        cam.record(phone(1).phone())
        self.assert_sound(hub.wait_finished()[0])
        quick.wait_line('finished: complete')
        slow.peer.socket.settimeout(15)
        self.assertLess(slow.read_to_the_end(), 4 << 20)

    def test_consoles_come_and_go(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        for n in range(60):
            console = Console(hub)
            if n % 3 == 0:
                console.send('stop')
            console.abort() if n % 2 else console.close()
        cam.wait_text(20)
        self.assert_alive(hub)


class Jpegs(JpegTest):
    def test_pictures_and_commands(self):
        """Unchanged to every console, typed lines to the camera as they are."""
        hub = self.start_hub()
        early = self.console(hub)
        cam = self.esp(hub)
        late = self.console(hub)
        pictures = jpegs(20)
        self.send_all(cam, pictures)
        for console in (early, late):
            console.wait(lambda: len(console.all) >= 20)
            self.assertEqual(console.all, pictures)
        for n, line in enumerate(('start VGA 12', 'start', 'stop', 'status', 'whatever it is: ä')):
            late.send(line)
            wait_until(lambda: len(cam.texts) == n + 1, 5, 'command %d' % n)
            self.assertEqual(cam.texts[n], line)
        cam.text('ACK: started')
        early.wait_line('ACK: started')

    def test_viewers(self):
        """WebSocket, multipart, snapshot."""
        hub = self.start_hub()
        cam = self.esp(hub)
        viewer = Viewer(hub, 'porch', '?format=mjpeg')
        parts = HttpViewer(hub, '/live/porch.mjpg')
        self.addCleanup(parts.close)
        self.assertEqual(hub.get('/live/porch.jpg')[0], 503)
        pictures = jpegs(10) + jpegs(5, size='160x120')
        wait_until(lambda: b'\r\n\r\n' in parts.data, 5, 'head of the answer')
        self.send_all(cam, pictures)
        viewer.wait(lambda: len(viewer.binaries()) >= 15)
        self.assertEqual(viewer.binaries(), pictures)
        self.assertEqual([(t['mime'], t['width'], t['height']) for t in viewer.texts('stream')],
                         [('image/jpeg', 320, 240), ('image/jpeg', 160, 120)])
        status, fields, body = hub.get('/live/porch.jpg')
        self.assertEqual((status, fields['content-type'], body), (200, 'image/jpeg', pictures[-1]))
        boundary = b'--camhub-picture\r\n'
        self.assertIn('multipart/x-mixed-replace; boundary=camhub-picture', parts.head)
        want = b''.join(boundary + b'Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n' % (len(p), p)
                        for p in pictures)
        wait_until(lambda: len(parts.body) >= len(want), 5, 'all parts')
        self.assert_same_bytes(parts.body, want, 'multipart')
        path = os.path.join(self.root, 'parts.mjpg')
        with open(path, 'wb') as file:
            file.write(parts.body[:want.index(pictures[10]) - 70])
        self.assertTrue(media.picture_md5s(path, '-f', 'mpjpeg'))
        for path in ('/live/porch', '/live/porch?format=h264', '/live/porch?format=mp4'):
            other = Viewer(hub, '', path=path)
            self.assertEqual(other.wait_closed()[0], 1008)
        self.assertEqual(hub.get('/live/porch.mp4')[0], 404)
        late = Viewer(hub, 'porch', '?format=mjpeg')
        late.wait(lambda: late.binaries() == [pictures[-1]])

    def test_slow_console_and_viewer(self):
        """Only whole pictures, and the newest; others have all."""
        hub = self.start_hub()
        cam = self.esp(hub)
        slow_console, quick = self.console(hub, SlowConsole), self.console(hub)
        slow = SlowViewer(hub, 'porch', '?format=mjpeg')
        self.addCleanup(slow.close)
        pictures = jpegs(60, size='800x600', quality=2)
        self.send_all(cam, pictures, pause=0.05)
        quick.wait(lambda: len(quick.all) >= 60, 20)
        self.assertEqual(quick.all, pictures)
        slow.read_on()
        slow.wait(lambda: slow.binaries()[-1:] == pictures[-1:], 20)
        numbers = [pictures.index(p) for p in slow.binaries()]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(len(numbers) + sum(t['frames'] for t in slow.texts('drop')), 60)
        opcode, known = 0, set(pictures)
        seen = 0
        while opcode is not None and seen < 60:
            opcode, payload = slow_console.peer.next_frame()
            if opcode == wire.BINARY:
                self.assertIn(payload, known)
                seen += 1
                if payload == pictures[-1]:
                    break
        self.assertEqual(payload, pictures[-1])
