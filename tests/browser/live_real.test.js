// The live player with the real hub: CAMHUB names its program. What is shown is read from the pixels.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Hub, until } from './hub.js';
import { phone, Shooting } from './live_camera.js';
import { makeLiveClip } from './live_clip.js';
import { LivePage, openWindows } from './live_page.js';
import { dial } from './live_ws.js';

const COUNT = 300, ROW = 20;
const folder = mkdtempSync(path.join(tmpdir(), 'camhub-live-'));
let hub, browser, base;

before(async () => {
  assert.ok(process.env.CAMHUB, 'CAMHUB names the program to test');
  hub = await new Hub(path.join(folder, 'recordings')).start();
  browser = await openWindows();
  base = { page: `${hub.url}/healthz`, modules: `${hub.url}/console` };
});

after(async () => {
  await browser?.close();
  const end = hub?.process ? await hub.stop() : 0;
  rmSync(folder, { recursive: true, force: true });
  assert.equal(end, 0, 'the hub ends well');
});

async function shoot(name, clip) {
  const camera = await phone(dial, hub.url, name);
  const shooting = new Shooting(clip, (frame, taken) => camera.send(frame, taken));
  return { stop: async () => { await shooting.stop(); camera.close(); } };
}

const watch = name => LivePage.open(browser, base, `${hub.url.replace('http', 'ws')}/live/${name}`);
const playing = live => until('it plays', async () => await live.state() === 'playing');

const everyPicture = live => live.everyPicture(COUNT, ROW);

for (const bFrames of [0, 2]) {
  test(`every picture, ${bFrames} B-frames; latency; a camera that is lost and comes back`, async () => {
    const clip = makeLiveClip(folder, `clip${bFrames}`, { count: COUNT, bFrames }), name = `phone${bFrames}`;
    let camera = await shoot(name, clip);
    const live = await watch(name);
    await playing(live);
    await everyPicture(live);
    const { latency, behind } = await until('latency', async () => {
      const figures = await live.figures();
      return figures?.latency !== null && figures;
    });
    assert.ok(latency > 0 && latency < 2 && behind >= 0 && behind < 1, `latency ${latency}, behind ${behind}`);
    await camera.stop();
    await until('stalled', async () => await live.state() === 'stalled');
    camera = await shoot(name, clip);
    await playing(live);
    await everyPicture(live);
    assert.deepEqual([await live.events('trouble'), live.errors], [[], []]);
    await live.close();
    await camera.stop();
  });
}

test('no such camera: refused, until there is one', async () => {
  const live = await watch('later');
  await until('refused', async () => await live.state() === 'closed');
  assert.equal((await live.events('state')).at(-1).detail.code, 1008);
  const camera = await shoot('later', makeLiveClip(folder, 'later', { count: COUNT }));
  await until('it plays', async () => await live.state() === 'playing', 30);
  await live.close();
  await camera.stop();
});
