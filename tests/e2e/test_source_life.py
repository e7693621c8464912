"""When a source's ffmpeg runs, and what becomes of the hub when it misbehaves: every mode of tests/tools/fakeffmpeg.
Secrets, /metrics, a configuration that is read again."""
import base64
import json
import os
import re
import signal
import time

import clips
import films
import jpegs
import prometheus
import processes
import sources
from cases import long, phone, weight
from contract import ask
from hub import wait_until
from sources import (SourceTest, command, details, file_source, free_port, source_states, state, wait_state, wait_told,
                     write_config)
from viewer import Viewer


def pids(found):
    return [p.pid for p in found]


def made_by(processes_found, name):
    """Those whose command line has this word in it."""
    return [p for p in processes_found if any(name in word for word in p.words)]


class Console(Viewer):
    """/dev: log lines."""

    def __init__(self, hub):
        self.lines = []
        super().__init__(hub, '', path='/dev')

    async def _read(self):
        async for message in self.socket:
            self.lines.append(message)


class Users(SourceTest):
    def test_life(self):
        """Started by the first who needs it, shared by all, kept for who comes in time, stopped behind the last."""
        path = films.film(2, gop=15)
        keeps, stops = {'shutdown_timeout': 600}, {'shutdown_timeout': 0.5}
        hub = self.source_hub([file_source('kept', path, process=keeps), file_source('quick', path, process=stops)])
        listener = self.listener(hub)
        self.assertEqual(self.children(hub), [])
        for name in ('kept', 'quick'):
            now = details(hub, name)
            self.assertEqual((now['state'], now['source']['state'], now['statistics']['pid'], now['stream']),
                             ('ready', 'stopped', None, None))
            self.assertEqual((now['source']['type'], now['source']['record']), ('file', 'command'))
            self.assertEqual(now['source']['description'], 'file ' + os.path.basename(path))
        first = {name: self.watcher(hub, name) for name in ('kept', 'quick')}
        for watcher in first.values():
            watcher.wait_pictures(3)
        pid = {name: wait_state(hub, name, 'running')['statistics']['pid'] for name in first}
        self.assertEqual(sorted(pids(self.children(hub))), sorted(pid.values()))
        second = self.watcher(hub, 'quick', 'http mp4')
        second.wait_pictures(3)
        self.assertEqual(details(hub, 'quick')['statistics']['pid'], pid['quick'])
        self.assertEqual(len(self.children(hub)), 2)
        first['quick'].abort()
        first['kept'].abort()
        wait_state(hub, 'kept', 'lingering')
        self.assertEqual(details(hub, 'quick')['source']['state'], 'running')
        self.watcher(hub, 'kept', 'http flv').wait_pictures(3)
        now = details(hub, 'kept')
        self.assertEqual((now['source']['state'], now['statistics']['pid'], now['statistics']['runs']),
                         ('running', pid['kept'], 1))
        second.abort()
        now = wait_state(hub, 'quick', 'stopped')
        self.assertEqual((now['statistics']['pid'], now['state'], now['source']['error'], now['source']['crashes']),
                         (None, 'ready', None, 0))
        wait_until(lambda: pids(self.children(hub)) == [pid['kept']], 10, 'one child is left')
        wait_until(lambda: source_states(listener, 'quick')[-1] == 'stopped', 10, 'the listener was told')
        self.watcher(hub, 'quick').wait_pictures(3)
        now = details(hub, 'quick')
        self.assertEqual((now['statistics']['runs'], now['source']['restarts']), (2, 0))
        wait_told(listener, 'quick', lambda s: s['state'] == 'running', 'runs')
        self.assert_states(listener, 'kept', 'stopped starting running lingering running')
        self.assert_states(listener, 'quick',
                           'stopped starting running lingering (stopping )?stopped starting running')
        sinces = [m['camera']['source']['since'] for m in listener.of('camera') if m['camera']['name'] == 'quick']
        self.assertEqual(sinces, sorted(sinces))
        self.assertEqual(hub.stop(), [])
        self.assertEqual(sources.processes_of(self.mark), [])

    def test_recording_without_viewers(self):
        """`start` runs it, `stop` ends that; `always` runs from the hub's start on. An output keeps it running, too."""
        path = films.film(2, gop=15)
        port = free_port()
        hub = self.source_hub(
            [file_source('cam', path), file_source('always', path, record='always'), file_source('pushed', path)],
            [{'camera': 'pushed', 'url': 'udp://127.0.0.1:%d' % port}], process={'shutdown_timeout': 0})
        listener = self.listener(hub)
        wait_state(hub, 'always', 'running')
        listener.wait_camera('always', 'recording')
        self.assertEqual(details(hub, 'cam')['source']['state'], 'stopped')
        command(hub, 'start', 'cam')
        listener.wait_camera('cam', 'recording')
        now = details(hub, 'cam')
        self.assertEqual((now['figures']['viewers'], now['source']['state']), (0, 'running'))
        wait_until(lambda: details(hub, 'cam')['figures']['frames'] >= 30, 20, 'a second of it')
        command(hub, 'stop', 'cam')
        session, = hub.wait_finished(1, prefix='cam_')
        self.assertEqual(session.report()['end_reason'], 'capture_stopped')
        self.assert_sound(session)
        wait_state(hub, 'cam', 'stopped')
        listener.wait_camera('cam', 'ready')
        output = wait_until(lambda: (lambda o: o if o['state'] == 'running' and o['frames'] > 20 else None)(
            details(hub, 'pushed')['outputs'][0]), 20, lambda: 'an output that runs: %s' % details(hub, 'pushed'))
        self.assertEqual((output['name'], output['format'], output['dropped']), ('pushed-1', 'mpegts', 0))
        self.assertEqual(details(hub, 'pushed')['source']['state'], 'running')
        self.assertEqual(len(self.children(hub)), 3)
        self.assertEqual(hub.stop(), [])
        always, = hub.wait_finished(1, prefix='always_')
        self.assert_sound(always)
        self.assertGreater(len(always.pictures()), 20)

    def test_operator(self):
        """Typed commands reach sources as they reach phones; what a phone would do with its own words is not meant."""
        path = films.film(2, gop=15)
        hub = self.source_hub([file_source('cam', path)], process={'shutdown_timeout': 0})
        hub.type('start 16:9 8 30')
        wait_until(lambda: details(hub, 'cam')['state'] == 'recording', 20, 'a recording')
        self.assertIn('recording', details(hub, 'cam')['answer']['text'])
        hub.type('start')  # again: it goes on as it is
        hub.type('status')
        hub.wait_log(r'cam\b.*record')
        hub.type('stop')
        hub.wait_finished(1, prefix='cam_')
        hub.type('stop')
        wait_state(hub, 'cam', 'stopped')
        self.assertEqual(len(hub.sessions('cam_')), 1)

    def test_the_name_belongs_to_the_source(self):
        """A phone that connects under it is sent away; so is an ESP32."""
        path = films.film(2, gop=15)
        hub = self.source_hub([file_source('bench', path)])
        for where in ('/android-cam/bench', '/esp/bench'):
            cam = self.camera(hub, path=where, ready=False)
            code, reason = cam.wait_closed()
            self.assertEqual((code, 'source' in reason), (1008, True), reason)
        self.assertEqual(state(hub, 'bench'), 'stopped')
        watcher = self.watcher(hub, 'bench')
        watcher.wait_pictures(5)
        films.Known(path).check(*watcher.items())

    def test_not_dismissed(self):
        """A source stays on the list as long as the configuration names it."""
        hub = self.source_hub([file_source('bench', films.film(2, gop=15))])
        answer = ask(hub, 'DELETE', '/cameras/bench')
        self.assertGreaterEqual(answer.status, 400)
        self.assertEqual(state(hub, 'bench'), 'stopped')


