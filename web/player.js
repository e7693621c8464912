// Live pictures of an H.264 camera in a <video>, from ws://HUB/live/NAME (docs/live-protocol.md), by Media Source
// Extensions. Knows nothing of the page.
//
//   const player = new LivePlayer({ url, media: video, clockOffset: () => ms }); // the hub's clock minus this one's
//   const end = player.on('state', (state, detail) => ...);
//   player.start(); player.stop(); // as often as wanted
//   player.sound = true; // false at first. Browsers want the user to have clicked or typed before
//
// Events:
//   state    'connecting', 'waiting' (connected, no picture yet), 'playing', 'stalled' (no new picture shown for 2 s),
//            'closed' (refused: detail is { code, reason }; it still tries again, slowly)
//   figures  once per second: { fps, latency, behind, dropped, shown }: pictures shown per second; seconds from a
//            picture's capture to its display, null if unknown; seconds between the newest picture received and
//            the one shown; pictures the hub left out for this viewer and pictures shown, since start()
//   size     { width, height } of the picture
//   trouble  a sentence for a log: the browser's decoder or buffer gave up, and the player begins anew
//   sound    'none' (the stream has none), 'off', 'on', 'silent' (on, but none comes for 2 s), 'refused' (by the
//            browser: it wants a click first), 'unplayable' (by this browser), 'failed' (given up, so that the
//            picture goes on)
//
// Every picture has a time on the camera's timeline, and the player knows when each arrived. From that it keeps the
// place at which the video should be now (Clock): as near to the newest picture as network jitter and decoding allow.
// Small deviations are made up by the playback rate, large ones by a jump. The newest picture is known from the
// fragments, never from `buffered`: the duration written there is a promise up to 1 s ahead of the truth.
//
// Without sound, the browser gets the pictures only, whatever the stream holds: nothing about its sound can disturb
// them. With sound there is one SourceBuffer for both tracks, the sound is made whole (sound_track.js), and the video
// lags as far as the sound needs it. If it stands still nevertheless, the player goes on without sound.
import { join, readFragments, readTracks, withoutTrack } from './boxes.js';
import { Clock, SETTLING_MS } from './live_clock.js';
import { LiveView } from './live_socket.js';
import { SoundTrack } from './sound_track.js';

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
// With sound. Browsers want so much of it in front of the place that is played; a change of pace is heard, so smaller
// deviations are left alone; and sound that is later than that behind the pictures is not waited for.
const SOUND_LEAD_S = 0.25, MAX_SOUND_LEAD_S = 0.7, MORE_LEAD_S = 0.1;
const SOUND_FAR_S = 0.8, SOUND_NEAR_S = 0.08, SOUND_PACE = 0.04, SOUND_WAIT_S = 2;
const SOUND_ON_ITS_WAY_S = 0.1; // the end of it may not be in the buffer yet
const QUIET_MS = 500, QUIET_S = 0.5; // none came for so long: fill further ahead
const SILENT_MS = 2000; // none came for so long: that is told
const STUCK_MS = 2000; // the video stands still though pictures come: no longer with sound
const SOUND_TRUST_MS = 30000; // a second failure inside of this, and it goes on without

// --- the source buffer ---------------------------------------------------------------------------------------------

