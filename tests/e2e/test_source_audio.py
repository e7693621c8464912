"""Sound beside pictures: in recordings, in what viewers are given, after kill -9; and that both stay together."""
import json
import os
import signal
import subprocess

import films
import flvread
import mp4live
from cases import weight
from hub import wait_until
from sources import Recording, SourceTest, command, details, file_source, wait_state, write_config

AAC_FRAME = 1024
TOGETHER = 0.030  # seconds by which sound and pictures may have moved against each other


def probe(path):
    """{kind: [(time, position, size)]} of a recording, by ffprobe."""
    out = subprocess.run(['ffprobe', '-v', 'error', '-of', 'json', '-show_entries',
                          'packet=stream_index,pts_time,pos,size:stream=index,codec_type,codec_name,sample_rate', path],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, timeout=60)
    if out.stderr:
        raise AssertionError(out.stderr.decode())
    value = json.loads(out.stdout)
    kinds = {s['index']: s['codec_type'] for s in value['streams']}
    found = {kind: [] for kind in kinds.values()}
    for packet in value['packets']:
        found[kinds[packet['stream_index']]].append(
            (float(packet['pts_time']), int(packet['pos']), int(packet['size'])))
    return found


def samples(path, packets):
    with open(path, 'rb') as file:
        data = file.read()
    return [data[at:at + size] for _, at, size in packets]


class AudioTest(SourceTest):
    def assert_together(self, path, original, what, form=None):
        """A flash and its beep are as far apart as in the film."""
        have, want = films.instants(path, form), films.instants(original)
        offsets = have.offsets()
        self.assertTrue(offsets, '%s: %s' % (what, have))
        for offset in offsets:
            self.assertLess(abs(offset - want.offset()), TOGETHER, '%s: %s, film %s' % (what, have, want))
        return have

    def keep(self, name, data):
        path = os.path.join(self.root, name)
        with open(path, 'wb') as file:
            file.write(data)
        return path

    def assert_recording(self, session, known, verdict='complete'):
        """Its pictures and sounds are a run of the film's, at the film's times. (Its MP4, what ffprobe found there, the
        places of the pictures and of the sounds in the film)"""
        self.assert_sound(session, verdict)
        recording = Recording(session.folder)
        self.assertEqual(recording.parts(), ['stream.mp4'])
        path = recording.path('stream.mp4')
        found = probe(path)
        at = known.run_of(known.picture_at, samples(path, found['video']), 'picture')
        heard = known.run_of(known.sound_at, samples(path, found['audio']), 'sound', again=(0, 1))
        films.check_times(at, [1000 * t for t, _, _ in found['video']], [p.pts for p in known.pictures], 'picture')
        films.check_times(heard, [1000 * t for t, _, _ in found['audio']], [s.dts for s in known.sounds], 'sound')
        self.assertTrue(known.pictures[at[0]].key)
        records = recording.sounds()
        self.assertEqual([(r.offset, r.size) for r in records], [(p, size) for _, p, size in found['audio']])
        self.assertEqual([(r.offset, r.size) for r in recording.pictures()],
                         [(p, size) for _, p, size in found['video']])
        report = recording.report()
        self.assertEqual(report['audio'], {'codec': 'mp4a.40.2', 'rate': 44100, 'channels': 1, 'frames': len(heard)})
        # A frame behind the other, without a hole: ffprobe's times are exact here.
        steps = [b[0] - a[0] for a, b in zip(found['audio'], found['audio'][1:])]
        for number, step in enumerate(steps):
            if heard[number + 1] == heard[number] + 1:
                self.assertLess(abs(step - AAC_FRAME / 44100), 0.0001, number)
        return path, found, at, heard


