// Streams with sound: the boxes, the silence, the track without holes, and the player in a browser, against a small hub
// that sends a real stream (sound_clip.js) as well or as badly as a test asks.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readFragments, readTracks, repeatFragment, silentFrame, withoutTrack } from '../../web/boxes.js';
import { SoundTrack } from '../../web/sound_track.js';
import { LONG, until } from './hub.js';
import { BITS } from './live_clip.js';
import { FakeHub } from './live_hub.js';
import { install, LivePage, openWindows } from './live_page.js';
import { Tabs } from './live_tabs.js';
import { BEEP_S, makeSoundClip, SoundCamera } from './sound_clip.js';

const folder = mkdtempSync(path.join(tmpdir(), 'camhub-sound-'));
const wait = ms => new Promise(resolve => setTimeout(resolve, ms));
const exact = buffer => buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.length);
let clips, hub, browser, cameras = 0;

before(async () => {
  clips = { mono: makeSoundClip(folder, 'mono'),
    stereo: makeSoundClip(folder, 'stereo', { seconds: 4, rate: 48000, channels: 2 }),
    round: makeSoundClip(folder, 'round', { seconds: 4, rate: 48000, channels: 6 }) };
  hub = await new FakeHub().start();
  browser = await openWindows();
});

after(async () => {
  await browser?.close();
  hub?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function probe(...args) {
  return execFileSync('ffprobe', ['-v', 'error', '-of', 'csv=p=0', ...args], { encoding: 'utf8' }).trim();
}

describe('boxes', () => {
  test('the tracks of an init segment, and one without its sound', () => {
    for (const { init, audio } of Object.values(clips)) {
      const { video, sound } = readTracks(exact(init));
      assert.deepEqual([video.id, video.timescale, sound.id, sound.timescale], [1, 90000, 2, audio.rate]);
      const silent = withoutTrack(exact(init), sound.id), file = path.join(folder, 'silent.mp4');
      assert.deepEqual(readTracks(silent), { video, sound: null });
      assert.ok(silent.byteLength < init.length);
      writeFileSync(file, Buffer.from(silent));
      assert.equal(probe('-show_entries', 'stream=codec_type', file), 'video');
      assert.throws(() => readTracks(exact(init.subarray(0, init.length - 9))), RangeError);
    }
  });

  test('fragments: track, samples, times moved and durations promised', () => {
    const { messages, audio } = clips.mono, sound = messages.filter(message => message.sound);
    for (const message of messages.slice(0, 200)) {
      const [fragment, ...more] = readFragments(exact(message.data)), [sample] = fragment.samples;
      assert.equal(more.length, 0);
      assert.equal(fragment.track, message.sound ? 2 : 1);
      assert.equal(sample.dts / (message.sound ? audio.rate : 90000), message.time);
      assert.ok(message.sound ? sample.duration === 1024 : sample.duration > 0);
      assert.equal(sample.key, message.sound || message.key);
      fragment.setTime(123456789012);
      assert.equal(readFragments(fragment.data)[0].samples[0].dts, 123456789012);
    }
    const both = Buffer.concat([messages[0].data, sound[5].data, messages[1].data]);
    const found = readFragments(exact(both));
    assert.deepEqual(found.map(({ data }) => data.byteLength),
      [messages[0], sound[5], messages[1]].map(one => one.data.length));
    assert.throws(() => readFragments(exact(both.subarray(0, both.length - 1))), RangeError);
    assert.deepEqual(readFragments(new ArrayBuffer(0)), []);
  });

  test('silence is an AAC frame that decodes to nothing', () => {
    for (const { init, audio } of Object.values(clips)) {
      const file = path.join(folder, 'silence.mp4'), { id } = readTracks(exact(init)).sound;
      const sample = silentFrame(audio.channels);
      const quiet = repeatFragment({ track: id, time: 0, duration: 1024, count: 50, sample });
      writeFileSync(file, Buffer.concat([init, Buffer.from(quiet)]));
      assert.equal(probe('-select_streams', 'a', '-count_frames', '-show_entries', 'stream=channels,nb_read_frames',
        file), `${audio.channels},50`);
      const pcm = execFileSync(process.env.FFMPEG_BIN || 'ffmpeg', ['-v', 'error', '-xerror', '-i', file, '-map', '0:a',
        '-f', 's16le', '-']);
      assert.equal(pcm.length, 50 * 1024 * 2 * audio.channels);
      assert.ok(pcm.every(byte => byte === 0));
    }
    assert.equal(silentFrame(7), null);
  });
});

describe('a track without holes', () => {
  const frame = (dts, duration = 1024) => ({ samples: [{ dts, duration }], data: { dts },
    setTime(ticks) { this.data.at = ticks; } });
  const ends = data => data instanceof ArrayBuffer ? readFragments(data)[0].samples.at(-1) : null;
  const make = () => new SoundTrack({ id: 2, timescale: 44100, offset: 0 }, 1, 0);

  test('whatever comes, all that goes on follows on', () => {
    const track = make();
    let seed = 1, time = 0, end = 0, left = 0, silent = 0;
    const random = () => (seed = seed * 48271 % 2147483647) / 2147483647;
    for (let n = 0; n < 3000; n++) {
      const luck = random();
      time += luck < 0.02 ? Math.round(random() * 200000) : luck < 0.04 ? 300 : luck < 0.06 ? -700 : 0;
      time = Math.max(0, time);
      if (random() < 0.02)
        silent += track.fillTo(end / 44100 + random()).reduce((sum, data) => {
          const { samples } = readFragments(data)[0];
          assert.equal(samples[0].dts, end);
          end = samples.at(-1).dts + 1024;
          return sum + samples.length;
        }, 0);
      const parts = track.take(frame(time));
      left += parts.length === 0;
      for (const part of parts) {
        assert.equal(part instanceof ArrayBuffer ? readFragments(part)[0].samples[0].dts : part.at, end);
        end = part instanceof ArrayBuffer ? ends(part).dts + 1024 : end + 1024;
      }
      if (parts.length)
        assert.ok(Math.abs(parts.at(-1).at - time) <= 512, `moved by ${parts.at(-1).at - time}`);
      time += 1024;
    }
    assert.ok(left > 0 && silent > 0 && left < 1500, `${left} left out, ${silent} silent`);
    assert.equal(track.end, end / 44100);
  });

  test('a hole of more than an hour is another timeline', () => {
    assert.throws(() => make().take(frame(44100 * 3700)), RangeError);
    assert.deepEqual(new SoundTrack({ id: 2, timescale: 44100, offset: 0 }, 7, 0).fillTo(3), []);
  });
});

const FREEZE_MS = 1500; // more than a busy machine may keep a picture

// In the page: what the video does, looked at every 50 ms, from now on.
function observe() {
  const { media } = window.live;
  const looks = window.looks = { longest: 0, stood: 0, back: 0, last: media.currentTime, waits: 0 };
  let since = performance.now();
  media.addEventListener('waiting', () => looks.waits++);
  setInterval(() => {
    const now = performance.now(), time = media.currentTime;
    if (time !== looks.last)
      since = now;
    looks.stood = Math.round(now - since);
    looks.longest = Math.max(looks.longest, looks.stood);
    looks.back += time < looks.last - 0.001;
    looks.last = time;
  }, 50);
}

// use({ camera, live }): a page that has been clicked, its sound on.
async function listening(options, use, { clip = clips.mono } = {}) {
  const name = `source${++cameras}`, camera = new SoundCamera(clip, options);
  hub.cameras.set(name, camera);
  const live = await LivePage.open(browser, hub.base, `ws://127.0.0.1:${hub.port}/live/${name}`);
  try {
    await until('it plays', async () => await live.state() === 'playing');
    assert.deepEqual((await live.events('sound')).map(({ value }) => value), ['off']);
    assert.deepEqual(await live.page.evaluate(() => [live.media.muted, live.media.webkitAudioDecodedByteCount]),
      [true, 0]);
    await live.page.mouse.click(10, 10);
    await live.page.evaluate(() => { live.player.sound = true; });
    await use({ camera, live });
    assert.deepEqual(live.errors, []);
  } finally {
    await live.close();
    camera.stop();
    hub.cameras.delete(name);
  }
}

const sound = async live => (await live.events('sound')).at(-1)?.value;
const decoded = live => live.page.evaluate(() => live.media.webkitAudioDecodedByteCount);
const moves = live => until('pictures are shown with sound', () =>
  live.page.evaluate(() => live.media.currentTime > 0 && !live.media.seeking && live.media.readyState > 2
    && live.media.webkitAudioDecodedByteCount > 0));

// The pictures go on, for so many seconds, whatever becomes of the sound.
async function goesOn(live, seconds) {
  await moves(live);
  await wait(1000);
  await live.page.evaluate(observe);
  const earlier = (await live.states()).length; // a connection that was lost may have been noticed
  const begin = await live.page.evaluate(() => live.media.currentTime);
  await wait(seconds * 1000);
  const looks = await live.page.evaluate(() => ({ ...window.looks, now: live.media.currentTime }));
  const figures = await live.figures();
  assert.ok(looks.now - begin > seconds / 2, `${looks.now - begin} s in ${seconds}`);
  assert.ok(looks.longest < FREEZE_MS, `stood still for ${looks.longest} ms`);
  assert.equal(looks.back, 0);
  assert.ok(!(await live.states()).slice(earlier).includes('stalled'));
  assert.deepEqual(await live.events('trouble'), []);
  return { ...looks, ...figures };
}

describe('the player, with sound', { concurrency: 2 }, () => {
  test('a steady source: smooth, near, heard', () => listening({}, async ({ live, camera }) => {
    const { behind, waits } = await goesOn(live, 6);
    assert.equal(await sound(live), 'on');
    assert.ok(behind < 2, `${behind} s behind, ${waits} waits`);
    const before = await decoded(live);
    await until('more is decoded', async () => await decoded(live) > before + 2000);
    assert.equal(camera.connections, 2);
    await live.page.evaluate(() => { live.player.sound = false; });
    assert.deepEqual([await sound(live), await live.page.evaluate(() => live.media.muted)], ['off', true]);
    await live.page.evaluate(() => { live.player.sound = true; });
    assert.equal(await sound(live), 'on');
    assert.equal(camera.connections, 2, 'it was only muted');
  }));

  test('picture and sound are together', LONG, () => listening({}, async ({ live }) => {
    await moves(live);
    const pairs = await live.page.evaluate(async BEEP_S => {
      const { media } = live, context = new AudioContext(), flashes = [], beeps = [];
      const source = context.createMediaStreamSource(media.captureStream()), analyser = context.createAnalyser();
      analyser.fftSize = 512;
      source.connect(analyser);
      const canvas = new OffscreenCanvas(1, 1), look = canvas.getContext('2d', { willReadFrequently: true });
      const samples = new Float32Array(512);
      let white = true, loud = true;
      const onFrame = (now, { expectedDisplayTime }) => {
        media.requestVideoFrameCallback(onFrame);
        look.drawImage(media, 100, 100, 1, 1, 0, 0, 1, 1);
        const is = look.getImageData(0, 0, 1, 1).data[0] > 128;
        if (is && !white)
          flashes.push(expectedDisplayTime);
        white = is;
      };
      media.requestVideoFrameCallback(onFrame);
      const timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        const is = samples.some(value => Math.abs(value) > 0.1);
        if (is && !loud)
          beeps.push(performance.now());
        loud = is;
      }, 4);
      await new Promise(resolve => setTimeout(resolve, 8500));
      clearInterval(timer);
      return flashes.map(flash => beeps.map(beep => beep - flash)
        .sort((a, b) => Math.abs(a) - Math.abs(b))[0]).filter(offset => offset !== undefined);
    }, BEEP_S);
    const middle = pairs.sort((a, b) => a - b)[pairs.length >> 1];
    console.log(`# sound minus picture: ${pairs.map(Math.round).join(' ')} ms`);
    assert.ok(pairs.length >= 5, `${pairs.length} flashes with a beep`);
    assert.ok(Math.abs(middle) < 120, `${middle} ms apart`);
  }));

  for (const [what, options, when] of [
    ['small holes', { sound: seconds => seconds % 1.3 > 0.15 }, {}],
    ['holes of seconds', { sound: seconds => seconds % 6 < 3 }, LONG],
    ['sound that is 0.8 s late', { late: 0.8 }, LONG],
    ['sound that is too late to wait for', { late: 5 }, {}],
  ])
    test(`${what}: the pictures go on`, when, () => listening(options, ({ live }) => goesOn(live, 7)));

  test('a source that was announced with sound and has none: told, and no picture is kept', () =>
    listening({ sound: () => false }, async ({ live }) => {
      await goesOn(live, 4);
      assert.equal(await sound(live), 'silent');
    }));

  test('sound that begins later than the pictures is heard then', LONG, () =>
    listening({ sound: seconds => seconds > 9 }, async ({ live }) => {
      await until('silent', async () => await sound(live) === 'silent');
      await until('on', async () => await sound(live) === 'on');
      const before = await decoded(live);
      await until('heard', async () => await decoded(live) > before + 3000);
      await goesOn(live, 3);
    }));

  test('two channels, 48 kHz; a lost connection', () => listening({}, async ({ live, camera }) => {
    await moves(live);
    camera.cut();
    await until('lost', async () => (await live.states()).filter(state => state === 'connecting').length > 1);
    await until('it plays', async () => await live.state() === 'playing');
    await goesOn(live, 3);
    assert.equal(await sound(live), 'on');
  }, { clip: clips.stereo }));

  test('where the sound keeps the video from going on, it goes on without', () => listening({}, async ({ live }) => {
    await moves(live);
    // As if the browser took no more sound: the track's fragments are withheld from it.
    await live.page.evaluate(() => {
      const append = SourceBuffer.prototype.appendBuffer;
      SourceBuffer.prototype.appendBuffer = function (data) {
        const bytes = new Uint8Array(data), view = new DataView(bytes.buffer);
        for (let at = 0; at + 8 <= bytes.length; at += view.getUint32(at))
          if (String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === 'moof' && view.getUint32(at + 44) === 2)
            view.setUint32(at + 4, 0x66726565); // free
        return append.call(this, bytes);
      };
    });
    await until('given up', async () => await sound(live) === 'failed', 30);
    await until('the pictures go on', () => live.page.evaluate(() => live.media.currentTime > 0 &&
      live.media.webkitAudioDecodedByteCount === 0 && !live.media.seeking));
    await live.page.evaluate(observe);
    await wait(3000);
    assert.ok(await live.page.evaluate(() => window.looks.longest) < FREEZE_MS);
    assert.equal(await live.state(), 'playing');
    assert.equal(await live.page.evaluate(() => live.media.muted), true);
  }));

  test('what this browser cannot hear', async () => {
    const clip = { ...clips.mono, mime: clips.mono.mime.replace('mp4a.40.2', 'mp4a.99') };
    const name = `source${++cameras}`, camera = new SoundCamera(clip);
    hub.cameras.set(name, camera);
    const live = await LivePage.open(browser, hub.base, `ws://127.0.0.1:${hub.port}/live/${name}`);
    try {
      await until('it plays', async () => await live.state() === 'playing');
      assert.equal(await sound(live), 'unplayable');
      await live.page.evaluate(() => { live.player.sound = true; });
      await wait(1000);
      assert.deepEqual([await live.state(), await sound(live), camera.connections], ['playing', 'unplayable', 1]);
    } finally {
      await live.close();
      camera.stop();
    }
  });

  test('a browser that refuses until somebody clicks: muted, told, and the pictures go on', async () => {
    const name = `source${++cameras}`, camera = new SoundCamera(clips.mono), tabs = await new Tabs().open();
    hub.cameras.set(name, camera);
    try {
      const { evaluate } = await tabs.tab(`${hub.url}/`);
      await until('the page', () => evaluate('location.pathname === "/" && document.readyState === "complete"'));
      const options = { module: `${hub.url}/player.js`, kind: 'LivePlayer', BITS,
        url: `ws://127.0.0.1:${hub.port}/live/${name}` };
      await evaluate(`(${install})(${JSON.stringify(options)})`);
      const last = event => evaluate(`live.events.findLast(({ name }) => name === '${event}')?.value`);
      await until('it plays', async () => await last('state') === 'playing');
      await evaluate('live.player.sound = true, 0');
      await until('refused', async () => await last('sound') === 'refused');
      const moves = async () => {
        const before = await evaluate('live.media.currentTime');
        await wait(1000);
        return await evaluate('live.media.currentTime') - before > 0.5;
      };
      await until('pictures', moves);
      assert.equal(await evaluate('live.media.muted'), true);
    } finally {
      await tabs.close();
      camera.stop();
    }
  });
});
