"""Sources: their configuration, what the API says of them, the processes that they are, and those who watch."""
import asyncio
import json
import os
import re
import signal
import socket
import uuid
from typing import NamedTuple

import films
import flvread
import idx
import mp4live
from camera import loop
from cases import FAKE_FFMPEG, HubTest
from contract import ask
from hub import Hub, wait_until
from listener import Listener
from viewer import HttpViewer, Viewer

MARK = 'E2E_SOURCE_MARK'  # in the environment of a hub and so of all that it starts


# --- configurations ------------------------------------------------------------------------------------

def write_config(root, sources=(), outputs=(), name='hub.json', **sections):
    """A configuration of a hub; its path. `process` and the like: sections."""
    path = os.path.join(root, name)
    text = dict({k: v for k, v in sections.items() if v is not None}, sources=list(sources), outputs=list(outputs))
    with open(path + '.new', 'w', encoding='utf8') as file:
        json.dump(text, file, indent=1)
    os.rename(path + '.new', path)
    return path


def file_source(name, path, **more):
    return dict({'name': name, 'type': 'file', 'path': path}, **more)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


# --- what the API says ----------------------------------------------------------------------------------

def details(hub, name):
    return ask(hub, 'GET', '/cameras/' + name).value


def state(hub, name):
    return details(hub, name)['source']['state']


def wait_state(hub, name, *states, timeout=20):
    """Waits until the source is in one of these states; its details."""
    def there():
        now = details(hub, name)
        return now if now['source']['state'] in states else None
    return wait_until(there, timeout, lambda: '%s is %s: %s' % (name, ' or '.join(states), details(hub, name)))


def source_states(listener, name):
    """States of a source in the order in which a listener was told, without repeats."""
    seen = []
    for message in list(listener.messages):
        for camera in message.get('cameras', []) if message['type'] == 'cameras' else [message.get('camera')]:
            if isinstance(camera, dict) and camera['name'] == name and camera['source']:
                if seen[-1:] != [camera['source']['state']]:
                    seen.append(camera['source']['state'])
    return seen


def wait_told(listener, name, question, what, timeout=20):
    """Waits until a listener is told of a source for which this is true; what it was told."""
    message = listener.wait(lambda m: m['type'] == 'camera' and m['camera']['name'] == name and
                            m['camera']['source'] and question(m['camera']['source']), '%s: %s' % (name, what), timeout)
    return message['camera']


def command(hub, word, *names):
    body = {'command': word}
    if names:
        body['cameras'] = list(names)
    return ask(hub, 'POST', '/commands', body).value


# --- children --------------------------------------------------------------------------------------------

class Process(NamedTuple):
    pid: int
    parent: int
    state: str
    words: list


