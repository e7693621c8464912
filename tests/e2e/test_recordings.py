"""/api/v1/recordings: the list and its filters, details, deletion, events; folders that come and go, a database in
trouble, long lists, and peers that do not wait."""
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import threading
import time
import unittest
import urllib.parse

import websockets

import clips
import folders
import idx
import media
import processes
from cases import HubTest, phone, weight
from clips import steady
from contract import ask, check_answer
from hub import wait_until
from listener import Listener

DATABASE = '.catalogue.sqlite'
VERDICTS = ('recording', 'complete', 'gaps', 'recovered', 'damaged', 'unknown')


def quote(text):
    return urllib.parse.quote(text, safe='')


class RecordingsTest(HubTest):
    def setUp(self):
        super().setUp()
        self.recordings = os.path.join(self.root, 'recordings')
        self.database = os.path.join(self.recordings, DATABASE)

    def listen(self, hub):
        listener = Listener(hub)
        self.addCleanup(listener.abort)
        listener.wait_kind('status')
        return listener

    def status(self, hub):
        return ask(hub, 'GET', '/status').value['catalogue']

    def wait_ready(self, hub, timeout=20):
        return wait_until(lambda: (lambda c: c if c['state'] == 'ready' else None)(self.status(hub)), timeout,
                          lambda: 'a ready list, have %s' % self.status(hub))

    def page(self, hub, query='', **values):
        """One page; values go into the query percent-encoded."""
        query = '&'.join([query] * bool(query) + ['%s=%s' % (k.rstrip('_'), quote(str(v))) for k, v in values.items()])
        answer = ask(hub, 'GET', '/recordings' + '?' * bool(query) + query)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.value

    def pages(self, hub, **values):
        """All recordings that fit, page by page."""
        found, page = [], self.page(hub, **values)
        while True:
            found += page['recordings']
            if not page['next']:
                self.assertEqual(page['total'], len(found))
                return found
            page = self.page(hub, cursor=page['next'], **values)

    def ids(self, hub, **values):
        return [r['id'] for r in self.pages(hub, **values)]

    def details(self, hub, name):
        answer = ask(hub, 'GET', '/recordings/' + quote(name))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.value

    def delete(self, hub, name, status=204, **headers):
        answer = ask(hub, 'DELETE', '/recordings/' + quote(name), headers=headers)
        self.assertEqual(answer.status, status, answer.body)
        return answer

    def record(self, hub, name, count=10, messages=None):
        """A whole session of a camera that comes and goes; it is finished, and the list knows it."""
        before = len(hub.sessions(name + '_'))
        cam, messages = self.camera(hub, name), messages or phone(1).phone(count=count)
        cam.record(messages)
        cam.close()
        hub.wait_finished(before + 1, prefix=name + '_')
        session = hub.sessions(name + '_')[-1]
        self.wait_listed(hub, session.id)
        return session

    def wait_listed(self, hub, name, verdict=None):
        def found():
            known = [r for r in self.page(hub, limit=500)['recordings'] if r['id'] == name]
            return known and known[0]['verdict'] not in (['recording'] if verdict is None else VERDICTS) or \
                known and known[0]['verdict'] == verdict
        wait_until(found, 15, lambda: '%s in the list as %s; it is %s' % (
            name, verdict, [(r['id'], r['verdict']) for r in self.page(hub, limit=500)['recordings']]))

    def assert_tells(self, recording, session):
        """The list says what the folder and its report say."""
        report, sizes = session.report(), self.sizes(session.folder)
        parts = session.parts()
        want = {
            'id': session.id, 'camera': report['camera']['name'] or report['camera']['address'],
            'kind': report.get('kind', 'h264'), 'started': report['started'], 'ended': report['ended'],
            'duration': report['duration'], 'bytes': sum(sizes.values()), 'frames': report['counts']['frames'],
            'missing': report['counts']['missing'], 'verdict': report['verdict'], 'reason': report['reason'],
            'video': parts[0] if parts else None, 'parts': parts, 'thumbnail': 'thumbnail.jpg' in sizes}
        self.assertEqual(recording, want)

    def sizes(self, folder):
        return {n: os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder)}

    def assert_details(self, hub, session):
        details = self.details(hub, session.id)
        self.assert_tells(details['recording'], session)
        self.assertEqual(details['report'], session.report())
        self.assertEqual({f['name']: f['bytes'] for f in details['files']}, self.sizes(session.folder))
        self.assertEqual([f['name'] for f in details['files']], sorted(f['name'] for f in details['files']))
        return details


