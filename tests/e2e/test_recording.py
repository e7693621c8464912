"""A phone's video becomes files: their bytes, their times, their report."""
import time
import unittest

import clips
import idx
import media
from cases import HubTest, phone, weight
from hub import wait_until


class PhoneRecording(HubTest):
    @weight(8)
    def test_irregular_times_in_real_time(self):
        """Steps of 33 to 200 ms, sent when they were taken: every byte, every time, every check."""
        clip = phone(2)
        messages = clip.phone(clips.irregular(44, seed=7), count=44)
        hub = self.start_hub(thumbnails=True)
        cam = self.camera(hub, 'bench-left')
        cam.started()
        cam.send(messages, paced=1)
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session, 'complete')
        self.assert_times(session, messages)
        self.assertEqual(media.jpeg_size(session.read('thumbnail.jpg')), (320, 240))

    def test_irregular_times_as_fast_as_they_go(self):
        """The same steps out of a backlog: device times hold, no jump is seen."""
        messages = phone(4).phone(clips.irregular(120, seed=8))
        hub = self.start_hub()
        cam = self.camera(hub, 'burst')
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assert_times(session, messages)
        counts = session.report()['counts']
        self.assertEqual((counts['clock_jumps'], counts['repaired']), (0, 0))

    @weight(5)
    def test_stall_of_the_network_leaves_no_hole(self):
        """2.6 s without a message, then everything at once: the pictures stand where they were taken."""
        messages = phone(4).phone(clips.steady(120, 33))
        hub = self.start_hub()
        cam = self.camera(hub, 'stalled')
        cam.started()
        cam.send(messages[:30], paced=1)
        time.sleep(2.6)
        cam.send(messages[30:])
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assert_times(session, messages)
        self.assertEqual(session.report()['counts']['clock_jumps'], 0)

    def test_index(self):
        """One record per message: what was sent, in order, and where it lies."""
        messages = phone(2).phone(clips.irregular(60, seed=3), sequence=1000)
        hub = self.start_hub()
        cam = self.camera(hub, 'indexed')
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assertEqual(session.problems(), [])
        records = session.records()
        self.assertEqual([(r.sequence, r.device_ms, r.payload) for r in records],
                         [(m.sequence, m.device_ms, len(m.payload)) for m in messages])
        self.assertEqual([r.hash for r in records], [idx.hash_payload(m.payload) for m in messages])
        self.assertEqual([bool(r.flags & idx.KEY) for r in records], [m.key for m in messages])
        self.assertEqual([bool(r.flags & idx.PICTURE) for r in records], [m.picture for m in messages])
        self.assertEqual([bool(r.flags & idx.SETS) for r in records], [not m.picture for m in messages])
        self.assertEqual([r.pts for r in records[1:]],
                         [(m.device_ms - messages[1].device_ms) * 90 for m in messages[1:]])
        self.assertEqual([(p.position, p.size) for p in media.packets(session.path('stream.mp4'))],
                         [(r.offset, r.size) for r in records[1:]])
        self.assertEqual(media.sync_samples(session.read('stream.mp4')),
                         [n for n, m in enumerate(messages[1:]) if m.key])
        arrivals = [r.arrival_us for r in records]
        self.assertEqual(arrivals, sorted(arrivals))

    def test_finished_in_place(self):
        """While recording a fragment per picture, each promising a second; then a plain MP4 around the same bytes."""
        messages = clips.made(2, gop=10).phone(clips.steady(60, 40))
        hub = self.start_hub()
        cam = self.camera(hub, 'inplace')
        cam.started()
        cam.send(messages)
        session = hub.wait_session('inplace')[0]
        self.wait_packets(session, 60)
        growing = session.read('stream.mp4')
        self.assertEqual(media.box_types(growing), ['ftyp', 'free', 'moov'] + ['moof', 'mdat'] * 60)
        self.assertTrue(all(ticks >= 90000 for ticks in media.promised_ticks(growing)), media.promised_ticks(growing))
        self.assertEqual(len(media.promised_ticks(growing)), 60)
        cam.stopped()
        hub.wait_finished()
        final = session.read('stream.mp4')
        self.assertEqual(media.box_types(final), ['ftyp', 'mdat', 'moov'])
        self.assert_same_bytes(final[48:len(growing)], growing[48:], 'what was recorded')
        self.assertEqual(media.sync_samples(final), [0, 10, 20, 30, 40, 50])
        self.assertAlmostEqual(media.duration(session.path('stream.mp4')), 60 * 0.040, places=3)

    def test_report(self):
        """session.json: camera, capabilities, files, counts, clock, frame rates."""
        messages = phone(4).phone(clips.steady(120, 40))
        hub = self.start_hub('--log-level', 'info')
        cam = self.camera(hub, 'reported')
        cam.record(messages, paced=20)
        session = hub.wait_finished()[0]
        report = session.report()
        self.assertEqual(report['camera']['name'], 'reported')
        self.assertEqual(report['camera']['device_model'], 'Pixel 7')
        self.assertRegex(report['camera']['address'], r'^127\.0\.0\.1')
        self.assertEqual(report['capabilities']['resolutions'][1]['lensFacing'], 'front')
        self.assertEqual(report['end_reason'], 'capture_stopped')
        self.assertRegex(report['started'], r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')
        files = {f['name']: f for f in report['files']}
        self.assertEqual(set(files) - {'frames.idx'}, {'stream.mp4', 'stream.h264'})
        mp4 = files['stream.mp4']
        self.assertEqual((mp4['kind'], mp4['frames'], mp4['width'], mp4['height'], mp4['damaged']),
                         ('mp4', 120, 320, 240, False))
        counts = report['counts']
        self.assertEqual((counts['messages'], counts['frames'], counts['key_frames'], counts['parameter_sets']),
                         (121, 120, 4, 1))
        self.assertEqual([counts[k] for k in ('missing', 'duplicates', 'reordered', 'sequence_restarts',
                                              'repaired', 'clock_jumps', 'before_first_key')], [0] * 7)
        self.assertEqual((report['missing'], report['gaps'], report['repairs']), ([], [], []))
        self.assertAlmostEqual(report['frame_rate']['device'], 120 / (119 * 0.040), places=2)
        self.assertEqual(report['frame_rate']['arrival'], 60)
        self.assertAlmostEqual(report['frame_rate']['estimate'], 60, places=2)
        self.assertIn('wall_minus_device', report['clock'])

    def test_thumbnail_of_a_cropped_picture(self):
        """300x168 shown, 304x176 coded: MP4 and thumbnail have the size that is shown."""
        clip = phone(1, size='300x168')
        hub = self.start_hub(thumbnails=True)
        cam = self.camera(hub, 'cropped')
        cam.record(clip.phone())
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assertEqual(media.picture_size(session.path('stream.mp4')), (300, 168))
        self.assertEqual(media.jpeg_size(session.read('thumbnail.jpg')), (300, 168))

    def test_without_h264(self):
        """--no-h264: everything but stream.h264."""
        messages = phone(2).phone()
        hub = self.start_hub('--no-h264')
        cam = self.camera(hub, 'plain')
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assertFalse(session.has('stream.h264'))
        self.assert_sound(session)
        self.assert_times(session, messages)

    def test_playable_while_recording(self):
        """At every moment the file is a valid fragmented MP4 with everything up to a second ago."""
        messages = phone(2).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'growing')
        cam.started()
        for count in (20, 40, 61):
            cam.send(messages[count - 20 if count < 61 else 40:count])
            session = hub.wait_session('growing')[0]
            self.wait_packets(session, count - 1)
        self.assertEqual(session.report()['state'], 'recording')
        self.assertIsNone(session.report()['verdict'])
        cam.stopped()
        self.assert_sound(hub.wait_finished()[0])

    def wait_packets(self, session, count):
        def there():
            if not session.has('stream.mp4'):
                return False
            report = media.mp4check(session.path('stream.mp4'), '--layout', 'frag', '--allow-tail', '--no-decode')
            return report['ok'] and report['packets'] == count
        wait_until(there, 3, '%d packets in the growing file' % count)

    def test_one_picture(self):
        """The shortest recording there is."""
        messages = phone(1).phone(count=1)
        hub = self.start_hub(thumbnails=True)
        cam = self.camera(hub, 'single')
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assertEqual(media.jpeg_size(session.read('thumbnail.jpg')), (320, 240))
        self.assertEqual(session.report()['frame_rate']['estimate'], 10)

    def test_no_picture(self):
        """A session without a frame ends like any other; its report says so."""
        hub = self.start_hub(thumbnails=True)
        cam = self.camera(hub, 'empty')
        cam.started()
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assertEqual(session.problems(), [])
        self.assertEqual(session.report()['counts']['frames'], 0)
        self.assertFalse(session.has('thumbnail.jpg'))
        self.assert_alive(hub)


