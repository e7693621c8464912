"""What is typed on stdin, what the cameras get, what the log says."""
import subprocess
import time
import unittest

from cases import HubTest, phone
from hub import wait_until


def start(bitrate, fps, aspect):
    payload = {'format': 'h264', 'bitrate': bitrate, 'fps': fps}
    if aspect:
        payload['aspectRatio'] = {'width': aspect[0], 'height': aspect[1]}
    return {'command': 'start_capture', 'payload': payload}


STOP = {'command': 'stop_capture'}


class Commands(HubTest):
    """The table of the wire protocol, 1.4: what a phone receives and what the operator is told."""

    def check(self, line, expected, complaints=0):
        hub = self.start_hub()
        cam = self.camera(hub, 'phone')
        cam.settle()
        hub.type(line)
        self.assertEqual(cam.wait_text(), [expected])
        self.assertEqual(len(hub.matches(r'\[Error\]')), complaints)
        return cam

    def test_start(self):
        cam = self.check('start', start(4, 10, None))
        self.assertEqual(cam.texts[0].replace(' ', ''),
                         '{"command":"start_capture","payload":{"format":"h264","bitrate":4,"fps":10}}')

    def test_start_all_values(self):
        cam = self.check('start 4:3 4 10', start(4, 10, (4, 3)))
        self.assertEqual(cam.texts[0].replace(' ', ''),
                         '{"command":"start_capture","payload":{"format":"h264","bitrate":4,"fps":10,'
                         '"aspectRatio":{"width":4,"height":3}}}')

    def test_start_aspect(self):
        self.check('start 16:9', start(4, 10, (16, 9)))

    def test_start_upper_case(self):
        self.check('START 16:9 8 0', start(8, 0, (16, 9)))

    def test_start_without_aspect(self):
        """The one exception: BITRATE and FPS, no aspect ratio."""
        self.check('start 4 10', start(4, 10, None))

    def test_start_without_aspect_other_values(self):
        self.check('start 7 25', start(7, 25, None))

    def test_start_zero_aspect(self):
        self.check('start 0:1 3 30', start(3, 30, (4, 3)), 1)

    def test_start_triple_aspect(self):
        self.check('start 4:3:2 1 1', start(1, 1, (4, 3)), 1)

    def test_start_bad_bitrate(self):
        """FPS -5 is bad as well; the original complained of the bitrate alone, its table says."""
        hub = self.start_hub()
        cam = self.camera(hub, 'phone')
        cam.settle()
        hub.type('start 4:3 0 -5')
        self.assertEqual(cam.wait_text(), [start(4, 10, (4, 3))])
        self.assertGreaterEqual(len(hub.matches(r'\[Error\].*[Bb]itrate')), 1)

    def test_start_bad_numbers(self):
        self.check('start 4:3 2.5 abc', start(4, 10, (4, 3)), 2)

    def test_start_words_behind(self):
        self.check('start 4:3 7 15 99', start(7, 15, (4, 3)))

    def test_stop_words_behind(self):
        self.check('stop extra', STOP)

    def test_blanks_and_case(self):
        self.check('   \t StArT \t 16:9   8  ', start(8, 10, (16, 9)))

    def test_carriage_return(self):
        """A line from a script with Windows line ends."""
        self.check('stop\r', STOP)

    def test_huge_numbers(self):
        self.check('start 16:9 99999999999999999999 1', start(4, 1, (16, 9)), 1)


