"""Annex B byte streams: NAL units, access units. Simple on purpose, so that it can be trusted:
it is checked against ffprobe's packets for every clip used here (clips.py)."""
import re
from typing import NamedTuple

SLICE_TYPES = (1, 2, 5)
SETS_TYPES = (7, 8, 13, 15)
_START = re.compile(b'\0\0\1')


class Nal(NamedTuple):
    raw: bytes   # with its start code, and with the zeros behind it
    start: int   # of the NAL unit's header byte in `raw`

    @property
    def body(self):
        return self.raw[self.start:].rstrip(b'\0')

    @property
    def type(self):
        return self.raw[self.start] & 31

    @property
    def first_slice(self):
        """first_mb_in_slice is 0: ue(v) that begins with a one bit."""
        return len(self.raw) > self.start + 1 and self.raw[self.start + 1] & 0x80 != 0


def split_nals(data):
    """NAL units with their start codes: joined, they are the data again."""
    starts = [m.start() for m in _START.finditer(data)]
    edges = [s - 1 if s > 0 and data[s - 1] == 0 else s for s in starts]
    if edges:
        edges[0] = 0
    return [Nal(data[edge:end], start + 3 - edge)
            for edge, start, end in zip(edges, starts, edges[1:] + [len(data)]) if start + 3 < end]


def nal_units(data):
    """NAL units without start codes and trailing zeros; empty ones are skipped."""
    out = []
    starts = [m.start() for m in _START.finditer(data)]
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(data)
        body = data[start + 3:end].rstrip(b'\0')
        if body:
            out.append(body)
    return out


class AccessUnit(NamedTuple):
    nals: tuple  # of Nal

    @property
    def payload(self):
        return b''.join(n.raw for n in self.nals)

    @property
    def key(self):
        return any(n.type == 5 for n in self.nals)

    @property
    def picture(self):
        return any(n.type in SLICE_TYPES for n in self.nals)

    @property
    def sets(self):
        return b''.join(n.raw for n in self.nals if n.type in SETS_TYPES)

    def without(self, types):
        return AccessUnit(tuple(n for n in self.nals if n.type not in types))


def split_access_units(data):
    """Pictures with what precedes them (ITU-T H.264 7.4.1.2.3, as far as our clips need it)."""
    units, current, has_slice = [], [], False
    for nal in split_nals(data):
        begins = nal.type in (6, 7, 8, 9, 13, 14, 15) or (nal.type in SLICE_TYPES and nal.first_slice)
        if has_slice and begins:
            units.append(AccessUnit(tuple(current)))
            current, has_slice = [], False
        current.append(nal)
        has_slice = has_slice or nal.type in SLICE_TYPES
    if current:
        units.append(AccessUnit(tuple(current)))
    return units
