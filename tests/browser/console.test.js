// The console page against the mock hub, at the size of a desk and of a phone: what is to be seen at a glance, the
// first visit, the wall, commands, the log, languages, colours.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Console, openBrowser, sizesFor } from './console_page.js';
import { until } from './hub.js';
import { HOSTILE, makeCamera, makeCameras } from './mock_data.js';
import { MockHub } from './mock_hub.js';

const WEB = fileURLToPath(new URL('../../web/', import.meta.url));
const LONG = 'microscope.with-a-very-long-name_that-goes-on-and-on-and-on-1234';
// Each test has a hub and a window of its own, and waits for most of its time.
const TOGETHER = { concurrency: 2 };
let browser;

before(async () => { browser = await openBrowser(); });
after(() => browser?.close());

// Runs a test with a hub and a page of its own.
function check(name, use, { hub: options, page: pageOptions, devices } = {}) {
  for (const device of sizesFor(devices))
    test(`${name} (${device})`, async () => {
      const hub = await new MockHub(options).start();
      try {
        const console = await Console.open(browser, hub, device, pageOptions);
        await use(console, hub, device);
        await console.close();
      } finally {
        await hub.stop();
      }
    });
}

const posted = hub => hub.requests.filter(({ method, path }) => method === 'POST' && path === '/api/v1/commands')
  .map(({ body }) => body);
const waitPosted = (hub, count) => until('the command arrives',
  () => posted(hub).length >= count && posted(hub).at(-1));

describe('at a glance', TOGETHER, () => {
  check('recording, alive, disk, in this order', async (console, hub) => {
    await console.see('.cell', '4 of 8');
    const [recording, alive, disk] = await console.texts('.cell');
    assert.match(recording, /^4 of 8\s+recording 01:0\d:\d\d$/);
    assert.match(alive, /^8 of 9\s+alive, 1 lost$/);
    assert.match(disk, /^412 GB\s+free, 2 d left$/);
    hub.setCamera('cam-2', { state: 'recording', session: { id: 'x', started: new Date().toISOString() } });
    await console.see('.cell', '5 of 8');
    hub.statusChange = { disk: { path: '/srv', free: 900000000, total: 1e12, write_rate: 1e6, seconds_left: 900 } };
    await console.see('.cell[data-level=bad]', '900 MB free, 15 min left');
  });

  check('nothing records, all are well', async console => {
    await console.see('.cell', 'Not recording');
    await console.see('.cell[data-level=good]', '2 of 2 alive');
    await console.see('.cell', /GB\s+free$/);
  }, { hub: { cameras: makeCameras().filter(camera => camera.state === 'ready') } });

  check('a camera that is silent while it should send is not alive', async (console, hub) => {
    await console.see('.cell', '4 of 8');
    hub.frozen.add('bench-left');
    await console.see('.cell[data-level=bad]', /^7 of 9\s*alive, 1 lost, 1 silent$/);
  });

  check('a lost hub is said in words, and all recovers without a reload', async (console, hub) => {
    await console.tile('cam-2').waitFor();
    await console.page.evaluate(() => { window.sameDocument = true; });
    hub.vanish();
    await console.see('#trouble', 'No connection to the hub');
    await console.see('#trouble', 'Next try in');
    await until('no picture is shown as live', async () =>
      await console.page.locator('.picture[data-live=true]').count() === 0);
    hub.cameras.delete('overhead');
    hub.cameras.get('cam-2').state = 'recording';
    hub.vanish(false);
    await console.page.click('#trouble button').catch(() => {});
    await console.gone('#trouble');
    await console.tile('overhead').waitFor({ state: 'detached' });
    await console.see('.tile[data-name=cam-2]', 'Recording');
    await console.waitLive('bench-left');
    assert.equal(await console.page.evaluate(() => window.sameDocument), true);
  });
});

