"""Malformed messages, the corners of WebSocket framing, half-dead sockets: each hurts only itself."""
import random
import socket
import time
import unittest

import clips
import processes
import wire
from cases import HubTest, phone, weight
from hub import wait_until


class BadMessages(HubTest):
    def test_short_and_mis_sized(self):
        """Dropped with an error line each; the connection and the session stay."""
        messages = phone(1).phone()
        good = messages[3].bytes()
        hub = self.start_hub()
        cam = self.camera(hub, 'sloppy')
        cam.started()
        cam.send(messages[:20])
        bad = [b'', b'x', bytes(15), good[:-1], good + b'\0', good[:16], good[:12] + b'\xff\xff\xff\xff' + good[16:]]
        for data in bad:
            cam.binary(data)
        cam.send(messages[20:])
        cam.stopped()
        cam.settle()
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        self.assert_times(session, messages)
        self.assertEqual(len(hub.matches(r'\[Error\] sloppy')), len(bad))

    def test_empty_payload(self):
        """A header that announces nothing, and nothing: no crash, no picture."""
        messages = phone(1).phone()
        empty = [clips.Message(clips.BASE_MS + 1, 500 + n, b'', picture=False) for n in range(3)]
        hub = self.start_hub()
        cam = self.camera(hub, 'hollow')
        cam.record(messages + empty)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assertEqual(session.problems(), [])
        self.assertEqual(len(session.pictures()), 30)

    def test_message_limit(self):
        """At the limit accepted, above it 1009, and the session ends well."""
        messages = phone(1).phone()
        padded = messages[5]._replace(payload=messages[5].payload + bytes(200000 - 16 - len(messages[5].payload)))
        hub = self.start_hub('--max-message', '200000')
        cam = self.camera(hub, 'large')
        cam.started()
        cam.send(messages[:5] + [padded] + messages[6:])
        cam.settle()
        cam.binary(padded.bytes() + b'\0')
        self.assertEqual(cam.wait_closed()[0], 1009)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages[:5] + [padded] + messages[6:])
        self.assert_sound(session)
        self.assert_alive(hub)

    def test_default_limit_is_16_mib(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'huge')
        payload = b'\0\0\0\1\x0c' + b'\xff' * ((16 << 20) - 16 - 5)
        cam.binary(clips.Message(1, 1, payload).bytes())
        cam.settle()
        self.assertTrue(cam.open())
        cam.binary(clips.Message(1, 2, payload + b'\xff').bytes())
        self.assertEqual(cam.wait_closed()[0], 1009)

    def test_limit_counts_whole_messages(self):
        """Fragments do not slip past it one by one."""
        hub = self.start_hub('--max-message', '100000')
        cam = self.camera(hub, 'sliced')
        try:
            cam.binary([bytes(30000)] * 4)
        except Exception:
            pass  # closed while still sending
        self.assertEqual(cam.wait_closed()[0], 1009)

    def test_announced_length_is_not_believed(self):
        """2^62 bytes announced: 1009 at once, and no memory for them."""
        hub = self.start_hub()
        before = processes.resident_bytes(hub.pid)
        for length in (1 << 62, 1 << 40, (16 << 20) + 1):
            peer = self.peer(hub)
            peer.upgrade('/android-cam/big')
            peer.frame(wire.BINARY, b'start', length=length)
            self.assertEqual(peer.close_code(), 1009)
        self.assertLess(processes.resident_bytes(hub.pid) - before, 32 << 20)

    def test_many_announced_lengths(self):
        """Fifty connections announce 16 MiB each and send a byte: memory is not given away for a promise."""
        hub = self.start_hub()
        before = processes.resident_bytes(hub.pid)
        peers = [self.peer(hub) for _ in range(50)]
        for peer in peers:
            peer.upgrade('/android-cam/p')
            peer.frame(wire.BINARY, b'x' * 100, length=16 << 20)
        time.sleep(0.3)
        self.assertLess(processes.resident_bytes(hub.pid) - before, 100 << 20)
        self.assert_alive(hub)