class Recordings(AudioTest):
    @weight(8)
    def test_command(self):
        """By `start` and `stop`, beside viewers: the same pictures and sounds at the same times; B-frames as well."""
        paths = {'plain': films.film(8, gop=15), 'bframes': films.film(8, gop=15, bframes=3)}
        hub = self.source_hub([file_source(name, path) for name, path in paths.items()])
        watchers = {(name, form): self.watcher(hub, name, form) for name in paths for form in ('ws flv', 'ws mp4')}
        for watcher in watchers.values():
            watcher.wait_pictures(10)
        command(hub, 'start')
        for name in paths:
            wait_until(lambda: details(hub, name)['state'] == 'recording', 20, 'a recording')
        counts = {key: watcher.count() for key, watcher in watchers.items()}
        for key, watcher in watchers.items():
            watcher.wait_pictures(counts[key] + 65)
        command(hub, 'stop')
        sessions = {s.id.split('_')[0]: s for s in hub.wait_finished(2)}
        for watcher in watchers.values():
            watcher.leave()
        for name, path in paths.items():
            with self.subTest(name):
                known, session = films.Known(path), sessions[name]
                self.assertEqual(session.report()['end_reason'], 'capture_stopped')
                self.assertIn('complete', self.camhub('verify', session.folder))
                film, found, at, heard = self.assert_recording(session, known)
                self.assertGreater(len(at), 60)
                self.assertGreater(len(heard), 80)
                self.check_live(watchers[name, 'ws mp4'], found, at, heard, known, 0.00005)
                self.check_live(watchers[name, 'ws flv'], found, at, heard, known, 0.0016)
                self.assert_together(film, path, 'recording')
                flv = self.keep(name + '.flv', watchers[name, 'ws flv'].data())
                self.assert_together(flv, path, 'live FLV', 'flv')
                mp4 = self.keep(name + '.mp4', watchers[name, 'ws mp4'].data())
                self.assert_together(mp4, path, 'live MP4', 'mp4')

    def check_live(self, watcher, found, at, heard, known, tolerance):
        """The recording's times are those that a viewer was given, relative to its first picture."""
        pictures, sounds = watcher.items()
        known.check(pictures, sounds)
        seen = {known.picture_at[p.sample]: p.pts / 1000 for p in pictures}
        listened = {known.sound_at[s.sample]: s.dts / 1000 for s in sounds}
        self.assertGreater(len(set(seen) & set(at)), 60)
        zero = seen[at[0]] - found['video'][0][0]
        for number, (time, _, _) in zip(at, found['video']):
            if number in seen:
                self.assertLess(abs(seen[number] - zero - time), tolerance, 'picture %d' % number)
        compared = [n for n in heard if n in listened]
        self.assertGreater(len(compared), 80)
        for number, (time, _, _) in zip(heard, found['audio']):
            if number in listened:
                self.assertLess(abs(listened[number] - zero - time), tolerance + 3 / 44100, 'sound %d' % number)

    @weight(6)
    def test_always_and_kill(self):
        """Recorded from the start on; kill -9; what was written is there with its sound, after a repair and after a
        start."""
        path = films.film(8, gop=15, bframes=3)
        known = films.Known(path)
        hub = self.source_hub([file_source('cam', path, record='always')], well=False)
        session = hub.wait_session('cam_')[0]
        wait_until(lambda: details(hub, 'cam')['figures']['frames'] >= 100, 30, 'pictures')
        hub.kill()
        wait_until(lambda: not self.children(hub), 5, 'no children')
        self.camhub('repair', session.folder)
        self.assertIn('recovered', self.camhub('verify', session.folder))
        film, found, at, heard = self.assert_recording(session, known, 'recovered')
        self.assertGreater(len(at), 60)
        self.assertGreater(len(heard), 80)
        self.assert_together(film, path, 'recovered')
        before = open(film, 'rb').read()
        hub = self.source_hub([file_source('cam', path, record='always')], well=False)
        second = hub.wait_session('cam_', count=2)[1]
        wait_until(lambda: details(hub, 'cam')['figures']['frames'] >= 60, 30, 'pictures')
        hub.kill()
        hub = self.source_hub()
        hub.wait_finished(2)
        self.assertEqual(open(film, 'rb').read(), before)
        film, _, _, _ = self.assert_recording(second, known, 'recovered')
        self.assertIn('recovered', self.camhub('verify', second.folder))

    @weight(6)
    def test_encoded(self):
        """Sound that is encoded here, pictures too, and both: nothing moves against the other."""
        hevc = ('-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=none', '-g', '15')
        paths = {'opus': films.film(5, gop=15, audio=('-c:a', 'libopus'), suffix='.mkv'),
                 'hevc': films.film(5, video=hevc, suffix='.mkv'),
                 'both': films.film(5, video=hevc, audio=('-c:a', 'libopus'), suffix='.mkv')}
        hub = self.source_hub([file_source(name, path, loop=False, record='always') for name, path in paths.items()])
        watchers = {name: self.watcher(hub, name, 'http flv') for name in paths}
        for name in paths:
            wait_state(hub, name, 'ended', timeout=40)
        for watcher in watchers.values():
            watcher.leave()
        sessions = {s.id.split('_')[0]: s for s in hub.wait_finished(3)}
        for name, path in paths.items():
            with self.subTest(name):
                self.assert_sound(sessions[name])
                self.assertEqual(sessions[name].report()['end_reason'], 'source_ended')
                film = sessions[name].path('stream.mp4')
                self.assertGreaterEqual(len(self.assert_together(film, path, 'recording').offsets()), 4)
                self.assert_together(self.keep(name + '.flv', watchers[name].data()), path, 'live FLV', 'flv')
                shown = films.raw_numbers(films.ffmpeg('-i', film, '-map', '0:v', '-fps_mode', 'passthrough', '-f',
                                                       'rawvideo', '-pix_fmt', 'gray', 'pipe:1'), (320, 240))
                self.assertEqual(shown, list(range(shown[0], 150)))
                self.assertIn(shown[0], (0, 15))
                self.assertIn('complete', self.camhub('verify', sessions[name].folder))

    def test_silent(self):
        """Without sound: no audio track, nothing about it."""
        path = films.film(2, gop=15, audio=None)
        hub = self.source_hub([file_source('cam', path, loop=False, record='always')])
        wait_state(hub, 'cam', 'ended')
        session, = hub.wait_finished()
        self.assert_sound(session)
        self.assertEqual((session.report()['audio'], session.report()['counts']['audio_frames']), (None, 0))
        self.assertEqual(list(probe(session.path('stream.mp4'))), ['video'])
        self.assertEqual(len(session.pictures()), 60)


