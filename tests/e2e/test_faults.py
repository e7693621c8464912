"""Disks that fail: the n-th write, sync, open or rename; a full file system; folders that cannot be written."""
import os
import shutil
import signal
import subprocess
import time
import unittest

import annexb
import clips
import idx
import media
import processes
from cases import HubTest, long, needs, phone, weight
from hub import Hub, wait_until

class Strace:
    """Attached to a running hub: watches system calls, or makes them fail or late."""

    def __init__(self, hub, calls, *options):
        self.log = os.path.join(hub.root, 'strace.log')
        self.process = subprocess.Popen(
            ['strace', '-f', '-qq', '-o', self.log, '-e', 'trace=' + calls, '-e', 'signal=none', *options,
             '-p', str(hub.pid)], stderr=subprocess.PIPE)
        wait_until(lambda: self.attached(hub), 5, 'strace attached')

    def attached(self, hub):
        if self.process.poll() is not None:
            raise unittest.SkipTest('strace cannot trace here: %s' % self.process.stderr.read().decode())
        for task in os.listdir('/proc/%d/task' % hub.pid):
            with open('/proc/%d/task/%s/status' % (hub.pid, task)) as file:
                if 'TracerPid:\t0\n' in file.read():
                    return False
        return True

    def end(self):
        """Lets the hub go; what was seen, line by line."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        self.process.stderr.close()
        with open(self.log, errors='replace') as file:
            return file.read().splitlines()


class Injected(HubTest):
    """One hub; session after session with another call failing. It stays up and says what broke, once."""

    def record_under(self, hub, call, error, when, name):
        """A session of ten key frames; what was injected and the session's folder, if there is one."""
        messages = clips.made(2, gop=6, size='160x120', bitrate='60k').phone(clips.steady(60, 15))
        trace = Strace(hub, call, '-e', 'inject=%s:error=%s:when=%s' % (call, error, when))
        try:
            cam = self.camera(hub, name)
            cam.started()
            cam.send(messages, paced=1)
            cam.stopped()
            cam.settle()
            self.assertTrue(cam.open(), 'the camera stays connected')
            if not str(when).endswith('+'):
                wait_until(lambda: self.ended(hub, name), 8, 'session finished', 0.05)
        finally:
            hits = [line for line in trace.end() if 'INJECTED' in line]
        cam.close()
        found = hub.sessions(name + '_')
        return messages, hits, found[0] if found else None

    def ended(self, hub, name):
        """Finished, or said that it could not be."""
        finished = all(s.finished() for s in hub.sessions(name + '_'))
        return finished or hub.matches(name + r'\S*/session.json could not be')

    def check(self, hub, call, error, when, name):
        start = len(hub.log_text())
        messages, hits, session = self.record_under(hub, call, error, when, name)
        if not hits:
            return False
        complaints = [line for line in hub.log_text()[start:].splitlines() if '[Error]' in line]
        if not (session and session.verdict() == 'complete'):  # what a second attempt mended needs no word
            self.assertTrue(complaints, 'not a word about %s %s' % (call, hits))
        sessions = max(1, len(hub.sessions(name + '_')))  # a second attempt comes at once
        self.assertLessEqual(len(complaints), 7 * sessions if str(when).endswith('+') else 1, complaints)
        if session and session.finished():
            self.check_session(session, hits)
            self.check_nothing_lost(session, messages, hits)
        return True

    def check_session(self, session, hits):
        """What is there is sound; what broke is marked."""
        report = session.report()
        if report['verdict'] != 'damaged':
            self.assertEqual(session.problems(), [], hits)
        damaged = [f['name'] for f in report['files'] if f['damaged']]
        if damaged:
            self.assertEqual(report['verdict'], 'damaged')
        for name in session.parts():
            if name in damaged:
                check = media.mp4check(session.path(name), '--allow-tail')
                if check['packets'] == 0:
                    continue
            else:
                check = media.mp4check(session.path(name), '--layout', 'prog')
            self.assertEqual(check['errors'], [], '%s after %s' % (name, hits))

    def check_nothing_lost(self, session, messages, hits):
        """One failure costs a file at the most: every picture is in stream.h264 or in an MP4, or in both."""
        kept = set()
        for name in os.listdir(session.folder):
            if name.endswith('.h264'):
                kept.update(annexb.nal_units(session.read(name)))
        for number, name in enumerate(session.parts(), 1):
            for packet in media.packets(session.path(name)):
                data = session.read(name)[packet.position:packet.position + packet.size]
                kept.update(idx.sample_nals(data) or [])
        wanted = [m for m in messages if m.picture]
        lost = [m.sequence for m in wanted if not kept.issuperset(annexb.nal_units(m.payload))]
        self.assertFalse(lost, '%d of %d pictures are in no file after %s' % (len(lost), len(wanted), hits))

    def sweep(self, call, error, whens, least):
        """Fails the n-th call for each n; at least so many of them must have hit something."""
        hub = self.start_hub('--sync-interval', '0.2')
        hit = 0
        for when in whens:
            with self.subTest(call=call, error=error, when=when):
                hit += self.check(hub, call, error, when, '%s-%s' % (call.split(',')[0], str(when).strip('+')))
        self.assertGreaterEqual(hit, least, 'injections that hit')
        self.assert_alive(hub)
        hub.stop()
        hub = self.start_hub()
        for session in hub.wait_finished(len(hub.sessions())):  # what could not be ended is, at the next start
            with self.subTest(after='next start', session=session.id):
                self.check_session(session, 'the next start')

    @needs('strace')
    @weight(14)
    def test_pwritev(self):
        self.sweep('pwritev,pwrite64', 'EIO', (1, 2, 3, 5, 8, 12), 5)

    @needs('strace')
    @weight(9)
    def test_writes_that_fail_from_now_on(self):
        self.sweep('pwritev,pwrite64', 'ENOSPC', ('1+', '4+', '9+'), 3)

    @needs('strace')
    @weight(9)
    def test_fdatasync(self):
        self.sweep('fdatasync', 'EIO', (1, 2, 4, 7), 3)

    @needs('strace')
    @weight(7)
    def test_fsync(self):
        self.sweep('fsync', 'EIO', (1, 2, 3), 1)

    @needs('strace')
    @weight(12)
    def test_openat(self):
        self.sweep('openat', 'EMFILE', (1, 2, 3, 4, 6), 4)

    @needs('strace')
    @weight(5)
    def test_renameat(self):
        self.sweep('renameat,rename,renameat2', 'EACCES', (1, 2), 1)

    @needs('strace')
    @weight(5)
    def test_mkdirat(self):
        self.sweep('mkdirat,mkdir', 'EACCES', (1,), 1)

    @needs('strace')
    @weight(6)
    def test_the_session_goes_on_in_a_new_part(self):
        """A failed sync of the MP4 ends that file; what comes after the next key frame is in another."""
        hub = self.start_hub('--sync-interval', '0.2')
        for when in (1, 2, 3, 4, 5, 6):
            name = 'goeson%d' % when
            messages, hits, session = self.record_under(hub, 'fdatasync', 'EIO', when, name)
            if not session:
                continue
            damaged = [f['name'] for f in session.report()['files'] if f['damaged']]
            if damaged == ['stream.mp4']:
                break
        self.assertEqual(damaged, ['stream.mp4'])
        self.assertEqual(session.parts(), ['stream.mp4', 'stream_2.mp4'])
        self.assertEqual(media.mp4check(session.path('stream_2.mp4'), '--layout', 'prog')['errors'], [])
        self.assertEqual(session.report()['verdict'], 'damaged')
        self.assert_payloads(session, messages)
        self.assertEqual(len([x for x in hub.log_text().splitlines() if '[Error]' in x and name in x]), 1)

    @needs('strace')
    @long
    @weight(250)
    def test_every_call_in_turn(self):
        for call, error in (('pwritev,pwrite64', 'EIO'), ('fdatasync', 'ENOSPC'), ('openat', 'ENFILE'),
                            ('fsync', 'EIO'), ('ftruncate', 'EIO'), ('pread64,preadv', 'EIO'),
                            ('renameat,rename,renameat2', 'ENOSPC')):
            self.sweep(call, error, range(1, 25), 0)


