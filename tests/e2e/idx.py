"""Reads a session folder, independently of the hub's own code: session.json, frames.idx, and whether
both agree with stream.h264 and the MP4 parts byte by byte."""
import ctypes
import hashlib
import json
import os
import struct
from typing import NamedTuple

import annexb

KEY, PICTURE, SETS, BEFORE_KEY, REPAIRED, JUMP, DUPLICATE, REORDERED, NO_NAL, REBUILT = (1 << n for n in range(10))
RECORD_BYTES = 64
VERDICTS = ('complete', 'gaps', 'recovered', 'damaged')

_xxhash = ctypes.CDLL('libxxhash.so.0')
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = (ctypes.c_char_p, ctypes.c_size_t)


def xxh3(data):
    return _xxhash.XXH3_64bits(bytes(data), len(data))


class Record(NamedTuple):
    sequence: int
    flags: int
    part: int
    device_ms: int
    arrival_us: int
    pts: int
    offset: int
    size: int
    payload: int
    hash: int
    composition: int
    check: int


NOT_HASHED = (7, 8, 9, 10, 11, 12, 13)


def hash_nals(nals, raw):
    """The frame checksum over NAL units (header byte included)."""
    chosen = [n for n in nals if n[0] & 31 not in NOT_HASHED] or nals
    return xxh3(b''.join(chosen) if chosen else raw)


def hash_payload(payload):
    return hash_nals(annexb.nal_units(payload), payload)


def sample_nals(sample):
    """NAL units of a length-prefixed MP4 sample, or None if the lengths do not fit."""
    out, at = [], 0
    while at < len(sample):
        if at + 4 > len(sample):
            return None
        size = int.from_bytes(sample[at:at + 4], 'big')
        if size == 0 or at + 4 + size > len(sample):
            return None
        out.append(sample[at + 4:at + 4 + size])
        at += 4 + size
    return out


