"""Live viewing of H.264 cameras: every format, late and early, slow and hostile viewers."""
import os
import random
import struct
import time

import clips
import media
import mp4live
import processes
import wire
from cases import HubTest, long, phone, weight
from clips import BASE_MS, Message
from hub import wait_until
from viewer import HttpViewer, SlowViewer, Viewer


class LiveTest(HubTest):
    def viewer(self, hub, name, query='', kind=Viewer, **options):
        viewer = kind(hub, name, query, **options)
        self.addCleanup(viewer.abort if kind is Viewer else viewer.close)
        return viewer

    def http_viewer(self, hub, path):
        viewer = HttpViewer(hub, path)
        self.addCleanup(viewer.close)
        return viewer

    def assert_film(self, film, messages, shown=None):
        """The pictures of these messages, at the camera's times, and as a foreign decoder sees them."""
        pictures = [m for m in messages if m.picture]
        self.assertEqual(len(film.fragments), len(pictures))
        self.assertEqual(film.times(), [(m.device_ms - pictures[0].device_ms) * 90 for m in pictures])
        self.assertEqual([f.key for f in film.fragments], [m.key for m in pictures])
        dts = [f.dts for f in film.fragments]
        self.assertTrue(all(a < b for a, b in zip(dts, dts[1:])), dts)
        self.assertTrue(all(f.pts >= f.dts for f in film.fragments))
        path = os.path.join(self.root, 'film-%d.mp4' % random.getrandbits(40))
        decoded = film.pictures(path)
        if shown is not None:
            self.assertEqual(decoded, shown)
        # ffprobe sees the same
        packets = media.packets(path)
        self.assertEqual([p.pts - packets[0].pts for p in packets], film.times())
        return packets

    def annexb_file(self, messages):
        path = os.path.join(self.root, 'live-%d.h264' % random.getrandbits(40))
        with open(path, 'wb') as file:
            file.write(b''.join(messages))
        return path


