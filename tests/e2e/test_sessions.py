"""When a session begins and ends, what it starts with, what it is called; who may come in."""
import os
import re
import socket
import unittest

import websockets

import clips
import idx
import media
from cases import HubTest, long, phone, weight

STAMP = r'_\d{8}_\d{6}(_\d+)?$'


class Beginning(HubTest):
    def test_video_before_capture_started(self):
        """The app attaches its encoder first: the session starts with what came before it."""
        messages = phone(1).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'early')
        cam.send(messages[:12])
        cam.started()
        cam.send(messages[12:])
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        self.assert_times(session, messages)

    def test_only_sets_before_capture_started(self):
        messages = phone(1).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'sets-first')
        cam.send(messages[:1])
        cam.started()
        cam.send(messages[1:])
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        self.assertEqual(len(session.pictures()), 30)

    def test_only_the_newest_group_before_capture_started(self):
        """Two key frames came early: the MP4 begins at the second, or the first, but at a key frame."""
        messages = clips.made(2, gop=15).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'groups')
        cam.send(messages[:40])
        cam.started()
        cam.send(messages[40:])
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assertEqual(session.pictures()[0].sequence, 31)
        whole = b''.join(m.payload for m in messages)
        tail = b''.join(m.payload for m in messages[31:])
        self.assertTrue(session.h264().endswith(tail))
        self.assertLessEqual(len(session.h264()), len(whole))
        self.assertEqual(len(media.picture_md5s(session.path('stream.h264'), '-f', 'h264')), 30)

    def test_frames_before_the_first_key_frame(self):
        """They are in stream.h264 only, and counted."""
        clip = phone(2)
        messages = clip.phone()
        late = messages[:1] + messages[20:]
        hub = self.start_hub()
        cam = self.camera(hub, 'midway')
        cam.record(late)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, late)
        self.assertEqual(session.problems(), [])
        self.assertEqual(session.report()['counts']['before_first_key'], 11)
        self.assertEqual(media.mp4check(session.path('stream.mp4'), '--layout', 'prog')['errors'], [])
        keyed = messages[31:]
        self.assert_times(session, keyed)
        flagged = [r.sequence for r in session.records() if r.flags & idx.BEFORE_KEY]
        self.assertEqual(flagged, list(range(20, 31)))

    def test_never_a_key_frame(self):
        """Only P frames: everything in stream.h264, no MP4 that would not play."""
        messages = phone(1).phone()[:1] + phone(1).phone()[5:]
        hub = self.start_hub(thumbnails=True)
        cam = self.camera(hub, 'keyless')
        cam.record(messages)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assertEqual(session.problems(), [])
        self.assertEqual(session.parts(), [])
        self.assertEqual(session.report()['counts']['before_first_key'], 26)

    def test_capture_started_twice(self):
        """The second ends the first session and begins another."""
        messages = phone(2).phone()
        first, second = messages[:31], messages[31:]
        hub = self.start_hub()
        cam = self.camera(hub, 'twice')
        cam.started()
        cam.send(first)
        cam.started()
        cam.send(second)
        cam.stopped()
        one, two = hub.wait_finished(2)
        self.assertEqual(one.report()['end_reason'], 'restarted')
        self.assertEqual(two.report()['end_reason'], 'capture_stopped')
        self.assert_payloads(one, first)
        self.assert_sound(one)
        self.assert_times(one, first)
        self.assert_sound(two)
        # The encoder's first buffers may have come before the text: the newest group may be in both.
        self.assertTrue(two.h264().endswith(b''.join(m.payload for m in second)))
        pictures = two.pictures()
        self.assertTrue(pictures[0].flags & idx.KEY)
        self.assert_times(two, [m for m in messages if m.sequence >= pictures[0].sequence])

    def test_second_session_without_new_sets(self):
        """The app does not repeat its sets: MP4 and stream.h264 of the second session play all the same."""
        messages = phone(3).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'again')
        cam.record(messages[:31])
        cam.record(messages[31:])
        one, two = hub.wait_finished(2)
        self.assert_sound(one)
        self.assert_sound(two)
        self.assert_payloads(one, messages[:31])
        self.assert_times(two, messages[31:])
        self.assertTrue(two.h264().endswith(b''.join(m.payload for m in messages[31:])))
        self.assertEqual(len(media.picture_md5s(two.path('stream.h264'), '-f', 'h264')), 60)

    def test_second_session_begins_in_mid_group(self):
        """Stop and start while the encoder runs on: what comes before the next key frame is marked as such."""
        messages = phone(2).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'midgroup')
        cam.record(messages[:21])
        cam.record(messages[21:])
        one, two = hub.wait_finished(2)
        self.assert_sound(one)
        self.assert_sound(two)
        self.assertTrue(two.h264().endswith(b''.join(m.payload for m in messages[21:])))
        self.assert_times(two, messages[31:])
        self.assertEqual([r.sequence for r in two.records() if r.flags & idx.BEFORE_KEY], list(range(21, 31)))
        self.assertEqual(two.report()['counts']['before_first_key'], 10)

    def test_second_session_with_a_clock_that_starts_over(self):
        """The times of one session are no matter of the next."""
        messages = phone(2).phone(clips.steady(60, 20))
        hub = self.start_hub()
        cam = self.camera(hub, 'anew')
        cam.record(messages)
        cam.record(messages)
        for session in hub.wait_finished(2):
            self.assert_sound(session)
            self.assert_times(session, messages)
            self.assertEqual(session.report()['counts']['repaired'], 0)

    def test_encoder_restarted_between_sessions(self):
        """Stop, other size, start, on one connection: no picture of the one in the other."""
        small, large = clips.made(1, size='320x240').phone(), clips.made(1, size='640x480').phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'resized')
        cam.record(small)
        cam.record(large)
        one, two = hub.wait_finished(2)
        self.assert_payloads(one, small)
        new = b''.join(m.payload for m in large)
        self.assertIn(two.h264(), (new, small[0].payload + new))  # the sets last known may stand in front
        for session in (one, two):
            self.assert_sound(session)
            self.assertEqual(session.parts(), ['stream.mp4'])
        self.assert_times(two, large)


