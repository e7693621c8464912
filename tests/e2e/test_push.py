"""`camhub push` against the hub: our own camera speaks the phone's protocol."""
import os
import signal
import subprocess
import unittest

import clips
import media
import processes
from cases import HubTest, weight
from hub import wait_until


class Push(HubTest):
    def push(self, hub, *args, name='pushed', stdin=subprocess.DEVNULL):
        log = open(os.path.join(self.root, 'push-%d.log' % len(os.listdir(self.root))), 'w+b')
        process = subprocess.Popen([os.environ['CAMHUB_BIN'], 'push', hub.url(name), *args], stdin=stdin, stdout=log,
                                   stderr=log, preexec_fn=processes.die_with_parent)
        process.log = log
        self.addCleanup(self.end_push, process)
        return process

    def end_push(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.log.close()

    def log_of(self, process):
        process.log.seek(0)
        return process.log.read().decode('utf8', 'replace')

    def wait_end(self, process, timeout=30, code=0):
        try:
            got = process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.fail('push did not end: ' + self.log_of(process))
        self.assertEqual(got, code, self.log_of(process))

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
        for args in ([], ['http://127.0.0.1/'], ['ws://127.0.0.1:1/x', '/nowhere.264'], ['--nonsense']):
            with self.subTest(args=args):
                run = subprocess.run([os.environ['CAMHUB_BIN'], 'push', *args], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=5)
                self.assertIn(run.returncode, (1, 2))
                self.assertTrue(run.stderr)


if __name__ == '__main__':
    unittest.main()
