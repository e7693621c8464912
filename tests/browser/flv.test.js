// FLV over WebSocket and HTTP from a real hub, played by mpegts.js in Chromium, as users of FLV play it: cameras that
// the hub pulls in, with sound, a phone, and the screen streamer's addresses. CAMHUB names the hub's program.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FlvPage, openHearingBrowser, serveSite } from './flv_page.js';
import { until } from './hub.js';
import { phone, Shooting } from './live_camera.js';
import { makeLiveClip } from './live_clip.js';
import { LivePage } from './live_page.js';
import { dial } from './live_ws.js';
import { freePorts, SourceHub } from './source_hub.js';
import { makeSyncFilm, measureOffsets } from './sync_film.js';

const VIDEO = 9, SOUND = 2000; // bytes, of about a second and a half
const folder = mkdtempSync(path.join(tmpdir(), 'camhub-flv-'));
let hub, browser, site, clip, ports;

before(async () => {
  assert.ok(process.env.CAMHUB, 'CAMHUB names the program to test');
  const film = makeSyncFilm(folder, 'film'), slow = makeSyncFilm(folder, 'slow', { seconds: 8, gop: 200 });
  const file = (name, place) => ({ name, type: 'file', path: place });
  const made = { name: 'made', type: 'ffmpeg', args: ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25'],
    audio_input: ['-re', '-f', 'lavfi', '-i', 'sine=frequency=440'] };
  clip = makeLiveClip(folder, 'clip', { count: 300 });
  ports = await freePorts(2);
  const soon = { process: { shutdown_timeout: 1 } }, host = '127.0.0.1';
  hub = await new SourceHub(path.join(folder, 'hub'), [
    { ...soon, sources: [file('film', film), file('crowd', film), file('slow', slow), made] },
    { ...soon, server: { host, port: ports[0], http_port: ports[1] }, source: { type: 'file', path: film } },
    { ...soon, server: { host, port: ports[0], path: '/door', http_port: 0 }, source: { type: 'file', path: film } },
  ]).start();
  site = await serveSite();
  browser = await openHearingBrowser();
});

after(async () => {
  await browser?.close();
  site?.close();
  const end = hub?.process ? await hub.stop() : 0;
  rmSync(folder, { recursive: true, force: true });
  assert.equal(end, 0, 'the hub ends well');
});

async function shoot(t, name) {
  const camera = await phone(dial, hub.url, name);
  const shooting = new Shooting(clip, (frame, taken) => camera.send(frame, taken));
  t.after(async () => { await shooting.stop(); camera.close(); });
  return shooting;
}

// From a page of the hub's own: to no other does the hub's own address answer.
const play = (url, page = `${hub.url}/healthz`) => FlvPage.open(browser, page, url);

async function isWell(flv) {
  const { errors, warnings, back } = await flv.look();
  assert.deepEqual([errors, warnings, back, flv.complaints], [[], [], 0, []]);
}

async function playsWell(flv, wanted) {
  const { size } = await flv.plays(wanted);
  assert.equal(size, '320x240');
  await isWell(flv);
}

// A viewer that keeps the times and kinds of what it gets: messages of one FLV tag each, but for the first.
async function watcher(name) {
  const connection = await dial(`${hub.socketUrl}/live/${name}?format=flv`), tags = [];
  let head = null;
  connection.onMessage = data => {
    if (head === null)
      head = data;
    else
      tags.push({ kind: data[0], time: data.readUIntBE(4, 3) + data[7] * 0x1000000, key: data[11] >> 4 === 1 });
  };
  return { connection, tags, get head() { return head; }, pictures: () => tags.filter(({ kind }) => kind === VIDEO) };
}

