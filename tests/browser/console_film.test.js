// Recordings on the console page against the mock hub: the list, its search and its events; the film with its single
// steps, its true times and its marks.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Console, openBrowser, sizesFor } from './console_page.js';
import { until } from './hub.js';
import { HOSTILE, makeRecording } from './mock_data.js';
import { MockHub } from './mock_hub.js';

const STEP_MS = 1000 / 15;
let browser;

before(async () => { browser = await openBrowser(); });
after(() => browser?.close());

function check(name, hash, use, devices) {
  for (const device of sizesFor(devices))
    test(`${name} (${device})`, async () => {
      const hub = await new MockHub().start();
      try {
        const console = await Console.open(browser, hub, device,
          { hash: typeof hash === 'function' ? `#/recordings/${hash(hub).id}` : hash });
        await use(console, hub, typeof hash === 'function' ? hash(hub) : null);
        await console.close();
      } finally {
        await hub.stop();
      }
    });
}

const rows = console => console.page.locator('.recording');
const withGaps = hub => hub.recordings.find(({ verdict, video }) => verdict === 'gaps' && video);

check('newest first, each with what it is, more as one scrolls', '#/recordings', async (console, hub) => {
  await console.see('.total', '1,000 recordings');
  assert.equal(await rows(console).count(), 50);
  const words = await rows(console).nth(2).innerText();
  assert.match(words, /esp-door/);
  assert.match(words, /20 s/);
  assert.match(words, /MB/);
  assert.match(words, /Gaps/);
  assert.match(words, /7 frames missing in/);
  await console.page.waitForFunction(() => document.querySelector('.thumb img')?.naturalWidth > 0);
  await rows(console).last().scrollIntoViewIfNeeded();
  await until('the next page', async () => await rows(console).count() >= 100);
  const ids = await rows(console).evaluateAll(all => all.map(row => row.dataset.id));
  assert.deepEqual(ids, hub.recordings.slice(0, ids.length).map(({ id }) => id));
});

check('search by words, camera, verdict and date', '#/recordings', async (console, hub) => {
  const asked = () => hub.requests.filter(({ path }) => path === '/api/v1/recordings').at(-1).query;
  await console.see('.total', '1,000 recordings');
  await console.page.getByLabel('Search').fill('damaged');
  await console.see('.total', 'No recording fits');
  await console.page.getByLabel('Search').fill('space');
  await console.see('.total', '125 recordings');
  await console.see('.recording', HOSTILE);
  await console.page.getByRole('button', { name: 'Clear filter' }).click();
  await console.see('.total', '1,000 recordings');
  await console.page.getByLabel('All cameras').selectOption('old-camera-that-is-gone');
  await console.see('.total', '166 recordings');
  await console.page.getByLabel('All verdicts').selectOption('complete');
  await until('the verdict is asked for', () => asked().verdict === 'complete');
  await until('only these are there', async () => (await console.texts('.verdict')).every(text => text === 'Complete'));
  await console.page.getByLabel('From').fill('2026-01-05');
  await console.page.getByLabel('To').fill('2026-01-06');
  await until('the dates are asked for', () => asked().from === '2026-01-05T00:00:00.000Z'
    && asked().to === '2026-01-07T00:00:00.000Z');
});

check('the list lives', '#/recordings', async (console, hub) => {
  await console.see('.total', '1,000 recordings');
  const fresh = { ...makeRecording(0, Date.now() + 5400000, { length: 20, frames: 300 }), id: 'fresh_1',
    camera: 'fresh', verdict: 'recording', reason: 'being recorded' };
  hub.addRecording(fresh);
  await console.see('.recording:first-child', 'fresh');
  await console.see('.total', '1,001 recordings');
  hub.changeRecording('fresh_1', { verdict: 'complete', reason: 'all 300 frames', duration: 75 });
  await console.see('.recording:first-child', /1 min 15 s[^]*Complete/);
  hub.event({ type: 'recording_deleted', id: 'fresh_1' });
  await until('it is gone', async () => !(await rows(console).first().innerText()).includes('fresh'));
  await console.see('.total', '1,000 recordings');
});

// The time shown, in ms since 1970.
async function taken(console) {
  const text = await console.text('.taken');
  const found = /^(.*) (\d\d:\d\d:\d\d\.\d{3})(?: \(.*\))?$/.exec(text);
  return found ? Date.parse(`${found[1]} ${found[2]} UTC`) : NaN;
}

const waitTaken = (console, ms) => until(`the picture of ${new Date(ms).toISOString()}, not ${ms}`,
  async () => Math.abs(await taken(console) - ms) <= 1);

check('single steps, with the true time of each picture', withGaps, async (console, hub, recording) => {
  const start = Date.parse(recording.started);
  await waitTaken(console, start);
  for (let n = 1; n <= 5; n++) {
    await console.page.keyboard.press('.');
    await waitTaken(console, start + n * STEP_MS);
  }
  await console.page.keyboard.press(',');
  await waitTaken(console, start + 4 * STEP_MS);
  await until('the film is there too', () => console.page.evaluate(step => {
    const { currentTime, seeking } = document.querySelector('video');
    return !seeking && currentTime > 4 * step && currentTime < 5 * step;
  }, STEP_MS / 1000));
  for (let n = 0; n < 30; n++)
    await console.page.keyboard.press('.');
  await waitTaken(console, start + 34 * STEP_MS);
  await console.page.getByRole('slider').focus();
  await console.page.keyboard.press('End');
  await until('the last picture', async () => await taken(console) > start + 19800);
  const asked = hub.requests.filter(({ path }) => path.endsWith('frames.idx'));
  assert.ok(asked.length && asked.every(({ range }) => /^bytes=\d+-\d+$/.test(range)), 'the index is read in pieces');
});

