// The live player with the real hub: CAMHUB names its program. What is shown is read from the pixels.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Hub, until } from './hub.js';
import { phone, Shooting } from './live_camera.js';
import { makeLiveClip } from './live_clip.js';
import { LivePage, openWindows } from './live_page.js';
import { dial } from './live_ws.js';

const COUNT = 300, ROW = 20;
const folder = mkdtempSync(path.join(tmpdir(), 'camhub-live-'));
let hub, browser, base, clips;

before(async () => {
  assert.ok(process.env.CAMHUB, 'CAMHUB names the program to test');
  clips = { 0: makeLiveClip(folder, 'clip', { count: COUNT }),
    2: makeLiveClip(folder, 'b-frames', { count: COUNT, bFrames: 2 }) };
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

// `t`: the test at whose end it is over.
async function shoot(t, name, clip) {
  const camera = await phone(dial, hub.url, name);
  const shooting = new Shooting(clip, (frame, taken) => camera.send(frame, taken));
  const stop = async () => { await shooting.stop(); camera.close(); };
  t.after(stop);
  return { stop };
}

const watch = name => LivePage.open(browser, base, `${hub.url.replace('http', 'ws')}/live/${name}`);
const playing = (live, seconds) => until('it plays', async () => await live.state() === 'playing', seconds);

describe('live players on a hub', { concurrency: 3 }, () => {
  for (const bFrames of [0, 2])
    test(`every picture, ${bFrames} B-frames; latency; a camera that is lost and comes back`, async t => {
      const clip = clips[bFrames], name = `phone${bFrames}`, camera = await shoot(t, name, clip);
      const live = await watch(name);
      await playing(live);
      await live.everyPicture(COUNT, ROW);
      const { latency, behind } = await until('latency', async () => {
        const figures = await live.figures();
        return figures?.latency !== null && figures;
      });
      assert.ok(latency > 0 && latency < 2 && behind >= 0 && behind < 1, `latency ${latency}, behind ${behind}`);
      await camera.stop();
      await until('stalled', async () => await live.state() === 'stalled');
      await shoot(t, name, clip);
      await playing(live);
      await live.everyPicture(COUNT, ROW, { begunAnew: true });
      assert.deepEqual([await live.events('trouble'), live.errors], [[], []]);
      await live.close();
    });

  test('no such camera: refused, until there is one', async t => {
    const live = await watch('later');
    await until('refused', async () => await live.state() === 'closed');
    assert.equal((await live.events('state')).at(-1).detail.code, 1008);
    await shoot(t, 'later', clips[0]);
    await playing(live, 30);
    await live.close();
  });
});
