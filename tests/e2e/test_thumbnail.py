"""The ffmpeg child: missing, hanging, crashing, flooding. A picture is lost at the most."""
import os
import stat
import time
import unittest

import media
import processes
from cases import FAKE_FFMPEG, HubTest, long, phone, weight
from hub import wait_until


class Thumbnails(HubTest):
    def record(self, hub, name='picture', seconds=1):
        messages = phone(seconds).phone()
        cam = self.camera(hub, name)
        cam.record(messages)
        return messages

    def test_no_ffmpeg(self):
        """A clear warning, once; nothing else is missing."""
        hub = self.start_hub(env={'FFMPEG_BIN': '/nowhere/ffmpeg'})
        for number in range(3):
            messages = self.record(hub, 'none%d' % number)
            session = hub.wait_finished(number + 1)[number]
            self.assert_sound(session)
            self.assert_payloads(session, messages)
            self.assertFalse(session.has('thumbnail.jpg'))
        warnings = [x for x in hub.log_text().splitlines() if '[Warning]' in x and '/nowhere/ffmpeg' in x]
        self.assertEqual(len(warnings), 1, hub.log_text())

    def test_ffmpeg_not_in_path(self):
        hub = self.start_hub(thumbnails=True, env={'PATH': '/nowhere'})
        self.record(hub)
        self.assert_sound(hub.wait_finished()[0])
        self.assertTrue([x for x in hub.log_text().splitlines() if '[Warning]' in x and 'ffmpeg' in x])

    def test_ffmpeg_by_its_path(self):
        """FFMPEG_BIN names the program that is run."""
        wrapper = os.path.join(self.root, 'my-ffmpeg')
        with open(wrapper, 'w') as file:
            file.write('#!/bin/sh\necho used >>%s/used\nexec ffmpeg "$@"\n' % self.root)
        os.chmod(wrapper, stat.S_IRWXU)
        hub = self.start_hub(env={'FFMPEG_BIN': wrapper})
        self.record(hub)
        session = hub.wait_finished()[0]
        wait_until(lambda: session.has('thumbnail.jpg'), 10, 'thumbnail')
        self.assertEqual(media.jpeg_size(session.read('thumbnail.jpg')), (320, 240))
        self.assertTrue(os.path.exists(os.path.join(self.root, 'used')))

    def check_bad(self, mode, limit=8, **env):
        """Whatever the child does: the session is finished, the hub goes on, no child is left."""
        hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': mode, **env})
        messages = self.record(hub, 'bad-' + mode)
        session = hub.wait_session('bad-')[0]
        wait_until(session.finished, limit, 'the session is finished')
        self.assert_sound(session)
        self.assert_payloads(session, messages)
        self.assert_alive(hub)
        return hub, session

    def check_no_picture(self, hub, session, limit=18):
        wait_until(lambda: len(processes.marked(hub.mark, but=(hub.pid,))) == 0, limit,
                   lambda: 'children left: %s' % processes.marked(hub.mark, but=(hub.pid,)))
        wait_until(lambda: not processes.zombies(hub.pid), 3, lambda: 'zombies: %s' % processes.zombies(hub.pid))
        if session.has('thumbnail.jpg'):
            self.assertIsNotNone(media.jpeg_size(session.read('thumbnail.jpg')), 'a broken thumbnail.jpg')
        left = [n for n in os.listdir(session.folder) if n.startswith('thumbnail') and n != 'thumbnail.jpg']
        self.assertEqual(left, [])
        self.assertLess(processes.resident_bytes(hub.pid), 200 << 20)

    def test_crash(self):
        self.check_no_picture(*self.check_bad('crash'))

    def test_exit_1(self):
        self.check_no_picture(*self.check_bad('exit1'))

    def test_garbage(self):
        self.check_no_picture(*self.check_bad('garbage'))

    def test_half_a_picture(self):
        source = os.path.join(self.root, 'half.jpg')
        with open(source, 'wb') as file:
            file.write(b'\xff\xd8\xff\xe0' + os.urandom(20000))
        self.check_no_picture(*self.check_bad('half', FAKE_SRC=source))

    @weight(24)
    def test_children_that_do_not_end(self):
        """Hanging, deaf to SIGTERM, with fifty children of their own: gone at the time limit of 15 s."""
        checked = [self.check_bad(mode) for mode in ('hang', 'hardhang', 'spawn', 'closestdin')]
        for hub, session in checked:
            self.check_no_picture(hub, session, 40)

    @weight(20)
    def test_flood_on_stderr(self):
        """Neither the log nor the memory fills."""
        hub, session = self.check_bad('flood')
        self.check_no_picture(hub, session, 40)
        self.assertLess(len(hub.log_text()), 200_000)

    @long
    @weight(20)
    def test_flood_on_stdout(self):
        hub, session = self.check_bad('floodout')
        self.check_no_picture(hub, session, 40)

    def test_cameras_do_not_wait_for_pictures(self):
        """Ten sessions end while every ffmpeg hangs: all are recorded and a new one starts at once."""
        hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': 'hang'})
        for number in range(10):
            self.record(hub, 'queue%d' % number)
        begin = time.monotonic()
        cam = self.camera(hub, 'next')
        cam.started()
        cam.send(phone(1).phone())
        cam.settle()
        self.assertLess(time.monotonic() - begin, 2)
        self.assertLessEqual(len(processes.marked(hub.mark, but=(hub.pid,))), 4, 'children at once')


if __name__ == '__main__':
    unittest.main()
