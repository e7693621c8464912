// Live pictures of an H.264 camera in a <video>, from ws://HUB/live/NAME (docs/live-protocol.md), by Media Source
// Extensions. Knows nothing of the page.
//
//   const player = new LivePlayer({ url, media: video, clockOffset: () => ms }); // the hub's clock minus this one's
//   const end = player.on('state', (state, detail) => ...);
//   player.start(); player.stop(); // as often as wanted
//
// Events:
//   state    'connecting', 'waiting' (connected, no picture yet), 'playing', 'stalled' (no new picture shown for 2 s),
//            'closed' (refused: detail is { code, reason }; it still tries again, slowly)
//   figures  once per second: { fps, latency, behind, dropped, shown }: pictures shown per second; seconds from a
//            picture's capture to its display, null if unknown; seconds between the newest picture received and
//            the one shown; pictures the hub left out for this viewer and pictures shown, since start()
//   size     { width, height } of the picture
//   trouble  a sentence for a log: the browser's decoder or buffer gave up, and the player begins anew
//
// Every picture has a time on the camera's timeline, and the player knows when each arrived. From that it keeps the
// place at which the video should be now (Clock): as near to the newest picture as network jitter and decoding allow.
// Small deviations are made up by the playback rate, large ones by a jump. The newest picture is known from the
// fragments, never from `buffered`: the duration written there is a promise up to 1 s ahead of the truth.
import { LiveView, quantile } from './live_socket.js';

const FAR_S = 0.3; // from here on a jump, not a faster pace
const AHEAD_S = 1.5; // in front of where it should be: pictures are shown as they come, so there is less haste
const NEAR_S = 0.012; // a deviation not worth a change of pace
const KEEP_S = 2, EVICT_STEP_S = 4; // how much stays behind the shown picture, and how much goes at once
// Where a picture comes later than twice the duration of the one before, browsers drop all up to the next key frame
// (Media Source Extensions, coded frame processing). The hub promises 1 s; a camera may pause for longer.
const PROMISE_S = 10;
const APPEND_BYTES = 4 << 20, QUEUE_BYTES = 16 << 20, QUEUE_MAX_BYTES = 96 << 20;
const BLIND_MS = 4000; // pictures come and none is shown: begin anew
const SAME_TIMELINE_S = 0.5;
const UNPLAYABLE_PAUSE_MS = 10000;

// --- boxes of ISO/IEC 14496-12 ---------------------------------------------------------------------------------

// The boxes inside [begin, end) of a DataView: { type, begin, end } of their contents.
function* boxes(view, begin, end) {
  while (begin + 8 <= end) {
    let size = view.getUint32(begin), head = 8;
    if (size === 1) {
      size = Number(view.getBigUint64(begin + 8));
      head = 16;
    } else if (size === 0) {
      size = end - begin;
    }
    if (size < head || begin + size > end)
      throw new RangeError('a box that does not fit');
    yield { type: view.getUint32(begin + 4), begin: begin + head, end: begin + size };
    begin += size;
  }
}

const [MOOV, TRAK, EDTS, ELST, MOOF, TRAF, TFHD, TFDT, TRUN] =
  ['moov', 'trak', 'edts', 'elst', 'moof', 'traf', 'tfhd', 'tfdt', 'trun']
    .map(name => [...name].reduce((value, letter) => value * 256 + letter.charCodeAt(0), 0));

function* descend(view, box, [type, ...rest]) {
  for (const inner of boxes(view, box.begin, box.end))
    if (inner.type === type)
      yield* rest.length ? descend(view, inner, rest) : [inner];
}

const whole = view => ({ begin: 0, end: view.byteLength });

// The composition time that an init segment's edit list maps to 0, in ticks (8.6.6).
function mediaTime(data) {
  const view = new DataView(data);
  for (const { begin } of descend(view, whole(view), [MOOV, TRAK, EDTS, ELST])) {
    const time = view.getUint8(begin) === 1 ? Number(view.getBigInt64(begin + 16)) : view.getInt32(begin + 12);
    return Math.max(0, time);
  }
  return 0;
}

const NOT_SYNC = 0x10000; // of sample flags, 8.8.3.1

