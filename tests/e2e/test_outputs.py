"""Outputs: what a camera sends, pushed on by ffmpeg to servers that are well, slow, dead, or not there yet."""
import asyncio
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import annexb
import clips
import films
import flvread
import jpegs
import processes
import prometheus
from camera import loop
from cases import long, phone, weight
from clips import BASE_MS
from contract import ask
from hub import wait_until
from listener import Listener
from servers import (EXAMPLES, ROOT, RTMP_MODULE, DeafRtsp, Listening, Nginx, Program, Receiver, example_of_nginx,
                     free_port, require, require_program)
from sources import SourceTest, details, file_source, processes_of, wait_state, write_config
from viewer import Viewer

STEP_MS = 33
SLICES = (1, 2, 5)


def slices(sample):
    """What servers may not touch: parameter sets and delimiters come and go with the format."""
    return tuple(n for n in flvread.sample_nals(sample) if n[0] & 31 in SLICES)


def slices_of(message):
    return tuple(n for n in annexb.nal_units(message.payload) if n[0] & 31 in SLICES)


def film_of(clip, seconds, first=BASE_MS, sequence=0):
    """The clip again and again; no picture is like another to us, as each has its time."""
    out = clip.phone(clips.steady(len(clip.units), STEP_MS, first), sequence)
    while len(out) * STEP_MS < seconds * 1000:
        pictures = len(out) - 1
        out += clip.phone(clips.steady(len(clip.units), STEP_MS, first + pictures * STEP_MS), sequence + len(out),
                          sets=False)
    return out


class Sending:
    """A camera that records and sends until it is told to end."""

    def __init__(self, cam, messages, paced=1):
        self.cam, self.messages, self.count, self.over = cam, messages, 0, False
        cam.started()
        self.future = asyncio.run_coroutine_threadsafe(cam._send_all(messages, paced, self._next), loop())

    def _next(self):
        self.count += not self.over
        return self.over

    def end(self):
        """The messages that were sent."""
        self.over = True
        self.future.result(60)
        self.cam.stopped()
        self.cam.settle()
        return self.messages[:self.count]


class OutputTest(SourceTest):
    def outputs_hub(self, *outputs, sources=(), **options):
        process = {'crash_threshold': 32, 'stall_timeout': 15, 'shutdown_timeout': 0, **options.pop('process', {})}
        return self.source_hub(sources, outputs, process=process, **options)

    def output(self, hub, camera='roof', number=0):
        return details(hub, camera)['outputs'][number]

    def wait_output(self, hub, *states, camera='roof', number=0, timeout=20, where=lambda o: True):
        def there():
            now = self.output(hub, camera, number)
            return now if now['state'] in states and where(now) else None
        return wait_until(there, timeout, lambda: '%s: %s' % (states, self.output(hub, camera, number)), step=0.05)

    def roof(self, hub, seconds=12, clip=None, name='roof', first=BASE_MS):
        """A phone that sends; (camera, its messages)."""
        cam = self.camera(hub, name)
        messages = film_of(clip or phone(2, gop=15), seconds, first)
        sending = cam.send_in_background(messages)
        self.addCleanup(sending.cancel)
        return cam, messages

    def assert_received(self, flv, messages, tolerance_ms=0, timed=0):
        """Pictures of the camera, one after the other from a key frame on, at the camera's steps. `timed`: the first
        that has a time; of RTP the first picture may come before the clock does."""
        sent = [m for m in messages if m.picture]
        where = {}
        for number, message in enumerate(sent):
            where.setdefault(slices_of(message), number)
        period = len(where)
        at = [where.get(slices(p.sample)) for p in flv.pictures]
        self.assertNotIn(None, at, 'a picture that was not sent')
        self.assertEqual(at, [(at[0] + n) % period for n in range(len(at))])
        self.assertTrue(sent[at[0]].key and flv.pictures[0].key)
        self.assertEqual([p.key for p in flv.pictures], [sent[n].key for n in at])
        for number, picture in enumerate(flv.pictures[timed:]):
            want = flv.pictures[timed].pts + number * STEP_MS
            self.assertLessEqual(abs(picture.pts - want), tolerance_ms, 'picture %d' % (timed + number))

    def watch(self, hub):
        viewer = Viewer(hub, 'roof', '?format=flv')
        self.addCleanup(viewer.abort)
        return viewer

    def assert_undisturbed(self, hub, viewer, messages):
        """Recording and viewer have all that was sent."""
        session = hub.wait_finished()[0]
        self.assert_sound(session)
        self.assert_payloads(session, messages)
        self.assert_times(session, messages)
        viewer.wait(lambda: len(viewer.binaries()) >= len(messages))
        pictures = flvread.read(b''.join(viewer.binaries())).pictures
        self.assertEqual([slices(p.sample) for p in pictures], [slices_of(m) for m in messages[1:]])

    def children(self, hub):
        return [p for p in processes_of(self.mark) if p.pid != hub.pid]