class WithoutSession(HubTest):
    def test_one_warning_per_stretch(self):
        """Frames outside sessions are not recorded; one warning each time they begin."""
        messages = phone(1).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'idle')
        cam.send(messages)
        cam.settle()
        hub.wait_log(r'\[Warning\] idle')
        self.assertEqual(hub.sessions(), [])
        self.assertEqual(len(hub.matches(r'\[Warning\] idle')), 1)
        cam.record(phone(1).phone(clips.steady(30, first=clips.BASE_MS + 5000), sequence=31))
        cam.send(phone(1).phone(clips.steady(30, first=clips.BASE_MS + 9000), sequence=62))
        cam.settle()
        hub.wait_finished(1)
        self.assertEqual(len(hub.matches(r'\[Warning\] idle: ')), 2)

    def test_stopped_without_session(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'stopper')
        cam.stopped()
        cam.settle()
        self.assertEqual(hub.sessions(), [])
        self.assertTrue(cam.open())


class Ending(HubTest):
    def check_lost(self, lose, reason='disconnected'):
        messages = phone(1).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'lost')
        cam.started()
        cam.send(messages)
        cam.settle()
        lose(cam)
        session = hub.wait_finished()[0]
        self.assertEqual(session.report()['end_reason'], reason)
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        self.assert_times(session, messages)

    def test_close_frame(self):
        self.check_lost(lambda cam: cam.close())

    def test_connection_lost(self):
        self.check_lost(lambda cam: cam.abort())

    def test_frames_right_before_stop_are_in(self):
        """Nothing sent before capture_stopped is missing, nothing after it is in."""
        messages = phone(2).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'exact')
        cam.started()
        cam.send(messages[:40])
        cam.stopped()
        cam.send(messages[40:])
        cam.settle()
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages[:40])
        self.assert_sound(session)

    @long
    @weight(90)
    def test_silent_camera_is_given_up(self):
        """A camera that answers no ping is gone after 75 s; its session is finished."""
        hub = self.start_hub()
        peer = self.peer(hub)
        self.assertEqual(peer.upgrade('/android-cam/mute')[0], 101)
        peer.frame(1, b'{"status":"ready"}')
        peer.frame(1, b'{"status":"capture_started"}')
        for message in phone(1).phone():
            peer.frame(2, message.bytes())
        session = hub.wait_finished(timeout=100)[0]
        self.assertEqual(session.report()['end_reason'], 'disconnected')
        self.assert_sound(session)


