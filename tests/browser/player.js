// Chromium with one recording open: the file's own address, whose document is nothing but a <video>.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { BITS, HEIGHT, STRIP, WIDTH } from './clip.js';

export async function openBrowser() {
  const profile = mkdtempSync(path.join(tmpdir(), 'camhub-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    bypassCSP: true, // the tests' own scripts run in the hub's pages
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
  });
  return { context, profile };
}

// In the page: helpers that later calls use.
function install({ BITS, HEIGHT, STRIP, WIDTH }) {
  const video = document.querySelector('video');
  video.muted = true;
  video.loop = false;
  video.pause();
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const block = WIDTH / BITS;

  // The picture now shown: its number, and how bright the part below the strip is.
  function look() {
    context.drawImage(video, 0, 0, WIDTH, HEIGHT);
    let number = 0;
    for (let bit = 0; bit < BITS; bit++)
      if (context.getImageData((bit + 0.5) * block, STRIP / 2, 1, 1).data[0] > 128)
        number |= 1 << bit;
    const below = context.getImageData(0, STRIP + 16, WIDTH, HEIGHT - STRIP - 16).data;
    let sum = 0;
    for (let at = 0; at < below.length; at += 4)
      sum += below[at];
    return { number, brightness: sum / (below.length / 4) };
  }

  function event(name, seconds) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no '${name}' within ${seconds} s at ${video.currentTime}, ` +
        `readyState ${video.readyState}, error ${video.error?.message}`)), seconds * 1000);
      video.addEventListener(name, () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }

  // Goes to a time; the picture then shown, `lowest` to `highest` if all is well. Painting may follow the event a
  // little later.
  async function seek(time, lowest, highest) {
    const done = event('seeked', 10);
    video.currentTime = time;
    await done;
    let seen = look();
    for (let tries = 0; tries < 60 && (seen.number < lowest || seen.number > highest); tries++) {
      await new Promise(resolve => setTimeout(resolve, 50));
      seen = look();
    }
    return { ...seen, time: video.currentTime };
  }

  // Plays until the end or for so long; the numbers of the pictures seen on the way, in order.
  async function play(seconds) {
    const seen = [];
    const onFrame = () => {
      const { number } = look();
      if (seen.at(-1) !== number)
        seen.push(number);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    const begin = performance.now();
    await video.play();
    while (!video.ended && !video.error && performance.now() - begin < seconds * 1000)
      await new Promise(resolve => setTimeout(resolve, 50));
    video.pause();
    return { seen, time: video.currentTime, ended: video.ended, error: video.error?.message ?? null };
  }

  window.player = { seek, play };
}

export class Player {
  static async open(context, address) {
    const player = new Player();
    player.answers = [];
    player.page = await context.newPage();
    player.page.on('response', response => player.answers.push({
      status: response.status(),
      range: response.request().headers().range,
      contentRange: response.headers()['content-range'],
    }));
    await player.page.goto(address);
    await player.page.evaluate(install, { BITS, HEIGHT, STRIP, WIDTH });
    await player.page.waitForFunction(() => {
      const video = document.querySelector('video');
      return video.readyState >= 1 || video.error;
    }, null, { timeout: 15000 });
    return player;
  }

  facts() {
    return this.page.evaluate(() => {
      const video = document.querySelector('video');
      return { duration: video.duration, width: video.videoWidth, height: video.videoHeight,
        error: video.error?.message ?? null };
    });
  }

  seek(time, lowest, highest = lowest) {
    return this.page.evaluate(positions => window.player.seek(...positions), [time, lowest, highest]);
  }

  play(seconds) {
    return this.page.evaluate(seconds => window.player.play(seconds), seconds);
  }

  close() {
    return this.page.close();
  }
}