class Servers(OutputTest):
    @weight(10)
    def test_phone_to_rtmp(self):
        """Through nginx and back: every picture byte for byte; figures in the API and /metrics."""
        server = Nginx(self).start()
        receiver = Receiver(self, 90, '-i', server.url('roof')).start()
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('roof')})
        listener = Listener(hub)
        self.addCleanup(listener.abort)
        cam, messages = self.roof(hub)
        flv = receiver.flv()
        self.assert_received(flv, messages)
        self.assertEqual(len(flv.pictures), 90)
        self.assertEqual(flv.sounds, [])
        now = self.wait_output(hub, 'running')
        self.assertEqual((now['name'], now['url'], now['format']), ('roof-1', server.url('***'), 'flv'))
        self.assertEqual((now['restarts'], now['dropped'], now['error'], now['retry']), (0, 0, None, None))
        self.assertGreaterEqual(now['frames'], 90)
        self.assertGreater(now['bytes'], sum(len(p.sample) for p in flv.pictures))
        metrics, later = prometheus.read(hub), self.output(hub)
        for name, figure in (('frames', 'frames'), ('bytes', 'bytes')):
            value = prometheus.value(metrics, 'output_%s_total' % name, camera='roof', output='roof-1')
            self.assertTrue(now[figure] <= value <= later[figure], (now[figure], value, later[figure]))
        for name in ('restarts', 'dropped'):
            self.assertEqual(prometheus.value(metrics, 'output_%s_total' % name, camera='roof', output='roof-1'), 0)
        self.assertEqual(prometheus.value(metrics, 'output_running', camera='roof', output='roof-1'), 1)
        self.assertEqual(details(hub, 'roof')['figures']['viewers'], 0)
        listener.wait(lambda m: m['type'] == 'camera' and m['camera']['outputs'] and
                      m['camera']['outputs'][0]['state'] == 'running', 'the event')

    @weight(8)
    def test_source_to_rtmp(self):
        """With its sound; the output alone keeps the source running, and is a name in the configuration."""
        film = films.film(4)
        server = Nginx(self).start()
        receiver = Receiver(self, 60, '-i', server.url('film')).start()
        hub = self.outputs_hub({'camera': 'film', 'url': server.url('film'), 'name': 'to-nginx', 'format': 'flv'},
                               sources=[file_source('film', film)])
        flv = receiver.flv()
        films.Known(film).check(flv.pictures, flv.sounds)
        self.assertGreater(len(flv.sounds), 60)
        now = details(hub, 'film')
        self.assertEqual((now['source']['state'], now['figures']['viewers'], now['outputs'][0]['name']),
                         ('running', 0, 'to-nginx'))
        write_config(self.root, [file_source('film', film)], [],
                     process={'crash_threshold': 32, 'stall_timeout': 15, 'shutdown_timeout': 0})
        hub.signal(signal.SIGHUP)
        wait_state(hub, 'film', 'stopped')
        self.assertEqual(details(hub, 'film')['outputs'], [])
        wait_until(lambda: not self.children(hub), 10, 'ffmpeg is gone')

    @weight(8)
    def test_rtsp_and_srt(self):
        """To receivers that listen, of a phone, at the same time."""
        rtsp, srt = free_port(), free_port()
        secret = 'over-the-hills'
        receivers = [
            Receiver(self, 45, '-rtsp_flags', 'listen', '-i', 'rtsp://127.0.0.1:%d/roof' % rtsp).start(),
            Receiver(self, 45, '-i', 'srt://127.0.0.1:%d?mode=listener&passphrase=%s&pbkeylen=16' % (
                srt, secret)).start()]
        hub = self.outputs_hub(
            {'camera': 'roof', 'url': 'rtsp://127.0.0.1:%d/roof' % rtsp},
            {'camera': 'roof', 'url': 'srt://127.0.0.1:%d?passphrase=%s&pbkeylen=16' % (srt, secret)})
        cam, messages = self.roof(hub)
        for number, receiver in enumerate(receivers):
            flv = receiver.flv()
            self.assert_received(flv, messages, 2, timed=1 - number)
            self.assertEqual(self.output(hub, number=number)['format'], ('rtsp', 'mpegts')[number])
        self.assertNotIn(secret, hub.log_text() + json.dumps(details(hub, 'roof')))

    @weight(10)
    def test_sound_by_rtsp_and_srt(self):
        film = films.film(4)
        rtsp, srt = free_port(), free_port()
        receivers = [Receiver(self, 45, '-rtsp_flags', 'listen', '-i', 'rtsp://127.0.0.1:%d/film' % rtsp).start(),
                     Receiver(self, 45, '-i', 'srt://127.0.0.1:%d?mode=listener' % srt).start()]
        self.outputs_hub({'camera': 'film', 'url': 'rtsp://127.0.0.1:%d/film' % rtsp},
                         {'camera': 'film', 'url': 'srt://127.0.0.1:%d' % srt}, sources=[file_source('film', film)])
        known = films.Known(film)
        where = {slices(p.sample): n for n, p in enumerate(known.pictures)}
        for receiver in receivers:
            flv = receiver.flv()
            at = [where[slices(p.sample)] for p in flv.pictures]
            self.assertEqual(at, [(at[0] + n) % len(where) for n in range(len(at))])
            heard = known.run_of(known.sound_at, [s.sample for s in flv.sounds], 'sound', again=(0, 1))
            self.assertGreater(len(heard), 40)
            # Picture and sound that belong together are still together.
            first = known.pictures[at[0]].pts - flv.pictures[0].pts
            drift = known.sounds[heard[10]].dts - flv.sounds[10].dts
            self.assertLess(abs(first - drift) % 4000, 60)