class Changes(AudioTest):
    def test_sound_that_ends(self):
        """The source is configured without sound: new parameters for who stays, and the times go on."""
        path = films.film(2, gop=15)
        known = films.Known(path)
        hub = self.source_hub([file_source('cam', path)])
        watchers = {form: self.watcher(hub, 'cam', form) for form in ('ws mp4', 'ws flv', 'http mp4', 'http flv')}
        for watcher in watchers.values():
            watcher.wait_pictures(10)
        write_config(self.root, [file_source('cam', path, audio=False)])
        hub.signal(signal.SIGHUP)
        hub.wait_log('the configuration was read again')
        mp4 = watchers['ws mp4'].viewer
        wait_until(lambda: len(mp4.texts('stream')) == 2, 20, 'another `stream`')
        self.assertEqual([t['audio'] is None for t in mp4.texts('stream')], [False, True])
        self.assertNotIn('mp4a', mp4.texts('stream')[1]['mime'])
        count = len(mp4.binaries())
        wait_until(lambda: len(mp4.binaries()) >= count + 20, 20, 'pictures')
        wait_until(lambda: watchers['http mp4'].viewer.ended, 10, 'the answer without end ends')
        for watcher in watchers.values():
            watcher.leave()
        known.check(*watchers['http mp4'].items())
        pieces = mp4live.split(watchers['ws mp4'].data())
        begins = [n for n, (is_init, _) in enumerate(pieces) if is_init]
        self.assertEqual((len(begins), begins[0]), (2, 0))
        runs = [films.mp4_items(pieces[a][1], [p for _, p in pieces[a + 1:b]])
                for a, b in zip(begins, begins[1:] + [len(pieces)])]
        known.check(*runs[0])
        self.assertEqual(known.check(runs[1][0]), 0)
        self.assertTrue(runs[0][1] and not runs[1][1])
        self.assertGreater(runs[1][0][0].dts, runs[0][0][-1].dts)
        for form in ('ws flv', 'http flv'):
            flv = flvread.read(watchers[form].data())
            self.assertEqual((len(flv.metadata), len(flv.video_configs), len(flv.audio_configs)), (2, 2, 1))
            self.assertEqual('audiocodecid' in flv.metadata[1], False)
            again = flv.order.index('meta', 1)
            self.assertEqual(flv.order[again:again + 3], ['meta', 'video config', 'picture'])
            self.assertNotIn('sound', flv.order[again:])
            self.assertTrue(all(a.dts < b.dts for a, b in zip(flv.pictures, flv.pictures[1:])))
