"""The list of recordings and what lies on the disk: folders that come and go, a database in trouble, interruptions,
long lists."""
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest

import folders
import idx
import media
from cases import phone, weight
from clips import steady
from contract import ask
from hub import wait_until
from recordings import RecordingsTest


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
        """Whoever writes over the file: everything is answered, recording goes on, and the next start has it all."""
        names = self.fill(300)
        hub = self.ready_hub()
        cam = self.camera(hub, 'steady')
        cam.started()
        sending = cam.send_in_background(phone(2).phone(steady(60, 33)), paced=1)
        for name in (self.database, self.database + '-wal'):
            with open(name, 'r+b') as file:
                file.write(os.urandom(os.path.getsize(name)))
        for query in ('', '?q=s29', '?camera=door', '?verdict=complete'):
            self.assertIn(ask(hub, 'GET', '/recordings' + query).status, (200, 503))
        sending.result()
        cam.stopped()
        cam.settle()
        session = hub.wait_finished(1, prefix='steady')[0]
        self.assert_sound(session)
        self.assertTrue(hub.alive())
        self.assertEqual(hub.stop(), [])
        again = self.ready_hub()
        self.assertEqual(self.ids(again, limit=500), [session.id] + names)
        self.assertEqual(self.page(again, camera='door')['total'], 300)

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

    def test_nobody_else_can_lock_it(self):
        """While the hub runs, the file is its own: other programs are told so, and are no harm."""
        self.fill(5)
        hub = self.ready_hub()
        other = sqlite3.connect(self.database, isolation_level=None, timeout=0.2)
        self.addCleanup(other.close)
        for statement in ('BEGIN EXCLUSIVE', 'SELECT count(*) FROM rec', 'DROP TABLE rec'):
            with self.assertRaises(sqlite3.OperationalError):
                other.execute(statement)
        session = self.record(hub, 'bench')
        self.assertEqual(self.ids(hub), [session.id] + ['s%03d' % n for n in (4, 3, 2, 1, 0)])

    @weight(5)
    def test_end_while_many_ask(self):
        """Any number of questions may wait: SIGTERM ends the hub in time."""
        self.fill(5)
        hub = self.ready_hub()
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
    """In memory, where there is a file system for it: making the folders would take longer than all else."""
    COUNT = 3000

    def setUp(self):
        super().setUp()
        if os.access('/dev/shm', os.W_OK):
            folder = tempfile.mkdtemp(prefix='ch-', dir='/dev/shm')
            self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
            self.recordings = os.path.join(folder, 'recordings')

    def start_hub(self, *args, **options):
        return super().start_hub(*args, recordings=self.recordings, **options)

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
