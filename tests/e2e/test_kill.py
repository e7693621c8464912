"""Sudden ends: kill -9 at random points, SIGTERM, Ctrl-C once and twice; and the next start."""
import hashlib
import os
import random
import shutil
import signal
import time
import unittest

import annexb
import clips
import media
import processes
from cases import FAKE_FFMPEG, HubTest, long, phone, weight
from hub import wait_until

OLDER = 1.0  # seconds after which a frame that was sent must survive


def digest(payload):
    """The access unit's digest as mp4check --expect compares it."""
    out = hashlib.sha256()
    for nal in annexb.nal_units(payload):
        if nal[0] & 31 not in (6, 7, 8, 9, 12):
            out.update(b'\0\0\0\1' + nal)
    return out.hexdigest()


class KillTest(HubTest):
    def expectation(self, name, messages):
        path = os.path.join(self.root, name + '.sha')
        with open(path, 'w') as file:
            file.write('\n'.join(digest(m.payload) for m in messages if m.picture))
        return path

    def begin(self, hub, names, clip, dice):
        """Cameras that stream on and on, each in its own rhythm."""
        cams = []
        for name in names:
            cam = self.camera(hub, name)
            cam.started()
            units = (clip.units * 20)[:600]
            times = clips.irregular(len(units), dice.randrange(1000), 20, 60)
            messages = [clips.Message(0, 0, clip.sets, picture=False)]
            messages += [clips.Message(t, n + 1, u.without((6, 7, 8)).payload, u.key)
                         for n, (u, t) in enumerate(zip(units, times))]
            cam.future = cam.send_in_background(messages, paced=1)
            cams.append(cam)
        return cams

    def kill_and_note(self, hub, cams):
        """Kills the hub; for each camera what must have survived."""
        now = time.monotonic()
        hub.kill()
        surviving = []
        for cam in cams:
            cam.future.cancel()
            surviving.append([m for when, m in list(cam.sent) if when < now - OLDER])
        return surviving

    def check_as_it_lies(self, session, expectation, wanted):
        if not wanted:
            return
        report = media.mp4check(session.path('stream.mp4'), '--allow-tail', '--layout', 'frag', '--expect', expectation)
        self.assertEqual(report['errors'], [], '%s as it lies' % session.id)

    def check_recovered(self, session, expectation, wanted):
        self.assertEqual(session.problems(), [], session.id)
        report = session.report()
        self.assertEqual((report['verdict'], report['end_reason']), ('recovered', 'interrupted'))
        if wanted:
            options = [] if '-0_' in session.id else ['--no-decode']  # decoded as it lay; again for one in two
            check = media.mp4check(session.path('stream.mp4'), '--layout', 'prog', '--expect', expectation, *options)
            self.assertEqual(check['errors'], [], '%s recovered' % session.id)
            packets = media.packets(session.path('stream.mp4'))
            times = [m.device_ms for m in wanted if m.picture]
            self.assertEqual([p.pts for p in packets[:len(times)]], [(t - times[0]) * 90 for t in times])
            h264 = session.h264()
            self.assertTrue(h264.startswith(b''.join(m.payload for m in wanted)), 'stream.h264')

    def rounds(self, count, seed):
        """Hub after hub on one folder: each recovers what the last one left, and is killed in its turn."""
        dice = random.Random(seed)
        clip = phone(2)
        expected = {}
        for number in range(count):
            hub = self.start_hub('--sync-interval', '1')
            names = ['k%02d-%d' % (number, n) for n in range(2)]
            begin = time.monotonic()
            cams = self.begin(hub, names, clip, dice)
            self.assertLess(time.monotonic() - begin, 2, 'new cameras wait for the recovery')
            hub.wait_session('k%02d-' % number, 2)
            time.sleep(dice.uniform(0.05, 2.2))
            for name, wanted in zip(names, self.kill_and_note(hub, cams)):
                session = hub.sessions(name + '_')[0]
                expected[session.id] = (self.expectation(name, wanted), wanted)
                self.check_as_it_lies(session, *expected[session.id])
        hub = self.start_hub()
        sessions = hub.wait_finished(2 * count, timeout=60)
        for session in sessions:
            self.check_recovered(session, *expected[session.id])
        self.assert_alive(hub)


