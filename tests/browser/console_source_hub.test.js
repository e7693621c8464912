// The console page on a real hub with cameras that it pulls in: an X screen, files, what ffmpeg makes, an address at
// which nobody answers; and a phone with an output. CAMHUB names the hub's program.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Console, openBrowser, sizesFor } from './console_page.js';
import { until } from './hub.js';
import { phone, Shooting } from './live_camera.js';
import { makeLiveClip } from './live_clip.js';
import { dial } from './live_ws.js';
import { freePorts, SourceHub, wait } from './source_hub.js';
import { makeSyncFilm } from './sync_film.js';
import { openMovingScreen } from './x_screen.js';

const folder = mkdtempSync(path.join(tmpdir(), 'camhub-console-source-'));
const SECRET = 'ZebraCrossing9', KEY = 'StreamKeyQuokka7';
const COLOURS = { desk: 'dark', phone: 'light' };
let browser, screen, film, short, clip, closed;

before(async () => {
  assert.ok(process.env.CAMHUB, 'CAMHUB names the program to test');
  film = makeSyncFilm(folder, 'film');
  short = makeSyncFilm(folder, 'short', { seconds: 2 });
  clip = makeLiveClip(folder, 'clip', { count: 150 });
  [closed] = await freePorts(1);
  screen = await openMovingScreen();
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await screen?.close();
  rmSync(folder, { recursive: true, force: true });
});

function configuration() {
  return {
    process: { shutdown_timeout: 2, memory_limit: 0 }, // a build with a sanitizer needs address space without end
    sources: [
      { name: 'a-film', type: 'file', path: film },
      // Two pictures per second, and with each of them 20 frames of sound.
      { name: 'b-made', type: 'ffmpeg', args: ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=2'],
        audio_input: ['-re', '-f', 'lavfi', '-i', 'sine=frequency=440'], ffmpeg: { framerate: 2 } },
      { name: 'c-once', type: 'file', path: short, loop: false },
      { name: 'd-refused', type: 'network_stream', url: `rtsp://viewer:${SECRET}@127.0.0.1:${closed}/door`,
        reconnect_delay: 1, max_reconnect_attempts: 2 },
      { name: 'f-screen', type: 'screen', display: screen.display, ffmpeg: { framerate: 10 } },
    ],
    outputs: [{ camera: 'e-phone', name: 'copy', url: `rtmp://127.0.0.1:${closed}/live/${KEY}` }],
  };
}

// A hub, a phone that sends to it, and the page.
class Scene {
  constructor(device) {
    this.device = device;
    this.hub = new SourceHub(path.join(folder, device), [configuration()]);
  }

  async open() {
    await this.hub.start();
    this.camera = await phone(dial, this.hub.url, 'e-phone');
    this.camera.connection.send(JSON.stringify({ status: 'capture_started', message: 'started' }));
    this.shooting = new Shooting(clip, (frame, taken) => this.camera.send(frame, taken));
    await until('the phone is known', async () => (await this.hub.camera('e-phone')).stream);
  }

  async browse() {
    this.console = await Console.open(browser, this.hub, this.device, { colorScheme: COLOURS[this.device] });
    this.errors = [];
    this.page.on('console', message => {
      if (message.type() === 'error')
        this.errors.push(`${message.text()} ${message.location().url}`);
    });
  }

  get page() {
    return this.console.page;
  }

  tile(name) {
    return this.console.tile(name);
  }

  word(name) {
    return this.tile(name).locator('.state').innerText();
  }

  note(name) {
    return this.tile(name).locator('.note');
  }

  async go(place) {
    await this.page.goto(`${this.hub.url}/#/${place}`);
  }

  // No tile says that a source runs, or failed, while nobody can see it.
  async look(name) {
    await this.tile(name).scrollIntoViewIfNeeded();
  }

  // The page's own viewer is gone, so that nobody needs the source, and nothing is started again.
  async isLeftAlone(name) {
    await this.hub.waitViewers(name, 0);
    const { source, statistics } = await this.hub.camera(name);
    await wait(1500);
    const then = await this.hub.camera(name);
    assert.deepEqual([then.source.state, then.source.since, then.statistics.runs, then.figures.viewers],
      [source.state, source.since, statistics.runs, 0], name);
  }

  // Whatever it may be: words, attributes, what was typed, what is stored.
  async tellsNoSecret() {
    const all = await this.page.evaluate(() => document.documentElement.outerHTML + JSON.stringify(localStorage));
    for (const secret of [SECRET, KEY])
      assert.ok(!all.includes(secret), `${secret} on the page`);
  }

  async shot(name) {
    if (!process.env.CAMHUB_TEST_SHOTS)
      return;
    for (const colorScheme of ['dark', 'light']) {
      await this.page.emulateMedia({ colorScheme });
      await this.page.screenshot({ path: path.join(process.env.CAMHUB_TEST_SHOTS,
        `${this.device}-${colorScheme}-${name}.png`) });
    }
    await this.page.emulateMedia({ colorScheme: COLOURS[this.device] });
  }