class Trouble(OutputTest):
    @weight(12)
    def test_server_comes_goes_and_comes(self):
        """Not there, there, killed, there: words for it, tried again, and nobody else notices."""
        server = Nginx(self)
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('KEY-of-roof')})
        cam = self.camera(hub, 'roof')
        quick = self.watch(hub)
        sending = Sending(cam, film_of(phone(2, gop=15), 60))
        now = self.wait_output(hub, 'waiting')
        self.assertIn('refused', now['error'].lower())
        self.assertGreater(now['retry'], 0)
        self.assertLessEqual(now['retry'], 2)
        server.start()
        now = self.wait_output(hub, 'running', where=lambda o: o['error'] is None)
        self.assertGreater(now['restarts'], 0)
        receiver = Receiver(self, 20, '-i', server.url('KEY-of-roof')).start()
        self.assertEqual(receiver.wait(), 0)
        server.kill()
        self.wait_output(hub, 'waiting')
        server.start()
        before = now['restarts']
        now = self.wait_output(hub, 'running', where=lambda o: o['error'] is None and o['restarts'] > before)
        receiver = Receiver(self, 20, '-i', server.url('KEY-of-roof')).start()
        self.assertEqual(receiver.wait(), 0)
        self.assert_undisturbed(hub, quick, sending.end())
        self.assertNotIn('KEY-of-roof', hub.log_text())
        self.assertTrue(hub.matches(r'roof: output roof-1 failed: .*refused; tried again'))

    @weight(12)
    def test_server_that_never_reads(self):
        """It is left, and tried again; recording and viewers are whole, and little is kept for it."""
        server = DeafRtsp(self)
        hub = self.outputs_hub({'camera': 'roof', 'url': 'rtsp://127.0.0.1:%d/roof' % server.port},
                               process={'stall_timeout': 1.5})
        cam = self.camera(hub, 'roof')
        quick = self.watch(hub)
        before = processes.resident_bytes(hub.pid)
        sending = Sending(cam, film_of(phone(4, size='640x480', bitrate='12000k', gop=15), 90), paced=3)
        now = self.wait_output(hub, 'waiting', timeout=30)
        self.assertIn('took nothing', now['error'])
        self.assertGreater(now['dropped'], 0)
        wait_until(lambda: server.taken >= 2, 20, 'it is tried again')
        grown = processes.resident_bytes(hub.pid) - before
        self.assert_undisturbed(hub, quick, sending.end())
        if not processes.sanitized():
            self.assertLess(grown, 64 << 20)

    def test_server_that_never_answers(self):
        """A socket that accepts and says nothing."""
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            listener.listen(8)
            url = 'rtmp://127.0.0.1:%d/live/KEY' % listener.getsockname()[1]
            hub = self.outputs_hub({'camera': 'roof', 'url': url}, process={'stall_timeout': 1})
            self.roof(hub, 12, clip=phone(4, size='640x480', bitrate='12000k', gop=15))  # more than pipes hold
            self.assertIn('took nothing', self.wait_output(hub, 'waiting')['error'])
            self.wait_output(hub, 'running', 'starting')

    def test_given_up(self):
        """Too often: said in the log; a camera that comes anew is pushed at once."""
        server = Nginx(self)
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('roof')}, process={'crash_threshold': 1})
        cam, _ = self.roof(hub)
        now = self.wait_output(hub, 'given_up')
        self.assertIn('refused', now['error'].lower())
        self.assertEqual(now['retry'], None)
        self.assertTrue(hub.matches(r'\[Error\] roof: output roof-1 failed too often: .*tried again once a minute'))
        cam.abort()
        self.wait_output(hub, 'stopped')
        server.start()
        self.roof(hub)
        self.wait_output(hub, 'running', where=lambda o: o['error'] is None and o['frames'] > 10)

    @long
    @weight(80)
    def test_tried_again_after_a_minute(self):
        server = Nginx(self)
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('roof')}, process={'crash_threshold': 1})
        self.roof(hub, 90)
        self.wait_output(hub, 'given_up')
        server.start()
        self.wait_output(hub, 'running', timeout=75, where=lambda o: o['frames'] > 10)

    def test_no_ffmpeg(self):
        hub = self.outputs_hub({'camera': 'roof', 'url': 'rtmp://127.0.0.1:1/live/KEY'}, ffmpeg='/nowhere/ffmpeg')
        self.roof(hub, 4)
        self.assertIn('/nowhere/ffmpeg', self.wait_output(hub, 'waiting')['error'])

    @weight(6)
    def test_hub_is_killed(self):
        """No ffmpeg is left, neither of an output that works nor of one that hangs."""
        server, deaf = Nginx(self).start(), DeafRtsp(self)
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('roof')},
                               {'camera': 'roof', 'url': 'rtsp://127.0.0.1:%d/roof' % deaf.port})
        self.roof(hub)
        self.wait_output(hub, 'running', where=lambda o: o['frames'] > 20)
        self.wait_output(hub, 'running', number=1)
        wait_until(lambda: deaf.taken, 10, 'RECORD')
        self.assertEqual(len(self.children(hub)), 2)
        hub.kill()
        wait_until(lambda: not processes_of(self.mark), 5, 'nothing is left of the hub')


