"""GET /live/NAME.jpg of an H.264 camera: decoded once per key frame, whatever ffmpeg does."""
import http.client
import os
import stat
import subprocess
import threading

import clips
import media
import processes
from cases import FAKE_FFMPEG, HubTest, phone, weight
from hub import wait_until
from viewer import Viewer


class Snapshots(HubTest):
    def counting_ffmpeg(self, command='exec ffmpeg "$@"'):
        """A wrapper that notes each run for a snapshot in a file, as FFMPEG_BIN."""
        wrapper = os.path.join(self.root, 'my-ffmpeg')
        with open(wrapper, 'w') as file:
            file.write('#!/bin/sh\ncase "$*" in *"-f h264"*) echo run >>%s/runs;; esac\n%s\n' % (self.root, command))
        os.chmod(wrapper, stat.S_IRWXU)
        return {'FFMPEG_BIN': wrapper}

    def runs(self):
        path = os.path.join(self.root, 'runs')
        return len(open(path).readlines()) if os.path.exists(path) else 0

    def picture(self, hub, name, size):
        status, fields, body = hub.get('/live/%s.jpg' % name)
        self.assertEqual(status, 200, body[:300])
        self.assertEqual((fields['content-type'], fields['cache-control']), ('image/jpeg', 'no-store'))
        self.assertEqual(media.jpeg_size(body), size)
        return body

    def grey(self, jpeg):
        """Its pixels, by ffmpeg."""
        return subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'mjpeg', '-i', '-', '-pix_fmt', 'gray', '-f',
                               'rawvideo', '-'], input=jpeg, stdout=subprocess.PIPE, check=True).stdout

    def ask_all(self, hub, names, timeout=60):
        """All at once; [(status, body)] in their order."""
        out = [None] * len(names)

        def ask(n):
            connection = http.client.HTTPConnection('127.0.0.1', hub.port, timeout=timeout)
            connection.request('GET', '/live/%s.jpg' % names[n])
            response = connection.getresponse()
            out[n] = response.status, response.read()
            connection.close()
        threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(names))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout)
        return out

    def no_children(self, hub, limit=25):
        wait_until(lambda: not processes.marked(hub.mark, but=(hub.pid,)), limit,
                   lambda: 'children left: %s' % processes.marked(hub.mark, but=(hub.pid,)))
        wait_until(lambda: not processes.zombies(hub.pid), 3, 'zombies')

    def test_once_per_key_frame(self):
        hub = self.start_hub(env=self.counting_ffmpeg())
        cam = self.camera(hub, 'roof')
        self.assertEqual(hub.get('/live/roof.jpg')[0], 503)
        messages = phone(2).phone()
        cam.send(messages[:20])
        cam.settle()
        first = self.picture(hub, 'roof', (320, 240))
        self.assertEqual(self.picture(hub, 'roof', (320, 240)), first)
        self.assertEqual(self.runs(), 1)
        status, fields, body = hub.get('/live/roof.jpg', 'HEAD')
        self.assertEqual((status, int(fields['content-length']), body), (200, len(first), b''))
        cam.send(messages[20:])
        cam.settle()
        second = self.picture(hub, 'roof', (320, 240))
        self.assertEqual(self.runs(), 2)
        self.assertNotEqual(first, second)
        # It is the key frame and no other picture.
        path = os.path.join(self.root, 'key.h264')
        with open(path, 'wb') as file:
            file.write(messages[0].payload + messages[31].payload)
        raw = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'h264', '-i', path, '-pix_fmt', 'gray', '-f',
                              'rawvideo', '-'], stdout=subprocess.PIPE, check=True).stdout
        seen = self.grey(second)
        self.assertEqual(len(seen), len(raw))
        self.assertLess(sum(abs(a - b) for a, b in zip(seen[::7], raw[::7])) / len(raw[::7]), 8)

    def test_another_connection(self):
        """A camera that comes back with other pictures: the kept one is not shown for its new key frame."""
        hub = self.start_hub(env=self.counting_ffmpeg())
        for number, size in enumerate(((320, 240), (640, 480), (320, 240))):
            cam = self.camera(hub, 'roof')
            cam.send(phone(1, size='%dx%d' % size, source='testsrc' if number else 'testsrc2').phone())
            cam.settle()
            self.picture(hub, 'roof', size)
            self.assertEqual(self.runs(), number + 1)
            cam.abort()
            hub.wait_log('roof: disconnected', count=number + 1)

    def test_twenty_at_once(self):
        hub = self.start_hub(env=self.counting_ffmpeg('sleep 0.5; exec ffmpeg "$@"'))
        cam = self.camera(hub, 'roof')
        cam.send(phone(1).phone())
        cam.settle()
        answers = self.ask_all(hub, ['roof'] * 20)
        self.assertEqual({status for status, _ in answers}, {200})
        self.assertEqual(len({body for _, body in answers}), 1)
        self.assertEqual(self.runs(), 1)

    def test_nine_cameras(self):
        hub = self.start_hub(env=self.counting_ffmpeg())
        names, sizes = ['cam%d' % n for n in range(9)], [(160 + 16 * n, 120) for n in range(9)]
        for name, size in zip(names, sizes):
            cam = self.camera(hub, name)
            cam.send(phone(1, size='%dx%d' % size).phone(count=2))
            cam.settle()
        answers = self.ask_all(hub, names * 2)
        self.assertEqual([status for status, _ in answers], [200] * 18)
        self.assertEqual([media.jpeg_size(body) for _, body in answers], sizes * 2)
        self.assertEqual(self.runs(), 9)
        self.no_children(hub)

    def test_clips(self):
        """Fields, B-frames, several parameter sets: a picture of the right size."""
        for name in clips.REAL:
            with self.subTest(name):
                clip = clips.real(name)
                hub = self.start_hub(thumbnails=True)
                cam, viewer = self.camera(hub, 'clip'), Viewer(hub, 'clip')
                cam.send(clip.phone())
                cam.settle()
                status, _, body = hub.get('/live/clip.jpg')
                if status == 503:
                    self.assertFalse([m for m in clip.phone() if m.key], 'a key frame was sent')
                    continue
                self.assertEqual(status, 200, body[:300])
                viewer.wait(lambda: viewer.texts('stream'))
                told = viewer.texts('stream')[-1]
                self.assertEqual(media.jpeg_size(body), (told['width'], told['height']))

    # --- ffmpeg that is none --------------------------------------------------------------------------

    def check_bad(self, mode, timeout=8, **env):
        hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': mode, **env})
        cam = self.camera(hub, 'roof')
        cam.send(phone(1).phone())
        cam.settle()
        answers = self.ask_all(hub, ['roof'] * 3, timeout)
        for status, body in answers:
            self.assertEqual(status, 502, (mode, body[:200]))
            self.assertIn(b'"code":"ffmpeg"', body)
        self.no_children(hub)
        if not processes.sanitized():
            self.assertLess(processes.resident_bytes(hub.pid), 150 << 20)
        cam.settle()
        self.assertTrue(hub.alive())
        return hub

    def test_missing(self):
        hub = self.start_hub(env={'FFMPEG_BIN': '/nowhere/ffmpeg'})
        cam = self.camera(hub, 'roof')
        cam.send(phone(1).phone())
        cam.settle()
        for _ in range(3):
            status, _, body = hub.get('/live/roof.jpg')
            self.assertEqual(status, 502, body)
            self.assertIn(b'/nowhere/ffmpeg', body)
        self.assertTrue(hub.alive())

    def test_crash(self):
        self.check_bad('crash')

    def test_exit_1(self):
        self.check_bad('exit1')

    def test_garbage(self):
        """What is no JPEG is not passed on as one."""
        self.check_bad('garbage')

    @weight(25)
    def test_flood_of_output(self):
        self.check_bad('floodout', 30)

    @weight(25)
    def test_flood_of_errors(self):
        self.check_bad('flood', 30)

    @weight(25)
    def test_closed_input(self):
        self.check_bad('closestdin', 30)

    @weight(25)
    def test_hang(self):
        """Cut short by the time limit; and a hub that stops meanwhile does not wait for it."""
        self.check_bad('hang', 30)

    def test_hang_and_stop(self):
        hub = self.start_hub(env={'FFMPEG_BIN': FAKE_FFMPEG, 'FAKE': 'hang'})
        for name in ('a', 'b', 'c', 'd'):
            cam = self.camera(hub, name)
            cam.send(phone(1).phone())
            cam.settle()
        asking = threading.Thread(target=lambda: self.swallow(hub), daemon=True)
        asking.start()
        wait_until(lambda: len(processes.marked(hub.mark, but=(hub.pid,))) >= 2, 5, 'two children')
        self.assertEqual(hub.stop(), [])
        self.assertEqual(processes.marked(hub.mark), [])

    def swallow(self, hub):
        try:
            self.ask_all(hub, ['a', 'b', 'c', 'd', 'a'])
        except OSError:
            pass

    def test_asked_and_gone(self):
        """Those who ask leave before the answer, and so does the camera."""
        hub = self.start_hub(env=self.counting_ffmpeg('sleep 1; exec ffmpeg "$@"'))
        cam = self.camera(hub, 'roof')
        cam.send(phone(1).phone())
        cam.settle()
        peers = [self.peer(hub) for _ in range(10)]
        for peer in peers:
            peer.send(b'GET /live/roof.jpg HTTP/1.1\r\nHost: x\r\n\r\n' * 3)
        wait_until(self.runs, 5, 'ffmpeg runs')
        for peer in peers[:5]:
            peer.reset()
        cam.abort()
        hub.wait_log('roof: disconnected')
        for peer in peers[5:]:
            status, fields, body = peer.response()
            self.assertEqual((status, media.jpeg_size(body)), (200, (320, 240)))
        self.no_children(hub)
        self.assertTrue(hub.alive())
