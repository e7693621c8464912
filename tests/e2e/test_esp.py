"""JPEG cameras: sessions, commands, what the hub keeps, and the film of it all."""
import os
import signal
import subprocess
import time
import unittest

import idx
import jpegs
import media
from cases import FAKE_FFMPEG, HubTest, long, weight
from hub import wait_until
from jpegs import Esp, pictures


class EspTest(HubTest):
    def esp(self, hub, name=None):
        cam = Esp(hub, name)
        self.addCleanup(cam.abort)
        return cam

    def send(self, cam, count=10, step=0.02, **options):
        for picture in pictures(count, **options):
            cam.picture(picture)
            time.sleep(step)
        cam.settle()

    def assert_session(self, session, sent):
        self.assertEqual(jpegs.session_problems(session, sent), [], session.id)

    def assert_ring(self, hub, name, sent):
        """The newest is there; of the others those that the disk took in time; each as it was sent."""
        wait_until(lambda: jpegs.ring(hub, name)[-1:] == [(len(sent), sent[-1])], 5, 'the newest picture')
        for number, data in jpegs.ring(hub, name):
            self.assertEqual(data, sent[number - 1])

    def repair(self, folder, ffmpeg, code=0):
        run = subprocess.run([os.environ['CAMHUB_BIN'], 'repair', folder], env=dict(os.environ, FFMPEG_BIN=ffmpeg),
                             stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=600)
        self.assertEqual(run.returncode, code, run.stdout)
        return run.stdout.decode()

    def wait_film(self, session, timeout=30):
        wait_until(lambda: any(f['kind'] == 'film' for f in session.report()['files']), timeout, 'the film')
        self.assertEqual(jpegs.film_problems(session), [], session.id)