// What goes into the <video>, in order. Items: { mime, data } an init segment; { data, key } pictures; { data, sound }
// sound; { remove: [begin, end] } seconds; { clear: true } everything.
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

  // `sound` tells its sound from that of another feed, '' without any. handlers: appended(), failed(reason), overflow()
  constructor(media, sound, handlers) {
    const Source = self.ManagedMediaSource ?? self.MediaSource;
    this.#media = media;
    this.sound = sound;
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
      this.#skipQueue(true);
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

  // Pictures that wait in front of a key frame are not needed; init segments are (the last one), and so is sound,
  // which has to follow on.
  #skipQueue(withSound = false) {
    const init = this.#queue.findLast(item => item.mime);
    this.#queue = this.#queue.filter(item => item === init || item.clear || withSound && item.sound);
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
    const run = count === 1 ? this.#queue[0].data : join(this.#queue.slice(0, count).map(({ data }) => data));
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

// `video/mp4; codecs="avc1.42E01E,mp4a.40.2"` without the sound.
function withoutSound(mime) {
  return mime.replace(/"(.*)"/, (all, codecs) =>
    `"${codecs.split(/\s*,\s*/).filter(codec => !codec.startsWith('mp4a')).join(', ')}"`);
}

// The pace that makes up for a lateness in seconds, if that can be heard; once begun, to the end.
function soundPace(late, pace) {
  if (late > SOUND_FAR_S)
    return 1.25;
  if (late < -SOUND_FAR_S / 2)
    return 0.5;
  return Math.abs(late) > (pace === 1 ? SOUND_NEAR_S : NEAR_S) ? 1 + Math.sign(late) * SOUND_PACE : 1;
}

// --- the player ----------------------------------------------------------------------------------------------------

export class LivePlayer extends LiveView {
  #media;
  #clockOffset;
  #feed = null;
  #clock = new Clock();
  #stream = null; // the last `stream` message
  #tracks = null; // of the init segment
  #time = null; // { ticks, unix_us }
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
  #sound = false; // wanted
  #muffled = ''; // why there is none, though it is wanted
  #soundPlays = null; // the stream has sound that this browser can play; null: it has none
  #track = null; // SoundTrack
  #soundClock = new Clock();
  #lead = SOUND_LEAD_S;
  #soundAt = 0; // some came
  #heardAt = 0; // some came in time
  #moved = { time: 0, at: 0 };
  #soundFailedAt = -Infinity;
  #told = null;

  constructor({ url, media, clockOffset = () => NaN }) {
    super(url);
    this.#media = media;
    this.#clockOffset = clockOffset;
  }

  begin() {
    const media = this.#media;
    media.playsInline = media.autoplay = true;
    media.muted = !this.#sound;
    this.#listeners = new AbortController();
    const listen = (target, name, fn) => target.addEventListener(name, fn, { signal: this.#listeners.signal });
    listen(media, 'error', () => this.#failed(media.error?.message ?? 'error'));
    listen(media, 'resize', () => this.#resized());
    listen(media, 'seeked', () => this.#seeked());
    listen(media, 'waiting', () => this.#starved(performance.now()));
    listen(document, 'visibilitychange', () => this.#visible());
    this.#failures = 0;
    this.#lead = SOUND_LEAD_S;
    this.#muffled = '';
    this.#told = null;
    this.#shownCapture = -Infinity;
    this.#watchFrames();
  }

  end() {
    this.#listeners.abort();
    this.#media.cancelVideoFrameCallback?.(this.#frameCallback);
    this.#media.removeAttribute('poster');
    this.#closeFeed();
  }

  #closeFeed() {
    this.#feed?.close();
    this.#feed = null;
    this.#stream = this.#tracks = this.#time = null;
    this.#forget();
  }

  // The timeline is another one.
  #forget() {
    this.#knownDts = this.#lastDts = this.#newest = -Infinity;
    this.#keys = [];
    this.#awaitKey = true;
    this.#lastJump = { at: -Infinity, ms: 0, key: -Infinity };
    this.#track = null;
    this.#clock.reset();
    this.#soundClock.reset();
  }

  // --- what the hub says

  opened() {
    this.#fresh = true;
    this.#openedAt = performance.now();
    this.#clock.settle(this.#openedAt);
    this.#soundClock.settle(this.#openedAt);
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
    const silentMime = withoutSound(stream.mime);
    if (!(stream.timescale > 0) || !Feed.plays(silentMime)) {
      this.setState('closed', { code: 0, reason: `this browser cannot play ${stream.mime}` });
      return this.socket.again(UNPLAYABLE_PAUSE_MS);
    }
    const before = this.#stream && this.#time && this.#origin();
    this.#stream = stream;
    this.#soundPlays = stream.mime.includes('mp4a') ? Feed.plays(stream.mime) : null;
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
    const tracks = readTracks(data), { mime, audio } = this.#stream;
    if (!tracks.video)
      throw new RangeError('an init segment without pictures');
    const sound = this.#sound && !this.#muffled && this.#soundPlays && tracks.sound
      ? JSON.stringify([mime.slice(mime.indexOf('mp4a')), audio, tracks.sound]) : '';
    this.#awaitInit = false;
    this.#tracks = tracks;
    if (this.#feed && this.#feed.sound !== sound) {
      // Of what kinds its tracks are, a SourceBuffer remembers for good. What comes now begins with a key frame.
      this.#feed.close();
      this.#feed = this.#track = null;
      this.#keys = [];
    }
    this.#feed ??= this.#open(sound);
    this.#feed.put(sound || !tracks.sound ? { mime: sound ? mime : withoutSound(mime), data }
      : { mime: withoutSound(mime), data: withoutTrack(data, tracks.sound.id) });
    this.#tellSound();
  }

  #open(sound) {
    this.#moved = { time: 0, at: performance.now() + STUCK_MS }; // a start may take a little longer
    return new Feed(this.#media, sound, {
      appended: () => this.#steer(),
      failed: reason => this.#failed(reason),
      overflow: () => this.#overflow(),
    });
  }

  #message(data, now) {
    for (const fragment of readFragments(data)) {
      if (fragment.track === this.#tracks.video.id)
        this.#pictures(fragment, now);
      else if (fragment.track === this.#tracks.sound?.id && this.#track)
        this.#hear(fragment, now);
    }
  }

  #pictures(fragment, now) {
    const { video: { timescale, offset }, sound } = this.#tracks, { samples } = fragment;
    const seconds = picture => (picture.pts - offset) / timescale;
    const last = samples.at(-1), { key } = samples[0], pts = seconds(samples[0]);
    this.#lastArrival = now;
    if (last.dts <= this.#knownDts)
      return void (this.#awaitKey = false);
    if (this.#awaitKey && !key)
      return;
    this.#awaitKey = false;
    for (const picture of samples) {
      this.#clock.arrived(seconds(picture), now);
      this.#newest = Math.max(this.#newest, seconds(picture));
    }
    this.#lastDts = last.dts;
    if (key)
      this.#keys.push(pts);
    if (key && this.#feed.sound && !this.#track)
      this.#beginSound(sound, pts, now);
    fragment.setDuration(last, Math.min(PROMISE_S * timescale, 0x7FFFFFFF));
    this.#feed.put({ data: fragment.data, key });
    this.#fillSound(now);
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
    if (this.#feed.sound) {
      const again = performance.now() - this.#soundFailedAt < SOUND_TRUST_MS;
      this.#soundFailedAt = performance.now();
      if (again)
        this.#muffle('failed');
    }
    this.#closeFeed();
    this.socket.again(Math.min(100 * 4 ** this.#failures++, 5000));
  }

  // --- sound

  // Wanted or not. The <video> is muted, and does not get it, unless it is.
  set sound(on) {
    this.#sound = on;
    this.#muffled = '';
    this.#media.muted = !on;
    if (on && this.running && this.#feed && this.#soundPlays && !this.#feed.sound)
      this.#beginAgain();
    this.#tellSound();
  }

  // Over a new connection, which begins with the newest key frame. Until it does, the picture stays.
  #beginAgain() {
    const { videoWidth: width, videoHeight: height } = this.#media;
    if (width > 0) {
      const canvas = Object.assign(document.createElement('canvas'), { width, height });
      canvas.getContext('2d').drawImage(this.#media, 0, 0);
      this.#media.poster = canvas.toDataURL('image/jpeg');
    }
    this.#closeFeed();
    this.socket.again(0);
  }

  #muffle(why) {
    this.#muffled = why;
    this.#media.muted = true;
    this.#tellSound();
  }

  #tellSound() {
    let sound = 'none';
    if (this.#soundPlays === false)
      sound = 'unplayable';
    else if (this.#soundPlays)
      sound = this.#sound ? this.#muffled || (this.#isSilent(performance.now()) ? 'silent' : 'on') : 'off';
    if (sound !== this.#told)
      this.emit('sound', this.#told = sound);
  }

  #isSilent(now) {
    return this.#track !== null && now - this.#heardAt > SILENT_MS && now - this.#lastArrival < SILENT_MS;
  }

  // With the first picture, at `seconds`.
  #beginSound(track, seconds, now) {
    this.#track = new SoundTrack(track, this.#stream.audio?.channels, seconds);
    this.#soundAt = this.#heardAt = now;
  }

  #hear(fragment, now) {
    this.#soundClock.arrived(this.#track.timeOf(fragment), now);
    this.#soundAt = now;
    const parts = this.#track.take(fragment);
    if (parts.length)
      this.#heardAt = now;
    for (const data of parts)
      this.#feed.put({ data, sound: true });
  }

  // Where sound fails to come while pictures do, silence takes its place; the more of it at once, the longer none came.
  #fillSound(now) {
    const quiet = now - this.#soundAt > QUIET_MS;
    if (!this.#track || now - this.#openedAt < SETTLING_MS || now - this.#lastArrival > PROMISE_S * 1000)
      return;
    const base = Math.max(this.#wanted(now), Math.min(this.#media.currentTime, this.#newest)) + this.#lead;
    if (this.#track.end < (quiet ? base + QUIET_S / 2 : base - SOUND_LEAD_S / 2))
      for (const data of this.#track.fillTo(quiet ? base + QUIET_S : Math.min(base, this.#newest)))
        this.#feed.put({ data, sound: true });
  }

  // It came too late for the video to go on, though it did come.
  #starved(now) {
    if (this.#track && !this.#media.seeking && now - this.#lastJump.at > 1000 && now - this.#soundAt < QUIET_MS)
      this.#lead = Math.min(this.#lead + MORE_LEAD_S, MAX_SOUND_LEAD_S);
  }

  // A picture never stands still because of its sound.
  #watchSound(now) {
    const time = this.#media.currentTime, { paused } = this.#media;
    const idle = !this.#watched || paused || now - this.#lastArrival > STUCK_MS / 2;
    if (time !== this.#moved.time || idle) {
      this.#moved = { time, at: Math.max(now, this.#moved.at) };
    } else if (now - this.#moved.at > STUCK_MS) {
      this.emit('trouble', 'the video stands still because of its sound');
      this.#muffle('failed');
      this.#beginAgain();
    }
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
      this.#media.play().catch(error => { // refused or overtaken; the next tick tries again
        if (error.name === 'NotAllowedError' && !this.#media.muted)
          this.#muffle('refused');
      });
  }

  tick(now) {
    if (!this.#feed)
      return;
    if (this.#watched)
      this.#play();
    this.#countMissed(now);
    this.#fillSound(now);
    this.#steer();
    this.#evict();
    this.#tellSound();
    if (!this.#media.requestVideoFrameCallback)
      this.#countFrames(now);
    const blind = this.#watched && this.#lastArrival - this.#lastShown > BLIND_MS * 2 ** this.#failures;
    if (blind && now - this.#openedAt > BLIND_MS)
      this.#failed('pictures come and none is shown');
    else if (this.#feed?.sound)
      this.#watchSound(now);
  }

  #steer() {
    const media = this.#media, now = performance.now();
    if (!this.#feed || !this.#watched || media.readyState === 0 || media.seeking || this.#newest === -Infinity)
      return;
    const newest = this.#track ? Math.min(this.#newest, this.#track.end - SOUND_ON_ITS_WAY_S) : this.#newest;
    const part = this.#feed.part(newest);
    if (!part)
      return; // not appended yet
    const wanted = this.#wanted(now), reachable = Math.max(part.begin, Math.min(wanted, newest));
    const at = media.currentTime, outside = at < part.begin || at > part.end;
    if (outside || (reachable - at > (this.#track ? SOUND_FAR_S : FAR_S) && this.#mayJump(reachable, now)))
      this.#jump(reachable, now);
    else if (at - wanted > AHEAD_S && this.#mayJump(newest, now))
      this.#jump(newest, now); // and no further back: that was shown
    else
      this.#setRate(wanted > at ? Math.max(0, Math.min(wanted, newest) - at) : wanted - at);
  }

  // Where the video should be, s.
  #wanted(now) {
    const wanted = this.#clock.position(now);
    if (!this.#track)
      return wanted;
    const heard = this.#soundClock.known ? this.#soundClock.position(now) : wanted;
    return heard < wanted - SOUND_WAIT_S ? wanted - this.#lead : Math.min(wanted, heard - this.#lead);
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
    if (this.#track)
      rate = soundPace(late, this.#media.playbackRate);
    else if (late > FAR_S)
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
    this.#media.removeAttribute('poster');
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
    const ticks = time * this.#stream.timescale + (this.#tracks?.video.offset ?? 0) - this.#time.ticks;
    return this.#time.unix_us + ticks / this.#stream.timescale * 1e6;
  }

  #resized() {
    const { videoWidth: width, videoHeight: height } = this.#media;
    if (width > 0)
      this.emit('size', { width, height });
  }
}
