// Chromium with a player of web/, and a witness beside it: what the witness tells was read from the pixels.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { until } from './hub.js';
import { BITS } from './live_clip.js';

const SIZE = { width: 480, height: 360 };
const OPTIONS = { executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'] };

// One window: of several pages, those that are behind another may be drawn once a second only.
export async function openLiveBrowser() {
  const profile = mkdtempSync(path.join(tmpdir(), 'camhub-live-'));
  return { context: await chromium.launchPersistentContext(profile, { ...OPTIONS, viewport: SIZE }), profile };
}

// Its newPage() opens a window of its own each time, so that several pages can be looked at.
export function openWindows() {
  return chromium.launch(OPTIONS);
}

// In the page. `kind` is 'LivePlayer' or 'JpegPlayer'.
export async function install({ module, kind, url, BITS }) {
  const code = await import(module);
  const media = document.createElement(kind === 'JpegPlayer' ? 'canvas' : 'video');
  document.body.replaceChildren(media);
  const strip = new OffscreenCanvas(BITS * 4, 8), context = strip.getContext('2d', { willReadFrequently: true });

  // The number in the strip of the picture now on the screen.
  function look() {
    const width = media.videoWidth ?? media.width, height = media.videoHeight ?? media.height;
    context.drawImage(media, 0, height / 16, width, height / 8, 0, 0, BITS * 4, 8);
    const { data } = context.getImageData(0, 4, BITS * 4, 1);
    let number = 0;
    for (let bit = 0; bit < BITS; bit++)
      if (data[(bit * 4 + 2) * 4] > 128)
        number |= 1 << bit;
    return number;
  }

  const seen = []; // { number, at: ms since 1970 of its display, time: on the media timeline }
  if (media.requestVideoFrameCallback) {
    const onFrame = (now, { expectedDisplayTime, mediaTime }) => {
      media.requestVideoFrameCallback(onFrame);
      // The time of display is an estimate that may lie before the callback; the picture is not on the screen then.
      const number = look(), at = Date.now() + Math.max(0, expectedDisplayTime - performance.now());
      if (seen.at(-1)?.number !== number)
        seen.push({ number, at, time: mediaTime });
    };
    media.requestVideoFrameCallback(onFrame);
  }
  const FLICKER = 4;
  // The longest row of pictures, none left out, among those seen whose number lies between `low` and `high`, of a clip
  // that goes round after `count`; and `back`, those around the first picture that came after a later one, or null.
  function longestRow(count, low, high) {
    const isBack = (from, to) => (to - from + count) % count >= count / 2;
    const around = n => seen.slice(Math.max(0, n - 5), n + 3).map(({ number, time }) => `${number} (${time})`).join(' ');
    let longest = 0, row = 0, back = null, last = null;
    const flickers = [];
    let newer = 0; // up to where older pictures are a flicker
    seen.forEach(({ number }, n) => {
      if (n < newer)
        return;
      if (last !== null && isBack(last, number)) {
        const behind = seen.slice(n + 1, n + 1 + FLICKER), at = behind.findIndex(next => !isBack(last, next.number));
        if (at >= 0 || behind.length < FLICKER) { // a few, between newer ones, or nobody knows yet
          if (at >= 0)
            flickers.push(around(n));
          newer = at >= 0 ? n + 1 + at : seen.length;
          return;
        }
        back ??= around(n);
      }
      const step = last === null ? 1 : (number - last + count) % count;
      last = number;
      row = number > low && number < high ? (step === 1 ? row + 1 : step === 0 ? row : 1) : 0;
      longest = Math.max(longest, row);
    });
    if (flickers.length > 2)
      back ??= flickers.join('; ');
    return { longest, back };
  }

  const events = [], player = new code[kind]({ url, media, clockOffset: () => 0 });
  for (const name of ['state', 'figures', 'size', 'trouble', 'sound'])
    player.on(name, (value, detail) => events.push({ name, value, detail, at: Date.now() }));
  player.start();
  window.live = { player, media, seen, events, look, longestRow };
}

const WEB = fileURLToPath(new URL('../../web/', import.meta.url));
// The players' modules in the origin of a real hub, which need not have them; the document must be the hub's own, as
// only one from this machine may connect to it.
export async function pageBeside(context, hubUrl) {
  const modules = `${hubUrl}/live-test`;
  await context.route(`${modules}/**`, route => {
    const name = path.basename(new URL(route.request().url()).pathname);
    return route.fulfill({ contentType: 'text/javascript', body: readFileSync(path.join(WEB, name)) });
  });
  return { page: `${hubUrl}/healthz`, modules };
}

export class LivePage {
  // `context`: of openLiveBrowser(), or what openWindows() gives.
  static async open(context, { page, modules }, url, kind = 'LivePlayer') {
    const live = new LivePage();
    live.errors = [];
    live.page = await context.newPage({ viewport: SIZE });
    live.page.on('pageerror', error => live.errors.push(String(error)));
    live.page.on('console', message => {
      if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico'))
        live.errors.push(message.text());
    });
    await live.page.goto(page);
    const module = `${modules}/${kind === 'JpegPlayer' ? 'jpeg_player.js' : 'player.js'}`;
    await live.page.evaluate(install, { module, kind, url, BITS });
    return live;
  }

  // Everything seen since the last call.
  seen() {
    return this.page.evaluate(() => window.live.seen.splice(0));
  }

  // The longest row of pictures since the last seen(), of a clip of `count`; none may have gone back. (Chromium, on a busy
  // machine, now and then shows a few older pictures between two newer ones, those that it decodes on its way from the
  // key frame after a jump: that may happen twice.)
  async longestRow(count, { low = -1, high = count, begunAnew = false } = {}) {
    const { longest, back } = await this.page.evaluate(range => window.live.longestRow(...range), [count, low, high]);
    assert.ok(back === null || begunAnew, `went back: ${back}`);
    return longest;
  }

  // Every picture is shown: soon there is a row of so many. (Not of all that follow: a busy machine may miss one now
  // and then. A player that bunches pictures, or freezes, never gets that far.)
  // begunAnew: the clip may have been, meanwhile.
  async everyPicture(count, row, { begunAnew = false } = {}) {
    await this.seen();
    let longest = 0;
    await until(`${row} pictures in a row are shown`, async () => {
      longest = await this.longestRow(count, { begunAnew });
      return longest >= row;
    }, 120).catch(async error => {
      throw new Error(`${error.message}, but ${longest}: ${JSON.stringify(await this.figures())}`);
    });
  }

  events(name) {
    return this.page.evaluate(name => window.live.events.filter(event => event.name === name), name);
  }

  async states() {
    return (await this.events('state')).map(({ value }) => value);
  }

  async state() {
    return (await this.states()).at(-1);
  }

  async figures() {
    return (await this.events('figures')).at(-1)?.value;
  }

  call(method) {
    return this.page.evaluate(method => window.live.player[method](), method);
  }

  close() {
    return this.page.close();
  }
}