class Several(HubTest):
    def test_two_sessions_in_one_second(self):
        """Distinct folders, never the same one."""
        messages = phone(1).phone(count=5)
        hub = self.start_hub()
        cam = self.camera(hub, 'quick')
        for _ in range(4):
            cam.record(messages)
        sessions = hub.wait_finished(4)
        for session in sessions:
            self.assertRegex(session.id, r'^quick' + STAMP)
            self.assertEqual(len(session.pictures()), 5)
            self.assertEqual(session.problems(), [])
            self.assertTrue(session.h264().endswith(b''.join(m.payload for m in messages)))

    @weight(6)
    def test_many_cameras_at_once(self):
        """Twenty cameras with a stream each: every one exact."""
        clip = phone(2)
        hub = self.start_hub()
        cams, sent = [], []
        for number in range(20):
            cam = self.camera(hub, 'room-%02d' % number)
            times = clips.irregular(60, seed=number, low=5, high=50)
            messages = clip.phone(times, sequence=number * 1000)
            cam.started()
            sent.append((cam.send_in_background(messages, paced=2), messages))
            cams.append(cam)
        for (future, _), cam in zip(sent, cams):
            future.result(30)
            cam.stopped()
        hub.wait_finished(20)
        for number, (_, messages) in enumerate(sent):
            session = hub.sessions('room-%02d_' % number)[0]
            self.assert_payloads(session, messages)
            self.assertEqual(session.problems(), [])
            self.assertEqual(session.verdict(), 'complete')
            self.assert_times(session, messages)

    def test_same_name_twice(self):
        """Two cameras of one name: two folders, and neither spoils the other's."""
        first, second = phone(1).phone(), clips.made(1, size='160x120').phone()
        hub = self.start_hub()
        one = self.camera(hub, 'door')
        one.started()
        one.send(first)
        one.settle()
        two = self.camera(hub, 'door')
        two.started()
        two.send(second)
        two.stopped()
        two.settle()
        one.close()
        sessions = hub.wait_finished(2)
        self.assertNotEqual(sessions[0].id, sessions[1].id)
        by_bytes = {len(s.h264()): s for s in sessions}
        for messages in (first, second):
            session = by_bytes[sum(len(m.payload) for m in messages)]
            self.assert_payloads(session, messages)
            self.assert_sound(session)


class Names(HubTest):
    def test_named(self):
        hub = self.start_hub()
        for name in ('a', 'Bench_left.2-x', 'x' * 64):
            with self.subTest(name=name):
                cam = self.camera(hub, name)
                cam.record(phone(1).phone(count=3))
                session = hub.wait_finished(1, prefix=name + '_')[0]
                self.assertRegex(session.id, '^' + re.escape(name) + STAMP)
                self.assertEqual(session.report()['camera']['name'], name)

    def test_unnamed(self):
        hub = self.start_hub()
        cam = self.camera(hub)
        port = cam.socket.local_address[1]
        cam.record(phone(1).phone(count=3))
        session = hub.wait_finished()[0]
        self.assertRegex(session.id, r'^127\.0\.0\.1_%d' % port + STAMP)

    def test_unnamed_over_ipv6(self):
        """Colons cannot stand in every file system's names."""
        try:
            socket.create_server(('::1', 0), family=socket.AF_INET6).close()
        except OSError:
            self.skipTest('no IPv6 here')
        hub = self.start_hub(host='::1')
        cam = self.camera(hub)
        port = cam.socket.local_address[1]
        cam.record(phone(1).phone(count=3))
        session = hub.wait_finished()[0]
        self.assertRegex(session.id, r'^--1_%d' % port + STAMP)
        self.assertEqual(hub.get('/recordings/%s/stream.mp4' % session.id)[0], 200)

    def test_folder_has_local_time(self):
        """In the zone of the hub's environment, not in UTC."""
        hub = self.start_hub(env={'TZ': 'Asia/Tokyo'})
        cam = self.camera(hub, 'tz')
        cam.record(phone(1).phone(count=3))
        session = hub.wait_finished()[0]
        stamp = session.id[len('tz_'):][:15]
        started = session.report()['started']
        hours = (int(stamp[9:11]) - int(started[11:13])) % 24
        self.assertEqual(hours, 9, '%s against %s' % (stamp, started))

    def test_bad_names(self):
        """What could not be part of a folder's name is refused with 1008."""
        hub = self.start_hub()
        for name in ('a%2Fb', '..', '%2e%2e', '.', 'x' * 65, 'a%20b', 'a%00b', '%C3%A4', 'a%0Ab', 'a/b', '%2e%2e%2fx'):
            with self.subTest(name=name):
                peer = self.peer(hub)
                status = peer.upgrade('/android-cam/' + name)[0]
                if status == 101:
                    self.assertEqual(peer.close_code(), 1008)
                else:
                    self.assertIn(status, (400, 404))
        made = [n for n in os.listdir(self.root) if not n.startswith('hub-') and n != 'recordings']
        self.assertEqual(made, [], 'outside of the recordings folder')
        self.assertEqual(hub.sessions(), [])

    def test_name_in_other_letters_of_the_path(self):
        """Percent-encoding of plain letters names the same camera."""
        hub = self.start_hub()
        cam = self.camera(hub, path='/android-cam/%62ench')
        cam.record(phone(1).phone(count=3))
        self.assertRegex(hub.wait_finished()[0].id, r'^bench' + STAMP)

    def test_query_is_ignored(self):
        hub = self.start_hub()
        cam = self.camera(hub, path='/android-cam/bench?token=x')
        cam.record(phone(1).phone(count=3))
        self.assertRegex(hub.wait_finished()[0].id, r'^bench' + STAMP)


