"""FLV of H.264 cameras, over WebSocket and HTTP: every byte, every time, whoever comes and whenever."""
import json
import os
import random
import subprocess
import time

import annexb
import clips
import flvread
import jpegs
from cases import HubTest, phone, weight
from clips import BASE_MS
from hub import wait_until
from viewer import HttpViewer, SlowViewer, Viewer

SETS = (7, 8)
OUTSIDE = (*SETS, 9, 10, 11, 12, 13)  # NAL units that a sample does not hold (ISO/IEC 14496-15 5.3.2)
PLAIN = {'FFMPEG_BIN': '/bin/false'}


def sample_of(message):
    """The access unit with lengths in place of start codes."""
    nals = [n for n in annexb.nal_units(message.payload) if n[0] & 31 not in OUTSIDE]
    return b''.join(len(n).to_bytes(4, 'big') + n for n in nals)


def without_sets(sample, message):
    """Parameter sets are in the configuration; new ones between key frames stand in front of their picture."""
    nals = flvread.sample_nals(sample)
    sets = [n for n in nals if n[0] & 31 in SETS]
    if sets and (message.key or nals[:len(sets)] != sets or not set(sets) <= set(annexb.nal_units(message.payload))):
        raise AssertionError('parameter sets in a sample: %s' % [n[0] & 31 for n in nals])
    return b''.join(len(n).to_bytes(4, 'big') + n for n in nals if n not in sets)


def data_of(viewer):
    return viewer.body if isinstance(viewer, HttpViewer) else b''.join(viewer.binaries())


def count_of(viewer):
    """Whole pictures so far."""
    data = data_of(viewer)
    if len(data) < 13:
        return 0
    return sum(t.kind == flvread.VIDEO and t.body[1] == 1 for t in flvread.split(data)[1])


def whole(viewer):
    """What it has, up to the end of its last tag."""
    data = data_of(viewer)
    return data[:len(data) - len(flvread.split(data)[2])]