class Exhausted(HubTest):
    @weight(3)
    def test_no_more_descriptors(self):
        """With every descriptor in use the hub neither spins nor falls; who leaves makes room."""
        hub = self.start_hub(open_files=48)
        cam = self.camera(hub, 'first')
        cam.started()
        messages = phone(1).phone()
        cam.send(messages[:15])
        cam.settle()
        hub.wait_session('first')
        peers = []
        for _ in range(80):
            peers.append(self.peer(hub))
        time.sleep(0.3)
        before = processes.cpu_seconds(hub.pid)
        time.sleep(1)
        self.assertLess(processes.cpu_seconds(hub.pid) - before, 0.4, 'CPU seconds in a second of waiting')
        cam.send(messages[15:])
        cam.stopped()
        cam.settle()
        for peer in peers:
            peer.close()
        self.assert_alive(hub)
        session = hub.wait_finished(1, prefix='first')[0]
        self.assert_payloads(session, messages)


class Texts(HubTest):
    def test_json_bombs(self):
        """Deep, wide and endless JSON: logged, and that is all."""
        hub = self.start_hub()
        cam = self.camera(hub, 'bomber')
        million = 1_000_000
        for text in ('[' * million, '{"a":' * (million // 5), '[' * 500_000 + ']' * 500_000,
                     '{"status":' + '[' * 400_000 + ']' * 400_000 + '}', '"' + 'x' * million,
                     '{"status":"' + '\\u0000' * 150_000 + '"}', '1' * million, '[' + '1e308,' * 160_000 + '1]',
                     '{' + ','.join('"k%d":1' % n for n in range(90_000)) + '}', '{"status":"capture_started"' * 1000):
            cam.text(text)
        cam.settle()
        self.assertTrue(cam.open())
        self.assertLess(len(hub.log_text()), 200_000, 'the log is not flooded')
        self.assertEqual(hub.sessions(), [])
        self.assert_alive(hub)

    def test_capabilities_of_any_size(self):
        """Large but valid capabilities are stored; deeper than 32 levels they are just text."""
        hub = self.start_hub()
        cam = self.camera(hub, 'able', ready=False)
        cam.text({'type': 'capabilities', 'deviceModel': 'M' * 5000, 'sdkInt': 2 ** 40,
                  'resolutions': [{'width': n, 'height': n} for n in range(2000)]})
        cam.record(phone(1).phone(count=3))
        session = hub.wait_finished(1)[0]
        self.assertEqual(len(session.report()['capabilities']['resolutions']), 2000)
        deep = '[' * 40 + ']' * 40
        cam.text('{"type":"capabilities","deviceModel":"deep","x":%s}' % deep)
        cam.record(phone(1).phone(count=3))
        report = hub.wait_finished(2)[1].report()
        self.assertNotEqual(report['camera']['device_model'], 'deep')

    def test_text_above_its_limit(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'wordy')
        cam.text('x' * ((1 << 20) + 1))
        self.assertEqual(cam.wait_closed()[0], 1009)
        self.assert_alive(hub)

    def test_text_that_is_not_utf8(self):
        """RFC 6455 8.1: 1007."""
        hub = self.start_hub()
        for data in (b'\xff\xfe', b'\xc0\x80', b'\xed\xa0\x80', b'ok \xf4\x90\x80\x80', b'cut \xe2\x82'):
            with self.subTest(data=data):
                peer = self.peer(hub)
                peer.upgrade('/android-cam/u')
                peer.frame(wire.TEXT, data)
                self.assertEqual(peer.close_code(), 1007)


class Framing(HubTest):
    """RFC 6455 section 5, from a bare socket."""

    def open(self, hub, name='raw'):
        peer = self.peer(hub)
        status, fields, _ = peer.upgrade('/android-cam/' + name)
        self.assertEqual(status, 101)
        self.assertNotIn('sec-websocket-extensions', fields)
        return peer

    def test_fragments_with_pings_between(self):
        """Messages in pieces of any size, control frames in between: the same bytes on disk."""
        dice = random.Random(5)
        messages = phone(2).phone()
        hub = self.start_hub()
        peer = self.open(hub, 'pieces')
        peer.frame(wire.TEXT, b'{"status":"ready"}')
        peer.frame(wire.TEXT, b'{"status":"capt', fin=False)
        peer.frame(wire.PING, b'between')
        peer.frame(0, b'', fin=False)
        peer.frame(0, b'ure_started"}')
        pings = 1
        for message in messages:
            data, opcode = message.bytes(), wire.BINARY
            while data:
                size = dice.choice((0, 1, 2, 15, 16, 17, 125, 126, 4000, 65536))
                peer.frame(opcode, data[:size], fin=size >= len(data))
                data, opcode = data[size:], 0
                if dice.random() < 0.2:
                    peer.frame(wire.PING, b'p%d' % pings)
                    pings += 1
        peer.frame(wire.TEXT, b'{"status":"capture_stopped"}')
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)
        self.assert_sound(session)
        self.assert_times(session, messages)
        for _ in range(pings):
            self.assertEqual(peer.next_frame()[0], wire.PONG)

    def test_byte_by_byte(self):
        """A handshake and messages that arrive one byte per segment."""
        messages = phone(1, size='64x48', bitrate='20k').phone(count=2)
        hub = self.start_hub()
        peer = self.peer(hub)
        request = ('GET /android-cam/drip HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                   'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n').encode()
        stream = wire.frame(wire.TEXT, b'{"status":"capture_started"}')
        stream += b''.join(wire.frame(wire.BINARY, m.bytes()) for m in messages)
        stream += wire.frame(wire.TEXT, b'{"status":"capture_stopped"}')
        for at in range(len(request)):
            peer.send(request[at:at + 1])
            time.sleep(0.0002)
        self.assertEqual(peer.response()[0], 101)
        for at in range(len(stream)):
            peer.send(stream[at:at + 1])
            if at % 8 == 0:
                time.sleep(0.0002)
        session = hub.wait_finished()[0]
        self.assert_payloads(session, messages)

    def test_frames_behind_the_request_in_one_segment(self):
        """An impatient client sends its first frames with the handshake."""
        messages = phone(1).phone(count=5)
        hub = self.start_hub()
        peer = self.peer(hub)
        peer.send(b'GET /android-cam/eager HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                  b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
                  + wire.frame(wire.TEXT, b'{"status":"capture_started"}')
                  + b''.join(wire.frame(wire.BINARY, m.bytes()) for m in messages)
                  + wire.frame(wire.TEXT, b'{"status":"capture_stopped"}'))
        self.assertEqual(peer.response()[0], 101)
        self.assert_payloads(hub.wait_finished()[0], messages)

    def test_faults(self):
        """Each breach has its close code."""
        hub = self.start_hub()
        faults = {
            'unmasked': (lambda p: p.frame(wire.BINARY, b'x' * 20, masked=False), 1002),
            'reserved bit': (lambda p: p.frame(wire.BINARY, b'x' * 20, rsv=4), 1002),
            'opcode 3': (lambda p: p.frame(3, b'x'), 1002),
            'opcode 11': (lambda p: p.frame(11, b'x'), 1002),
            'continuation of nothing': (lambda p: p.frame(0, b'x'), 1002),
            'message in a message': (lambda p: (p.frame(2, b'x', fin=False), p.frame(2, b'x')), 1002),
            'fragmented ping': (lambda p: p.frame(wire.PING, b'x', fin=False), 1002),
            'long ping': (lambda p: p.frame(wire.PING, b'x' * 126), 1002),
            'close of one byte': (lambda p: p.frame(wire.CLOSE, b'x'), 1002),
            'close code 1005': (lambda p: p.frame(wire.CLOSE, b'\x03\xed'), 1002),
            'close code 999': (lambda p: p.frame(wire.CLOSE, b'\x03\xe7'), 1002),
            'close reason not UTF-8': (lambda p: p.frame(wire.CLOSE, b'\x03\xe8\xff'), 1007),
            'length not shortest': (lambda p: p.send(b'\x82\xfe\0\x05' + bytes(9)), 1002),
            'length with top bit': (lambda p: p.send(b'\x82\xff\xff' + bytes(20)), 1002),
            'plain close': (lambda p: p.frame(wire.CLOSE, b'\x03\xe8bye'), 1000),
            'empty close': (lambda p: p.frame(wire.CLOSE), 1005),
        }
        for name, (act, code) in faults.items():
            with self.subTest(name=name):
                peer = self.open(hub)
                act(peer)
                got = peer.close_code()
                self.assertIn(got, (code, 1000) if code == 1005 else (code,))
        self.assert_alive(hub)

    def test_bad_handshakes(self):
        hub = self.start_hub()
        base = {'Host': 'x', 'Upgrade': 'websocket', 'Connection': 'Upgrade',
                'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13'}
        cases = {'no key': ({'Sec-WebSocket-Key': None}, (400,)), 'short key': ({'Sec-WebSocket-Key': 'YQ=='}, (400,)),
                 'version 8': ({'Sec-WebSocket-Version': '8'}, (400, 426)),
                 'no version': ({'Sec-WebSocket-Version': None}, (400, 426)),
                 'no connection': ({'Connection': None}, (400, 404, 426))}
        for name, (change, statuses) in cases.items():
            with self.subTest(name=name):
                fields = {k: v for k, v in {**base, **change}.items() if v is not None}
                peer = self.peer(hub)
                peer.send(('GET /android-cam HTTP/1.1\r\n' + ''.join(
                    '%s: %s\r\n' % f for f in fields.items()) + '\r\n').encode())
                self.assertIn(peer.response()[0], statuses)

    def test_post_is_no_handshake(self):
        hub = self.start_hub()
        peer = self.peer(hub)
        peer.send(b'POST /android-cam HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                  b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
                  b'Content-Length: 0\r\n\r\n')
        self.assertIn(peer.response()[0], (400, 404, 405))


class HalfDead(HubTest):
    """Sockets in every stage of dying, while another camera records."""

    def setUp(self):
        super().setUp()
        self.hub = self.start_hub()
        self.witness = self.camera(self.hub, 'witness')
        self.witness.started()
        self.messages = phone(2).phone(clips.steady(60, 33))
        self.sending = self.witness.send_in_background(self.messages, paced=1.5)

    def check_witness(self):
        """The other camera lost nothing."""
        self.sending.result(30)
        self.witness.stopped()
        session = self.hub.wait_finished(1, prefix='witness')[0]
        self.assert_payloads(session, self.messages)
        self.assert_sound(session)
        self.assert_times(session, self.messages)

    def recording_peer(self, name, count=10):
        peer = self.peer(self.hub)
        peer.upgrade('/android-cam/' + name)
        peer.frame(wire.TEXT, b'{"status":"capture_started"}')
        for message in self.messages[:count]:
            peer.frame(wire.BINARY, message.bytes())
        return peer

    def check_ended(self, name, count):
        session = self.hub.wait_finished(1, prefix=name + '_')[0]
        self.assert_payloads(session, self.messages[:count])
        self.assert_sound(session)
        self.assertEqual(session.report()['end_reason'], 'disconnected')

    def test_vanishing_in_mid_message(self):
        """By FIN and by RST, inside a head, inside a payload."""
        whole = wire.frame(wire.BINARY, self.messages[10].bytes())
        number = 0
        for end in ('close', 'reset'):
            for cut in (1, 3, 8, 20, len(whole) // 2, len(whole) - 1):
                peer = self.recording_peer('gone%d' % number)
                peer.send(whole[:cut])
                if end == 'reset':
                    time.sleep(0.05)
                getattr(peer, end)()
                number += 1
        self.check_witness()
        for n in range(number):
            session = self.hub.wait_finished(1, prefix='gone%d_' % n)[0]
            self.assertEqual(session.problems(), [])
            self.assert_same_bytes(session.h264(), b''.join(m.payload for m in self.messages[:len(session.records())]),
                                   session.id)
            if n < number // 2:
                self.assertEqual(len(session.records()), 10)

    def test_half_closed(self):
        """FIN from the camera while the hub may still write: the session ends, the socket goes."""
        peer = self.recording_peer('half')
        peer.shut_down()
        self.check_ended('half', 10)
        peer.closed()
        self.check_witness()

    def test_never_reads(self):
        """A camera that sends pings and reads no pong: memory stays bounded, others go on."""
        peer = self.recording_peer('deaf')
        before = processes.resident_bytes(self.hub.pid)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.socket.settimeout(3)
        ping = wire.frame(wire.PING, b'x' * 125) * 500
        try:
            for _ in range(300):
                peer.send(ping)
        except OSError:
            pass
        self.assertLess(processes.resident_bytes(self.hub.pid) - before, 24 << 20)
        self.check_witness()

    def test_garbage_before_http(self):
        hub = self.hub
        dice = random.Random(9)
        for data in (b'\0' * 5000, bytes(dice.randrange(256) for _ in range(20000)), b'\x16\x03\x01\x02\x00\x01\x00',
                     b'GET\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n', b'\r\n' * 5000, b'A' * 200000,
                     b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
                     b'GET / HTTP/1.1\r\n' + b'X: y\r\n' * 5000 + b'\r\n',
                     b'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
                     b'GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n',
                     b'GET / HTTP/1.1\nHost: x\n\n', b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', wire.frame(2, b'x' * 100)):
            with self.subTest(data=data[:40]):
                peer = self.peer(hub)
                try:
                    peer.send(data)
                    peer.shut_down()
                except OSError:
                    pass  # refused in the middle of it
                answer = peer.closed()
                self.assertTrue(answer == b'' or answer.startswith((b'HTTP/1.1 4', b'HTTP/1.1 5')), answer[:60])
        self.check_witness()

    @weight(14)
    def test_slow_loris(self):
        """Heads that never end: closed by the handshake limit of 10 s; meanwhile all others are served."""
        peers = [self.peer(self.hub) for _ in range(100)]
        for number, peer in enumerate(peers):
            peer.send(b'GET / HTTP/1.1\r\n' if number % 2 else b'')
        begin = time.monotonic()
        while time.monotonic() - begin < 5:
            for peer in peers[1::2]:
                peer.send(b'X-%d: y\r\n' % random.randrange(100))
            time.sleep(0.5)
        self.check_witness()
        self.assertTrue(self.hub.alive())
        for peer in peers:
            peer.socket.settimeout(max(0.1, begin + 13 - time.monotonic()))
            peer.closed()

    def test_descriptors_are_given_back(self):
        """A thousand short connections of all kinds leave none open."""
        base = processes.open_files(self.hub.pid)
        for number in range(250):
            a, b, c, d = (wire.Peer(self.hub) for _ in range(4))
            a.reset()
            b.upgrade('/android-cam/fd')
            b.close() if number % 2 else b.reset()
            c.send(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
            c.response()
            c.close()
            d.send(b'GET /hea')
            d.close()
        self.check_witness()
        wait_until(lambda: processes.open_files(self.hub.pid) <= base, 8,
                   lambda: '%d descriptors, %d before' % (processes.open_files(self.hub.pid), base))


if __name__ == '__main__':
    unittest.main()
