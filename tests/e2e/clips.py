"""Video to send: made by ffmpeg on the spot, or the real clips of the shared test data."""
import hashlib
import json
import os
import random
import re
import struct
import subprocess
import tempfile
import unittest
from typing import NamedTuple

import annexb
import media

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get('CAMHUB_TEST_DATA') or os.path.join(HERE, '..', '..', '..', 'shared', 'data')
REAL = ('Adobe_PDF_sample_a_1024x768_50Frms.264', 'CI1_FT_B.264', 'CVFC1_Sony_C.jsv',
        'Cisco_Men_whisper_640x320_CABAC_Bframe_9.264', 'MIDR_MW_D.264', 'MPS_MW_A.264',
        'VID_1280x720_cavlc_temporal_direct.264', 'test_qcif_cabac.264')
BASE_MS = 86_400_123  # a phone that was booted a day ago
SETS = (7, 8)


class Message(NamedTuple):
    """One binary message of a phone."""
    device_ms: int
    sequence: int
    payload: bytes
    key: bool = False
    picture: bool = True

    def __repr__(self):
        return '<%d at %d ms, %d bytes%s>' % (self.sequence, self.device_ms, len(self.payload), ', key' * self.key)

    def bytes(self):
        return struct.pack('>QII', self.device_ms % 2**64, self.sequence % 2**32, len(self.payload)) + self.payload


class Clip:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        with open(path, 'rb') as file:
            self.data = file.read()
        self.units = annexb.split_access_units(self.data)

    @property
    def sets(self):
        """The parameter sets of the first picture."""
        return self.units[0].sets

    def phone(self, times=None, sequence=0, sets=True, count=None):
        """As MediaCodec sends it: SPS and PPS once, as a message of their own with time 0."""
        units = self.units[:count]
        times = times or steady(len(units))
        out = [Message(0, sequence, self.sets, picture=False)] if sets else []
        for unit, time in zip(units, times):
            payload = unit.without((6,) + SETS).payload
            out.append(Message(time, sequence + len(out), payload, unit.key))
        return out

    def whole(self, times=None, sequence=0):
        """Every access unit as it is, parameter sets and all."""
        times = times or steady(len(self.units))
        return [Message(time, sequence + n, unit.payload, unit.key)
                for n, (unit, time) in enumerate(zip(self.units, times))]


def steady(count, step_ms=5, first=BASE_MS):
    return [first + n * step_ms for n in range(count)]


def irregular(count, seed=1, low=33, high=200, first=BASE_MS):
    dice, out = random.Random(seed), [first]
    while len(out) < count:
        out.append(out[-1] + dice.randint(low, high))
    return out


def _cached(key, suffix, make):
    """A file made once per run of the tests; safe when several tests want it at the same time."""
    folder = os.environ.get('CAMHUB_E2E_CACHE') or os.path.join(tempfile.gettempdir(), 'camhub-e2e-cache')
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, hashlib.sha256(repr(key).encode()).hexdigest()[:16] + suffix)
    if not os.path.exists(path):
        mine = '%s.%d%s' % (path, os.getpid(), suffix)
        make(mine)
        os.rename(mine, path)
    return path


def made(seconds=2, size='320x240', rate=30, gop=None, profile='baseline', bitrate='400k', x264='', source='testsrc2'):
    """A clip by libx264: `gop` pictures from key frame to key frame (default: one second's)."""
    gop = gop or rate
    arguments = ['-f', 'lavfi', '-i', '%s=size=%s:rate=%d' % (source, size, rate), '-t', str(seconds),
                 '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast' if profile == 'baseline' else 'fast',
                 '-profile:v', profile, '-b:v', bitrate, '-g', str(gop), '-keyint_min', str(gop), '-threads', '1',
                 '-x264-params', 'scenecut=0' + (':' + x264 if x264 else ''), '-f', 'h264']

    def make(path):
        subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-y', *arguments, path], check=True)
    return Clip(_cached(arguments, '.h264', make))


def real(name):
    """A clip of the shared data; skips the test without it."""
    path = os.path.join(DATA, name)
    if not os.path.exists(path):
        raise unittest.SkipTest('no %s (see CAMHUB_TEST_DATA)' % name)
    clip = Clip(path)
    if [len(u.payload) for u in clip.units] != [size for _, size in media.raw_packets(path)]:
        raise AssertionError('our access units of %s are not ffprobe\'s' % name)
    return clip


def presentation_order(clip):
    """For every picture in decoding order: its place in the order of presentation, by ffmpeg's decoder."""
    places = {position: n for n, position in enumerate(media.shown_positions(clip.path))}
    return [places[position] for position, _ in media.raw_packets(clip.path)]


def shown(clip):
    """MD5 of the clip's own pictures in the order of presentation; decoded once per run of the tests."""
    def make(path):
        with open(path, 'w') as file:
            json.dump(media.picture_md5s(clip.path, '-f', 'h264'), file)
    with open(_cached(('shown', clip.path), '.json', make)) as file:
        return json.load(file)


def three_byte_codes(payload):
    return re.sub(b'\0\0\0\1', b'\0\0\1', payload)