class Figures(SourceTest):
    def test_metrics(self):
        """Prometheus' text format, and the same figures as the API's."""
        path = films.film(2, gop=15)
        hub = self.source_hub([file_source('still', path, loop=False), file_source('live', path),
                               file_source('none', os.path.join(self.root, 'none.mp4'))],
                              [{'camera': 'still', 'url': 'udp://127.0.0.1:%d' % free_port(), 'name': 'out'}],
                              process={'crash_threshold': 1})
        empty = prometheus.read(hub)
        self.assertEqual(prometheus.value(empty, 'camera_connected', camera='still'), 1)
        self.assertEqual(prometheus.value(empty, 'viewers'), 0)
        watchers = [self.watcher(hub, name) for name in ('still', 'live', 'none', 'live')]
        wait_state(hub, 'still', 'ended')
        wait_state(hub, 'none', 'given_up')
        wait_state(hub, 'live', 'running')
        cam = self.camera(hub, 'phone')
        cam.record(phone(1).phone(count=10))
        known = films.Known(path)
        found = prometheus.read(hub)

        def value(name, camera, **more):
            return prometheus.value(found, name, camera=camera, **more)
        for name in ('still', 'none'):
            now = details(hub, name)
            numbers = now['statistics']
            self.assertEqual(value('source_bytes_total', name), numbers['bytes'])
            self.assertEqual(value('source_packets_total', name), numbers['packets'])
            self.assertEqual(value('source_restarts_total', name), now['source']['restarts'])
            self.assertEqual(value('source_given_up', name), now['source']['state'] == 'given_up')
            self.assertEqual(value('source_running', name), 0)
            self.assertEqual(value('camera_viewers', name), now['figures']['viewers'])
            self.assertEqual(value('camera_pictures_total', name), now['figures']['frames'])
            self.assertEqual(value('camera_lost_total', name), 0)
        self.assertEqual(value('camera_pictures_total', 'still'), 60)
        numbers = details(hub, 'still')['statistics']
        self.assertEqual((numbers['video_packets'], numbers['key_frames']), (60, 4))
        self.assertEqual(numbers['audio_packets'], len(known.sounds))
        self.assertEqual(numbers['packets'], 60 + len(known.sounds) + 2)
        heard = value('camera_audio_frames_total', 'still')
        self.assertEqual(heard, sum(s.dts >= known.pictures[0].pts for s in known.sounds))
        self.assertEqual((value('source_running', 'live'), value('camera_viewers', 'live')), (1, 2))
        self.assertEqual(prometheus.value(found, 'viewers'), 4)
        self.assertEqual((value('camera_pictures_total', 'phone'), value('camera_recording', 'phone')), (10, 0))
        self.assertNotIn(('camhub_source_running', (('camera', 'phone'),)), found)
        told = details(hub, 'still')['outputs'][0]
        self.assertEqual(value('output_frames_total', 'still', output='out'), told['frames'])
        self.assertGreater(told['frames'], 0)
        hub_status = ask(hub, 'GET', '/status').value
        self.assertEqual(prometheus.value(found, 'disk_total_bytes'), hub_status['disk']['total'])
        for watcher in watchers:
            watcher.abort()
        later = prometheus.read(hub)
        for key, number in found.items():
            if key[0].endswith('_total'):
                self.assertGreaterEqual(later[key], number, key)

    def test_methods(self):
        hub = self.source_hub()
        self.assertEqual(hub.get('/metrics', method='POST')[0], 405)
        status, fields, body = hub.get('/metrics', method='HEAD')
        self.assertEqual((status, body), (200, b''))
        self.assertIn('text/plain', fields['content-type'])
        prometheus.read(hub)


