"""FLV taken apart by the letter of the Adobe Flash Video File Format Specification, version 10.1, annex E. Strict:
what the specification does not allow, or what players are known to stumble over, is an error."""
import struct
from typing import NamedTuple

AUDIO, VIDEO, SCRIPT = 8, 9, 18


class Tag(NamedTuple):
    kind: int
    time_ms: int
    body: bytes


class Picture(NamedTuple):
    dts: int  # ms
    pts: int
    key: bool
    sample: bytes


class Sound(NamedTuple):
    dts: int
    sample: bytes


class Flv:
    """What a stream holds, in order. `items`: Picture and Sound as they came."""

    def __init__(self, has_audio, has_video):
        self.has_audio, self.has_video = has_audio, has_video
        self.metadata = []       # dictionaries
        self.video_configs = []  # AVCDecoderConfigurationRecord
        self.audio_configs = []  # AudioSpecificConfig
        self.items = []
        self.order = []          # 'meta', 'video config', 'audio config', 'picture', 'sound'
        self.rest = b''          # of a tag that is not whole

    @property
    def pictures(self):
        return [i for i in self.items if isinstance(i, Picture)]

    @property
    def sounds(self):
        return [i for i in self.items if isinstance(i, Sound)]


def require(truth, what):
    if not truth:
        raise AssertionError('FLV: ' + what)


def split(data):
    """(header flags, tags, rest): the rest is a tag that is not whole yet."""
    require(len(data) >= 13, '%d bytes are no header' % len(data))
    require(data[:4] == b'FLV\1', 'begins with %r' % data[:4])
    require(not data[4] & ~5, 'reserved bits in the header: %#x' % data[4])
    require(struct.unpack('>I', data[5:9])[0] == 9, 'data offset')
    require(data[9:13] == bytes(4), 'the first size is not 0')
    tags, at = [], 13
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1:at + 4], 'big')
        if at + 11 + size + 4 > len(data):
            break
        kind = data[at]
        require(kind in (AUDIO, VIDEO, SCRIPT), 'tag type %d at %d' % (kind, at))
        require(data[at + 8:at + 11] == bytes(3), 'stream id at %d' % at)
        time = int.from_bytes(data[at + 4:at + 7], 'big') | data[at + 7] << 24
        after = int.from_bytes(data[at + 11 + size:at + 15 + size], 'big')
        require(after == 11 + size, 'size behind the tag at %d: %d, not %d' % (at, after, 11 + size))
        tags.append(Tag(kind, time, data[at + 11:at + 11 + size]))
        at += 15 + size
    return data[4], tags, data[at:]


def read(data):
    flags, tags, rest = split(data)
    flv = Flv(bool(flags & 4), bool(flags & 1))
    flv.rest = rest
    for tag in tags:
        (_read_video if tag.kind == VIDEO else _read_audio if tag.kind == AUDIO else _read_script)(flv, tag)
    return flv


def _read_video(flv, tag):
    body = tag.body
    require(flv.has_video, 'video, which the header does not announce')
    require(len(body) >= 5, 'a video tag of %d bytes' % len(body))
    frame, codec, packet = body[0] >> 4, body[0] & 15, body[1]
    composition = int.from_bytes(body[2:5], 'big', signed=True)
    require(codec == 7, 'video codec %d' % codec)
    require(frame in (1, 2), 'frame type %d' % frame)
    if packet == 0:
        require(frame == 1 and composition == 0, 'a configuration of frame type %d' % frame)
        check_avcc(body[5:])
        flv.video_configs.append(body[5:])
        flv.order.append('video config')
        return
    require(packet == 1, 'AVC packet type %d' % packet)
    require(flv.video_configs, 'a picture before its configuration')
    require(flv.pictures or frame == 1, 'the first picture is no key frame')
    nals = sample_nals(body[5:])
    require(nals, 'a sample without NAL units')
    require((frame == 1) == any(n[0] & 31 == 5 for n in nals), 'key frame flag %d of NAL units %s' % (
        frame, [n[0] & 31 for n in nals]))
    flv.items.append(Picture(tag.time_ms, tag.time_ms + composition, frame == 1, body[5:]))
    flv.order.append('picture')