class Formats(LiveTest):
    def test_all_at_once(self):
        """Viewers that came before the camera's first message have everything, in every format, and so has the disk."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        ws, annex = self.viewer(hub, 'roof'), self.viewer(hub, 'roof', '?format=h264')
        named = self.viewer(hub, 'roof', '?format=mp4&coalesce=0')
        http_viewer = self.http_viewer(hub, '/live/roof.mp4')
        clip = phone(2)
        messages = clip.phone(clips.irregular(len(clip.units), low=5, high=60))
        cam.record(messages)
        for viewer in (ws, annex, named):
            viewer.wait_pictures(60)
        http_viewer.wait_fragments(60)
        shown = clips.shown(clip)
        for film in (*ws.films(), *named.films(), http_viewer.film()):
            self.assert_film(film, messages, shown)
        self.assertEqual((len(ws.films()), len(named.films())), (1, 1))
        self.assertEqual(ws.binaries(), named.binaries())
        sets = messages[0].payload  # which the camera sent once
        self.assertEqual(annex.binaries(), [sets * m.key + m.payload for m in messages[1:]])
        self.assertEqual(mp4live.decode(self.annexb_file(annex.binaries()), '-f', 'h264'), shown)
        fields = http_viewer.head.lower()
        self.assertIn('content-type: video/mp4', fields)
        self.assertNotIn('content-length', fields)
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assert_payloads(session, messages)

    def test_stream_text(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        messages = phone(1, size='640x360').phone()
        cam.send(messages)
        before = time.time()
        cam.settle()
        for query, mime in (('', 'video/mp4; codecs="avc1.'), ('?format=h264', 'video/h264')):
            viewer = self.viewer(hub, 'roof', query)
            viewer.wait_pictures(30)
            text = viewer.all[0]
            self.assertEqual(text['type'], 'stream')
            self.assertTrue(text['mime'].startswith(mime), text)
            self.assertEqual((text['width'], text['height'], text['timescale']), (640, 360, 90000))
            self.assertLess(abs(text['time']['unix_us'] / 1e6 - before), 30)
            self.assertEqual(len(viewer.texts()), 1)

    def test_codec_is_that_of_the_sps(self):
        hub = self.start_hub()
        clip = phone(1, profile='main')
        cam, viewer = self.camera(hub, 'roof'), self.viewer(hub, 'roof')
        cam.send(clip.phone())
        viewer.wait(lambda: viewer.texts('stream'))
        sps = clip.sets[clip.sets.index(b'\0\0\1\x67') + 3:]
        self.assertEqual(viewer.texts('stream')[0]['mime'],
                         'video/mp4; codecs="avc1.%s"' % sps[1:4].hex().upper())

    def test_b_frames(self):
        """Decoding order on the wire, the device's times in presentation."""
        for name in ('Cisco_Men_whisper_640x320_CABAC_Bframe_9.264', 'VID_1280x720_cavlc_temporal_direct.264',
                     'test_qcif_cabac.264'):
            with self.subTest(name):
                clip = clips.real(name)
                hub = self.start_hub()
                cam, viewer = self.camera(hub, 'clip'), self.viewer(hub, 'clip')
                http_viewer = self.http_viewer(hub, '/live/clip.mp4')
                times = [BASE_MS + 40 * place for place in clips.presentation_order(clip)]
                messages = clip.phone(times)
                cam.send(messages)
                viewer.wait_pictures(len(clip.units), 20)
                http_viewer.wait_fragments(len(clip.units))
                for film in (viewer.films()[0], http_viewer.film()):
                    self.assertEqual(len(film.fragments), len(clip.units))
                    self.assertEqual(film.times(), [(t - times[0]) * 90 for t in times])
                    shown = film.pictures(os.path.join(self.root, 'b.mp4'))
                    self.assertEqual(shown, clips.shown(clip))

    def test_many_parameter_sets(self):
        """Sets that come between pictures, in messages of their own."""
        clip = clips.real('MPS_MW_A.264')
        hub = self.start_hub()
        cam, viewer = self.camera(hub, 'clip'), self.viewer(hub, 'clip', '?format=h264')
        film = self.viewer(hub, 'clip')
        messages, n = [], 0
        for unit, stamp in zip(clip.units, clips.steady(len(clip.units), 40)):
            if unit.sets:
                messages.append(Message(0, n, unit.sets, picture=False))
                n += 1
            messages.append(Message(stamp, n, unit.without((6, 7, 8)).payload, unit.key))
            n += 1
        cam.send(messages)
        viewer.wait_pictures(len(clip.units), 20)
        film.wait_pictures(len(clip.units), 20)
        self.assertEqual(mp4live.decode(self.annexb_file(viewer.binaries()), '-f', 'h264'), clips.shown(clip))
        decoded = []
        for number, one in enumerate(film.films()):
            decoded += one.pictures(os.path.join(self.root, 'mps-%d.mp4' % number))
        self.assertEqual(decoded, clips.shown(clip))

    def test_coalesce(self):
        """Other moments, the same bytes."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        plain = self.viewer(hub, 'roof')
        held = [self.viewer(hub, 'roof', '?coalesce=%d' % ms) for ms in (1, 280, 1000)]
        http_held = self.http_viewer(hub, '/live/roof.mp4?coalesce=280')
        messages = phone(3).phone(clips.steady(90, 33))
        cam.send(messages, paced=1)
        plain.wait_pictures(90)
        for viewer in held:
            viewer.wait_pictures(90)
            self.assertEqual(viewer.drops(), [])
            self.assertEqual(viewer.binaries(), plain.binaries())
        http_held.wait_fragments(90)
        self.assertEqual(http_held.body, b''.join(plain.binaries()))

    def test_frame_of_many_nal_units(self):
        """More pieces than one system call takes."""
        hub = self.start_hub()
        cam, viewer = self.camera(hub, 'slices'), self.viewer(hub, 'slices', '?format=h264')
        film = self.viewer(hub, 'slices')
        messages = phone(1).phone(count=3)
        sei = b'\0\0\0\1\x06\x05\x02\xaa\xbb\x80'
        messages[2] = messages[2]._replace(payload=sei * 3000 + messages[2].payload)
        cam.send(messages)
        viewer.wait_pictures(3)
        film.wait_pictures(3)
        self.assertEqual(viewer.binaries()[1:], [m.payload for m in messages[2:]])
        self.assertEqual(len(film.films()[0].fragments), 3)


class Life(LiveTest):
    def test_late_joiner(self):
        """From the newest key frame on."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        messages = phone(2, gop=12).phone()
        cam.send(messages[:41])  # sets and pictures 0 to 39; the newest key frame is 36
        cam.settle()
        viewers = [self.viewer(hub, 'roof'), self.viewer(hub, 'roof', '?format=h264')]
        http_viewer = self.http_viewer(hub, '/live/roof.mp4')
        for viewer in viewers:
            viewer.wait_pictures(4)
        http_viewer.wait_fragments(4)
        cam.send(messages[41:])
        viewers[0].wait_pictures(24)
        viewers[1].wait_pictures(24)
        http_viewer.wait_fragments(24)
        for film in (viewers[0].films()[0], http_viewer.film()):
            self.assert_film(film, messages[37:])
        self.assertEqual(viewers[1].binaries()[0], messages[0].payload + messages[37].payload)
        mp4live.decode(self.annexb_file(viewers[1].binaries()), '-f', 'h264')

    def test_camera_comes_back(self):
        """The timeline goes on; a new init segment only with new parameters."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        viewer, http_viewer = self.viewer(hub, 'roof'), self.http_viewer(hub, '/live/roof.mp4')
        annex = self.viewer(hub, 'roof', '?format=h264')
        messages = phone(1).phone()
        cam.send(messages)
        viewer.wait_pictures(30)
        cam.abort()
        hub.wait_log('roof: disconnected')
        cam = self.camera(hub, 'roof')
        again = phone(1).phone(clips.steady(30, 33, first=77))  # its clock is another
        cam.send(again)
        viewer.wait_pictures(60)
        http_viewer.wait_fragments(60)
        annex.wait_pictures(60)
        self.assertEqual(len(viewer.films()), 1)
        self.assertEqual(len(viewer.texts('stream')), 1)
        fragments = viewer.fragments()
        self.assertTrue(all(a.dts < b.dts for a, b in zip(fragments, fragments[1:])))
        self.assertEqual([f.pts - fragments[30].pts for f in fragments[30:]], [n * 33 * 90 for n in range(30)])
        film = viewer.films()[0]
        self.assertEqual(len(film.pictures(os.path.join(self.root, 'back.mp4'))), 60)
        self.assertEqual([f.data for f in http_viewer.film().fragments], [f.data for f in film.fragments])
        self.assertEqual(viewer.drops(), [])
        cam.abort()
        hub.wait_log('roof: disconnected', count=2)
        cam = self.camera(hub, 'roof')
        cam.send(phone(1, size='640x480').phone())
        viewer.wait_pictures(90)
        films = viewer.films()
        self.assertEqual([len(f.fragments) for f in films], [60, 30])
        self.assertGreater(films[1].fragments[0].dts, films[0].fragments[-1].dts)
        self.assertEqual([(t['width'], t['height']) for t in viewer.texts('stream')], [(320, 240), (640, 480)])
        self.assertEqual(len(films[1].pictures(os.path.join(self.root, 'back2.mp4'))), 30)
        wait_until(lambda: http_viewer.ended, 5, 'the HTTP answer ends at new parameters')
        self.assertEqual(len(http_viewer.film().fragments), 60)
        self.assertTrue(viewer.socket.open and annex.socket.open)

    def test_taken_over(self):
        """A second connection of the same name: viewers stay."""
        hub = self.start_hub()
        first, viewer = self.camera(hub, 'roof'), self.viewer(hub, 'roof')
        first.send(phone(1).phone())
        viewer.wait_pictures(30)
        second = self.camera(hub, 'roof')
        second.send(phone(1).phone(clips.steady(30, 33, first=BASE_MS + 10000)))
        viewer.wait_pictures(60)
        self.assertEqual(len(viewer.films()), 1)

    def test_parameters_change(self):
        hub = self.start_hub()
        cam, viewer = self.camera(hub, 'roof'), self.viewer(hub, 'roof')
        http_viewer, annex = self.http_viewer(hub, '/live/roof.mp4'), self.viewer(hub, 'roof', '?format=h264')
        small = phone(1).phone(clips.steady(30, 33))
        large = phone(1, size='640x480').phone(clips.steady(30, 33, first=BASE_MS + 990), sequence=31)
        cam.record(small + large)
        viewer.wait_pictures(60)
        annex.wait_pictures(60)
        films = viewer.films()
        self.assertEqual(len(films), 2)
        for film, messages in zip(films, (small, large)):
            self.assert_film(film, messages)
        self.assertEqual(films[1].fragments[0].pts - films[0].fragments[0].pts, 990 * 90)
        wait_until(lambda: http_viewer.ended, 5, 'the HTTP answer ends at new parameters')
        self.assert_film(http_viewer.film(), small)
        self.assertEqual(sum(len(data) for _, data in mp4live.split(http_viewer.body)), len(http_viewer.body))
        self.assertEqual([(t['width'], t['height']) for t in annex.texts('stream')], [(320, 240), (640, 480)])
        mp4live.decode(self.annexb_file(annex.binaries()[30:]), '-f', 'h264')
        self.http_viewer(hub, '/live/roof.mp4').wait_fragments(30)  # and who asks again has the new one

    def test_hub_stops(self):
        hub = self.start_hub()
        cam, viewer = self.camera(hub, 'roof'), self.viewer(hub, 'roof')
        http_viewer, slow = self.http_viewer(hub, '/live/roof.mp4'), self.viewer(hub, 'roof', kind=SlowViewer)
        held = self.viewer(hub, 'roof', '?coalesce=1000')
        cam.send(phone(2, bitrate='8000k', size='640x480').phone())
        viewer.wait_pictures(60)
        self.assertEqual(hub.stop(), [])
        self.assertEqual(viewer.wait_closed()[0], 1001)
        held.wait_closed()
        slow.close()
        wait_until(lambda: http_viewer.ended, 5, 'end of the HTTP answer')


class Refusals(LiveTest):
    def refused(self, hub, path, code=1008):
        viewer = Viewer(hub, '', path=path)
        got, reason = viewer.wait_closed()
        self.assertEqual(got, code, '%s: %s' % (path, reason))
        self.assertEqual(viewer.all, [])
        if code == 1008:
            self.assertTrue(reason, path)

    def test_websocket(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        cam.send(phone(1).phone())
        for path in ('/live/nobody', '/live/', '/live', '/live/ro%20of', '/live/..', '/live/roof/', '/live/roof.mp4',
                     '/live/' + 65 * 'x', '/live/' + 500 * 'x', '/live/%2e%2e%2fetc', '/live/ROOF',
                     '/live/roof?format=mjpeg', '/live/roof?format=', '/live/roof?format=webm',
                     '/live/roof?format=' + 300 * 'a', '/live/roof?coalesce=-1', '/live/roof?coalesce=1001',
                     '/live/roof?coalesce=', '/live/roof?coalesce=12ms', '/live/roof?coalesce=1e2',
                     '/live/roof?coalesce=99999999999999999999999', '/live/roof?coalesce=%20',
                     '/live/roof?coalesce=0000000000000000001001', '/live/roof?format=h264&coalesce=x'):
            with self.subTest(path):
                self.refused(hub, path)
        for path in ('/live/roof?', '/live/roof?coalesce=0', '/live/roof?coalesce=1000',
                     '/live/roof?other=1&format=h264', '/live/roof?&&format=mp4&', '/live/%72oof'):
            with self.subTest(path):
                viewer = self.viewer(hub, '', path=path)
                viewer.wait_pictures(30)
        self.assert_alive(hub)

    def test_http(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'ro.of')
        cam.send(phone(1).phone())
        for path, status in (('/live/nobody.mp4', 404), ('/live/nobody.jpg', 404), ('/live/ro.of.mjpg', 404),
                             ('/live/ro.of', 404), ('/live/ro.of.', 404), ('/live/.mp4', 404), ('/live/mp4', 404),
                             ('/live/', 404), ('/live/ro.of.avi', 404), ('/live/ro.of.MP4', 404),
                             ('/live/' + 65 * 'x' + '.mp4', 404), ('/live/a%2fb.mp4', 404),
                             ('/live/ro.of.mp4/x', 404), ('/live/ro.of.mp4?coalesce=1001', 400),
                             ('/live/ro.of.mp4?coalesce=a', 400), ('/live/ro.of.mp4?coalesce=', 400)):
            with self.subTest(path):
                got, fields, body = hub.get(path)
                self.assertEqual(got, status, body)
                self.assertIn(b'"error"', body)
        for method in ('POST', 'PUT', 'DELETE', 'OPTIONS'):
            for path in ('/live/ro.of.mp4', '/live/ro.of.jpg', '/live/nobody.mp4'):
                with self.subTest(method + ' ' + path):
                    got, fields, _ = hub.get(path, method)
                    self.assertEqual(got, 405)
                    self.assertIn('GET', fields['allow'])
        status, fields, body = hub.get('/live/ro.of.mp4', 'HEAD')
        self.assertEqual((status, fields['content-type'], body), (200, 'video/mp4', b''))
        self.assertEqual(hub.get('/live/nobody.mp4', 'HEAD')[0], 404)
        self.assert_alive(hub)

    def test_other_site(self):
        hub = self.start_hub()
        self.camera(hub, 'roof').send(phone(1).phone())
        peer = self.peer(hub)
        status, _, _ = peer.upgrade('/live/roof', ['Origin: http://evil.example'])
        self.assertEqual(status, 403)
        peer = self.peer(hub)
        status, _, _ = peer.upgrade('/live/roof', ['Origin: http://127.0.0.1:%d' % hub.port])
        self.assertEqual(status, 101)

    def test_viewer_that_sends(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        other = self.viewer(hub, 'roof')
        cam.send(phone(1).phone())
        for data in ('hello', b'', '', b'x' * 100000, [b'a', b'b'], b'y' * (8 << 20)):
            with self.subTest(repr(data)[:20]):
                viewer = Viewer(hub, 'roof')
                viewer.ping()
                viewer.send(data)
                self.assertEqual(viewer.wait_closed()[0], 1003)
        other.wait_pictures(30)
        other.ping()
        self.assert_alive(hub)

    def test_hostile_frames(self):
        """Garbage instead of WebSocket frames, half a head, a viewer's FIN."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        cam.send(phone(1).phone())
        for data in (b'\xff' * 100, b'\x88', b'\x89\xfe\x00\x80', wire.frame(wire.BINARY, b'x', masked=False),
                     wire.frame(wire.PING, b'p' * 200), wire.frame(3, b''), os.urandom(2000)):
            peer = self.peer(hub)
            self.assertEqual(peer.upgrade('/live/roof')[0], 101)
            peer.send(data)
            peer.shut_down()
            peer.closed()
        self.assert_alive(hub)