def decoded(data, *options):
    """MD5 of every picture in the order of presentation; ffmpeg has nothing to say, and would stop at any fault."""
    run = subprocess.run(['ffmpeg', '-v', 'warning', '-xerror', '-threads', '1', '-f', 'flv', '-i', 'pipe:0', '-map',
                          '0:v:0', '-fps_mode', 'passthrough', *options, '-f', 'framemd5', '-'], input=data,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    if run.returncode or run.stderr:
        raise AssertionError('ffmpeg: exit %d\n%s' % (run.returncode, run.stderr.decode()[-1500:]))
    return [line.split(b',')[-1].strip().decode() for line in run.stdout.splitlines() if not line.startswith(b'#')]


def sizes(data):
    """(width, height) of every picture, by ffprobe, which must have nothing to say."""
    run = subprocess.run(['ffprobe', '-v', 'warning', '-f', 'flv', '-of', 'json', '-show_entries', 'frame=width,height',
                          '-i', 'pipe:0'], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    if run.returncode or run.stderr:
        raise AssertionError('ffprobe: exit %d\n%s' % (run.returncode, run.stderr.decode()[-1500:]))
    return [(f['width'], f['height']) for f in json.loads(run.stdout)['frames']]


class FlvTest(HubTest):
    def ws(self, hub, name, query='', kind=Viewer):
        viewer = kind(hub, name, '?format=flv' + query)
        self.addCleanup(viewer.abort if kind is Viewer else viewer.close)
        return viewer

    def http(self, hub, name, query=''):
        viewer = HttpViewer(hub, '/live/%s.flv%s' % (name, query))
        self.addCleanup(viewer.close)
        return viewer

    def both(self, hub, name):
        return self.ws(hub, name), self.http(hub, name)

    def wait_pictures(self, viewer, count, timeout=20):
        wait_until(lambda: count_of(viewer) >= count, timeout,
                   lambda: '%d pictures, have %d' % (count, count_of(viewer)), step=0.05)

    def assert_messages(self, viewer, starts=1):
        """Over WebSocket: `starts` messages of header, metadata and configuration, all others one tag each."""
        texts, binaries = viewer.texts(), viewer.binaries()
        self.assertEqual(texts, [])
        header = binaries[0][:13]
        found = 0
        for number, message in enumerate(binaries):
            _, tags, rest = flvread.split(message if number == 0 else header + message)
            self.assertEqual(rest, b'', 'message %d' % number)
            kinds = [t.kind for t in tags]
            if kinds == [flvread.SCRIPT, flvread.VIDEO] and tags[1].body[1] == 0:
                found += 1
            else:
                self.assertEqual([(t.kind, t.body[1]) for t in tags], [(flvread.VIDEO, 1)], 'message %d' % number)
                self.assertGreater(number, 0)
        self.assertEqual(found, starts)

    def assert_pictures(self, flv, messages, times=None):
        """The pictures of these messages, byte for byte, at their times to the millisecond."""
        sent = [m for m in messages if m.picture]
        self.assertEqual(len(flv.pictures), len(sent))
        for number, (picture, message) in enumerate(zip(flv.pictures, sent)):
            self.assert_same_bytes(without_sets(picture.sample, message), sample_of(message), 'picture %d' % number)
        self.assertEqual([p.key for p in flv.pictures], [m.key for m in sent])
        times = times or [m.device_ms for m in sent]
        self.assertEqual([p.pts - flv.pictures[0].pts for p in flv.pictures], [t - times[0] for t in times])
        decode = [p.dts for p in flv.pictures]
        self.assertEqual(decode, sorted(decode))
        self.assertTrue(all(p.pts >= p.dts for p in flv.pictures))

    def assert_start(self, flv, clip, width, height, starts=1):
        self.assertEqual((flv.has_video, flv.has_audio), (True, False))
        self.assertEqual(flv.order[:3], ['meta', 'video config', 'picture'])
        self.assertEqual([len(flv.metadata), len(flv.video_configs)], [starts, starts])
        meta, config = flv.metadata[-1], flv.video_configs[-1]
        self.assertEqual((meta['width'], meta['height'], meta['videocodecid']), (width, height, 7))
        self.assertFalse({'duration', 'filesize', 'audiocodecid'} & set(meta), meta)
        for nal in annexb.nal_units(clip.sets):
            self.assertIn(len(nal).to_bytes(2, 'big') + nal, config)


class Bytes(FlvTest):
    def test_all_of_it(self):
        """Those who came before the camera have everything, byte for byte and to the millisecond; so has the disk."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        ws, http = self.both(hub, 'roof')
        clip = phone(2)
        messages = clip.phone(clips.irregular(len(clip.units), low=1, high=60))
        cam.record(messages)
        shown = clips.shown(clip)
        for viewer in (ws, http):
            self.wait_pictures(viewer, 60)
            flv = flvread.read(data_of(viewer))
            self.assert_start(flv, clip, 320, 240)
            self.assert_pictures(flv, messages)
            self.assertEqual(flv.rest, b'')
            self.assertEqual(decoded(data_of(viewer)), shown)
        self.assert_messages(ws)
        self.assertEqual(data_of(ws), data_of(http))
        head = http.head.lower()
        for field in ('http/1.1 200 ', 'content-type: video/x-flv', 'cache-control: no-store', 'connection: close'):
            self.assertIn(field, head)
        self.assertNotIn('content-length', head)
        self.assertNotIn('access-control-allow-origin', head)
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assert_payloads(session, messages)

    @weight(12)
    def test_real_clips(self):
        """B-frames: composition times; several slices, many parameter sets; each picture as it was sent."""
        for name in ('Cisco_Men_whisper_640x320_CABAC_Bframe_9.264', 'VID_1280x720_cavlc_temporal_direct.264',
                     'test_qcif_cabac.264', 'CVFC1_Sony_C.jsv', 'MIDR_MW_D.264',
                     'Adobe_PDF_sample_a_1024x768_50Frms.264'):
            with self.subTest(name):
                clip = clips.real(name)
                hub = self.start_hub(recordings=os.path.join(self.root, name))
                cam, viewers = self.camera(hub, 'clip'), self.both(hub, 'clip')
                times = [BASE_MS + 40 * place for place in clips.presentation_order(clip)]
                messages = clip.whole(times)
                cam.send(messages)
                for viewer in viewers:
                    self.wait_pictures(viewer, len(clip.units))
                    flv = flvread.read(data_of(viewer))
                    self.assert_pictures(flv, messages, times)
                self.assertEqual(data_of(viewers[0]), data_of(viewers[1]))
                self.assertEqual(decoded(data_of(viewers[0])), clips.shown(clip))
                self.assertEqual(hub.stop(), [])

    def test_changing_sets(self):
        """Each new configuration is announced in front of the key frame that needs it."""
        clip = clips.real('MPS_MW_A.264')
        hub = self.start_hub()
        cam, viewers = self.camera(hub, 'clip'), self.both(hub, 'clip')
        messages = clip.whole(clips.steady(len(clip.units), 40))
        cam.send(messages)
        for viewer in viewers:
            self.wait_pictures(viewer, len(clip.units))
            flv = flvread.read(data_of(viewer))
            self.assert_pictures(flv, messages)
            self.assertEqual(decoded(data_of(viewer)), clips.shown(clip))
            before = [kind for kind, after in zip(flv.order, flv.order[1:]) if after == 'video config']
            self.assertEqual(set(before), {'meta'})

    def test_picture_that_is_too_large(self):
        """24 bits of size: it is left out, and so is all up to the next key frame; other formats have it."""
        hub = self.start_hub('--max-message', str(32 << 20))
        cam, viewers = self.camera(hub, 'roof'), self.both(hub, 'roof')
        plain = Viewer(hub, 'roof', '?format=h264')
        messages = phone(2, gop=20).phone()
        filler = b'\0\0\0\1\x06\x05' + b'\xff' * 12 + b'\x00' + b'\xaa' * (17 << 20) + b'\x80'
        messages[6] = messages[6]._replace(payload=filler + messages[6].payload)
        cam.send(messages)
        plain.wait_pictures(60, 20)
        for viewer in viewers:
            self.wait_pictures(viewer, 45)
            pictures = flvread.read(data_of(viewer)).pictures
            want = messages[1:6] + messages[21:]
            self.assertEqual([p.sample for p in pictures], [sample_of(m) for m in want])
            self.assertEqual([p.pts - pictures[0].pts for p in pictures], [m.device_ms - BASE_MS for m in want])
        plain.close()

    def test_coalesce(self):
        """Other moments, the same bytes."""
        hub = self.start_hub()
        cam, plain = self.camera(hub, 'roof'), self.ws(hub, 'roof')
        held = [self.ws(hub, 'roof', '&coalesce=%d' % ms) for ms in (1, 280, 1000)]
        http = self.http(hub, 'roof', '?coalesce=280')
        cam.send(phone(2).phone(clips.steady(60, 20)), paced=1)
        for viewer in (plain, *held, http):
            self.wait_pictures(viewer, 60)
            self.assertEqual(data_of(viewer), data_of(plain))
        self.assert_messages(held[1])


class Joining(FlvTest):
    @weight(10)
    def test_late_joiners(self):
        """Twenty, at any moment, decode from their first byte on without a word, and all have the same times."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        clip = phone(5, gop=20)
        messages = clip.phone(clips.steady(len(clip.units), 20))
        first = self.ws(hub, 'roof')
        cam.send(messages[:4])
        self.wait_pictures(first, 3)
        sending = cam.send_in_background(messages[4:], paced=1)
        dice, viewers = random.Random(5), []
        for number in range(20):
            time.sleep(dice.uniform(0, 0.12))
            viewers.append(self.ws(hub, 'roof') if number % 2 else self.http(hub, 'roof'))
        sending.result(60)
        self.wait_pictures(first, 150)
        known = {p.sample: (n, p) for n, p in enumerate(flvread.read(data_of(first)).pictures)}
        shown = clips.shown(clip)
        for viewer in viewers:
            wait_until(lambda: flvread.read(data_of(viewer)).pictures[-1].sample == sample_of(messages[-1]), 10,
                       'the last picture')
            pictures = flvread.read(data_of(viewer)).pictures
            at = known[pictures[0].sample][0]
            self.assertEqual(at % 20, 0)
            self.assertEqual(pictures, [known[p.sample][1] for p in pictures])
            self.assertEqual([known[p.sample][0] for p in pictures], list(range(at, 150)))
            self.assertEqual(decoded(data_of(viewer)), shown[at:])

    def test_unfinished_gop(self):
        """Who comes in the middle of it has it at once, up to now, and can decode that; the camera need not send on."""
        hub = self.start_hub()
        cam, clip = self.camera(hub, 'roof'), phone(2, gop=12)
        messages = clip.phone()
        cam.send(messages[:41])  # sets and pictures 0 to 39; the newest key frame is 36
        cam.settle()
        viewers = self.both(hub, 'roof')
        for viewer in viewers:
            self.wait_pictures(viewer, 4)
            self.assert_pictures(flvread.read(data_of(viewer)), messages[37:41])
            self.assertEqual(decoded(data_of(viewer)), clips.shown(clip)[36:40])
        cam.send(messages[41:])
        for viewer in viewers:
            self.wait_pictures(viewer, 24)
            self.assert_pictures(flvread.read(data_of(viewer)), messages[37:])
        late = self.http(hub, 'roof')
        self.wait_pictures(late, 12)
        self.assertEqual(whole(late)[13:], data_of(late)[13:])

    def test_before_the_first_key_frame(self):
        """Nothing at all comes until there is one."""
        hub = self.start_hub()
        cam, viewers = self.camera(hub, 'roof'), self.both(hub, 'roof')
        messages = phone(2, gop=20).phone()
        cam.send(messages[:1] + messages[5:21])
        cam.settle()
        viewers[0].ping()
        self.assertEqual([data_of(v) for v in viewers], [b'', b''])
        self.assertIn('200', viewers[1].head)
        cam.send(messages[21:])
        for viewer in viewers:
            self.wait_pictures(viewer, 40)
            self.assert_pictures(flvread.read(data_of(viewer)), messages[21:])

    def test_foreign_players(self):
        """ffprobe and ffmpeg ask for it themselves."""
        hub = self.start_hub()
        cam, clip = self.camera(hub, 'roof'), phone(2)
        messages = clip.phone(clips.steady(60, 33))
        for begin in range(60, 60 * 60, 60):  # again and again
            messages += clip.phone(clips.steady(60, 33, BASE_MS + 33 * begin), begin + 1, sets=False)
        cam.send(messages[:2])
        sending = cam.send_in_background(messages[2:], paced=1)
        self.addCleanup(sending.cancel)
        url = 'http://127.0.0.1:%d/live/roof.flv' % hub.port
        probe = subprocess.Popen(['ffprobe', '-v', 'warning', '-of', 'json', '-show_streams', '-read_intervals',
                                  '%+#20', url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        player = subprocess.run(['ffmpeg', '-nostdin', '-v', 'warning', '-xerror', '-i', url, '-frames:v', '60', '-f',
                                 'framemd5', '-fps_mode', 'passthrough', '-'], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=60)
        found, words = probe.communicate(timeout=60)
        self.assertEqual((probe.returncode, words, player.returncode, player.stderr), (0, b'', 0, b''))
        stream = json.loads(found)['streams'][0]
        self.assertEqual((stream['codec_name'], stream['width'], stream['height']), ('h264', 320, 240))
        seen = [line.split(b',')[-1].strip().decode() for line in player.stdout.splitlines() if line[:1] != b'#']
        shown = clips.shown(clip)
        at = shown.index(seen[0])
        self.assertEqual((at % 30, seen), (0, (2 * shown)[at:at + 60]))

    @weight(10)
    def test_a_hundred(self):
        """At once, half of them over HTTP: each has every byte."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        viewers = [viewer for _ in range(50) for viewer in self.both(hub, 'roof')]
        messages = phone(3, gop=15).phone(clips.steady(90, 20))
        cam.send(messages, paced=1)
        self.wait_pictures(viewers[0], 90)
        data = data_of(viewers[0])
        self.assert_pictures(flvread.read(data), messages)
        for viewer in viewers:
            wait_until(lambda: len(data_of(viewer)) >= len(data), 20, 'all bytes')
            self.assertTrue(data_of(viewer) == data)


class Changes(FlvTest):
    def test_resolution(self):
        """New metadata and configuration right before the key frame, in the same stream; ffmpeg goes along."""
        hub = self.start_hub()
        cam, viewers = self.camera(hub, 'roof'), self.both(hub, 'roof')
        other = phone(1, size='640x480')
        small = phone(1).phone(clips.steady(30, 33))
        large = other.phone(clips.steady(30, 33, first=BASE_MS + 990), sequence=31)
        cam.record(small + large)
        for viewer in viewers:
            self.wait_pictures(viewer, 60)
            flv = flvread.read(data_of(viewer))
            self.assert_pictures(flv, small + large)
            self.assert_start(flv, other, 640, 480, starts=2)
            self.assertEqual([(m['width'], m['height']) for m in flv.metadata], [(320, 240), (640, 480)])
            self.assertEqual(flv.order, (['meta', 'video config'] + 30 * ['picture']) * 2)
            self.assertEqual(data_of(viewer).count(b'FLV\1'), 1)
            self.assertEqual(sizes(data_of(viewer)), 30 * [(320, 240)] + 30 * [(640, 480)])
        self.assert_messages(viewers[0], starts=2)
        late = self.http(hub, 'roof')
        self.wait_pictures(late, 30)
        self.assert_start(flvread.read(data_of(late)), other, 640, 480)

    def test_camera_comes_back(self):
        """Nothing new is announced unless it is; time goes on, with the camera's steps."""
        hub = self.start_hub()
        cam, viewers = self.camera(hub, 'roof'), self.both(hub, 'roof')
        clip, other = phone(1, gop=20), phone(1, size='640x480')
        cam.send(clip.phone())  # it ends in the midst of a group
        for viewer in viewers:
            self.wait_pictures(viewer, 30)
        cam.abort()
        hub.wait_log('roof: disconnected')
        cam = self.camera(hub, 'roof')
        cam.send(clip.phone(clips.steady(30, 33, first=77)))  # its clock is another
        for viewer in viewers:
            self.wait_pictures(viewer, 60)
            flv = flvread.read(data_of(viewer))
            self.assertEqual(len(flv.video_configs), 1)
            pictures = flv.pictures
            self.assertGreater(pictures[30].dts, pictures[29].dts)
            self.assertTrue(pictures[30].key)
            self.assertEqual([p.pts - pictures[30].pts for p in pictures[30:]], [33 * n for n in range(30)])
            self.assertEqual(decoded(data_of(viewer)), clips.shown(clip) * 2)
        cam.abort()
        hub.wait_log('roof: disconnected', count=2)
        cam = self.camera(hub, 'roof')
        cam.send(other.phone())
        for viewer in viewers:
            self.wait_pictures(viewer, 90)
            flv = flvread.read(data_of(viewer))
            self.assert_start(flv, other, 640, 480, starts=2)
            self.assertGreater(flv.pictures[60].dts, flv.pictures[59].dts)
        self.assertTrue(viewers[0].socket.open and not viewers[1].ended)

    def test_hub_stops(self):
        hub = self.start_hub()
        cam, viewers = self.camera(hub, 'roof'), self.both(hub, 'roof')
        slow = self.ws(hub, 'roof', kind=SlowViewer)
        held = self.ws(hub, 'roof', '&coalesce=1000')
        cam.send(phone(2, bitrate='8000k', size='640x480').phone())
        self.wait_pictures(viewers[0], 60)
        self.assertEqual(hub.stop(), [])
        self.assertEqual(viewers[0].wait_closed()[0], 1001)
        self.assertEqual(held.wait_closed()[0], 1001)
        wait_until(lambda: viewers[1].ended, 5, 'end of the HTTP answer')
        self.assertEqual(flvread.read(data_of(viewers[1])).rest, b'')
        slow.close()


class Slow(FlvTest):
    @weight(8)
    def test_slow_viewers(self):
        """They miss pictures, never half of one, and go on at a key frame; nobody else notices."""
        hub = self.start_hub()
        cam = self.camera(hub, 'roof')
        quick, slow = self.http(hub, 'roof'), self.ws(hub, 'roof', kind=SlowViewer)
        slower = self.ws(hub, 'roof', '&coalesce=100', kind=SlowViewer)
        clip = phone(4, size='640x480', bitrate='6000k', gop=10)
        messages = clip.phone(clips.steady(len(clip.units), 33))
        cam.started()
        cam.send(messages, paced=1)
        cam.stopped()
        self.wait_pictures(quick, len(clip.units))
        all_of_them = flvread.read(data_of(quick)).pictures
        self.assert_pictures(flvread.read(data_of(quick)), messages)
        place = {p: n for n, p in enumerate(all_of_them)}
        for viewer in (slow, slower):
            viewer.read_on()
            wait_until(lambda: count_of(viewer) and flvread.read(data_of(viewer)).pictures[-1] == all_of_them[-1], 20,
                       'the last picture')
            got = flvread.read(data_of(viewer))
            self.assertEqual((len(got.video_configs), got.rest), (1, b''))
            at = [place[p] for p in got.pictures]
            self.assertEqual(at, sorted(set(at)))
            gaps = [(a, b) for a, b in zip(at, at[1:]) if b != a + 1]
            self.assertTrue(gaps, 'nothing was dropped: this test saw nothing')
            self.assertTrue(all(all_of_them[b].key for _, b in gaps), gaps)
            self.assert_messages(viewer)
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assert_payloads(session, messages)
        self.assert_times(session, messages)


class Refusals(FlvTest):
    def test_viewer_that_sends(self):
        hub = self.start_hub()
        cam, other = self.camera(hub, 'roof'), self.ws(hub, 'roof')
        cam.send(phone(1).phone())
        for data in ('hello', b'', b'x' * 100000, [b'a', b'b']):
            with self.subTest(repr(data)[:20]):
                viewer = Viewer(hub, 'roof', '?format=flv')
                viewer.ping()
                viewer.send(data)
                self.assertEqual(viewer.wait_closed()[0], 1003)
        self.wait_pictures(other, 30)
        other.ping()

    def test_jpeg_camera(self):
        hub = self.start_hub(env=PLAIN)
        cam = jpegs.Esp(hub, 'eye')
        self.addCleanup(cam.abort)
        cam.picture(jpegs.pictures(1)[0])
        cam.settle()
        viewer = Viewer(hub, 'eye', '?format=flv')
        self.assertEqual(viewer.wait_closed(), (1008, 'This camera sends JPEG: format=mjpeg'))
        for method in ('GET', 'HEAD'):
            status, fields, body = hub.get('/live/eye.flv', method)
            self.assertEqual((status, fields['content-type']), (404, 'application/json'))
            self.assertEqual(bool(body), method == 'GET')
        error = json.loads(hub.get('/live/eye.flv')[2])['error']
        self.assertEqual(error['code'], 'format')
        self.assertIn('.mjpg', error['message'])

    def test_requests(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'ro.of')
        cam.send(phone(1).phone())
        status, fields, body = hub.get('/live/ro.of.flv', 'HEAD')
        self.assertEqual((status, fields['content-type'], body), (200, 'video/x-flv', b''))
        self.assertNotIn('content-length', fields)
        for path, status in (('/live/nobody.flv', 404), ('/live/ro.of.FLV', 404), ('/live/.flv', 404),
                             ('/live/flv', 404), ('/live.flv', 404), ('/ro.of.flv', 404), ('/live/ro.of.flv/', 404),
                             ('/live/ro.of.flv?coalesce=1001', 400), ('/live/ro.of.flv?coalesce=', 400)):
            with self.subTest(path):
                got, _, body = hub.get(path)
                self.assertEqual(got, status, body)
                self.assertIn(b'"error"', body)
        for method in ('POST', 'PUT', 'DELETE'):
            self.assertEqual(hub.get('/live/ro.of.flv', method)[0], 405)
        for query in ('FLV', 'flv2', 'flv%20', 'flv&coalesce=-1', 'flv&coalesce=x'):
            with self.subTest(query):
                viewer = Viewer(hub, 'ro.of', '?format=' + query)
                code, reason = viewer.wait_closed()
                self.assertEqual((code, bool(reason)), (1008, True))
        peer = self.peer(hub)
        self.assertEqual(peer.upgrade('/live/ro.of?format=flv', ['Origin: http://evil.example'])[0], 403)
        self.assert_alive(hub)