class Bad(SourceTest):
    """One hub runs bad ffmpegs of many kinds beside good ones (SourceTest.dispatcher)."""

    def bad_source(self, mode, *, loop=True, **process):
        return file_source(mode, os.path.join(self.root, 'fake-' + mode), loop=loop, process=process)

    def bad_hub(self, modes, more=(), **env):
        flv = films.film(2, gop=15, suffix='.flv')
        return self.source_hub([self.bad_source(mode, **process) for mode, process in modes.items()] + list(more),
                               ffmpeg=self.dispatcher(), env=dict({'FAKE_SRC': flv}, **env))

    def recording_phone(self, hub):
        """A phone that records until it is told to stop: a function that does so, and checks that all is there."""
        cam = self.camera(hub, 'phone')
        clip = phone(2)
        messages = clip.phone(clips.steady(len(clip.units), 50))
        for turn in range(1, 20):
            messages += [m._replace(device_ms=m.device_ms + turn * 3000, sequence=m.sequence + turn * 60)
                         for m in messages[1:61]]
        cam.started()
        done, stopped = [], []

        async def send():
            begin = time.monotonic()
            for number, message in enumerate(messages):
                if stopped:
                    break
                wait = begin + number / 20 - time.monotonic()
                await sources.asyncio.sleep(max(0, wait))
                await cam.socket.send(message.bytes())
                done.append(message)
        future = sources.in_background(send())

        def stop():
            stopped.append(True)
            future.result(20)
            cam.stopped()
            session, = hub.wait_finished(1, prefix='phone_')
            self.assert_sound(session)
            self.assert_payloads(session, done)
            self.assertGreater(len(done), 20)
        return stop

    def wait_given_up(self, hub, name, words, crashes, timeout=40):
        now = wait_state(hub, name, 'given_up', timeout=timeout)
        self.assertRegex(now['source']['error'], words)
        self.assertEqual((now['source']['crashes'], now['source']['restarts'], now['source']['retry'],
                          now['statistics']['runs'], now['statistics']['pid'], now['state']),
                         (crashes, crashes - 1, None, crashes, None, 'ready'))
        return now

    @weight(12)
    def test_every_kind(self):
        """Each fails in its own words and is given up, is tried again by the next who comes and by `start`; nobody else
        notices."""
        stall = {'crash_threshold': 2, 'stall_timeout': 1}
        quick = {'crash_threshold': 2}
        modes = {
            'hang': stall, 'flood': stall, 'closestdin': stall, 'spawn': stall, 'crash': {'crash_threshold': 3},
            'hardhang': {'crash_threshold': 1, 'stall_timeout': 1}, 'exit1': quick, 'floodout': quick, 'slow': quick,
            'eatmem': {'crash_threshold': 2, 'memory_limit': 256}, 'garbage': quick, 'half': quick,
            'die-late': {'crash_threshold': 1}, 'unheard-of': quick,
        }
        words = {
            'hang': r'^nothing came from it for 1 s$', 'hardhang': r'^nothing came from it for 1 s$',
            'flood': r'^nothing came from it for 1 s: flood flood flood$',
            'closestdin': r'^nothing came from it for 1 s$', 'spawn': r'^nothing came from it for 1 s$',
            'crash': r'signal 11 \(Segmentation fault\)', 'die-late': r'signal 11',
            'exit1': r'^Invalid data found when processing input$', 'floodout': r'^what ffmpeg sends is no FLV$',
            'garbage': r'^what ffmpeg sends is no FLV$', 'half': r'^it has ended$',
            'slow': r'^it ended without a picture$', 'eatmem': r'MemoryError', 'unheard-of': r'no such mode',
        }
        path = films.film(2, gop=15)
        hub = self.bad_hub(modes, [file_source('good', path)])
        listener = self.listener(hub)
        stop_phone = self.recording_phone(hub)
        memory = processes.resident_bytes(hub.pid)
        watchers = {name: self.watcher(hub, name, 'http flv') for name in (*modes, 'good')}
        for name, process in modes.items():
            with self.subTest(name):
                now = self.wait_given_up(hub, name, words[name], process['crash_threshold'])
                self.assertRegex(hub.log_text(), r'\[Error\] %s: source given up: ' % re.escape(name))
                self.assertLessEqual(len(now['statistics']['log']), 20)
                self.assertLess(len(json.dumps(now['statistics']['log'])), 8192)
        pauses = [s['retry'] for s in self.told(listener, 'crash') if s['state'] == 'waiting']
        self.assertTrue(1 < max(pauses) <= 2 and any(0 < p <= 1 for p in pauses), pauses)
        self.assert_states(listener, 'crash', 'stopped (starting )?waiting (starting )?(waiting )?(starting )?given_up')
        if not processes.sanitized():
            self.assertLess(processes.resident_bytes(hub.pid) - memory, 64 << 20)
        # Who comes next has it tried again: one more viewer, and `start`.
        for name in ('exit1', 'half'):
            with self.subTest(name + ' anew'):
                runs = details(hub, name)['statistics']['runs']
                self.watcher(hub, name)
                wait_until(lambda: details(hub, name)['statistics']['runs'] > runs, 10, 'another run')
                wait_state(hub, name, 'given_up')
                runs = details(hub, name)['statistics']['runs']
                command(hub, 'start', name)
                wait_until(lambda: details(hub, name)['statistics']['runs'] > runs, 10, 'another run')
                wait_state(hub, name, 'given_up')
                command(hub, 'stop', name)
        for session in hub.wait_finished(2, prefix='half_'):  # one of each run that was recorded
            self.assertEqual(session.report()['end_reason'], 'source_ended')
            self.assert_sound(session)
        self.assertEqual(hub.sessions('exit1_'), [])
        stop_phone()
        watchers['good'].wait_pictures(30)
        films.Known(path).check(*watchers['good'].items())
        good = details(hub, 'good')['statistics']
        self.assertEqual(good['runs'], 1)
        wait_until(lambda: pids(self.children(hub)) == [good['pid']], 10,
                   lambda: 'children left: %s' % (self.children(hub),))
        self.assertEqual(processes.zombies(hub.pid), [])

    @staticmethod
    def told(listener, name):
        return [m['camera']['source'] for m in listener.of('camera') if m['camera']['name'] == name]

    def test_good_ones_of_odd_kinds(self):
        """An old ffmpeg, one that is slow to begin: they play. One that crashes while it is recorded: a session ends,
        another begins."""
        film = films.film(2, gop=15, suffix='.flv')
        known = films.Known(film)
        hub = self.bad_hub({'old': {}, 'slowstart': {}, 'flvcrash': {'crash_threshold': 32}}, FAKE_SECONDS='1.2')
        command(hub, 'start', 'flvcrash')
        for name in ('old', 'slowstart'):
            watcher = self.watcher(hub, name)
            watcher.wait_pictures(40)
            self.assertEqual(known.check(*watcher.items()), 0)
            now = details(hub, name)
            self.assertEqual((now['source']['error'], now['statistics']['runs']), (None, 1))
        hub.wait_session('flvcrash_', count=2, timeout=30)
        command(hub, 'stop', 'flvcrash')
        found = wait_until(lambda: (lambda s: s if len(s) >= 2 and all(x.finished() for x in s) else None)(
            hub.sessions('flvcrash_')), 20, 'finished sessions')
        for number, session in enumerate(found):
            if number < len(found) - 1:
                self.assertEqual(session.report()['end_reason'], 'source_ended')
                self.assertGreater(len(session.pictures()), 20)
            self.assert_sound(session)
            self.assertIn('complete', self.camhub('verify', session.folder))
        now = details(hub, 'flvcrash')
        self.assertRegex(now['source']['error'] or 'signal 11', 'signal 11')
        self.assertGreaterEqual(now['source']['crashes'], 1)

    def test_crash_window(self):
        """Crashes that are long ago are not counted."""
        hub = self.bad_hub({'exit1': {'crash_threshold': 2, 'crash_window': 1}})
        listener = self.listener(hub)
        self.watcher(hub, 'exit1')
        wait_until(lambda: details(hub, 'exit1')['source']['restarts'] >= 2, 20, 'two restarts')
        self.assertNotIn('given_up', source_states(listener, 'exit1'))

    def test_programs(self):
        """FFMPEG_BIN that is missing, a folder, no program, or does not end like one."""
        plain = os.path.join(self.root, 'plain')
        with open(plain, 'w', encoding='utf8') as file:
            file.write('#!/bin/sh\nexit 0\n')
        nothing = os.path.join(self.root, 'nothing')
        programs = {nothing: 'there is no program .*/nothing', self.root: 'cannot|Permission|directory|denied',
                    plain: 'cannot|Permission|denied', '/bin/true': 'it ended without a picture',
                    '/bin/false': 'status 1'}
        film = file_source('film', films.film(2, gop=15), process={'crash_threshold': 2})
        hubs = [(program, words, self.source_hub([film], ffmpeg=program)) for program, words in programs.items()]
        for _, _, hub in hubs:
            self.watcher(hub, 'film')
        for program, words, hub in hubs:
            with self.subTest(program):
                self.wait_given_up(hub, 'film', words, 2)
                self.assertTrue(hub.alive())

    @long
    @weight(70)
    def test_given_up_and_tried_anew(self):
        """What is recorded is tried again once a minute, as nobody comes and asks for it; what is only watched is not."""
        film, process = films.film(2, gop=15), {'crash_threshold': 1}
        hub = self.source_hub([file_source('recorded', film, process=process, record='always'),
                               file_source('watched', film, process=process)], ffmpeg='/bin/false')
        self.watcher(hub, 'watched')
        for name in ('recorded', 'watched'):
            self.wait_given_up(hub, name, 'status 1', 1)
        wait_until(lambda: details(hub, 'recorded')['statistics']['runs'] > 1, 80)
        self.assertEqual(details(hub, 'watched')['statistics']['runs'], 1)

    def test_no_orphans(self):
        """kill -9 of the hub: its children end with it, whatever they are at."""
        hub = self.bad_hub({m: {'stall_timeout': 0} for m in ('hang', 'hardhang', 'flood', 'flv')},
                           [file_source('film', films.film(2, gop=15))])
        for name in ('hang', 'hardhang', 'flood', 'flv', 'film'):
            self.watcher(hub, name)
        for name in ('flv', 'film'):
            wait_state(hub, name, 'running')
        wait_until(lambda: len([p for p in self.children(hub) if p.parent == hub.pid]) == 5, 10, 'five children')
        direct = [p.pid for p in self.children(hub) if p.parent == hub.pid]
        hub.kill()
        wait_until(lambda: not [p for p in sources.processes_of(self.mark) if p.pid in direct], 5,
                   lambda: 'orphans: %s' % sources.processes_of(self.mark))
        # What is left is a `sleep 1` of the one that ignores SIGTERM.
        wait_until(lambda: not sources.processes_of(self.mark), 5, lambda: 'left: %s' % sources.processes_of(self.mark))

    def test_end_of_the_hub(self):
        """SIGTERM of the hub with children that do not listen: it ends in time, and none of them stays."""
        hub = self.bad_hub({m: {'stall_timeout': 0} for m in ('hang', 'hardhang', 'spawn', 'flood', 'floodout')},
                           [file_source('film', films.film(2, gop=15), record='always')])
        for name in ('hang', 'hardhang', 'spawn', 'flood', 'floodout'):
            self.watcher(hub, name)
        wait_state(hub, 'film', 'running')
        wait_until(lambda: len(made_by(self.children(hub), 'sleep')) >= 50, 10, 'grandchildren')
        self.assertEqual(hub.stop(timeout=10), [])
        wait_until(lambda: not sources.processes_of(self.mark), 5, lambda: 'left: %s' % sources.processes_of(self.mark))
        session, = hub.sessions('film_')
        self.assert_sound(session)