def _read(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError:
        return b''


def processes_of(mark):
    """All processes, zombies too, that a hub with this mark in its environment has started, and itself. A zombie has no
    environment any more: it is found by its parent."""
    found = {}
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        stat = _read('/proc/%s/stat' % entry)
        fields = stat.rpartition(b')')[2].split()
        if len(fields) < 2:
            continue
        ours = ('%s=%s' % (MARK, mark)).encode() in _read('/proc/%s/environ' % entry)
        words = _read('/proc/%s/cmdline' % entry).decode('utf8', 'replace').split('\0')
        found[int(entry)] = ours, Process(int(entry), int(fields[1]), fields[0].decode(), words)
    mine = {pid for pid, (ours, _) in found.items() if ours}
    return [p for pid, (_, p) in sorted(found.items()) if pid in mine or (p.parent in mine and p.state == 'Z')]


def children(hub, mark):
    """What the hub has started, and what that has started."""
    return [p for p in processes_of(mark) if p.pid != hub.pid]


class Elsewhere:
    """The same hub at another port."""

    def __init__(self, hub, port):
        self.hub, self.port, self.host = hub, port, hub.host

    def url(self, path):
        return 'ws://%s:%d%s' % (self.host, self.port, path)

    get = Hub.get


def in_background(coroutine):
    """On the loop of the foreign clients; a future."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop())


# --- those who watch -------------------------------------------------------------------------------------

FORMATS = ('ws flv', 'ws mp4', 'http flv', 'http mp4')


class Watcher:
    """A viewer of one of the formats, its bytes in one piece, and what they are."""

    def __init__(self, hub, name, form, path=None):
        self.form, self.flv, self.kept = form, form.endswith('flv'), None
        if form.startswith('ws'):
            self.viewer = Viewer(hub, name, '?format=' + form[3:], path=path)
        else:
            self.viewer = HttpViewer(hub, path or '/live/%s.%s' % (name, form[5:]))

    def data(self):
        if self.kept is not None:
            return self.kept
        return b''.join(self.viewer.binaries()) if self.form.startswith('ws') else self.viewer.body

    def items(self, data=None):
        """(pictures, sounds), strictly read."""
        data = self.data() if data is None else data
        if self.flv:
            flv = flvread.read(data)
            return flv.pictures, flv.sounds
        pieces = mp4live.split(data)
        if [is_init for is_init, _ in pieces] != [True] + [False] * (len(pieces) - 1):
            raise AssertionError('not one init segment and then fragments')
        return films.mp4_items(pieces[0][1], [piece for _, piece in pieces[1:]])

    def count(self):
        """Pictures so far."""
        data = self.data()
        if self.flv:
            return max(0, sum(t.kind == flvread.VIDEO for t in flvread.split(data)[1]) - 1) if len(data) > 13 else 0
        return len(self.items(data)[0]) if mp4live.split(data) else 0

    def wait_pictures(self, count, timeout=20):
        wait_until(lambda: self.count() >= count, timeout,
                   lambda: '%s: %d pictures, have %d' % (self.form, count, self.count()), step=0.1)

    def whole(self, pictures=None):
        """The bytes up to the end of so many pictures (all): what a decoder may be given."""
        data = self.data()
        if self.flv:
            _, tags, rest = flvread.split(data)
            end, seen = 13, -1  # the configuration is a tag of this kind, too
            for tag in tags:
                end += 15 + len(tag.body)
                seen += tag.kind == flvread.VIDEO
                if seen == pictures:
                    break
            return data[:end]
        end, seen, video = 0, 0, None
        for is_init, piece in mp4live.split(data):
            end += len(piece)
            if is_init:
                video = films.Tracks(piece).video()
            else:
                seen += films.read_piece(piece).track == video
            if seen == pictures:
                break
        return data[:end]

    def numbers(self, pictures=None, size=(320, 240)):
        """The numbers of its first pictures, in the order of presentation, as ffmpeg decodes them."""
        return films.numbers(self.whole(pictures), 'flv' if self.flv else 'mp4', size=size)

    def leave(self):
        """Goes, and keeps what it has."""
        self.kept = self.data()
        self.abort()

    def abort(self):
        if isinstance(self.viewer, Viewer):
            self.viewer.abort()
        else:
            self.viewer.close()


# --- recordings with sound -----------------------------------------------------------------------------------

AUDIO = 2048  # flag of a record


class Recording(idx.Session):
    """A session folder with sound in it (docs/session-format.md)."""

    def sounds(self):
        """Records of AAC frames that are in an MP4 part."""
        return [r for r in self.records() if r.part and r.flags & AUDIO]

    def pictures(self):
        return [r for r in self.records() if r.part and not r.flags & AUDIO]

    def _check_records(self, data, records):
        found = super()._check_records(data, [r._replace(flags=r.flags & ~AUDIO) for r in records])
        for number, record in enumerate(records):
            if record.flags & AUDIO and (record.flags & ~(AUDIO | idx.REBUILT) or record.payload or record.composition):
                found.append('record %d: %s' % (number, record))
        return found

    def _check_counts(self, report, records):
        silent = [r for r in records if not r.flags & AUDIO]
        found = [fault for fault in super()._check_counts(report, records)]
        frames = len(self.sounds())
        want = {'frames': len(self.pictures()), 'audio_frames': frames, 'messages': len(records),
                'key_frames': sum(1 for r in silent if r.part and r.flags & idx.KEY)}
        found += ['counts.%s is %s, records say %d' % (k, report['counts'][k], v)
                  for k, v in want.items() if report['counts'][k] != v]
        if (report['audio'] or {}).get('frames', 0) != frames:
            found.append('audio is %s for %d AAC frames' % (report['audio'], frames))
        return found

    def _check_h264(self, records):
        return super()._check_h264([r for r in records if not r.flags & AUDIO])

    def _check_part(self, name, records):
        found = super()._check_part(name, [r for r in records if not r.flags & AUDIO])
        data = self.read(name)
        for record in records:
            if record.flags & AUDIO and record.hash != idx.xxh3(data[record.offset:record.offset + record.size]):
                found.append('%s: the hash of an AAC frame at %d differs' % (name, record.offset))
        return found[:5]

    def _check_files(self, report, records):
        return super()._check_files(report, [r for r in records if not r.flags & AUDIO])


# --- tests ---------------------------------------------------------------------------------------------------

class SourceTest(HubTest):
    def setUp(self):
        super().setUp()
        self.mark = uuid.uuid4().hex
        self.addCleanup(self._end_leftovers)

    def _end_leftovers(self):
        """Whatever a hub that failed has left running."""
        for process in processes_of(self.mark):
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def source_hub(self, sources=(), outputs=(), env=None, args=(), well=True, ffmpeg=None, **sections):
        """A hub with these sources; `config` is its configuration's path."""
        config = write_config(self.root, sources, outputs, **sections)
        environment = dict({MARK: self.mark, 'FFMPEG_BIN': ffmpeg or 'ffmpeg'}, **(env or {}))
        hub = self.start_hub('--config', config, '--no-thumbnails', *args, thumbnails=True, env=environment, well=well)
        hub.config = config
        return hub

    def assert_states(self, listener, name, pattern, timeout=10):
        """What a listener was told. States that are over at once may not be among them."""
        wait_until(lambda: re.fullmatch(pattern, ' '.join(source_states(listener, name))), timeout,
                   lambda: '%s: states %s' % (name, source_states(listener, name)))

    def watcher(self, hub, name, form='ws flv'):
        watcher = Watcher(hub, name, form)
        self.addCleanup(watcher.abort)
        return watcher

    def assert_sound(self, session, verdict='complete'):
        super().assert_sound(Recording(session.folder), verdict)

    def listener(self, hub):
        listener = Listener(hub)
        self.addCleanup(listener.abort)
        listener.wait_kind('status')
        return listener

    def children(self, hub):
        return children(hub, self.mark)

    def wait_no_children(self, hub, timeout=15):
        wait_until(lambda: not self.children(hub), timeout, lambda: 'children left: %s' % (self.children(hub),))

    def dispatcher(self):
        """A program for FFMPEG_BIN: for a file source of the path .../fake-MODE a bad ffmpeg of that mode, else ffmpeg
        itself. So one hub has good and bad ones."""
        path = os.path.join(self.root, 'dispatch')
        with open(path, 'w', encoding='utf8') as file:
            file.write('#!/bin/bash\nfor word; do case "$word" in\nfile:*/fake-*)\nexport FAKE=${word##*/fake-}\n'
                       'exec %s "$@";;\nesac; done\nexec ffmpeg "$@"\n' % FAKE_FFMPEG)
        os.chmod(path, 0o755)
        return path
