"""Hostile H.264: every stream of tests/tools/h264mut, named ones and seeded mutants."""
import os
import random
import subprocess
import unittest

import annexb
import clips
import idx
import media
from cases import TOOLS, HubTest, long, phone, weight

PER_STREAM = 150  # messages at the most: more access units go out several to a message


def messages_of(data, seed):
    """A stream as messages of one access unit each, or of a few, with plausible headers."""
    units = [u.payload for u in annexb.split_access_units(data)] or [data]
    group = max(1, -(-len(units) // PER_STREAM))
    payloads = [b''.join(units[n:n + group]) for n in range(0, len(units), group)]
    dice, now, out = random.Random(seed), clips.BASE_MS, []
    for number, payload in enumerate(payloads):
        out.append(clips.Message(now, number, payload[:(16 << 20) - 16]))
        now += dice.choice((0, 10, 10, 10, 10, 20, -15))
    return out


class Mutants(HubTest):
    def streams(self, count, seed=1):
        folder = os.path.join(self.root, 'mutants')
        source = clips.made(2, size='160x120', gop=10, bitrate='100k')
        subprocess.run(['/usr/bin/python3', os.path.join(TOOLS, 'h264mut'), source.path, folder, str(count),
                        '--seed', str(seed)], check=True, stdout=subprocess.DEVNULL)
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), 'rb') as file:
                yield name.removesuffix('.h264'), file.read()

    def check(self, streams, **options):
        hub = self.start_hub(**options)
        witness = self.camera(hub, 'witness')
        witness.started()
        honest = phone(2).phone(clips.steady(60, 33))
        sending = witness.send_in_background(honest, paced=1)
        cams = [self.camera(hub, 'salad%d' % n) for n in range(5)]
        expected, count = {}, 0
        for number, (name, data) in enumerate(streams):
            cam = cams[number % len(cams)]
            messages = messages_of(data, number)
            cam.record(messages)
            self.assertTrue(cam.open(), name)
            folder = hub.wait_finished(number + 1, prefix='salad')
            new = [s for s in folder if s.id not in expected][0]
            expected[new.id] = (name, messages)
            count += 1
        sending.result(60)
        witness.stopped()
        hub.wait_finished(count + 1)
        for session in hub.sessions('salad'):
            name, messages = expected[session.id]
            with self.subTest(name=name):
                self.check_session(session, messages)
        self.assert_payloads(hub.sessions('witness')[0], honest)
        self.assert_sound(hub.sessions('witness')[0])

    def check_session(self, session, messages):
        self.assertTrue(session.h264().endswith(b''.join(m.payload for m in messages)), 'stream.h264')
        self.assertEqual(session.problems(), [])
        for number, part in enumerate(session.parts(), 1):
            self.assertEqual(media.structure_errors(session.path(part), '--layout', 'prog'), [], part)
            first = [r for r in session.records() if r.part == number][0]
            self.assertTrue(first.flags & idx.KEY, '%s begins with %s' % (part, first))

    @weight(40)
    def test_named_and_seeded(self):
        self.check(self.streams(60))

    @weight(8)
    def test_with_thumbnails(self):
        """The decoder's child meets them too; the hub outlives whatever it does."""
        chosen = ('sps_refs_huge', 'sps_65536x65536', 'all_types', 'emul_abuse', 'sei_bomb', 'reversed', 'mut00003')
        self.check([s for s in self.streams(10, seed=2) if s[0] in chosen], thumbnails=True)

    @long
    @weight(300)
    def test_more_seeds(self):
        self.check(self.streams(600, seed=7))

    def test_whole_stream_in_one_message(self):
        """An encoder buffer with sixty pictures in it: no crash, a sound file."""
        clip = phone(2)
        hub = self.start_hub()
        cam = self.camera(hub, 'lump')
        messages = [clips.Message(clips.BASE_MS + n * 40, n, clip.data) for n in range(5)]
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assertEqual(session.problems(), [])
        for part in session.parts():
            self.assertEqual(media.structure_errors(session.path(part), '--layout', 'prog'), [])


if __name__ == '__main__':
    unittest.main()