class Synced(HubTest):
    @needs('strace')
    @weight(6)
    def test_data_and_index_once_per_second(self):
        """While frames come, every file is synced in time; afterwards nothing is left unsynced."""
        hub = self.start_hub()
        trace = Strace(hub, 'fdatasync,fsync,pwritev,pwrite64', '-y', '-ttt')
        cam = self.camera(hub, 'synced')
        cam.started()
        cam.send(phone(4).phone(clips.steady(105, 33)), paced=1)
        cam.stopped()
        session = hub.wait_finished()[0]
        lines = trace.end()
        for name in ('stream.mp4', 'stream.h264', 'frames.idx'):
            calls = [line.split(None, 2)[1:] for line in lines if '/%s>' % name in line]
            self.assert_in_time(name, [(float(when), 'sync' in call.split('(')[0]) for when, call in calls])
        folders = [x for x in lines if 'fsync(' in x and ('/%s>' % session.id in x or '/recordings>' in x)]
        self.assertGreaterEqual(len(folders), 3, 'folders synced after files were made')

    def assert_in_time(self, name, calls):
        dirty, syncs = None, 0
        for when, is_sync in calls:
            if is_sync:
                syncs += 1
                if dirty is not None:
                    self.assertLess(when - dirty, 1.5, '%s: written and not synced for that long' % name)
                dirty = None
            elif dirty is None:
                dirty = when
        self.assertIsNone(dirty, '%s: written and never synced' % name)
        self.assertGreaterEqual(syncs, 3, name)