// The samples of one trun (8.8.8); `defaults` from tfhd. Durations of pictures become `promise`: see PROMISE_S.
function* runSamples(view, begin, dts, defaults, promise) {
  const flags = view.getUint32(begin) & 0xFFFFFF;
  let at = begin + 8;
  const next = has => flags & has ? (at += 4, view.getUint32(at - 4)) : undefined;
  next(1); // data offset
  const firstFlags = next(4);
  for (let n = 0, count = view.getUint32(begin + 4); n < count; n++) {
    if (flags & 0x100 && n === count - 1)
      view.setUint32(at, promise);
    const duration = next(0x100) ?? defaults.duration;
    next(0x200); // size
    const sampleFlags = next(0x400) ?? (n === 0 && firstFlags !== undefined ? firstFlags : defaults.flags);
    const composition = (next(0x800) ?? 0) | 0;
    yield { dts, pts: dts + composition, key: !(sampleFlags & NOT_SYNC) };
    dts += duration;
  }
}

function fragmentDefaults(view, { begin }) {
  const flags = view.getUint32(begin) & 0xFFFFFF;
  let at = begin + 8;
  const next = has => flags & has ? (at += 4, view.getUint32(at - 4)) : 0;
  if (flags & 1)
    at += 8;
  next(2);
  const duration = next(8);
  next(0x10);
  return { duration, flags: next(0x20) };
}

// [{ dts, pts, key }], in ticks, of the pictures in a message, whose last one's duration becomes `promise`.
function pictures(data, promise) {
  const view = new DataView(data), found = [];
  for (const traf of descend(view, whole(view), [MOOF, TRAF])) {
    let defaults = { duration: 0, flags: 0 }, dts = 0;
    for (const { type, begin } of boxes(view, traf.begin, traf.end)) {
      if (type === TFHD)
        defaults = fragmentDefaults(view, { begin });
      else if (type === TFDT)
        dts = view.getUint8(begin) === 1 ? Number(view.getBigUint64(begin + 4)) : view.getUint32(begin + 4);
      else if (type === TRUN)
        found.push(...runSamples(view, begin, dts, defaults, promise));
    }
  }
  return found;
}

// --- where the video should be -----------------------------------------------------------------------------------

const WINDOW_MS = 10000, WINDOW_COUNT = 600;
const SETTLING_MS = 500; // after a start the hub's backlog comes in one go
const JITTER_LIMIT_MS = 250; // what is later than that is an interruption and not jitter
const REBASE_MS = 1000; // an interruption that lasts so long is how things are now
const SPARE_MS = 20; // from arrival to display, without decoding
const DECODE_LIMIT_MS = 200;
// Pictures that the browser decoded but did not show were too late: lag more, by so many ms for each quarter of a
// second in which all are; and less again when none was for a while.
const MORE_SPARE_MS = 40, MAX_SPARE_MS = 120, LESS_SPARE_MS = 2, CALM_MS = 5000;

// Transit is arrival minus time of capture, ms, from an unknown origin. A picture can be shown in time if the video
// lags by its transit and the time to decode it; the lag aimed at lets all but a few of the last 10 s be in time.
class Clock {
  #samples = []; // { at, transit }
  #least = Infinity;
  #quantile = 0;
  #settledAt = 0;
  #lateSince = 0; // 0: not late
  #decode = []; // ms, of the last pictures
  #sorted = 0;
  #spare = SPARE_MS;
  #missedAt = 0;

  // The connection is new: what comes first is old.
  settle(now) {
    this.#settledAt = now + SETTLING_MS;
  }

  reset() {
    this.#samples = [];
    this.#least = Infinity;
    this.#lateSince = 0;
  }

