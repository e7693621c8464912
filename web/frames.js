// Reads a recording's frames.idx (docs/session-format.md) by Range: blocks of 256 records around what is asked, found
// by binary search over decode times, never the whole. Where a session has several index files they count as one.
import { recordingFile } from './api.js';

const RECORD = 64, BLOCK = 256, KEPT = 48;
const REORDER = 20; // pictures by which the order of showing may differ from that of the records
export const TICKS = 90000;
export const SHIFTED = 16, REBUILT = 512;
const PICTURE = 2, JPEG = 1024;

function parse(view, at) {
  const pts = Number(view.getBigInt64(at + 24)), flags = view.getUint16(at + 4);
  // Pictures of JPEG cameras lie in no part; the film that is made of them later has all of them.
  return { sequence: view.getUint32(at), flags, part: flags & JPEG ? 1 : view.getUint16(at + 6),
    deviceMs: Number(view.getBigUint64(at + 8)), arrivalMs: Number(view.getBigUint64(at + 16)) / 1000,
    pts, dts: pts - view.getInt32(at + 56), bytes: view.getUint32(flags & JPEG ? at + 44 : at + 40) };
}

const isShown = record => record.flags & PICTURE && record.part > 0 && record.bytes > 0;

export class Frames {
  #blocks = new Map();
  #files;
  #parts = new Map();

  // `files` of the recording: [{ name, bytes }].
  constructor(id, files) {
    this.#files = files.filter(file => /^frames(_\d+)?\.idx$/.test(file.name))
      .sort((a, b) => a.name.length - b.name.length || (a.name < b.name ? -1 : 1))
      .map(file => ({ url: recordingFile(id, file.name), count: Math.max(0, Math.floor(file.bytes / RECORD) - 1) }));
    this.count = this.#files.reduce((sum, file) => sum + file.count, 0);
  }

  // One record; rejects if the hub does not give it.
  async record(n) {
    let file = 0;
    for (; file < this.#files.length - 1 && n >= this.#files[file].count; file++)
      n -= this.#files[file].count;
    const block = Math.floor(n / BLOCK);
    return (await this.#block(file, block))[n - block * BLOCK];
  }

  #block(file, block) {
    const key = `${file}:${block}`, known = this.#blocks.get(key);
    this.#blocks.delete(key);
    const found = known ?? this.#fetch(this.#files[file], block);
    this.#blocks.set(key, found);
    found.catch(() => this.#blocks.delete(key));
    if (this.#blocks.size > KEPT)
      this.#blocks.delete(this.#blocks.keys().next().value);
    return found;
  }

  async #fetch({ url, count }, block) {
    const first = block * BLOCK, last = Math.min(first + BLOCK, count) - 1;
    const begin = RECORD * (1 + first), end = RECORD * (2 + last) - 1;
    const response = await fetch(url, { headers: { Range: `bytes=${begin}-${end}` } });
    if (response.status !== 206)
      throw new Error(`frames.idx: HTTP ${response.status}`);
    const view = new DataView(await response.arrayBuffer());
    return Array.from({ length: Math.floor(view.byteLength / RECORD) }, (_, n) => parse(view, n * RECORD));
  }

  // The first shown picture from record n on, { n, record }, or null.
  async #shownFrom(n, step = 1) {
    for (; n >= 0 && n < this.count; n += step) {
      const record = await this.record(n);
      if (record && isShown(record))
        return { n, record };
    }
    return null;
  }

  // The first shown picture that `fits`; all after it fit too.
  async #search(fits) {
    let low = 0, high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1, found = await this.#shownFrom(middle);
      if (!found || fits(found.record))
        high = middle;
      else
        low = found.n + 1;
    }
    return this.#shownFrom(low);
  }

  // { pts, lead }: where a part lies on the session's timeline, and what its first picture waits for reordering.
  part(number) {
    if (!this.#parts.has(number)) {
      const found = this.#search(record => record.part >= number)
        .then(first => first?.record.part === number ? { pts: first.record.pts,
          lead: first.record.pts - first.record.dts } : null);
      found.catch(() => this.#parts.delete(number));
      this.#parts.set(number, found);
    }
    return this.#parts.get(number);
  }

  // The picture shown at a time of the session, with its neighbours in the order of showing:
  // { before, record, after, next }, each a record or null.
  async at(ticks) {
    const near = await this.#search(record => record.dts > ticks) ?? await this.#shownFrom(this.count - 1, -1);
    if (!near)
      return null;
    const around = [near.record];
    for (const step of [-1, 1]) // of the pictures: any number of records of sound may lie between two
      for (let found = near, left = REORDER; left > 0 && (found = await this.#shownFrom(found.n + step, step)); left--)
        around.push(found.record);
    around.sort((a, b) => a.pts - b.pts);
    let at = around.findLastIndex(record => record.pts <= ticks + TICKS / 1000);
    at = Math.max(0, at);
    const [before = null, record, after = null, next = null] = [around[at - 1], ...around.slice(at, at + 3)];
    return { before, record, after, next };
  }
}

// Tells when a picture was taken, by the report's map from the device's clock to the hub's. Returns { ms, exact };
// not exact: there is no such map (yet), or it does not hold for this record, and the time is that of its arrival.
export function captureTime(record, report, first) {
  const { clock, counts } = report ?? {};
  if (!clock || !first || record.flags & REBUILT)
    return { ms: record.arrivalMs, exact: false };
  const rate = 1 + (clock.drift_ppm ?? 0) / 1e6, zero = first.deviceMs + clock.wall_minus_device * 1000;
  if (!counts?.clock_jumps)
    return { ms: zero + (record.pts - first.pts) / 90 * rate, exact: true };
  const ms = zero + (record.deviceMs - first.deviceMs) * rate, late = record.arrivalMs - ms;
  const plausible = !(record.flags & SHIFTED) && late > -1000 * (1 + clock.uncertainty) && late < 30000;
  return plausible ? { ms, exact: true } : { ms: record.arrivalMs, exact: false };
}