class Cameras(OutputTest):
    @weight(12)
    def test_resolution_changes(self):
        """A new run with the new parameters; that is no failure."""
        server = Nginx(self).start()
        first = Receiver(self, 30, '-i', server.url('roof')).start()
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('roof')})
        cam = self.camera(hub, 'roof')
        small = film_of(phone(2, gop=15), 4)
        large = film_of(phone(2, gop=15, size='640x480'), 20, BASE_MS + STEP_MS * (len(small) - 1), len(small))
        sending = cam.send_in_background(small + large)
        self.assert_received(first.flv(), small)
        pids = {p.pid for p in self.children(hub)}
        wait_until(lambda: self.children(hub) and not pids & {p.pid for p in self.children(hub)}, 20, 'a new run')
        self.wait_output(hub, 'running')
        probe = subprocess.run(['ffprobe', '-v', 'error', '-show_entries', 'stream=width,height', '-of', 'csv=p=0',
                                '-i', server.url('roof')], stdout=subprocess.PIPE, timeout=30)
        self.assertEqual(probe.stdout.split(), [b'640,480'])
        now = self.wait_output(hub, 'running')
        self.assertEqual((now['restarts'], now['error'], now['dropped']), (0, None, 0))
        self.assertEqual(hub.matches(r'.*output roof-1 failed.*'), [])
        sending.cancel()

    @weight(12)
    def test_camera_comes_back(self):
        """Without it nothing runs; with it everything does, and again from a key frame on."""
        server = Nginx(self).start()
        first = Receiver(self, 30, '-i', server.url('roof')).start()
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('roof')})
        cam, messages = self.roof(hub)
        self.assert_received(first.flv(), messages)
        cam.abort()
        now = self.wait_output(hub, 'stopped')
        self.assertEqual((now['restarts'], now['error']), (0, None))
        wait_until(lambda: not self.children(hub), 10, 'ffmpeg is gone')
        second = Receiver(self, 30, '-i', server.url('roof')).start()
        cam, messages = self.roof(hub, first=77)  # its clock is another
        self.assert_received(second.flv(), messages)
        frames = self.wait_output(hub, 'running')['frames']
        self.assertGreaterEqual(frames, now['frames'] + 30)
        self.assertEqual(self.output(hub)['restarts'], 0)

    def test_short_break(self):
        """A camera that is back within two seconds: one stream, or two, but no failure."""
        server = Nginx(self).start()
        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('roof')})
        cam, _ = self.roof(hub)
        frames = self.wait_output(hub, 'running', where=lambda o: o['frames'] > 20)['frames']
        cam.abort()
        hub.wait_log('roof: disconnected')
        self.roof(hub, first=77)
        self.wait_output(hub, 'running', where=lambda o: o['frames'] > frames + 20)
        self.assertEqual(self.output(hub)['restarts'], 0)
        receiver = Receiver(self, 20, '-i', server.url('roof')).start()
        self.assertEqual(receiver.wait(), 0)

    def test_nobody(self):
        """Of a camera that never comes, of one that never sends, and of a JPEG camera, which says why."""
        server = Nginx(self)  # not started
        hub = self.outputs_hub({'camera': 'nobody', 'url': server.url('a')}, {'camera': 'mute', 'url': server.url('b')},
                               {'camera': 'eye', 'url': server.url('c')})
        self.camera(hub, 'mute')
        eye = jpegs.Esp(hub, 'eye')
        self.addCleanup(eye.abort)
        eye.picture(jpegs.pictures(1)[0])
        eye.settle()
        now = self.wait_output(hub, 'stopped', camera='eye', where=lambda o: o['error'])
        self.assertIn('JPEG', now['error'])
        mute = self.output(hub, 'mute')
        self.assertEqual((mute['state'], mute['error'], mute['bytes']), ('stopped', None, 0))
        self.assertEqual(ask(hub, 'GET', '/cameras/nobody').status, 404)
        metrics = prometheus.read(hub)
        for camera in ('nobody', 'mute', 'eye'):
            self.assertEqual(prometheus.value(metrics, 'output_running', camera=camera, output=camera + '-1'), 0)
        self.assertEqual(self.children(hub), [])
        self.assertEqual(len(hub.matches(r'eye: output eye-1: .*JPEG')), 1)


