// The console page on a real hub, with a page as its camera: the picture appears, the recording is on the list, its
// film steps, and stopping finishes it. CAMHUB names the hub's program.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Camera } from './camera.js';
import { makeClip } from './clip.js';
import { Console, openBrowser, sizesFor } from './console_page.js';
import { Hub, until } from './hub.js';

const folder = mkdtempSync(path.join(tmpdir(), 'camhub-console-'));
let hub, browser, clip, elsewhere;

before(async () => {
  assert.ok(process.env.CAMHUB, 'CAMHUB names the program to test');
  clip = makeClip(folder, 'console', { count: 90, bFrames: 0 });
  browser = await openBrowser();
  hub = await new Hub(path.join(folder, 'recordings')).start();
  elsewhere = await browser.newContext({ bypassCSP: true });
});

after(async () => {
  await browser?.close();
  const end = hub?.process ? await hub.stop() : 0;
  rmSync(folder, { recursive: true, force: true });
  assert.equal(end, 0, 'the hub ends well');
});

test('the page is light, as it is sent', async () => {
  const names = readdirSync(new URL('../../web/', import.meta.url));
  assert.ok(names.length > 20);
  const sizes = await Promise.all(names.map(name => new Promise((resolve, reject) => {
    const address = `${hub.url}/${name === 'index.html' ? '' : `console/${name}`}`;
    get(address, { headers: { 'Accept-Encoding': 'gzip' } }, response => {
      let size = 0;
      assert.deepEqual([response.statusCode, response.headers['content-encoding']], [200, 'gzip'], name);
      response.on('data', data => { size += data.length; }).on('end', () => resolve(size));
    }).on('error', reject);
  })));
  const sum = sizes.reduce((all, size) => all + size, 0);
  assert.ok(sum < 100000, `${sum} bytes`);
});

for (const device of sizesFor())
  test(`first visit, live, recording, film (${device})`, async () => {
    const name = `${device}-camera`, console = await Console.open(browser, hub, device);
    const tile = `.tile[data-name="${name}"]`;
    if (device === 'desk') {
      await console.see('.welcome', 'No camera is connected yet');
      await console.page.waitForFunction(() => document.querySelector('.qr').naturalWidth > 0);
    }
    const camera = await Camera.connect(elsewhere, hub, name);
    await camera.send(clip.frames.slice(0, 30));
    await console.page.locator(tile).scrollIntoViewIfNeeded();
    await console.see(`${tile} .state`, 'Recording');
    await console.waitLive(name);
    await console.see(`${tile} .note`, /Frozen: no new picture/);
    await camera.send(clip.frames.slice(30));
    await console.page.getByLabel(`Select ${name}`).check();
    await console.page.locator('.selection').getByRole('button', { name: 'Stop', exact: true }).click();
    await console.see(`${tile} .answer`, 'stop_capture');
    await camera.stop();
    const { id, report } = await hub.finished(name);
    await console.see(`${tile} .state`, 'Lost');
    await console.page.locator(tile).getByRole('button', { name: `Dismiss ${name}` }).click();
    await console.page.locator(tile).waitFor({ state: 'detached' });
    await console.page.goto(`${hub.url}/#/recordings`);
    await console.see(`.recording[data-id="${id}"]`, /Complete\s*all 90 frames/);
    await console.page.locator(`.recording[data-id="${id}"] a`).click();
    const taken = async () => Date.parse(`${await console.text('.taken')} UTC`);
    await until('the time of the first picture', async () => await taken() > 0);
    const first = await taken(), expected = 1e6 + report.clock.wall_minus_device * 1000;
    assert.ok(Math.abs(first - expected) <= 1, `${first}, expected ${expected}`);
    for (let n = 1; n <= 3; n++) {
      await console.page.keyboard.press('.');
      await until(`picture ${n}`, async () => Math.abs(await taken() - expected - clip.times[n]) <= 2);
    }
    await console.page.getByRole('button', { name: 'Delete' }).click();
    await console.page.locator('dialog .danger').click();
    await console.page.locator(`.recording[data-id="${id}"]`).waitFor({ state: 'detached' });
    await until('the folder is gone', () => hub.session(name) === null);
    await console.close();
  });
