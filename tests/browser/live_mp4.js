// The live form of MP4 as the hub sends it: an init segment, and one fragment per picture.
// ISO/IEC 14496-12; the sample entry by 14496-15.

const u16 = value => { const out = Buffer.alloc(2); out.writeUInt16BE(value); return out; };
const u32 = value => { const out = Buffer.alloc(4); out.writeUInt32BE(value >>> 0); return out; };
const u64 = value => { const out = Buffer.alloc(8); out.writeBigUInt64BE(BigInt(value)); return out; };
const zeros = count => Buffer.alloc(count);
const matrix = Buffer.concat([0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000].map(u32));

function box(type, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(8 + body.length), Buffer.from(type, 'latin1'), body]);
}

function full(type, version, flags, ...parts) {
  return box(type, u32(version << 24 | flags), ...parts);
}

export const TIMESCALE = 90000;

function sampleEntry({ width, height, sps, pps }) {
  const avcc = box('avcC', Buffer.from([1, sps[1], sps[2], sps[3], 0xFF, 0xE1]), u16(sps.length), sps,
    Buffer.from([1]), u16(pps.length), pps);
  return box('avc1', zeros(6), u16(1), zeros(16), u16(width), u16(height), u32(0x480000), u32(0x480000), zeros(4),
    u16(1), zeros(32), u16(0x18), u16(0xFFFF), avcc);
}

export function codecString({ sps }) {
  return `avc1.${sps.subarray(1, 4).toString('hex').toUpperCase()}`;
}

export function initSegment(clip) {
  const empty = ['stts', 'stsc', 'stco'].map(type => full(type, 0, 0, u32(0)));
  const stbl = box('stbl', full('stsd', 0, 0, u32(1), sampleEntry(clip)), ...empty, full('stsz', 0, 0, zeros(8)));
  const minf = box('minf', full('vmhd', 0, 1, zeros(8)),
    box('dinf', full('dref', 0, 0, u32(1), full('url ', 0, 1))), stbl);
  const mdia = box('mdia', full('mdhd', 1, 0, zeros(16), u32(TIMESCALE), u64(0), u16(0x55C4), zeros(2)),
    full('hdlr', 0, 0, u32(0), Buffer.from('vide'), zeros(12), Buffer.from('camhub\0')), minf);
  const tkhd = full('tkhd', 1, 3, zeros(16), u32(1), zeros(4), u64(0), zeros(16), matrix,
    u32(clip.width << 16), u32(clip.height << 16));
  const mvhd = full('mvhd', 1, 0, zeros(16), u32(TIMESCALE), u64(0), u32(0x10000), u16(0x100), zeros(10), matrix,
    zeros(24), u32(2));
  const mvex = box('mvex', full('trex', 0, 0, u32(1), u32(1), zeros(12)));
  return Buffer.concat([box('ftyp', Buffer.from('iso6'), u32(1), Buffer.from('iso6isomavc1mp41')),
    box('free', zeros(8)), box('moov', mvhd, box('trak', tkhd, mdia), mvex)]);
}

const HEADER_BYTES = 112;

// The duration is always a promise of one second.
export function fragment({ sequence, dts, composition, key, nals }) {
  const sample = Buffer.concat(nals.flatMap(nal => [u32(nal.length), nal]));
  const trun = full('trun', 1, 0xF01, u32(1), u32(HEADER_BYTES), u32(TIMESCALE), u32(sample.length),
    u32(key ? 0x02000000 : 0x01010000), u32(composition));
  const traf = box('traf', full('tfhd', 0, 0x20000, u32(1)), full('tfdt', 1, 0, u64(dts)), trun);
  return Buffer.concat([box('moof', full('mfhd', 0, 0, u32(sequence)), traf), u32(8 + sample.length),
    Buffer.from('mdat'), sample]);
}
