"""`camhub push`: our own camera speaks the phone's protocol to the hub, and the ESP32's to a stand-in for one."""
import asyncio
import os
import signal
import socket
import subprocess
import unittest

import websockets

import clips
import media
import processes
from camera import call
from cases import FAKE_FFMPEG, HubTest, weight
from hub import wait_until


class PushTest(HubTest):
    def run_push(self, *args, stdin=subprocess.DEVNULL, env=None):
        log = open(os.path.join(self.root, 'push-%d.log' % len(os.listdir(self.root))), 'w+b')
        process = subprocess.Popen([os.environ['CAMHUB_BIN'], 'push', *args], stdin=stdin, stdout=log,
                                   stderr=log, preexec_fn=processes.die_with_parent,
                                   env=dict(os.environ, **(env or {})))
        process.log = log
        self.addCleanup(self.end_push, process)
        return process

    def end_push(self, process):
        """However the test ended, SIGTERM ends it orderly."""
        ended = process.poll() is not None
        if not ended:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log = self.log_of(process)
        process.log.close()
        if not ended:
            self.assertEqual(process.returncode, 0, log)
        for pattern in ('Sanitizer', 'runtime error:', 'Assertion', 'not ended orderly'):
            self.assertNotIn(pattern, log)

    def log_of(self, process):
        process.log.seek(0)
        return process.log.read().decode('utf8', 'replace')

    def wait_end(self, process, timeout=30, code=0):
        try:
            got = process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.fail('push did not end: ' + self.log_of(process))
        self.assertEqual(got, code, self.log_of(process))