class Configuration(OutputTest):
    @weight(8)
    def test_reload(self):
        """SIGHUP adds, changes and takes away; what has not changed goes on in the same ffmpeg."""
        server = Nginx(self).start()
        process = {'crash_threshold': 32, 'stall_timeout': 15, 'shutdown_timeout': 0}

        def load(*keys):
            write_config(self.root, [], [{'camera': 'roof', 'url': server.url(k), 'name': k} for k in keys],
                         process=process)
            hub.signal(signal.SIGHUP)
            wait_until(lambda: [o['name'] for o in details(hub, 'roof')['outputs']] == sorted(keys), 10, keys)

        hub = self.outputs_hub({'camera': 'roof', 'url': server.url('b'), 'name': 'b'})
        self.roof(hub, 20)
        self.wait_output(hub, 'running')
        pid = self.children(hub)[0].pid
        load('a', 'b')
        self.wait_output(hub, 'running', where=lambda o: o['frames'] > 5)
        self.assertEqual(Receiver(self, 10, '-i', server.url('a')).start().wait(), 0)
        self.assertIn(pid, [p.pid for p in self.children(hub)])
        load('a')
        wait_until(lambda: len(self.children(hub)) == 1, 10, 'one is gone')
        self.assertNotEqual(self.children(hub)[0].pid, pid)
        load()
        wait_until(lambda: not self.children(hub), 10, 'all are gone')
        self.assertNotIn('output', ''.join(name for name, _ in prometheus.read(hub)))

    @weight(6)
    def test_secrets(self):
        """Stream keys, user names, passwords, passphrases: in no log, answer, event, or title but ffmpeg's own."""
        server = Nginx(self).start()
        dead = free_port()
        secrets = ['KEY0work1ng', 'joeSecretUser', 'hushPass77', 'KEY0dead99', 'passphrase0fsrt', 'tok3nInQuery']
        urls = [server.url(secrets[0]), 'rtmp://%s:%s@127.0.0.1:%d/live/%s' % (*secrets[1:3], dead, secrets[3]),
                'srt://127.0.0.1:%d?passphrase=%s&connect_timeout=300' % (dead, secrets[4]),
                'rtsp://%s:%s@127.0.0.1:%d/x?token=%s' % (*secrets[1:3], dead, secrets[5])]
        hub = self.outputs_hub(*({'camera': 'roof', 'url': url} for url in urls), args=('--log-level', 'debug'),
                               process={'crash_threshold': 2})
        listener = Listener(hub)
        self.addCleanup(listener.abort)
        self.roof(hub, 10)
        self.wait_output(hub, 'running', where=lambda o: o['frames'] > 20)
        for number in (1, 3):
            self.assertIn('refused', self.wait_output(hub, 'waiting', 'given_up', number=number)['error'].lower())
        self.wait_output(hub, 'waiting', 'given_up', number=2)
        self.wait_output(hub, 'given_up', number=1)
        said = [hub.log_text(), hub.out_text(), json.dumps(details(hub, 'roof')), ' '.join(listener.texts)]
        said += [hub.get(path)[2].decode() for path in ('/metrics', '/api/v1/status', '/api/v1/cameras')]
        said += [' '.join(p.words) for p in processes_of(self.mark) if not p.words[0].endswith('ffmpeg')]
        for number, text in enumerate(said):
            for secret in secrets:
                self.assertNotIn(secret, text, 'text %d' % number)
        self.assertEqual(self.output(hub, number=1)['url'], 'rtmp://***@127.0.0.1:%d/live/***' % dead)


