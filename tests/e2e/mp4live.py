"""What a viewer was sent as fragmented MP4, taken apart by the letter of ISO/IEC 14496-12, and played by ffmpeg."""
import struct
import subprocess
from typing import NamedTuple

import media


class Fragment(NamedTuple):
    sequence: int
    dts: int
    pts: int
    key: bool
    sample: bytes
    data: bytes


def read_fragment(data):
    """One moof and one mdat with one sample."""
    if media.box_types(data) != ['moof', 'mdat']:
        raise AssertionError('boxes %s' % media.box_types(data))
    sequence = struct.unpack('>I', media.boxes(data, 'moof', 'mfhd')[0][4:])[0]
    tfdt = media.boxes(data, 'moof', 'traf', 'tfdt')[0]
    dts = struct.unpack('>Q' if tfdt[0] == 1 else '>I', tfdt[4:])[0]
    trun = media.boxes(data, 'moof', 'traf', 'trun')[0]
    flags, count, offset = int.from_bytes(trun[1:4], 'big'), *struct.unpack('>Ii', trun[4:12])
    if flags != 0xF01 or count != 1 or len(trun) != 28:
        raise AssertionError('trun with flags %x, %d samples, %d bytes' % (flags, count, len(trun)))
    _, size, sample_flags, composition = struct.unpack('>IIIi', trun[12:])
    if offset + size != len(data):
        raise AssertionError('sample of %d bytes at %d in %d' % (size, offset, len(data)))
    return Fragment(sequence, dts, dts + composition, not sample_flags & 0x10000, data[offset:], data)


def split(data):
    """(init, fragment) pieces of an HTTP body; what is not whole at its end is left away. [(is_init, bytes)]"""
    out, begin, at = [], 0, 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at:at + 4], 'big'), data[at + 4:at + 8]
        if size < 8 or at + size > len(data):
            break
        at += size
        if kind in (b'moov', b'mdat'):
            out.append((kind == b'moov', data[begin:at]))
            begin = at
    return out


class Film:
    """A run of pictures of one init segment."""

    def __init__(self, init, fragments):
        self.init = init
        self.fragments = fragments

    def write(self, path):
        with open(path, 'wb') as file:
            file.write(self.init + b''.join(f.data for f in self.fragments))

    def pictures(self, path):
        """MD5 of the decoded pictures in the order of presentation; ffmpeg must have nothing to say."""
        self.write(path)
        return decode(path)

    def times(self):
        """Presentation times relative to the first picture's, in decoding order."""
        return [f.pts - self.fragments[0].pts for f in self.fragments]


def decode(path, *options):
    run = subprocess.run(['ffmpeg', '-nostdin', '-v', 'warning', *options, '-i', path, '-map', '0:v:0', '-fps_mode',
                          'passthrough', '-f', 'framemd5', '-'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         timeout=60)
    if run.returncode or run.stderr:
        raise AssertionError('ffmpeg on %s: exit %d\n%s' % (path, run.returncode, run.stderr.decode()[-1500:]))
    return [line.split(b',')[-1].strip().decode() for line in run.stdout.splitlines() if not line.startswith(b'#')]