describe('the first visit', TOGETHER, () => {
  const empty = { hub: { cameras: [], recordings: 0 } };
  check('says how a camera connects, and shows it when it does', async (console, hub) => {
    await console.see('.welcome', 'No camera is connected yet');
    const [phone, esp, demo] = await console.texts('.welcome code');
    assert.equal(phone, `ws://192.168.1.10:${hub.port}/android-cam`);
    assert.equal(esp, `ws://192.168.1.10:${hub.port}/esp`);
    assert.equal(demo, `camhub push --start ws://127.0.0.1:${hub.port}/android-cam/demo`);
    await console.page.waitForFunction(() => document.querySelector('.qr').naturalWidth > 0);
    assert.ok(hub.requests.some(({ path, query }) => path === '/api/v1/qr.svg' && query.text === phone));
    await console.page.selectOption('.welcome select', `[fd00::10]:${hub.port}`);
    await console.see('.welcome code', `ws://[fd00::10]:${hub.port}/android-cam`);
    hub.setCamera('demo', { state: 'recording' });
    await console.waitLive('demo');
    assert.equal(await console.page.locator('.welcome').count(), 0);
  }, empty);

  check('the same help later, with a name that is checked while typing', async (console, hub) => {
    await console.page.locator('.tools button').first().click();
    const name = console.page.locator('dialog input');
    for (const [text, words] of [['a b', 'No blanks'], ['küche', '“ü” is not possible'],
      ['x'.repeat(65), 'Too long: 65 characters'],
      ['cam-2', 'A camera named cam-2 is connected'], ['overhead', 'overhead was here before']]) {
      await name.fill(text);
      await console.see('dialog .hint', words);
    }
    await name.fill('bench.3');
    await console.see('dialog code', `/android-cam/bench.3`);
    assert.equal((await console.texts('dialog code'))[1], `ws://192.168.1.10:${hub.port}/esp/bench.3`);
    await console.page.waitForFunction(() =>
      decodeURIComponent(document.querySelector('dialog .qr').src).endsWith('/android-cam/bench.3'));
    await console.page.keyboard.press('Escape');
    await console.gone('dialog');
  });
});