class Sessions(EspTest):
    def test_session(self):
        """Pictures byte for byte with their arrival's times, a film to the tick, the ring, the log."""
        hub = self.start_hub(thumbnails=True)
        cam = self.esp(hub, 'left')
        cam.text('STATUS: camera ready')
        hub.wait_log(r'\[App Status\] left: STATUS: camera ready')
        for number, picture in enumerate(pictures(40)):
            cam.picture(picture + b'\0' * (number % 5))
            time.sleep(0.01 + 0.05 * (number % 7 == 0) + 0.4 * (number == 20))
        cam.settle()
        cam.close()
        session = hub.wait_finished(prefix='left_')[0]
        self.assert_session(session, cam.pictures)
        report = session.report()
        self.assertEqual((session.verdict(), report['end_reason']), ('complete', 'disconnected'))
        self.assertIn('the camera numbers none', report['reason'])
        times = [r.pts for r in session.records()]
        self.assertTrue(36000 < times[21] - times[20] < 90000, times)
        self.assertTrue(all(abs(r.pts / 90 - (r.arrival_us - session.records()[0].arrival_us) / 1000) < 20
                            for r in session.records()))
        self.wait_film(session)
        self.assert_ring(hub, 'left', cam.pictures)
        self.assertIn('complete', self.camhub('verify', session.folder))
        self.assertIn('nothing to repair', self.camhub('repair', session.folder))

    def test_sessions_of_one_connection(self):
        """stop ends a session, start lets the next one begin; what comes in between is shown, not recorded."""
        hub = self.start_hub()
        cam = self.esp(hub, 'door')
        first = pictures(10)
        for picture in first:
            cam.picture(picture)
        cam.settle()
        hub.wait_session('door_')
        hub.type('stop')
        self.assertEqual(cam.wait_line(), ['stop'])
        session = hub.wait_finished(prefix='door_')[0]
        self.assert_session(session, first)
        self.assertEqual(session.report()['end_reason'], 'capture_stopped')
        for picture in pictures(5, '160x120'):
            cam.picture(picture)  # under way when it was stopped
        cam.settle()
        time.sleep(0.5)
        self.assertEqual(len(hub.sessions('door_')), 1)
        hub.type('start SVGA 12')
        self.assertEqual(cam.wait_line(2)[1], 'start SVGA 12')
        second = pictures(7, '400x296')
        for picture in second:
            cam.picture(picture)
        cam.settle()
        cam.close()
        sessions = hub.wait_finished(2, prefix='door_')
        self.assert_session(sessions[1], second)
        self.assert_ring(hub, 'door', cam.pictures)  # those that were not recorded, too

    @weight(14)
    def test_silence(self):
        hub = self.start_hub()
        cam = self.esp(hub, 'quiet')
        self.send(cam, 5)
        session = hub.wait_finished(prefix='quiet_', timeout=20)[0]
        self.assertEqual(session.report()['end_reason'], 'silence')
        self.assert_session(session, pictures(5))
        self.send(cam, 3)  # it goes on, without being told anything
        cam.close()
        self.assert_session(hub.wait_finished(2, prefix='quiet_')[1], pictures(3))

    @weight(6)
    def test_goes_on_after_stop(self):
        """One that does not obey is told of once, and is not recorded."""
        hub = self.start_hub()
        cam = self.esp(hub, 'deaf')
        self.send(cam, 3)
        hub.type('stop')
        hub.wait_finished(prefix='deaf_')
        for _ in range(4):
            self.send(cam, 3, 0.01)
            time.sleep(0.9)
        self.assertEqual(len(hub.matches(r'\[Warning\] deaf: pictures come although it was told to stop')), 1)
        self.assertEqual(len(hub.sessions('deaf_')), 1)

    def test_no_jpeg(self):
        """Told of once a stretch, with the count; the connection and the recording go on."""
        hub = self.start_hub()
        cam = self.esp(hub, 'bad')
        good = pictures(6)
        cam.binary(b'')
        cam.binary(b'no picture at all')
        cam.binary(good[0][:-1])
        cam.settle()
        self.assertEqual(hub.sessions('bad_'), [])
        for number, picture in enumerate(good):
            cam.picture(picture)
            if number == 2:
                cam.binary(b'\0\0\0\1\x67')
        cam.settle()
        self.assertTrue(cam.open())
        cam.close()
        self.assert_session(hub.wait_finished(prefix='bad_')[0], good)
        self.assertEqual(len(hub.matches(r'\[Error\] bad: message of \d+ bytes dropped: it is no whole JPEG')), 2)
        self.assertEqual(len(hub.matches(r'\[Error\] bad: 3 messages in a row were dropped')), 1)

    def test_texts(self):
        hub = self.start_hub()
        cam = self.esp(hub, 'talker')
        for text in ('ACK: start', 'STATUS: Grüße', 'ERROR: no sensor', 'whatever', '', '{"status":"ready"}'):
            cam.text(text)
        cam.settle()
        log = hub.log_text()
        for text in ('ACK: start', 'STATUS: Grüße', 'ERROR: no sensor', 'whatever'):
            self.assertIn('[App Status] talker: ' + text, log)
        self.assertTrue(cam.open())

    def test_rate(self):
        hub = self.start_hub()
        cam = self.esp(hub, 'pace')
        self.send(cam, 60, 0.05)
        rates = [float(x) for x in hub.matches(r'\[Frame\] pace: FPS: (\d+\.\d\d)$')]
        self.assertIn(len(rates), (2, 3), hub.log_text())
        self.assertTrue(all(8 < rate <= 20.5 for rate in rates), rates)

    def test_paths(self):
        hub = self.start_hub()
        self.assertEqual(Esp(hub, 'bad~name').wait_closed()[0], 1008)
        self.assertEqual(Esp(hub, 'x/y').wait_closed()[0], 1008)
        cam = self.esp(hub)
        self.send(cam, 3)
        cam.close()
        session = hub.wait_finished(prefix='127.0.0.1_')[0]
        self.assert_session(session, pictures(3))
        self.assert_ring(hub, None, pictures(3))

    def test_replaced(self):
        """The same name connects again before the old connection is known to be dead."""
        hub = self.start_hub()
        old = self.esp(hub, 'same')
        self.send(old, 4)
        new = self.esp(hub, 'same')
        self.assertEqual(old.wait_closed()[0], 1008)
        self.send(new, 3)
        new.close()
        sessions = hub.wait_finished(2, prefix='same_')
        self.assert_session(sessions[0], pictures(4))
        self.assert_session(sessions[1], pictures(3))

    @weight(8)
    def test_ring(self):
        """The newest 200, over several connections and runs of the hub."""
        hub = self.start_hub()
        cam = self.esp(hub, 'ring')
        some = pictures(50, '160x120')
        for number in range(230):
            cam.picture(some[number % 50])
            wait_until(lambda: [n for n, _ in jpegs.ring(hub, 'ring')[-1:]] == [number + 1], 5, 'the picture')
        cam.close()
        hub.wait_finished(prefix='ring_')
        hub.stop()
        self.assertEqual(len(jpegs.ring(hub, 'ring')), 200)
        again = self.start_hub()
        cam = self.esp(again, 'ring')
        for number, picture in enumerate(pictures(3)):
            cam.picture(picture)
            wait_until(lambda: jpegs.ring(again, 'ring')[-1][0] == number + 1, 5, 'the picture')
        cam.close()
        again.wait_finished(2, prefix='ring_')
        kept = jpegs.ring(again, 'ring')
        self.assertEqual(len(kept), 200)
        self.assertEqual([data for _, data in kept[-3:]], pictures(3))
        self.assertEqual([number for number, _ in kept[-3:]], [1, 2, 3])