class Secrets(SourceTest):
    WORDS = ('Sesam-Oeffne', 'T0ken%2Fwith', 'T0ken/with', 'hunter22hunter')

    def exposed(self, text):
        plain = base64.b64encode(b'hunter22hunter:Sesam-Oeffne').decode()
        return [word for word in (*self.WORDS, plain) if word in text]

    def titles(self, hub):
        """Of the hub, and of what it starts until it has become ffmpeg."""
        out = []
        for process in sources.processes_of(self.mark):
            if os.path.basename(process.words[0]) != 'ffmpeg':
                out.append(' '.join(process.words))
        return out

    def test_nowhere(self):
        """A URL's user, password and token: in no log line, answer, event, figure or title, and not in `check`."""
        port, udp = free_port(), free_port()
        url = 'http://hunter22hunter:Sesam-Oeffne@127.0.0.1:%d/live.flv?token=T0ken%%2Fwith&size=big' % port
        rtsp = 'rtsp://hunter22hunter:Sesam-Oeffne@127.0.0.1:%d/stream?token=T0ken%%2Fwith' % port
        quick = {'type': 'network_stream', 'reconnect_delay': 0.2, 'max_reconnect_attempts': 2}
        log = os.path.join(self.root, 'hub.log')
        hub = self.source_hub(
            [dict(quick, name='net', url=url), dict(quick, name='rtsp', url=rtsp),
             {'name': 'args', 'type': 'ffmpeg', 'args': ['-headers', 'Authorization: T0ken/with', '-i', url],
              'process': {'crash_threshold': 3}},
             file_source('film', films.film(2, gop=15))],
            [{'camera': 'film', 'url': 'rtmp://hunter22hunter:Sesam-Oeffne@127.0.0.1:%d/app/T0ken/with' % udp}],
            logging={'level': 'DEBUG', 'file': log}, args=('--log-level', 'debug'))
        listener, told = self.listener(hub), []
        dev = Console(hub)
        self.addCleanup(dev.abort)
        for name in ('net', 'rtsp', 'args', 'film'):
            self.watcher(hub, name)
        seen = set()

        def ended():
            seen.update(self.titles(hub))
            for path in ('/api/v1/cameras', '/api/v1/status', '/metrics', *('/api/v1/cameras/' + n for n in (
                    'net', 'rtsp', 'args', 'film'))):
                told.append(hub.get(path)[2].decode())
            return all(state(hub, n) == 'given_up' for n in ('net', 'rtsp', 'args'))
        wait_until(ended, 30, 'all are given up', step=0.01)
        wait_until(lambda: details(hub, 'film')['outputs'][0]['error'], 20, 'the output fails, too')
        for name in ('net', 'rtsp', 'args'):
            now = details(hub, name)['source']
            self.assertRegex(now['error'], 'refused|Connection|error', now)
            self.assertEqual(now['crashes'], 3)
            self.assertIn('***', now['description'])
            self.assertIn('127.0.0.1:%d' % port, now['description'])
        output = details(hub, 'film')['outputs'][0]
        self.assertIn('***', output['url'])
        self.assertTrue(any('***' in text for text in told))
        hub.type('status')
        hub.wait_log('net')
        with open(log, encoding='utf8') as file:
            logged = file.read()
        self.assertIn('source given up', logged)
        self.assertEqual(hub.stop(), [])
        everything = {'log': hub.log_text(), 'stdout': hub.out_text(), 'log file': logged, 'answers': '\n'.join(told),
                      'events': '\n'.join(listener.texts), '/dev': '\n'.join(dev.lines),
                      'titles': '\n'.join(sorted(seen)), 'check': self.camhub('check', '--effective', hub.config)}
        self.assertEqual([name for name, text in everything.items() if not text and name != 'stdout'], [])
        for where, text in everything.items():
            with self.subTest(where):
                self.assertEqual(self.exposed(text), [], where)
        json.loads(everything['check'])

    def test_faults_do_not_tell(self):
        """What is wrong with a configuration is said without what is secret in it."""
        write_config(self.root, [{'name': 'net', 'type': 'network_stream',
                                  'url': 'gopher://hunter22hunter:Sesam-Oeffne@192.0.2.1/?token=T0ken/with'},
                                 {'name': 'bad name', 'type': 'ffmpeg', 'args': ['-i', 'T0ken/with'], 'urll': 1}])
        text = self.camhub('check', os.path.join(self.root, 'hub.json'), code=1)
        self.assertEqual(self.exposed(text), [])


