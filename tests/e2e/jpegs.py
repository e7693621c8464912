"""JPEG cameras: pictures to send, the camera, and what its session folder must look like. Shares no code with the hub."""
import functools
import os
import re
import subprocess
import tempfile

import camera
import idx
import media
import processes
from hub import wait_until

KEY, PICTURE, JUNK, REBUILT, JPEG = 1, 2, 256, 512, 1024


@functools.lru_cache(None)
def pictures(count=20, size='320x240', quality=5):
    """Pictures as ffmpeg's encoder makes them, all different."""
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=%s:rate=25' % size,
                        '-frames:v', str(count), '-q:v', str(quality), '-pix_fmt', 'yuvj422p', folder + '/%05d.jpg'],
                       check=True, timeout=60)
        found = []
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), 'rb') as file:
                found.append(file.read())
    assert len(found) == count and len(set(found)) == count
    return found


class Esp(camera.Camera):
    """An ESP32: sends JPEGs and lines of text, hears lines of text."""

    def __init__(self, hub, name=None, **options):
        super().__init__(hub, path='/esp' + ('/' + name if name else ''), **options)
        self.pictures = []

    def picture(self, data):
        self.binary(data)
        self.pictures.append(data)

    def wait_line(self, count=1, timeout=5):
        """The hub's lines, as they came."""
        wait_until(lambda: len(self.texts) >= count, timeout, lambda: '%d lines, have %r' % (count, self.texts))
        return self.texts[:count]


def session_problems(session, sent=None):
    """Everything in a finished session that contradicts something else, or the pictures that were sent."""
    report, data, found = session.report(), session.read('frames.idx'), []
    records, mjpeg = session.records(), session.read('stream.mjpeg')
    if (report['kind'], report['numbered'], report['state']) != ('jpeg', False, 'finished'):
        found.append('kind %(kind)r, numbered %(numbered)r, state %(state)r' % report)
    at, last = 0, None
    for number, record in enumerate(records):
        start = idx.RECORD_BYTES * (number + 1)
        if record.check != idx.xxh3(data[start:start + 60]) & 0xFFFFFFFF:
            found.append('record %d: check differs' % number)
        if record.flags & ~REBUILT != KEY | PICTURE | JPEG or record.part or record.size or record.composition:
            found.append('record %d: %r' % (number, record))
        payload = mjpeg[at:at + record.payload]
        at += record.payload
        if idx.xxh3(payload) != record.hash:
            found.append('record %d: hash differs from stream.mjpeg' % number)
        if sent is not None and (number >= len(sent) or payload != sent[number]):
            found.append('record %d is not the picture that was sent' % number)
        if last is not None and (record.pts <= last.pts or record.sequence != last.sequence + 1):
            found.append('record %d: %r behind %r' % (number, record, last))
        if number == 0 and record.pts != 0:
            found.append('the first time is %d' % record.pts)
        last = record
    if at != len(mjpeg):
        found.append('stream.mjpeg has %d bytes, the index %d' % (len(mjpeg), at))
    if sent is not None and len(records) != len(sent):
        found.append('%d records for %d pictures' % (len(records), len(sent)))
    counts = report['counts']
    if (counts['frames'], counts['messages'], counts['missing']) != (len(records), len(records), 0):
        found.append('counts %r' % counts)
    if records and session.read('thumbnail.jpg') != mjpeg[:records[0].payload]:
        found.append('the thumbnail is not the first picture')
    for name in ('stream.h264', 'stream_2.mjpeg'):
        if session.has(name):
            found.append('there is a ' + name)
    return found[:8]


def film_problems(session):
    """The film shows every picture of the index at its time, is listed, and can be looked for by its key frames."""
    records, packets, found = session.records(), media.packets(session.path('stream.mp4')), []
    want, have = [r.pts for r in records], [p.pts for p in packets]
    if want != have:
        found.append('times: want %s..., have %s...' % (want[:5], have[:5]))
    keys = [p.pts for p in packets if p.key]
    if not keys or keys[0] != 0 or any(b - a > 180000 + 45000 for a, b in zip(keys, keys[1:])):
        found.append('key frames at %s' % keys)
    films = [f for f in session.report()['files'] if f['kind'] == 'film']
    if len(films) != 1 or films[0]['name'] != 'stream.mp4' or films[0]['frames'] != len(packets):
        found.append('listed: %r' % films)
    leftovers = [n for n in os.listdir(session.folder) if n.endswith('.tmp')]
    if leftovers:
        found.append('left behind: %s' % leftovers)
    return found


def ring(hub, name=None):
    """The ring's files in the order of their writing: (number, bytes); whatever else lies there is an error."""
    folder = os.path.join(hub.recordings, 'images', *([name] if name else []))
    found = []
    for file in os.listdir(folder) if os.path.isdir(folder) else []:
        if os.path.isdir(os.path.join(folder, file)) or file == '.frame.tmp':
            continue
        match = re.fullmatch(r'frame_(\d{8}_\d{6})_(\d{3,})\.jpg', file)
        if not match:
            raise AssertionError('%s in %s' % (file, folder))
        try:
            with open(os.path.join(folder, file), 'rb') as data:
                found.append((os.stat(data.fileno()).st_mtime_ns, int(match.group(2)), data.read()))
        except FileNotFoundError:
            pass  # its place was needed
    return [(number, data) for _, number, data in sorted(found)]


def film_makers(hub):
    """Process ids of the hub's own children that make films."""
    found = []
    for pid in processes.marked(hub.mark, (hub.pid,)):
        try:
            with open('/proc/%d/cmdline' % pid, 'rb') as line, open('/proc/%d/stat' % pid, 'rb') as stat:
                parent = int(stat.read().rpartition(b')')[2].split()[1])
                if b'film-jpeg' in line.read().split(b'\0') and parent == hub.pid:
                    found.append(pid)
        except OSError:
            pass
    return found