def _read_audio(flv, tag):
    body = tag.body
    later = len(flv.metadata) > 1 and 'audiocodecid' in flv.metadata[-1]  # sound that began while somebody watched
    require(flv.has_audio or later, 'sound, which is not announced')
    require(len(body) >= 2, 'an audio tag of %d bytes' % len(body))
    require(body[0] == 0xAF, 'sound format %#x (AAC is 0xAF)' % body[0])
    if body[1] == 0:
        require(len(body) >= 4, 'a short AudioSpecificConfig')
        flv.audio_configs.append(body[2:])
        flv.order.append('audio config')
        return
    require(body[1] == 1, 'AAC packet type %d' % body[1])
    require(flv.audio_configs, 'sound before its configuration')
    require(len(body) > 2, 'an empty AAC frame')
    flv.items.append(Sound(tag.time_ms, body[2:]))
    flv.order.append('sound')


def check_avcc(data):
    require(len(data) >= 7 and data[0] == 1, 'no AVCDecoderConfigurationRecord')
    require(data[4] & 3 == 3, 'NAL lengths of %d bytes' % ((data[4] & 3) + 1))
    at, lists = 6, [data[5] & 31]
    for kind in (7, 8):
        if kind == 8:
            lists.append(data[at])
            at += 1
        require(lists[-1] > 0, 'no parameter set of type %d' % kind)
        for _ in range(lists[-1]):
            size = int.from_bytes(data[at:at + 2], 'big')
            require(0 < size <= len(data) - at - 2 and data[at + 2] & 31 == kind, 'a parameter set of type %d' % kind)
            at += 2 + size
    require(data[1:4] == data[9:12], 'profile %s, that of the SPS is %s' % (data[1:4].hex(), data[9:12].hex()))


def sample_nals(sample):
    """NAL units of a sample with lengths of 4 bytes."""
    out, at = [], 0
    while at < len(sample):
        size = int.from_bytes(sample[at:at + 4], 'big')
        require(0 < size <= len(sample) - at - 4, 'NAL length %d at %d of %d' % (size, at, len(sample)))
        out.append(sample[at + 4:at + 4 + size])
        at += 4 + size
    return out


# --- onMetaData, AMF 0 ---------------------------------------------------------------------------------

def _read_script(flv, tag):
    name, at = _value(tag.body, 0)
    require(name == 'onMetaData', 'script data %r' % name)
    value, at = _value(tag.body, at)
    require(isinstance(value, dict) and at == len(tag.body), 'onMetaData of %d bytes ends at %d' % (len(tag.body), at))
    flv.metadata.append(value)
    flv.order.append('meta')


def _text(body, at):
    size = int.from_bytes(body[at:at + 2], 'big')
    require(at + 2 + size <= len(body), 'a text of %d bytes' % size)
    return body[at + 2:at + 2 + size].decode('utf8'), at + 2 + size


def _value(body, at):
    require(at < len(body), 'script data ends too early')
    kind, at = body[at], at + 1
    if kind == 0:
        return struct.unpack('>d', body[at:at + 8])[0], at + 8
    if kind == 1:
        return bool(body[at]), at + 1
    if kind == 2:
        return _text(body, at)
    require(kind == 8, 'AMF type %d' % kind)
    count, at, out = int.from_bytes(body[at:at + 4], 'big'), at + 4, {}
    while True:
        name, at = _text(body, at)
        if not name:
            require(body[at] == 9, 'no end of the array')
            require(len(out) == count, '%d properties, announced %d' % (len(out), count))
            return out, at + 1
        require(name not in out, '%s twice' % name)
        out[name], at = _value(body, at)