check('plays by space, and tells the time of what is seen', withGaps, async (console, hub, recording) => {
  const start = Date.parse(recording.started);
  await waitTaken(console, start);
  await console.page.keyboard.press(' ');
  await until('time goes on', async () => await taken(console) > start + 700);
  await console.page.keyboard.press(' ');
  await until('it stands', () => console.page.evaluate(() => document.querySelector('video').paused));
  const shown = await taken(console), position = await console.page.evaluate(() =>
    document.querySelector('video').currentTime);
  assert.ok(Math.abs(shown - start - position * 1000) < 3 * STEP_MS, `${shown - start} ms at ${position} s`);
});

check('marks of gaps and repairs, in words, by mouse and by keyboard', withGaps, async (console, hub, recording) => {
  await until('the marks', async () => await console.page.locator('.mark').count() >= 4);
  const words = await console.page.locator('.mark').evaluateAll(all => all
    .map(mark => mark.getAttribute('aria-label')));
  assert.match(words[0], /^00:00:04\.900 gap of 0\.4 s: 5 pictures missing$/);
  assert.ok(words.some(text => /time repaired by 0\.033 s/.test(text)), words.join('\n'));
  assert.ok(words.some(text => /clock jump/.test(text)), words.join('\n'));
  await console.page.locator('.mark').first().focus();
  await console.see('.mark-words', words[0]);
  await console.page.keyboard.press('ArrowRight');
  await console.see('.mark-words', words[1]);
  await console.page.keyboard.press('Enter');
  await until('the film is there',
    async () => Math.abs(await taken(console) - Date.parse(recording.started) - 9950) < 2 * STEP_MS);
  assert.equal(await console.page.locator('.gaps li').count(), 3);
});

check('several parts are one film', hub => hub.recordings[1], async (console, hub, recording) => {
  const start = Date.parse(recording.started), source = () =>
    console.page.evaluate(() => document.querySelector('video').src);
  await waitTaken(console, start);
  await console.page.getByRole('slider').evaluate(slider =>
    { slider.value = 19.95; slider.dispatchEvent(new Event('input')); });
  await waitTaken(console, start + 299 * STEP_MS);
  await console.page.keyboard.press('.');
  await waitTaken(console, start + 20000);
  await until('the second part', async () => /stream_2\.mp4$/.test(await source()));
  await console.page.keyboard.press('.');
  await waitTaken(console, start + 20000 + STEP_MS);
  await console.page.keyboard.press(',');
  await console.page.keyboard.press(',');
  await waitTaken(console, start + 299 * STEP_MS);
  await until('the first part', async () => /stream\.mp4$/.test(await source()));
  await console.page.keyboard.press(' ');
  await until('the second part plays', async () => /stream_2\.mp4$/.test(await source())
    && await taken(console) > start + 20300);
});

check('a session still running is watched from its beginning, and grows', hub => hub.recordings[0],
  async (console, hub, recording) => {
  await console.see('.taken', 'time of arrival');
  await console.page.keyboard.press(' ');
  await until('it plays', () => console.page.evaluate(() => document.querySelector('video').currentTime > 0.3));
  hub.changeRecording(recording.id, { duration: 3725 });
  await console.see('.controls', '/ 01:02:05');
  assert.ok(await console.page.getByRole('button', { name: 'Delete' }).isDisabled());
});

check('a film that is made later appears by itself', hub => hub.recordings.find(({ video }) => !video),
  async (console, hub, recording) => {
  await console.see('.stage', 'not made yet');
  hub.changeRecording(recording.id, { video: 'stream.mp4', parts: ['stream.mp4'] });
  await console.page.locator('.film video').waitFor();
}, ['desk']);

check('files to download, and the way to delete', withGaps, async (console, hub, recording) => {
  await console.see('.files', 'frames.idx');
  assert.deepEqual(await console.page.locator('.files a').evaluateAll(all => all
    .map(link => [link.pathname, link.download])),
    ['stream.mp4', 'stream.h264', 'frames.idx', 'session.json']
      .map(name => [`/recordings/${recording.id}/${name}`, `${recording.id}_${name}`]));
  await console.page.getByRole('button', { name: 'Delete' }).focus();
  await console.page.keyboard.press('Enter');
  await console.see('dialog', 'gone for good');
  await console.page.keyboard.press('Enter'); // the way back has the focus
  await console.gone('dialog');
  assert.ok(hub.recordings.includes(recording));
  await console.page.keyboard.press('Enter');
  await console.page.locator('dialog[open] .danger').click();
  await until('it is deleted', () => !hub.recordings.includes(recording));
  await console.see('.total', '999 recordings');
});
