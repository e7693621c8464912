// Video to be sent: made by ffmpeg, and every picture carries its own number as a strip of black and white
// blocks, so that what a browser shows can be told exactly.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

export const WIDTH = 320, HEIGHT = 240, BITS = 10, STRIP = 48;
const RATE = 15, PAUSE_FRAME = 100, PAUSE_MS = 600, STEP_MS = 1000 / RATE;

function ffmpeg(...args) {
  execFileSync(process.env.FFMPEG_BIN || 'ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args]);
}

// ffmpeg's filters that draw the number of each picture: bit n of it is a block, white for 1.
export function numberStrip({ width, height, bits }) {
  const block = width / bits, box = (x, wide, colour, more) =>
    `drawbox=x=${x}:y=0:w=${wide}:h=${height}:color=${colour}:thickness=fill${more}`;
  return [box(0, width, 'black', ''), ...Array.from({ length: bits },
    (_, bit) => box(bit * block, block, 'white', `:enable='bitand(n,${1 << bit})'`))].join(',');
}

// Below the strip: noise, to make the file so large that no player fetches it whole at once.
const DRAWING = `noise=c0_strength=100:c0_flags=t,${numberStrip({ width: WIDTH, height: STRIP, bits: BITS })}`;

function accessUnits(stream) {
  const delimiter = Buffer.from([0, 0, 0, 1, 9]);
  const units = [];
  for (let begin = stream.indexOf(delimiter); begin >= 0;) {
    const end = stream.indexOf(delimiter, begin + 1);
    units.push(stream.subarray(begin, end < 0 ? stream.length : end));
    begin = end;
  }
  return units;
}

// Device times of the pictures in the order in which they are shown: whole milliseconds, and one pause, as a
// camera in poor light makes it.
export function pictureTimes(count) {
  return Array.from({ length: count }, (_, n) => Math.round(n * STEP_MS) + (n >= PAUSE_FRAME ? PAUSE_MS : 0));
}

// { frames: [{ ms, data }] in the order of decoding, times: [ms] in the order of showing, stepMs, mp4 }
export function makeClip(folder, name, { count, bFrames }) {
  const mp4 = path.join(folder, `${name}.mp4`), annexB = path.join(folder, `${name}.h264`);
  ffmpeg('-f', 'lavfi', '-i', `color=gray:size=${WIDTH}x${HEIGHT}:rate=${RATE}:duration=${count / RATE}`,
    '-vf', `format=yuv420p,${DRAWING}`, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', String(RATE),
    '-bf', String(bFrames), '-b:v', '2M', mp4);
  ffmpeg('-i', mp4, '-c', 'copy', '-bsf:v', 'h264_mp4toannexb,h264_metadata=aud=insert', '-f', 'h264', annexB);
  const probe = execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', mp4],
    { encoding: 'utf8' });
  const shown = probe.trim().split('\n').map(line => Math.round(parseFloat(line) * RATE));
  const units = accessUnits(readFileSync(annexB)), times = pictureTimes(count), first = Math.min(...shown);
  if (units.length !== count || shown.length !== count)
    throw new Error(`${units.length} access units and ${shown.length} packets for ${count} pictures`);
  const frames = units.map((data, n) => ({ ms: 1000000 + times[shown[n] - first], data }));
  return { frames, times, stepMs: STEP_MS, mp4 };
}
