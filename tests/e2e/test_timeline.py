"""Sequence numbers and device times in disorder: nothing stops a recording, everything is counted."""
import random
import time
import unittest

import clips
import idx
import media
from cases import HubTest, phone, weight

STEP = 33


class Disorder(HubTest):
    def record(self, messages, name='chaos', pause=None):
        """Records; `pause` is (index, seconds) for a real silence before that message."""
        hub = self.start_hub()
        cam = self.camera(hub, name)
        cam.started()
        if pause:
            cam.send(messages[:pause[0]])
            time.sleep(pause[1])
            cam.send(messages[pause[0]:])
        else:
            cam.send(messages)
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        return session

    def counts(self, session, *names):
        return tuple(session.report()['counts'][n] for n in names)


class Sequences(Disorder):
    NAMES = ('missing', 'duplicates', 'reordered', 'sequence_restarts')

    def numbered(self, numbers):
        """Pictures in order and at true times, with these sequence numbers."""
        messages = phone(4).phone(clips.steady(120, 5))
        numbers = list(numbers)
        return [m._replace(sequence=n % 2 ** 32) for m, n in zip(messages[:len(numbers)], numbers)]

    def check(self, numbers, counts, missing, verdict):
        messages = self.numbered(numbers)
        session = self.record(messages)
        self.assert_sound(session, verdict)
        self.assert_times(session, messages)
        self.assertEqual(self.counts(session, *self.NAMES), counts)
        report = session.report()
        self.assertEqual([(m['first'], m['last'], m['count']) for m in report['missing']], missing)
        return session

    def test_skipped(self):
        """Two losses: ranges, counts, verdict `gaps`."""
        numbers = [*range(0, 20), *range(21, 50), *range(60, 91)]
        session = self.check(numbers, (11, 0, 0, 0), [(20, 20, 1), (50, 59, 10)], 'gaps')
        causes = {g['cause'] for g in session.report()['gaps'] if g['missing']}
        self.assertLessEqual(causes, {'transport'})

    def test_nothing_wrong(self):
        self.check(range(77, 177), (0, 0, 0, 0), [], 'complete')

    def test_repeated(self):
        """The same number twice: flagged, nothing missing."""
        numbers = [*range(0, 20), 19, *range(20, 50), 49, *range(50, 60)]
        session = self.check(numbers, (0, 2, 0, 0), [], 'complete')
        self.assertEqual([n for n, r in enumerate(session.records()) if r.flags & idx.DUPLICATE], [20, 51])

    def test_block_repeated(self):
        """Three in a row once more: duplicates, no new count, and nothing missing behind them."""
        numbers = [*range(0, 50), 20, 21, 22, *range(50, 60)]
        self.check(numbers, (0, 3, 0, 0), [], 'complete')

    def test_reordered(self):
        """A late number is not missing."""
        numbers = [*range(0, 20), 21, 20, *range(22, 40), 43, 41, 42, 40, *range(44, 60)]
        session = self.check(numbers, (0, 0, 4, 0), [], 'complete')
        late = [r.sequence for r in session.records() if r.flags & idx.REORDERED]
        self.assertEqual(late, [20, 41, 42, 40])

    def test_late_number_splits_a_range(self):
        numbers = [*range(0, 20), *range(30, 40), 25, *range(40, 60)]
        self.check(numbers, (9, 0, 1, 0), [(20, 24, 5), (26, 29, 4)], 'gaps')

    def test_restarted_at_zero(self):
        numbers = [*range(500, 540), *range(0, 40)]
        self.check(numbers, (0, 0, 0, 1), [], 'complete')

    def test_restarted_soon(self):
        """After a handful of frames counting begins anew."""
        numbers = [*range(0, 10), *range(0, 10), *range(0, 40)]
        self.check(numbers, (0, 0, 0, 2), [], 'complete')

    def test_restarted_far_away(self):
        numbers = [*range(100_000, 100_040), *range(7, 47)]
        self.check(numbers, (0, 0, 0, 1), [], 'complete')

    def test_wrapped(self):
        """2^32 - 1 is followed by 0."""
        self.check(range(2 ** 32 - 30, 2 ** 32 + 30), (0, 0, 0, 0), [], 'complete')

    def test_lost_across_the_wrap(self):
        numbers = [*range(2 ** 32 - 30, 2 ** 32 - 3), *range(2 ** 32 + 4, 2 ** 32 + 30)]
        self.check(numbers, (7, 0, 0, 0), [(2 ** 32 - 3, 3, 7)], 'gaps')

    def test_jumped_far_forward(self):
        """Three thousand million lost frames are a new count, not a loss."""
        numbers = [*range(0, 30), *range(3_000_000_000, 3_000_000_030)]
        self.check(numbers, (0, 0, 0, 1), [], 'complete')

    def test_constant(self):
        """A camera that never counts."""
        messages = self.numbered([0] * 60)
        session = self.record(messages)
        self.assertEqual(session.problems(), [])
        self.assert_times(session, messages)

    def test_many_losses_truncate_the_lists(self):
        """Every second number missing, two thousand times: the lists end, the counts do not."""
        clip = clips.made(70, size='32x32', bitrate='5k')
        messages = clip.phone(clips.steady(len(clip.units), 2))
        messages = [m._replace(sequence=2 * n) for n, m in enumerate(messages)]
        session = self.record(messages)
        report = session.report()
        self.assertEqual(session.problems(), [])
        self.assertEqual(report['counts']['missing'], len(messages) - 2)
        self.assertEqual(len(report['missing']), 1000)
        self.assertTrue(report['lists_truncated'])