class Kill(KillTest):
    @weight(30)
    def test_ten_kills(self):
        self.rounds(10, seed=1)

    @long
    @weight(30)
    def test_ten_more_kills(self):
        self.rounds(10, seed=2)

    @long
    @weight(400)
    def test_hundred_kills(self):
        self.rounds(100, seed=3)


class Recovery(KillTest):
    @weight(5)
    def test_recovery_does_not_delay_cameras(self):
        """Many interrupted sessions, an ffmpeg that hangs: a new camera records at once."""
        messages = phone(2).phone()
        hub = self.start_hub()
        cams = [self.camera(hub, 'old%d' % n) for n in range(12)]
        for cam in cams:
            cam.started()
            cam.send(messages)
        cams[-1].settle()
        time.sleep(0.6)
        hub.kill()
        hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': 'hang'})
        begin = time.monotonic()
        cam = self.camera(hub, 'fresh')
        cam.record(messages)
        self.assertLess(time.monotonic() - begin, 2)
        wait_until(lambda: any(media_ready(s) for s in hub.sessions('fresh')), 3, 'new recording')

    def test_recovered_with_thumbnail(self):
        messages = phone(1).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'thumb')
        cam.started()
        cam.send(messages)
        cam.settle()
        time.sleep(0.6)
        hub.kill()
        hub = self.start_hub(thumbnails=True)
        session = hub.wait_finished()[0]
        wait_until(lambda: session.has('thumbnail.jpg'), 10, 'thumbnail')
        self.assertEqual(media.jpeg_size(session.read('thumbnail.jpg')), (320, 240))
        self.assertEqual(session.verdict(), 'recovered')
        self.assertEqual(session.report()['camera']['name'], 'thumb')

    def test_killed_before_the_first_frame(self):
        """A session of nothing: finished at the next start, and never in the way again."""
        hub = self.start_hub()
        cam = self.camera(hub, 'nothing')
        cam.started()
        cam.settle()
        hub.wait_session('nothing')
        hub.kill()
        hub = self.start_hub()
        session = hub.wait_finished(1)[0]
        self.assertEqual(session.report()['counts']['frames'], 0)
        self.assertEqual(session.report()['verdict'], 'recovered')
        self.assert_alive(hub)

    def test_killed_with_several_parts(self):
        small = clips.made(1, size='320x240').phone()
        large = clips.made(1, size='480x640').phone(clips.steady(30, first=clips.BASE_MS + 1000), sequence=len(small))
        hub = self.start_hub()
        cam = self.camera(hub, 'parts')
        cam.started()
        cam.send(small + large)
        cam.settle()
        time.sleep(0.8)
        hub.kill()
        hub = self.start_hub()
        session = hub.wait_finished()[0]
        self.assertEqual(session.parts(), ['stream.mp4', 'stream_2.mp4'])
        self.assert_sound(session, 'recovered')
        self.assert_times(session, small, 1)
        self.assert_times(session, large, 2)
        self.assert_payloads(session, small + large)

    def test_killed_during_the_recovery(self):
        """Again and again in the middle of it: the last start finishes."""
        messages = phone(2).phone()
        hub = self.start_hub()
        cams = [self.camera(hub, 'stubborn%d' % n) for n in range(8)]
        for cam in cams:
            cam.started()
            cam.send(messages)
            cam.settle()
        time.sleep(0.6)
        hub.kill()
        dice = random.Random(4)
        for _ in range(6):
            hub = self.start_hub(wait=False)
            time.sleep(dice.uniform(0.001, 0.06))
            hub.kill()
        hub = self.start_hub()
        for session in hub.wait_finished(8):
            self.assert_sound(session, 'recovered')
            self.assert_times(session, messages)

    @weight(4)
    def test_sigterm_during_the_recovery(self):
        """Orderly in the middle of it, exit 0; the next start finishes the rest."""
        messages = phone(1).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'many')
        cam.started()
        cam.send(messages)
        cam.settle()
        time.sleep(0.6)
        hub.kill()
        session = hub.sessions('many')[0]
        for number in range(40):
            shutil.copytree(session.folder, os.path.join(hub.recordings, 'many_20260101_%06d' % number))
        for delay in (0, 0.005, 0.02, 0.03, 0.05):
            hub = self.start_hub()
            time.sleep(delay)
            hub.signal(signal.SIGTERM)
            self.assertEqual(hub.wait_exit(5), 0, 'exit code')
        hub = self.start_hub()
        sessions = hub.wait_finished(41)
        for session in sessions:
            self.assertEqual((session.verdict(), session.problems()), ('recovered', []))
        for session in sessions[::8]:
            self.assert_times(session, messages)

    def test_finished_sessions_are_left_alone(self):
        """A second start changes no byte and no time of what is finished."""
        hub = self.start_hub()
        cam = self.camera(hub, 'done')
        cam.record(phone(1).phone())
        session = hub.wait_finished()[0]
        hub.stop()

        def state():
            return {n: (os.stat(session.path(n)).st_mtime_ns, session.read(n)) for n in os.listdir(session.folder)}
        before = state()
        hub = self.start_hub()
        self.assert_alive(hub)
        self.assertEqual(sorted(before), sorted(state()))
        self.assertTrue(before == state(), 'a finished session was touched')

    def test_strange_things_in_the_recordings_folder(self):
        """Foreign files, empty folders, links, broken reports: none stops the start or is destroyed."""
        root = os.path.join(self.root, 'recordings')
        os.makedirs(os.path.join(root, 'empty_20260101_000000'))
        os.makedirs(os.path.join(root, 'holiday pictures'))
        with open(os.path.join(root, 'holiday pictures', 'a.jpg'), 'w') as file:
            file.write('mine')
        with open(os.path.join(root, 'notes.txt'), 'w') as file:
            file.write('mine')
        os.symlink('/nowhere', os.path.join(root, 'dangling_20260101_000000'))
        for name, text in (('bad', '{"state":'), ('odd', '[]'), ('none', ''), ('half', '{"state":"recording"}'),
                           ('wrong', '{"format":99,"state":"recording"}')):
            folder = os.path.join(root, name + '_20260101_000000')
            os.makedirs(folder)
            for file_name, data in (('session.json', text), ('frames.idx', 'x' * 100), ('stream.mp4', 'y' * 100)):
                with open(os.path.join(folder, file_name), 'w') as file:
                    file.write(data)
        hub = self.start_hub()
        self.assert_alive(hub)
        with open(os.path.join(root, 'notes.txt')) as file:
            self.assertEqual(file.read(), 'mine')
        self.assertEqual(os.listdir(os.path.join(root, 'holiday pictures')), ['a.jpg'])


