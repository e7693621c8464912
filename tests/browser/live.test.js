// The live players in a real browser, against a small hub that does what a test asks (live_hub.js) and against the
// real one (live_real.test.js). What is shown is read from the pixels: every picture carries its number.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LONG, until } from './hub.js';
import { Shooting } from './live_camera.js';
import { BITS, makeJpegs, makeLiveClip } from './live_clip.js';
import { FakeHub } from './live_hub.js';
import { install, LivePage, openWindows } from './live_page.js';
import { Proxy } from './live_proxy.js';
import { Tabs } from './live_tabs.js';

const COUNT = 600;
const folder = mkdtempSync(path.join(tmpdir(), 'camhub-live-'));
const wait = ms => new Promise(resolve => setTimeout(resolve, ms));
let hub, browser, clip, clips, cameras = 0;

before(async () => {
  // All of them now: making one lets nothing else happen.
  clip = makeLiveClip(folder, 'plain', { count: COUNT });
  clips = {
    bFrames: makeLiveClip(folder, 'b-frames', { count: COUNT, bFrames: 2 }),
    large: makeLiveClip(folder, 'large', { count: COUNT, width: 480, height: 360, bFrames: 1 }),
    longGop: makeLiveClip(folder, 'long', { count: COUNT, gop: 150 }),
    jpegs: makeJpegs(folder, { count: 100 }),
  };
  hub = await new FakeHub().start();
  browser = await openWindows();
});

