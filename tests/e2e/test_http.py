"""The files of a session over HTTP: whole, in ranges, and nothing else."""
import json
import os
import unittest

import media
from cases import HubTest, phone
from hub import wait_until


class Files(HubTest):
    def setUp(self):
        super().setUp()
        self.hub = self.start_hub()
        cam = self.camera(self.hub, 'web')
        cam.record(phone(1).phone())
        self.session = self.hub.wait_finished()[0]
        self.path = '/recordings/%s/stream.mp4' % self.session.id
        self.data = self.session.read('stream.mp4')

    def get(self, headers=None, path=None, method='GET'):
        return self.hub.get(path or self.path, method, headers)

    def test_whole_files(self):
        types = {'stream.mp4': 'video/mp4', 'session.json': 'application/json', 'stream.h264': None, 'frames.idx': None}
        for name, kind in types.items():
            with self.subTest(name=name):
                status, fields, body = self.get(path='/recordings/%s/%s' % (self.session.id, name))
                self.assertEqual(status, 200)
                self.assert_same_bytes(body, self.session.read(name), name)
                self.assertEqual(fields['accept-ranges'], 'bytes')
                if kind:
                    self.assertTrue(fields['content-type'].startswith(kind), fields['content-type'])

    def test_head(self):
        status, fields, body = self.get(method='HEAD')
        self.assertEqual((status, int(fields['content-length']), body), (200, len(self.data), b''))

    def test_ranges(self):
        """206 with exactly those bytes, and where they lie."""
        size = len(self.data)
        for value, first, last in (('bytes=0-0', 0, 0), ('bytes=0-99', 0, 99), ('bytes=100-', 100, size - 1),
                                   ('bytes=-50', size - 50, size - 1), ('bytes=%d-' % (size - 1), size - 1, size - 1),
                                   ('bytes=10-%d' % (size * 2), 10, size - 1), ('bytes=-%d' % (size * 2), 0, size - 1),
                                   ('bytes=0-', 0, size - 1), ('BYTES=5-6', 5, 6),
                                   ('bytes=5-99999999999999999', 5, size - 1)):
            with self.subTest(value=value):
                status, fields, body = self.get({'Range': value})
                self.assertEqual(status, 206)
                self.assertEqual(fields['content-range'], 'bytes %d-%d/%d' % (first, last, size))
                self.assert_same_bytes(body, self.data[first:last + 1], value)

    def test_head_with_range(self):
        status, fields, body = self.get({'Range': 'bytes=0-99'}, method='HEAD')
        self.assertIn((status, fields['content-length']), ((206, '100'), (200, str(len(self.data)))))
        self.assertEqual(body, b'')

    def test_unsatisfiable(self):
        for value in ('bytes=%d-' % len(self.data), 'bytes=99999999-', 'bytes=-0'):
            with self.subTest(value=value):
                status, fields, _ = self.get({'Range': value})
                self.assertEqual(status, 416)
                self.assertEqual(fields['content-range'], 'bytes */%d' % len(self.data))

    def test_nonsense_ranges_are_ignored(self):
        for value in ('bytes', 'bytes=', 'bytes=a-b', 'bytes=5-2', 'bytes=--5', 'lines=1-2', 'bytes=1-2-3',
                      'bytes=0x1-5', 'bytes=-', 'bytes=1-2,x', '0-5'):
            with self.subTest(value=value):
                status, _, body = self.get({'Range': value})
                self.assertEqual((status, len(body)), (200, len(self.data)))

    def test_several_ranges(self):
        status, _, body = self.get({'Range': 'bytes=0-5,10-15'})
        self.assertEqual((status, len(body)), (200, len(self.data)))

    def test_large_file(self):
        """More than any socket buffer; read slowly at first."""
        big = os.urandom(1 << 20) * 24
        with open(self.session.path('stream_9.mp4'), 'wb') as file:
            file.write(big)
        peer = self.peer(self.hub)
        peer.send(b'GET /recordings/%s/stream_9.mp4 HTTP/1.1\r\nHost: x\r\n\r\n' % self.session.id.encode())
        status, fields, body = peer.response()
        if status == 404:
            self.skipTest('the hub gives out files of the report only')
        self.assertEqual((status, int(fields['content-length'])), (200, len(big)))
        self.assert_same_bytes(body, big, 'body')

    def test_reader_that_stops(self):
        """A download that nobody reads does not hinder others."""
        for _ in range(5):
            peer = self.peer(self.hub)
            for _ in range(50):
                peer.send(b'GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % self.path.encode())
        self.assert_alive(self.hub)

    def test_ffprobe_reads_and_seeks_over_http(self):
        url = 'http://127.0.0.1:%d%s' % (self.hub.port, self.path)
        self.assertEqual(len(media.packets(url)), 30)
        md5s = media.picture_md5s(url, '-ss', '0.1')
        self.assertTrue(0 < len(md5s) <= 30)

    def test_while_recording(self):
        """The file of a running session, as far as it is."""
        cam = self.camera(self.hub, 'running')
        cam.started()
        cam.send(phone(1).phone())
        cam.settle()
        session = self.hub.wait_session('running')[0]
        wait_until(lambda: session.has('stream.mp4') and os.path.getsize(session.path('stream.mp4')) > 10000, 5)
        status, _, body = self.get(path='/recordings/%s/stream.mp4' % session.id)
        self.assertEqual(status, 200)
        self.assertTrue(session.read('stream.mp4').startswith(body))
        self.assertGreater(len(body), 10000)


class Refused(HubTest):
    def setUp(self):
        super().setUp()
        self.hub = self.start_hub()
        cam = self.camera(self.hub, 'web')
        cam.record(phone(1).phone(count=3))
        self.session = self.hub.wait_finished()[0]
        with open(os.path.join(self.root, 'secret'), 'w') as file:
            file.write('secret')
        with open(os.path.join(self.hub.recordings, 'top-secret'), 'w') as file:
            file.write('secret')

    def raw(self, target, method='GET', extra=''):
        peer = self.peer(self.hub)
        request = '%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n' % (method, target, extra)
        peer.send(request.encode('latin1'))
        return peer.response(head_only=method == 'HEAD')

    def assert_json_error(self, answer, *statuses):
        status, fields, body = answer
        self.assertIn(status, statuses)
        error = json.loads(body)['error']
        self.assertEqual(set(error), {'code', 'message'})
        self.assertTrue(fields['content-type'].startswith('application/json'))

    def test_ways_out_of_the_folder(self):
        sid = self.session.id
        for target in ('/recordings/../secret', '/recordings/%s/../../secret' % sid, '/recordings/%2e%2e/secret',
                       '/recordings/%s/%%2e%%2e/%%2e%%2e/secret' % sid, '/recordings/%s/..%%2f..%%2fsecret' % sid,
                       '/recordings/..%2fsecret', '/recordings//etc/passwd', '/recordings/%2fetc%2fpasswd',
                       '/recordings/%s//etc/passwd' % sid, '/recordings/./%s/../../secret' % sid,
                       '/recordings/top-secret',
                       '/recordings/../recordings/%s/stream.mp4' % sid, '/recordings/.', '/recordings/..',
                       '/recordings/%s/.' % sid, '/recordings/%s/..' % sid, '/recordings/%s/%%00' % sid,
                       '/recordings/%s/stream.mp4%%00.jpg' % sid, '/recordings/%s/stream.mp4/' % sid,
                       '/recordings/%s\\..\\..\\secret' % sid, '/recordings/.%%2e/secret'):
            with self.subTest(target=target):
                status, _, body = self.raw(target)
                self.assertIn(status, (400, 404))
                self.assertNotIn(b'secret"' if b'"' in body else b'secret', body.replace(target.encode(), b''))

    def test_links_out_of_the_folder(self):
        """A link to a file elsewhere, and a session folder that is one, are not followed."""
        os.symlink(os.path.join(self.root, 'secret'), self.session.path('link.mp4'))
        os.symlink(os.path.join(self.root, 'secret'), self.session.path('stream_2.mp4'))
        os.makedirs(os.path.join(self.root, 'elsewhere'))
        with open(os.path.join(self.root, 'elsewhere', 'stream.mp4'), 'w') as file:
            file.write('secret')
        os.symlink(os.path.join(self.root, 'elsewhere'), os.path.join(self.hub.recordings, 'linked_20260101_000000'))
        for target in ('/recordings/%s/link.mp4' % self.session.id, '/recordings/%s/stream_2.mp4' % self.session.id,
                       '/recordings/linked_20260101_000000/stream.mp4'):
            with self.subTest(target=target):
                self.assert_json_error(self.raw(target), 404)

    def test_special_files(self):
        """A pipe in the folder must not block the hub."""
        os.mkfifo(self.session.path('stream_3.mp4'))
        self.assertEqual(self.raw('/recordings/%s/stream_3.mp4' % self.session.id)[0], 404)
        self.assertTrue(self.hub.alive())

    def test_unknown(self):
        for target in ('/recordings/nothing_20260101_000000/stream.mp4', '/recordings/%s/nothing' % self.session.id,
                       '/recordings/%s' % self.session.id, '/recordings/%s/' % self.session.id, '/nothing',
                       '/recordings', '/recordings/', '/recordings/%s/sub/stream.mp4' % self.session.id):
            with self.subTest(target=target):
                self.assert_json_error(self.raw(target), 404)

    def test_wrong_methods(self):
        target = '/recordings/%s/stream.mp4' % self.session.id
        for method in ('POST', 'PUT', 'DELETE', 'PATCH'):
            with self.subTest(method=method):
                answer = self.raw(target, method, 'Content-Length: 0\r\n')
                self.assert_json_error(answer, 405)
                self.assertIn('GET', answer[1].get('allow', ''))
        self.assertTrue(self.session.has('stream.mp4'))

    def test_method_nobody_knows(self):
        self.assertIn(self.raw('/healthz', 'BREW')[0], (400, 405, 501))

    def test_no_escape_in_names(self):
        self.assertIn(self.raw('/recordings/%zz/stream.mp4')[0], (400, 404))


class Connections(HubTest):
    def test_healthz(self):
        hub = self.start_hub()
        for method in ('GET', 'HEAD'):
            self.assertEqual(hub.get('/healthz', method)[0], 200)

    def test_keep_alive(self):
        """Many requests over one connection, bodies of other answers in between."""
        hub = self.start_hub()
        peer = self.peer(hub)
        for number in range(20):
            peer.send(b'GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % (b'/healthz', b'/nothing')[number % 2])
            self.assertEqual(peer.response()[0], (200, 404)[number % 2])

    def test_pipelining(self):
        """Requests sent without waiting are answered in their order."""
        hub = self.start_hub()
        cam = self.camera(hub, 'pipe')
        cam.record(phone(1).phone())
        session = hub.wait_finished()[0]
        data = session.read('stream.mp4')
        peer = self.peer(hub)
        requests = b''
        for number in range(12):
            target = ('/healthz', '/recordings/%s/stream.mp4' % session.id, '/nothing')[number % 3]
            requests += b'GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % target.encode()
        peer.send(requests)
        for number in range(12):
            status, _, body = peer.response()
            self.assertEqual(status, (200, 200, 404)[number % 3])
            if number % 3 == 1:
                self.assert_same_bytes(body, data, 'pipelined body')

    def test_close_is_honoured(self):
        hub = self.start_hub()
        for request in (b'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
                        b'GET /healthz HTTP/1.0\r\n\r\n'):
            peer = self.peer(hub)
            peer.send(request)
            self.assertEqual(peer.response()[0], 200)
            self.assertEqual(peer.closed(), b'')

    def test_body_of_a_refused_request_is_no_request(self):
        """A POST whose body looks like a request is not answered twice."""
        hub = self.start_hub()
        inner = b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
        peer = self.peer(hub)
        peer.send(b'POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % len(inner) + inner)
        self.assertEqual(peer.response()[0], 405)
        peer.socket.settimeout(1)
        try:
            rest = peer.closed()
        except TimeoutError:
            rest = peer.buffer
        self.assertEqual(rest, b'')

    def test_request_byte_by_byte(self):
        hub = self.start_hub()
        peer = self.peer(hub)
        for byte in b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n':
            peer.send(bytes([byte]))
        self.assertEqual(peer.response()[0], 200)


if __name__ == '__main__':
    unittest.main()