class Console(HubTest):
    def test_all_cameras_get_it(self):
        """And one that is half dead does not keep it from the others."""
        hub = self.start_hub()
        cams = [self.camera(hub, 'all%d' % n) for n in range(4)]
        mute = self.peer(hub)
        mute.upgrade('/android-cam/mute')
        mute.shut_down()
        for cam in cams:
            cam.settle()
        hub.type('start 16:9 2 5')
        hub.type('stop')
        for cam in cams:
            self.assertEqual(cam.wait_text(2), [start(2, 5, (16, 9)), STOP])
        self.assertTrue(hub.matches(r'\[Broadcast\]'))

    def test_no_camera(self):
        hub = self.start_hub()
        hub.type('start')
        hub.type('stop')
        hub.type('status')
        self.assert_alive(hub)

    def test_unknown(self):
        """An [Error] line; nothing goes out."""
        hub = self.start_hub()
        cam = self.camera(hub, 'phone')
        cam.settle()
        hub.type('frobnicate 1 2')
        hub.wait_log(r'\[Error\].*frobnicate')
        cam.settle()
        self.assertEqual(cam.texts, [])

    def test_empty_lines(self):
        hub = self.start_hub()
        for line in ('', '   ', '\t'):
            hub.type(line)
        hub.type('stop')
        hub.wait_log(r'\[(Broadcast|Info|Warning)\].*', count=1)
        self.assert_alive(hub)
        self.assertEqual(hub.matches(r'\[Error\]'), [])

    def test_strange_input(self):
        """Long lines, control characters, broken UTF-8, a line without an end."""
        hub = self.start_hub()
        hub.process.stdin.write(b'x' * 300_000 + b'\n\0\0\0\n\x1b[2J\n\xff\xfe\xfa\n' + b'start\0 16:9\n')
        hub.process.stdin.flush()
        hub.wait_log(r'\[Error\]')
        self.assertNotIn('\x1b', hub.log_text() + hub.out_text())
        self.assert_alive(hub)
        self.assertLess(len(hub.log_text()), 100_000)

    def test_help(self):
        hub = self.start_hub()
        hub.type('help')
        wait_until(lambda: all(w in hub.out_text() + hub.log_text() for w in ('start', 'stop', 'status', 'quit')),
                   5, 'help')

    def test_status(self):
        """Names every camera and tells which one records."""
        hub = self.start_hub()
        one, two = self.camera(hub, 'idle-one'), self.camera(hub, 'busy-two')
        one.settle()
        two.started()
        two.send(phone(1).phone())
        two.settle()
        session = hub.wait_session('busy-two')[0]
        before = len(hub.out_text() + hub.log_text())
        hub.type('status')

        def told():
            text = (hub.out_text() + hub.log_text())
            return len(text) > before and 'idle-one' in text and session.id in hub.out_text() + hub.log_text()[-2000:]
        wait_until(told, 5, 'status')

    def test_quit_and_exit(self):
        """Orderly: the session is finished, exit 0."""
        for word in ('quit', 'EXIT'):
            with self.subTest(word=word):
                hub = self.start_hub()
                cam = self.camera(hub, 'quit-' + word)
                cam.started()
                cam.send(phone(1).phone())
                cam.settle()
                hub.type(word)
                self.assertEqual(hub.wait_exit(5), 0)
                session = hub.sessions('quit-' + word)[0]
                self.assert_sound(session)
                self.assertEqual(session.report()['end_reason'], 'shutdown')

    def test_end_of_stdin(self):
        """A hub without an operator goes on."""
        hub = self.start_hub()
        cam = self.camera(hub, 'phone')
        hub.process.stdin.write(b'start 1:1 1 1')  # no newline: still a command, or nothing
        hub.process.stdin.close()
        cam.settle()
        self.assert_alive(hub)

    def test_no_stdin_at_all(self):
        hub = self.start_hub(stdin=subprocess.DEVNULL)
        self.assert_alive(hub)

    def test_commands_from_a_file(self):
        """stdin redirected from a file is read to its end and the hub goes on."""
        path = self.root + '/commands'
        with open(path, 'w') as file:
            file.write('status\nhelp\nstart\n')
        with open(path) as file:
            hub = self.start_hub(stdin=file)
        self.assert_alive(hub)


class Log(HubTest):
    def test_prefixes(self):
        """The lines that people grep for, and their form."""
        hub = self.start_hub()
        cam = self.camera(hub, 'greppable')
        cam.record(phone(1).phone())
        session = hub.wait_finished()[0]
        hub.type('stop')
        cam.wait_text()
        cam.close()
        hub.wait_log(r'\[Connection\] greppable: .*', count=2)
        self.assertTrue(hub.matches(r'\[App Status\] greppable: .*ready'))
        self.assertTrue(hub.matches(r'\[App Status\] greppable: .*'))
        self.assertTrue(hub.matches(r'\[Broadcast\] '))
        self.assertTrue(hub.matches(r'\[Info\] greppable: recording to .*' + session.id))
        self.assertTrue(hub.matches(r'\[Info\] greppable: session %s finished: complete, 30 frames' % session.id))
        for line in hub.log_text().splitlines():
            self.assertRegex(line, r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[[A-Z][A-Za-z ]+\] \S')

    def test_frame_lines_only_at_debug(self):
        for level, count in (('info', 0), ('debug', 31)):
            with self.subTest(level=level):
                hub = self.start_hub('--log-level', level)
                cam = self.camera(hub, 'level-' + level)
                cam.record(phone(1).phone())
                hub.wait_finished(1, prefix='level-' + level)
                found = len(hub.matches(r'\[Frame\] level-'))
                self.assertIn(found, (count, count - 1) if count else (0,))

    def test_quiet_levels(self):
        hub = self.start_hub('--log-level', 'error', wait=False)
        wait_until(lambda: hub.process.poll() is None, 1)
        time.sleep(0.4)
        self.assertEqual(hub.process.poll(), None)
        for line in hub.log_text().splitlines():
            self.assertNotRegex(line, r'\[(Info|Connection|Warning|App Status)\]')

    def test_wrong_usage(self):
        """Exit 2 and a word about what is allowed."""
        for args in (['serve', '--port', 'x'], ['serve', '--port', '70000'], ['serve', '--log-level', 'loud'],
                     ['serve', '--sync-interval', '-1'], ['serve', '--max-message', '0'], ['serve', '--nonsense'],
                     ['frobnicate'], ['serve', '--recordings']):
            with self.subTest(args=args):
                self.camhub(*args, code=2, timeout=5)

    def test_help_and_version(self):
        self.assertRegex(self.camhub('--version'), r'\d+\.\d+')
        for args in (['--help'], ['serve', '--help'], ['push', '--help'], ['verify', '--help'], ['repair', '--help']):
            with self.subTest(args=args):
                self.assertIn('camhub', self.camhub(*args))


if __name__ == '__main__':
    unittest.main()
