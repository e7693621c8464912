// A file in which each second begins with a white picture and a beep, and what of them is seen and heard of a playing
// <video>: how far picture and sound are apart.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

export const SIGN_S = 0.12;

// `seconds` should be whole: it is looped. Returns its path.
export function makeSyncFilm(folder, name, { seconds = 4, gop = 25 } = {}) {
  const rate = 25, file = path.join(folder, `${name}.mp4`), width = 320, height = 240;
  const box = (colour, more) => `drawbox=y=${height / 6}:h=${height * 2 / 3}:w=${width}:color=${colour}:t=fill${more}`;
  execFileSync(process.env.FFMPEG_BIN || 'ffmpeg', ['-v', 'error', '-nostdin', '-y',
    '-f', 'lavfi', '-i', `testsrc2=size=${width}x${height}:rate=${rate}:duration=${seconds},format=yuv420p,` +
      `${box('black', '')},${box('white', `:enable='lt(mod(n,${rate}),${SIGN_S * rate})'`)}`,
    '-f', 'lavfi', '-i', `aevalsrc='0.5*sin(2*PI*880*t)*lt(mod(t,1),${SIGN_S})':s=44100:d=${seconds}`,
    '-c:a', 'aac', '-b:a', '64k', '-c:v', 'libx264', '-preset', 'veryfast', '-profile:v', 'baseline',
    '-g', String(gop), '-sc_threshold', '0', file]);
  return file;
}

// In the page: ms from each flash to the beep that belongs to it, of `count` flashes or of what `seconds` bring.
// When a beep began is told from the place of its first sample among those that were heard last, so that it does not
// matter when the page has time to look.
export async function measureOffsets({ video, count, seconds }) {
  const media = document.querySelector(video), context = new AudioContext();
  const source = context.createMediaStreamSource(media.captureStream()), analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize), flashes = [], beeps = [];
  const canvas = new OffscreenCanvas(1, 1), look = canvas.getContext('2d', { willReadFrequently: true });
  let white = true, over = false;
  const onFrame = (now, { expectedDisplayTime }) => {
    if (over)
      return;
    media.requestVideoFrameCallback(onFrame);
    look.drawImage(media, media.videoWidth / 2, media.videoHeight / 2, 1, 1, 0, 0, 1, 1);
    const is = look.getImageData(0, 0, 1, 1).data[0] > 128;
    if (is && !white)
      flashes.push(expectedDisplayTime);
    white = is;
  };
  media.requestVideoFrameCallback(onFrame);
  const quiet = Math.round(context.sampleRate * 0.05);
  const listen = () => {
    analyser.getFloatTimeDomainData(samples);
    const now = performance.now();
    let silent = 0;
    for (let n = 0; n < samples.length; n++) {
      if (Math.abs(samples[n]) <= 0.05) {
        silent++;
        continue;
      }
      const at = now - (samples.length - n) / context.sampleRate * 1000;
      if (silent >= quiet && !(at - beeps.at(-1) < 300))
        beeps.push(at);
      silent = 0;
    }
  };
  const timer = setInterval(listen, 40), end = performance.now() + seconds * 1000;
  const pairs = () => flashes.map(flash => beeps.map(beep => beep - flash)
    .sort((a, b) => Math.abs(a) - Math.abs(b))[0]).filter(offset => Math.abs(offset) < 500);
  while (pairs().length < count && performance.now() < end)
    await new Promise(resolve => setTimeout(resolve, 200));
  over = true;
  clearInterval(timer);
  await context.close();
  return pairs().sort((a, b) => a - b);
}