class Push(PushTest):
    def push(self, hub, *args, name='pushed', **options):
        return self.run_push(hub.url(name), *args, **options)

    @weight(8)
    def test_picture_on_command(self):
        """Connected, silent; `start 16:9 2 10` typed at the hub: records; `stop`: stops; again."""
        hub = self.start_hub()
        process = self.push(hub)
        hub.wait_log(r'\[App Status\] pushed')
        self.assertEqual(hub.sessions(), [])
        for number in (1, 2):
            hub.type('start 16:9 2 10')
            session = hub.wait_session('pushed', number, timeout=10)[-1]
            wait_until(lambda: session.has('frames.idx') and len(session.records()) > 15, 10, 'fifteen frames')
            hub.type('stop')
            wait_until(session.finished, 10, 'finished')
            self.assert_sound(session)
            self.assertIsNone(process.poll(), self.log_of(process))
            width, height = media.picture_size(session.path('stream.mp4'))
            self.assertAlmostEqual(width / height, 16 / 9, delta=0.02)
            packets = media.packets(session.path('stream.mp4'))
            rate = (len(packets) - 1) * 90000 / (packets[-1].pts - packets[0].pts)
            self.assertAlmostEqual(rate, 10, delta=2)

    def pass_through(self, hub, clip, name, *args):
        """As fast as it goes, and out at the end of the file; the session."""
        process = self.push(hub, clip.path, '--fast', '--start', *args, name=name)
        self.wait_end(process)
        session = hub.wait_finished(1, prefix=name + '_')[0]
        self.assert_sound(session)
        self.assert_same_bytes(session.h264(), clip.data, clip.name)
        self.assertEqual(len(session.pictures()), len(clip.units))
        return session

    @weight(5)
    def test_real_clips(self):
        """Every clip goes through as it is, byte for byte."""
        hub = self.start_hub()
        for number, name in enumerate(clips.REAL):
            clip = clips.real(name)
            with self.subTest(name=name):
                session = self.pass_through(hub, clip, 'clip%d' % number)
                counts = session.report()['counts']
                self.assertEqual((counts['repaired'], counts['clock_jumps'], counts['missing']), (0, 0, 0))

    @weight(3)
    def test_real_clips_with_naive_times(self):
        hub = self.start_hub()
        for number, name in enumerate(n for n in clips.REAL if 'Bframe' in n or 'VID' in n):
            with self.subTest(name=name):
                clip = clips.real(name)
                session = self.pass_through(hub, clip, 'naive%d' % number, '--decode-times')
                self.assertEqual(media.picture_md5s(session.path('stream.mp4')), clips.shown(clip))

    def test_made_clip_on_command(self):
        """Waits for `start`, sends its file, tells that it stopped, and does it again when told again."""
        clip = clips.made(2)
        hub = self.start_hub()
        process = self.push(hub, clip.path, '--fast')
        hub.wait_log(r'\[App Status\] pushed')
        for number in (1, 2):
            hub.type('start')
            session = hub.wait_finished(number, prefix='pushed')[-1]
            self.assert_sound(session)
            self.assertEqual(len(session.pictures()), 60)
            self.assertEqual(session.report()['end_reason'], 'capture_stopped')
        self.assertIsNone(process.poll(), self.log_of(process))

    def test_count(self):
        hub = self.start_hub()
        process = self.push(hub, clips.made(2).path, '--fast', '--start', '--count', '25')
        self.wait_end(process)
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assertEqual(len(session.pictures()), 25)

    @weight(4)
    def test_realtime(self):
        """--realtime: the arrival clock and the device clock agree."""
        hub = self.start_hub()
        process = self.push(hub, clips.made(2).path, '--realtime', '--start')
        self.wait_end(process)
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        rate = session.report()['frame_rate']
        self.assertAlmostEqual(rate['arrival'], 30, delta=2)
        self.assertAlmostEqual(rate['device'], 30, delta=1)

    def test_connects_again(self):
        """The hub goes and comes back on its port: the camera finds it."""
        hub = self.start_hub()
        self.push(hub, '--reconnect', '0.2')
        hub.wait_log(r'\[App Status\] pushed')
        port = hub.port
        hub.stop()
        hub = self.start_hub('--port', str(port))
        hub.wait_log(r'\[App Status\] pushed')

    @weight(6)
    def test_five_cameras(self):
        """--cameras 5: five connections, five sessions, one command for all."""
        hub = self.start_hub()
        self.push(hub, '--cameras', '5', name='room')
        wait_until(lambda: len(set(hub.matches(r'\[App Status\] (room\S*):'))) == 5, 10,
                   lambda: 'five cameras: %s' % hub.matches(r'\[Connection\].*'))
        hub.type('start 4:3 1 5')
        sessions = hub.wait_session('room', 5, timeout=15)
        for session in sessions:
            wait_until(lambda: session.has('frames.idx') and len(session.records()) > 5, 15,
                       'frames of %s' % session.id)
        hub.type('stop')
        for session in hub.wait_finished(5):
            self.assert_sound(session)

    def test_ends_on_sigint(self):
        """Ctrl-C: a clean close, and a finished session."""
        hub = self.start_hub()
        process = self.push(hub)
        hub.wait_log(r'\[App Status\] pushed')
        hub.type('start')
        session = hub.wait_session('pushed')[0]
        wait_until(lambda: session.has('frames.idx') and len(session.records()) > 3, 10, 'frames')
        process.send_signal(signal.SIGINT)
        process.wait(5)
        self.assert_sound(hub.wait_finished()[0])

    def test_no_hub(self):
        """Nothing listens: it says so and does not end in a crash."""
        log = subprocess.run(['timeout', '2', os.environ['CAMHUB_BIN'], 'push', 'ws://127.0.0.1:1/android-cam/x'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertIn(log.returncode, (1, 124))
        self.assertIn('127.0.0.1', log.stdout.decode())

    def test_wrong_usage(self):
        for args in ([], ['http://127.0.0.1/'], ['ws://127.0.0.1:1/x', '/nowhere.264'], ['--nonsense'],
                     ['ws://127.0.0.1:1/esp'], ['--jpeg', 'ws://127.0.0.1:1/android-cam/x'],
                     ['--jpeg', 'ws://127.0.0.1:1/', '--resolution', 'HUGE'],
                     ['--jpeg', 'ws://127.0.0.1:1/', '--quality', '64'],
                     ['--jpeg', 'ws://127.0.0.1:1/', '--bitrate', '4'], ['--quality', '9', 'ws://127.0.0.1:1/']):
            with self.subTest(args=args):
                run = subprocess.run([os.environ['CAMHUB_BIN'], 'push', *args], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=5)
                self.assertIn(run.returncode, (1, 2))
                self.assertTrue(run.stderr)



class Connection:
    """One connection to the stand-in, with what came over it."""

    def __init__(self, socket):
        self.socket = socket
        self.path = socket.path
        self.texts = []
        self.pictures = []

    def say(self, line):
        call(self.socket.send(line))

    def close(self):
        call(self.socket.close())

    async def _settle(self):
        await (await self.socket.ping())

    def settle(self):
        """Everything that the camera sent before this is here."""
        call(self._settle(), 20)

    def wait_text(self, text, timeout=20):
        """Waits for a text that begins so, among those that were not waited for yet; returns it."""
        def found():
            return next((n for n, have in enumerate(self.texts) if have.startswith(text)), -1) + 1
        number = wait_until(found, timeout, lambda: 'a text %r, have %r' % (text, self.texts))
        came, self.texts = self.texts[number - 1], self.texts[number:]
        return came

    def wait_pictures(self, count, timeout=30):
        """Waits until `count` more pictures have come; returns them."""
        begin = len(self.pictures)
        wait_until(lambda: len(self.pictures) >= begin + count, timeout,
                   lambda: '%d pictures, have %d and %r' % (count, len(self.pictures) - begin, self.texts))
        return self.pictures[begin:begin + count]


class StandIn:
    """Takes JPEG cameras as a hub does, and says what it is told to say."""

    def __init__(self, port=0):
        self.connections = []
        self.server = call(self._serve(port))
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, port):
        return await websockets.serve(self._take, '127.0.0.1', port, max_size=None, ping_interval=None,
                                      compression=None)

    async def _take(self, socket):
        connection = Connection(socket)
        self.connections.append(connection)
        try:
            async for message in socket:
                (connection.texts if isinstance(message, str) else connection.pictures).append(message)
        except websockets.ConnectionClosed:
            pass

    async def _close(self):
        self.server.close()
        await asyncio.wait_for(self.server.wait_closed(), 10)

    def close(self):
        call(self._close())

    def url(self, name=None):
        return 'ws://127.0.0.1:%d/esp%s' % (self.port, '/' + name if name else '')

    def wait(self, count=1, timeout=20):
        wait_until(lambda: len(self.connections) >= count, timeout,
                   lambda: '%d connections, have %d' % (count, len(self.connections)))
        return self.connections[count - 1]


def children(process):
    """Ids of the direct children of a process."""
    with open('/proc/%d/task/%d/children' % (process.pid, process.pid)) as file:
        return [int(word) for word in file.read().split()]


# As the sensors' drivers name them.
SIZES = {'QQVGA': (160, 120), 'QCIF': (176, 144), 'HQVGA': (240, 176), '240X240': (240, 240), 'QVGA': (320, 240),
         'CIF': (400, 296), 'HVGA': (480, 320), 'VGA': (640, 480), 'SVGA': (800, 600), 'XGA': (1024, 768),
         'HD': (1280, 720), 'SXGA': (1280, 1024), 'UXGA': (1600, 1200), 'FHD': (1920, 1080), 'P_HD': (720, 1280),
         'P_3MP': (864, 1536), 'QXGA': (2048, 1536)}


class PushJpeg(PushTest):
    def start_stand_in(self, port=0):
        stand_in = StandIn(port)
        self.addCleanup(stand_in.close)
        return stand_in

    def push(self, stand_in, *args, name='esp', **options):
        return self.run_push('--jpeg', stand_in.url(name), *args, **options)

    def camera(self, *args, **options):
        """A stand-in and a camera that has connected to it: its process, its connection."""
        stand_in = self.start_stand_in()
        process = self.push(stand_in, *args, **options)
        connection = stand_in.wait()
        connection.wait_text('STATUS: ')
        return process, connection

    def assert_pictures(self, pictures, size):
        """Whole JPEGs of the size, all of which ffmpeg decodes without a complaint."""
        for picture in pictures:
            self.assertEqual(media.jpeg_size(picture), size)
        run = subprocess.run(['ffmpeg', '-nostdin', '-v', 'warning', '-err_detect', 'explode', '-xerror', '-f', 'mjpeg',
                              '-i', 'pipe:0', '-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'gray',
                              'pipe:1'],
                             input=b''.join(pictures), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        complaints = [line for line in run.stderr.decode().splitlines() if 'deprecated pixel format' not in line]
        self.assertEqual((run.returncode, complaints), (0, []))
        self.assertEqual(len(run.stdout), len(pictures) * size[0] * size[1])

    def picture_at(self, pictures, connection, size, timeout=30):
        """The first picture that has this size."""
        def found():
            return next((p for p in connection.pictures[pictures:] if media.jpeg_size(p) == size), None)
        return wait_until(found, timeout, lambda: 'a picture of %dx%d, have %r and %r' % (
            *size, [media.jpeg_size(p) for p in connection.pictures[pictures:]], connection.texts))

    @weight(4)
    def test_start_and_stop(self):
        """Idle after it has connected; `start`: pictures, whole ones; `stop`: none; and again."""
        process, connection = self.camera(name='porch')
        self.assertEqual(connection.path, '/esp/porch')
        connection.say('status')
        self.assertIn('idle, VGA (640x480), quality 12, 10 fps', connection.wait_text('STATUS: '))
        self.assertEqual(connection.pictures, [])
        for line, ack, size in (('start QVGA 20', 'ACK: start QVGA 20', (320, 240)),
                                ('START hqvga', 'ACK: start HQVGA 20', (240, 176)),
                                ('start', 'ACK: start HQVGA 20', (240, 176))):
            connection.say(line)
            self.assertEqual(connection.wait_text(''), ack)
            connection.wait_text('STATUS: streaming')
            pictures = connection.wait_pictures(8)
            self.assert_pictures(pictures, size)
            self.assertEqual(len(set(pictures)), len(pictures), 'a clock that stands still')
            connection.say('stop')
            connection.wait_text('ACK: stop')
            connection.wait_text('STATUS: idle')
            count = len(connection.pictures)
            connection.settle()
            self.assertEqual(len(connection.pictures), count)
        self.assertIsNone(process.poll(), self.log_of(process))

    @weight(10)
    def test_every_resolution(self):
        process, connection = self.camera('--quality', '40')
        for name, size in SIZES.items():
            with self.subTest(name=name):
                connection.say('start ' + name)
                connection.wait_text('ACK: start %s 40' % name)
                self.assertIn('%s (%dx%d)' % (name, *size), connection.wait_text('STATUS: streaming'))
                self.assert_pictures(connection.wait_pictures(1), size)
        self.assertIsNone(process.poll(), self.log_of(process))

    @weight(4)
    def test_changes_while_it_streams(self):
        """Resolution, quality and `set` change the pictures that follow; nothing else has to be said."""
        _, connection = self.camera('--start', '--resolution', 'QVGA', '--quality', '63')
        coarse = connection.wait_pictures(1)[0]
        self.assertEqual(media.jpeg_size(coarse), (320, 240))
        at = len(connection.pictures)
        connection.say('start CIF 63')
        self.picture_at(at, connection, (400, 296))
        at = len(connection.pictures)
        connection.say('start QVGA 1')
        fine = self.picture_at(at, connection, (320, 240))
        self.assertGreater(len(fine), 2 * len(coarse))
        connection.say('set brightness=2 resolution=qqvga')
        connection.wait_text('ACK: set brightness=2 resolution=QQVGA')
        self.assertIn('brightness 2', connection.wait_text('STATUS: streaming, QQVGA'))
        self.picture_at(0, connection, (160, 120))

    def test_set_changes_the_picture(self):
        """What `set` turns is seen in the pictures."""
        def levels(picture):
            run = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'mjpeg', '-i', 'pipe:0', '-vf',
                                  'scale=16:12', '-f', 'rawvideo', '-pix_fmt', 'gray', 'pipe:1'], input=picture,
                                 stdout=subprocess.PIPE, timeout=60, check=True)
            return run.stdout

        still = os.path.join(self.root, 'still.png')
        subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'lavfi', '-i',
                        "color=gray:size=160x120,drawbox=0:0:40:40:white:fill", '-frames:v', '1', still], check=True)
        _, connection = self.camera(still, '--loop', '--resolution', 'QQVGA', '--quality', '5')

        def taken(line):
            connection.say(line)
            connection.wait_text('STATUS: streaming')
            return levels(connection.wait_pictures(1)[0])
        plain = taken('start')
        self.assertGreater(plain[0], plain[15] + 50)
        bright, mirrored, turned = taken('set brightness=2'), taken('set hmirror=1 brightness=0'), taken('set vflip=1')
        self.assertGreater(bright[15], plain[15] + 30)
        self.assertGreater(mirrored[15], mirrored[0] + 50)
        self.assertGreater(turned[-1], turned[15] + 50)

    def test_bad_values(self):
        """Each is named, what it stood for stays, and the pictures go on."""
        process, connection = self.camera()
        connection.say('start GIANT 64')
        text = connection.wait_text('ERROR: ')
        self.assertIn("'GIANT'", text)
        self.assertIn('QQVGA', text)
        self.assertIn("'64'", text)
        connection.wait_text('ACK: start VGA 12')
        connection.wait_pictures(2)
        connection.say('set contrast=9 quality=30 zoom=2 nonsense saturation=-2')
        text = connection.wait_text('ERROR: ')
        for word in ("contrast: found '9', allowed is -2 to 2", "'zoom'", "'nonsense'"):
            self.assertIn(word, text)
        self.assertEqual(connection.wait_text('ACK: '), 'ACK: set quality=30 saturation=-2')
        connection.say('set')
        connection.wait_text('ERROR: ')
        connection.wait_pictures(2)
        self.assertIsNone(process.poll(), self.log_of(process))

    def test_debug_strings(self):
        """Any other line is answered as it came, in one line; an empty one is not answered."""
        _, connection = self.camera()
        for line in ('blink 3', '{"command":"stop_capture"}', 'Grüße 测试', 'statusx'):
            connection.say('  ' + line + ' \r\n')
            self.assertEqual(connection.wait_text(''), 'ACK: ' + line)
        connection.say(' \n')
        connection.say('two\nlines')
        self.assertEqual(connection.wait_text(''), 'ACK: two lines')
        connection.say('é' * 40000)
        answer = connection.wait_text('')
        self.assertEqual(answer, 'ACK: ' + 'é' * (len(answer) - 5))
        connection.say('status')
        connection.wait_text('STATUS: idle')

    @weight(4)
    def test_connects_again(self):
        """The hub closes, or is gone for a while: the camera comes back, idle, and with its settings."""
        stand_in = self.start_stand_in()
        self.push(stand_in, '--reconnect', '0.2')
        connection = stand_in.wait()
        connection.say('start QCIF 30')
        connection.wait_pictures(3)
        connection.close()
        connection = stand_in.wait(2)
        self.assertIn('idle, QCIF', connection.wait_text('STATUS: '))
        connection.say('status')
        connection.wait_text('STATUS: idle')
        self.assertEqual(connection.pictures, [])
        connection.say('start')
        self.assert_pictures(connection.wait_pictures(3), (176, 144))
        port = stand_in.port
        stand_in.close()
        stand_in = self.start_stand_in(port)
        connection = stand_in.wait()
        connection.wait_text('STATUS: idle')
        connection.say('start')
        connection.wait_pictures(2)

    def test_starts_after_each_connect(self):
        """--start: by itself, every time."""
        stand_in = self.start_stand_in()
        self.push(stand_in, '--start', '--reconnect', '0.2', '--resolution', 'QQVGA')
        for number in (1, 2):
            connection = stand_in.wait(number)
            connection.wait_pictures(2)
            connection.close()

    def test_no_ffmpeg(self):
        process = self.run_push('--jpeg', 'ws://127.0.0.1:1/esp/x', env={'FFMPEG_BIN': '/nowhere/ffmpeg'})
        self.wait_end(process, code=1)
        self.assertIn('/nowhere/ffmpeg', self.log_of(process))

    @weight(3)
    def test_bad_ffmpeg(self):
        """It crashes, fails, or gives no JPEGs: the hub is told, and the camera stays."""
        for mode in ('crash', 'exit1', 'garbage', 'floodout'):
            with self.subTest(mode=mode):
                process, connection = self.camera(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': mode})
                for _ in (1, 2):
                    connection.say('start')
                    connection.wait_text('ERROR: the source failed')
                    connection.say('status')
                    connection.wait_text('STATUS: idle')
                self.assertEqual(connection.pictures, [])
                self.assertIsNone(process.poll(), self.log_of(process))

    @weight(3)
    def test_ffmpeg_dies(self):
        """Killed while it streams: an ERROR, idle; the next `start` makes a new one."""
        process, connection = self.camera()
        for _ in (1, 2):
            connection.say('start QVGA')
            connection.wait_pictures(3)
            for child in children(process):
                os.kill(child, signal.SIGKILL)
            connection.wait_text('ERROR: the source failed')
            connection.wait_text('STATUS: idle')
        self.assert_pictures(connection.pictures, (320, 240))
        self.assertIsNone(process.poll(), self.log_of(process))

    @weight(4)
    def test_room(self):
        """--cameras 4: four connections with names of their own, one encoder; each obeys for itself."""
        stand_in = self.start_stand_in()
        process = self.push(stand_in, '--cameras', '4', name='room')
        stand_in.wait(4)
        room = sorted(stand_in.connections, key=lambda c: c.path)
        self.assertEqual([c.path for c in room], ['/esp/room-%d' % n for n in (1, 2, 3, 4)])
        for connection in room[:3]:
            connection.say('start QVGA 10')
        for connection in room[:3]:
            self.assert_pictures(connection.wait_pictures(4), (320, 240))
        self.assertEqual(len(children(process)), 1)
        room[0].say('stop')
        room[0].wait_text('ACK: stop')
        count = len(room[0].pictures)
        room[1].wait_pictures(4)
        room[0].settle()
        self.assertEqual(len(room[0].pictures), count)
        self.assertEqual(room[3].pictures, [])
        for connection in room[1:3]:
            connection.say('stop')
            connection.wait_text('ACK: stop')
        wait_until(lambda: not children(process), 10, 'no encoder without a camera that streams')

    def made_jpegs(self, count):
        path = os.path.join(self.root, 'made.mjpeg')
        subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=10',
                        '-frames:v', str(count), '-pix_fmt', 'yuvj420p', '-q:v', '3', '-f', 'mpjpeg', path], check=True)
        with open(path, 'rb') as file:
            parts = file.read().split(b'\r\n--ffmpeg\r\n')[:count]
        return [part[part.index(b'\r\n\r\n') + 4:] for part in parts]

    def test_file_as_it_is(self):
        """Files of JPEGs, with padding and rubbish between them and a torn one at the end; no ffmpeg is needed."""
        pictures = self.made_jpegs(12)
        path = os.path.join(self.root, 'odd.mjpeg')
        with open(path, 'wb') as file:
            file.write(b'\0' * 100 + b'rubbish\xff\xd8'.join(p + b'\0' * n for n, p in enumerate(pictures))
                       + pictures[0][:-9])
        for name, data, args, want in (('odd.mjpeg', None, ('--fast',), pictures),
                                       ('by-content', b''.join(pictures), ('--fps', '100'), pictures),
                                       ('looped.mjpg', b''.join(pictures), ('--loop', '--fast', '--count', '30'),
                                        (3 * pictures)[:30])):
            with self.subTest(name=name):
                stand_in = self.start_stand_in()
                path = os.path.join(self.root, name)
                if data:
                    with open(path, 'wb') as file:
                        file.write(data)
                process = self.push(stand_in, path, '--start', *args, env={'FFMPEG_BIN': '/nowhere'})
                self.wait_end(process)
                self.assertEqual(stand_in.connections[0].pictures, want)

    def test_large_pictures(self):
        """A file whose pictures are larger than the steps in which it is read."""
        pictures = [p[:2] + b''.join(
            b'\xff\xfe\xff\xff' + bytes([n]) * 65533 for _ in range(40)) + p[2:] for n, p in
            enumerate(self.made_jpegs(3))]
        stand_in = self.start_stand_in()
        path = os.path.join(self.root, 'large.mjpeg')
        with open(path, 'wb') as file:
            file.write(b''.join(pictures))
        self.wait_end(self.push(stand_in, path, '--start', '--fast'))
        self.assertEqual(stand_in.connections[0].pictures, pictures)

    def test_folder_as_it_is(self):
        """The JPEGs of a folder by their numbers; on command, to the end, and again."""
        pictures = self.made_jpegs(11)
        folder = os.path.join(self.root, 'pictures')
        os.mkdir(folder)
        for number, picture in enumerate(pictures):
            name = 'frame_%d.%s' % (number + 1, 'JPG' if number % 2 else 'jpeg')
            with open(os.path.join(folder, name), 'wb') as file:
                file.write(picture)
        with open(os.path.join(folder, 'notes.txt'), 'w') as file:
            file.write('not a picture')
        process, connection = self.camera(folder, '--fast', env={'FFMPEG_BIN': '/nowhere'})
        for number in (1, 2):
            connection.say('start UXGA')
            connection.wait_text('ACK: start UXGA 12')
            self.assertIn('320x240', connection.wait_text('STATUS: streaming'))
            connection.wait_text('STATUS: idle')
            connection.settle()
            self.assertEqual(connection.pictures, number * pictures)
        with open(os.path.join(folder, 'frame_99.jpg'), 'wb') as file:
            file.write(pictures[0][:-2])
        process = self.run_push('--jpeg', 'ws://127.0.0.1:1/esp', folder)
        self.wait_end(process, code=1)
        self.assertIn('frame_99.jpg', self.log_of(process))

    @weight(3)
    def test_video_file(self):
        """Any other video is made into JPEGs by ffmpeg; --loop begins again."""
        path = clips.made(1).path
        stand_in = self.start_stand_in()
        self.wait_end(self.push(stand_in, path, '--start', '--fast', '--resolution', 'VGA', '--fps', '0'))
        self.assertGreaterEqual(len(stand_in.connections[0].pictures), 20)
        self.assert_pictures(stand_in.connections[0].pictures[:3], (640, 480))
        stand_in = self.start_stand_in()
        self.wait_end(self.push(stand_in, path, '--start', '--fast', '--loop', '--count', '70', '--resolution',
                                'QQVGA'))
        self.assertEqual(len(stand_in.connections[0].pictures), 70)

    @weight(3)
    def test_slow_hub(self):
        """What does not go away is skipped, picture by picture; those that come are whole."""
        listener = socket.create_server(('127.0.0.1', 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

        async def serve():
            return await websockets.serve(take, sock=listener, max_size=None, max_queue=1, read_limit=4096,
                                          ping_interval=None, compression=None)

        skipped, got = [], []

        async def take(connection):
            await connection.send('start UXGA 1')
            while not skipped:
                await asyncio.sleep(0.2)
                message = await connection.recv()
                if isinstance(message, bytes):
                    got.append(message)
                elif ' sent, ' in message and not message.endswith(' 0 skipped'):
                    skipped.append(message)
                await connection.send('status')

        server = call(serve())
        self.addCleanup(server.close)
        self.run_push('--jpeg', 'ws://127.0.0.1:%d/esp' % listener.getsockname()[1], '--fps', '30')
        wait_until(lambda: skipped, 60, lambda: 'skipped pictures, have %d' % len(got))
        self.assert_pictures(got[:3], (1600, 1200))

    def test_ends_on_sigint(self):
        process, connection = self.camera('--start')
        connection.wait_pictures(2)
        process.send_signal(signal.SIGINT)
        self.wait_end(process, 15)
        wait_until(lambda: connection.socket.closed, 10, 'closed')
        self.assertEqual(connection.socket.close_code, 1000)

if __name__ == '__main__':
    unittest.main()