describe('mpegts.js plays', { concurrency: 2 }, () => {
  for (const [name, what, sound] of [['film', 'a source whose pictures and sound are copied', SOUND],
    ['made', 'a source that is encoded', SOUND], ['phone', 'a phone', 0]])
    test(what, async t => {
      if (name === 'phone')
        await shoot(t, name);
      const all = await Promise.all([play(`${hub.socketUrl}/live/${name}?format=flv`),
        play(`${hub.url}/live/${name}.flv`)]);
      await Promise.all(all.map(flv => playsWell(flv, { sound })));
      const { stream, statistics } = await hub.camera(name);
      assert.equal(stream.audio?.codec ?? null, sound ? 'mp4a.40.2' : null);
      if (statistics)
        assert.deepEqual([statistics.video_copied, statistics.runs], [name === 'film', 1]);
      else
        assert.deepEqual(await Promise.all(all.map(async flv => (await flv.look()).sound)), [0, 0]);
      await Promise.all(all.map(flv => flv.close()));
    });

  test('at the screen streamer’s addresses, in a page of another site', async () => {
    const [port, httpPort] = ports, place = `127.0.0.1:${port}`;
    const all = await Promise.all([`ws://${place}/`, `http://${place}/live.flv`,
      `http://127.0.0.1:${httpPort}/live.flv`, `ws://${place}/door`].map(url => play(url, site.url)));
    await Promise.all(all.map(flv => playsWell(flv, { sound: SOUND })));
    assert.deepEqual((await Promise.all(['live', 'door'].map(name => hub.camera(name))))
      .map(({ figures, statistics }) => [figures.viewers, statistics.runs]), [[3, 1], [1, 1]]);
    await Promise.all(all.map(flv => flv.close()));
  });

  test('one of many; a source ends when they have gone, and begins again for the next', async () => {
    const url = `${hub.socketUrl}/live/crowd?format=flv`;
    const all = await Promise.all([play(url), play(`${hub.url}/live/crowd.flv`)]);
    const others = await Promise.all(Array.from({ length: 20 }, () => watcher('crowd')));
    await Promise.all(all.map(flv => playsWell(flv, { sound: SOUND })));
    await until('all others get pictures', () => others.every(one => one.pictures().length > 20));
    for (const { head, pictures } of others) {
      assert.equal(head.toString('latin1', 0, 3), 'FLV');
      assert.ok(pictures()[0].key);
    }
    await hub.waitViewers('crowd', 22);
    const late = await play(url);
    await playsWell(late, { sound: SOUND });
    const { statistics: { pid, runs } } = await hub.camera('crowd');
    assert.ok(pid > 0 && runs === 1, `${runs} runs`);
    others.forEach(({ connection }) => connection.close());
    await hub.waitViewers('crowd', 3);
    await Promise.all(all.map(flv => flv.close()));
    await playsWell(late);
    assert.equal((await hub.camera('crowd')).source.state, 'running');
    await late.close();
    const stopped = await hub.waitState('crowd', 'stopped');
    assert.deepEqual([stopped.statistics.pid, stopped.source.error, stopped.source.restarts], [null, null, 0]);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    const next = await play(url);
    await playsWell(next, { sound: SOUND });
    assert.equal((await hub.camera('crowd')).statistics.runs, 2);
    await next.close();
  });

  test('who comes late begins at once, with what there is since the newest key frame', async t => {
    const early = await watcher('slow'); // a key frame every 8 s
    await until('pictures', () => early.pictures().length > 30);
    const there = early.pictures().at(-1).time, late = await watcher('slow');
    await until('more of them', () => late.pictures().length > 30);
    const [first] = late.pictures();
    assert.ok(first.key && first.time <= there, `begins at ${first.time} ms, when ${there} ms were there`);
    early.connection.close();
    late.connection.close();

    const shooting = await shoot(t, 'paused'), witness = await watcher('paused');
    await until('pictures of a phone', () => witness.pictures().length > 45);
    shooting.paused = true; // not one more comes
    const flv = await play(`${hub.socketUrl}/live/paused?format=flv`);
    await until('a picture', async () => (await flv.look()).pictures > 0);
    await isWell(flv);
    witness.connection.close();
    await flv.close();
  });

  test('picture and sound are together, there and in the console’s player', async () => {
    const flv = await play(`${hub.socketUrl}/live/film?format=flv`);
    const live = await LivePage.open(browser, { page: `${hub.url}/healthz`, modules: `${hub.url}/console` },
      `${hub.socketUrl}/live/film`);
    await live.page.evaluate(() => { window.live.player.sound = true; });
    await Promise.all([flv.plays({ sound: SOUND }), until('sound', () =>
      live.page.evaluate(() => live.media.webkitAudioDecodedByteCount > 2000 && live.media.currentTime > 0))]);
    for (const [who, page] of [['mpegts.js', flv.page], ['the console’s player', live.page]]) {
      const pairs = await page.evaluate(measureOffsets, { video: 'video', count: 5, seconds: 30 });
      console.log(`# ${who}: sound minus picture: ${pairs.map(Math.round).join(' ')} ms`);
      assert.ok(pairs.length >= 3, `${who}: ${pairs.length} flashes with a beep`);
      const middle = pairs[pairs.length >> 1];
      assert.ok(Math.abs(middle) < 150, `${who}: ${middle} ms apart`);
    }
    await isWell(flv);
    assert.deepEqual([live.errors, await live.events('trouble')], [[], []]);
    await flv.close();
    await live.close();
  });
});