  async close() {
    await this.shooting?.stop();
    this.camera?.close();
    assert.equal(await this.hub.stop(), 0, 'the hub ends well');
  }
}

// Two looks at the picture, some time between: something has moved.
function moves(page, selector) {
  return page.evaluate(async selector => {
    const context = new OffscreenCanvas(64, 48).getContext('2d', { willReadFrequently: true });
    const look = () => {
      context.drawImage(document.querySelector(selector), 0, 0, 64, 48);
      return context.getImageData(0, 0, 64, 48).data;
    };
    const first = look(), end = performance.now() + 20000;
    while (performance.now() < end) {
      await new Promise(resolve => setTimeout(resolve, 100));
      const now = look();
      if (now.filter((value, n) => Math.abs(value - first[n]) > 40).length > 100)
        return true;
    }
    return false;
  }, selector);
}

const decoded = page => page.evaluate(() => document.querySelector('.screen video').webkitAudioDecodedByteCount);
const muted = page => page.evaluate(() => document.querySelector('.screen video').muted);
const hears = page => until('it is heard', async () => await decoded(page) > 2000 && !await muted(page));
const seconds = words => words.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);

// In the order in which they are told: each goes on where the one before it ended.
const acts = {
  'the wall: what can be seen runs, and says how it is': async scene => {
    const { hub, device } = scene;
    assert.equal((await hub.camera('a-film')).statistics.runs, 0, 'nobody has looked');
    await scene.browse();
    for (const name of ['a-film', 'b-made', 'f-screen']) {
      if (name === 'f-screen' && device === 'phone')
        assert.equal((await hub.camera(name)).statistics.runs, 0, 'far below what can be seen');
      await scene.look(name);
      await scene.console.see(`.tile[data-name=${name}] .state`, /^Live$/);
      await scene.console.waitLive(name);
      assert.ok(await moves(scene.page, `.tile[data-name=${name}] video`), `${name} moves`);
    }
    await scene.look('e-phone');
    await scene.console.waitLive('e-phone');
    await scene.look('a-film');
    await scene.shot('wall');
  },

  'a file that is at its end': async scene => {
    await scene.look('c-once');
    await scene.console.see('.tile[data-name=c-once] .note', /^Ended\s*Try again$/);
    assert.equal(await scene.word('c-once'), 'Ended');
    await scene.isLeftAlone('c-once');
    const { runs } = (await scene.hub.camera('c-once')).statistics;
    await scene.note('c-once').getByRole('button', { name: 'Try again' }).click();
    await scene.console.waitLive('c-once');
    await scene.console.see('.tile[data-name=c-once] .note', /^Ended\s*Try again$/);
    await scene.isLeftAlone('c-once');
    assert.equal((await scene.hub.camera('c-once')).statistics.runs, runs + 1);
  },

  'an address at which nobody answers': async scene => {
    const { hub } = scene;
    await scene.look('d-refused');
    await scene.console.see('.tile[data-name=d-refused] .note', 'Connection refused');
    await scene.console.see('.tile[data-name=d-refused] .note', /^Given up[^]*Connection refused[^]*Try again$/);
    assert.equal(await scene.word('d-refused'), 'Given up');
    await scene.isLeftAlone('d-refused');
    await scene.tellsNoSecret();
    await scene.shot('given-up');
    const before = await hub.camera('d-refused');
    await scene.note('d-refused').getByRole('button', { name: 'Try again' }).click();
    await until('it is tried', async () => (await hub.camera('d-refused')).statistics.runs > before.statistics.runs);
    await scene.console.see('.tile[data-name=d-refused] .state', /^Tries again|^Starting/);
    await scene.console.see('.tile[data-name=d-refused] .state', 'Given up');
    await scene.isLeftAlone('d-refused');
    assert.match(await scene.console.text('.cell[data-level=bad]'), /1 fails?/);

    await scene.go('camera/d-refused');
    await scene.console.see('.of-source', /rtsp:\/\/(\S*@)?127\.0\.0\.1/);
    await scene.console.see('.said', 'Connection refused');
    await scene.tellsNoSecret();
    await scene.shot('refused');
    await scene.go('log');
    await scene.console.see('main', 'd-refused');
    await scene.tellsNoSecret();
  },

  'an output that fails': async scene => {
    await scene.hub.ask('/commands', { command: 'start', cameras: ['b-made'] }); // for later
    await scene.go('');
    await scene.look('e-phone');
    await scene.console.see('.tile[data-name=e-phone] .sign', 'Output fails');
    await scene.go('camera/e-phone');
    await scene.console.see('.outputs li', /copy[^]*(Tries again|Given up|Connecting)/);
    await scene.console.see('.outputs li .error', 'Connection refused');
    await scene.console.see('.outputs li .url', /^rtmp:\/\/127\.0\.0\.1:\d+\//);
    await scene.tellsNoSecret();
    await scene.console.waitLive('');
    assert.equal(await scene.page.locator('.sound').isVisible(), false, 'a phone has no sound');
    await scene.shot('output');
  },

  'large, with sound, by button and by key': async scene => {
    const { page, console } = scene;
    await scene.go('');
    await scene.tile('a-film').locator('a.name').click();
    await console.waitLive('');
    await console.see('.sound', 'Sound off');
    assert.deepEqual([await muted(page), await decoded(page)], [true, 0]);
    await page.locator('.sound').click();
    await console.see('.sound[aria-pressed=true]', 'Sound on');
    await hears(page);
    await page.keyboard.press('m');
    await console.see('.sound[aria-pressed=false]', 'Sound off');
    assert.equal(await muted(page), true);
    await page.keyboard.press('m');
    await hears(page);
    assert.ok(await moves(page, '.screen video'));
    await console.see('.of-source', 'start at once, with');
    await console.see('.of-source', /\d[\d,]*: \d[\d,]* pictures, \d[\d,]* sound/);
    const facts = await console.text('.of-source');
    assert.match(facts, /film\.mp4/);
    assert.equal(facts.match(/copied/g)?.length, 2, 'picture and sound');
    await console.see('.side', '44.1 kHz, 1 channel');
    await scene.shot('large');
  },

  'record, and see and hear it': async scene => {
    const { page, console, hub } = scene;
    await page.getByRole('button', { name: 'Record', exact: true }).click();
    await console.see('.head .state', 'Recording');
    const id = await until('the session', () => hub.session('a-film')?.id);
    const pictures = async () => (await hub.camera('a-film')).figures.frames, before = await pictures();
    await until('some of it is there', async () => await pictures() > before + 80, 40);
    await page.getByRole('button', { name: 'Stop recording' }).click();
    await console.see('.head .state', /^Live$/);
    const { report } = await hub.finished('a-film');
    assert.ok(report.audio.frames > 50, `${report.audio.frames} frames of sound`);
    await scene.go('recordings');
    await console.see(`.recording[data-id="${id}"]`, 'Complete');
    await scene.shot('recordings');
    await page.locator(`.recording[data-id="${id}"] a`).click();
    await console.see('.side', '44.1 kHz, 1 channel');
    await console.see('.film .sound', 'Sound off');
    await page.keyboard.press('m');
    await console.see('.film .sound[aria-pressed=true]', 'Sound on');
    const place = async () => seconds((await console.text('.controls .figure')).split(' / ')[0]);
    await page.keyboard.press(' ');
    await until('it plays', async () => await place() > 0.5);
    await hears(page);
    await until('to its end', async () => await place() > report.duration - 0.5);
    await page.locator('.film .sound').click();
    assert.equal(await muted(page), true);
    await until('it stands', () => page.evaluate(() => document.querySelector('.screen video').paused));
    const end = await console.text('.taken');
    await page.keyboard.press(',');
    await until('one picture back', async () => !['', end].includes(await console.text('.taken')));
    await scene.shot('film');
  },

  'few pictures and much sound: steps, and plays on': async scene => {
    const { page, console, hub } = scene;
    await until('enough was recorded', async () =>
      Date.now() - Date.parse((await hub.camera('b-made')).session.started) > 6000, 40);
    await hub.ask('/commands', { command: 'stop', cameras: ['b-made'] });
    const { id, report } = await hub.finished('b-made');
    assert.ok(report.audio.frames > 15 * report.counts.frames, `${report.audio.frames} frames of sound`);
    await scene.go(`recordings/${id}`);
    const taken = async () => Date.parse(`${await console.text('.taken')} UTC`);
    await until('the time of the first picture', async () => await taken() > 0);
    const first = await taken();
    for (const [key, step] of [['.', 1], ['.', 2], [',', 1]]) {
      await page.keyboard.press(key);
      await until(`picture ${step}`, async () => Math.abs(await taken() - first - step * 500) < 200);
    }
    await page.keyboard.press(' ');
    await until('it goes on from there', async () => await taken() - first > 1300);
  },

  'what nobody looks at any more ends': async scene => {
    const { hub, page } = scene;
    await scene.go('');
    await scene.console.waitLive('a-film');
    const { pid } = (await hub.camera('a-film')).statistics;
    assert.ok(existsSync(`/proc/${pid}`));
    await page.goto('about:blank');
    for (const name of ['a-film', 'b-made', 'c-once', 'd-refused', 'f-screen']) {
      const { source, statistics, figures } = await hub.waitState(name, 'stopped');
      assert.deepEqual([/refused/.test(source.error), statistics.pid, figures.viewers], [name === 'd-refused', null, 0],
        name);
    }
    assert.ok(!existsSync(`/proc/${pid}`));
    assert.deepEqual(scene.errors, []);
    await scene.console.close();
  },
};

describe('the console and a hub with sources', { concurrency: 2 }, () => {
  for (const device of sizesFor(Object.keys(COLOURS)))
    test(device, async t => {
      const scene = new Scene(device);
      t.after(() => scene.close());
      await scene.open();
      let well = true; // what follows would fail, too
      for (const [name, act] of Object.entries(acts))
        await t.test(name, { skip: !well }, async () => {
          well = false;
          await act(scene);
          well = true;
        });
      if (!well)
        console.log(`# ${device}: ${scene.hub.log.replaceAll('\n', '\n# ')}`);
    });
});