class Reload(SourceTest):
    def hup(self, hub, what='SIGHUP: the configuration was read again'):
        before = len(hub.matches(re.escape(what)))
        hub.signal(signal.SIGHUP)
        hub.wait_log(re.escape(what), count=before + 1)

    def test_sources(self):
        """Added, changed, taken away, back again; a bad file changes nothing."""
        first, second = films.film(2, gop=15), films.film(2, gop=15, size=(324, 242))
        one, two = films.Known(first), films.Known(second)
        hub = self.source_hub([file_source('stays', first), file_source('changes', first)])
        listener = self.listener(hub)
        stays, changes = self.watcher(hub, 'stays'), self.watcher(hub, 'changes')
        for watcher in (stays, changes):
            watcher.wait_pictures(3)
        pid = details(hub, 'stays')['statistics']['pid']
        write_config(self.root, [file_source('stays', first), file_source('changes', second),
                                 file_source('new', second)])
        self.hup(hub)
        new = self.watcher(hub, 'new')
        new.wait_pictures(3)
        self.assertEqual(two.check(*new.items()), 0)
        wait_until(lambda: any(p.sample in two.picture_at for p in changes.items()[0]), 20, 'pictures of the new file')
        at = next(n for n, p in enumerate(changes.items()[0]) if p.sample not in one.picture_at)
        pictures, _ = changes.items()
        one.check(pictures[:at])
        two.check(pictures[at:])
        self.assertTrue(all(a.dts < b.dts for a, b in zip(pictures, pictures[1:])))
        with open(hub.config, 'w', encoding='utf8') as file:
            file.write('{"sources": [{"name": "stays", "type": "filee"}]')
        self.hup(hub, 'SIGHUP: the configuration has faults; nothing has changed')
        self.assertEqual([c['name'] for c in ask(hub, 'GET', '/cameras').value['cameras']], ['changes', 'new', 'stays'])
        write_config(self.root, [file_source('stays', first), file_source('new', second)])
        self.hup(hub)
        listener.wait_camera('changes', 'lost')
        gone = details(hub, 'changes')
        self.assertEqual((gone['state'], gone['source'], gone['statistics']), ('lost', None, None))
        self.assertFalse(changes.viewer.socket.closed)
        count = changes.count()
        wait_until(lambda: len([p for p in self.children(hub)]) == 2, 10, 'two children')
        write_config(self.root, [file_source('stays', first), file_source('new', second),
                                 file_source('changes', first)])
        self.hup(hub)
        changes.wait_pictures(count + 40)  # who stayed sees it again
        self.assertEqual(details(hub, 'stays')['statistics']['pid'], pid)
        self.assertEqual(details(hub, 'stays')['statistics']['runs'], 1)
        one.check(*stays.items())
        self.assertEqual(ask(hub, 'DELETE', '/cameras/changes').status // 100, 4)

    def test_a_recording_goes_on(self):
        """A source that is recorded by `start` and does not change is left alone; one that changes ends its session."""
        path = films.film(2, gop=15)
        hub = self.source_hub([file_source('stays', path), file_source('changes', path, record='always')])
        command(hub, 'start', 'stays')
        for name in ('stays', 'changes'):
            wait_until(lambda: details(hub, name)['session'], 20, 'a session')
        sessions = {name: details(hub, name)['session'] for name in ('stays', 'changes')}
        write_config(self.root, [file_source('stays', path),
                                 file_source('changes', path, audio=False, record='always')])
        self.hup(hub)
        wait_until(lambda: (details(hub, 'changes')['session'] or sessions['changes']) != sessions['changes'], 20,
                   'another session')
        self.assertEqual(details(hub, 'stays')['session'], sessions['stays'])
        self.assertEqual(hub.stop(), [])
        self.assertEqual(len(hub.sessions('stays_')), 1)
        for session in hub.sessions():
            self.assert_sound(session)

    def test_storm(self):
        """Read again and again, quicker than a child ends: at the end there is what the last one names."""
        path = films.film(2, gop=15)
        known = films.Known(path)
        one, two = file_source('cam', path), file_source('cam', path, process={'nice': 7})
        hub = self.source_hub([one])
        watchers = [self.watcher(hub, 'cam', form) for form in sources.FORMATS]
        for turn in range(24):
            write_config(self.root, [(one, two)[turn % 2]] if turn % 3 else [])
            hub.signal(signal.SIGHUP)
            time.sleep(0.02)
        write_config(self.root, [one])
        self.hup(hub)
        for watcher in watchers:
            watcher.wait_pictures(watcher.count() + 20)
        wait_until(lambda: len(self.children(hub)) == 1, 10, lambda: 'one child: %s' % (self.children(hub),))
        self.assertEqual(self.children(hub)[0].pid, details(hub, 'cam')['statistics']['pid'])
        for watcher in watchers:
            pictures, _ = watcher.items()
            self.assertTrue(all(p.sample in known.picture_at for p in pictures))
            steps = [b.dts - a.dts for a, b in zip(pictures, pictures[1:])]
            least = 0 if watcher.flv else 1e-6  # FLV has milliseconds, and a run may be over with its first picture
            self.assertTrue(all(step >= least for step in steps), '%s: %s' % (watcher.form, steps))

    def test_names_that_are_taken(self):
        """A source that is given the name of a phone or an ESP32 that is connected takes its place."""
        path = films.film(2, gop=15)
        hub = self.source_hub()
        cam, esp = self.camera(hub, 'bench'), self.camera(hub, path='/esp/roof', ready=False)
        messages = phone(1).phone(count=20)
        cam.started()
        cam.send(messages)
        esp.binary(jpegs.pictures()[0])
        wait_until(lambda: details(hub, 'roof')['figures']['frames'] == 1, 10, 'a JPEG')
        stays = self.watcher(hub, 'bench')
        stays.wait_pictures(5)
        jpeg = Viewer(hub, 'roof', '?format=mjpeg')
        self.addCleanup(jpeg.abort)
        write_config(self.root, [file_source('bench', path), file_source('roof', path)])
        self.hup(hub)
        cam.wait_closed()
        esp.wait_closed()
        self.assertEqual(jpeg.wait_closed()[0], 1001)
        session, = hub.wait_finished(1, prefix='bench_')
        self.assert_payloads(session, messages)
        roof = self.watcher(hub, 'roof')
        roof.wait_pictures(20)
        known = films.Known(path)
        known.check(*roof.items())
        stays.wait_pictures(40)
        pictures, _ = stays.items()
        first = next(n for n, p in enumerate(pictures) if p.sample in known.picture_at)
        known.check(pictures[first:])
        now = details(hub, 'bench')
        self.assertEqual((now['source']['state'], now['model'], now['capabilities']), ('running', None, None))
        self.assertEqual(self.camera(hub, 'bench', ready=False).wait_closed()[0], 1008)

    def test_doors(self):
        """The screen streamer's addresses: added, shared, taken away; a port that is taken changes nothing."""
        path = films.film(2, gop=15)
        known = films.Known(path)
        port, http_port, taken = free_port(), free_port(), free_port()

        def door(name, **server):
            own = {'server': dict({'host': '127.0.0.1', 'port': port, 'http_port': 0}, **server),
                   'source': {'type': 'file', 'path': path}} if server else {}
            with open(os.path.join(self.root, name), 'w', encoding='utf8') as file:
                json.dump(own, file)
        door('a.json')
        door('b.json')
        hub = self.source_hub(args=('--config', os.path.join(self.root, 'a.json'), '--config',
                                    os.path.join(self.root, 'b.json')))
        self.assertEqual(ask(hub, 'GET', '/cameras').value['cameras'], [])
        door('a.json', path='/', http_port=http_port)
        door('b.json', path='/second')
        self.hup(hub)
        self.assertEqual([c['name'] for c in ask(hub, 'GET', '/cameras').value['cameras']], ['live', 'second'])
        at = {p: sources.Elsewhere(hub, p) for p in (port, http_port)}
        looks = [sources.Watcher(at[port], None, 'ws flv', path='/'),
                 sources.Watcher(at[port], None, 'ws flv', path='/second'),
                 sources.Watcher(at[http_port], None, 'http flv', path='/live.flv'),
                 sources.Watcher(at[port], None, 'http flv', path='/live.flv'),
                 sources.Watcher(at[port], None, 'http flv', path='/second.flv'),
                 sources.Watcher(at[port], None, 'http flv', path='/second/live.flv')]
        for look in looks:
            self.addCleanup(look.abort)
            look.wait_pictures(20)
            known.check(*look.items())
        head = looks[2].viewer.head.lower()
        for field in ('content-type: video/x-flv', 'cache-control: no-cache', 'access-control-allow-origin: *'):
            self.assertIn(field, head)
        self.assertEqual(len(self.children(hub)), 2)
        for stranger in ('/third', '/live/live', '/api/v1/events', '/android-cam/x', '/dev'):
            viewer = Viewer(at[port], '', path=stranger)
            self.assertEqual(viewer.wait_closed(), (1008, 'Unknown endpoint'), stranger)
        for stranger in ('/', '/metrics', '/api/v1/cameras', '/third.flv', '/live/live.flv'):
            self.assertEqual(at[port].get(stranger)[0], 404, stranger)
        self.assertEqual(at[port].get('/live.flv', method='POST')[0] // 100, 4)
        with sources.socket.socket() as other:
            other.bind(('127.0.0.1', taken))
            other.listen()
            door('b.json', path='/second', port=taken)
            self.hup(hub, 'SIGHUP: the configuration has faults; nothing has changed')
        self.assertEqual([c['name'] for c in ask(hub, 'GET', '/cameras').value['cameras']], ['live', 'second'])
        self.assertEqual(at[http_port].get('/nothing')[0], 404)
        door('a.json')
        self.hup(hub)
        self.assertRaises(OSError, at[http_port].get, '/live.flv')
        self.assertRegex(details(hub, 'live')['state'], 'lost')
        self.assertFalse(looks[0].viewer.socket.closed)  # lost, and may come back
        count = looks[1].count()
        looks[1].wait_pictures(count + 10)
        known.check(*looks[1].items())