class DeviceTimes(Disorder):
    def timed(self, times):
        messages = phone(4).phone(list(times))
        return messages[:len(times) + 1]

    def check(self, times, expected_ms, repaired=0, jumps=0, kinds=None):
        """`expected_ms`: presentation time of every picture relative to the first, as (ms, ticks)."""
        messages = self.timed(times)
        session = self.record(messages)
        self.assert_sound(session)
        got = [p.pts for p in media.packets(session.path('stream.mp4'))]
        want = [ms * 90 + extra for ms, extra in expected_ms]
        self.assertEqual(got, want)
        self.assertEqual(self.counts(session, 'repaired', 'clock_jumps'), (repaired, jumps))
        repairs = session.report()['repairs']
        self.assertEqual([r['kind'] for r in repairs], kinds or [])
        records = session.records()
        for repair in repairs:
            record = records[repair['record']]
            # beyond 2^63, where JSON numbers end for many readers, it is a string
            self.assertEqual((repair['sequence'], int(repair['device_ms'])), (record.sequence, record.device_ms))
            self.assertTrue(record.flags & (idx.JUMP if repair['kind'] == 'jump' else idx.REPAIRED))
        return session

    def steps(self, count, first=clips.BASE_MS):
        return clips.steady(count, STEP, first)

    def even(self, count, from_ms=0):
        return [(from_ms + n * STEP, 0) for n in range(count)]

    def test_repeated(self):
        """The second of two equal times is shifted by one tick, the smallest there is."""
        times = self.steps(20)
        times[7] = times[6]
        expected = self.even(20)
        expected[7] = (6 * STEP, 1)
        self.check(times, expected, repaired=1, kinds=['repeated'])

    def test_all_equal(self):
        """A stopped clock: one tick apart each."""
        times = [clips.BASE_MS] * 20
        self.check(times, [(0, n) for n in range(20)], repaired=19, kinds=['repeated'] * 19)

    def test_backward(self):
        """A small step back: shifted behind its predecessor; the next ones at their own times again."""
        times = self.steps(20)
        times[10] -= 80
        expected = self.even(20)
        expected[10] = (9 * STEP, 1)
        self.check(times, expected, repaired=1, kinds=['backward'])

    def test_backward_and_on_from_there(self):
        """Half a second back: pictures stand one tick apart until the clock has caught up."""
        times = self.steps(20) + self.steps(30, clips.BASE_MS + 19 * STEP - 300)
        expected = self.even(20)
        for n in range(30):
            ms = 19 * STEP - 300 + n * STEP
            expected.append((ms, 0) if ms > 19 * STEP else (19 * STEP, n + 1))
        behind = sum(1 for _, extra in expected if extra)
        self.check(times, expected, repaired=behind, kinds=['backward'] * behind)

    def check_jump(self, by):
        times = self.steps(30) + self.steps(30, (clips.BASE_MS + 30 * STEP + by) % 2 ** 64)
        self.check(times, self.even(60), jumps=1, kinds=['jump'])

    def test_jump_forward(self):
        """Ten seconds in no time: the timeline goes on at the stream's own pace and takes the new base."""
        self.check_jump(10_000)

    def test_jump_backward(self):
        self.check_jump(-10_000)

    def test_jump_to_the_epoch(self):
        """The device got the date: from time since boot to milliseconds since 1970."""
        self.check_jump(1_790_000_000_000)

    def test_jump_to_zero(self):
        times = self.steps(30) + self.steps(30, 0)
        self.check(times, self.even(60), jumps=1, kinds=['jump'])

    def test_jump_to_the_end_of_numbers(self):
        times = self.steps(30) + self.steps(30, 2 ** 64 - 1 - 30 * STEP)
        self.check(times, self.even(60), jumps=1, kinds=['jump'])

    def test_jump_across_the_sign(self):
        times = self.steps(30) + self.steps(30, 2 ** 63 - 10 * STEP)
        self.check(times, self.even(60), jumps=1, kinds=['jump'])

    def test_jumps_there_and_back(self):
        times = self.steps(20) + self.steps(20, clips.BASE_MS + 3_600_000) + self.steps(20, clips.BASE_MS + 40 * STEP)
        self.check(times, self.even(60), jumps=2, kinds=['jump'] * 2)

    def test_step_of_less_than_two_seconds_is_no_jump(self):
        times = self.steps(20) + self.steps(20, clips.BASE_MS + 19 * STEP + 1900)
        self.check(times, self.even(20) + self.even(20, 19 * STEP + 1900))

    def test_wild(self):
        """Random times over all 64 bits: sound files, however wrong the clock."""
        dice = random.Random(11)
        times = [dice.randrange(2 ** 64) for _ in range(60)]
        messages = self.timed(times)
        session = self.record(messages)
        self.assert_sound(session)
        self.assertEqual(len(session.pictures()), 60)
        self.assertLess(media.duration(session.path('stream.mp4')), 600)

    @weight(4)
    def test_pause_of_the_encoder(self):
        """2.6 s in which the phone encoded nothing: no jump, no loss, a gap of that cause."""
        times = self.steps(30) + self.steps(30, clips.BASE_MS + 29 * STEP + 2600)
        messages = self.timed(times)
        session = self.record(messages, pause=(31, 2.6))
        self.assert_sound(session, session.verdict())
        self.assert_times(session, messages)
        report = session.report()
        self.assertEqual(self.counts(session, 'missing', 'clock_jumps', 'repaired'), (0, 0, 0))
        self.assertEqual([(g['cause'], g['missing']) for g in report['gaps']], [('not_encoded', 0)])
        self.assertAlmostEqual(report['gaps'][0]['duration'], 2.6, delta=0.05)
        self.assertAlmostEqual(report['longest_gap'], 2.6, delta=0.05)

    @weight(4)
    def test_loss_in_transport(self):
        """2.6 s of frames that were encoded and never came: told apart by their numbers."""
        times = self.steps(30) + self.steps(30, clips.BASE_MS + 29 * STEP + 2600)
        messages = self.timed(times)
        messages = messages[:31] + [m._replace(sequence=m.sequence + 78) for m in messages[31:]]
        session = self.record(messages, pause=(31, 2.6))
        self.assert_sound(session, 'gaps')
        self.assert_times(session, messages)
        report = session.report()
        self.assertEqual([(g['cause'], g['missing']) for g in report['gaps']], [('transport', 78)])
        self.assertEqual([(m['first'], m['last'], m['count']) for m in report['missing']], [(31, 108, 78)])


if __name__ == '__main__':
    unittest.main()
