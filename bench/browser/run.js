// From a camera's send to the picture on Chromium's screen, over a real hub on loopback; prints one JSON object.
//
//   node bench/browser/run.js --camhub PATH [--quick]
//
// Every picture carries its number as a strip of blocks. The page draws each picture that is presented on a canvas,
// reads the number and notes the time of display (requestVideoFrameCallback; at the earliest the time of the callback).
// Both ends read the same clock. Milliseconds:
//
//   steady   30 pictures/s                              latency from the camera's send; `sent_ms_late` is how late the
//   varying  15, 5 and 10 pictures/s by turns           sender itself was (a busy machine: distrust the step if it is
//   jitter   30 pictures/s, each up to 80 ms late       large). In `jitter` latency counts from when it was taken.
//   pause    after 1.5 s in which nothing came through: how long until what is shown is less than 0.3 s behind the
//            newest picture sent, and stays so for half a second
//
// `missed`: pictures that were never seen. `freezes`: times that one picture stood for more than 300 ms longer than
// it should.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Hub, until } from '../../tests/browser/hub.js';
import { phone, Shooting } from '../../tests/browser/live_camera.js';
import { makeLiveClip } from '../../tests/browser/live_clip.js';
import { LivePage, openLiveBrowser, pageBeside } from '../../tests/browser/live_page.js';
import { Proxy } from '../../tests/browser/live_proxy.js';
import { dial } from '../../tests/browser/live_ws.js';

const COUNT = 600, FREEZE_MS = 300, NEAR_MS = 300, CALM_MS = 500, PAUSE_MS = 1500;
const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

const { values: options } = parseArgs({ options: { camhub: { type: 'string' }, quick: { type: 'boolean' } } });
if (!options.camhub) {
  console.error('usage: node bench/browser/run.js --camhub PATH [--quick]');
  process.exit(2);
}
process.env.CAMHUB = path.resolve(options.camhub);
const WARM_UP_MS = options.quick ? 3000 : 5000, STEP_MS = options.quick ? 5000 : 20000;
const PAUSES = options.quick ? 2 : 7;

const folder = mkdtempSync(path.join(tmpdir(), 'camhub-bench-'));
let hub, browser, clip;

function share(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? Math.round(sorted[Math.floor((sorted.length - 1) * part)] * 10) / 10 : null;
}

// A phone that sends, and a page that looks.
async function scene(name, pace, origin, use) {
  const camera = await phone(dial, hub.url, name);
  const shooting = new Shooting(clip, (frame, taken) => camera.send(frame, taken), pace);
  const live = await LivePage.open(browser.context, await pageBeside(browser.context, origin),
    `${origin.replace('http', 'ws')}/live/${name}`);
  try {
    await until('it plays', async () => (await live.events('state')).at(-1)?.value === 'playing', 30);
    await wait(WARM_UP_MS);
    return await use(shooting, live);
  } finally {
    await shooting.stop();
    await live.close();
    camera.close();
  }
}

// Numbers repeat after a round: a display belongs to the last sending of that number before it.
function match(sent, seen) {
  const shown = new Map();
  for (const { number, at } of seen) {
    const picture = sent.findLast(picture => picture.number === number && picture.at <= at);
    if (picture && !shown.has(picture))
      shown.set(picture, at);
  }
  return shown;
}

function freezes(pictures, shown) {
  const list = pictures.filter(picture => shown.has(picture));
  return list.slice(1).filter((picture, n) =>
    shown.get(picture) - shown.get(list[n]) > picture.taken - list[n].taken + FREEZE_MS).length;
}

function playback(name, pace) {
  return scene(name, pace, hub.url, async (shooting, live) => {
    await live.seen();
    const from = shooting.sent.length + 1;
    await wait(STEP_MS);
    const to = shooting.sent.length;
    await wait(1000);
    const pictures = shooting.sent.slice(from, to), shown = match(shooting.sent, await live.seen());
    const seen = pictures.filter(picture => shown.has(picture));
    const latency = seen.map(picture => shown.get(picture) - (pace.delay ? picture.taken : picture.at));
    return {
      sent: pictures.length,
      missed: pictures.length - seen.length,
      freezes: freezes(pictures, shown),
      latency_ms: { median: share(latency, 0.5), p95: share(latency, 0.95), max: share(latency, 1) },
      sent_ms_late: share(pictures.map(({ at, due }) => at - due), 0.95),
      player: await live.figures(),
    };
  });
}

// ms from the end of a pause to the first display that is near the newest picture, if all for a while are.
async function recovery(shooting, live, end) {
  await wait(2500);
  const shown = match(shooting.sent, await live.seen());
  let since = null;
  for (const [picture, at] of [...shown].sort((a, b) => a[1] - b[1])) {
    if (at < end)
      continue;
    const newest = shooting.sent.findLast(sent => sent.at <= at);
    if (newest.taken - picture.taken > NEAR_MS)
      since = null;
    else
      since ??= at;
    if (since !== null && at - since > CALM_MS)
      return since - end;
  }
  return null;
}

async function pauses() {
  const proxy = await new Proxy(Number(new URL(hub.url).port)).start();
  try {
    return await scene('pause', {}, `http://127.0.0.1:${proxy.port}`, async (shooting, live) => {
      const found = [];
      for (let n = 0; n < PAUSES; n++) {
        await live.seen();
        proxy.pause();
        await wait(PAUSE_MS);
        const end = Date.now();
        proxy.resume();
        found.push(await recovery(shooting, live, end));
      }
      const good = found.filter(value => value !== null);
      return { pauses: PAUSES, never: PAUSES - good.length,
        back_ms: { median: share(good, 0.5), max: share(good, 1) } };
    });
  } finally {
    proxy.stop();
  }
}

async function main() {
  clip = makeLiveClip(folder, 'clip', { count: COUNT, width: 640, height: 480 });
  browser = await openLiveBrowser();
  hub = await new Hub(path.join(folder, 'recordings')).start();
  return {
    browser: await browser.context.browser()?.version() ?? null,
    picture: `${clip.width}x${clip.height}, key frame every 30`,
    seconds: STEP_MS / 1000,
    steady: await playback('steady', {}),
    varying: await playback('varying', { step: n => n % 60 < 30 ? 1000 / 15 : n % 60 < 40 ? 200 : 100 }),
    jitter: await playback('jitter', { delay: () => 80 * Math.random() }),
    pause: await pauses(),
  };
}

try {
  console.log(JSON.stringify(await main(), null, 2));
} finally {
  await browser?.context.close();
  if (hub?.process)
    await hub.stop();
  rmSync(folder, { recursive: true, force: true });
  if (browser)
    rmSync(browser.profile, { recursive: true, force: true });
}
