// Pictures for live tests: H.264 made by ffmpeg, one access unit each, every picture with its own number as a strip
// of black and white blocks (read back from the screen by live_page.js).
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { numberStrip } from './clip.js';

export const BITS = 10, MAX_COUNT = 1 << BITS;
const START = Buffer.from([0, 0, 1]);

function ffmpeg(...args) {
  execFileSync(process.env.FFMPEG_BIN || 'ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args]);
}

// One drawing that wanders upward under the strip: cheap, and no two pictures are the same.
function source({ width, height, rate, count }) {
  const strip = numberStrip({ width, height: height / 4, bits: BITS });
  return ['-f', 'lavfi', '-i', `color=black:size=${width}x${height}:rate=${rate},format=yuv420p,` +
    `geq=lum='60+mod(X+Y,120)':cb=128:cr=128,loop=loop=-1:size=1,setpts=N/(${rate}*TB),trim=end_frame=${count},` +
    `scroll=vertical=${4 / height},${strip}`];
}

// The NAL units of an Annex B stream, without start codes.
function nalUnits(stream) {
  const units = [];
  for (let at = stream.indexOf(START); at >= 0;) {
    const begin = at + 3, next = stream.indexOf(START, begin);
    let end = next < 0 ? stream.length : next;
    while (end > begin && stream[end - 1] === 0)
      end--;
    units.push(stream.subarray(begin, end));
    at = next;
  }
  return units;
}

const type = nal => nal[0] & 31;

// [[NAL unit...]...]: access unit delimiters (which ffmpeg was told to insert) part them and are left out.
function accessUnits(stream) {
  const pictures = [];
  for (const nal of nalUnits(stream)) {
    if (type(nal) === 9)
      pictures.push([]);
    else
      pictures.at(-1).push(nal);
  }
  return pictures;
}

function annexB(nals) {
  return Buffer.concat(nals.flatMap(nal => [Buffer.from([0, 0, 0, 1]), nal]));
}

// A clip: { width, height, count, bFrames, sps, pps, frames }, the frames in decoding order, each
// { number (place in the order of showing, and what its strip says), key, nals, annexB }.
export function makeLiveClip(folder, name, { count, gop = 30, bFrames = 0, width = 320, height = 240, rate = 30 }) {
  const mp4 = path.join(folder, `${name}.mp4`), raw = path.join(folder, `${name}.h264`);
  ffmpeg(...source({ width, height, rate, count }), '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '24',
    '-g', String(gop), '-sc_threshold', '0', '-bf', String(bFrames),
    ...bFrames ? ['-b_strategy', '0'] : ['-profile:v', 'baseline'], mp4);
  ffmpeg('-i', mp4, '-c', 'copy', '-bsf:v', 'h264_mp4toannexb,h264_metadata=aud=insert', '-f', 'h264', raw);
  const probe = execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', mp4],
    { encoding: 'utf8' });
  const places = probe.trim().split('\n').map(line => Math.round(parseFloat(line) * rate));
  const first = Math.min(...places), units = accessUnits(readFileSync(raw));
  if (units.length !== count || places.length !== count)
    throw new Error(`${units.length} access units and ${places.length} packets for ${count} pictures`);
  const frames = units.map((nals, n) => ({
    number: places[n] - first,
    key: nals.some(nal => type(nal) === 5),
    nals,
    annexB: annexB(nals),
  }));
  const sps = units[0].find(nal => type(nal) === 7), pps = units[0].find(nal => type(nal) === 8);
  return { width, height, count, bFrames, sps, pps, frames };
}

// JPEG pictures with the same strip.
export function makeJpegs(folder, { count, width = 320, height = 240 }) {
  ffmpeg(...source({ width, height, rate: 10, count }), '-q:v', '4', path.join(folder, 'live_%04d.jpg'));
  return Array.from({ length: count },
    (_, n) => readFileSync(path.join(folder, `live_${String(n + 1).padStart(4, '0')}.jpg`)));
}
