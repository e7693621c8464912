// A room of nine cameras on a real hub, as the console page shows them: all pictures move, only those in sight stream,
// cameras and hub may be killed and come back without a reload, films play past the length they were opened with.
// CAMHUB names the program, which is also the cameras.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Console, openBrowser } from './console_page.js';
import { Hub, until } from './hub.js';

const PHONES = ['cam-1', 'cam-2', 'cam-3', 'cam-4', 'cam-5', 'cam-6'], JPEGS = ['esp-1', 'esp-2', 'esp-3'];
const ALL = [...PHONES, ...JPEGS];
const folder = mkdtempSync(path.join(tmpdir(), 'camhub-room-')), running = new Set();
let hub, browser;

// Cameras that are programs; their ffmpeg goes with them.
function push(...args) {
  const child = spawn(process.env.CAMHUB, ['push', ...args, '--quiet', '--reconnect', '0.5'],
    { stdio: 'ignore', detached: true });
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

function kill(child, signal = 'SIGKILL') {
  try {
    process.kill(-child.pid, signal);
  } catch { /* it is gone */ }
}

const room = () => [
  push(`${hub.url.replace('http', 'ws')}/android-cam/cam`, '--cameras', '6', '--size', '320x240', '--fps', '10'),
  push('--jpeg', `${hub.url.replace('http', 'ws')}/esp/esp`, '--cameras', '3', '--resolution', 'QVGA', '--fps', '5'),
];

before(async () => {
  assert.ok(process.env.CAMHUB, 'CAMHUB names the program to test');
  hub = await new Hub(path.join(folder, 'recordings')).start();
  browser = await openBrowser();
  room();
});

after(async () => {
  running.forEach(child => kill(child, 'SIGTERM'));
  await browser?.close();
  running.forEach(child => kill(child));
  const end = hub?.process ? await hub.stop() : 0;
  rmSync(folder, { recursive: true, force: true });
  assert.equal(end, 0, 'the hub ends well');
});

const get = async what => (await fetch(`${hub.url}/api/v1/${what}`)).json();
const viewers = async () => Object.fromEntries((await get('cameras')).cameras
  .map(({ name, figures }) => [name, figures.viewers]));
const states = async () => (await get('cameras')).cameras.map(({ state }) => state);
const allAre = state => until(`all are ${state}`, async () => {
  const found = await states();
  return found.length === ALL.length && found.every(one => one === state);
}, 40);

test('start all, pictures of all, answers, one large, stop all', async () => {
  const console = await Console.open(browser, hub, 'desk');
  await until('all are connected', async () => (await states()).length === ALL.length);
  await console.see('.cell', '9 of 9');
  await console.page.getByRole('button', { name: 'Start all' }).click();
  await console.see('.notice', 'Sent to 9 cameras');
  await allAre('recording');
  for (const name of ALL) {
    await console.tile(name).scrollIntoViewIfNeeded();
    await console.waitLive(name);
  }
  await console.see('.cell', '9 of 9 recording');
  for (const name of ['cam-1', 'esp-1']) {
    await console.page.goto(`${hub.url}/#/camera/${name}`);
    await console.see('h1', name);
    await console.waitLive('');
    await console.see('.head .figures', 'fps');
    await console.page.getByLabel('Text to the camera').fill('status');
    await console.page.keyboard.press('Enter');
    await until('sent and answered', async () => (await console.texts('.answers li')).length >= 2);
  }
  await console.page.goto(`${hub.url}/#/`);
  await console.page.getByRole('button', { name: 'Stop all' }).click();
  await console.page.locator('dialog').getByRole('button', { name: 'Stop all' }).click();
  await console.see('.cell', 'Not recording');
  await allAre('ready');
  await console.close();
});

test('only what is in sight streams', async () => {
  const console = await Console.open(browser, hub, 'phone');
  await console.tile('cam-1').waitFor();
  const at = name => until(`${name} streams, and what is far away does not`, async () => {
    const counts = await viewers();
    return counts[name] === 1 && counts[name === 'cam-1' ? 'esp-3' : 'cam-1'] === 0;
  });
  await at('cam-1');
  await console.tile('esp-3').scrollIntoViewIfNeeded();
  await at('esp-3');
  await console.page.goto(`${hub.url}/#/log`);
  await until('nothing streams', async () => Object.values(await viewers()).every(count => count === 0));
  await console.close();
});

test('a camera that is killed, and a hub that is: all recovers without a reload', async () => {
  const console = await Console.open(browser, hub, 'desk'), url = hub.url.replace('http', 'ws');
  await console.page.evaluate(() => { window.sameDocument = true; });
  const camera = () => push(`${url}/android-cam/victim`, '--start', '--size', '320x240', '--fps', '10');
  const victim = camera();
  await console.tile('victim').waitFor();
  await console.tile('victim').scrollIntoViewIfNeeded();
  await console.waitLive('victim');
  kill(victim);
  await console.see('.tile[data-name=victim] .note', 'Lost since');
  assert.equal(await console.tile('victim').locator('.picture').getAttribute('data-live'), 'false');
  camera();
  await console.waitLive('victim');

  await until('some of it is on the disk', async () => (await get('recordings?camera=victim&verdict=recording'))
    .recordings[0]?.bytes > 50000);
  await hub.stop('SIGKILL');
  await console.see('#trouble', 'No connection to the hub');
  await hub.start({ again: true });
  await console.gone('#trouble');
  await console.waitLive('victim');
  assert.equal(await console.page.evaluate(() => window.sameDocument), true);
  await console.page.goto(`${hub.url}/#/recordings`);
  await console.page.locator('.recording').filter({ hasText: 'victim' }).filter({ hasText: 'Recovered' }).first().waitFor();
  await console.close();
});

for (const [kind, args] of [['phone', ['--size', '320x240', '--fps', '10']],
  ['esp', ['--jpeg', '--resolution', 'QVGA', '--fps', '10']]])
  test(`the film of a camera of kind ${kind}: on the list by itself, and in single steps`, async () => {
    const name = `film-${kind}`, console = await Console.open(browser, hub, 'desk', { hash: '#/recordings' });
    await console.page.locator('.filters').waitFor();
    const where = kind === 'phone' ? 'android-cam' : 'esp';
    push(...args, `${hub.url.replace('http', 'ws')}/${where}/${name}`, '--start', '--count', '40');
    await console.see('.recording', name);
    const row = console.page.locator('.recording').filter({ hasText: name });
    await row.filter({ hasText: 'Complete' }).waitFor();
    const session = await hub.finished(name);
    await row.locator('a').click();
    const taken = async () => Date.parse(`${(await console.text('.taken')).replace(/ \(.*/, '')} UTC`);
    await console.page.locator('.film video').waitFor();
    await until('the time of the first picture', async () => await taken() > 0);
    const first = await taken();
    assert.ok(Math.abs(first - Date.parse(session.report.started)) < 5000, `${first}`);
    let last = first;
    for (let n = 1; n <= 10; n++) {
      await console.page.keyboard.press('.');
      last = await until(`picture ${n}`, async () => await taken() > last && taken());
    }
    assert.ok(last - first > 500 && last - first < 3000, `10 steps are ${last - first} ms`);
    await until('the film shows it', () => console.page.evaluate(() => !document.querySelector('video').seeking));
    await console.page.getByRole('button', { name: 'Delete' }).click();
    await console.page.locator('dialog .danger').click();
    await until('the folder is gone', () => hub.session(name) === null);
    await console.close();
  });

test('a running session plays from its beginning past the length it had, without a break', async () => {
  const name = 'running', console = await Console.open(browser, hub, 'desk');
  const camera = push(`${hub.url.replace('http', 'ws')}/android-cam/${name}`, '--start', '--size', '320x240', '--fps',
    '10');
  await until('some pictures', async () => (await get('recordings?camera=running')).recordings[0]?.video);
  const { id } = hub.session(name);
  await console.page.goto(`${hub.url}/#/recordings/${id}`);
  await console.page.locator('.film video').waitFor();
  const opened = await until('its length', () => console.page.evaluate(() => {
    const { duration } = document.querySelector('.film video');
    return duration > 0 && duration;
  }));
  // What is seen is looked at every 20 ms: never nothing, never back by a picture, nothing passed over.
  await console.page.evaluate(() => {
    const looks = window.looks = { nothing: 0, back: 0, over: 0, files: new Set(), last: 0, at: performance.now() };
    setInterval(() => {
      const film = document.querySelector('.film .media'), time = film.currentTime, now = performance.now();
      looks.nothing += film.readyState < 2;
      looks.back += time < looks.last - 0.1;
      looks.over += time - looks.last > (now - looks.at) / 1000 + 0.4;
      looks.files.add(film.src);
      [looks.last, looks.at] = [time, now];
    }, 20);
  });
  await console.page.keyboard.press(' ');
  await until('it plays past that', () => console.page.evaluate(past => window.looks.last > past, opened + 6), 60);
  const looks = await console.page.evaluate(() => ({ ...window.looks, files: window.looks.files.size }));
  assert.ok(looks.files > 1, 'another state of the file was opened');
  assert.deepEqual([looks.nothing, looks.back, looks.over], [0, 0, 0], JSON.stringify(looks));
  kill(camera, 'SIGTERM');
  await console.close();
});