  arrived(pts, now) {
    const transit = now - pts * 1000, late = transit - this.#least;
    if (late < -JITTER_LIMIT_MS || (late < 0 && now < this.#settledAt))
      this.reset(); // all before was backlog, or the timeline was moved
    else if (late > JITTER_LIMIT_MS)
      this.#lateSince ||= now;
    else if (late <= Math.max(this.#quantile - this.#least, 20))
      this.#lateSince = 0;
    if (this.#lateSince && now - this.#lateSince > REBASE_MS)
      this.reset();
    const backlog = now < this.#settledAt && transit > this.#quantile && this.#samples.length > 0;
    if (this.#lateSince || backlog)
      return;
    this.#samples.push({ at: now, transit });
    this.#least = Math.min(this.#least, transit);
    if (this.#samples.length < 30 || now - this.#sorted > 250 || transit > this.#quantile)
      this.#sort(now);
  }

  decoded(seconds) {
    this.#decode.push(seconds * 1000);
    if (this.#decode.length > 32)
      this.#decode.shift();
  }

  // A share of the pictures of the last quarter of a second was decoded and not shown.
  missed(share, now) {
    if (share > 0.05) {
      this.#missedAt = now;
      this.#spare = Math.min(this.#spare + MORE_SPARE_MS * share, MAX_SPARE_MS);
    } else if (now - this.#missedAt > CALM_MS) {
      this.#spare = Math.max(this.#spare - LESS_SPARE_MS, SPARE_MS);
    }
  }

  #sort(now) {
    this.#sorted = now;
    if (this.#samples.length > WINDOW_COUNT || now - this.#samples[0].at > WINDOW_MS + 1000)
      this.#samples = this.#samples.filter(({ at }) => now - at <= WINDOW_MS).slice(-WINDOW_COUNT);
    const transits = this.#samples.map(({ transit }) => transit);
    this.#least = quantile(transits, 0);
    this.#quantile = quantile(transits, 0.98);
  }

  // Seconds on the camera's timeline.
  position(now) {
    const decode = Math.min(quantile(this.#decode, 0.9) ?? 0, DECODE_LIMIT_MS);
    return (now - this.#quantile - decode - this.#spare) / 1000;
  }
}

// --- the source buffer ---------------------------------------------------------------------------------------------

// What goes into the <video>, in order. Items: { mime, data } an init segment; { data, key, pts } a message;
// { remove: [begin, end] } seconds; { clear: true } everything.
class Feed {
  #media;
  #source;
  #buffer = null;
  #address;
  #mime = null;
  #queue = [];
  #bytes = 0;
  #retried = false;
  #handlers;

  constructor(media, handlers) { // handlers: appended(), failed(reason)
    const Source = self.ManagedMediaSource ?? self.MediaSource;
    this.#media = media;
    this.#handlers = handlers;
    this.#source = new Source();
    this.#source.onsourceopen = () => this.#pump();
    this.#address = URL.createObjectURL(this.#source);
    media.disableRemotePlayback = Source !== self.MediaSource; // ManagedMediaSource asks for it
    media.src = this.#address;
  }

  static plays(mime) {
    const Source = self.ManagedMediaSource ?? self.MediaSource;
    return Boolean(Source?.isTypeSupported(mime));
  }

  close() {
    URL.revokeObjectURL(this.#address);
    this.#source.onsourceopen = null;
    if (this.#buffer)
      this.#buffer.onupdateend = null;
    this.#buffer = null;
    this.#queue = [];
    this.#media.removeAttribute('src');
    this.#media.load();
  }

  // The contiguous part that holds this time, { begin, end }, or null.
  part(time) {
    const { buffered } = this.#media;
    for (let n = buffered.length - 1; n >= 0; n--)
      if (buffered.start(n) <= time + 0.001 && time < buffered.end(n))
        return { begin: buffered.start(n), end: buffered.end(n) };
    return null;
  }

  get begin() {
    const { buffered } = this.#media;
    return buffered.length ? buffered.start(0) : NaN;
  }

  put(item) {
    if (item.key && (!this.#buffer || this.#bytes > QUEUE_BYTES))
      this.#skipQueue();
    this.#queue.push(item);
    this.#bytes += item.data?.byteLength ?? 0;
    if (this.#bytes > QUEUE_MAX_BYTES)
      return this.#handlers.failed('nothing is taken');
    this.#pump();
  }

  clear() {
    this.#skipQueue();
    this.put({ clear: true });
  }

  // Pictures that wait in front of a key frame are not needed; init segments are (the last one).
  #skipQueue() {
    const init = this.#queue.findLast(item => item.mime);
    this.#queue = this.#queue.filter(item => item === init || item.clear);
    this.#bytes = this.#queue.reduce((sum, item) => sum + (item.data?.byteLength ?? 0), 0);
  }

  #pump() {
    try {
      while (this.#queue.length && this.#source.readyState === 'open' && !this.#buffer?.updating)
        this.#step();
    } catch (error) {
      if (error.name === 'QuotaExceededError' && !this.#retried)
        return this.#makeRoom();
      this.#handlers.failed(`${error.name}: ${error.message}`);
    }
  }

  #step() {
    const item = this.#queue[0];
    if (item.mime) {
      this.#prepare(item.mime);
      this.#buffer.appendBuffer(item.data);
    } else if (item.data) {
      return this.#appendRun();
    } else if (item.clear) {
      this.#buffer.abort();
      this.#buffer.remove(0, Infinity);
    } else {
      this.#buffer.remove(...item.remove);
    }
    this.#taken(1);
  }

  #prepare(mime) {
    if (!this.#buffer) {
      this.#buffer = this.#source.addSourceBuffer(mime);
      this.#buffer.onupdateend = () => {
        this.#handlers.appended();
        this.#pump();
      };
    } else if (mime !== this.#mime) {
      this.#buffer.changeType(mime);
    }
    this.#mime = mime;
  }

  // Messages that wait go in together.
  #appendRun() {
    let count = 0, bytes = 0;
    for (const { data, mime } of this.#queue) {
      if (!data || mime || (count > 0 && bytes + data.byteLength > APPEND_BYTES))
        break;
      bytes += data.byteLength;
      count++;
    }
    let run = this.#queue[0].data;
    if (count > 1) {
      run = new Uint8Array(bytes);
      let at = 0;
      for (const { data } of this.#queue.slice(0, count)) {
        run.set(new Uint8Array(data), at);
        at += data.byteLength;
      }
    }
    this.#buffer.appendBuffer(run);
    this.#retried = false;
    this.#taken(count);
  }

  #taken(count) {
    for (const { data } of this.#queue.splice(0, count))
      this.#bytes -= data?.byteLength ?? 0;
  }

  // The buffer is full. What is needed is little, so begin anew with the next key frame.
  #makeRoom() {
    this.#retried = true;
    const next = this.#queue.findIndex(item => item.key);
    this.#queue = next < 0 ? this.#queue.filter(item => item.mime) : this.#queue.slice(next);
    this.#handlers.overflow();
    this.clear();
  }
}

// --- the player ----------------------------------------------------------------------------------------------------

export class LivePlayer extends LiveView {
  #media;
  #clockOffset;
  #feed = null;
  #clock = new Clock();
  #stream = null; // the last `stream` message
  #time = null; // { ticks, unix_us }
  #offset = 0; // ticks that the init segment's edit list takes away
  #fresh = false; // no `stream` message has come on this connection
  #awaitInit = false;
  #awaitKey = true;
  #knownDts = -Infinity; // pictures up to here came over an earlier connection
  #lastDts = -Infinity;
  #newest = -Infinity; // s, of pictures received
  #keys = []; // s, of key frames in the buffer
  #lastJump = { at: -Infinity, ms: 0, key: -Infinity };
  #shownCapture = -Infinity; // us
  #openedAt = 0;
  #presented = 0;
  #quality = { total: 0, missed: 0 };
  #frameCallback = 0;
  #lastShown = 0; // performance.now()
  #lastArrival = 0;
  #failures = 0;
  #listeners = null; // AbortController

  constructor({ url, media, clockOffset = () => NaN }) {
    super(url);
    this.#media = media;
    this.#clockOffset = clockOffset;
  }

  begin() {
    const media = this.#media;
    media.muted = media.playsInline = media.autoplay = true;
    this.#listeners = new AbortController();
    const listen = (target, name, fn) => target.addEventListener(name, fn, { signal: this.#listeners.signal });
    listen(media, 'error', () => this.#failed(media.error?.message ?? 'error'));
    listen(media, 'resize', () => this.#resized());
    listen(media, 'seeked', () => this.#seeked());
    listen(document, 'visibilitychange', () => this.#visible());
    this.#failures = 0;
    this.#shownCapture = -Infinity;
    this.#watchFrames();
  }

  end() {
    this.#listeners.abort();
    this.#media.cancelVideoFrameCallback?.(this.#frameCallback);
    this.#closeFeed();
  }

  #closeFeed() {
    this.#feed?.close();
    this.#feed = null;
    this.#stream = this.#time = null;
    this.#forget();
  }

  // The timeline is another one.
  #forget() {
    this.#knownDts = this.#lastDts = this.#newest = -Infinity;
    this.#keys = [];
    this.#awaitKey = true;
    this.#lastJump = { at: -Infinity, ms: 0, key: -Infinity };
    this.#clock.reset();
  }

  // --- what the hub says

  opened() {
    this.#fresh = true;
    this.#openedAt = performance.now();
    this.#clock.settle(this.#openedAt);
  }

  text(message) {
    if (message.type === 'stream')
      this.#beginStream(message);
    else if (message.type === 'time' && this.#stream)
      this.#setTime(message);
    else if (message.type === 'drop')
      this.dropped(message.frames);
  }

  #setTime(time) {
    if (Number.isFinite(time?.ticks) && Number.isFinite(time?.unix_us))
      this.#time = { ticks: time.ticks, unix_us: time.unix_us };
  }

  #beginStream(stream) {
    if (!(stream.timescale > 0) || !Feed.plays(stream.mime)) {
      this.setState('closed', { code: 0, reason: `this browser cannot play ${stream.mime}` });
      return this.socket.again(UNPLAYABLE_PAUSE_MS);
    }
    const before = this.#stream && this.#time && this.#origin();
    this.#stream = stream;
    this.#setTime(stream.time);
    if (this.#fresh)
      this.#continue(before);
    this.#fresh = false;
    this.#awaitInit = this.#awaitKey = true;
  }

  // When the timeline began, s on the hub's clock.
  #origin() {
    return this.#time.unix_us / 1e6 - this.#time.ticks / this.#stream.timescale;
  }

  // On a new connection: if it goes on with the timeline of the one before, what is known already is left out.
  #continue(before) {
    if (this.#feed && before !== null && this.#time && Math.abs(this.#origin() - before) < SAME_TIMELINE_S) {
      this.#knownDts = this.#lastDts;
      return;
    }
    this.#feed?.clear();
    this.#forget();
  }

  binary(data) {
    if (!this.#stream)
      return;
    try {
      if (this.#awaitInit)
        this.#init(data);
      else
        this.#message(data, performance.now());
    } catch (error) {
      if (!(error instanceof RangeError))
        throw error;
      this.#failed(error.message);
    }
  }

  #init(data) {
    this.#offset = mediaTime(data);
    this.#awaitInit = false;
    this.#feed ??= new Feed(this.#media, {
      appended: () => this.#steer(),
      failed: reason => this.#failed(reason),
      overflow: () => this.#overflow(),
    });
    this.#feed.put({ mime: this.#stream.mime, data });
  }

  #message(data, now) {
    const { timescale } = this.#stream, found = pictures(data, Math.min(PROMISE_S * timescale, 0x7FFFFFFF));
    if (!found.length)
      return;
    const last = found.at(-1), key = found[0].key, pts = (found[0].pts - this.#offset) / timescale;
    this.#lastArrival = now;
    if (last.dts <= this.#knownDts)
      return void (this.#awaitKey = false);
    if (this.#awaitKey && !key)
      return;
    this.#awaitKey = false;
    for (const picture of found) {
      const time = (picture.pts - this.#offset) / timescale;
      this.#clock.arrived(time, now);
      this.#newest = Math.max(this.#newest, time);
    }
    this.#lastDts = last.dts;
    if (key)
      this.#keys.push(pts);
    this.#feed.put({ data, key });
    if (this.#watched)
      return;
    this.unseen();
    this.#evict();
  }

  #overflow() {
    this.#keys = [];
    this.#awaitKey = true;
  }

  lost() {
    this.#awaitInit = false;
    this.#awaitKey = true;
  }

  // The decoder or the buffer gave up: all anew, from the hub's newest key frame on.
  #failed(reason) {
    if (!this.#feed)
      return;
    this.emit('trouble', reason);
    this.#closeFeed();
    this.socket.again(Math.min(100 * 4 ** this.#failures++, 5000));
  }

  // --- where the video is

  get #watched() {
    return !document.hidden || document.pictureInPictureElement === this.#media;
  }

  #visible() {
    if (document.hidden)
      return;
    this.#lastShown = this.#lastArrival = performance.now();
    this.#play();
    this.#steer();
  }

  #play() {
    if (this.#feed && this.#media.paused)
      this.#media.play().catch(() => {}); // refused or overtaken; the next tick tries again
  }

  tick(now) {
    if (!this.#feed)
      return;
    if (this.#watched)
      this.#play();
    this.#countMissed(now);
    this.#steer();
    this.#evict();
    if (!this.#media.requestVideoFrameCallback)
      this.#countFrames(now);
    const blind = this.#watched && this.#lastArrival - this.#lastShown > BLIND_MS * 2 ** this.#failures;
    if (blind && now - this.#openedAt > BLIND_MS)
      this.#failed('pictures come and none is shown');
  }

  #steer() {
    const media = this.#media, now = performance.now();
    if (!this.#feed || !this.#watched || media.readyState === 0 || media.seeking || this.#newest === -Infinity)
      return;
    const part = this.#feed.part(this.#newest);
    if (!part)
      return; // not appended yet
    const wanted = this.#clock.position(now), reachable = Math.max(part.begin, Math.min(wanted, this.#newest));
    const at = media.currentTime, outside = at < part.begin || at > part.end;
    if (outside || (reachable - at > FAR_S && this.#mayJump(reachable, now)))
      this.#jump(reachable, now);
    else if (at - wanted > AHEAD_S && this.#mayJump(this.#newest, now))
      this.#jump(this.#newest, now); // and no further back: that was shown
    else
      this.#setRate(wanted > at ? Math.max(0, Math.min(wanted, this.#newest) - at) : wanted - at);
  }

  // A jump decodes from the key frame on; where that takes long, it must not be all that is done.
  #mayJump(target, now) {
    const { at, ms, key } = this.#lastJump;
    return now - at > 100 + 5 * ms || this.#keyBefore(target) > key;
  }

  #keyBefore(time) {
    return this.#keys.findLast(key => key <= time) ?? -Infinity;
  }

  #jump(target, now) {
    this.#lastJump = { at: now, ms: this.#lastJump.ms, key: this.#keyBefore(target) };
    this.#media.playbackRate = 1;
    this.#media.currentTime = target;
  }

  #seeked() {
    this.#lastJump.ms = performance.now() - this.#lastJump.at;
    this.#steer();
  }

  // `late` in seconds.
  #setRate(late) {
    let rate = 1;
    if (late > FAR_S)
      rate = 4;
    else if (Math.abs(late) > NEAR_S)
      rate = 1 + Math.max(-0.15, Math.min(late, 0.15));
    if (Math.abs(rate - this.#media.playbackRate) > 0.004)
      this.#media.playbackRate = rate;
  }

  // What was shown goes, up to a key frame: removing one takes all that depend on it along.
  #evict() {
    const end = (this.#watched ? this.#media.currentTime : this.#newest) - KEEP_S, key = this.#keyBefore(end);
    if (!(key - this.#keys[0] > EVICT_STEP_S))
      return;
    this.#keys = this.#keys.filter(time => time >= key);
    this.#feed.put({ remove: [0, key] });
  }

  // --- what is on the screen

  #watchFrames() {
    this.#presented = 0;
    if (!this.#media.requestVideoFrameCallback)
      return;
    const next = () => {
      this.#frameCallback = this.#media.requestVideoFrameCallback((now, metadata) => {
        next();
        this.#frame(metadata);
      });
    };
    next();
  }

  #countMissed(now) {
    const quality = this.#media.getVideoPlaybackQuality?.();
    if (!quality)
      return;
    const { totalVideoFrames: total, droppedVideoFrames: missed } = quality, before = this.#quality;
    this.#quality = { total, missed };
    // What a jump or a race passes over is meant to be passed over.
    const meant = now - this.#lastJump.at < 750 || now - this.#openedAt < 750 || this.#media.playbackRate > 2;
    if (this.#watched && !meant && total > before.total && missed >= before.missed)
      this.#clock.missed((missed - before.missed) / (total - before.total), now);
  }

  // A browser without requestVideoFrameCallback at least counts.
  #countFrames(now) {
    const presentedFrames = this.#quality.total;
    if (presentedFrames !== this.#presented)
      this.#frame({ mediaTime: Math.min(this.#media.currentTime, this.#newest), presentedFrames,
        expectedDisplayTime: now });
  }

  #frame({ mediaTime, presentedFrames, expectedDisplayTime, processingDuration = 0 }) {
    const count = presentedFrames > this.#presented ? presentedFrames - this.#presented : 1;
    this.#presented = presentedFrames;
    if (!this.#feed || !this.#stream || this.#newest === -Infinity)
      return;
    this.#lastShown = performance.now();
    if (processingDuration > 0)
      this.#clock.decoded(processingDuration);
    const capture = this.#capture(mediaTime), shownAt = Date.now() + expectedDisplayTime - performance.now();
    const latency = (shownAt + this.#clockOffset()) / 1000 - capture / 1e6;
    // After a new connection the hub begins with its newest key frame, which may be an old one.
    const news = !(capture <= this.#shownCapture) || this.#lastArrival - this.#openedAt > 1500;
    if (!(capture <= this.#shownCapture))
      this.#shownCapture = capture;
    this.shown(count, { latency: Number.isFinite(latency) ? latency : null, behind: this.#newest - mediaTime, news });
    if (news && this.#lastShown - this.#openedAt > 5000)
      this.#failures = 0;
  }

  // us on the hub's clock; NaN if unknown.
  #capture(time) {
    if (!this.#time)
      return NaN;
    const ticks = time * this.#stream.timescale + this.#offset - this.#time.ticks;
    return this.#time.unix_us + ticks / this.#stream.timescale * 1e6;
  }

  #resized() {
    const { videoWidth: width, videoHeight: height } = this.#media;
    if (width > 0)
      this.emit('size', { width, height });
  }
}
