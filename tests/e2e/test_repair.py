"""`camhub repair` and `camhub verify`: what they make of files that were cut, flipped or lost."""
import json
import os
import random
import shutil
import time
import unittest

import clips
import idx
import media
from cases import HubTest, phone, weight


class Folders(HubTest):
    def interrupted(self, messages, name='cut', args=()):
        """The folder of a session whose hub was killed with everything on disk."""
        hub = self.start_hub(*args)
        cam = self.camera(hub, name)
        cam.started()
        cam.send(messages)
        cam.settle()
        time.sleep(0.8)
        hub.kill()
        return hub.sessions(name + '_')[0]

    def finished(self, messages, name='whole', **options):
        hub = self.start_hub(**options)
        cam = self.camera(hub, name)
        cam.record(messages)
        session = hub.wait_finished()[0]
        hub.stop()
        return session

    def copy(self, session, name, under='copies'):
        folder = os.path.join(self.root, under, name)
        shutil.copytree(session.folder, folder)
        return idx.Session(folder)


class Repair(Folders):
    def check_prefix(self, session, messages, least=0):
        """Recovered: a sound file that holds the first pictures, as many as it can."""
        self.assertEqual([p for p in session.problems() if not p.startswith('format 1, id')], [])
        self.assertEqual(session.verdict(), 'recovered')
        pictures = [m for m in messages if m.picture]
        if not session.has('stream.mp4') and least == 0:
            return 0
        report = media.mp4check(session.path('stream.mp4'), '--layout', 'prog')
        self.assertEqual(report['errors'], [], session.id)
        packets = media.packets(session.path('stream.mp4'))
        self.assertGreaterEqual(len(packets), least)
        first = pictures[0].device_ms
        self.assertEqual([p.pts for p in packets], [(m.device_ms - first) * 90 for m in pictures[:len(packets)]])
        return len(packets)

    def test_interrupted(self):
        messages = phone(2).phone(clips.irregular(60, 3))
        session = self.interrupted(messages)
        self.camhub('repair', session.folder)
        self.assert_sound(session, 'recovered')
        self.assert_times(session, messages)
        self.assert_payloads(session, messages)

    def test_twice(self):
        """A second repair finds nothing to do and changes nothing."""
        session = self.interrupted(phone(1).phone())
        self.camhub('repair', session.folder)
        before = {n: session.read(n) for n in os.listdir(session.folder)}
        self.camhub('repair', session.folder)
        self.assertTrue(before == {n: session.read(n) for n in os.listdir(session.folder)})

    def test_whole_recordings_folder(self):
        """Given the folder above, it finishes what is interrupted and leaves the rest."""
        session = self.interrupted(phone(1).phone())
        copies = [self.copy(session, 'cut_20260101_00000%d' % n) for n in range(3)]
        self.camhub('repair', os.path.join(self.root, 'copies'))
        for copy in copies:
            self.assertTrue(copy.finished(), copy)

    @weight(15)
    def test_truncated_at_random(self):
        """stream.mp4 cut at any byte: the last whole fragment is the end, the report says recovered."""
        messages = phone(2).phone(clips.irregular(60, 4))
        session = self.interrupted(messages)
        size = os.path.getsize(session.path('stream.mp4'))
        dice = random.Random(6)
        ends = [r.offset + r.size for r in session.pictures()]
        cuts = [dice.randrange(800, size) for _ in range(14)]
        cuts += [ends[-1] - 1, ends[-2], ends[-2] + 1, ends[-2] + 8, ends[-2] + 111, ends[-2] + 112, ends[0] - 1]
        copies = []
        for number, cut in enumerate(cuts):
            copy = self.copy(session, 'cut_20260101_%06d' % number)
            os.truncate(copy.path('stream.mp4'), cut)
            copies.append((copy, sum(1 for e in ends if e <= cut)))
        self.camhub('repair', *[c.folder for c, _ in copies])
        for (copy, whole), cut in zip(copies, cuts):
            with self.subTest(cut=cut, whole=whole):
                self.check_prefix(copy, messages, least=whole)

    def test_truncated_to_less_than_a_head(self):
        """Nothing of the MP4 is left: it is rebuilt from stream.h264, or the report says there is none."""
        messages = phone(1).phone()
        session = self.interrupted(messages)
        copies = []
        for cut in (0, 1, 31, 32, 48, 300):
            copy = self.copy(session, 'cut_20260101_%06d' % cut)
            os.truncate(copy.path('stream.mp4'), cut)
            copies.append(copy)
        self.camhub('repair', *[c.folder for c in copies], code=None)
        for copy in copies:
            with self.subTest(copy=copy.id):
                self.assertTrue(copy.finished())
                for part in copy.parts():
                    self.assertEqual(media.mp4check(copy.path(part), '--layout', 'prog')['errors'], [])

    def test_index_cut(self):
        """frames.idx shorter than the video, or gone: every picture of the MP4 is still there."""
        messages = phone(1).phone()
        session = self.interrupted(messages)
        copies = []
        for number, cut in enumerate((0, 40, 64, 64 * 10 + 17, None)):
            copy = self.copy(session, 'cut_20260101_%06d' % number)
            if cut is None:
                os.remove(copy.path('frames.idx'))
            else:
                os.truncate(copy.path('frames.idx'), cut)
            copies.append(copy)
        self.camhub('repair', *[c.folder for c in copies])
        for copy in copies:
            with self.subTest(copy=copy.id):
                self.assertEqual(copy.verdict(), 'recovered')
                self.assertEqual(media.mp4check(copy.path('stream.mp4'), '--layout', 'prog')['errors'], [])
                self.assert_times(copy, messages)

    def test_report_gone(self):
        session = self.interrupted(phone(1).phone())
        copies = []
        for number, text in enumerate((None, '', '{"state":', '[]')):
            copy = self.copy(session, 'cut_20260101_%06d' % number)
            os.remove(copy.path('session.json'))
            if text is not None:
                with open(copy.path('session.json'), 'w') as file:
                    file.write(text)
            copies.append(copy)
        self.camhub('repair', *[c.folder for c in copies])
        for copy in copies:
            with self.subTest(copy=copy.id):
                self.assertEqual(copy.verdict(), 'recovered')
                self.assertEqual(media.mp4check(copy.path('stream.mp4'), '--layout', 'prog')['errors'], [])

    def bare(self, clip, name='bare_20260101_000000'):
        folder = os.path.join(self.root, name)
        os.mkdir(folder)
        with open(os.path.join(folder, 'stream.h264'), 'wb') as file:
            file.write(clip.data)
        return idx.Session(folder)

    def test_bare_h264(self):
        """Only stream.h264 is left: an MP4 at 10 frames/s, the original's last resort."""
        clip = clips.made(2)
        session = self.bare(clip)
        self.camhub('repair', session.folder)
        report = media.mp4check(session.path('stream.mp4'), '--layout', 'prog')
        self.assertEqual((report['errors'], report['packets']), ([], 60))
        self.assertEqual([p.pts for p in media.packets(session.path('stream.mp4'))], [n * 9000 for n in range(60)])
        self.assertEqual(media.picture_md5s(session.path('stream.mp4')), clips.shown(clip))

    def test_bare_h264_with_b_frames(self):
        clip = clips.made(2, profile='high', x264='bframes=3:b-pyramid=normal:b-adapt=0')
        session = self.bare(clip)
        self.camhub('repair', session.folder)
        self.assertEqual(media.mp4check(session.path('stream.mp4'), '--layout', 'prog')['errors'], [])
        times = sorted(p.pts for p in media.packets(session.path('stream.mp4')))
        self.assertEqual(times, [n * 9000 for n in range(60)])
        self.assertEqual(media.picture_md5s(session.path('stream.mp4')), clips.shown(clip))

    @weight(5)
    def test_bare_real_clips(self):
        sessions = []
        for number, name in enumerate(clips.REAL):
            clip = clips.real(name)
            sessions.append((self.bare(clip, 'bare_20260101_%06d' % number), clip))
        self.camhub('repair', *[s.folder for s, _ in sessions])
        for session, clip in sessions:
            with self.subTest(name=clip.name):
                report = media.mp4check(session.path('stream.mp4'), '--layout', 'prog', '--no-decode')
                self.assertEqual(report['errors'], [])
                self.assertEqual(media.picture_md5s(session.path('stream.mp4')),
                                 clips.shown(clip))

    def test_mp4_gone_index_left(self):
        """With the index the pictures of stream.h264 get their own times back, or the estimated rate."""
        messages = phone(1).phone(clips.irregular(30, 5))
        session = self.interrupted(messages)
        os.remove(session.path('stream.mp4'))
        self.camhub('repair', session.folder)
        report = media.mp4check(session.path('stream.mp4'), '--layout', 'prog')
        self.assertEqual((report['errors'], report['packets']), ([], 30))
        self.assertTrue(session.finished())

    def test_nothing_to_repair(self):
        """No folder, an empty one, one of something else: said, exit 1 or 0, nothing made."""
        self.camhub('repair', os.path.join(self.root, 'none'), code=1)
        os.mkdir(os.path.join(self.root, 'empty'))
        self.camhub('repair', os.path.join(self.root, 'empty'), code=None)
        self.assertEqual(os.listdir(os.path.join(self.root, 'empty')), [])
        self.camhub('repair', code=2)