class Slow(LiveTest):
    def test_slow_viewer(self):
        """It is told exactly how many pictures it missed, and goes on at a key frame; nobody else notices."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        slow, quick = self.viewer(hub, 'roof', kind=SlowViewer), self.viewer(hub, 'roof')
        clip = phone(6, size='640x480', bitrate='6000k', gop=10)
        messages = clip.phone(clips.steady(len(clip.units), 33))
        cam.started()
        cam.send(messages, paced=1)
        cam.stopped()
        quick.wait_pictures(len(clip.units))
        slow.read_on()
        last = quick.fragments()[-1].sequence
        slow.wait(lambda: slow.fragments() and slow.fragments()[-1].sequence == last, 20)
        sequences = [f.sequence for f in quick.fragments()]
        self.assertEqual(sequences, list(range(sequences[0], sequences[0] + len(clip.units))))
        self.assertEqual(quick.drops(), [])
        drops = slow.drops()
        self.assertTrue(drops, 'nothing was dropped: this test saw nothing')
        for frames, before, behind in drops:
            self.assertEqual(frames, behind.sequence - before.sequence - 1)
            self.assertTrue(behind.key)
        got = [f.sequence for f in slow.fragments()]
        self.assertEqual(len(got) + sum(d[0] for d in drops), len(clip.units))
        by_number = {f.sequence: f.data for f in quick.fragments()}
        self.assertTrue(all(by_number[f.sequence] == f.data for f in slow.fragments()))
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assert_payloads(session, messages)
        self.assert_times(session, messages)

    def test_slow_annexb(self):
        """The same for messages of several pieces: none is torn."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        slow, quick = (self.viewer(hub, 'roof', '?format=h264', kind=kind) for kind in (SlowViewer, Viewer))
        clip = phone(4, size='640x480', bitrate='6000k', gop=10)
        cam.send(clip.phone(clips.steady(len(clip.units), 33)), paced=1)
        quick.wait_pictures(len(clip.units))
        slow.read_on()
        last = quick.binaries()[-1]
        slow.wait(lambda: slow.binaries()[-1:] == [last], 20)
        known = {data: n for n, data in enumerate(quick.binaries())}
        numbers = [known[data] for data in slow.binaries()]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(len(numbers) + sum(t['frames'] for t in slow.texts('drop')), len(clip.units))
        self.assertTrue(slow.texts('drop'))

    def test_ping_behind_a_large_picture(self):
        """A pong waits behind a picture of several megabytes; the viewer is not sent away for that."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        slow = self.viewer(hub, 'roof', kind=SlowViewer)
        messages = phone(1).phone(count=3)
        filler = b'\0\0\0\1\x06\x05' + b'\xff' * 12 + b'\x00' + b'\xaa' * (6 << 20) + b'\x80'
        messages[1] = messages[1]._replace(payload=filler + messages[1].payload)
        cam.send(messages)
        cam.settle()
        for _ in range(5):
            slow.peer.frame(wire.PING, b'are you there')
        time.sleep(0.5)
        cam.settle()
        slow.read_on()
        slow.wait(lambda: len(slow.fragments()) == 3, 15)
        self.assertIsNone(slow.close_code)

    @weight(8)
    def test_viewers_that_vanish(self):
        """Two hundred, at any moment, politely or not; the one that stays has every picture."""
        hub = self.start_hub()
        cam, stays = self.camera(hub, 'roof'), self.viewer(hub, 'roof')
        clip = phone(6, size='640x480', bitrate='4000k', gop=15)
        messages = clip.phone(clips.steady(len(clip.units), 33))
        cam.started()
        sending = cam.send_in_background(messages)
        dice = random.Random(7)
        formats = ('/live/roof', '/live/roof?format=h264', '/live/roof?coalesce=200', '/live/roof?coalesce=1000')
        peers, started = [], 0
        while started < 200 or peers:
            if started < 200:
                peer = wire.Peer(hub)
                if started % 5 == 4:
                    peer.send(b'GET /live/roof.mp4 HTTP/1.1\r\nHost: x\r\n\r\n')
                else:
                    peer.upgrade(dice.choice(formats))
                peers.append(peer)
                started += 1
            if len(peers) > 40 or started == 200:
                peer = peers.pop(dice.randrange(len(peers)))
                end = dice.randrange(5)
                if end == 0:
                    peer.frame(wire.CLOSE, struct.pack('>H', 1000))
                elif end == 1:
                    peer.socket.recv(dice.randrange(1, 50000))
                elif end == 2:
                    peer.shut_down()
                peer.reset() if end == 3 else peer.close()
        sending.result(60)
        cam.stopped()
        stays.wait_pictures(len(clip.units))
        self.assert_film(stays.films()[0], messages)
        self.assert_sound(hub.wait_finished()[0])
        wait_until(lambda: processes.open_files(hub.pid) < 60, 10, 'sockets are closed')

    def test_many_slow_viewers_share(self):
        """What viewers do not take is not kept for each of them."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        slow = [self.viewer(hub, 'roof', kind=SlowViewer) for _ in range(40)]
        cam.send(phone(1).phone())
        cam.settle()
        before = processes.resident_bytes(hub.pid)
        clip = phone(5, size='1280x720', bitrate='20000k', gop=15)
        cam.send(clip.phone(clips.steady(len(clip.units), 33, first=BASE_MS + 5000)), paced=1)
        cam.settle()
        grown = processes.resident_bytes(hub.pid) - before
        if not processes.sanitized():
            self.assertLess(grown, 100 << 20)  # each has some of 12 MB to take
        for viewer in slow:
            viewer.close()

    @long
    @weight(60)
    def test_viewer_that_never_reads(self):
        """It is closed in the end, and the recording is whole."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        stuck, quick = self.viewer(hub, 'roof', kind=SlowViewer), self.viewer(hub, 'roof')
        clip = phone(45, size='640x480', bitrate='4000k', gop=15)
        messages = clip.phone(clips.steady(len(clip.units), 33))
        cam.started()
        sending = cam.send_in_background(messages)
        hub.wait_log('roof takes nothing any more; closed', 45)
        sending.result(60)
        cam.stopped()
        quick.wait_pictures(len(clip.units))
        self.assertEqual(quick.drops(), [])
        self.assert_sound(hub.wait_finished()[0])
        stuck.read_on()
        stuck._thread.join(10)
        self.assertFalse(stuck._thread.is_alive(), 'the connection is still there')
