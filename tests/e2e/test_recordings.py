"""/api/v1/recordings: the list, its filters and pages, details, deletion, events; peers that do not behave."""
import itertools
import json
import os
import subprocess
import threading
import unittest

import folders
import media
import processes
from cases import phone, weight
from clips import steady
from contract import ask, check_answer
from hub import wait_until
from recordings import DATABASE, VERDICTS, RecordingsTest, quote


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

    def pictures(self):
        """Ten JPEGs."""
        path = os.path.join(self.root, 'pictures.mjpeg')
        subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=10',
                        '-t', '1', '-pix_fmt', 'yuvj420p', '-c:v', 'mjpeg', '-f', 'mjpeg', '-y', path], check=True)
        with open(path, 'rb') as file:
            return [b'\xff\xd8' + piece for piece in file.read().split(b'\xff\xd8')[1:]]

    @weight(5)
    def test_jpeg(self):
        """Of a JPEG camera, once its film is made."""
        pictures = self.pictures()
        hub = self.start_hub(env={'FFMPEG_BIN': 'ffmpeg'}, thumbnails=True)
        listener = self.listen(hub)
        cam = self.camera(hub, path='/esp/pond', ready=False)
        for picture in pictures:
            cam.binary(picture)
            cam.settle()
        first = listener.wait_kind('recording')['recording']
        self.assertEqual((first['camera'], first['kind'], first['verdict']), ('pond', 'jpeg', 'recording'))
        cam.close()
        session = hub.wait_finished(1, prefix='pond_')[0]
        done = listener.wait(lambda m: m['type'] == 'recording' and m['recording']['verdict'] == 'complete' and
                             m['recording']['video'] == 'stream.mp4', 'its film', 30)['recording']
        listed = wait_until(lambda: (lambda r: r if r['thumbnail'] else None)(self.pages(hub)[0]), 10, 'its picture')
        self.assertEqual((done['frames'], done['missing'], listed['kind']), (len(pictures), 0, 'jpeg'))
        details = self.details(hub, listed['id'])
        self.assertEqual({f['name']: f['bytes'] for f in details['files']}, self.sizes(session.folder))
        self.assertEqual(details['report'], session.report())
        self.assertLessEqual({'stream.mjpeg', 'stream.mp4', 'thumbnail.jpg'}, {f['name'] for f in details['files']})
        self.delete(hub, listed['id'])
        self.assertEqual(hub.sessions('pond_'), [])
        self.assertTrue(os.listdir(os.path.join(hub.recordings, 'images', 'pond')), 'the ring is none of it')
        self.assertEqual(self.page(hub)['total'], 0)

    @weight(5)
    def test_deleted_while_its_film_is_made(self):
        """409 as long as somebody works in the folder, and then it can be deleted; a film never brings it back."""
        hub = self.start_hub(env={'FFMPEG_BIN': self.late_ffmpeg()}, thumbnails=True)
        cam = self.camera(hub, path='/esp/pond', ready=False)
        for picture in self.pictures():
            cam.binary(picture)
        cam.settle()
        cam.close()
        session = hub.wait_finished(1, prefix='pond_')[0]
        wait_until(lambda: processes.marked(hub.mark, but=(hub.pid,)), 10, 'a film under way')
        tried = ask(hub, 'DELETE', '/recordings/' + session.id).status
        self.assertIn(tried, (204, 409))
        if tried == 409:
            self.assertEqual(self.ids(hub), [session.id])
        self.let_ffmpeg_go()
        if tried == 409:
            wait_until(lambda: ask(hub, 'DELETE', '/recordings/' + session.id).status == 204, 20, 'deleted')
        wait_until(lambda: not processes.marked(hub.mark, but=(hub.pid,)), 20, 'no children')
        self.assertEqual(hub.sessions('pond_'), [])
        self.assertEqual(self.pages(hub), [])
        self.assert_alive(hub)


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
        hub = self.start_hub(env={'FFMPEG_BIN': self.late_ffmpeg()}, thumbnails=True)
        listener = self.listen(hub)
        session = self.record(hub, 'bench')
        self.delete(hub, session.id)
        self.let_ffmpeg_go()
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


if __name__ == '__main__':
    unittest.main()