class RealSessions(RecordingsTest):
    @weight(6)
    def test_list_and_details(self):
        """Sessions of cameras, newest first; every field; every file can be fetched by its name."""
        hub = self.start_hub(thumbnails=True)
        self.assertEqual(self.page(hub), {'recordings': [], 'total': 0, 'next': None})
        gap = phone(1).phone(count=20)
        two = phone(1).whole() + [m._replace(sequence=m.sequence + 30, device_ms=m.device_ms + 1000)
                                  for m in phone(1, size='160x120').whole()]
        for name, messages in (('bench', None), ('porch', gap[:8] + gap[11:]), ('bench', two)):
            self.record(hub, name, messages=messages)
        sessions = hub.sessions()
        wait_until(lambda: all(s.has('thumbnail.jpg') for s in sessions), 20, 'thumbnails')
        wait_until(lambda: all(r['thumbnail'] for r in self.pages(hub)), 10, 'thumbnails in the list')
        listed = self.pages(hub)
        self.assertEqual([r['id'] for r in listed], [s.id for s in reversed(sessions)])
        self.assertEqual([(r['camera'], r['verdict'], r['missing']) for r in listed],
                         [('bench', 'complete', 0), ('porch', 'gaps', 3), ('bench', 'complete', 0)])
        self.assertEqual(listed[0]['parts'], ['stream.mp4', 'stream_2.mp4'])
        self.assertEqual(self.status(hub), {'sessions': 3, 'state': 'ready'})
        for recording, session in zip(listed, reversed(sessions)):
            self.assert_tells(recording, session)
            for file in self.assert_details(hub, session)['files']:
                status, _, body = hub.get('/recordings/%s/%s' % (session.id, file['name']))
                self.assertEqual((status, len(body)), (200, file['bytes']), file)
            for part in recording['parts']:
                url = 'http://127.0.0.1:%d/recordings/%s/%s' % (hub.port, recording['id'], part)
                self.assertGreater(len(media.packets(url)), 0)

    @weight(4)
    def test_a_life_in_events(self):
        """In the list from its beginning on, then finished, then with its picture: without asking."""
        hub = self.start_hub(thumbnails=True)
        listener = self.listen(hub)
        cam = self.camera(hub, 'bench')
        cam.started()
        messages = phone(1).phone()
        cam.send(messages[:10])
        first = listener.wait_kind('recording')['recording']
        session = hub.sessions()[0]
        self.assertEqual((first['id'], first['camera'], first['verdict'], first['kind'], first['ended']),
                         (session.id, 'bench', 'recording', 'h264', None))
        self.assertEqual(self.ids(hub, verdict='recording'), [session.id])
        self.assertEqual(self.details(hub, session.id)['report'], session.report())
        cam.send(messages[10:])
        cam.stopped()
        last = listener.wait(lambda m: m['type'] == 'recording' and m['recording']['thumbnail'], 'its picture')
        told = [m['recording'] for m in listener.of('recording')]
        self.assertEqual([r['verdict'] for r in told], ['recording'] + ['complete'] * (len(told) - 1))
        self.assertEqual({r['id'] for r in told}, {session.id})
        self.assert_tells(last['recording'], hub.sessions()[0])
        self.assertEqual(self.pages(hub), [last['recording']])
        self.delete(hub, session.id)
        self.assertEqual(listener.wait_kind('recording_deleted')['id'], session.id)
        self.assertEqual(self.pages(hub), [])

    @weight(5)
    def test_jpeg(self):
        """Of a JPEG camera, once its film is made."""
        def make(path):
            subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=10',
                            '-t', '1', '-pix_fmt', 'yuvj420p', '-c:v', 'mjpeg', '-f', 'mjpeg', '-y', path], check=True)
        with open(clips._cached('recordings jpeg', '.mjpeg', make), 'rb') as file:
            pictures = [b'\xff\xd8' + piece for piece in file.read().split(b'\xff\xd8')[1:]]
        hub = self.start_hub(env={'FFMPEG_BIN': 'ffmpeg'}, thumbnails=True)
        listener = self.listen(hub)
        cam = self.camera(hub, path='/esp/pond', ready=False)
        try:
            for picture in pictures:
                cam.binary(picture)
                cam.settle()
        except websockets.ConnectionClosed as closed:
            if closed.rcvd and closed.rcvd.reason == 'Unknown endpoint':
                self.skipTest('this hub takes no JPEG cameras')
            raise
        first = listener.wait_kind('recording')['recording']
        self.assertEqual((first['camera'], first['kind'], first['verdict']), ('pond', 'jpeg', 'recording'))
        cam.close()
        hub.wait_finished()
        done = listener.wait(lambda m: m['type'] == 'recording' and m['recording']['verdict'] == 'complete' and
                             m['recording']['video'] == 'stream.mp4', 'its film', 30)['recording']
        listed = wait_until(lambda: (lambda r: r if r['thumbnail'] else None)(self.pages(hub)[0]), 10, 'its picture')
        self.assertEqual((done['frames'], done['missing'], listed['kind']), (len(pictures), 0, 'jpeg'))
        details = self.details(hub, listed['id'])
        self.assertEqual({f['name']: f['bytes'] for f in details['files']}, self.sizes(hub.sessions()[0].folder))
        self.assertEqual(details['report'], hub.sessions()[0].report())
        self.assertLessEqual({'stream.mjpeg', 'stream.mp4', 'thumbnail.jpg'}, {f['name'] for f in details['files']})
        self.delete(hub, listed['id'])
        self.assertEqual(os.listdir(hub.recordings) and hub.sessions('pond_'), [])
        self.assertEqual(self.page(hub)['total'], 0)


