// Live MP4 (ISO/IEC 14496-12, docs/live-protocol.md) as a player needs it: the tracks of an init segment, the fragments
// of a message, an init segment without its sound, and fragments of silence. RangeError: the data are damaged.

const code = name => [...name].reduce((value, letter) => value * 256 + letter.charCodeAt(0), 0);
const [MOOV, TRAK, TKHD, EDTS, ELST, MDIA, MDHD, HDLR, MVEX, TREX, MOOF, TRAF, TFHD, TFDT, TRUN, SOUN, VIDE] =
  ['moov', 'trak', 'tkhd', 'edts', 'elst', 'mdia', 'mdhd', 'hdlr', 'mvex', 'trex', 'moof', 'traf', 'tfhd', 'tfdt',
    'trun', 'soun', 'vide'].map(code);

// The boxes inside [begin, end) of a DataView: { type, at, begin, end }, the box at `at`, its contents from `begin` on.
function* boxes(view, begin, end) {
  while (begin + 8 <= end) {
    const at = begin;
    let size = view.getUint32(at), head = 8;
    if (size === 1) {
      size = Number(view.getBigUint64(at + 8));
      head = 16;
    } else if (size === 0) {
      size = end - at;
    }
    if (size < head || at + size > end)
      throw new RangeError('a box that does not fit');
    yield { type: view.getUint32(at + 4), at, begin: at + head, end: at + size };
    begin += size;
  }
}

const inside = (view, { begin, end }) => boxes(view, begin, end);
const whole = view => ({ begin: 0, end: view.byteLength });

function* descend(view, box, [type, ...rest]) {
  for (const inner of inside(view, box))
    if (inner.type === type)
      yield* rest.length ? descend(view, inner, rest) : [inner];
}

const first = (view, box, path) => descend(view, box, path).next().value;

// Whether the times in a full box are of 64 bit.
const isLong = (view, { begin }) => view.getUint8(begin) === 1;
const trackId = (view, tkhd) => view.getUint32(tkhd.begin + (isLong(view, tkhd) ? 20 : 12));

function mediaTime(view, elst) {
  const { begin } = elst;
  return Math.max(0, isLong(view, elst) ? Number(view.getBigInt64(begin + 16)) : view.getInt32(begin + 12));
}

// { video, sound } of an init segment, each { id, timescale, offset } or null: `offset` is the composition time, in
// ticks, that the track's edit list maps to 0 (8.6.6).
export function readTracks(data) {
  const view = new DataView(data), tracks = { video: null, sound: null };
  for (const trak of descend(view, whole(view), [MOOV, TRAK])) {
    const tkhd = first(view, trak, [TKHD]), mdhd = first(view, trak, [MDIA, MDHD]);
    const hdlr = first(view, trak, [MDIA, HDLR]), elst = first(view, trak, [EDTS, ELST]);
    if (!tkhd || !mdhd || !hdlr)
      continue;
    const place = { [VIDE]: 'video', [SOUN]: 'sound' }[view.getUint32(hdlr.begin + 8)];
    if (place)
      tracks[place] ??= { id: trackId(view, tkhd), offset: elst ? mediaTime(view, elst) : 0,
        timescale: view.getUint32(mdhd.begin + (isLong(view, mdhd) ? 20 : 12)) };
  }
  return tracks;
}

// A copy of an init segment without track `id`.
export function withoutTrack(data, id) {
  const view = new DataView(data);
  const isOf = ({ type, begin, end }) => {
    if (type === TREX)
      return view.getUint32(begin + 4) === id;
    const tkhd = type === TRAK && first(view, { begin, end }, [TKHD]);
    return Boolean(tkhd) && trackId(view, tkhd) === id;
  };
  const copy = box => {
    if (box.type !== MOOV && box.type !== MVEX)
      return [new Uint8Array(data, box.at, box.end - box.at)];
    const parts = [...inside(view, box)].filter(inner => !isOf(inner)).flatMap(copy);
    const head = new DataView(new ArrayBuffer(8));
    head.setUint32(0, parts.reduce((sum, part) => sum + part.length, 8));
    head.setUint32(4, box.type);
    return [new Uint8Array(head.buffer), ...parts];
  };
  return join([...inside(view, whole(view))].flatMap(copy));
}

export function join(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part instanceof ArrayBuffer ? new Uint8Array(part) : part, at);
    at += part.byteLength;
  }
  return all.buffer;
}

// --- fragments

const NOT_SYNC = 0x10000; // of sample flags, 8.8.3.1

// The fields of a box whose flags say which are there: next(flag) reads four bytes if it is.
function fields(view, at, flags) {
  return flag => flags & flag ? (at += 4, view.getUint32(at - 4)) : undefined;
}

function readDefaults(view, { begin }) {
  const flags = view.getUint32(begin) & 0xFFFFFF;
  const next = fields(view, begin + (flags & 1 ? 16 : 8), flags);
  next(2);
  const duration = next(8) ?? 0;
  next(0x10);
  return { track: view.getUint32(begin + 4), duration, flags: next(0x20) ?? 0 };
}

