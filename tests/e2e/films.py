"""Films whose every picture and sound is known, and what is left of them when they arrive: by their bytes, by ffmpeg's
decoder, and by flashes and beeps."""
import array
import functools
import math
import os
import random
import re
import statistics
import struct
import subprocess
from typing import NamedTuple

import clips
import flvread
import media

RATE = 44100
BITS = 12  # of the number that is written into each picture
FLASH_SECONDS = 0.1


# --- films ----------------------------------------------------------------------------------------------

def _picture(number, width, height, flash):
    """Gray: the number in black and white blocks above, something that moves in the middle, a flash below."""
    block = width // BITS
    row = b''.join((b'\xeb' if number >> bit & 1 else b'\x10') * block for bit in range(BITS))
    row += b'\x10' * (width - len(row))
    third = height // 3
    moving = bytes(64 + (x * 3 + number * 5) % 128 for x in range(width))
    below = (b'\xeb' if flash else b'\x10') * width
    return row * third + moving * third + below * (height - 2 * third)


def _raw_pictures(seconds, width, height, rate, first_flash):
    chroma = b'\x80' * (2 * ((width + 1) // 2) * ((height + 1) // 2))
    for number in range(round(seconds * rate)):
        since = number / rate - first_flash
        yield _picture(number, width, height, since >= 0 and since % 1 < FLASH_SECONDS - 1e-6) + chroma


def _raw_sound(seconds, first_flash):
    """A beep wherever the pictures flash, over noise that is different everywhere and 40 dB below."""
    dice, out = random.Random(7), array.array('h')
    for n in range(round(seconds * RATE)):
        since = n / RATE - first_flash
        beep = since >= 0 and since % 1 < FLASH_SECONDS
        out.append(int((16000 * math.sin(2 * math.pi * 1000 * n / RATE) if beep else 0) + dice.uniform(-160, 160)))
    return out.tobytes()


def film(seconds=6, size=(320, 240), rate=30, gop=30, video=None, audio=('-c:a', 'aac', '-b:a', '96k'),
         suffix='.mp4', first_flash=0.5, bframes=0):
    """A film with a number in each picture, and once per second a flash and a beep at the same instant. `video`:
    ffmpeg's options instead of H.264's, False for no pictures; `audio`: None for no sound."""
    if video is None:
        video = ('-c:v', 'libx264', '-preset', 'veryfast', '-g', str(gop), '-keyint_min', str(gop), '-sc_threshold',
                 '0', '-bf', str(bframes), '-crf', '26')
    key = ('film', seconds, size, rate, video, audio, suffix, first_flash)

    def make(path):
        sound = path + '.s16'
        command = ['ffmpeg', '-nostdin', '-v', 'error', '-y']
        if video:
            command += ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', '%dx%d' % size, '-r', str(rate), '-i', 'pipe:0']
        if audio:
            with open(sound, 'wb') as file:
                file.write(_raw_sound(seconds, first_flash))
            command += ['-f', 's16le', '-ar', str(RATE), '-ac', '1', '-i', sound]
        command += [*(video or ()), *(audio or ()), '-threads', '1', path]
        pictures = b''.join(_raw_pictures(seconds, *size, rate, first_flash)) if video else b''
        subprocess.run(command, input=None if not video else pictures, check=True,
                       stdin=subprocess.DEVNULL if not video else None)
        if audio:
            os.unlink(sound)
    return clips._cached(key, suffix, make)


def ffmpeg(*args, data=None):
    """stdout of an ffmpeg that must have nothing to say."""
    run = subprocess.run(['ffmpeg', '-v', 'warning', '-hide_banner', *args], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=60, input=data if data is not None else b'')
    if run.returncode or run.stderr:
        raise AssertionError('ffmpeg %s: exit %d\n%s' % (' '.join(args), run.returncode, run.stderr.decode()[-1500:]))
    return run.stdout


def numbers(data, form, count=None, size=(320, 240)):
    """Decodes a stream from its first byte on, and reads the numbers in its pictures in the order of presentation.
    ffmpeg must have nothing to say. `form`: flv or mp4; a cut at the end must be between pictures."""
    frames = ['-frames:v', str(count)] if count else []
    raw = ffmpeg('-f', form, '-i', 'pipe:0', '-map', '0:v:0', '-fps_mode', 'passthrough', *frames, '-f', 'rawvideo',
                 '-pix_fmt', 'gray', 'pipe:1', data=data)
    return raw_numbers(raw, size)


def raw_numbers(raw, size):
    width, height = size
    out, block = [], width // BITS
    if len(raw) % (width * height):
        raise AssertionError('%d bytes are no pictures of %dx%d' % (len(raw), width, height))
    for at in range(0, len(raw), width * height):
        row = raw[at + width * (height // 6):at + width * (height // 6 + 1)]
        blocks = [row[bit * block + block // 2] for bit in range(BITS)]
        if any(60 < b < 200 for b in blocks):
            raise AssertionError('picture %d is spoilt: %s' % (len(out), blocks))
        out.append(sum((b > 128) << bit for bit, b in enumerate(blocks)))
    return out


@functools.lru_cache(None)
class Known:
    """The samples of a film that is copied: which picture is which, by its bytes."""

    def __init__(self, path):
        flv = flvread.read(ffmpeg('-i', path, '-map', '0:v', '-map', '0:a?', '-c', 'copy', '-f', 'flv', '-flvflags',
                                  'no_duration_filesize+no_sequence_end', 'pipe:1'))
        self.flv = flv
        self.pictures, self.sounds = flv.pictures, flv.sounds
        self.picture_at = {p.sample: n for n, p in enumerate(self.pictures)}
        self.sound_at = {s.sample: n for n, s in enumerate(self.sounds)}
        if len(self.picture_at) != len(self.pictures) or len(self.sound_at) != len(self.sounds):
            raise AssertionError('a sample of %s comes twice' % path)

    def run_of(self, where, samples, what, again=(0,)):
        """Indices of the samples; they must follow each other, and behind the last comes the first (`again`)."""
        found = [where.get(s) for s in samples]
        if None in found:
            raise AssertionError('%s %d is none of the film' % (what, found.index(None)))
        for before, after in zip(found, found[1:]):
            if after != before + 1 and not (before + 1 == len(where) and after in again):
                raise AssertionError('%s %d after %d' % (what, after, before))
        return found

    def check(self, pictures, sounds=(), with_sound=None):
        """A viewer's pictures: from a key frame on, one after the other, each as the film has it, and so is the sound.
        Times as in the film, to the millisecond, but where it begins anew. Index of the first picture."""
        at = self.run_of(self.picture_at, [p.sample for p in pictures], 'picture')
        if not self.pictures[at[0]].key:
            raise AssertionError('begins with picture %d, which is no key frame' % at[0])
        check_times(at, [p.pts for p in pictures], [p.pts for p in self.pictures], 'picture')
        if any(a.dts >= b.dts for a, b in zip(pictures, pictures[1:])) or any(p.pts < p.dts for p in pictures):
            raise AssertionError('decode times: %s' % [(p.dts, p.pts) for p in pictures])
        if [p.key for p in pictures] != [self.pictures[n].key for n in at]:
            raise AssertionError('key frames are not those of the film')
        # The first AAC frame is the encoder's own; ffmpeg leaves it out when it begins anew.
        heard = self.run_of(self.sound_at, [s.sample for s in sounds], 'sound', again=(0, 1))
        check_times(heard, [s.dts for s in sounds], [s.dts for s in self.sounds], 'sound')
        return at[0]


def check_times(at, times, own, what):
    """`times` of the items `at` step as the film's own do; where it begins anew, somehow ahead."""
    for n in range(1, len(at)):
        step, want = times[n] - times[n - 1], own[at[n]] - own[at[n] - 1]
        again = at[n] < at[n - 1]
        if again and -500 < step < 1000 or not again and abs(step - want) <= 2:
            continue
        raise AssertionError('%s %d: a step of %g ms, the film has %d' % (what, n, step, want))


# --- flashes and beeps ---------------------------------------------------------------------------------

def _onsets(levels, limit):
    return [time for (_, before), (time, level) in zip(levels, levels[1:]) if before < limit <= level]


class Instants(NamedTuple):
    flashes: list
    beeps: list

    def offsets(self):
        """Beep minus flash, seconds, for each flash with a beep nearby."""
        out = []
        for flash in self.flashes:
            near = [b for b in self.beeps if abs(b - flash) < 0.4]
            if near:
                out.append(min(near, key=lambda b: abs(b - flash)) - flash)
        return out

    def offset(self):
        found = self.offsets()
        if not found:
            raise AssertionError('no flash with a beep: %s' % (self,))
        return statistics.median(found)


@functools.lru_cache(None)
def instants(path, form=None):
    """When it flashes and when it beeps, by what ffmpeg decodes, on the file's own timeline."""
    source = ['-copyts', *(['-f', form] if form else []), '-i', path]
    seen = ffmpeg(*source, '-map', '0:v:0', '-vf', 'crop=16:16:0:ih-20,signalstats,'
                  'metadata=print:key=lavfi.signalstats.YAVG:file=-', '-f', 'null', '-').decode()
    levels = [(float(time), float(level)) for time, level in re.findall(r'pts_time:(\S+)\n[\w.]+=(\S+)', seen)]
    heard = ffmpeg(*source, '-map', '0:a:0', '-af', 'silencedetect=noise=-20dB:d=0.2,'
                   'ametadata=print:key=lavfi.silence_end:file=-', '-f', 'null', '-').decode()
    return Instants(_onsets(levels, 128), [float(time) for time in re.findall(r'silence_end=(\S+)', heard)])


# --- MP4 with sound ----------------------------------------------------------------------------------------

class Piece(NamedTuple):
    track: int
    dts: int  # in the track's own timescale
    pts: int
    key: bool
    sample: bytes


class Tracks:
    """An init segment: {track id: (handler, timescale)}."""

    def __init__(self, init):
        self.kinds, self.scales = {}, {}
        if [kind for kind in media.box_types(init) if kind != 'free'] != ['ftyp', 'moov']:
            raise AssertionError('an init segment of %s' % media.box_types(init))
        for trak in media.boxes(init, 'moov', 'trak'):
            tkhd = media.boxes(trak, 'tkhd')[0]
            track = struct.unpack_from('>I', tkhd, 20 if tkhd[0] == 1 else 12)[0]
            mdhd = media.boxes(trak, 'mdia', 'mdhd')[0]
            self.scales[track] = struct.unpack_from('>I', mdhd, 20 if mdhd[0] == 1 else 12)[0]
            self.kinds[track] = media.boxes(trak, 'mdia', 'hdlr')[0][8:12].decode()
        trex = [struct.unpack_from('>I', box, 4)[0] for box in media.boxes(init, 'moov', 'mvex', 'trex')]
        if sorted(trex) != sorted(self.kinds):
            raise AssertionError('trex of %s, tracks %s' % (trex, self.kinds))

    def video(self):
        return next(track for track, kind in self.kinds.items() if kind == 'vide')


def read_piece(data):
    """One moof and mdat with one sample of one track (14496-12, 8.8)."""
    if media.box_types(data) != ['moof', 'mdat']:
        raise AssertionError('boxes %s' % media.box_types(data))
    tfhd = media.boxes(data, 'moof', 'traf', 'tfhd')[0]
    tfdt = media.boxes(data, 'moof', 'traf', 'tfdt')[0]
    trun = media.boxes(data, 'moof', 'traf', 'trun')[0]
    dts = struct.unpack('>Q' if tfdt[0] == 1 else '>I', tfdt[4:])[0]
    flags, count = int.from_bytes(trun[1:4], 'big'), struct.unpack_from('>I', trun, 4)[0]
    if count != 1 or not flags & 0x201 == 0x201 or len(media.boxes(data, 'moof', 'traf')) != 1:
        raise AssertionError('a trun of %d samples with flags %#x' % (count, flags))
    at, values = 8, {}
    for bit, name, form in ((1, 'offset', '>i'), (4, 'first', '>I'), (0x100, 'duration', '>I'), (0x200, 'size', '>I'),
                            (0x400, 'flags', '>I'), (0x800, 'composition', '>i' if trun[0] else '>I')):
        if flags & bit:
            values[name] = struct.unpack_from(form, trun, at)[0]
            at += 4
    if at != len(trun) or values['offset'] + values['size'] != len(data):
        raise AssertionError('sample of %s in %d bytes' % (values, len(data)))
    sample_flags = values.get('flags', values.get('first', 0))
    return Piece(struct.unpack_from('>I', tfhd, 4)[0], dts, dts + values.get('composition', 0),
                 not sample_flags & 0x10000, data[values['offset']:])


def mp4_items(init, pieces):
    """(pictures, sounds) as flvread has them, times in ms."""
    tracks, pictures, sounds = Tracks(init), [], []
    for data in pieces:
        piece = read_piece(data)
        ms = 1000 / tracks.scales[piece.track]
        if tracks.kinds[piece.track] == 'vide':
            pictures.append(flvread.Picture(piece.dts * ms, piece.pts * ms, piece.key, piece.sample))
        else:
            sounds.append(flvread.Sound(piece.dts * ms, piece.sample))
    return pictures, sounds
