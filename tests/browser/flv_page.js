// Chromium with mpegts.js, the player that users of FLV have in their own pages: those pages are of another origin.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { until } from './hub.js';

const PLAYER = fileURLToPath(new URL('./node_modules/mpegts.js/dist/mpegts.js', import.meta.url));
// Sound and picture begin less than a frame apart. mpegts.js jumps over that, and warns, where it has to wait a little
// for what comes next.
const START_JUMP = /^\[StartupStallJumper\] > Playback seems stuck at 0, seek to 0\.0[0-4]/;
const PAGE = '<!doctype html><title>flv</title><link rel="icon" href="data:,"><script src="/player/mpegts.js"></script>';

// May play sound at once. Each newPage() opens a window of its own.
export function openHearingBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'] });
}

// A site of its own, as that of the screen streamer's users: { url, close() }.
export async function serveSite() {
  const server = createServer((request, response) => {
    const isPlayer = request.url === '/player/mpegts.js';
    response.writeHead(200, { 'Content-Type': isPlayer ? 'text/javascript' : 'text/html' })
      .end(isPlayer ? readFileSync(PLAYER) : PAGE);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`,
    close: () => { server.close(); server.closeAllConnections(); } };
}

// In the page.
function install({ url }) {
  const { mpegts } = window, media = document.body.appendChild(document.createElement('video'));
  const seen = [], said = [], errors = [];
  mpegts.LoggingControl.addLogListener((level, text) => said.push({ level, text }));
  Object.assign(media, { autoplay: true, playsInline: true, muted: false });
  const onFrame = (now, { mediaTime }) => {
    media.requestVideoFrameCallback(onFrame);
    seen.push(mediaTime);
  };
  media.requestVideoFrameCallback(onFrame);
  media.addEventListener('error', () => errors.push(media.error.message));
  const player = mpegts.createPlayer({ type: 'flv', isLive: true, url }, { enableStashBuffer: false });
  player.on(mpegts.Events.ERROR, (...what) => errors.push(JSON.stringify(what)));
  player.on(mpegts.Events.LOADING_COMPLETE, () => errors.push('the hub ended it'));
  player.attachMediaElement(media);
  player.load();
  Promise.resolve(player.play()).catch(error => errors.push(String(error)));
  window.flv = { player, media, seen, said, errors };
}

export class FlvPage {
  // `site`: an address whose page is to play `url`. The hub's own pages get the player from beside the hub.
  static async open(browser, site, url) {
    const flv = new FlvPage();
    flv.complaints = [];
    flv.page = await browser.newPage({ viewport: { width: 480, height: 360 } });
    flv.page.on('pageerror', error => flv.complaints.push(String(error)));
    flv.page.on('console', message => {
      if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico'))
        flv.complaints.push(message.text());
    });
    await flv.page.route('**/player/mpegts.js', route =>
      route.fulfill({ contentType: 'text/javascript', body: readFileSync(PLAYER) }));
    await flv.page.goto(site);
    if (!await flv.page.evaluate(() => 'mpegts' in window))
      await flv.page.addScriptTag({ url: '/player/mpegts.js' });
    await flv.page.evaluate(install, { url });
    return flv;
  }

  // { pictures (shown so far), sound (bytes decoded), time, size, back (pictures older than the one before), errors,
  // warnings }
  async look() {
    const seen = await this.page.evaluate(() => {
      const { media, seen, said, errors } = window.flv;
      return { pictures: seen.length, sound: media.webkitAudioDecodedByteCount, time: media.currentTime,
        size: `${media.videoWidth}x${media.videoHeight}`, back: seen.filter((time, n) => time < seen[n - 1]).length,
        errors, warnings: said.filter(({ level }) => level === 'warn' || level === 'error').map(({ text }) => text) };
    });
    seen.warnings = seen.warnings.filter(text => !START_JUMP.test(text));
    return seen;
  }

  // So many more pictures are shown, and so many more bytes of sound decoded.
  async plays({ pictures = 20, sound = 0 } = {}) {
    const before = await this.look();
    let now = before;
    await until(`${pictures} more pictures, ${sound} bytes of sound`, async () => {
      now = await this.look();
      return now.pictures >= before.pictures + pictures && now.sound >= before.sound + sound;
    }, 40).catch(error => {
      throw new Error(`${error.message}: before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`);
    });
    return now;
  }

  async close() {
    await this.page.close();
  }
}
