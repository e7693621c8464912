"""Sources of every kind through a real ffmpeg, and what their viewers are given: in every format, few and many."""
import os
import random
import time

import films
import flvread
import media
from cases import weight
from hub import wait_until
from sources import FORMATS, SourceTest, details, file_source, wait_state

X264 = ('-c:v', 'libx264', '-preset', 'ultrafast', '-g', '15', '-crf', '26')
AAC = ('-c:a', 'aac', '-b:a', '96k')


class Watching(SourceTest):
    def check(self, watcher, known):
        """All that it was given is the film's, one after the other; (first picture, pictures, sounds)."""
        pictures, sounds = watcher.items()
        return known.check(pictures, sounds), pictures, sounds

    def test_two_of_each_format(self):
        """A looped file, copied, with sound, over its end and on; some come late."""
        path = films.film(2, gop=15)
        known = films.Known(path)
        hub = self.source_hub([file_source('film', path)])
        watchers = [self.watcher(hub, 'film', form) for form in FORMATS]
        watchers[0].wait_pictures(40)
        watchers += [self.watcher(hub, 'film', form) for form in FORMATS]
        for watcher in watchers:
            watcher.wait_pictures(65)
        now = details(hub, 'film')
        for watcher in watchers:
            watcher.leave()
        for watcher in watchers:
            first, pictures, sounds = self.check(watcher, known)
            self.assertTrue(first == 0 or watcher not in watchers[:4])
            self.assertGreater(len(sounds), len(pictures) * 44100 // 1024 // 30 - 25)
            self.assertEqual(watcher.numbers(20), [(first + n) % 60 for n in range(20)], watcher.form)
        statistics = now['statistics']
        self.assertTrue(statistics['video_copied'] and statistics['audio_copied'])
        self.assertEqual((now['source']['state'], now['figures']['viewers']), ('running', 8))
        self.assertEqual(now['stream'], {'width': 320, 'height': 240, 'codec': now['stream']['codec'],
                                         'audio': {'codec': 'mp4a.40.2', 'rate': 44100, 'channels': 1}})

    def test_texts(self):
        """What a viewer of fragmented MP4 is told, and that FLV is FLV and nothing else."""
        path = films.film(2, gop=15)
        hub = self.source_hub([file_source('film', path)])
        mp4, flv = self.watcher(hub, 'film', 'ws mp4'), self.watcher(hub, 'film', 'ws flv')
        http_flv = self.watcher(hub, 'film', 'http flv')
        for watcher in (mp4, flv, http_flv):
            watcher.wait_pictures(5)
        told = mp4.viewer.texts('stream')[0]
        self.assertRegex(told['mime'], r'^video/mp4; codecs="avc1\.[0-9A-F]{6},mp4a\.40\.2"$')
        self.assertEqual(told['audio'], {'codec': 'mp4a.40.2', 'rate': 44100, 'channels': 1})
        self.assertEqual(flv.viewer.texts(), [])
        for watcher in (flv, http_flv):
            read = flvread.read(watcher.data())
            self.assertEqual(read.order[:4], ['meta', 'video config', 'audio config', 'picture'])
            self.assertEqual((len(read.metadata), len(read.video_configs), len(read.audio_configs)), (1, 1, 1))
            known = films.Known(path)
            self.assertEqual(read.video_configs, known.flv.video_configs)
            self.assertEqual([c[:2] for c in read.audio_configs], [c[:2] for c in known.flv.audio_configs])
            about = read.metadata[0]
            self.assertEqual((about['width'], about['height'], about['videocodecid'], about['audiocodecid'],
                              about['audiosamplerate'], about['stereo']), (320, 240, 7, 10, 44100, False))
        fields = http_flv.viewer.head.lower()
        self.assertIn('content-type: video/x-flv', fields)
        self.assertNotIn('content-length', fields)

    @weight(15)
    def test_a_hundred(self):
        """They come at any moment; each begins with the newest key frame, and misses nothing from there on."""
        path = films.film(2, gop=15)
        known, dice = films.Known(path), random.Random(5)
        hub = self.source_hub([file_source('film', path)])
        watchers = []
        for number in range(100):
            watchers.append(self.watcher(hub, 'film', FORMATS[number % 4]))
            time.sleep(dice.uniform(0, 0.04))
        for watcher in watchers:
            watcher.wait_pictures(20, timeout=40)
        self.assertEqual(details(hub, 'film')['figures']['viewers'], 100)
        self.assertEqual(len(self.children(hub)), 1)
        for watcher in watchers:
            watcher.leave()
        wait_until(lambda: details(hub, 'film')['figures']['viewers'] == 0, 10, 'no viewers')
        begins = {}
        for watcher in watchers:
            first, _, _ = self.check(watcher, known)
            begins[watcher.form, first] = watcher
        self.assertGreater(len(begins), 4)
        for (form, first), watcher in sorted(begins.items(), key=lambda item: item[0]):
            self.assertEqual(watcher.numbers(2), [first, first + 1], form)


    def test_head(self):
        """Who asks only for the head of an answer starts nothing."""
        hub = self.source_hub([file_source('film', films.film(2, gop=15))])
        for path, kind in (('/live/film.flv', 'video/x-flv'), ('/live/film.mp4', 'video/mp4')):
            status, fields, body = hub.get(path, method='HEAD')
            self.assertEqual((status, fields['content-type'], body), (200, kind, b''))
        self.assertEqual(hub.get('/live/film.mjpg')[0], 404)
        self.assertEqual(details(hub, 'film')['statistics']['runs'], 0)


class Files(SourceTest):
    def test_once(self):
        """A file that is not looped ends, and is played again for the next who comes."""
        path = films.film(2, gop=15)
        known = films.Known(path)
        hub = self.source_hub([file_source('film', path, loop=False)])
        first, http_first = self.watcher(hub, 'film', 'ws flv'), self.watcher(hub, 'film', 'http mp4')
        ended = wait_state(hub, 'film', 'ended')
        self.assertEqual((ended['source']['error'], ended['source']['restarts'], ended['source']['crashes']),
                         (None, 0, 0))
        self.assertEqual((ended['state'], ended['statistics']['pid'], ended['statistics']['runs']), ('ready', None, 1))
        self.wait_no_children(hub)
        # What is heard before the first picture is left out.
        heard = [s for s in known.sounds if s.dts >= known.pictures[0].pts]
        for watcher in (first, http_first):
            wait_until(lambda: len(watcher.items()[1]) >= len(heard), 10,
                       lambda: '%d of %d sounds' % (len(watcher.items()[1]), len(heard)))
            pictures, sounds = watcher.items()
            self.assertEqual((known.check(pictures, sounds), len(pictures)), (0, 60))
            self.assertEqual([known.sound_at[s.sample] for s in sounds], [known.sound_at[s.sample] for s in heard])
        second = self.watcher(hub, 'film', 'ws mp4')
        second.wait_pictures(60)
        wait_until(lambda: details(hub, 'film')['source']['state'] == 'ended', 10, 'the second end')
        self.assertEqual(details(hub, 'film')['statistics']['runs'], 2)
        self.assertEqual(known.check(*second.items()), 0)
        for watcher in (first, http_first):  # who stayed sees it again, on the same timeline
            watcher.wait_pictures(120)
            pictures, _ = watcher.items()
            self.assertEqual([known.picture_at[p.sample] for p in pictures], 2 * list(range(60)))
            self.assertTrue(all(a.dts < b.dts for a, b in zip(pictures, pictures[1:])))
            self.assertEqual(watcher.numbers(), 2 * list(range(60)))
        self.assertEqual(flvread.read(first.data()).order.count('video config'), 1)

    def test_copied(self):
        """What fits is copied: B-frames, no sound, sound that is not wanted, sizes that are no multiples of 16."""
        plain = films.film(2, gop=15)
        kinds = {'bframes': films.film(2, gop=15, bframes=3), 'silent': films.film(2, audio=None),
                 'muted': plain, 'cropped': films.film(2, size=(324, 242), gop=15)}
        hub = self.source_hub([file_source(name, path, audio=name != 'muted') for name, path in kinds.items()])
        watchers = {(name, form): self.watcher(hub, name, form) for name in kinds for form in ('http flv', 'ws mp4')}
        for watcher in watchers.values():
            watcher.wait_pictures(75)  # over its end
        said = {name: details(hub, name) for name in kinds}
        for watcher in watchers.values():
            watcher.leave()
        for (name, form), watcher in watchers.items():
            with self.subTest(name, form=form):
                known, now = films.Known(kinds[name]), said[name]
                pictures, sounds = watcher.items()
                self.assertEqual(known.check(pictures, sounds), 0)
                self.assertEqual(bool(sounds), name in ('bframes', 'cropped'))
                if form == 'http flv':
                    self.assertEqual(flvread.read(watcher.data()).has_audio, bool(sounds))
                self.assertTrue(now['statistics']['video_copied'])
                self.assertEqual(bool(now['stream']['audio']), bool(sounds))
                self.assertEqual(now['statistics']['runs'], 1)
                size = (324, 242) if name == 'cropped' else (320, 240)
                self.assertEqual((now['stream']['width'], now['stream']['height']), size)
                shown = watcher.numbers(30, size=size)  # cut between groups: all of them can be shown
                self.assertEqual(shown, list(range(30)))
        self.assertTrue(any(p.pts > p.dts for p in watchers['bframes', 'ws mp4'].items()[0]))

    @weight(10)
    def test_encoded(self):
        """What does not fit is encoded; that is found out once."""
        hevc = ('-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=none', '-g', '15')
        mpeg4 = ('-c:v', 'mpeg4', '-q:v', '3', '-g', '15')
        kinds = {
            'hevc': file_source('hevc', films.film(2, video=hevc, suffix='.mkv')),
            'odd': file_source('odd', films.film(2, size=(321, 241), video=mpeg4, suffix='.mkv')),
            'opus': file_source('opus', films.film(2, gop=15, audio=('-c:a', 'libopus'), suffix='.mkv')),
            'region': file_source('region', films.film(2, gop=15),
                                  region={'x': 0, 'y': 0, 'width': 320, 'height': 160}),
            'forced': file_source('forced', films.film(2, gop=15), ffmpeg={'always_encode': True, 'framerate': 30}),
        }
        args = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=322x182:rate=20']
        kinds['lavfi'] = {'name': 'lavfi', 'type': 'ffmpeg', 'args': args,
                          'audio_input': ['-re', '-f', 'lavfi', '-i', 'sine=frequency=440']}
        hub = self.source_hub(list(kinds.values()), process={'shutdown_timeout': 0})
        sizes = {'odd': (320, 240), 'region': (320, 160), 'lavfi': (322, 182)}
        copied = {'hevc': (False, True), 'odd': (False, True), 'opus': (True, False), 'region': (False, True),
                  'forced': (False, True), 'lavfi': (False, False)}
        detours = {'hevc': 2, 'odd': 2, 'opus': 2}
        watchers = {(name, form): self.watcher(hub, name, form) for name in kinds for form in ('ws flv', 'http mp4')}
        for watcher in watchers.values():
            watcher.wait_pictures(40, timeout=30)
        said = {name: details(hub, name) for name in kinds}
        for watcher in watchers.values():
            watcher.leave()
        for (name, form), watcher in watchers.items():
            with self.subTest(name, form=form):
                pictures, sounds = watcher.items()
                now, (width, height) = said[name], sizes.get(name, (320, 240))
                self.assertEqual((now['stream']['width'], now['stream']['height']), (width, height))
                statistics, source = now['statistics'], now['source']
                self.assertEqual((statistics['video_copied'], statistics['audio_copied']), copied[name])
                self.assertEqual(statistics['runs'], detours.get(name, 1), now)
                self.assertEqual((source['state'], source['restarts'], source['crashes'], source['error']),
                                 ('running', 0, 0, None))
                self.assertTrue(pictures[0].key and len(sounds) > 20)
                self.assertTrue(all(p.pts == p.dts for p in pictures) or name == 'opus')
                self.check_shown(name, watcher, width, height)
        for name in detours:  # and now it is known
            wait_state(hub, name, 'stopped')
            self.watcher(hub, name).wait_pictures(1)
            self.assertEqual(details(hub, name)['statistics']['runs'], 3)

    def check_shown(self, name, watcher, width, height):
        if name == 'lavfi':
            raw = films.ffmpeg('-f', 'flv' if watcher.flv else 'mp4', '-i', 'pipe:0', '-map', '0:v', '-fps_mode',
                               'passthrough', '-f', 'rawvideo', '-pix_fmt', 'gray', 'pipe:1', data=watcher.whole(30))
            self.assertEqual(len(raw), 30 * width * height)
            return
        shown = films.numbers(watcher.whole(30), 'flv' if watcher.flv else 'mp4', size=(width, height))
        first = shown[0]
        self.assertIn(first, (0, 15))
        self.assertEqual(shown, [(first + n) % 60 for n in range(30)])

    def test_nothing_to_see(self):
        """Sound alone, no such file, a folder, a text, nothing at all: each fails in words, and harms nobody."""
        paths = {'sound': films.film(2, video=False, suffix='.m4a'), 'none': os.path.join(self.root, 'none.mp4'),
                 'folder': self.root, 'text': os.path.join(self.root, 'text.mp4'),
                 'empty': os.path.join(self.root, 'empty.mp4')}
        for name, content in (('text', 'This is a text.\n' * 100), ('empty', '')):
            with open(paths[name], 'w', encoding='utf8') as file:
                file.write(content)
        words = {'sound': 'it has no video', 'none': 'No such file or directory', 'folder': 'Is a directory',
                 'text': 'Invalid data found|moov atom not found', 'empty': 'Invalid data found|moov atom not found'}
        good = films.film(2, gop=15)
        hub = self.source_hub([file_source(n, p) for n, p in paths.items()] + [file_source('good', good)],
                              process={'crash_threshold': 2})
        watchers = {name: self.watcher(hub, name, 'http flv') for name in (*paths, 'good')}
        for name, found in words.items():
            with self.subTest(name):
                now = wait_state(hub, name, 'given_up')
                self.assertRegex(now['source']['error'], found)
                self.assertEqual((now['source']['crashes'], now['source']['restarts'], now['source']['retry']),
                                 (2, 1, None))
                self.assertEqual(now['state'], 'ready')
                self.assertTrue(now['statistics']['log'])
                self.assertRegex(hub.log_text(), r'\[Error\] %s: source given up: ' % name)
                self.assertFalse(watchers[name].viewer.ended)
        watchers['good'].wait_pictures(60)
        films.Known(good).check(*watchers['good'].items())


class Pictures(SourceTest):
    def test_jpg(self):
        """Asking for a picture starts it; the next one who asks gets one."""
        path = films.film(2, gop=15)
        hub = self.source_hub([file_source('film', path)])
        status, _, _ = hub.get('/live/film.jpg')
        self.assertIn(status, (404, 503))
        wait_state(hub, 'film', 'running')
        wait_until(lambda: details(hub, 'film')['statistics']['gop']['ready'], 10, 'a key frame')
        status, fields, body = hub.get('/live/film.jpg')
        self.assertEqual((status, fields['content-type'], media.jpeg_size(body)), (200, 'image/jpeg', (320, 240)))
        raw = films.ffmpeg('-v', 'error', '-f', 'mjpeg', '-i', 'pipe:0', '-f', 'rawvideo', '-pix_fmt', 'gray', 'pipe:1',
                           data=body)
        self.assertIn(films.raw_numbers(raw, (320, 240))[0], (0, 15, 30, 45))
