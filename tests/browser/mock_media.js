// Pictures for the mock hub, made by ffmpeg once: a live H.264 stream that goes round, JPEGs, thumbnails, and the films
// and frames.idx of recordings.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeSoundClip } from './sound_clip.js';

const TICKS = 90000, RECORD = 64, LIVE_RATE = 10, FILM_RATE = 15;
const PICTURES = ['testsrc2=size=640x360', 'mandelbrot=size=640x360', 'smptehdbars=size=640x360',
  'testsrc=size=640x360',
  'rgbtestsrc=size=640x360', 'yuvtestsrc=size=640x360'];

function ffmpeg(...args) {
  execFileSync(process.env.FFMPEG_BIN || 'ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args]);
}

function boxes(data) {
  const found = [];
  for (let at = 0; at < data.length;) {
    const size = data.readUInt32BE(at);
    found.push({ type: data.toString('latin1', at + 4, at + 8), data: data.subarray(at, at + size) });
    at += size;
  }
  return found;
}

// One round of a live stream: { mime, init, fragments: [Buffer], rate }.
function makeLive(folder) {
  const file = path.join(folder, 'live.mp4');
  ffmpeg('-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=${LIVE_RATE}:duration=6`, '-pix_fmt', 'yuv420p', '-c:v',
    'libx264',
    '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-g', String(LIVE_RATE),
    '-video_track_timescale', String(TICKS), '-movflags', 'empty_moov+default_base_moof+frag_every_frame', file);
  const all = boxes(readFileSync(file)), init = Buffer.concat(all.slice(0, 2).map(box => box.data));
  const fragments = all.flatMap((box, n) => box.type === 'moof' ? [Buffer.concat([box.data, all[n + 1].data])] : []);
  const config = init.indexOf('avcC') + 5;
  return { mime: `video/mp4; codecs="avc1.${init.toString('hex', config, config + 3)}"`, init, fragments,
    rate: LIVE_RATE };
}

// A fragment of a live stream at another time.
export function fragmentAt(fragment, ticks) {
  const copy = Buffer.from(fragment), at = copy.indexOf('tfdt') + 4;
  if (copy[at] === 1)
    copy.writeBigUInt64BE(BigInt(ticks), at + 4);
  else
    copy.writeUInt32BE(ticks, at + 4);
  return copy;
}

// { mp4, pictures: [{ pts, dts, key }] } in the order of decoding, in ticks, presentation from 0.
function makeFilm(folder, name, source, seconds) {
  const file = path.join(folder, `${name}.mp4`);
  ffmpeg('-f', 'lavfi', '-i', `${source}:rate=${FILM_RATE}:duration=${seconds}`, '-pix_fmt', 'yuv420p', '-c:v',
    'libx264',
    '-preset', 'veryfast', '-bf', '2', '-g', String(FILM_RATE), '-video_track_timescale', String(TICKS), '-movflags',
      'faststart', file);
  const probe = execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'packet=pts,dts,flags', '-of', 'csv=p=0',
    file],
    { encoding: 'utf8' });
  const pictures = probe.trim().split('\n').map(line => {
    const [pts, dts, flags] = line.split(',');
    return { pts: Number(pts), dts: Number(dts), key: flags.startsWith('K') };
  });
  return { mp4: readFileSync(file), pictures, length: seconds };
}

export function makeMedia() {
  const folder = mkdtempSync(path.join(tmpdir(), 'camhub-mock-'));
  try {
    ffmpeg('-f', 'lavfi', '-i', `testsrc=size=640x480:rate=${LIVE_RATE}:duration=3`, '-q:v', '8',
      path.join(folder, 'jpeg-%03d.jpg'));
    const jpegs = readdirSync(folder).filter(name => name.startsWith('jpeg-')).sort()
      .map(name => readFileSync(path.join(folder, name)));
    const thumbnails = PICTURES.map((source, n) => {
      const file = path.join(folder, `thumbnail-${n}.jpg`);
      ffmpeg('-f', 'lavfi', '-i', `${source}:rate=1`, '-frames:v', '1', '-s', '192x108', file);
      return readFileSync(file);
    });
    return { live: makeLive(folder), sound: makeSoundClip(folder, 'sound', { seconds: 5 }), jpegs, thumbnails,
      films: [makeFilm(folder, 'first', 'testsrc2=size=640x360', 20),
        makeFilm(folder, 'second', 'testsrc=size=320x240', 8)] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// frames.idx of films one after another. `arrival` in ms since 1970, of the first picture; device times begin at
// deviceMs. Pictures whose number is in `missing` have gaps before them; those in `shifted` had their time repaired.
export function makeIndex(films, { arrival, deviceMs, missing = new Map(), shifted = new Set() }) {
  const records = [];
  let sequence = 0, begin = 0;
  films.forEach((film, part) => {
    film.pictures.forEach(({ pts, dts, key }, n) => {
      const number = records.length, ticks = begin + pts, ms = Math.round(ticks / 90), record = Buffer.alloc(RECORD);
      sequence += missing.get(number) ?? 0;
      record.writeUInt32BE(sequence++, 0);
      record.writeUInt16BE(2 | (key ? 1 : 0) | (shifted.has(number) ? 16 : 0), 4);
      record.writeUInt16BE(part + 1, 6);
      record.writeBigUInt64BE(BigInt(deviceMs + ms), 8);
      record.writeBigUInt64BE(BigInt(Math.round((arrival + ms + 40 + n * 7 % 30) * 1000)), 16);
      record.writeBigInt64BE(BigInt(ticks), 24);
      record.writeUInt32BE(1000, 40);
      record.writeUInt32BE(1000, 44);
      record.writeInt32BE(pts - dts, 56);
      records.push(record);
    });
    begin += film.length * TICKS;
  });
  const header = Buffer.alloc(RECORD);
  header.write('CAMHUBIX', 0, 'latin1');
  header.writeUInt16BE(1, 8);
  header.writeUInt16BE(RECORD, 10);
  header.writeUInt32BE(TICKS, 12);
  header.writeBigUInt64BE(BigInt(Math.round(arrival * 1000)), 16);
  return Buffer.concat([header, ...records]);
}