class StreamShapes(HubTest):
    """What encoders other than the phone's send."""

    def record(self, messages, name='shape', verdict='complete'):
        hub = self.start_hub()
        cam = self.camera(hub, name)
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session, verdict)
        self.assert_times(session, messages)
        return session

    def test_sets_before_every_key_frame(self):
        clip = clips.made(2, gop=15, x264='')
        self.assertTrue(all(u.sets for u in clip.units if u.key))
        session = self.record(clip.whole())
        self.assertEqual(session.parts(), ['stream.mp4'])

    def test_delimiters_and_sei(self):
        clip = clips.made(1, x264='aud=1')
        self.assertTrue(all(u.nals[0].type == 9 for u in clip.units))
        self.record(clip.whole())

    def test_several_slices(self):
        clip = clips.made(1, x264='slices=4')
        self.assertTrue(all(len([n for n in u.nals if n.type in (1, 5)]) == 4 for u in clip.units))
        self.record(clip.whole())

    def test_three_byte_start_codes(self):
        clip = clips.made(1, x264='slices=4:aud=1')
        self.record([m._replace(payload=clips.three_byte_codes(m.payload)) for m in clip.whole()])

    def test_mixed_start_codes(self):
        """Each picture with another mixture; leading zeros too."""
        messages = []
        for number, message in enumerate(clips.made(1, x264='slices=3').whole()):
            payload = message.payload
            if number % 3 == 1:
                payload = clips.three_byte_codes(payload)
            elif number % 3 == 2:
                payload = b'\0\0\0' + payload
            messages.append(message._replace(payload=payload))
        self.record(messages)

    def test_trailing_zeros(self):
        """Zero bytes behind NAL units belong to none of them, and stay in stream.h264."""
        messages = [m._replace(payload=m.payload.replace(b'\0\0\0\1', b'\0\0\0\0\0\0\1') + bytes(n % 5))
                    for n, m in enumerate(clips.made(1, x264='slices=2').whole())]
        self.record(messages)

    def test_sets_in_one_message_with_the_first_picture(self):
        messages = phone(2).phone(sets=False)
        first = messages[0]
        messages[0] = first._replace(payload=phone(2).sets + first.payload)
        self.record(messages)

    def test_sets_in_two_messages(self):
        """SPS and PPS each in a buffer of its own."""
        clip = phone(1)
        sps, pps = (n.raw for n in clip.units[0].nals if n.type in (7, 8))
        pictures = clip.phone(sets=False, sequence=2)
        messages = [clips.Message(0, 0, sps, picture=False), clips.Message(0, 1, pps, picture=False), *pictures]
        session = self.record(messages)
        self.assertEqual(session.report()['counts']['parameter_sets'], 2)

    def test_sets_again_and_again(self):
        """The same sets as messages of their own before every key frame: one part, no picture more."""
        clip, messages = clips.made(3, gop=15), []
        for message in clip.phone(sets=False):
            if message.key:
                messages.append(clips.Message(0, 0, clip.sets, picture=False))
            messages.append(message)
        messages = [m._replace(sequence=n) for n, m in enumerate(messages)]
        session = self.record(messages)
        self.assertEqual(session.parts(), ['stream.mp4'])

    def test_main_profile_and_large_pictures(self):
        clip = clips.made(1, size='1280x720', profile='main', bitrate='8M', x264='bframes=0')
        self.record(clip.whole())