after(async () => {
  await browser?.close();
  hub?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const address = (name, port = hub.port) => `ws://127.0.0.1:${port}/live/${name}`;

// A camera that shoots, and a page that looks; use({ camera, shooting, live, name }). `port`: of a proxy.
async function watching({ shots = clip, pace = {}, port, quiet = true }, use) {
  const name = `camera${++cameras}`, camera = hub.camera(name, shots);
  const shooting = new Shooting(shots, (frame, taken) => camera.send(frame, taken), pace);
  const live = await LivePage.open(browser, hub.base, address(name, port));
  try {
    await use({ camera, shooting, live, name });
    if (quiet)
      assert.deepEqual([await live.events('trouble'), live.errors], [[], []]);
  } finally {
    await shooting.stop();
    await live.close();
  }
}

const playing = live => until('it plays', async () => await live.state() === 'playing');

const everyPicture = (live, row = 40) => live.everyPicture(COUNT, row);

async function throughProxy(use) {
  const proxy = await new Proxy(hub.port).start();
  try {
    await use(proxy);
  } finally {
    proxy.stop();
  }
}

// s behind the newest picture.
const behind = live => until('a figure', async () => (await live.figures())?.behind);

async function near(live) {
  const end = Date.now() + 20000;
  for (let good = 0; good < 3;) {
    assert.ok(Date.now() < end, `still behind: ${JSON.stringify(await live.figures())}`);
    const before = (await live.events('figures')).length;
    await until('the next figures', async () => (await live.events('figures')).length > before);
    good = await behind(live) < 0.3 ? good + 1 : 0;
  }
}

// Most of a test is waiting for pictures, so several run at the same time, each in a window of its own.
describe('live players', { concurrency: 2 }, () => {
  test('a steady camera: at once, every picture, in order', () => watching({}, async scene => {
    await playing(scene.live);
    assert.deepEqual(await scene.live.states(), ['connecting', 'waiting', 'playing']);
    await everyPicture(scene.live);
    const figures = await until('good figures', async () => {
      const value = await scene.live.figures(), { fps, latency, behind, shown } = value;
      return fps > 20 && fps < 40 && latency > 0 && latency < 1 && behind < 0.3 && shown > 40 && value;
    });
    assert.ok(figures.behind >= 0 && figures.dropped === 0, JSON.stringify(figures));
    assert.deepEqual((await scene.live.events('size')).map(({ value }) => value), [{ width: 320, height: 240 }]);
  }));

  test('80 ms of jitter: every picture, no freeze', () => watching({ pace: { delay: () => 80 * Math.random() } },
    async scene => {
      await playing(scene.live);
      await everyPicture(scene.live, 60);
      const seen = (await scene.live.seen()).slice(-60), pauses = seen.slice(1).map(({ at }, n) => at - seen[n].at);
      assert.ok(pauses.every(pause => pause < 300), `freezes: ${pauses}`);
    }));

  test('a camera that falls from 15 to 5 and goes to 10 pictures a second', () => {
    const step = n => n % 60 < 30 ? 1000 / 15 : n % 60 < 40 ? 200 : 100;
    return watching({ pace: { step } }, async scene => {
      await playing(scene.live);
      // Where the pace quickens, Chromium leaves a picture out now and then. A row of 40 has at least one change in it.
      await everyPicture(scene.live, 40);
      assert.deepEqual(await scene.live.states(), ['connecting', 'waiting', 'playing']);
    });
  });

  test('one picture a second', () => watching({ pace: { step: () => 1000 } }, async scene => {
    await playing(scene.live);
    await everyPicture(scene.live, 3);
  }));

  test('B-frames, with jitter too', async () => {
    await watching({ shots: clips.bFrames, pace: { delay: n => n > 150 ? 60 * Math.random() : 0 } }, async scene => {
      await playing(scene.live);
      await everyPicture(scene.live);
      await until('jitter', () => scene.shooting.sent.length > 150);
      await everyPicture(scene.live);
    });
  });

  test('after a pause of the network it is near the newest picture again', () => throughProxy(async proxy => {
    await watching({ port: proxy.port }, async scene => {
      await playing(scene.live);
      for (const pause of [600, 1500, 4000]) {
        proxy.pause();
        await wait(pause);
        proxy.resume();
        await near(scene.live);
        await everyPicture(scene.live, 15);
      }
    });
  }));

  test('a lost connection comes back by itself, without a new beginning', () => throughProxy(async proxy => {
    await watching({ port: proxy.port, quiet: false }, async scene => {
      await playing(scene.live);
      proxy.cut();
      await until('lost', async () => (await scene.live.states()).includes('connecting', 1));
      await playing(scene.live);
      const source = await scene.live.page.evaluate(() => window.live.media.src);
      await wait(500); // the newest GOP came once more, and Chromium may tell of its pictures again
      await everyPicture(scene.live, 15);
      assert.equal(await scene.live.page.evaluate(() => window.live.media.src), source);
      assert.deepEqual(await scene.live.events('trouble'), []);
      assert.equal(scene.camera.viewers.size, 1);

      proxy.stop(); // now for longer
      await wait(1500);
      assert.equal(await scene.live.state(), 'connecting');
      proxy.server.listen(proxy.port, '127.0.0.1');
      await playing(scene.live);
      await everyPicture(scene.live, 15);
    });
  }));

  test('a connection that died without a word is replaced', () => throughProxy(async proxy => {
    await watching({ port: proxy.port, quiet: false }, async scene => {
      await playing(scene.live);
      proxy.silence();
      await until('stalled', async () => await scene.live.state() === 'stalled');
      await until('it plays again', async () => await scene.live.state() === 'playing', 40);
      await everyPicture(scene.live, 15);
      assert.deepEqual(await scene.live.states(), ['connecting', 'waiting', 'playing', 'stalled', 'playing']);
    });
  }));

  test('a camera that stops is stalled, also over a new connection, until it goes on', () => watching({ quiet: false },
    async scene => {
      await playing(scene.live);
      scene.shooting.paused = true;
      await until('stalled', async () => await scene.live.state() === 'stalled');
      scene.camera.cut();
      await until('connected anew', async () => scene.camera.connections === 2);
      await wait(3000);
      assert.deepEqual(await scene.live.states(),
        ['connecting', 'waiting', 'playing', 'stalled', 'connecting', 'waiting']);
      scene.shooting.paused = false;
      await playing(scene.live);
      await everyPicture(scene.live, 15);
    }));

  test('other parameters: resolution and profile', async () => {
    const { large } = clips;
    assert.notEqual(large.sps[1], clip.sps[1], 'another profile');
    await watching({}, async ({ camera, shooting, live }) => {
      await playing(live);
      for (const [shots, width] of [[large, 480], [clip, 320]]) {
        await shooting.stop();
        camera.setClip(shots);
        shooting = new Shooting(shots, (frame, taken) => camera.send(frame, taken));
        await until('the size', async () => (await live.events('size')).at(-1)?.value.width === width);
        await everyPicture(live, 15);
      }
      await shooting.stop();
    });
  });

  test('pictures that the hub left out are counted and passed over', () => watching({}, async scene => {
    await playing(scene.live);
    scene.camera.drop();
    await until('they are told', async () => (await scene.live.figures())?.dropped > 0);
    await everyPicture(scene.live, 15);
    await near(scene.live);
  }));

  test('holes in the timeline, with and without a key frame behind them', async () => {
    const step = n => n === 80 ? 3500 : 1000 / 30;
    await watching({ shots: clips.longGop, pace: { step } }, async scene => {
      await playing(scene.live);
      const { shooting } = scene, passOn = shooting.send;
      await until('the pause', () => shooting.sent.length === 81);
      await until('stalled', async () => await scene.live.state() === 'stalled');
      await scene.live.seen();
      await until('its end', () => shooting.sent.length > 81);
      await until('pictures after it', async () => await scene.live.longestRow(COUNT, { low: 81, high: 150 }) >= 15, 10);
      assert.equal(await scene.live.state(), 'playing');
      let away = 0;
      shooting.send = (frame, taken) => {
        if (frame.key)
          away = 30000; // as if the camera's clock were set forward
        passOn(frame, taken + away);
      };
      await until('a place behind the next key frame', () => away > 0);
      await everyPicture(scene.live, 15);
    });
  });

  test('a hub that was started anew: the timeline begins again', () => watching({ quiet: false }, async scene => {
    await playing(scene.live);
    await wait(2000);
    scene.camera.restart();
    scene.camera.cut();
    await until('connected anew', async () => scene.camera.connections === 2);
    await playing(scene.live);
    await everyPicture(scene.live, 15);
  }));

  test('a stream that cannot be decoded, or is no stream at all: it begins anew', () => watching({ quiet: false },
    async scene => {
      await playing(scene.live);
      const damaged = clip.frames.find(({ key }) => key).nals.map(nal => Buffer.from(nal).fill(0x55, 1));
      scene.camera.send({ key: false, number: 0, nals: damaged.slice(-1) });
      await until('the decoder gave up', async () => (await scene.live.events('trouble')).length > 0);
      await playing(scene.live);
      await until('it is over', () => scene.shooting.sent.length % 30 === 29); // the damage is in no new GOP
      await everyPicture(scene.live, 15);

      const before = (await scene.live.events('trouble')).length;
      scene.camera.say(Buffer.from('000000ff6d6f6f66000000ff', 'hex'));
      await until('noticed', async () => (await scene.live.events('trouble')).length > before);
      await playing(scene.live);
      await everyPicture(scene.live, 15);
    }));

  test('a full buffer is emptied', () => watching({}, async scene => {
    await playing(scene.live);
    await scene.live.page.evaluate(() => {
      const append = SourceBuffer.prototype.appendBuffer;
      window.full = 20; // appends of pictures that fail, unless the buffer is empty
      SourceBuffer.prototype.appendBuffer = function (data) {
        if (window.full > 0 && this.buffered.length > 0) {
          window.full--;
          throw new DOMException('full', 'QuotaExceededError');
        }
        window.full = 0;
        return append.call(this, data);
      };
    });
    await until('it was emptied', () => scene.live.page.evaluate(() => window.full === 0));
    await until('a key frame is next', () => scene.shooting.sent.length % 30 === 29);
    await playing(scene.live);
    await everyPicture(scene.live, 15);
  }));

  test('what was shown does not pile up', LONG, () => watching({}, async scene => {
    await playing(scene.live);
    for (let n = 0; n < 3; n++) {
      await wait(5000);
      const span = await scene.live.page.evaluate(() => {
        const { buffered, currentTime } = window.live.media;
        return currentTime - buffered.start(0);
      });
      assert.ok(span < 12, `${span} s are held`);
    }
  }));

  test('stop releases everything, and it can be started as often as wanted', () => watching({ quiet: false },
    async scene => {
      await scene.live.page.evaluate(() => {
        window.addresses = 0;
        const { createObjectURL, revokeObjectURL } = URL;
        URL.createObjectURL = object => { window.addresses++; return createObjectURL.call(URL, object); };
        URL.revokeObjectURL = address => { window.addresses--; revokeObjectURL.call(URL, address); };
      });
      await playing(scene.live);
      await scene.live.call('stop');
      await until('the hub has no viewer', () => scene.camera.viewers.size === 0);
      await scene.live.page.evaluate(() => { window.addresses = 0; });
      for (let n = 0; n < 30; n++) {
        await scene.live.call('start');
        await scene.live.call('start');
        await wait(n * 10);
        await scene.live.call('stop');
        await scene.live.call('stop');
      }
      await until('the hub has no viewer', () => scene.camera.viewers.size === 0);
      const events = (await scene.live.page.evaluate(() => window.live.events.length));
      await wait(1500);
      assert.equal(await scene.live.page.evaluate(() => window.live.events.length), events, 'silence after stop');
      assert.deepEqual(await scene.live.page.evaluate(() => [window.addresses, window.live.media.currentSrc === '' ||
        window.live.media.networkState === HTMLMediaElement.NETWORK_EMPTY]), [0, true]);
      await scene.live.call('start');
      await playing(scene.live);
      await everyPicture(scene.live, 15);
      assert.deepEqual([await scene.live.events('trouble'), scene.camera.viewers.size], [[], 1]);
    }));

  test('no such camera: refused, until there is one; no picture yet: waiting', async () => {
    const name = `camera${++cameras}`, live = await LivePage.open(browser, hub.base, address(name));
    await until('refused', async () => await live.state() === 'closed');
    assert.deepEqual((await live.events('state')).at(-1).detail, { code: 1008, reason: `no camera ${name}` });
    const camera = hub.camera(name, clip);
    await until('connected', async () => await live.state() === 'waiting', 30);
    const shooting = new Shooting(clip, (frame, taken) => camera.send(frame, taken));
    await playing(live);
    await everyPicture(live, 15);
    await shooting.stop();
    await live.close();
  });

  test('a hidden tab: bounded while nobody looks, near the newest picture when somebody does', async () => {
    const name = `camera${++cameras}`, camera = hub.camera(name, clip);
    const shooting = new Shooting(clip, (frame, taken) => camera.send(frame, taken));
    const tabs = await new Tabs().open();
    try {
      const tab = await tabs.tab(`${hub.url}/`), evaluate = expression => tab.evaluate(expression);
      await until('the page', () => evaluate('location.pathname === "/" && document.readyState === "complete"'));
      const options = { module: `${hub.url}/player.js`, kind: 'LivePlayer', url: address(name), BITS };
      await evaluate(`(${install})(${JSON.stringify(options)})`);
      const state = () => evaluate('live.events.findLast(event => event.name === "state").value');
      await until('it plays', async () => await state() === 'playing');
      const other = await tabs.tab('about:blank');
      await other.front();
      await until('hidden', () => evaluate('document.hidden'));
      await wait(12000);
      assert.equal(await state(), 'playing', 'pictures come: not stalled');
      const begin = await evaluate('live.media.buffered.start(0)'), first = shooting.sent[0].taken;
      const span = (shooting.sent.at(-1).taken - first) / 1000 + 1 - begin; // the fake hub's timelines begin at 1 s
      assert.ok(span < 12, `${span} s are held`);
      await evaluate('live.seen.splice(0), 0');
      await tab.front();
      await until('visible', () => evaluate('!document.hidden'));
      await until('near the newest picture', async () => {
        const seen = await evaluate('live.seen.at(-1)?.number'), sent = shooting.sent.at(-1).number;
        return seen !== undefined && (sent - seen + COUNT) % COUNT <= 9;
      });
      assert.equal(await evaluate('live.events.some(event => event.name === "trouble")'), false);
    } finally {
      await tabs.close();
      await shooting.stop();
    }
  });

  test('JPEG pictures: the newest is shown, overtaken ones are counted', async () => {
    const pictures = clips.jpegs, name = `camera${++cameras}`;
    const camera = hub.camera(name, null, { format: 'mjpeg' });
    const live = await LivePage.open(browser, hub.base, address(name), 'JpegPlayer');
    await until('connected', async () => await live.state() === 'waiting');
    const shown = () => live.page.evaluate(() => window.live.look());
    for (const number of [1, 2, 99, 5]) {
      camera.sendJpeg(pictures[number]);
      await until(`picture ${number}`, async () => await shown() === number);
    }
    assert.equal(await live.state(), 'playing');
    assert.deepEqual((await live.events('size')).map(({ value }) => value), [{ width: 320, height: 240 }]);
    camera.sendJpeg(Buffer.from('no picture'));
    for (const picture of pictures)
      camera.sendJpeg(picture);
    camera.say({ type: 'drop', frames: 7 });
    await until('the last', async () => await shown() === 99);
    await until('counted', async () => {
      const { shown, skipped, dropped, latency } = await live.figures() ?? {};
      return shown + skipped === 105 && skipped > 0 && dropped === 7 && latency === null;
    });
    await until('stalled', async () => await live.state() === 'stalled');
    camera.cut();
    await until('connected anew', () => camera.connections === 2);
    camera.sendJpeg(pictures[42]);
    await until('picture 42', async () => await shown() === 42);
    await live.call('stop');
    await until('the hub has no viewer', () => camera.viewers.size === 0);
    await live.close();
  });
});