class Resume(EspTest):
    def told(self, cam):
        cam.settle()
        return list(cam.texts)

    def lose(self, hub, cam, name):
        cam.abort()
        hub.wait_log(r'%s: disconnected' % name)

    def test_started(self):
        hub = self.start_hub()
        cam = self.esp(hub, 'yard')
        self.assertEqual(self.told(cam), [])
        hub.type('start VGA 10')
        cam.wait_line()
        self.send(cam, 3)
        self.lose(hub, cam, 'yard')
        cam = self.esp(hub, 'yard')
        self.assertEqual(cam.wait_line(), ['start VGA 10'])
        self.send(cam, 3)
        cam.close()
        self.assertEqual(len(hub.wait_finished(2, prefix='yard_')), 2)
        hub.wait_log('yard: was capturing when it was lost')

    def test_stopped(self):
        hub = self.start_hub()
        cam = self.esp(hub, 'yard')
        hub.type('start')
        hub.type('stop')
        cam.wait_line(2)
        self.lose(hub, cam, 'yard')
        self.assertEqual(self.told(self.esp(hub, 'yard')), [])

    def test_stopped_while_lost(self):
        hub = self.start_hub()
        cam = self.esp(hub, 'yard')
        hub.type('start QVGA')
        cam.wait_line()
        self.lose(hub, cam, 'yard')
        hub.type('stop')
        hub.type('status')
        time.sleep(0.3)
        self.assertEqual(self.told(self.esp(hub, 'yard')), [])

    def test_without_a_name(self):
        """Known again by where it comes from, once."""
        hub = self.start_hub()
        cam = self.esp(hub)
        hub.type('start HD 9')
        cam.wait_line()
        self.lose(hub, cam, r'127\.0\.0\.1_\d+')
        cam = self.esp(hub)
        self.assertEqual(cam.wait_line(), ['start HD 9'])
        self.assertEqual(self.told(self.esp(hub)), [])  # another one


