// The console page and cameras that the hub pulls in (sources), their sound, and outputs, against the mock hub.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Console, DEVICES, openBrowser, sizesFor } from './console_page.js';
import { until } from './hub.js';
import { HOSTILE, LONG_URL, makeCamera, makeOutput, makeSource, makeSources } from './mock_data.js';
import { MockHub } from './mock_hub.js';

const TOGETHER = { concurrency: 2 };
let browser;

before(async () => { browser = await openBrowser(); });
after(() => browser?.close());

function check(name, use, { cameras = makeSources, page: pageOptions, devices = ['desk'], wakes = false } = {}) {
  for (const device of sizesFor(devices))
    test(`${name} (${device})`, async () => {
      const hub = await new MockHub({ cameras: cameras(), recordings: 0 }).start();
      hub.wakes = wakes;
      try {
        const console = await Console.open(browser, hub, device, pageOptions);
        await use(console, hub, device);
        await console.close();
      } finally {
        await hub.stop();
      }
    });
}

const note = (console, name) => console.tile(name).locator('.note');
const audioBytes = console => console.page.evaluate(() =>
  document.querySelector('video').webkitAudioDecodedByteCount);

describe('sources on the wall', TOGETHER, () => {
  check('each state is a word, a shape and words over the picture', async console => {
    for (const [name, word, shape, words] of [['a-stopped', 'On demand', 'ready', /^Starting …$/],
      ['b-starting', 'Starting …', 'connected', /^Starting …$/],
      ['f-stopping', 'Stopping …', 'connected', /^Stopping …$/],
      ['g-waiting', /^Tries again (in \d s|now …)$/, 'again', /^Tries again .*Connection refused/s],
      ['h-given-up', 'Given up', 'lost', /^Given up.*Connection refused.*Try again$/s],
      ['i-ended', 'Ended', 'stop', /^Ended\s+Try again$/]]) {
      await console.tile(name).scrollIntoViewIfNeeded();
      const state = console.tile(name).locator('.state');
      assert.match(await state.innerText(), word instanceof RegExp ? word : new RegExp(`^${word}$`), name);
      assert.equal(await state.locator('use').getAttribute('href'), `#${shape}`);
      await until(`words over ${name}`, async () => words.test(await note(console, name).innerText()));
      assert.equal(await console.tile(name).locator('.picture').getAttribute('data-live'), 'false');
    }
    for (const [name, word] of [['c-running', 'Live'], ['d-recording', 'Recording'],
      ['e-lingering', 'Live, not needed']]) {
      assert.equal(await console.tile(name).locator('.state').innerText(), word);
      await console.tile(name).scrollIntoViewIfNeeded();
      await console.waitLive(name);
    }
    await console.see('.cell[data-level=bad]', /^8 of 10\s*alive, 2 fail$/);
  }, { devices: Object.keys(DEVICES) });

  check('the time to the next attempt counts down; nothing is lost, dismissed or owned', async (console, hub) => {
    const word = () => console.tile('g-waiting').locator('.state').innerText();
    const seconds = async () => Number((await word()).match(/\d+/)?.[0]);
    await console.tile('g-waiting').waitFor();
    const first = await seconds();
    await until('it counts down', async () => await seconds() < first);
    await until('it is tried', async () => /now/.test(await word()));
    hub.setCamera('g-waiting', { source: { ...hub.cameras.get('g-waiting').source, state: 'starting', retry: null } });
    await console.see('.tile[data-name=g-waiting] .state', 'Starting …');
    assert.equal(await console.page.getByRole('button', { name: /^Dismiss/ }).count(), 0);
    assert.equal(await console.page.locator('img[onerror]').count(), 0);
    assert.match(await console.page.title(), /camhub$/);
  });

  check('who looks at the wall watches: that starts it', async (console, hub) => {
    await console.see('.tile[data-name=door] .state', 'Live');
    await console.waitLive('door');
    assert.deepEqual(hub.requests.filter(({ method }) => method === 'LIVE').map(({ path }) => path), ['door']);
  }, { cameras: () => [makeSource('door', 'stopped', Date.now())], wakes: true });

  check('Try again: a new viewer', async (console, hub) => {
    await note(console, 'door').getByRole('button', { name: 'Try again' }).waitFor();
    const before = hub.requests.filter(({ method }) => method === 'LIVE').length;
    hub.wakes = true;
    await note(console, 'door').getByRole('button', { name: 'Try again' }).click();
    await console.waitLive('door');
    assert.ok(hub.requests.filter(({ method }) => method === 'LIVE').length > before); // the page's own may come late
    await until('one viewer', () => hub.viewers.size === 1);
    assert.match(console.page.url(), /\/$|#\/$/, 'the button is not the tile');
  }, { cameras: () => [makeSource('door', 'given_up', Date.now(), {}, { error: HOSTILE })],
    devices: Object.keys(DEVICES) });

  check('a source that is given up is left alone until somebody new comes', async (console, hub) => {
    const source = change => ({ source: { ...hub.cameras.get('door').source, since: new Date().toISOString(),
      ...change } });
    await console.waitLive('door');
    hub.setCamera('door', { state: 'ready', ...source({ state: 'given_up', error: 'gone' }) });
    await until('nobody watches', () => hub.viewers.size === 0);
    await console.see('.tile[data-name=door] .note', 'gone');
    hub.setCamera('door', { outputs: [] });
    await new Promise(resolve => setTimeout(resolve, 1000));
    assert.equal(hub.viewers.size, 0);
    hub.setCamera('door', { state: 'capturing', ...source({ state: 'running', error: null }) });
    await console.waitLive('door');
  }, { cameras: () => [makeSource('door', 'running', Date.now())] });

  check('a small sign for outputs, red with a word if one fails', async (console, hub) => {
    const sign = name => console.tile(name).locator('.sign');
    assert.equal(await sign('c-running').innerText(), '1');
    assert.equal(await sign('d-recording').innerText(), 'Output fails');
    assert.equal(await sign('d-recording').getAttribute('data-level'), 'bad');
    assert.equal(await sign('a-stopped').isVisible(), false);
    hub.setCamera('d-recording', { outputs: [makeOutput('stream', 'running', Date.now())] });
    await until('it is well again', async () => await sign('d-recording').innerText() === '1');
  });

  check('recording, in words that fit', async (console, hub) => {
    await console.page.getByLabel('Select c-running').check();
    const selection = console.page.locator('.selection');
    await selection.getByRole('button', { name: 'Record', exact: true }).click();
    const sent = await until('the command', () => hub.requests.find(({ path }) => path === '/api/v1/commands'));
    assert.deepEqual(sent.body, { command: 'start', cameras: ['c-running'] });
    await console.see('.tile[data-name=c-running] .state', 'Recording');
    await selection.getByRole('button', { name: 'Stop recording' }).waitFor();
    await console.page.getByLabel('Select phone').check();
    await selection.getByRole('button', { name: 'Start', exact: true }).waitFor();
  }, { cameras: () => [...makeSources(), makeCamera('phone', 'ready', Date.now())] });
});

describe('a source, large', TOGETHER, () => {
  const at = (name, more) => ({ page: { hash: `#/camera/${name}` }, ...more });

  check('its figures, its outputs, the last words of ffmpeg', async (console, hub) => {
    const facts = await (await console.see('.of-source', 'start at once, with 12 pictures'),
      console.text('.of-source .facts'));
    for (const words of ['rtsp://door.example/stream', '13,250: 4,250 pictures, 9,000 sound', 'copied', 'encoded anew',
      '4711'])
      assert.ok(facts.includes(words), `${words} in ${facts}`);
    const [one, other] = await console.texts('.outputs li');
    assert.match(one, /^stream\s+Sending/);
    assert.match(other, /^backup\s+Tries again/);
    for (const words of [LONG_URL, HOSTILE, '4 restarts', '120 left out'])
      assert.ok(other.includes(words), words);
    await console.see('.said', HOSTILE);
    const asked = () => hub.requests.filter(({ path }) => path === '/api/v1/cameras/d-recording').length;
    const before = asked();
    await until('it asks again', () => asked() > before);
    assert.deepEqual(await console.page.evaluate(() => [document.querySelector('main .view')].filter(box =>
      box.scrollWidth > box.clientWidth + 1).length), 0);
    await console.page.getByRole('button', { name: 'Stop recording' }).waitFor();
    assert.equal(await console.page.getByLabel('Bitrate').count(), 0, 'it is no phone');
    await console.page.goto(`${hub.url}/#/`);
    const end = asked();
    await new Promise(resolve => setTimeout(resolve, 2500));
    assert.equal(asked(), end, 'nobody looks, nobody asks');
  }, at('d-recording', { devices: Object.keys(DEVICES) }));

  check('why there is no picture, with the last lines', async (console, hub, device) => {
    await console.see('.note .why-not', HOSTILE);
    if (device === 'desk')
      await console.see('.note .last', HOSTILE);
    await console.page.locator('.note').getByRole('button', { name: 'Try again' }).waitFor();
    hub.wakes = true;
    await console.page.locator('.note').getByRole('button', { name: 'Try again' }).click();
    await console.waitLive('');
    await console.see('.head .state', 'Live');
    if (device === 'phone') {
      const { height } = await console.page.locator('.sound').boundingBox();
      assert.ok(height >= 43.5, `${height}`);
    }
  }, at('h-given-up', { devices: Object.keys(DEVICES) }));

  check('sound: off at first, on by button or key, off again, remembered', async (console, hub) => {
    await console.waitLive('');
    await console.see('.sound', 'Sound off');
    assert.equal(await console.page.evaluate(() => document.querySelector('video').muted), true);
    assert.equal(await audioBytes(console), 0, 'a picture without sound does not even decode it');
    await console.page.locator('.sound').click();
    await console.see('.sound[aria-pressed=true]', 'Sound on');
    await until('it is heard', async () => await audioBytes(console) > 2000);
    assert.equal(await console.page.evaluate(() => document.querySelector('video').muted), false);
    await console.page.goto(`${hub.url}/#/`);
    await console.waitLive('c-running');
    assert.deepEqual(await console.page.evaluate(() => [...document.querySelectorAll('video')]
      .filter(video => !video.muted || video.webkitAudioDecodedByteCount > 0).length), 0, 'the wall is mute');
    await console.page.goto(`${hub.url}/#/camera/c-running`);
    await console.see('.sound', 'Sound on');
    await until('it is heard', async () => await audioBytes(console) > 2000);
    await console.page.keyboard.press('m');
    await console.see('.sound[aria-pressed=false]', 'Sound off');
    await console.page.goto(`${hub.url}/#/camera/d-recording`);
    await console.waitLive('');
    await console.see('.sound', 'Sound off');
    await console.page.keyboard.press('m');
    await console.see('.sound', 'Sound on');
  }, at('c-running'));

  check('no button where there is no sound', async console => {
    await console.waitLive('');
    assert.equal(await console.page.locator('.sound').isVisible(), false);
    await console.page.keyboard.press('m');
    assert.equal(await console.page.evaluate(() => document.querySelector('video').muted), true);
  }, at('phone', { cameras: () => [makeCamera('phone', 'recording', Date.now())] }));

  check('in Chinese', async console => {
    await console.see('.note', '已放弃');
    await console.see('.of-source', '取自');
    await console.page.getByRole('button', { name: '停止录制' }).waitFor();
  }, at('h-given-up', { page: { hash: '#/camera/h-given-up', locale: 'zh-CN' } }));

  check('nothing is wider than the window', async (console, hub) => {
    for (const name of ['', ...makeSources().map(({ name }) => name)]) {
      await console.page.goto(`${hub.url}/#/${name && `camera/${name}`}`);
      await console.page.locator('main .view').waitFor();
      await console.page.waitForTimeout(200);
      const wide = await console.page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll('main, .view, .picture, .side')]
          .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.className));
      assert.deepEqual(wide, [], name);
    }
  }, { devices: Object.keys(DEVICES) });
});