class SlowDisk(HubTest):
    @needs('strace')
    @weight(25)
    def test_the_camera_waits(self):
        """Every write takes 0.1 s, the camera sends 140 MB: it is held back, memory is bounded, nothing is lost."""
        hub = self.start_hub()
        small = phone(2).phone(clips.steady(60, 20))
        filler = b'\0\0\0\1\x0c' + b'\xff' * (1 << 20) + b'\x80'
        large = [m._replace(payload=m.payload + filler) if m.picture else m
                 for m in phone(5).phone(clips.steady(140, 10), count=140)]
        trace = Strace(hub, 'pwritev,pwrite64', '-e', 'inject=pwritev,pwrite64:delay_enter=100000')
        witness, cam = self.camera(hub, 'witness'), self.camera(hub, 'fast')
        witness.started()
        other = witness.send_in_background(small, paced=1)
        cam.started()
        sending, peak = cam.send_in_background(large, paced=0), 0
        while not sending.done():
            peak = max(peak, processes.resident_bytes(hub.pid))
            time.sleep(0.02)
        sending.result()
        other.result(20)
        trace.end()
        for each in (witness, cam):
            each.stopped()
            each.settle(30)
        hub.wait_finished(2, timeout=30)
        self.assert_payloads(hub.sessions('fast')[0], large)
        self.assert_payloads(hub.sessions('witness')[0], small)
        self.assertTrue(hub.matches(r'\[Warning\] fast: .*disk'), 'the operator is told')
        if not processes.sanitized():
            self.assertLess(peak, 230 << 20, 'memory')


class FullDisk(HubTest):
    def mount(self, megabytes, options=''):
        if os.geteuid() != 0:
            self.skipTest('mounting needs root')
        folder = os.path.join(self.root, 'disk')
        os.mkdir(folder)
        made = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dm%s' % (megabytes, options), 'none', folder],
                              stderr=subprocess.DEVNULL)
        if made.returncode != 0:
            self.skipTest('cannot mount here')
        self.addCleanup(subprocess.run, ['umount', '-l', folder], stderr=subprocess.DEVNULL)
        return folder

    @weight(8)
    def test_full_and_free_again(self):
        """The session ends as damaged with what was written intact; with space back the hub records."""
        disk = self.mount(4)
        hub = self.start_hub(recordings=os.path.join(disk, 'recordings'))
        clip = clips.made(3, gop=10, size='640x480', bitrate='16M', x264='qp=18')
        cam = self.camera(hub, 'filler')
        cam.started()
        messages = [m._replace(sequence=n) for n, m in enumerate(clip.phone() * 3)]
        now = clips.BASE_MS
        for number, message in enumerate(messages):
            now += 15
            messages[number] = message._replace(device_ms=now if message.picture else 0)
        self.assertGreater(sum(len(m.payload) for m in messages) * 2, 6 << 20)
        cam.send(messages, paced=3)
        cam.stopped()
        cam.settle()
        hub.wait_log(r'\[Error\].*filler')
        wait_until(lambda: hub.process.poll() is not None or cam.open(), 2)
        self.assertTrue(hub.alive())
        time.sleep(0.5)
        session = hub.sessions('filler')[0]
        written = session.h264()
        whole = b''.join(m.payload for m in messages)
        self.assertTrue(whole.startswith(written))
        played = media.mp4check(session.path('stream.mp4'), '--allow-tail')
        self.assertEqual(played['errors'], [])
        self.assertGreater(played['packets'], 20)
        errors = [line for line in hub.log_text().splitlines() if '[Error]' in line]
        self.assertLessEqual(len(errors), 8, 'the log is flooded')
        big = max((os.path.join(session.folder, n) for n in os.listdir(session.folder)), key=os.path.getsize)
        copy = os.path.join(self.root, 'copy')
        shutil.copytree(session.folder, copy)
        os.truncate(big, 0)
        again = self.camera(hub, 'after')
        small = phone(1).phone()
        again.record(small)
        found = hub.wait_session('after')[0]
        wait_until(found.finished, 10, 'session after the full disk')
        self.assert_sound(found)
        self.assert_payloads(found, small)
        wait_until(lambda: session.finished() or not session.report(), 10,
                   lambda: 'filler is %s' % session.state())
        self.assertEqual(session.verdict(), 'damaged')
        self.assertEqual(session.report()['end_reason'], 'damaged')

    @long
    @weight(40)
    def test_full_for_half_a_minute(self):
        """The camera goes on and on: neither folders nor log lines pile up, and no file that exists is spoiled."""
        disk = self.mount(4)
        with open(os.path.join(disk, 'ballast'), 'wb') as file:
            file.write(bytes(3 << 20))
        hub = self.start_hub(recordings=os.path.join(disk, 'recordings'))
        clip = clips.made(3, gop=10, size='320x240', bitrate='6M', x264='qp=20')
        units = (clip.units * 12)[:900]
        messages = [clips.Message(clips.BASE_MS + n * 33, n, u.payload, u.key) for n, u in enumerate(units)]
        cam = self.camera(hub, 'patient')
        cam.started()
        cam.send(messages, paced=1)
        self.assertTrue(hub.alive())
        self.assertLessEqual(len(hub.sessions('patient')), 3, os.listdir(hub.recordings))
        errors = hub.matches(r'\[(?:Error|Warning)\]')
        self.assertLess(len(errors), 40, 'the log is flooded')
        os.remove(os.path.join(disk, 'ballast'))
        cam.send([m._replace(device_ms=m.device_ms + 30000) for m in messages[:240]], paced=1)
        cam.stopped()
        last = hub.wait_session('patient', len(hub.sessions('patient')))[-1]
        wait_until(last.finished, 10, 'the session after')
        self.assert_sound(last)
        self.assertGreater(len(last.pictures()), 50)

    @weight(5)
    def test_other_cameras_on_the_same_full_disk(self):
        """Five cameras meet the end of the disk together: every file plays, the hub stays."""
        disk = self.mount(4)
        hub = self.start_hub(recordings=os.path.join(disk, 'recordings'))
        clip = clips.made(3, gop=10, size='320x240', bitrate='6M', x264='qp=20')
        cams = [self.camera(hub, 'full%d' % n) for n in range(5)]
        futures = []
        for cam in cams:
            cam.started()
            futures.append(cam.send_in_background(clip.phone(clips.steady(90, 15)), paced=1))
        for cam, future in zip(cams, futures):
            future.result(30)
            cam.stopped()
            cam.settle()
        self.assertTrue(hub.alive())
        time.sleep(1)
        for session in hub.sessions('full'):
            for part in session.parts():
                if os.path.getsize(session.path(part)) > 20000:
                    self.assertEqual(media.mp4check(session.path(part), '--allow-tail')['errors'], [], part)