class Films(EspTest):
    def test_one_at_a_time(self):
        """Three sessions at once: three films, one child."""
        hub = self.start_hub(thumbnails=True)
        cams = [self.esp(hub, 'cam%d' % n) for n in range(3)]
        for picture in pictures(30):
            for cam in cams:
                cam.picture(picture)
        for cam in cams:
            cam.close()
        most = 0
        sessions = hub.wait_finished(3, prefix='cam')
        end = time.monotonic() + 40
        while not all(s.has('stream.mp4') for s in sessions) and time.monotonic() < end:
            most = max(most, len(jpegs.film_makers(hub)))
            time.sleep(0.01)
        self.assertLessEqual(most, 1)
        for session in sessions:
            self.wait_film(session)

    def test_no_ffmpeg(self):
        """Said once; nothing else is missing; `camhub repair` makes up for it, and so does the next start."""
        hub = self.start_hub(env={'FFMPEG_BIN': '/nowhere/ffmpeg'})
        for number in range(2):
            cam = self.esp(hub, 'none%d' % number)
            self.send(cam, 5)
            cam.close()
        sessions = hub.wait_finished(2, prefix='none')
        hub.wait_log(r'\[Warning\] \S+: no film: there is no program /nowhere/ffmpeg')
        time.sleep(0.5)
        self.assertEqual(len(hub.matches('no film')), 1)
        hub.stop()
        folder = sessions[0].folder
        self.assertIn('no film: there is no program', self.repair(folder, '/nowhere/ffmpeg', 1))
        self.assertIn('the film was made: 5 of 5 pictures', self.repair(folder, 'ffmpeg'))
        self.assertEqual(jpegs.film_problems(sessions[0]), [])
        self.assertIn('nothing to repair', self.repair(folder, '/nowhere/ffmpeg'))
        self.start_hub(thumbnails=True)
        self.wait_film(sessions[1])

    def test_killed_while_recording(self):
        """kill -9: the next start recovers the session and makes its film."""
        hub = self.start_hub()
        cam = self.esp(hub, 'cut')
        self.send(cam, 20, 0.05)
        hub.kill()
        again = self.start_hub(thumbnails=True)
        session = again.wait_finished(prefix='cut_')[0]
        self.assertEqual(session.verdict(), 'recovered')
        self.assertEqual(jpegs.session_problems(session), [])
        kept = len(session.records())
        self.assertGreaterEqual(kept, 10)
        self.assertEqual(session.read('stream.mjpeg'), b''.join(cam.pictures[:kept]))
        self.wait_film(session)

    def test_end_while_filming(self):
        """SIGTERM stops the encoder at once and leaves nothing half done; the next start makes the film."""
        hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': 'hang'})
        cam = self.esp(hub, 'long')
        self.send(cam, 5)
        cam.close()
        session = hub.wait_finished(prefix='long_')[0]
        wait_until(lambda: jpegs.film_makers(hub), 10, 'the child')
        started = time.monotonic()
        hub.signal(signal.SIGTERM)
        hub.wait_exit(5)
        self.assertLess(time.monotonic() - started, 4.5)
        self.assertEqual(sorted(os.listdir(session.folder)),
                         ['frames.idx', 'session.json', 'stream.mjpeg', 'thumbnail.jpg'])
        self.start_hub(thumbnails=True)
        self.wait_film(session)

    def test_broken_pictures(self):
        """Garbage between good markers, other sizes, a picture that cannot be decoded: the film has what there is."""
        hub = self.start_hub(thumbnails=True)
        cam = self.esp(hub, 'odd')
        small, large = pictures(12), pictures(4, '640x480')
        spoilt = bytearray(small[5])
        at = spoilt.rindex(b'\xff\xda') + 200
        spoilt[at:at + 300] = bytes(n * 37 % 251 for n in range(300))
        for picture in (*small[:5], bytes(spoilt), *large, *small[6:]):
            cam.picture(picture)
            time.sleep(0.02)
        cam.close()
        session = hub.wait_finished(prefix='odd_')[0]
        self.assert_session(session, cam.pictures)
        wait_until(lambda: session.has('stream.mp4'), 20, 'the film')
        times = {r.pts for r in session.records()}
        shown = [p.pts for p in media.packets(session.path('stream.mp4'))]
        self.assertGreaterEqual(len(shown), 15)
        self.assertTrue(set(shown) <= times)
        self.assertEqual(media.picture_size(session.path('stream.mp4')), (320, 240))

    @long
    @weight(300)
    def test_twenty_thousand(self):
        """A bare stream.mjpeg of 20,000 pictures: found by their markers, filmed."""
        some = pictures(50, '160x120')
        folder = os.path.join(self.root, 'recordings', 'many_20260101_000000')
        os.makedirs(folder)
        with open(os.path.join(folder, 'stream.mjpeg'), 'wb') as file:
            for number in range(20000):
                file.write(some[number % 50])
        self.assertIn('the film was made: 20000 of 20000 pictures', self.repair(folder, 'ffmpeg'))
        session = idx.Session(folder)
        self.assertEqual(jpegs.session_problems(session), [])
        self.assertEqual(jpegs.film_problems(session), [])


if __name__ == '__main__':
    unittest.main()