class Session:
    def __init__(self, folder):
        self.folder = folder
        self.id = os.path.basename(folder)

    def __repr__(self):
        return '<%s %s>' % (self.id, self.state())

    def path(self, name):
        return os.path.join(self.folder, name)

    def has(self, name):
        return os.path.exists(self.path(name))

    def read(self, name):
        with open(self.path(name), 'rb') as file:
            return file.read()

    def report(self):
        """session.json, or None if there is none (yet)."""
        try:
            return json.loads(self.read('session.json'))
        except FileNotFoundError:
            return None

    def state(self):
        report = self.report()
        return report['state'] if report else None

    def finished(self):
        return self.state() == 'finished'

    def started(self):
        report = self.report()
        return report['started'] if report else ''

    def verdict(self):
        return self.report()['verdict']

    def h264(self):
        return self.read('stream.h264')

    def parts(self):
        """Names of the MP4 parts in order."""
        names, number = [], 1
        while self.has(part_name(number)):
            names.append(part_name(number))
            number += 1
        return names

    def records(self):
        data = self.read('frames.idx')
        return [Record(*struct.unpack_from('>IHHQQqQIIQiI', data, at))
                for at in range(RECORD_BYTES, len(data) - RECORD_BYTES + 1, RECORD_BYTES)]

    def pictures(self):
        """Records of what is in an MP4 part."""
        return [r for r in self.records() if r.part]

    # --- does it all agree? ---------------------------------------------------------------------------

    def problems(self):
        """Everything in a finished session that contradicts something else; empty if it is sound."""
        report = self.report()
        if not report:
            return ['no session.json']
        data, found = self.read('frames.idx'), []
        found += self._check_report(report)
        found += _check_index_header(data)
        records = self.records()
        found += self._check_records(data, records)
        found += self._check_counts(report, records)
        if report['index']['sha256'] != hashlib.sha256(data).hexdigest():
            found.append('sha256 of frames.idx differs from session.json')
        if self.has('stream.h264'):
            found += self._check_h264(records)
        for number, name in enumerate(self.parts(), 1):
            found += self._check_part(name, [r for r in records if r.part == number])
        found += self._check_files(report, records)
        return found

    def _check_report(self, report):
        found = []
        if report['format'] != 1 or report['id'] != self.id:
            found.append('format %r, id %r' % (report['format'], report['id']))
        if report['state'] != 'finished' or report['verdict'] not in VERDICTS:
            found.append('state %r, verdict %r' % (report['state'], report['verdict']))
        if report['started'] > report['ended'] or report['duration'] < 0:
            found.append('started %(started)s, ended %(ended)s, duration %(duration)s' % report)
        leftovers = [n for n in os.listdir(self.folder) if n.endswith('.tmp')]
        if leftovers:
            found.append('left behind: %s' % leftovers)
        return found

    def _check_records(self, data, records):
        found = []
        if len(data) % RECORD_BYTES:
            found.append('frames.idx has %d bytes, no multiple of %d' % (len(data), RECORD_BYTES))
        for number, record in enumerate(records):
            start = RECORD_BYTES * (number + 1)
            if record.check != xxh3(data[start:start + 60]) & 0xFFFFFFFF:
                found.append('record %d: check differs' % number)
            if record.flags & ~0x3FF:
                found.append('record %d: unknown flags %#x' % (number, record.flags))
            if bool(record.part) != bool(record.size):
                found.append('record %d: part %d but size %d' % (number, record.part, record.size))
        return found[:5]

    def _check_counts(self, report, records):
        counts = report['counts']
        want = {
            'messages': len(records),
            'parameter_sets': sum(1 for r in records if r.flags & SETS),
            'before_first_key': sum(1 for r in records if r.flags & BEFORE_KEY),
            'bytes': sum(r.payload for r in records),
            'duplicates': sum(1 for r in records if r.flags & DUPLICATE),
            'reordered': sum(1 for r in records if r.flags & REORDERED),
            'repaired': sum(1 for r in records if r.flags & REPAIRED and r.part),
            'clock_jumps': sum(1 for r in records if r.flags & JUMP and r.part),
        }
        found = ['counts.%s is %s, records say %d' % (k, counts.get(k), v)
                 for k, v in want.items() if counts.get(k) != v]
        if report['index']['records'] != len(records) or report['index']['file'] != 'frames.idx':
            found.append('index is %r for %d records' % (report['index'], len(records)))
        if not report['lists_truncated'] and sum(m['count'] for m in report['missing']) != counts['missing']:
            found.append('counts.missing %s, list %s' % (counts['missing'], report['missing']))
        return found

    def _check_h264(self, records):
        data, at, found = self.h264(), 0, []
        if sum(r.payload for r in records) != len(data):
            return ['stream.h264 has %d bytes, the index %d' % (len(data), sum(r.payload for r in records))]
        for number, record in enumerate(records):
            if record.hash != hash_payload(data[at:at + record.payload]):
                found.append('record %d: hash differs from stream.h264' % number)
            at += record.payload
        return found[:5]

    def _check_part(self, name, records):
        data, found = self.read(name), []
        for record in records:
            sample = data[record.offset:record.offset + record.size]
            nals = sample_nals(sample)
            if len(sample) != record.size or not nals:
                found.append('%s: sequence %d: no sample at %d' % (name, record.sequence, record.offset))
            elif hash_nals(nals, b'') != record.hash:
                found.append('%s: sequence %d: hash differs' % (name, record.sequence))
        return found[:5]

    def _check_files(self, report, records):
        found = []
        listed = {f['name']: f for f in report['files']}
        for name in self.parts() + (['stream.h264'] if self.has('stream.h264') else []):
            if name not in listed:
                found.append('%s is not in session.json' % name)
        for name in listed:
            if self.has(name) and listed[name]['bytes'] != os.path.getsize(self.path(name)):
                found.append('%s: %d bytes in session.json, %d on disk' % (
                    name, listed[name]['bytes'], os.path.getsize(self.path(name))))
        for number, name in enumerate(self.parts(), 1):
            frames = sum(1 for r in records if r.part == number)
            if listed.get(name, {}).get('frames', frames) != frames:
                found.append('%s: %d frames in session.json, %d in the index' % (
                    name, listed[name]['frames'], frames))
        missing = [n for n in listed if not self.has(n)]
        if missing:
            found.append('in session.json, not on disk: %s' % missing)
        return found


def part_name(number):
    return 'stream.mp4' if number == 1 else 'stream_%d.mp4' % number


def _check_index_header(data):
    magic, version, size, timescale, started = struct.unpack_from('>8sHHIQ', data)
    found = []
    if (magic, version, size, timescale) != (b'CAMHUBIX', 1, 64, 90000) or any(data[24:60]):
        found.append('index header %r' % data[:64])
    if not 1_600_000_000_000_000 < started < 10_000_000_000_000_000:
        found.append('index header: session start %d' % started)
    if int.from_bytes(data[60:64], 'big') != xxh3(data[:60]) & 0xFFFFFFFF:
        found.append('index header: check differs')
    return found
