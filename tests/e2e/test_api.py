"""/api/v1: status, cameras, commands; what each camera got, byte for byte; errors. And the page's files."""
import http.client
import json
import os
import unittest

import wire
from cases import HubTest, phone
from clips import steady
from contract import ROOT, ask, document
from hub import wait_until

START = '{"command":"start_capture","payload":{"format":"h264","bitrate":4,"fps":10}}'
STOP = '{"command":"stop_capture"}'
JSON = {'Content-Type': 'application/json'}


class ApiTest(HubTest):
    def command(self, hub, **body):
        answer = ask(hub, 'POST', '/commands', body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.value['results']

    def refused(self, hub, body, code, field=None, words=()):
        answer = ask(hub, 'POST', '/commands', body)
        found = answer.status, answer.error['code'], answer.error.get('field')
        self.assertEqual(found, (400, code, field), answer.body)
        for word in words:
            self.assertIn(word, answer.error['message'])
        return answer

    def esp(self, hub, name):
        """A JPEG camera; it says nothing by itself."""
        return self.camera(hub, path='/esp/' + name, ready=False)

    def cameras(self, hub):
        return {c['name']: c for c in ask(hub, 'GET', '/cameras').value['cameras']}

    def wait_state(self, hub, name, state):
        return wait_until(lambda: (lambda c: c if c and c['state'] == state else None)(self.cameras(hub).get(name)), 10,
                          lambda: '%s is %s: %s' % (name, state, self.cameras(hub).get(name)))


class Status(ApiTest):
    def test_numbers(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'one')
        self.camera(hub, 'two').close()
        cam.started()
        cam.send(phone(1).phone(count=5))
        cam.settle()
        self.wait_state(hub, 'two', 'lost')
        status = ask(hub, 'GET', '/status').value
        self.assertEqual(status['cameras'], {'connected': 1, 'recording': 1, 'lost': 1})
        self.assertEqual((status['sessions'], status['viewers'], status['port']), (1, 0, hub.port))
        self.assertEqual(status['version'], self.camhub('--version').split()[-1])
        self.assertEqual(status['addresses'], ['127.0.0.1'])
        disk, info = status['disk'], os.statvfs(hub.recordings)
        self.assertEqual((disk['path'], disk['total']), (hub.recordings, info.f_blocks * info.f_frsize))
        self.assertGreater(disk['free'], 0)
        later = ask(hub, 'GET', '/status').value
        self.assertGreaterEqual(later['uptime'], status['uptime'])
        self.assertGreaterEqual(later['time'], status['time'])

    def test_write_rate(self):
        hub = self.start_hub()
        self.assertEqual(ask(hub, 'GET', '/status').value['disk']['write_rate'], 0)
        cam = self.camera(hub, 'busy')
        cam.started()
        sending = cam.send_in_background(phone(6).phone(steady(180, 33)), paced=1)
        disk = wait_until(lambda: (lambda d: d if d['write_rate'] > 0 else None)(
            ask(hub, 'GET', '/status').value['disk']), 10, 'a write rate', step=0.2)
        seconds = disk['free'] / disk['write_rate']
        self.assertAlmostEqual(disk['seconds_left'], seconds, delta=seconds / 100 + 1)
        sending.cancel()

    def test_ffmpeg(self):
        for env, there in (({'FFMPEG_BIN': '/bin/false'}, True), ({'FFMPEG_BIN': '/nonexistent/ffmpeg'}, False),
                           ({'FFMPEG_BIN': 'sh'}, True), ({'FFMPEG_BIN': 'no-such-program'}, False),
                           ({'FFMPEG_BIN': '/bin'}, False)):
            with self.subTest(env=env):
                self.assertIs(ask(self.start_hub(env=env), 'GET', '/status').value['ffmpeg'], there)

    def test_all_addresses(self):
        """Listening everywhere: addresses by which others come here, else the loopback one."""
        hub = self.start_hub(host='0.0.0.0')
        addresses = ask(hub, 'GET', '/status').value['addresses']
        self.assertGreater(len(addresses), 0)
        self.assertNotIn('0.0.0.0', addresses)
        if addresses != ['127.0.0.1']:
            self.assertFalse([a for a in addresses if a.startswith('127.')])

    def test_the_contract_itself(self):
        hub = self.start_hub()
        self.assertEqual(ask(hub, 'GET', '/openapi.json').value, document())


class Cameras(ApiTest):
    def test_states(self):
        hub = self.start_hub()
        self.assertEqual(self.cameras(hub), {})
        cam = self.camera(hub, 'bench', ready=False)
        one = self.wait_state(hub, 'bench', 'connected')
        self.assertEqual((one['kind'], one['model'], one['stream'], one['session'], one['answer'], one['command']),
                         ('h264', None, None, None, None, None))
        self.assertRegex(one['address'], r'^127\.0\.0\.1:\d+$')
        self.assertEqual((one['figures']['frames'], one['figures']['age']), (0, None))
        cam.ready()
        cam.capabilities()
        one = self.wait_state(hub, 'bench', 'ready')
        self.assertEqual(one['answer']['text'], 'Client is ready')
        self.assertIs(one['answer']['error'], False)
        cam.started()
        cam.send(phone(1).phone(count=5))
        cam.settle()
        one = wait_until(lambda: (lambda c: c if c['session'] else None)(self.cameras(hub)['bench']), 5, 'a session')
        self.assertEqual((one['state'], one['model']), ('recording', 'Pixel 7'))
        self.assertEqual(one['session']['id'], hub.wait_session('bench')[0].id)
        self.assertRegex(one['stream']['codec'], r'^avc1\.[0-9A-F]{6}$')
        self.assertEqual(one['figures']['frames'], 5)
        self.assertIsNotNone(one['figures']['age'])
        cam.text({'status': 'error', 'message': 'lens cap'})
        cam.stopped()
        one = self.wait_state(hub, 'bench', 'ready')
        self.assertIsNone(one['session'])
        cam.abort()
        one = self.wait_state(hub, 'bench', 'lost')
        self.assertEqual((one['address'], one['figures']['fps'], one['figures']['bitrate']), (None, 0, 0))

    def test_an_error_is_an_answer(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'bench')
        cam.text({'status': 'error', 'message': 'lens cap'})
        cam.settle()
        answer = self.cameras(hub)['bench']['answer']
        self.assertEqual((answer['text'], answer['error']), ('lens cap', True))

    def test_order_and_details(self):
        hub = self.start_hub()
        for name in ('b', 'a.2', 'B', 'a_1'):
            self.camera(hub, name).settle()
        self.assertEqual(list(self.cameras(hub)), sorted(['b', 'a.2', 'B', 'a_1']))
        details = ask(hub, 'GET', '/cameras/a.2').value
        self.assertEqual((details['name'], details['capabilities']['sdkInt']), ('a.2', 34))
        self.assertEqual(ask(hub, 'HEAD', '/cameras/a.2').status, 200)

    def test_hostile_texts(self):
        """Whatever a camera says is text."""
        hub = self.start_hub()
        for n, text in enumerate(['<script>alert(1)</script>', '"}]', '\x1b[2J\x00\x07', '\u202e\uffff\U0001f600' * 90,
                                  '\\u0000', "'; DROP TABLE", '\n[Error] forged', '']):
            cam = self.camera(hub, 'evil%d' % n, ready=False)
            cam.text({'type': 'capabilities', 'deviceModel': text, 'resolutions': text, text: text})
            cam.text(text)
            cam.text({'status': 'error', 'message': text})
            cam.settle()
            with self.subTest(text=text):
                self.assertEqual(ask(hub, 'GET', '/cameras/evil%d' % n).status, 200)
        self.assertEqual(len(self.cameras(hub)), 8)
        self.assertFalse(hub.matches(r'^\[Error\] forged'))

    def test_dismiss(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'gone')
        cam.settle()
        answer = ask(hub, 'DELETE', '/cameras/gone')
        self.assertEqual((answer.status, answer.error['code']), (409, 'connected'))
        cam.close()
        self.wait_state(hub, 'gone', 'lost')
        self.assertEqual(ask(hub, 'DELETE', '/cameras/gone').status, 204)
        self.assertEqual(self.cameras(hub), {})
        self.assertEqual(ask(hub, 'DELETE', '/cameras/gone').status, 404)
        self.camera(hub, 'gone').settle()
        self.assertEqual(list(self.cameras(hub)), ['gone'])

    def test_no_such_camera(self):
        hub = self.start_hub()
        for name in ('nobody', 'x' * 65, '..', '%2e', 'a%2Fb', 'a%20b', '%C3%A4', 'a/b'):
            for method in ('GET', 'DELETE'):
                with self.subTest(name=name, method=method):
                    self.assertEqual(ask(hub, method, '/cameras/' + name).status, 404)


class Commands(ApiTest):
    def test_start_and_stop_for_all(self):
        hub = self.start_hub()
        cams = [self.camera(hub, 'all%d' % n) for n in range(3)]
        for cam in cams:
            cam.settle()
        results = self.command(hub, command='start')
        self.assertEqual(results, [{'camera': 'all%d' % n, 'outcome': 'sent', 'sent': START} for n in range(3)])
        self.assertEqual([r['sent'] for r in self.command(hub, command='stop')], [STOP] * 3)
        for cam in cams:
            cam.wait_text(2)
            self.assertEqual(cam.texts, [START, STOP])
        self.assertTrue(hub.matches(r'\[Broadcast\] start, 4 Mbit/s, 10 frames/s sent to 3 cameras'))
        self.assertTrue(hub.matches(r'\[Broadcast\] stop sent to 3 cameras'))
        last = self.cameras(hub)['all0']['command']
        self.assertEqual(last['text'], STOP)

    def test_named_ones(self):
        """In the order of the request, each once; the others get nothing."""
        hub = self.start_hub()
        cams = {name: self.camera(hub, name) for name in ('a', 'b', 'c')}
        for cam in cams.values():
            cam.settle()
        lost = self.camera(hub, 'lost')
        lost.close()
        self.wait_state(hub, 'lost', 'lost')
        results = self.command(hub, command='start', cameras=['c', 'nobody', 'a', 'c', 'lost'], bitrate=8, fps=0,
                               aspect_ratio='16:9')
        want = START.replace('"bitrate":4,"fps":10', '"bitrate":8,"fps":0,"aspectRatio":{"width":16,"height":9}')
        self.assertEqual(results, [
            {'camera': 'c', 'outcome': 'sent', 'sent': want}, {'camera': 'nobody', 'outcome': 'unknown', 'sent': None},
            {'camera': 'a', 'outcome': 'sent', 'sent': want}, {'camera': 'lost', 'outcome': 'lost', 'sent': None}])
        for name in 'ac':
            cams[name].wait_text()
        for cam in cams.values():
            cam.settle()
        self.assertEqual([cams[n].texts for n in 'abc'], [[want], [], [want]])
        self.assertEqual(len(hub.matches(r'\[Broadcast\] start 16:9, 8 Mbit/s, 0 frames/s sent to 2 cameras')), 1)

    def test_no_camera_at_all(self):
        self.assertEqual(self.command(self.start_hub(), command='stop'), [])

    def test_set_and_raw_for_phones(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'phone')
        cam.settle()
        whole = '{"command": "torch",  "on":true, "deep":[[[1]]]}'
        sent = [
            (dict(command='set', settings={'brightness': -1, 'contrast': 1.5, 'mode': 'night', 'flip': True}),
             '{"command":"set","payload":{"brightness":-1,"contrast":1.5,"mode":"night","flip":true}}'),
            (dict(command='raw', text='start 16:9 2 5'),
             START.replace('"bitrate":4,"fps":10', '"bitrate":2,"fps":5,"aspectRatio":{"width":16,"height":9}')),
            (dict(command='raw', text='STOP now'), STOP),
            (dict(command='raw', text='start VGA 12'), START),
            (dict(command='raw', text=whole), whole),
            (dict(command='raw', text='[1]'), '{"command":"raw","payload":{"text":"[1]"}}'),
            (dict(command='raw', text='{"a"'), '{"command":"raw","payload":{"text":"{\\"a\\""}}'),
            (dict(command='raw', text='led ä "on"'), '{"command":"raw","payload":{"text":"led ä \\"on\\""}}'),
        ]
        for body, want in sent:
            with self.subTest(body=body):
                self.assertEqual(self.command(hub, **body), [{'camera': 'phone', 'outcome': 'sent', 'sent': want}])
        cam.wait_text(len(sent))
        self.assertEqual(cam.texts, [want for _, want in sent])

    def test_jpeg_cameras(self):
        """Lines of text, as typed; each kind takes its own options of start."""
        hub = self.start_hub()
        cam, other = self.esp(hub, 'esp'), self.camera(hub, 'phone')
        cam.settle()
        other.settle()
        self.assertEqual(self.cameras(hub)['esp']['kind'], 'jpeg')
        sent = [
            (dict(command='start'), 'start'), (dict(command='start', resolution='VGA'), 'start VGA'),
            (dict(command='start', resolution='P_3MP', quality=63), 'start P_3MP 63'),
            (dict(command='start', bitrate=8, fps=3, aspect_ratio='4:3'), 'start'), (dict(command='stop'), 'stop'),
            (dict(command='set', settings={'brightness': -1, 'contrast': 1.5, 'mode': 'night', 'flip': False}),
             'set brightness=-1 contrast=1.5 mode=night flip=false'),
            (dict(command='raw', text='debug {"x":1}  on'), 'debug {"x":1}  on'),
        ]
        for body, want in sent:
            with self.subTest(body=body):
                results = {r['camera']: r for r in self.command(hub, **body)}
                self.assertEqual(results['esp'], {'camera': 'esp', 'outcome': 'sent', 'sent': want})
                self.assertEqual(results['phone']['outcome'], 'sent')
        wait_until(lambda: len(cam.texts) >= len(sent) and len(other.texts) >= len(sent), 5, 'all texts')
        self.assertEqual(cam.texts, [want for _, want in sent])
        self.assertEqual(other.texts[:3], [START] * 3)

    def test_settings_and_names_at_their_bounds(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'x' * 64)
        cam.settle()
        settings = {'n%031d' % n: 'v' * 64 for n in range(16)}
        self.command(hub, command='set', settings=settings)
        self.command(hub, command='raw', text='ä' * 500)
        self.command(hub, command='start', bitrate=2147483647, fps=2147483647, aspect_ratio='2147483647:1')
        self.command(hub, command='start', cameras=['x' * 64] + ['n%d' % n for n in range(999)])
        cam.wait_text(4)
        self.assertEqual(json.loads(cam.texts[0]), {'command': 'set', 'payload': settings})

    def test_a_camera_that_does_not_read(self):
        """Its outcome says so, and the others get theirs."""
        hub = self.start_hub()
        good = self.camera(hub, 'good')
        good.settle()
        mute = self.peer(hub)
        mute.upgrade('/android-cam/mute')
        # Until the kernel takes no more, and then the hub's queue.
        body = dict(command='raw', cameras=['mute'] * 1, text='x' * 1000)
        connection = http.client.HTTPConnection(hub.host, hub.port, timeout=20)
        outcome = None
        for _ in range(20000):
            connection.request('POST', '/api/v1/commands', json.dumps(body), JSON)
            outcome = json.loads(connection.getresponse().read())['results'][0]['outcome']
            if outcome != 'sent':
                break
        connection.close()
        self.assertEqual(outcome, 'failed')
        results = {r['camera']: r for r in self.command(hub, command='stop')}
        self.assertEqual(results['good']['outcome'], 'sent')
        good.wait_text()
        self.assertEqual(good.texts, [STOP])

    def test_bad_values(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'bench')
        cam.settle()
        for body, field, words in (
                ({}, 'command', ('missing', 'start')), ({'command': 'sart'}, 'command', ('"sart"', 'mean "start"')),
                ({'command': 1}, 'command', ()), ({'command': None}, 'command', ()),
                ({'command': 'START'}, 'command', ()),
                ({'command': 'start', 'bitrate': 0}, 'bitrate', ('0', '1 to 2147483647')),
                ({'command': 'start', 'bitrate': 2147483648}, 'bitrate', ()),
                ({'command': 'start', 'bitrate': '4'}, 'bitrate', ('"4"',)),
                ({'command': 'start', 'bitrate': 2.5}, 'bitrate', ('2.5',)),
                ({'command': 'start', 'bitrate': True}, 'bitrate', ('true',)),
                ({'command': 'start', 'fps': -1}, 'fps', ('-1',)),
                ({'command': 'start', 'fps': None}, 'fps', ('null',)),
                ({'command': 'start', 'aspect_ratio': '16:0'}, 'aspect_ratio', ('16:0', 'W:H')),
                ({'command': 'start', 'aspect_ratio': '16:9:1'}, 'aspect_ratio', ()),
                ({'command': 'start', 'aspect_ratio': '04:3'}, 'aspect_ratio', ()),
                ({'command': 'start', 'aspect_ratio': '+4:3'}, 'aspect_ratio', ()),
                ({'command': 'start', 'aspect_ratio': '2147483648:3'}, 'aspect_ratio', ()),
                ({'command': 'start', 'aspect_ratio': [16, 9]}, 'aspect_ratio', ()),
                ({'command': 'start', 'resolution': 'VGAA'}, 'resolution', ('"VGAA"', 'QQVGA', 'QXGA')),
                ({'command': 'start', 'quality': 0}, 'quality', ('1 to 63',)),
                ({'command': 'start', 'quality': 64}, 'quality', ()),
                ({'command': 'start', 'cameras': []}, 'cameras', ('1 to 1000',)),
                ({'command': 'start', 'cameras': 'bench'}, 'cameras', ()),
                ({'command': 'start', 'cameras': ['n%d' % n for n in range(1001)]}, 'cameras', ()),
                ({'command': 'start', 'cameras': ['bench', 'a b']}, 'cameras[1]', ('"a b"', 'A-Z')),
                ({'command': 'start', 'cameras': ['..']}, 'cameras[0]', ()),
                ({'command': 'start', 'cameras': [7]}, 'cameras[0]', ('7',)),
                ({'command': 'stop', 'fps': 3}, 'fps', ('stop',)),
                ({'command': 'raw', 'settings': {'a': 1}}, 'settings', ()),
                ({'command': 'set'}, 'settings', ('missing',)), ({'command': 'set', 'settings': {}}, 'settings', ()),
                ({'command': 'set', 'settings': {'n%d' % n: 1 for n in range(17)}}, 'settings', ()),
                ({'command': 'set', 'settings': {'A': 1}}, 'settings.A', ()),
                ({'command': 'set', 'settings': {'ä' * 40: 1}}, 'settings.' + 'ä' * 24, ()),
                ({'command': 'set', 'settings': {'a': None}}, 'settings.a', ('null',)),
                ({'command': 'set', 'settings': {'a': {'b': 1}}}, 'settings.a', ()),
                ({'command': 'set', 'settings': {'a': 'b c'}}, 'settings.a', ('blank',)),
                ({'command': 'set', 'settings': {'a': 'x\n'}}, 'settings.a', ()),
                ({'command': 'raw'}, 'text', ('missing',)), ({'command': 'raw', 'text': ''}, 'text', ()),
                ({'command': 'raw', 'text': '  '}, 'text', ()), ({'command': 'raw', 'text': 'a\nb'}, 'text', ()),
                ({'command': 'raw', 'text': 'ä' * 500 + 'x'}, 'text', ('1000', '...')),
                ({'command': 'raw', 'text': ['x']}, 'text', ())):
            with self.subTest(body=body):
                self.refused(hub, body, 'bad_value', field, words)
        for key, near in (('bitrat', 'bitrate'), ('camera', 'cameras'), ('aspectRatio', 'aspect_ratio'),
                          ('fpss', 'fps')):
            self.refused(hub, {'command': 'start', key: 1}, 'unknown_key', key, ('"%s"' % key, 'mean "%s"' % near))
        self.refused(hub, {'command': 'start', 'zoom': 1}, 'unknown_key', 'zoom', ('settings',))
        self.refused(hub, {'command': 'start', 'ü' * 100: 1}, 'unknown_key', 'ü' * 39)
        cam.settle()
        self.assertEqual(cam.texts, [])
        self.assertFalse(hub.matches(r'\[Broadcast\]'))


class Requests(ApiTest):
    def post(self, hub, body, headers=None):
        return ask(hub, 'POST', '/commands', body, JSON if headers is None else headers)

    def test_not_json(self):
        hub = self.start_hub()
        for body in (b'', b'{', b'{"command":"stop"', b'{"command":"stop"} x', b'[]', b'"stop"', b'null', b'7', b'\xff',
                     b'{"command":"st\x00op"}', b'{"command":"\\u0000"}', b'{"command":"stop","command":"start"}',
                     b'{"command":"\xff"}', b'[' * 60000, b'{"a":' * 10000 + b'1' + b'}' * 10000,
                     b'{"command":"start","fps":99999999999999999999}', b'{"command":"start","fps":NaN}'):
            with self.subTest(body=body[:40]):
                answer = self.post(hub, body)
                self.assertEqual((answer.status, answer.error['code']), (400, 'bad_json'), answer.body)

    def test_deep_values(self):
        hub = self.start_hub()
        for key in ('cameras', 'settings', 'text', 'fps'):
            body = b'{"command":"set","%s":%s1%s}' % (key.encode(), b'[' * 1500, b']' * 1500)
            answer = self.post(hub, body)
            self.assertEqual(answer.status, 400)

    def test_content_type(self):
        hub = self.start_hub()
        body = b'{"command":"stop"}'
        for kind in ('application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON ;x=y'):
            self.assertEqual(self.post(hub, body, {'Content-Type': kind}).status, 200, kind)
        for kind in ('text/plain', 'application/x-www-form-urlencoded', 'application/json5', 'json', '', 'text/json',
                     'multipart/form-data; boundary=application/json'):
            with self.subTest(kind=kind):
                answer = self.post(hub, body, {'Content-Type': kind})
                self.assertEqual((answer.status, answer.error['code']), (415, 'content_type'))
        self.assertEqual(self.post(hub, body, {}).status, 415)

    def raw(self, hub, head, body=b''):
        peer = self.peer(hub)
        peer.send(('POST /api/v1/commands HTTP/1.1\r\nHost: x\r\n' + head + '\r\n').encode() + body)
        return peer

    def test_bodies(self):
        hub = self.start_hub()
        kind = 'Content-Type: application/json\r\n'
        status, fields, body = self.raw(hub, kind + 'Content-Length: 65537\r\n', b'x' * 1000).response()
        self.assertEqual((status, json.loads(body)['error']['code']), (413, 'too_large'))
        status, fields, body = self.raw(hub, kind + 'Content-Length: 99999999999999\r\n').response()
        self.assertEqual(status, 413)
        peer = self.raw(hub, kind + 'Transfer-Encoding: chunked\r\n', b'2\r\n{}\r\n0\r\n\r\n')
        self.assertEqual(peer.response()[0], 411)
        whole = b'{"command":"stop"' + b' ' * (65536 - 18) + b'}'
        peer = self.raw(hub, kind + 'Content-Length: 65536\r\n', whole)
        self.assertEqual(peer.response()[0], 200)
        # In pieces, with the next request right behind it.
        peer = self.raw(hub, kind + 'Content-Length: 18\r\n', b'{"comma')
        peer.send(b'nd":"stop')
        peer.send(b'"}GET /api/v1/cameras HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertEqual(peer.response()[0], 200)
        self.assertEqual(json.loads(peer.response()[2]), {'cameras': []})

    def test_methods(self):
        """405 with an Allow line that is true: what it names does not get 405."""
        hub = self.start_hub()
        for path in ('/status', '/cameras', '/cameras/nobody', '/commands', '/qr.svg', '/openapi.json', '/events'):
            allowed = None
            for method in ('PUT', 'PATCH', 'OPTIONS', 'DELETE', 'POST', 'GET', 'HEAD', 'TRACE'):
                headers = {'Content-Length': '0'} if method in ('PUT', 'PATCH', 'POST') else {}
                status, fields, _ = hub.get('/api/v1' + path, method, headers)
                if allowed is None:
                    self.assertEqual(status, 405)
                    allowed = fields['allow'].split(', ')
                with self.subTest(path=path, method=method):
                    self.assertEqual(status != 405, method in allowed)
                    if status == 405:
                        self.assertEqual(fields['allow'].split(', '), allowed)

    def test_unknown_paths(self):
        hub = self.start_hub()
        for path in ('/', '', '/nothing', '/status/', '/Status', '/cameras/', '/commands/x', '/qr.png', '/status%00'):
            with self.subTest(path=path):
                status, fields, body = hub.get('/api/v1' + path)
                self.assertIn(status, (400, 404))
                json.loads(body)

    def test_other_sites(self):
        """A page of another site may not change anything, and not listen."""
        hub = self.start_hub()
        cam = self.camera(hub, 'bench')
        cam.settle()
        own = 'http://127.0.0.1:%d' % hub.port
        for origin, good in (('http://evil.example', False), ('null', False), (own, True),
                             (own.replace('127', '128'), False)):
            with self.subTest(origin=origin):
                answer = ask(hub, 'POST', '/commands', {'command': 'stop'}, {'Origin': origin})
                self.assertEqual(answer.status, 200 if good else 403)
                answer = ask(hub, 'DELETE', '/cameras/bench', headers={'Origin': origin})
                self.assertEqual(answer.status, 409 if good else 403)
                peer = self.peer(hub)
                self.assertEqual(peer.upgrade('/api/v1/events', ['Origin: ' + origin])[0], 101 if good else 403)
        cam.settle()
        self.assertEqual(cam.texts, [STOP])

    def test_events_without_websocket(self):
        answer = ask(self.start_hub(), 'GET', '/events')
        self.assertEqual((answer.status, answer.error['code']), (426, 'websocket'))
        self.assertEqual(answer.fields['upgrade'], 'websocket')

    def test_qr(self):
        hub = self.start_hub()
        for text in ('ws%3A%2F%2F192.0.2.1%3A50001%2Fandroid-cam', 'x', '%C3%A4' * 250, 'a+b', 'x' * 500):
            answer = ask(hub, 'GET', '/qr.svg?text=' + text)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.body.startswith(b'<svg ') and answer.body.endswith(b'</svg>\n'))
        same = [ask(hub, 'GET', '/qr.svg?' + q).body for q in ('text=a+b', 'text=a%20b', 'x=1&text=a+b&text=c')]
        self.assertEqual(same[0], same[1])
        self.assertEqual(same[0], same[2])
        self.assertNotEqual(same[0], ask(hub, 'GET', '/qr.svg?text=a%2Bb').body)
        for query in ('', '?text=', '?text', '?texts=x', '?text=' + 'x' * 501, '?text=%', '?text=%4', '?text=%zz',
                      '?text=%00', '?text=%ff'):
            with self.subTest(query=query):
                answer = ask(hub, 'GET', '/qr.svg' + query)
                self.assertEqual((answer.status, answer.error['field']), (400, 'text'))


class Page(ApiTest):
    TYPES = {'.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
             '.css': 'text/css; charset=utf-8'}

    def test_files(self):
        """What is in web/ now was there when this program was built, or the build folder is stale."""
        hub = self.start_hub()
        names = [n for n in os.listdir(os.path.join(ROOT, 'web')) if os.path.splitext(n)[1] in self.TYPES]
        self.assertIn('index.html', names)
        for name in names:
            with self.subTest(name=name):
                with open(os.path.join(ROOT, 'web', name), 'rb') as file:
                    want = file.read()
                status, fields, body = hub.get('/console/' + name)
                self.assertEqual(status, 200)
                self.assert_same_bytes(body, want, name)
                self.assertEqual(fields['content-type'], self.TYPES[os.path.splitext(name)[1]])
                self.assertEqual(fields['cache-control'], 'no-cache')
                tag = fields['etag']
                for value in (tag, 'W/' + tag, '"x", %s' % tag, '*'):
                    status, fields, body = hub.get('/console/' + name, headers={'If-None-Match': value})
                    self.assertEqual((status, body, fields['etag']), (304, b'', tag))
                self.assertEqual(hub.get('/console/' + name, headers={'If-None-Match': '"x"'})[0], 200)

    def test_a_connection_goes_on_behind_304(self):
        hub = self.start_hub()
        connection = http.client.HTTPConnection(hub.host, hub.port, timeout=10)
        for headers, want in (({}, 200), ({'If-None-Match': '*'}, 304), ({}, 200), ({'If-None-Match': '*'}, 304)):
            connection.request('GET', '/', headers=headers)
            response = connection.getresponse()
            self.assertEqual((response.status, bool(response.read())), (want, want == 200))
        connection.close()

    def test_page(self):
        hub = self.start_hub()
        pages = [hub.get(path) for path in ('/', '/dev', '/console/index.html')]
        for status, fields, body in pages:
            self.assertEqual((status, body), (200, pages[0][2]))
            policy = fields['content-security-policy']
            self.assertTrue(policy.startswith("default-src 'none'; script-src 'self';"), policy)
            self.assertNotIn('unsafe', policy)
            self.assertEqual((fields['referrer-policy'], fields['x-content-type-options']), ('no-referrer', 'nosniff'))
        head = hub.get('/', 'HEAD')
        self.assertEqual((head[0], head[2], head[1]['content-length']), (200, b'', str(len(pages[0][2]))))

    def test_nothing_else(self):
        hub = self.start_hub()
        for path in ('/console/', '/console', '/console/nothing.js', '/console/../docs/openapi.json',
                     '/console/%2e%2e/x', '/console//etc/passwd', '/console/INDEX.HTML', '/index.html'):
            with self.subTest(path=path):
                peer = self.peer(hub)
                peer.send(('GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % path).encode())
                self.assertEqual(peer.response()[0], 404)
        self.assertEqual(hub.get('/console/index.html', 'DELETE')[0], 405)


if __name__ == '__main__':
    unittest.main()