// The samples of one trun (8.8.8).
function* runSamples(view, { begin }, dts, defaults) {
  const flags = view.getUint32(begin) & 0xFFFFFF, count = view.getUint32(begin + 4);
  const next = fields(view, begin + 8, flags);
  next(1); // data offset
  const firstFlags = next(4), each = [0x100, 0x200, 0x400, 0x800].filter(flag => flags & flag).length * 4;
  const head = begin + 8 + (flags & 1 ? 4 : 0) + (flags & 4);
  for (let n = 0; n < count; n++) {
    const duration = next(0x100) ?? defaults.duration;
    next(0x200); // size
    const sampleFlags = next(0x400) ?? (n === 0 && firstFlags !== undefined ? firstFlags : defaults.flags);
    const composition = (next(0x800) ?? 0) | 0;
    yield { dts, pts: dts + composition, key: !(sampleFlags & NOT_SYNC), duration,
      durationAt: flags & 0x100 ? head + n * each : 0 };
    dts += duration;
  }
}

// The fragments of a message, one per `moof`: { track, data, samples, setDuration(sample, ticks), setTime(ticks) }.
// Samples are { dts, pts, key, duration }, in ticks of their track. `data` is the message if it holds one fragment.
export function readFragments(message) {
  const all = new DataView(message), found = [];
  let begin = 0;
  const starts = [...inside(all, whole(all))].filter(({ type }) => type === MOOF).map(({ at }) => at);
  for (const end of [...starts.slice(1), message.byteLength]) {
    if (starts.length)
      found.push(readFragment(starts.length > 1 ? message.slice(begin, end) : message));
    begin = end;
  }
  return found.filter(Boolean);
}

function readFragment(data) {
  const view = new DataView(data), traf = first(view, whole(view), [MOOF, TRAF]);
  let defaults = null, time = null, dts = 0;
  const samples = [];
  for (const box of traf ? inside(view, traf) : []) {
    if (box.type === TFHD)
      defaults = readDefaults(view, box);
    else if (box.type === TFDT)
      dts = isLong(view, time = box) ? Number(view.getBigUint64(box.begin + 4)) : view.getUint32(box.begin + 4);
    else if (box.type === TRUN && defaults)
      samples.push(...runSamples(view, box, dts, defaults));
  }
  if (!samples.length)
    return null;
  return {
    track: defaults.track, data, samples,
    setDuration: ({ durationAt }, ticks) => durationAt && view.setUint32(durationAt, ticks),
    setTime(ticks) {
      if (time && isLong(view, time))
        view.setBigUint64(time.begin + 4, BigInt(ticks));
      else if (time)
        view.setUint32(time.begin + 4, ticks);
    },
  };
}

// --- silence

// The elements of a raw_data_block by number of channels (ISO/IEC 14496-3, table 1.19): s(ingle), p(air), l(fe).
const ELEMENTS = { 1: 's', 2: 'p', 3: 'sp', 4: 'sps', 5: 'spp', 6: 'sppl', 8: 'spppl' };
// Without a scale factor band no channel has anything in it.
const ICS_INFO = '0'.repeat(11), CHANNEL = '0'.repeat(11);

// An AAC frame in which nothing is to be heard; null for an unusual number of channels.
export function silentFrame(channels) {
  if (!ELEMENTS[channels])
    return null;
  const tags = {};
  let bits = '';
  for (const element of ELEMENTS[channels]) {
    const tag = (tags[element] = (tags[element] ?? -1) + 1).toString(2).padStart(4, '0');
    bits += element === 'p' ? `001${tag}1${ICS_INFO}00${CHANNEL}${CHANNEL}`
      : `${element === 's' ? '000' : '011'}${tag}${CHANNEL}${ICS_INFO}`;
  }
  bits += '111';
  return Uint8Array.from(bits.match(/.{1,8}/g), byte => parseInt(byte.padEnd(8, '0'), 2));
}

// A fragment of `count` equal samples, `sample` each.
export function repeatFragment({ track, time, duration, count, sample }) {
  const words = (...values) => {
    const view = new DataView(new ArrayBuffer(values.length * 4));
    values.forEach((value, n) => view.setUint32(n * 4, value));
    return new Uint8Array(view.buffer);
  };
  const box = (name, ...parts) => {
    const size = parts.reduce((sum, part) => sum + part.length, 8);
    return new Uint8Array(join([words(size, code(name)), ...parts]));
  };
  const media = new Uint8Array(count * sample.length);
  for (let n = 0; n < count; n++)
    media.set(sample, n * sample.length);
  const moof = offset => box('moof', box('mfhd', words(0, 0)), box('traf',
    box('tfhd', words(0x020038, track, duration, sample.length, 0x02000000)),
    box('tfdt', words(0x01000000, Math.floor(time / 2 ** 32), time % 2 ** 32)), box('trun', words(1, count, offset))));
  return join([moof(moof(0).length + 8), box('mdat', media)]);
}
