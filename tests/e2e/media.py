"""What independent programs say about a file: ffprobe, ffmpeg, mp4check; and a JPEG's size."""
import json
import os
import subprocess
import sys
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(HERE, '..', 'tools')


class Packet(NamedTuple):
    pts: int
    dts: int
    size: int
    key: bool
    position: int


def _run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60).stdout


def _probe(path, *options):
    return json.loads(_run('ffprobe', '-v', 'error', '-of', 'json', *options, path))


def packets(path):
    """Of an MP4, in decoding order, times in ticks of its track's timescale (which must be 90000)."""
    probe = _probe(path, '-select_streams', 'v:0', '-show_entries',
                   'packet=pts,dts,size,flags,pos:stream=time_base')
    if probe['streams'][0]['time_base'] != '1/90000':
        raise AssertionError('time base %s' % probe['streams'][0]['time_base'])
    return [Packet(int(p['pts']), int(p['dts']), int(p['size']), 'K' in p['flags'], int(p['pos']))
            for p in probe['packets']]


def picture_size(path):
    stream = _probe(path, '-select_streams', 'v:0', '-show_entries', 'stream=width,height')['streams'][0]
    return stream['width'], stream['height']


def duration(path):
    return float(_probe(path, '-show_entries', 'format=duration')['format']['duration'])


def raw_packets(path):
    """(position, size) of the access units of an Annex B file, by ffmpeg's parser."""
    probe = _probe(path, '-f', 'h264', '-show_entries', 'packet=pos,size')
    return [(int(p['pos']), int(p['size'])) for p in probe['packets']]


def shown_positions(path):
    """Positions of an Annex B file's access units in the order in which its pictures are shown."""
    probe = _probe(path, '-f', 'h264', '-show_entries', 'frame=pkt_pos')
    return [int(f['pkt_pos']) for f in probe['frames']]


def picture_md5s(path, *input_options):
    """MD5 of every decoded picture in the order of presentation."""
    out = _run('ffmpeg', '-nostdin', '-v', 'error', *input_options, '-i', path, '-map', '0:v:0',
               '-fps_mode', 'passthrough', '-f', 'framemd5', '-')
    return [line.split(b',')[-1].strip().decode() for line in out.splitlines() if not line.startswith(b'#')]


def mp4check(path, *options):
    """The report of tests/tools/mp4check, as a dictionary."""
    run = subprocess.run(['/usr/bin/python3', os.path.join(TOOLS, 'mp4check'), '--json', *options, path],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    try:
        return json.loads(run.stdout)
    except ValueError:
        sys.stderr.buffer.write(run.stderr)
        return {'ok': False, 'errors': ['mp4check: exit %d' % run.returncode], 'packets': 0}


def structure_errors(path, *options):
    """mp4check's findings without ffmpeg's opinion of the pictures (which are key frames is one): for hostile video."""
    report = mp4check(path, '--no-decode', *options)
    return [e for e in report['errors'] if not e.startswith(('ffprobe:', 'ffprobe rc', 'first packet is not a key'))]


def boxes(data, *path):
    """Contents of the boxes at a path ('moov', 'trak', ...) of an MP4's bytes, all of them."""
    found, at = [], 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at:at + 4], 'big'), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8:at + 16], 'big'), 16
        if size < head or at + size > len(data):
            break
        if not path or data[at + 4:at + 8].decode('latin1') == path[0]:
            content = data[at + head:at + size]
            found += boxes(content, *path[1:]) if len(path) > 1 else [content]
        at += size
    return found


def box_types(data):
    """Types of the top boxes in order."""
    types, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at:at + 4], 'big')
        types.append(data[at + 4:at + 8].decode('latin1'))
        at += int.from_bytes(data[at + 8:at + 16], 'big') if size == 1 else max(size, 8)
    return types


def sync_samples(data):
    """Numbers of the key frames of a finished MP4, from 0; None without such a table (all are)."""
    tables = boxes(data, 'moov', 'trak', 'mdia', 'minf', 'stbl', 'stss')
    if not tables:
        return None
    return [int.from_bytes(tables[0][at:at + 4], 'big') - 1 for at in range(8, len(tables[0]), 4)]


def promised_ticks(data):
    """Durations written in the fragments' `trun` boxes (8.8.8; one sample each, duration first)."""
    out = []
    for trun in boxes(data, 'moof', 'traf', 'trun'):
        flags = int.from_bytes(trun[1:4], 'big')
        at = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
        out.append(int.from_bytes(trun[at:at + 4], 'big') if flags & 0x100 else None)
    for tfhd in boxes(data, 'moof', 'traf', 'tfhd'):
        flags = int.from_bytes(tfhd[1:4], 'big')
        if flags & 8:  # a default duration for those without their own
            at = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
            default = int.from_bytes(tfhd[at:at + 4], 'big')
            out = [default if ticks is None else ticks for ticks in out]
    return out


def jpeg_size(data):
    """(width, height) of a JPEG by its frame header; None if it is no whole JPEG."""
    if data[:2] != b'\xff\xd8' or data[-2:] != b'\xff\xd9':
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2:at + 4], 'big')
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7:at + 9], 'big'), int.from_bytes(data[at + 5:at + 7], 'big')
        at += 2 + size
    return None