class Endpoints(HubTest):
    def test_unknown_path(self):
        hub = self.start_hub()
        for path in ('/nothing', '/android-camera', '/android-cam2/x', '/live'):
            with self.subTest(path=path):
                cam = self.camera(hub, path=path, ready=False)
                self.assertEqual(cam.wait_closed(), (1008, 'Unknown endpoint'))

    def test_oldest_client(self):
        """`/`: plain text or JSON lines with random numbers; logged, nothing else."""
        hub = self.start_hub()
        cam = self.camera(hub, path='/', ready=False)
        cam.text('17.25')
        cam.text('{"value": 42}')
        cam.text('Hello')
        cam.settle()
        self.assertTrue(cam.open())
        self.assertTrue(hub.matches('17.25'))
        cam.close()
        self.assert_alive(hub)
        self.assertEqual(len(hub.sessions()), 1)

    def test_unknown_texts_are_logged(self):
        """Text of any kind never closes the connection, and cannot forge a line of the log."""
        hub = self.start_hub()
        cam = self.camera(hub, 'talker')
        for text in ('hello', '[]', '42', 'null', '"x"', '{}', '{"status":7}', '{"status":"odd"}', '{"type":[]}', '',
                     'first\n2026-01-01 00:00:00.000 [Error] forged', '{"type":"capabilities"}', '{"status":null}',
                     '{"status":"capture_started","message":{}}', '{"status":"capture_stopped","message":[1]}'):
            cam.text(text)
        cam.text({'status': 'error', 'message': 'Camera in use by another app'})
        cam.settle()
        self.assertTrue(cam.open())
        hub.wait_log('Camera in use by another app')
        self.assertTrue(hub.matches('hello'))
        self.assertEqual(hub.matches(r'^2026-01-01'), [])
        self.assert_alive(hub)

    def test_binary_text_mix(self):
        """Control texts between the frames of a session change nothing."""
        messages = phone(1).phone()
        hub = self.start_hub()
        cam = self.camera(hub, 'mixed')
        cam.started()
        for number, message in enumerate(messages):
            cam.send([message])
            if number % 3 == 0:
                cam.text({'status': 'ready'})
                cam.capabilities()
        cam.stopped()
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)


class Origins(HubTest):
    def test_other_site_is_refused(self):
        hub = self.start_hub()
        for origin in ('http://evil.example', 'https://127.0.0.1.evil.example', 'null',
                       'http://127.0.0.1:%d' % (hub.port + 1), 'http://127.0.0.1', 'file://', 'garbage'):
            with self.subTest(origin=origin):
                with self.assertRaises(websockets.InvalidStatusCode) as caught:
                    self.camera(hub, 'x', ready=False, origin=origin)
                self.assertEqual(caught.exception.status_code, 403)

    def test_own_pages_and_cameras_come_in(self):
        hub = self.start_hub()
        for origin in ('http://127.0.0.1:%d' % hub.port, None):
            with self.subTest(origin=origin):
                cam = self.camera(hub, 'own', ready=False, origin=origin)
                cam.settle()
                self.assertTrue(cam.open())

    def test_own_page_under_another_name_of_the_hub(self):
        """Same origin is what the Host field says, whatever name the hub goes by."""
        hub = self.start_hub()
        peer = self.peer(hub)
        peer.send(b'GET /android-cam/n HTTP/1.1\r\nHost: hub.local:50001\r\nOrigin: http://HUB.local:50001\r\n'
                  b'Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n'
                  b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
        status, fields, _ = peer.response()
        self.assertEqual((status, fields.get('sec-websocket-accept')), (101, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='))


if __name__ == '__main__':
    unittest.main()