describe('the wall', TOGETHER, () => {
  check('tiles stand by name, with state as word, shape and colour', async console => {
    await console.tile('window').waitFor();
    assert.deepEqual(await console.page.locator('.tile').evaluateAll(tiles => tiles.map(tile => tile.dataset.name)),
      ['bench-left', 'bench-right', 'cam-2', 'cam-10', 'esp-door', LONG, 'overhead', 'tripod', 'window']);
    for (const [name, word, shape] of [['bench-left', 'Recording', '#recording'], ['cam-2', 'Ready', '#ready'],
      ['cam-10', 'Not recorded', '#capturing'],
      ['overhead', 'Lost', '#lost'], ['tripod', 'Connected', '#connected']]) {
      const state = console.tile(name).locator('.state');
      assert.equal(await state.innerText(), word);
      assert.equal(await state.locator('use').getAttribute('href'), shape);
    }
    assert.match(await console.tile('bench-left').locator('.second > .figure').innerText(), /^00:1\d:\d\d$/);
    assert.match(await console.tile('bench-right').locator('.figures').innerText(), /12 lost/);
    assert.doesNotMatch(await console.tile('bench-left').locator('.figures').innerText(), /lost|skipped/);
    await console.see('.tile[data-name=bench-left] .figures', /fps.*Mbit\/s/s);
  });

  check('pictures are live, also those of JPEG cameras, with a measured latency', async console => {
    await console.waitLive('bench-left');
    await console.see('.tile[data-name=bench-left] .figures', /\d\.\d\d s/);
    await console.tile('esp-door').scrollIntoViewIfNeeded();
    await console.waitLive('esp-door');
  });

  check('a picture that stands still says so', async (console, hub) => {
    await console.waitLive('bench-left');
    hub.frozen.add('bench-left');
    await console.see('.tile[data-name=bench-left] .note', /Frozen: no new picture for \d+ s/);
    assert.equal(await console.tile('bench-left').locator('.picture').getAttribute('data-live'), 'false');
    hub.frozen.delete('bench-left');
    await console.waitLive('bench-left');
    await console.tile('bench-left').locator('.note').waitFor({ state: 'hidden' });
  });

  check('what the hub still has of a camera that stopped is not shown as live', async (console, hub) => {
    await console.waitLive('bench-left');
    hub.setCamera('bench-left', { state: 'ready', session: null });
    await console.see('.tile[data-name=bench-left] .note', 'Sends no pictures');
    assert.equal(await console.tile('bench-left').locator('.picture').getAttribute('data-live'), 'false');
  }, { devices: ['desk'] });

  check('a lost camera is grey, says since when, and stays until dismissed', async (console, hub) => {
    await console.tile('bench-left').waitFor();
    hub.setCamera('bench-left', { state: 'lost' });
    await console.see('.tile[data-name=bench-left] .note', /Lost since \d\d:\d\d:\d\d/);
    assert.match(await console.tile('bench-left').locator('.media').evaluate(media => getComputedStyle(media).filter),
      /grayscale/);
    await console.tile('bench-left').getByRole('button', { name: 'Dismiss bench-left' }).click();
    await console.tile('bench-left').waitFor({ state: 'detached' });
    assert.ok(hub.requests.some(({ method, path }) => method === 'DELETE' && path === '/api/v1/cameras/bench-left'));
  });

  check('only what is seen streams', async (console, hub) => {
    const watched = () => [...hub.viewers.values()].map(({ name }) => name).sort();
    await until('the first picture is asked for', () => watched().includes('bench-left'));
    await new Promise(resolve => setTimeout(resolve, 500));
    assert.ok(!watched().includes('window'), `too many streams: ${watched()}`);
    await console.tile('window').scrollIntoViewIfNeeded();
    await until('the last one streams, the first no more',
      () => watched().includes('window') && !watched().includes('bench-left'));
    await console.page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await until('a hidden page asks for nothing', () => watched().length === 0);
  }, { devices: ['phone'] });

  check('what cameras say is text', async (console, hub) => {
    await console.tile('window').scrollIntoViewIfNeeded();
    await console.see('.tile[data-name=window] .answer', HOSTILE);
    await console.page.goto(`${hub.url}/#/camera/${encodeURIComponent(LONG)}`);
    await console.see('.facts', HOSTILE);
    await console.page.goto(`${hub.url}/#/log`);
    await console.see('.log', HOSTILE);
    assert.match(await console.page.title(), /camhub$/);
    assert.equal(await console.page.locator('img[onerror]').count(), 0);
  });

  check('from tile to camera and back, by keyboard', async (console, hub) => {
    await console.tile('bench-left').locator('a').focus();
    await console.page.keyboard.press('Enter');
    await console.see('h1', 'bench-left');
    assert.match(console.page.url(), /#\/camera\/bench-left$/);
    await console.waitLive('');
    await console.see('.below .log', 'bench-left: capture started');
    assert.equal(await console.page.locator('.below .log li').filter({ hasText: 'bench-right' }).count(), 0);
    hub.answer('bench-left', 'Battery at 20 %');
    await console.see('.answers', 'Battery at 20 %');
    await console.page.keyboard.press('f');
    await console.page.waitForFunction(() => document.fullscreenElement?.classList.contains('screen'));
    await console.page.keyboard.press('f');
    await console.page.waitForFunction(() => !document.fullscreenElement);
    await console.page.keyboard.press('Escape');
    await console.tile('bench-left').waitFor();
    assert.equal(await console.page.evaluate(() => document.activeElement.textContent), 'bench-left');
  });

  check('a camera has an address, and one that is not there yet too', async (console, hub) => {
    await console.see('main', 'There is no camera of this name');
    hub.setCamera('later', { state: 'recording' });
    await console.waitLive('');
    await console.see('.head .state', 'Recording');
  }, { page: { hash: '#/camera/later' } });
});

describe('trouble', TOGETHER, () => {
  check('a hub that answers 500: said in words, and over when it is over', async (console, hub) => {
    await console.tile('cam-2').waitFor();
    hub.failing = true;
    await console.page.getByRole('button', { name: 'Start all' }).click();
    await console.see('.notice.error', 'HTTP 500');
    await console.page.goto(`${hub.url}/#/recordings`);
    await console.see('.total', 'HTTP 500');
    hub.failing = false;
    await console.see('.total', '1,000 recordings');
    hub.failing = true;
    await console.page.goto(`${hub.url}/#/recordings/${encodeURIComponent(hub.recordings[4].id)}`);
    await console.see('.stage', 'HTTP 500');
    hub.failing = false;
    await console.page.locator('.film').waitFor();
  });

  check('a slow hub: everything comes in the end, and what came too late is not shown', async (console, hub) => {
    await console.tile('cam-2').waitFor();
    await console.waitLive('bench-left');
    await console.page.goto(`${hub.url}/#/recordings`);
    await console.page.goto(`${hub.url}/#/log`);
    await console.page.goto(`${hub.url}/#/recordings/${encodeURIComponent(hub.recordings[4].id)}`);
    await console.page.locator('.film').waitFor();
    assert.equal(await console.page.locator('.recordings, .log').count(), 0);
  }, { hub: { latency: 700 } });

  const crowd = Array.from({ length: 200 }, (_, n) => makeCamera(`cam-${n + 1}`, 'recording', Date.now()));
  check('two hundred cameras', async (console, hub) => {
    await console.see('.cell', '200 of 200');
    assert.equal(await console.page.locator('.tile').count(), 200);
    await console.waitLive('cam-1');
    await console.tile('cam-200').scrollIntoViewIfNeeded();
    await console.waitLive('cam-200');
    assert.ok(hub.viewers.size < 30, `${hub.viewers.size} streams`);
    await console.page.getByRole('button', { name: 'Start all' }).click();
    await console.see('.notice', 'Sent to 200 cameras');
    await console.page.goto(`${hub.url}/#/camera/cam-77`);
    await console.waitLive('');
  }, { hub: { cameras: crowd } });
});

describe('commands', TOGETHER, () => {
  check('start and stop all: at once, with what each answered', async (console, hub) => {
    await console.page.getByRole('button', { name: 'Start all' }).click();
    assert.deepEqual(await waitPosted(hub, 1), { command: 'start', bitrate: 4, fps: 10 });
    await console.see('.tile[data-name=cam-2] .answer', 'Capture started');
    await console.see('.notice', 'Sent to 8 cameras');
    await console.see('.cell', '8 of 8');
    await console.page.getByRole('button', { name: 'Stop all' }).focus();
    await console.page.keyboard.press('Enter');
    await console.see('dialog', '8 recordings end and are finished');
    await console.page.keyboard.press('Escape');
    await console.gone('dialog');
    assert.equal(posted(hub).length, 1, 'Escape stops nothing');
    await console.page.keyboard.press('Enter');
    await console.page.locator('dialog').waitFor();
    await console.page.keyboard.press('Enter');
    assert.deepEqual(await waitPosted(hub, 2), { command: 'stop' });
    await console.see('.cell', 'Not recording');
    await console.page.getByRole('button', { name: 'Stop all' }).click();
    assert.deepEqual(await waitPosted(hub, 3), { command: 'stop' }, 'nothing records: nothing to ask');
  });

  check('bad values are refused in words, good ones remembered', async (console, hub) => {
    await console.page.click('.values');
    for (const [name, bad, words] of [['Aspect ratio', '16x9', 'with a colon'], ['Aspect ratio', '0:1', 'with a colon'],
      ['Bitrate, Mbit/s', '2.5', 'from 1 to 1000'], ['Bitrate, Mbit/s', '', 'from 1 to 1000'],
        ['Pictures/s', '-1', 'from 0 to 1000'],
      ['Quality (JPEG)', '64', 'from 1 to 63']]) {
      await console.page.getByLabel(name).fill(bad);
      await console.see('dialog .field.bad', words);
      await console.page.getByRole('button', { name: 'Start', exact: true }).click();
      assert.equal(await console.page.getByLabel(name).evaluate(input => input === document.activeElement), true);
      await console.page.getByLabel(name).fill({ 'Aspect ratio': '16:9', 'Bitrate, Mbit/s': '8',
        'Pictures/s': '0', 'Quality (JPEG)': '12' }[name]);
    }
    await console.page.getByLabel('Resolution (JPEG)').selectOption('SVGA');
    assert.equal(posted(hub).length, 0);
    await console.page.reload();
    await console.page.getByRole('button', { name: 'Start all' }).click();
    assert.deepEqual(await waitPosted(hub, 1), { command: 'start', aspect_ratio: '16:9', bitrate: 8, fps: 0,
      resolution: 'SVGA', quality: 12 });
  });

  check('to those that are selected', async (console, hub) => {
    await console.page.getByLabel('Select cam-2').check();
    await console.page.getByLabel('Select window').check();
    await console.see('.selection', '2 selected');
    await console.page.locator('.selection').getByRole('button', { name: 'Start', exact: true }).click();
    assert.deepEqual((await waitPosted(hub, 1)).cameras.sort(), ['cam-2', 'window']);
    await console.see('.tile[data-name=window]', 'Recording');
    await console.page.locator('.selection').getByRole('button', { name: 'Stop', exact: true }).click();
    await waitPosted(hub, 2);
    await console.see('.tile[data-name=window] .state', 'Ready');
    await console.page.getByLabel('Select overhead').check();
    await console.page.locator('.selection').getByRole('button', { name: 'Start', exact: true }).click();
    await console.see('.notice.error', 'not to overhead');
    await console.see('.tile[data-name=overhead] .answer', 'Not sent: it is lost');
    await console.page.getByRole('button', { name: 'Clear the selection' }).click();
    await console.gone('.selection');
  });

  check('picture and free text of one camera', async (console, hub) => {
    await console.page.getByRole('button', { name: 'Set', exact: true }).click();
    await console.see('.field.bad', 'at least one value');
    await console.page.getByLabel('Brightness').fill('-2');
    await console.page.getByRole('button', { name: 'Set', exact: true }).click();
    assert.deepEqual(await waitPosted(hub, 1), { command: 'set', settings: { brightness: -2 }, cameras: ['esp-door'] });
    await console.page.getByLabel('Text to the camera').fill('refuse me');
    await console.page.keyboard.press('Enter');
    await console.see('.field.bad', HOSTILE);
    await console.page.getByLabel('Text to the camera').fill('status');
    await console.page.keyboard.press('Enter');
    assert.deepEqual(await waitPosted(hub, 3), { command: 'raw', text: 'status', cameras: ['esp-door'] });
    await console.see('.answers', 'ACK: status');
    assert.equal(await console.page.getByLabel('Bitrate').count(), 0, 'a JPEG camera has no bitrate');
  }, { page: { hash: '#/camera/esp-door' } });
});

describe('the log', TOGETHER, () => {
  const log = { page: { hash: '#/log' } }, lines = console => console.page.locator('.log li');
  check('filters by level, words and camera', async console => {
    await console.see('.log', 'listening');
    assert.equal(await lines(console).filter({ hasText: 'Detail' }).count(), 0);
    await console.page.getByLabel('Level').selectOption('error');
    await until('errors only', async () => (await console.texts('.log .level')).every(text => text === 'Error'));
    await console.page.getByLabel('Level').selectOption('debug');
    await console.page.getByLabel('Camera', { exact: true }).selectOption('cam-10');
    await until('one camera', async () => (await console.texts('.log .text'))
      .every(text => text.startsWith('cam-10:')));
    await console.page.getByLabel('Camera', { exact: true }).selectOption('');
    await console.page.getByLabel('Search').fill('BROADCAST');
    await until('words', async () => (await console.texts('.log .tag')).every(text => text === 'Broadcast'));
    await console.page.getByLabel('Search').fill('no such words');
    await console.see('main', 'No lines');
  }, log);

  check('follows, keeps its place when scrolled up, pauses, is bounded', async (console, hub) => {
    const box = console.page.locator('.log'), atEnd = () =>
      box.evaluate(list => list.scrollHeight - list.scrollTop - list.clientHeight < 30);
    await console.see('.log', 'listening');
    hub.say('info', 'Info', 'one more');
    await console.see('.log', 'one more');
    await until('at the end', atEnd);
    await box.evaluate(list => { list.scrollTop = 300; });
    await console.page.waitForTimeout(100);
    const topLine = () => box.evaluate(list => [...list.children]
      .find(line => line.offsetTop >= list.scrollTop).textContent);
    const before = await topLine();
    hub.event({ type: 'log', lines: Array.from({ length: 1000 },
      (_, n) => ({ time: new Date().toISOString(), level: 'info', tag: 'Info', text: `line ${n}` })) });
    await console.see('.newest', /1,000 new lines below/);
    assert.equal(await topLine(), before);
    await console.page.click('.newest');
    await until('at the end again', atEnd);
    await console.page.getByRole('button', { name: 'Pause' }).click();
    hub.event({ type: 'log', lines: Array.from({ length: 2000 },
      (_, n) => ({ time: new Date().toISOString(), level: 'info', tag: 'Info', text: `late ${n}` })) });
    await console.see('.newest', /2,000 lines wait/);
    assert.equal(await lines(console).filter({ hasText: 'late' }).count(), 0);
    await console.page.getByRole('button', { name: 'Go on' }).click();
    await console.see('.log li:last-child', 'late 1999');
    assert.equal(await lines(console).count(), 2000);
  }, log);
});

describe('languages, colours, access', TOGETHER, () => {
  check('the browser\'s language, another by choice, remembered', async console => {
    await console.see('nav', '画面墙');
    assert.equal(await console.page.locator('html').getAttribute('lang'), 'zh');
    await console.page.getByRole('button', { name: '设置' }).click();
    await console.page.getByLabel('语言').selectOption('en');
    await console.see('nav', 'Recordings');
    await console.page.reload();
    await console.see('nav', 'Recordings');
    await console.waitLive('bench-left');
  }, { page: { locale: 'zh-CN' } });

  check('light as the system, dark by choice, remembered', async console => {
    const theme = () => console.page.locator('html').getAttribute('data-theme');
    assert.equal(await theme(), 'light');
    await console.page.getByRole('button', { name: 'Settings' }).click();
    await console.page.getByLabel('Colours').selectOption('dark');
    assert.equal(await theme(), 'dark');
    await console.page.reload();
    assert.equal(await theme(), 'dark');
  }, { page: { colorScheme: 'light' } });

  check('works where nothing can be stored', async console => {
    await console.waitLive('bench-left');
    await console.page.getByRole('button', { name: 'Start all' }).click();
    await console.see('.notice', 'Sent to 8 cameras');
  }, { page: { script: () => Object.defineProperty(window, 'localStorage',
    { get() { throw new Error('forbidden'); } }) } });

  check('nothing is wider than the window, and fingers find what they need', async (console, hub, device) => {
    for (const hash of ['', '#/camera/bench-left', '#/recordings',
      `#/recordings/${encodeURIComponent(hub.recordings[4].id)}`, '#/log']) {
      await console.page.goto(`${hub.url}/${hash}`);
      await console.page.locator('main .view').waitFor();
      await console.page.waitForTimeout(300);
      const wide = await console.page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll('main, .view, #bar, #dock')]
        .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.className || box.id || box.tagName));
      assert.deepEqual(wide, [], `${hash} scrolls sideways`);
      const small = device === 'desk' ? [] : await console.page.evaluate(() =>
        [...document.querySelectorAll('button, select, input, .pick')]
        .filter(box => box.checkVisibility() && !box.closest('.pick input, .timebar, .pick > *'))
        .map(box => ({ box: box.getBoundingClientRect(), name: box.outerHTML.slice(0, 120) }))
        .filter(({ box }) => box.height < 43.5 && box.height > 0).map(({ name }) => name));
      assert.deepEqual(small, [], `${hash} has targets that are too small`);
    }
  });

  check('every control has a name', async (console, hub) => {
    for (const hash of ['', '#/camera/bench-left', '#/recordings',
      `#/recordings/${encodeURIComponent(hub.recordings[4].id)}`, '#/log']) {
      await console.page.goto(`${hub.url}/${hash}`);
      await console.page.locator('main .view').waitFor();
      await console.page.waitForTimeout(300);
      const nameless = await console.page.evaluate(() =>
        [...document.querySelectorAll('button, a, select, input, textarea, [role=toolbar]')]
        .filter(control => !(control.getAttribute('aria-label') || control.textContent.trim()
          || control.labels?.[0]?.textContent.trim()))
        .map(control => control.outerHTML));
      assert.deepEqual(nameless, []);
      assert.equal(await console.page.locator('h1').count(), 1);
    }
  }, { devices: ['desk'] });

  test('contrast is AA in both themes', () => {
    const css = readFileSync(path.join(WEB, 'style.css'), 'utf8');
    const channel = value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const light = hex => {
      const full = hex.length === 4 ? [...hex.slice(1)].map(digit => digit + digit).join('') : hex.slice(1);
      const [red, green, blue] = [0, 2, 4].map(at => channel(parseInt(full.slice(at, at + 2), 16) / 255));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    for (const theme of [/:root \{([^}]*)\}/, /:root\[data-theme=light\] \{([^}]*)\}/]) {
      const colours = Object.fromEntries([...theme.exec(css)[1].matchAll(/--([\w-]+): (#\w+)/g)]
        .map(([, name, hex]) => [name, hex]));
      for (const front of ['text', 'quiet', 'accent', 'recording', 'warning', 'good', 'bad'])
        for (const back of ['back', 'panel', 'raised'])
          assert.ok(ratio(colours[front], colours[back]) >= 4.5,
            `${front} on ${back}: ${ratio(colours[front], colours[back]).toFixed(2)}`);
      assert.ok(ratio(colours['on-accent'], colours.accent) >= 4.5);
      for (const back of ['back', 'panel', 'raised'])
        assert.ok(ratio(colours.edge, colours[back]) >= 3,
          `edge on ${back}: ${ratio(colours.edge, colours[back]).toFixed(2)}`);
    }
  });

  test('every word is in both languages, used, and in no other file', async () => {
    const { words } = await import(path.join(WEB, 'words.js')),
      sources = readdirSync(WEB).filter(name => /\.js$/.test(name) && name !== 'words.js');
    assert.deepEqual(Object.keys(words.zh).sort(), Object.keys(words.en).sort());
    const code = sources.map(name => readFileSync(path.join(WEB, name), 'utf8')).join('\n');
    for (const [, key] of code.matchAll(/\bt\('([\w.]+)'/g))
      assert.ok(key in words.en, `no words for ${key}`);
    const families = [...code.matchAll(/\bt\(`([\w.]+)\$/g)].map(([, start]) => start);
    for (const key of Object.keys(words.en)) {
      assert.ok(code.includes(`'${key}'`) || families.some(start => key.startsWith(start)), `${key} is not used`);
      const holes = text => [...String(text).matchAll(/\{\w+\}/g)].map(([hole]) => hole).sort()
        .filter((hole, n, all) => hole !== all[n - 1]);
      assert.deepEqual(holes(words.zh[key]), holes(words.en[key]), key);
    }
  });
});