class Filters(RecordingsTest):
    def fill(self):
        """Reports of all kinds; their starts 1 s apart, with some at the same millisecond."""
        cameras, models = ('door', 'Door', 'hof süd', 'a-b.c_d'), ('Pixel 7', 'SM-G991B', None)
        told = []
        for n in range(48):
            name = '%s_%02d' % (cameras[n % 4].replace(' ', '_'), n)
            told.append(folders.make(self.recordings, name, camera=cameras[n % 4], started=n // 3,
                                     verdict=VERDICTS[1 + n % 5 % 4], model=models[n % 3],
                                     reason='%d frames are missing' % n if n % 5 else 'nothing to say'))
        return sorted(told, key=lambda r: (r['started'], r['id'].encode()), reverse=True)

    def test_every_filter(self):
        told = self.fill()
        hub = self.start_hub()
        self.wait_ready(hub)
        self.assertEqual(self.ids(hub), [r['id'] for r in told])

        def time_at(second, offset=0):
            return folders.rfc3339(folders.instant(second + offset))
        cases = {
            'camera': [(c, lambda r, c=c: r['camera']['name'] == c) for c in ('door', 'hof süd', 'Door', 'DOOR', 'do')],
            'verdict': [(v, lambda r, v=v: r['verdict'] == v) for v in VERDICTS],
            'from_': [(time_at(s), lambda r, s=s: r['started'] >= time_at(s)) for s in (0, 5, 5.001, 100)],
            'to': [(time_at(s), lambda r, s=s: r['started'] < time_at(s)) for s in (0, 5, 5.001, 100)],
            'q': [(q, f) for q, f in (
                ('pix', lambda r: r['camera']['device_model'] == 'Pixel 7'),
                ('PIXEL 7', lambda r: r['camera']['device_model'] == 'Pixel 7'),
                ('ixel', lambda r: False),
                ('miss fra', lambda r: 'missing' in r['reason']),
                ('süd', lambda r: r['camera']['name'] == 'hof süd'),
                ('g991b', lambda r: r['camera']['device_model'] == 'SM-G991B'),
                ('door_07', lambda r: 'door' in r['id'].lower() and '07' in r['id']))],
        }
        for one in cases:
            for value, fits in cases[one]:
                with self.subTest(one=one, value=value):
                    self.assertEqual(self.ids(hub, **{one: value}), [r['id'] for r in told if fits(r)])
        for one, other in itertools.combinations(cases, 2):
            for (value, fits), (second, also) in itertools.product(cases[one][:3], cases[other][:3]):
                with self.subTest(one=one, value=value, other=other, second=second):
                    want = [r['id'] for r in told if fits(r) and also(r)]
                    page = self.page(hub, **{one: value, other: second})
                    self.assertEqual(([r['id'] for r in page['recordings']], page['total']), (want, len(want)))
        self.assertEqual(self.page(hub, from_='2026-03-01', to='2026-03-01')['total'], 48)
        self.assertEqual(self.page(hub, from_='2026-03-02')['total'], 0)
        self.assertEqual(self.page(hub, to='2026-02-28')['total'], 0)
        self.assertEqual(self.ids(hub, from_='2026-03-01T13:00:05+01:00', to='2026-03-01T10:00:06-02:00'),
                         [r['id'] for r in told if time_at(5) <= r['started'] < time_at(6)])
        for empty in ('camera=&q=&from=&to=&verdict=&limit=&cursor=', 'unknown=1', '&&', 'limit', 'q=%20', 'q=%22%2A'):
            self.assertEqual(self.page(hub, empty)['total'], 48, empty)

    def test_bad_values(self):
        """400, and the field that is to blame; in the message what is allowed."""
        hub = self.start_hub()
        bad = {
            'limit': ('0', '-1', '501', '1.5', 'x', '99999999999999999999', '0x10', '5%20', '1' * 300, '%00', '%ff'),
            'verdict': ('good', 'Complete', 'complete,gaps', '*', '%', 'recording%00', 'x' * 500),
            'from': ('yesterday', '2026', '2026-13-01', '2026-02-30', '2026-01-01T25:00:00Z', '2026-01-01T00:00:00',
                     '2026-01-01T00:00:00.Z', '2026-1-1', '1700000000', '-', '2026-01-01%00', '9' * 400),
            'to': ('tomorrow', '2026-02-29', '2026-01-01T00:00Z', "2026-01-01'"),
            'cursor': ('x', '00', '%ff', 'ab' * 20, 'g' * 40, '00' * 300, '0' * 33, '1' * 5000),
            'q': ('%ff', '%00', 'a%00b', '%c3%28', '%ed%a0%80', '%', '%4', '%zz', 'x' * 201, 'x' * 5000,
                  quote('ä' * 201), quote(' '.join('w%dx' % n for n in range(17)))),
            'camera': ('%ff', 'a%00', '%', 'x' * 3000),
        }
        for field, values in bad.items():
            for value in values:
                with self.subTest(field=field, value=value[:60]):
                    answer = ask(hub, 'GET', '/recordings?%s=%s' % (field, value))
                    self.assertEqual((answer.status, answer.error['code'], answer.error['field']),
                                     (400, 'bad_value', field), answer.body)
                    self.assertIn(field, answer.error['message'])
        self.assertEqual(self.page(hub, q='ä' * 200)['total'], 0)
        self.assertEqual(self.page(hub, q='\U0001f600' * 200)['total'], 0)
        self.assertEqual(self.page(hub, q='x' * 200)['total'], 0)
        self.assert_alive(hub)

    def test_words_are_no_query_language(self):
        """What FTS5 or SQL would take for an operator is text like any other."""
        folders.make(self.recordings, 'and_or', camera='AND OR', reason="it's NEAR", model='NOT')
        folders.make(self.recordings, 'plain', started=5, camera='plain', model='x')
        hub = self.start_hub()
        self.wait_ready(hub)
        for q, want in (('AND', ['and_or']), ('OR', ['and_or']), ('NOT', ['and_or']), ('plain OR and', []),
                        ('plain NOT and', []), ('NEAR(plain)', []), ('NEAR', ['and_or']), ('pla*', ['plain']),
                        ('"plain"', ['plain']), ('"', None), ('""', None), ("'", None), ("' OR 1=1 --", []),
                        ('id:plain', []), ('text:plain', []), ('{id}: plain', []), ('(plain', ['plain']),
                        ('plain)', ['plain']), ('^plain', ['plain']), ('plain + x', ['plain']), ('-plain', ['plain']),
                        ('=as', ['plain']), ('=a=b', ['plain']), ('=v1', []), ('%', None), ('_', None), ('\\', None),
                        ('plain;DROP TABLE rec', []), ('\u2028', []), ('pl\u0301', []), ('\ufeff', []),
                        ('\U0010ffff', []), ('plain ' * 30, ['plain']), ('or\nnear', ['and_or']), ('"' * 200, None),
                        ('(' * 200, None)):
            with self.subTest(q=q):
                self.assertEqual(self.ids(hub, q=q), ['plain', 'and_or'] if want is None else want)

    def test_long_lists_by_pages(self):
        """Every page size leads through the whole list, in the same order."""
        for n in range(23):
            folders.make(self.recordings, 's%02d' % n, started=0 if 5 <= n < 15 else n)
        hub = self.start_hub()
        self.wait_ready(hub)
        whole = self.ids(hub)
        self.assertEqual(len(set(whole)), 23)
        for limit in (1, 2, 5, 22, 23, 24, 500):
            self.assertEqual(self.ids(hub, limit=limit), whole, limit)
        self.assertEqual(len(self.page(hub, limit='007')['recordings']), 7)
        cursor = self.page(hub, limit=5)['next']
        self.assertEqual(self.page(hub, cursor=cursor, limit=2)['recordings'],
                         self.page(hub, cursor=cursor)['recordings'][:2])
        changed = cursor[:-1] + ('0' if cursor[-1] != '0' else '1')
        self.assertEqual(ask(hub, 'GET', '/recordings?cursor=' + changed).status, 400)

    @weight(3)
    def test_pages_while_sessions_come_and_go(self):
        """Nothing that stays is skipped or comes twice, whatever is recorded or deleted in between."""
        for n in range(30):
            folders.make(self.recordings, 's%02d' % n, started=n // 2)
        hub = self.start_hub()
        self.wait_ready(hub)
        whole = self.ids(hub)
        page, seen, gone = self.page(hub, limit=4), [], set()
        for turn in range(20):
            seen += [r['id'] for r in page['recordings']]
            if not page['next']:
                break
            doomed = [seen[-1], seen[0]] + [i for i in whole[len(seen) + 1:len(seen) + 2]]
            for name in set(doomed) - gone:
                self.delete(hub, name)
                gone.add(name)
            if turn in (1, 3):
                self.record(hub, 'late%d' % turn)
            page = self.page(hub, limit=4, cursor=page['next'])
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(seen, [i for i in whole if i in seen])
        self.assertLessEqual(set(whole) - gone, set(seen))


class Requests(RecordingsTest):
    def test_methods(self):
        folders.make(self.recordings, 'one')
        hub = self.start_hub()
        self.wait_ready(hub)
        for path, allowed in (('/recordings', 'GET, HEAD'), ('/recordings/one', 'GET, HEAD, DELETE'),
                              ('/recordings/none', 'GET, HEAD, DELETE')):
            for method in ('POST', 'PUT', 'PATCH', 'OPTIONS', 'DELETE'):
                if method in allowed:
                    continue
                with self.subTest(method=method, path=path):
                    answer = ask(hub, method, path)
                    self.assertEqual((answer.status, answer.fields.get('allow')), (405, allowed))
                    self.assertEqual(json.loads(answer.body)['error']['code'], 'method')
        self.assertEqual(self.ids(hub), ['one'])

    def test_head(self):
        folders.make(self.recordings, 'one')
        hub = self.start_hub()
        self.wait_ready(hub)
        for path in ('/recordings', '/recordings?limit=0', '/recordings/one', '/recordings/none', '/recordings/..'):
            with self.subTest(path=path):
                got, head = ask(hub, 'GET', path), ask(hub, 'HEAD', path)
                self.assertEqual((head.status, head.body), (got.status, b''))
                for name in ('content-type', 'content-length', 'cache-control'):
                    self.assertEqual(head.fields.get(name), got.fields.get(name), name)

    def test_pipelined(self):
        """Answers come in the order of the requests, those that wait for the disk among those that do not."""
        for n in range(3):
            folders.make(self.recordings, 's%d' % n, started=n)
        hub = self.start_hub()
        self.wait_ready(hub)
        requests = [('GET', '/recordings?limit=1'), ('GET', '/status'), ('DELETE', '/recordings/s1'),
                    ('GET', '/recordings/s1'), ('HEAD', '/recordings'), ('GET', '/recordings'),
                    ('GET', '/recordings?limit=0'), ('DELETE', '/recordings/s1'), ('GET', '/recordings/s2')]
        peer = self.peer(hub)
        peer.send(''.join('%s /api/v1%s HTTP/1.1\r\nHost: x\r\n\r\n' % r for r in requests).encode())
        got = []
        for method, path in requests:
            status, fields, body = peer.response(head_only=method == 'HEAD')
            if method != 'HEAD':
                check_answer(method, '/api/v1' + path, status, fields, body)
            got.append((status, body))
        self.assertEqual([status for status, _ in got], [200, 200, 204, 404, 200, 200, 400, 404, 200])
        self.assertEqual([r['id'] for r in json.loads(got[5][1])['recordings']], ['s2', 's0'])

    def test_peers_that_do_not_wait(self):
        for n in range(40):
            folders.make(self.recordings, 's%02d' % n, started=n)
        hub = self.start_hub()
        for n in range(120):
            peer = self.peer(hub)
            method, path = (('GET', ''), ('GET', '/s%02d' % (n % 40)), ('DELETE', '/s%02d' % (n // 6)))[n % 3]
            peer.send(b'%s /api/v1/recordings%s HTTP/1.1\r\nHost: x\r\n\r\n' % (method.encode(), path.encode()))
            [peer.close, peer.reset, peer.shut_down][n // 3 % 3]()
        self.wait_ready(hub)
        left = self.ids(hub)
        self.assertEqual(sorted(left), sorted(s.id for s in hub.sessions()))
        self.assertEqual(set(left) & {'s%02d' % n for n in range(20, 40)}, {'s%02d' % n for n in range(20, 40)})
        self.assert_alive(hub)

    def test_many_at_once(self):
        for n in range(60):
            folders.make(self.recordings, 's%02d' % n, started=n)
        hub = self.start_hub()
        self.wait_ready(hub)
        faults = []

        def work(number):
            try:
                for turn in range(6):
                    if self.page(hub, limit=10)['total'] > 60:
                        raise AssertionError('too many')
                    ask(hub, 'GET', '/recordings/s%02d' % (10 * number + turn))
                    self.delete(hub, 's%02d' % (10 * number + turn))
            except Exception as fault:
                faults.append(fault)
        workers = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual(faults, [])
        self.assertEqual(self.page(hub)['total'], 24)


class Ids(RecordingsTest):
    BAD = ('..', '.', '%2e%2e', '%2e', '.%2e', '%2e.', '/', '%2f', '../one', '%2e%2e/one', '..%2fone', 'one/..',
           'one/', 'one%2f', 'one/session.json', 'one%2fsession.json', '%2fone', './one', 'one/.', DATABASE, 'file',
           'images', 'linked', 'dangling', 'to_outside', 'empty', 'sub', '.deleted-one~', 'x' * 127, 'x' * 128,
           'x' * 900, 'one%20', '%20one', 'ONE', '%ff', '%c3%28', 'on%65/..', '*', 'o*', '%25', "one'--", '%5c', '~')

    def outside(self):
        """A session beside the recordings folder, and links to it and to all kinds of things inside."""
        folders.make(self.root, 'outside')
        folders.make(self.recordings, 'one')
        folders.make(self.recordings, 'sub_', started=3)
        for source, name in (('../outside', 'linked'), ('nowhere', 'dangling'), ('..', 'to_outside'), ('one', 'again')):
            os.symlink(source, os.path.join(self.recordings, name))
        os.mkdir(os.path.join(self.recordings, 'empty'))
        os.makedirs(os.path.join(self.recordings, 'images', 'one'))
        for path in ('images/frame_1.jpg', 'images/one/frame_1.jpg', 'file'):
            with open(os.path.join(self.recordings, path), 'wb') as file:
                file.write(b'\xff\xd8')
        os.makedirs(os.path.join(self.recordings, 'sub'))
        folders.make(os.path.join(self.recordings, 'sub'), 'inner')

    def snapshot(self):
        found = {}
        for folder, inner, names in os.walk(self.root):
            for name in inner + names:
                path = os.path.join(folder, name)
                if not name.startswith(('hub-', DATABASE)):
                    found[path] = os.lstat(path).st_mtime_ns if os.path.isfile(path) else None
        return found

    def test_hostile_ids(self):
        self.outside()
        hub = self.start_hub()
        self.wait_ready(hub)
        before = self.snapshot()
        self.assertEqual(self.ids(hub), ['sub_', 'one'])
        for name in self.BAD:
            for method in ('GET', 'DELETE'):
                with self.subTest(name=name[:40], method=method):
                    answer = ask(hub, method, '/recordings/' + name)
                    self.assertEqual((answer.status, answer.error['code']), (404, 'unknown_recording'))
        for name in ('%00', 'one%00', '%0a', 'one%0d%0a', '%7f', '%', '%2'):
            for method in ('GET', 'DELETE'):
                with self.subTest(name=name, method=method):
                    self.assertEqual(ask(hub, method, '/recordings/' + name).status, 400)
        for method in ('GET', 'DELETE'):
            self.assertEqual(ask(hub, method, '/recordings/' + 'x' * 2000).status, 414)
        self.assertEqual(self.snapshot(), before)
        self.assertEqual(self.ids(hub), ['sub_', 'one'])

    def test_odd_names(self):
        """Folders may have any name that is text; each is found by its own, and no other."""
        names = ['blank between', 'ä ö', 'percent%20', 'a+b', 'quo"te\'s', 'semi;colon', '日本', 'back\\slash', '-rf',
                 'q?x=1#y', '<script>', '\U0001f600', 'n' * 126]
        for n, name in enumerate(names):
            folders.make(self.recordings, name, started=n)
        for name in (b'bad\xff', b'line\nfeed', b'del\x7f'):
            os.mkdir(os.path.join(self.recordings.encode(), name))
            with open(os.path.join(self.recordings.encode(), name, b'stream.mp4'), 'wb'):
                pass
        hub = self.start_hub()
        self.wait_ready(hub)
        self.assertEqual(self.ids(hub), names[::-1])
        for name in names:
            with self.subTest(name=name):
                self.assertEqual(self.details(hub, name)['recording']['id'], name)
                self.assertEqual(hub.get('/recordings/%s/stream.mp4' % quote(name))[0], 200)
                self.delete(hub, name)
                self.assertFalse(os.path.exists(os.path.join(self.recordings, name)))
        self.assertEqual(len(os.listdir(self.recordings.encode())) -
                         len([n for n in os.listdir(self.recordings) if n.startswith(DATABASE)]), 3)


class Deleting(RecordingsTest):
    def test_delete(self):
        hub = self.start_hub()
        listener = self.listen(hub)
        one, other = self.record(hub, 'one'), self.record(hub, 'other')
        answer = self.delete(hub, one.id)
        self.assertNotIn('content-length', answer.fields)
        self.assertFalse(os.path.exists(one.folder))
        self.assertEqual(listener.wait_kind('recording_deleted')['id'], one.id)
        for method in ('GET', 'DELETE', 'HEAD'):
            self.assertEqual(ask(hub, method, '/recordings/' + one.id).status, 404)
        self.assertEqual(hub.get('/recordings/%s/stream.mp4' % one.id)[0], 404)
        self.assertEqual(self.ids(hub), [other.id])
        self.assertEqual(self.ids(hub, q='one'), [])
        wait_until(lambda: self.status(hub) == {'sessions': 1, 'state': 'ready'}, 5, 'one in the status')
        self.assert_sound(other)
        self.assertEqual([m['id'] for m in listener.of('recording_deleted')], [one.id])
        self.assertRegex(hub.log_text(), r'recording %s was deleted' % one.id)
        self.assertEqual([n for n in os.listdir(self.recordings) if n.startswith('.deleted')], [])

    def test_of_another_site(self):
        folders.make(self.recordings, 'one')
        hub = self.start_hub()
        self.wait_ready(hub)
        listener = self.listen(hub)
        for origin in ('http://evil.example', 'null', 'http://127.0.0.1', 'http://127.0.0.1:1', '',
                       'https://127.0.0.1:%d.evil.example' % hub.port, 'file://'):
            with self.subTest(origin=origin):
                self.assertEqual(self.delete(hub, 'one', 403, Origin=origin).error['code'], 'origin')
        self.assertEqual(self.ids(hub), ['one'])
        self.assertEqual(listener.of('recording_deleted'), [])
        self.delete(hub, 'one', Origin='http://127.0.0.1:%d' % hub.port)

    @weight(3)
    def test_while_it_is_recorded(self):
        """409, and the recording goes on to its end with nothing missing."""
        hub = self.start_hub()
        listener = self.listen(hub)
        cam, messages = self.camera(hub, 'bench'), phone(2).phone(steady(60, 33))
        cam.started()
        sending = cam.send_in_background(messages, paced=2)
        session = hub.wait_session()[0]
        tries = 0
        while not sending.done():
            answer = self.delete(hub, session.id, 409)
            self.assertEqual(answer.error['code'], 'recording')
            tries += 1
        self.assertGreater(tries, 5)
        sending.result()
        cam.stopped()
        cam.settle()
        self.assert_sound(hub.wait_finished()[0])
        self.assert_payloads(session, messages)
        self.assert_times(session, messages)
        listener.wait(lambda m: m['type'] == 'recording' and m['recording']['verdict'] == 'complete', 'its end')
        self.assertEqual(listener.of('recording_deleted'), [])
        self.delete(hub, session.id)

    @weight(3)
    def test_while_its_picture_is_made(self):
        """It goes at once; the late ffmpeg brings nothing of it back, and the list does not either."""
        script = os.path.join(self.root, 'late-ffmpeg')
        with open(script, 'w') as file:
            file.write('#!/bin/bash\nwhile [ ! -e %s/go ]; do sleep 0.05; done\nexec ffmpeg "$@"\n' % self.root)
        os.chmod(script, 0o755)
        hub = self.start_hub(env={'FFMPEG_BIN': script}, thumbnails=True)
        listener = self.listen(hub)
        session = self.record(hub, 'bench')
        self.delete(hub, session.id)
        open(os.path.join(self.root, 'go'), 'w').close()
        hub.wait_log(r'%s: no thumbnail|thumbnail could not be put' % session.id)
        wait_until(lambda: not processes.marked(hub.mark, but=(hub.pid,)), 10, 'no children')
        self.assert_alive(hub)
        self.assertEqual(hub.sessions('bench'), [])
        self.assertEqual(self.ids(hub, camera='bench'), [])
        after = [m for m in listener.messages if m['type'] in ('recording', 'recording_deleted')]
        late = itertools.dropwhile(lambda m: m['type'] != 'recording_deleted', after)
        self.assertFalse([m for m in late if m['type'] == 'recording' and m['recording']['id'] == session.id])

    def test_what_cannot_be_deleted(self):
        """A session with a link in it: what the link leads to stays, and so do link and folder."""
        target = os.path.join(self.root, 'precious')
        os.mkdir(target)
        with open(os.path.join(target, 'data'), 'w') as file:
            file.write('dear')
        folders.make(self.recordings, 'one')
        os.symlink(target, os.path.join(self.recordings, 'one', 'link'))
        os.mkdir(os.path.join(self.recordings, 'one', 'inner'))
        os.symlink('../..', os.path.join(self.recordings, 'one', 'inner', 'up'))
        hub = self.start_hub()
        self.wait_ready(hub)
        self.assertGreaterEqual(ask(hub, 'DELETE', '/recordings/one').status, 400)
        self.assertTrue(os.path.exists(os.path.join(target, 'data')))
        self.assertTrue(os.path.islink(os.path.join(self.recordings, 'one', 'link')))
        self.assert_alive(hub)

    def test_download_meanwhile(self):
        """A download that is under way gets all of it."""
        data = os.urandom(1 << 20) * 10
        folders.make(self.recordings, 'one', files=(('stream.mp4', data),))
        hub = self.start_hub()
        self.wait_ready(hub)
        peer = self.peer(hub)
        peer.send(b'GET /recordings/one/stream.mp4 HTTP/1.1\r\nHost: x\r\n\r\n')
        head = peer.take_until(b'\r\n\r\n')
        self.assertIn(b' 200 ', head)
        self.delete(hub, 'one')
        self.assertEqual(hub.get('/recordings/one/stream.mp4')[0], 404)
        body = bytearray(peer.take(0) or peer.buffer)
        while len(body) < len(data):
            piece = peer.socket.recv(1 << 20)
            self.assertTrue(piece, 'the hub closed after %d bytes' % len(body))
            body += piece
        self.assert_same_bytes(bytes(body), data, 'body')


class ByHand(RecordingsTest):
    def test_copied_and_deleted_between_runs(self):
        for n in range(4):
            folders.make(self.recordings, 's%d' % n, started=n)
        hub = self.start_hub()
        self.wait_ready(hub)
        # While it runs:
        folders.make(self.recordings, 'copied', started=2.5)
        shutil.rmtree(os.path.join(self.recordings, 's1'))
        self.assertEqual(ask(hub, 'GET', '/recordings/s1').status, 404)
        self.assertEqual(self.details(hub, 'copied')['recording']['id'], 'copied')
        self.assertEqual(self.ids(hub), ['s3', 'copied', 's2', 's0'])
        folders.make(self.recordings, 'unseen', started=9)
        shutil.rmtree(os.path.join(self.recordings, 's0'))
        self.assertEqual(hub.stop(), [])
        # While it is down:
        os.rename(os.path.join(self.recordings, 's3'), os.path.join(self.recordings, 'renamed'))
        folders.make(self.recordings, 'offline', started=1)
        folder = os.path.join(self.recordings, 's2')
        with open(os.path.join(folder, 'session.json'), 'w') as file:
            json.dump(folders.report('s2', started=2, verdict='damaged', reason='somebody wrote so'), file)
        hub = self.start_hub()
        self.wait_ready(hub)
        self.assertEqual(self.ids(hub), ['unseen', 'renamed', 'copied', 's2', 'offline'])
        self.assertEqual(self.ids(hub, verdict='damaged'), ['s2'])
        self.assertEqual(self.ids(hub, q='somebody'), ['s2'])
        self.assertFalse(os.path.exists(self.database + '.broken'))

    def test_deleted_while_it_is_recorded(self):
        """Somebody removes the folder of a running session: the list loses it, the hub records on."""
        hub = self.start_hub()
        listener = self.listen(hub)
        cam = self.camera(hub, 'bench')
        cam.started()
        cam.send(phone(1).phone(count=10))
        cam.settle()
        name = listener.wait_kind('recording')['recording']['id']
        shutil.rmtree(os.path.join(self.recordings, name))
        cam.stopped()
        cam.settle()
        listener.wait(lambda m: m['type'] == 'recording_deleted' and m['id'] == name, 'its end')
        self.assertEqual(ask(hub, 'GET', '/recordings/' + name).status, 404)
        self.assertNotIn(name, self.ids(hub))
        self.assert_alive(hub)

    def test_of_the_original_server(self):
        """Folders with its video: as they are, unknown, and looking does not change them. With a bare stream.h264
        only: finished by the hub, as after an interruption."""
        clip = phone(1)
        for name, files in (('10-0-0-5_4711_20250102_030405', ('stream.h264', 'stream.mp4')),
                            ('door_20250102_030406', ('stream.h264',)), ('pond_20250102_030407', ('stream.mp4',)),
                            ('no_time', ('stream.mp4',))):
            folder = os.path.join(self.recordings, name)
            os.makedirs(folder)
            for file_name in files:
                if file_name == 'stream.h264':
                    shutil.copy(clip.path, os.path.join(folder, file_name))
                else:
                    subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-i', clip.path, '-c', 'copy',
                                    '-video_track_timescale', '90000', os.path.join(folder, file_name)], check=True)
            folders.age(folder, 3600)
        before = {s.id: self.sizes(s.folder) for s in hub_sessions(self.recordings)}
        hub = self.start_hub()
        self.wait_ready(hub)
        self.wait_listed(hub, 'door_20250102_030406', 'recovered')
        listed = {r['id']: r for r in self.pages(hub)}
        self.assertEqual(set(listed), set(before))
        for session in hub_sessions(self.recordings):
            recording, sizes = listed[session.id], self.sizes(session.folder)
            with self.subTest(name=session.id):
                self.assertEqual((recording['video'], recording['bytes']), ('stream.mp4', sum(sizes.values())))
                url = 'http://127.0.0.1:%d/recordings/%s/stream.mp4' % (hub.port, session.id)
                self.assertEqual(len(media.packets(url)), 30)
                details = self.details(hub, session.id)
                self.assertEqual({f['name']: f['bytes'] for f in details['files']}, sizes)
                if session.has('session.json'):
                    self.assert_tells(recording, session)
                    continue
                self.assertEqual(sizes, before[session.id])
                self.assertEqual((recording['verdict'], recording['ended'], recording['duration'], details['report']),
                                 ('unknown', None, None, None))
        self.assertEqual(listed['door_20250102_030406']['camera'], 'door')
        self.assertEqual(listed['10-0-0-5_4711_20250102_030405']['camera'], '10-0-0-5_4711')
        self.delete(hub, 'no_time')
        self.assertEqual(len(self.ids(hub, verdict='unknown')), 2)

    def test_bad_reports(self):
        """Whatever lies in session.json: the session is in the list, and the answer keeps to the contract."""
        good = folders.report('x')
        deep = '[' * 100000
        bad = [b'', b'{', b'[]', b'null', b'"x"', b'{}', deep.encode(), b'\xff\xfe', b'{"format": 99}',
               json.dumps(dict(good, format='1')).encode(), json.dumps(dict(good, duration=-5)).encode(),
               json.dumps(dict(good, duration=1e308)).encode(), json.dumps(dict(good, started='never')).encode(),
               json.dumps(dict(good, started=5, ended=[], camera=7, counts='x', files=3)).encode(),
               json.dumps(dict(good, started='9999-12-31T23:59:59.999Z')).encode(),
               json.dumps(dict(good, started='0000-01-01T00:00:00.000Z')).encode(),
               json.dumps(dict(good, verdict='recording')).encode(), json.dumps(dict(good, verdict='fine')).encode(),
               json.dumps(dict(good, counts={'frames': -1, 'missing': 2**62})).encode(),
               json.dumps(dict(good, counts={'frames': 1.5, 'missing': True})).encode(),
               json.dumps(dict(good, reason='r' * 100000, camera={'name': 'ä' * 5000})).encode(),
               json.dumps(dict(good, reason='\x00\x01\u2028', camera={'name': 'a\x00b'})).encode(),
               b'{"format": 1, "format": 2}', b'{"format": 1, "duration": NaN}', b'\x00' * 5000]
        for n, data in enumerate(bad):
            folders.make(self.recordings, 'bad%02d' % n)
            with open(os.path.join(self.recordings, 'bad%02d' % n, 'session.json'), 'wb') as file:
                file.write(data)
        os.makedirs(os.path.join(self.recordings, 'folder_as_report', 'session.json'))
        open(os.path.join(self.recordings, 'folder_as_report', 'stream.mp4'), 'w').close()
        os.makedirs(os.path.join(self.recordings, 'fifo_as_report'))
        os.mkfifo(os.path.join(self.recordings, 'fifo_as_report', 'session.json'))
        os.mkfifo(os.path.join(self.recordings, 'fifo_as_report', 'frames.idx'))
        open(os.path.join(self.recordings, 'fifo_as_report', 'stream.mp4'), 'w').close()
        hub = self.start_hub()
        self.wait_ready(hub)
        listed = self.ids(hub)
        self.assertEqual(set(listed), {'bad%02d' % n for n in range(len(bad))} | {'folder_as_report', 'fifo_as_report'})
        for name in listed:
            with self.subTest(name=name):
                self.details(hub, name)
                if name.startswith('bad'):  # 409: the hub is about to finish what looks interrupted
                    wait_until(lambda: ask(hub, 'DELETE', '/recordings/' + name).status != 409, 10, 'not busy')
                    self.assertEqual(ask(hub, 'GET', '/recordings/' + name).status, 404)
                    self.assertFalse(os.path.exists(os.path.join(self.recordings, name)))
        self.assert_alive(hub)

    @weight(4)
    def test_killed_in_the_middle(self):
        """After kill -9 while sessions run: listed again, the cut ones as recovered when they have been finished."""
        hub = self.start_hub()
        done = self.record(hub, 'done')
        cams = [self.camera(hub, 'cut%d' % n) for n in range(3)]
        for cam in cams:
            cam.started()
            cam.send(phone(2).phone(count=40))
            cam.settle()
        sessions = hub.wait_session('cut', 3)
        wait_until(lambda: all(s.has('stream.h264') and len(s.h264()) > 5000 for s in sessions), 10, 'data')
        hub.kill()
        hub = self.start_hub()
        listener = self.listen(hub)
        for session in sessions:
            self.wait_listed(hub, session.id, 'recovered')
        self.assertEqual(set(self.ids(hub)), {done.id} | {s.id for s in sessions})
        for session in hub.sessions('cut'):
            self.assert_details(hub, session)
        self.wait_ready(hub)
        self.assertEqual(self.status(hub)['sessions'], 4)
        self.assertIsNone(listener.fault)

    @weight(4)
    def test_killed_at_any_time(self):
        """Reading, recording and deleting cut off at several moments: the next list is that of the folder."""
        for n in range(200):
            folders.make(self.recordings, 's%03d' % n, started=n)
        for turn in range(5):
            hub = self.start_hub()
            cam = self.camera(hub, 'cut%d' % turn)
            cam.started()
            cam.send(phone(1).phone(count=5))
            for n in range(6 * turn):
                peer = self.peer(hub)
                peer.send(b'DELETE /api/v1/recordings/s%03d HTTP/1.1\r\nHost: x\r\n\r\n' % (40 * turn + n))
            time.sleep(0.03 * turn)
            hub.kill()
        hub = self.start_hub()
        self.wait_ready(hub)
        self.assertEqual(sorted(self.ids(hub, limit=500)), sorted(s.id for s in hub.sessions()))
        self.assertEqual([n for n in os.listdir(self.recordings) if n.startswith('.deleted')], [])
        self.assertFalse(os.path.exists(self.database + '.broken'))


def hub_sessions(recordings):
    return [idx.Session(os.path.join(recordings, n)) for n in os.listdir(recordings)
            if os.path.isdir(os.path.join(recordings, n))]


class Trouble(RecordingsTest):
    """A database that is not as the hub left it. The folders are the truth, so nothing is lost."""

    def fill(self, count=30):
        for n in range(count):
            folders.make(self.recordings, 's%03d' % n, started=n)
        return ['s%03d' % n for n in reversed(range(count))]

    def ready_hub(self, **options):
        hub = self.start_hub(**options)
        self.wait_ready(hub)
        return hub

    def known(self):
        """Fills the folder and lets a hub make the list of it."""
        names = self.fill()
        hub = self.ready_hub()
        self.assertEqual(hub.stop(), [])
        return names

    def junk_behind(self, database):
        """Overwrites all but the first page, and makes a hub that has read them read them again."""
        database.execute('UPDATE rec SET bytes = bytes + 1')
        database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        with open(self.database, 'r+b') as file:
            file.seek(4096)
            file.write(os.urandom(os.path.getsize(self.database) - 4096))

    def test_bad_files_at_start(self):
        names = self.known()
        whole = open(self.database, 'rb').read()

        def write(data):
            with open(self.database, 'wb') as file:
                file.write(data)

        def sql(*statements):
            write(whole)
            with sqlite3.connect(self.database) as database:
                for statement in statements:
                    database.execute(statement)
            database.close()
        cases = {
            'empty': lambda: write(b''),
            'text': lambda: write(b'these are not the pages\n' * 500),
            'half': lambda: write(whole[:len(whole) // 2]),
            'first page only': lambda: write(whole[:4096]),
            'junk behind the first page': lambda: write(whole[:4096] + os.urandom(len(whole) - 4096)),
            'junk in the middle': lambda: write(whole[:8192] + b'\xa5' * 20000 + whole[28192:]),
            'another version': lambda: sql('PRAGMA user_version = 99'),
            'another application': lambda: sql('PRAGMA application_id = 7'),
            'foreign': lambda: (os.unlink(self.database), sqlite3.connect(self.database).execute('CREATE TABLE x(y)')),
            'rows gone': lambda: sql('DELETE FROM rec WHERE id < "s015"'),
            'index gone': lambda: sql("INSERT INTO words(words) VALUES('delete-all')"),
            'table gone': lambda: sql('DROP TABLE words'),
            'a foreign row': lambda: sql('UPDATE rec SET id = "gone" WHERE id = "s003"'),
            'text as numbers': lambda: sql('UPDATE rec SET parts = "x", bytes = "y", verdict = 77, key = key + 1'),
            'a folder': lambda: (os.unlink(self.database), os.mkdir(self.database)),
            'a link': lambda: (os.unlink(self.database), os.symlink('/etc/hostname', self.database)),
            'deleted': lambda: os.unlink(self.database),
            'a foreign journal': lambda: (write(whole), open(self.database + '-wal', 'wb').write(os.urandom(9000))),
        }
        for what, damage in cases.items():
            for name in (self.database, self.database + '-wal', self.database + '-shm', self.database + '.broken'):
                if os.path.isdir(name) and not os.path.islink(name):
                    shutil.rmtree(name)
                elif os.path.lexists(name):
                    os.unlink(name)
            write(whole)
            damage()
            with self.subTest(what=what):
                hub = self.ready_hub()
                self.assertEqual(self.ids(hub, limit=500), names)
                self.assertEqual(self.ids(hub, q='s00'), names[-10:])
                self.assertEqual(hub.stop(), [])

    def test_damaged_while_it_runs(self):
        """The list is made anew by itself; until then there is an answer to everything."""
        names = self.fill(300)
        hub = self.ready_hub()
        cam = self.camera(hub, 'steady')
        cam.started()
        sending = cam.send_in_background(phone(2).phone(steady(60, 33)), paced=1)
        for damage in (lambda d: d.execute('DROP TABLE words'), self.junk_behind):
            database = sqlite3.connect(self.database, isolation_level=None)
            damage(database)
            database.close()
            wait_until(lambda: [r['id'] for r in self.page(hub, q='s29')['recordings']] == names[:10], 15,
                       lambda: 'ten of %s' % self.page(hub, q='s', limit=1))
            self.wait_ready(hub)
            self.assertEqual(self.page(hub, camera='door')['total'], 300)
        sending.result()
        cam.stopped()
        cam.settle()
        self.assertEqual([i for i in self.ids(hub, limit=500) if i[0] == 's' and i[1] != 't'], names)
        session = hub.wait_session('steady')[0]
        self.wait_listed(hub, session.id, 'complete')
        self.assert_sound(hub.sessions('steady')[0])

    def test_deleted_while_it_runs(self):
        self.fill()
        hub = self.ready_hub()
        for suffix in ('', '-wal', '-shm'):
            if os.path.exists(self.database + suffix):
                os.unlink(self.database + suffix)
        self.delete(hub, 's001')
        session = self.record(hub, 'later')
        self.assertEqual(len(self.ids(hub)), 30)
        self.assertEqual(hub.stop(), [])
        again = self.ready_hub()
        self.assertEqual(self.ids(again), [session.id] + ['s%03d' % n for n in reversed(range(30)) if n != 1])

    def lock(self, exclusive=False):
        database = sqlite3.connect(self.database, isolation_level=None, timeout=10)
        self.addCleanup(database.close)
        if exclusive:
            database.execute('PRAGMA locking_mode = EXCLUSIVE')
        database.execute('BEGIN EXCLUSIVE')
        return database

    @weight(6)
    def test_locked_by_another(self):
        """Recording goes on, everything is answered; once the lock is gone, the list catches up by itself."""
        self.fill(5)
        hub = self.ready_hub()
        listener = self.listen(hub)
        other = self.lock()
        cam = self.camera(hub, 'bench')
        messages = phone(1).phone()
        cam.record(messages)
        session = hub.wait_finished(1, prefix='bench')[0]
        self.assert_sound(session)
        self.assert_payloads(session, messages)
        for method, path in (('GET', ''), ('GET', '/s001'), ('DELETE', '/s002'), ('GET', '/none'), ('GET', '')):
            answer = ask(hub, method, '/recordings' + path)
            self.assertIn(answer.status, (200, 204, 404, 503), (path, answer.body))
        self.assertTrue(hub.alive())
        other.execute('ROLLBACK')
        listener.wait(lambda m: m['type'] == 'recording' and m['recording']['id'] == session.id and
                      m['recording']['verdict'] == 'complete', 'the session in the list')
        wait_until(lambda: self.ids(hub) == [session.id] + [n for n in ('s004', 's003', 's002', 's001', 's000')
                                                            if os.path.exists(os.path.join(self.recordings, n))],
                   10, lambda: 'the whole list: %s' % self.ids(hub))
        self.assertEqual(self.status(hub)['sessions'], len(self.ids(hub)))

    @weight(5)
    def test_end_while_it_is_locked(self):
        """Any number of questions may wait: SIGTERM ends the hub in time."""
        self.fill(5)
        hub = self.ready_hub()
        self.lock()
        for n in range(20):
            peer = self.peer(hub)
            peer.send(b'GET /api/v1/recordings/s001 HTTP/1.1\r\nHost: x\r\n\r\n')
        cam = self.camera(hub, 'bench')
        cam.started()
        cam.send(phone(1).phone(count=10))
        cam.settle()
        self.assertTrue(hub.alive())
        begin = time.monotonic()
        self.assertEqual(hub.stop(), [])
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(hub.sessions('bench')[0].state(), 'finished')

    @weight(4)
    def test_locked_at_start(self):
        names = self.known()
        database = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(database.close)
        database.execute('PRAGMA locking_mode = EXCLUSIVE')
        database.execute('BEGIN EXCLUSIVE')
        database.execute('UPDATE rec SET bytes = 1')
        hub = self.ready_hub()
        self.assertEqual(self.ids(hub), names)
        self.assertEqual(self.ids(hub, q='s001'), ['s001'])
        self.delete(hub, 's002')
        self.record(hub, 'bench')
        self.assertEqual(self.page(hub)['total'], 30)

    @weight(4)
    def test_folder_that_cannot_be_written(self):
        """For a user who may not write there any more: the list is still there, deleting is refused and says why."""
        if os.geteuid() != 0 or not shutil.which('setpriv'):
            self.skipTest('needs root and setpriv, to be somebody else')
        self.fill(5)
        folders.make(self.recordings, 'secret', started=50)
        os.chmod(self.root, 0o755)
        for folder, _, names in os.walk(self.recordings):
            for path in [folder] + [os.path.join(folder, n) for n in names]:
                os.chown(path, 65534, 65534)
        os.chown(os.path.join(self.recordings, 'secret'), 0, 0)
        os.chmod(os.path.join(self.recordings, 'secret'), 0)
        os.chmod(self.recordings, 0o777)
        program = os.environ['CAMHUB_BIN']
        wrapper = os.path.join(self.root, 'as-nobody')
        with open(wrapper, 'w') as file:
            file.write('#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups --pdeathsig KILL %s "$@"\n' %
                       program)
        os.chmod(wrapper, 0o755)
        os.environ['CAMHUB_BIN'] = wrapper
        hub = self.ready_hub()
        names = ['s%03d' % n for n in reversed(range(5))]
        self.assertEqual([i for i in self.ids(hub) if i != 'secret'], names)
        os.chmod(self.recordings, 0o555)
        os.chown(self.recordings, 0, 0)
        answer = self.delete(hub, 's001', 500)
        self.assertIn('ermission', answer.error['message'])
        self.assertEqual(ask(hub, 'GET', '/recordings/s001').status, 200)
        self.assertGreaterEqual(ask(hub, 'GET', '/recordings/secret').status, 400)
        self.assertEqual([i for i in self.ids(hub) if i != 'secret'], names)
        self.assertTrue(hub.alive())
        os.chown(self.recordings, 65534, 65534)
        os.chmod(self.recordings, 0o755)
        self.delete(hub, 's001')
        os.environ['CAMHUB_BIN'] = program


class LongLists(RecordingsTest):
    COUNT = 3000

    def fill(self, count=COUNT):
        for n in range(count):
            folders.make(self.recordings, 'door_%05d' % n, started=n)

    @weight(8)
    def test_start_and_end(self):
        """The hub serves at once, answers what it knows while it reads, ends in the middle of it, and goes on."""
        self.fill()
        hub = self.start_hub()
        self.assertEqual(hub.get('/healthz')[0], 200)
        cam = self.camera(hub, 'bench')
        cam.started()
        cam.send(phone(1).phone(count=10))
        cam.settle()
        totals = []
        for _ in range(2):
            totals.append(self.page(hub, limit=5)['total'])
            self.assertLessEqual(len(self.page(hub, q='door', limit=3)['recordings']), 3)
            self.assertEqual(self.details(hub, 'door_00007')['recording']['id'], 'door_00007')
        self.assertEqual(totals, sorted(totals))
        self.assertEqual(hub.stop(), [])  # most likely it is not at the end of the folder yet
        self.assertEqual(hub.sessions('bench')[0].state(), 'finished')

        hub = self.start_hub()
        listener = self.listen(hub)
        listener.wait(lambda m: m['type'] == 'status' and m['status']['catalogue'] ==
                      {'sessions': self.COUNT + 1, 'state': 'ready'}, 'a ready list', 40)
        found = [r['id'] for r in self.pages(hub, limit=500, camera='door')]
        self.assertEqual(found, ['door_%05d' % n for n in reversed(range(self.COUNT))])
        for n in range(0, self.COUNT, 500):
            self.delete(hub, 'door_%05d' % n)
        self.assertEqual(self.page(hub, q='door')['total'], self.COUNT - 6)
        self.assertEqual(hub.stop(), [])

        hub = self.start_hub()
        self.assertEqual(self.page(hub)['total'], self.COUNT - 5)  # what the run before knew, at once
        self.wait_ready(hub)
        self.assertEqual(self.page(hub, q='door')['total'], self.COUNT - 6)

    @weight(5)
    def test_deleted_while_it_is_read(self):
        self.fill(1000)
        hub = self.start_hub()
        gone = ['door_%05d' % n for n in range(0, 1000, 40)]
        for name in gone:
            self.delete(hub, name)
        self.wait_ready(hub, 40)
        found = self.ids(hub, limit=500)
        self.assertEqual(len(found), 1000 - len(gone))
        self.assertFalse(set(found) & set(gone))


if __name__ == '__main__':
    unittest.main()