class ResolutionChange(HubTest):
    def test_second_part(self):
        """The SPS changes in mid-session: a second MP4 part, and stream.h264 goes on."""
        small = clips.made(1, size='320x240').phone()
        large = clips.made(1, size='480x640').phone(clips.steady(30, first=clips.BASE_MS + 1000), sequence=len(small))
        hub = self.start_hub(thumbnails=True)
        cam = self.camera(hub, 'turned')
        cam.record(small + large)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, small + large)
        self.assert_sound(session)
        self.assertEqual(session.parts(), ['stream.mp4', 'stream_2.mp4'])
        self.assert_times(session, small, part=1)
        self.assert_times(session, large, part=2)
        self.assertEqual(media.picture_size(session.path('stream.mp4')), (320, 240))
        self.assertEqual(media.picture_size(session.path('stream_2.mp4')), (480, 640))
        sizes = [(f['name'], f['width'], f['height']) for f in session.report()['files'] if f['kind'] == 'mp4']
        self.assertEqual(sizes, [('stream.mp4', 320, 240), ('stream_2.mp4', 480, 640)])
        pts = [r.pts for r in session.pictures()]
        self.assertEqual(pts[30], 90 * 1000, 'the second part goes on on the session\'s timeline')

    def test_back_and_forth(self):
        """Landscape, portrait, landscape, with sets in front of each key frame."""
        wide, tall = clips.made(1, size='320x240', rate=10), clips.made(1, size='240x320', rate=10)
        messages = []
        for clip in (wide, tall, wide):
            first = clips.BASE_MS + 500 * (len(messages) // 10)
            messages += clip.whole(clips.steady(10, 33, first), sequence=len(messages))
        hub = self.start_hub()
        cam = self.camera(hub, 'turning')
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        self.assertEqual(len(session.parts()), 3)
        self.assertEqual([len(media.picture_md5s(session.path(p))) for p in session.parts()], [10, 10, 10])


if __name__ == '__main__':
    unittest.main()
