// Recordings of a real hub in a real browser: they play and seek from the address under which the hub serves
// them. CAMHUB names the hub's program, CHROMIUM the browser (/usr/bin/chromium).
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Camera } from './camera.js';
import { makeClip } from './clip.js';
import { Hub, serveFolder, until } from './hub.js';
import { openBrowser, Player } from './player.js';

const COUNT = 450, PROMISE_MS = 1000;
const PAUSE = 99; // this picture stands for the length of the clip's pause
const folder = mkdtempSync(path.join(tmpdir(), 'camhub-browser-'));
let hub, browser, plain, withBFrames;

before(async () => {
  assert.ok(process.env.CAMHUB, 'CAMHUB names the program to test');
  plain = makeClip(folder, 'plain', { count: COUNT, bFrames: 0 });
  withBFrames = makeClip(folder, 'b-frames', { count: COUNT, bFrames: 2 });
  browser = await openBrowser();
  hub = await new Hub(path.join(folder, 'recordings')).start();
});

after(async () => {
  await browser?.context.close();
  const end = hub?.process ? await hub.stop() : 0;
  rmSync(folder, { recursive: true, force: true });
  if (browser)
    rmSync(browser.profile, { recursive: true, force: true });
  assert.equal(end, 0, 'the hub ends well');
});

async function record(name, clip) {
  const camera = await Camera.connect(browser.context, hub, name);
  await camera.send(clip.frames);
  await camera.stop();
  return hub.finished(name);
}

async function withPlayer(address, use) {
  const player = await Player.open(browser.context, address);
  try {
    const facts = await player.facts();
    assert.equal(facts.error, null);
    assert.deepEqual([facts.width, facts.height], [320, 240]);
    await use(player, facts);
  } finally {
    await player.close();
  }
}

function assertDuration(facts, clip, count) {
  const expected = (clip.times[count - 1] + clip.stepMs) / 1000, frame = clip.stepMs / 1000;
  assert.ok(Math.abs(facts.duration - expected) <= frame, `duration ${facts.duration}, expected about ${expected}`);
}

// Into the middle of each picture's time: exactly that picture is shown. In an unfinished file, whose fragments
// promise a duration of a second each, a player may stop at a picture up to that much (`slackMs`) older.
async function assertSeeks(player, clip, pictures, slackMs = 0) {
  for (const picture of pictures) {
    const begin = clip.times[picture], end = clip.times[picture + 1] ?? begin + clip.stepMs / 2;
    const oldest = slackMs ? clip.times.findIndex(time => time > (begin + end) / 2 - slackMs) : picture;
    const seen = await player.seek((begin + end) / 2000, oldest, picture);
    assert.ok(seen.number >= oldest && seen.number <= picture,
      `picture ${seen.number} where ${oldest} to ${picture} should be, at ${(begin + end) / 2000} s`);
    assert.ok(seen.brightness > 60, `picture ${picture} is not black: ${seen.brightness}`);
  }
}

// Plays a while: only pictures that follow each other, and a good part of them.
async function assertPlays(player, clip, from) {
  await player.seek((clip.times[from] + 10) / 1000, from); // a key picture
  const { seen, error } = await player.play(2);
  assert.equal(error, null);
  assert.ok(seen.length >= 8, `pictures seen in 2 s: ${seen}`);
  assert.ok(seen.every((number, n) => number >= from && (n === 0 || number > seen[n - 1])), `in order: ${seen}`);
}

async function assertRecording(session, clip, count) {
  await withPlayer(hub.address(session), async (player, facts) => {
    assertDuration(facts, clip, count);
    await assertSeeks(player, clip, [count - 3, 200, PAUSE, count - 1, 0, 317]);
    await assertPlays(player, clip, 30);
    const ranged = player.answers.filter(answer => answer.range);
    assert.ok(ranged.every(answer => answer.status === 206 && answer.contentRange), JSON.stringify(ranged));
    assert.ok(ranged.some(answer => !answer.range.startsWith('bytes=0-')), `a seek over Range: ${JSON.stringify(ranged)}`);
  });
}

test('a finished recording plays and seeks over HTTP Range', async () => {
  const session = await record('plain', plain);
  assert.equal(session.report.verdict, 'complete');
  await assertRecording(session, plain, COUNT);
});

test('so does one with B-frames', async () => {
  const session = await record('bframes', withBFrames);
  assert.equal(session.report.verdict, 'complete');
  await assertRecording(session, withBFrames, COUNT);
});

// All that was sent is on disk: an index record per message, and the video no longer grows.
async function settled(name) {
  let size = -1;
  return until(`the disk has all of ${name}`, async () => {
    const session = hub.session(name), file = session && path.join(session.folder, 'frames.idx');
    if (!file || !existsSync(file) || statSync(file).size < 64 * (1 + COUNT))
      return null;
    const before = size;
    size = statSync(path.join(session.folder, 'stream.mp4')).size;
    await new Promise(resolve => setTimeout(resolve, 300));
    return size === before && session;
  });
}

test('an unfinished recording plays: as it grows, after a crash as it lies, and after recovery', async t => {
  const camera = await Camera.connect(browser.context, hub, 'crashed');
  await camera.send(plain.frames);
  const session = await settled('crashed');

  await t.test('from the hub while it records', () => withPlayer(hub.address(session), async player => {
    await assertSeeks(player, plain, [0, PAUSE, 300], PROMISE_MS);
    await assertPlays(player, plain, 30);
  }));

  assert.equal(await hub.stop('SIGKILL'), 'SIGKILL');
  await camera.page.close();
  copyFileSync(path.join(session.folder, 'stream.mp4'), path.join(folder, 'crashed.mp4'));
  const server = await serveFolder(folder);
  await t.test('as the crash left it', () => withPlayer(`${server.url}/crashed.mp4`, async player => {
    await assertSeeks(player, plain, [0, COUNT - 3, PAUSE, 300], PROMISE_MS);
    await assertPlays(player, plain, 30);
  }));
  server.close();

  await hub.start();
  await t.test('after the next start', async () => {
    const recovered = await hub.finished('crashed');
    assert.equal(recovered.report.verdict, 'recovered');
    assert.equal(recovered.report.counts.frames, COUNT);
    await assertRecording(recovered, plain, COUNT);
  });
});

test('a page of another origin cannot connect as a camera', async () => {
  const server = await serveFolder(folder), page = await browser.context.newPage();
  await page.goto(`${server.url}/`);
  const outcome = await page.evaluate(address => new Promise(resolve => {
    const socket = new WebSocket(address);
    socket.onopen = () => resolve('open');
    socket.onerror = () => resolve('refused');
  }), `${hub.url.replace('http', 'ws')}/android-cam/foreign`);
  await page.close();
  server.close();
  assert.equal(outcome, 'refused');
});