class Documented(OutputTest):
    @weight(15)
    def test_hls(self):
        """The commands of docs/sources-and-outputs.md with the files of docs/examples, at free ports and below a folder
        of the test in place of /tmp: pictures and sound come out of nginx as HLS."""
        require(os.path.exists(RTMP_MODULE), 'libnginx-mod-rtmp')
        require_program('nginx', 'nginx-light')
        with open(os.path.join(ROOT, 'docs', 'sources-and-outputs.md')) as file:
            lines = [line.strip() for line in file if line.startswith('    ')]
        serve_nginx = next(line for line in lines if line.startswith('nginx '))
        serve_hub = next(line for line in lines if line.startswith('camhub serve --config docs/examples/output'))
        url = next(line for line in lines if line.endswith('.m3u8'))
        rtmp, http = free_port(), free_port()
        examples = os.path.join(self.root, 'docs', 'examples')
        os.makedirs(examples)
        os.chmod(self.root, 0o755)
        temporary = os.path.join(self.root, 'tmp')
        os.makedirs(temporary)
        with open(os.path.join(examples, 'nginx-rtmp.conf'), 'w') as file:
            file.write(example_of_nginx(rtmp, http, temporary))
        with open(os.path.join(EXAMPLES, 'output-to-nginx.json')) as file:
            text = file.read()
        self.assertEqual(text.count(':1935/'), 1)
        with open(os.path.join(examples, 'output-to-nginx.json'), 'w') as file:
            file.write(text.replace(':1935/', ':%d/' % rtmp))
        self.assertIn(' -p /tmp', serve_nginx)
        serve_nginx = serve_nginx.replace(' /tmp', ' ' + temporary)
        path = {'PATH': os.environ['PATH'] + ':/usr/sbin'}
        Listening(self, 'nginx', rtmp, 'bash', '-c', 'exec ' + serve_nginx, cwd=self.root, env=path).start()
        words = shlex.split(serve_hub)
        hub = Program(self, 'hub', os.environ['CAMHUB_BIN'], *words[1:], cwd=self.root, env={
            'CAMHUB_HUB_PORT': '0', 'CAMHUB_HUB_HOST': '127.0.0.1', 'FFMPEG_BIN': 'ffmpeg'}).start()
        self.assertTrue(url.startswith('http://localhost:8088/'))
        url = url.replace('localhost:8088', '127.0.0.1:%d' % http)

        def playlist():
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    self.assertEqual(answer.headers['Content-Type'], 'application/vnd.apple.mpegurl')
                    self.assertEqual(answer.headers['Access-Control-Allow-Origin'], '*')
                    return answer.read().decode()
            except urllib.error.HTTPError as error:
                self.assertEqual(error.code, 404)

        def segments():
            return re.findall(r'^[^#\s].*$', playlist() or '', re.M)
        wait_until(lambda: len(segments()) >= 2, 40, lambda: 'segments: %s\n%s' % (playlist(), hub.said()), step=0.2)
        probe = subprocess.run(['ffprobe', '-v', 'error', '-show_entries', 'stream=codec_name,width,height', '-of',
                                'csv=p=0', url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=40)
        self.assertEqual(sorted(set(probe.stdout.decode().split())), ['aac', 'h264,640,360'], probe.stderr)
        with urllib.request.urlopen(url.rpartition('/')[0] + '/' + segments()[0], timeout=5) as answer:
            self.assertEqual(answer.headers['Content-Type'], 'video/mp2t')
            segment = os.path.join(self.root, 'segment.ts')
            with open(segment, 'wb') as file:
                file.write(answer.read())
        shown = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-i', segment, '-map', '0:v', '-map', '0:a', '-f',
                                'framecrc', '-'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=40)
        self.assertEqual((shown.returncode, shown.stderr), (0, b''))
        kinds = [line[:1] for line in shown.stdout.splitlines() if line[:1] in b'01']
        self.assertGreaterEqual(kinds.count(b'0'), 40)  # two seconds of 25
        self.assertGreaterEqual(kinds.count(b'1'), 70)
        wait_until(lambda: 'output bench-1 goes to rtmp://' in hub.said(), 20, 'the log says so')
        hub.process.send_signal(signal.SIGTERM)
        self.assertEqual(hub.wait(10), 0, hub.said())