class Verify(Folders):
    def verdict(self, session, code):
        out = self.camhub('verify', session.folder, code=code)
        lines = [line for line in out.splitlines() if session.id in line]
        self.assertEqual(len(lines), 1, out)
        found = [v for v in idx.VERDICTS if v in lines[0].split(':', 1)[-1].replace(',', ' ').split()]
        self.assertTrue(found, lines[0])
        return found[0]

    def test_complete(self):
        session = self.finished(phone(1).phone())
        self.assertEqual(self.verdict(session, 0), 'complete')

    def test_gaps(self):
        messages = phone(1).phone()
        session = self.finished(messages[:10] + messages[15:])
        self.assertEqual(self.verdict(session, 0), 'gaps')

    def test_recovered(self):
        session = self.interrupted(phone(1).phone())
        self.camhub('repair', session.folder)
        self.assertEqual(self.verdict(session, 0), 'recovered')

    def flip(self, session, name, offset, bit=1):
        with open(session.path(name), 'r+b') as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ bit]))

    def test_flipped_payload_bits(self):
        """One bit in one picture, in the MP4 or in stream.h264: damaged."""
        session = self.finished(phone(1).phone())
        for number, record in enumerate((session.pictures()[0], session.pictures()[13], session.pictures()[-1])):
            copy = self.copy(session, 'mp4bit%d_20260101_000000' % number)
            self.flip(copy, 'stream.mp4', record.offset + record.size // 2)
            with self.subTest(file='stream.mp4', number=number):
                self.assertEqual(self.verdict(copy, 1), 'damaged')
        for number, offset in enumerate((10, len(session.h264()) // 2, len(session.h264()) - 2)):
            copy = self.copy(session, 'h264bit%d_20260101_000000' % number)
            self.flip(copy, 'stream.h264', offset)
            with self.subTest(file='stream.h264', offset=offset):
                self.assertEqual(self.verdict(copy, 1), 'damaged')

    def test_flipped_index_bits(self):
        session = self.finished(phone(1).phone())
        for offset in (3, 20, 63, 64 + 3, 64 * 9 + 10, 64 * 9 + 50, 64 * 9 + 62):
            copy = self.copy(session, 'idx%d_20260101_000000' % offset)
            self.flip(copy, 'frames.idx', offset)
            with self.subTest(offset=offset):
                self.assertEqual(self.verdict(copy, 1), 'damaged')

    def test_flipped_moov_bits(self):
        """Sample tables are not payload, but a file with wrong ones is not what was recorded."""
        session = self.finished(phone(1).phone(clips.irregular(30, 2)))
        data = session.read('stream.mp4')
        for table in (b'stsz', b'stco', b'stts', b'stss', b'avcC'):
            copy = self.copy(session, '%s_20260101_000000' % table.decode())
            at = data.rindex(table)
            self.flip(copy, 'stream.mp4', at + (4 + 4 + 4 + 4 + 3 if table != b'avcC' else 4 + 12))
            with self.subTest(table=table):
                self.assertEqual(self.verdict(copy, 1), 'damaged')

    def test_truncated_files(self):
        session = self.finished(phone(1).phone())
        for name in ('stream.mp4', 'stream.h264', 'frames.idx'):
            copy = self.copy(session, 'short-%s_20260101_000000' % name)
            os.truncate(copy.path(name), os.path.getsize(copy.path(name)) - 1)
            with self.subTest(name=name):
                self.assertEqual(self.verdict(copy, 1), 'damaged')

    def test_longer_files(self):
        session = self.finished(phone(1).phone())
        for name in ('stream.mp4', 'stream.h264', 'frames.idx'):
            copy = self.copy(session, 'long-%s_20260101_000000' % name)
            with open(copy.path(name), 'ab') as file:
                file.write(bytes(64))
            with self.subTest(name=name):
                self.assertEqual(self.verdict(copy, 1), 'damaged')

    def test_missing_files(self):
        session = self.finished(phone(1).phone())
        for name in ('stream.mp4', 'stream.h264', 'frames.idx'):
            copy = self.copy(session, 'no-%s_20260101_000000' % name)
            os.remove(copy.path(name))
            with self.subTest(name=name):
                self.assertEqual(self.verdict(copy, 1), 'damaged')

    def test_changed_report(self):
        """The hash in session.json is what everything hangs on."""
        session = self.finished(phone(1).phone())
        copy = self.copy(session, 'hash_20260101_000000')
        text = copy.read('session.json').decode()
        old = session.report()['index']['sha256']
        with open(copy.path('session.json'), 'w') as file:
            file.write(text.replace(old, old[::-1]))
        self.assertEqual(self.verdict(copy, 1), 'damaged')

    def test_several_parts(self):
        small = clips.made(1, size='320x240').phone()
        large = clips.made(1, size='480x640').phone(clips.steady(30, first=clips.BASE_MS + 1000), sequence=len(small))
        session = self.finished(small + large)
        self.assertEqual(self.verdict(session, 0), 'complete')
        self.flip(session, 'stream_2.mp4', session.pictures()[-1].offset + 20)
        self.assertEqual(self.verdict(session, 1), 'damaged')

    def test_b_frames(self):
        clip = clips.made(2, profile='high', x264='bframes=3:b-pyramid=normal:b-adapt=0')
        session = self.finished(clip.whole(clips.steady(60, 33)))
        self.assertEqual(self.verdict(session, 0), 'complete')

    def test_json(self):
        """--json: one object or list that names sessions and verdicts."""
        session = self.finished(phone(1).phone())
        copy = self.copy(session, 'bad_20260101_000000')
        self.flip(copy, 'stream.mp4', session.pictures()[3].offset + 30)
        out = self.camhub('verify', '--json', session.folder, copy.folder, code=1)
        try:
            entries = json.loads(out)
        except ValueError:
            entries = [json.loads(line) for line in out.splitlines()]
        entries = entries if isinstance(entries, list) else entries.get('sessions', [entries])
        self.assertEqual([e['verdict'] for e in entries], ['complete', 'damaged'])
        self.assertIn(session.id, json.dumps(entries[0]))

    def test_folder_of_sessions(self):
        session = self.finished(phone(1).phone())
        for number in range(3):
            self.copy(session, 'copy%d_20260101_000000' % number)
        out = self.camhub('verify', os.path.join(self.root, 'copies'))
        self.assertEqual(len([line for line in out.splitlines() if 'complete' in line]), 3)

    def test_reads_only(self):
        """verify changes nothing, in a good session or a bad one."""
        session = self.finished(phone(1).phone())
        os.truncate(session.path('stream.mp4'), 5000)
        before = {n: (os.stat(session.path(n)).st_mtime_ns, session.read(n)) for n in os.listdir(session.folder)}
        self.verdict(session, 1)
        self.assertTrue(before == {n: (os.stat(session.path(n)).st_mtime_ns, session.read(n))
                                   for n in os.listdir(session.folder)})

    def test_wrong_usage(self):
        self.camhub('verify', code=2)
        self.camhub('verify', '--nonsense', self.root, code=2)
        self.camhub('verify', os.path.join(self.root, 'none'), code=1)


if __name__ == '__main__':
    unittest.main()