class Folders(HubTest):
    def refused(self, recordings, pattern=r'\[Error\]'):
        hub = Hub(self.root, recordings=recordings, wait=False)
        try:
            self.assertEqual(hub.wait_exit(5), 1)
            self.assertRegex(hub.log_text(), pattern)
            self.assertNotIn('listening on', hub.log_text())
        finally:
            hub.stop()
            hub.process.stdin.close()

    def test_made_if_missing(self):
        hub = self.start_hub(recordings=os.path.join(self.root, 'new'))
        self.assertTrue(os.path.isdir(os.path.join(self.root, 'new')))
        self.assert_alive(hub)

    def test_no_folder_possible(self):
        """A file where a folder should be; a parent that is a file; nothing to make it in."""
        plain = os.path.join(self.root, 'file')
        with open(plain, 'w') as file:
            file.write('x')
        for path in (plain, os.path.join(plain, 'under'), '/proc/recordings'):
            with self.subTest(path=path):
                self.refused(path)

    def test_read_only_file_system(self):
        FullDisk.mount(self, 1, ',ro')
        self.refused(os.path.join(self.root, 'disk'))

    def test_without_permission(self):
        """As a user who may not write there."""
        folder = os.path.join(self.root, 'locked')
        os.mkdir(folder, 0o555)
        os.chmod(self.root, 0o755)
        if os.geteuid() == 0:
            self.skipTest('root may write everywhere')
        self.refused(folder)

    def test_port_in_use(self):
        """The other thing that must be said at start."""
        first = self.start_hub()
        hub = Hub(self.root, '--port', str(first.port), wait=False)
        try:
            self.assertEqual(hub.wait_exit(5), 1)
            self.assertRegex(hub.log_text(), r'\[Error\].*%d' % first.port)
        finally:
            hub.process.stdin.close()

    def test_folder_vanishes(self):
        """Somebody removes the recordings folder while the hub runs: error, no crash, and back with it."""
        hub = self.start_hub()
        self.assert_alive(hub)
        os.rename(hub.recordings, hub.recordings + '.away')
        cam = self.camera(hub, 'orphan')
        cam.record(phone(1).phone())
        self.assertTrue(hub.alive())
        self.assertTrue(cam.open())
        if not os.path.isdir(hub.recordings):
            os.rename(hub.recordings + '.away', hub.recordings)
        self.assert_alive(hub)


if __name__ == '__main__':
    unittest.main()