def media_ready(session):
    return session.has('stream.mp4') and os.path.getsize(session.path('stream.mp4')) > 10000


class Signals(KillTest):
    def recording(self, hub, count=5):
        clip = phone(2)
        cams = []
        for number in range(count):
            cam = self.camera(hub, 'sig%d' % number)
            cam.started()
            cam.send(clip.phone())
            cam.settle()
            cams.append(cam)
        return clip.phone()

    def check_orderly(self, number):
        hub = self.start_hub()
        messages = self.recording(hub)
        begin = time.monotonic()
        hub.signal(number)
        self.assertEqual(hub.wait_exit(5), 0)
        self.assertLess(time.monotonic() - begin, 5)
        sessions = hub.sessions()
        self.assertEqual(len(sessions), 5)
        for session in sessions:
            self.assert_sound(session)
            self.assertEqual(session.report()['end_reason'], 'shutdown')
            self.assert_payloads(session, messages)
            self.assert_times(session, messages)

    def test_sigterm(self):
        self.check_orderly(signal.SIGTERM)

    def test_sigint(self):
        self.check_orderly(signal.SIGINT)

    def test_cameras_are_told(self):
        """They get a close frame (1001), not just a dead line."""
        hub = self.start_hub()
        cam = self.camera(hub, 'told')
        cam.started()
        cam.send(phone(1).phone())
        cam.settle()
        hub.signal(signal.SIGTERM)
        self.assertEqual(cam.wait_closed()[0], 1001)
        self.assertEqual(hub.wait_exit(5), 0)

    @weight(6)
    def test_sigterm_with_an_ffmpeg_that_hangs(self):
        """Pictures are not worth a late exit: 5 s all the same, and no child is left."""
        for mode in ('hang', 'hardhang'):
            with self.subTest(mode=mode):
                hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': mode})
                self.recording(hub, 2)
                hub.signal(signal.SIGTERM)
                self.assertEqual(hub.wait_exit(5.5), 0)
                for session in hub.sessions():
                    self.assertTrue(session.finished(), session)
                wait_until(lambda: not processes.marked(hub.mark), 2, lambda: 'orphans %s' % processes.marked(hub.mark))

    def test_second_sigint(self):
        """Out at once; what was written is all there after the next start."""
        hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': 'hardhang'}, well=False)
        messages = self.recording(hub, 3)
        time.sleep(0.3)
        hub.signal(signal.SIGINT)
        time.sleep(0.3)
        if hub.process.poll() is None:
            begin = time.monotonic()
            hub.signal(signal.SIGINT)
            hub.wait_exit(1)
            self.assertLess(time.monotonic() - begin, 1)
        hub = self.start_hub()
        for session in hub.wait_finished(3):
            self.assert_sound(session, session.verdict())
            self.assert_payloads(session, messages)
            self.assert_times(session, messages)

    def test_two_sigints_in_a_row(self):
        """Both before anything is done: nothing that was taken in over a second ago is lost."""
        hub = self.start_hub(well=False)
        messages = self.recording(hub, 3)
        time.sleep(1.1)
        hub.signal(signal.SIGINT)
        hub.signal(signal.SIGINT)
        hub.wait_exit(2)
        hub = self.start_hub()
        for session in hub.wait_finished(3):
            self.assert_sound(session, session.verdict())
            self.assert_payloads(session, messages)
            self.assert_times(session, messages)

    def test_sigpipe_does_not_end_it(self):
        hub = self.start_hub()
        hub.signal(signal.SIGPIPE)
        self.assert_alive(hub)

    def test_sigterm_while_idle(self):
        hub = self.start_hub()
        hub.signal(signal.SIGTERM)
        self.assertEqual(hub.wait_exit(3), 0)

    def test_sigterm_with_connections_of_every_kind(self):
        """Half a head, an idle keep-alive, a camera that does not answer the close: still 5 s."""
        hub = self.start_hub()
        self.peer(hub).send(b'GET / HT')
        self.peer(hub)
        idle = self.peer(hub)
        idle.send(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertEqual(idle.response()[0], 200)
        mute = self.peer(hub)
        mute.upgrade('/android-cam/mute')
        mute.frame(1, b'{"status":"capture_started"}')
        for message in phone(1).phone():
            mute.frame(2, message.bytes())
        hub.wait_session('mute')
        hub.signal(signal.SIGTERM)
        self.assertEqual(hub.wait_exit(5), 0)
        self.assert_sound(hub.sessions('mute')[0])


if __name__ == '__main__':
    unittest.main()
