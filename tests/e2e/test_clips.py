"""Real video: every clip of the shared data, with true presentation times and with naive ones."""
import unittest

import clips
import media
from cases import HubTest, weight

REORDERED = ('Cisco_Men_whisper_640x320_CABAC_Bframe_9.264', 'VID_1280x720_cavlc_temporal_direct.264')


def true_times(clip, step_ms):
    """Messages in decoding order, each with the time at which its picture is shown."""
    order = clips.presentation_order(clip)
    return clip.whole([clips.BASE_MS + place * step_ms for place in order])


class Clips(HubTest):
    def record(self, messages):
        hub = self.start_hub()
        cam = self.camera(hub, 'clip')
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        return session

    def assert_same_pictures(self, session, clip):
        """The MP4 shows what the clip shows, in the same order."""
        shown = media.picture_md5s(session.path('stream.mp4'))
        self.assertEqual(shown, clips.shown(clip))

    def check(self, name, step_ms=6):
        clip = clips.real(name)
        messages = true_times(clip, step_ms)
        session = self.record(messages)
        self.assertEqual(session.parts(), ['stream.mp4'])
        self.assert_times(session, messages)
        self.assert_same_pictures(session, clip)
        counts = session.report()['counts']
        self.assertEqual((counts['repaired'], counts['clock_jumps']), (0, 0))
        return session

    def check_naive(self, name, step_ms=6):
        """Stamps that rise in decoding order, from an encoder that stamps what it puts out."""
        clip = clips.real(name)
        messages = clip.whole(clips.steady(len(clip.units), step_ms))
        session = self.record(messages)
        self.assert_same_pictures(session, clip)
        packets = media.packets(session.path('stream.mp4'))
        self.assertEqual(len(packets), len(clip.units))
        order = clips.presentation_order(clip)
        by_time = sorted(range(len(packets)), key=lambda n: packets[n].pts)
        self.assertEqual([order[n] for n in by_time], sorted(order), 'pictures by presentation time')
        span = packets[by_time[-1]].pts
        self.assertAlmostEqual(span, (len(packets) - 1) * step_ms * 90, delta=3 * step_ms * 90)

    def test_adobe(self):
        self.check('Adobe_PDF_sample_a_1024x768_50Frms.264')

    def test_ci1_ft(self):
        self.check('CI1_FT_B.264')

    def test_cvfc1_cropped_and_with_changing_pps(self):
        session = self.check('CVFC1_Sony_C.jsv')
        self.assertEqual(media.picture_size(session.path('stream.mp4')), (300, 168))

    def test_midr(self):
        self.check('MIDR_MW_D.264')

    def test_mps_several_sets(self):
        self.check('MPS_MW_A.264')

    def test_qcif(self):
        self.check('test_qcif_cabac.264')

    @weight(6)
    def test_phone_camera_with_true_times(self):
        self.check('VID_1280x720_cavlc_temporal_direct.264', 33)

    @weight(6)
    def test_phone_camera_with_naive_times(self):
        self.check_naive('VID_1280x720_cavlc_temporal_direct.264', 33)

    def test_cisco_with_true_times(self):
        self.check('Cisco_Men_whisper_640x320_CABAC_Bframe_9.264', 33)

    def test_cisco_with_naive_times(self):
        self.check_naive('Cisco_Men_whisper_640x320_CABAC_Bframe_9.264', 33)


class BFrames(HubTest):
    """B-frames of our own making, so that this also runs without the shared data."""

    def record(self, messages, name='reordered'):
        hub = self.start_hub()
        cam = self.camera(hub, name)
        cam.record(messages)
        session = hub.wait_finished(1, prefix='%s_' % name)[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        return session

    def clip(self, x264):
        return clips.made(3, profile='high', gop=30, x264=x264)

    def check_true(self, x264):
        clip = self.clip(x264)
        messages = true_times(clip, 33)
        self.assertNotEqual([m.device_ms for m in messages], sorted(m.device_ms for m in messages))
        session = self.record(messages)
        self.assert_times(session, messages)
        self.assertEqual(media.picture_md5s(session.path('stream.mp4')), clips.shown(clip))
        self.assertEqual(session.report()['counts']['repaired'], 0)

    def check_naive(self, x264):
        clip = self.clip(x264)
        session = self.record(clip.whole(clips.steady(len(clip.units), 33)))
        self.assertEqual(media.picture_md5s(session.path('stream.mp4')), clips.shown(clip))

    def test_pyramid_with_true_times(self):
        self.check_true('bframes=3:b-pyramid=normal:b-adapt=0')

    def test_pyramid_with_naive_times(self):
        self.check_naive('bframes=3:b-pyramid=normal:b-adapt=0')

    def test_plain_with_true_times(self):
        self.check_true('bframes=2:b-pyramid=none:b-adapt=0')

    def test_plain_with_naive_times(self):
        self.check_naive('bframes=2:b-pyramid=none:b-adapt=0')

    def test_long_runs_with_true_times(self):
        self.check_true('bframes=8:b-pyramid=strict:b-adapt=0')

    def test_sets_in_messages_of_their_own(self):
        """While pictures wait for their place, other messages do not overtake them in stream.h264."""
        clip = self.clip('bframes=3:b-pyramid=normal:b-adapt=0')
        for name, times in (('naive', clips.steady(90, 33)),
                            ('true', [clips.BASE_MS + n * 33 for n in clips.presentation_order(clip)])):
            with self.subTest(times=name):
                messages = []
                for unit, time in zip(clip.units, times):
                    if unit.key:
                        messages.append(clips.Message(0, 0, clip.sets, picture=False))
                    messages.append(clips.Message(time, 0, unit.without(clips.SETS).payload, unit.key))
                    if len(messages) % 7 == 0:
                        messages.append(clips.Message(time, 0, b'\0\0\0\1\x0c\xff\x80', picture=False))
                self.record([m._replace(sequence=n) for n, m in enumerate(messages)], name)

    def test_end_in_the_middle_of_a_group(self):
        """The session ends while pictures wait for their place: none is lost."""
        clip = self.clip('bframes=3:b-pyramid=normal:b-adapt=0')
        for count in (47, 48, 49, 50):
            with self.subTest(count=count):
                messages = clip.whole(clips.steady(len(clip.units), 33))[:count]
                hub = self.start_hub()
                cam = self.camera(hub, 'cut%d' % count)
                cam.record(messages)
                session = hub.wait_finished(1, prefix='cut%d_' % count)[0]
                self.assertEqual(session.problems(), [])
                self.assertEqual(len(media.packets(session.path('stream.mp4'))), count)
                hub.stop()


if __name__ == '__main__':
    unittest.main()
