// Plays a recording from its files, also while it is being recorded: parts one after another on one time bar, single
// pictures forth and back, and for the picture that is seen the time at which it was taken, to the millisecond.
//
// Another file, and a longer state of the same one, is opened in a <video> of its own behind the present one, which
// it replaces when it has a picture: what is seen never goes dark. What comes next is opened shortly before the end.
import { recordingFile } from './api.js';
import { button, h, icon, isTyping, say, setIcon } from './dom.js';
import { captureTime, Frames, SHIFTED, TICKS } from './frames.js';
import { hub } from './hub.js';
import { clock, day, span, t } from './i18n.js';
import { toggleFull } from './camera.js';
import { findMarks, TimeBar } from './timebar.js';

const JUMP_S = 5, EDGE_S = 0.5, SOON_S = 4, PATIENCE_MS = 400;
// A file that grows promises that its last picture is shown for 1 s; what was recorded since is newer than that.
const PROMISE_S = 1.2, LATE_S = 0.05, AHEAD_S = 0.3;

let heard = false; // the sound of recordings is on, as long as the page stays open

export class Film {
  #recording;
  #report;
  #frames;
  #first = null; // the record of the first picture
  #part = 0; // index into recording.parts
  #base = 0; // ticks of the session at which the part begins
  #lead = 0; // ticks by which an unfinished part shows its pictures later
  #seen = null; // { before, record, after, next } of the picture shown
  #asked = 0;
  #next = null; // what is being opened: { video, part, seconds, plays, waits, open, ready ... }
  #plays = false; // what the viewer wants
  #stepped = false; // what is seen is known: pictures on the way there come late
  #wanted = null; // a seek that waits for the one under way
  #going = false; // a seek looks for its part
  #bar = new TimeBar(seconds => this.seek(seconds));
  #note = h('p', { class: 'note', hidden: true });
  #position = h('span', { class: 'figure' });
  #taken = h('span', { class: 'figure taken' });

  constructor({ recording, files, report }, signal) {
    this.#recording = recording;
    this.#signal = signal;
    this.video = this.#make();
    this.#play = button(t('film.play'), () => this.toggle(), { shape: 'play', bare: true });
    this.element = h('div', { class: 'film' }, h('div', { class: 'screen' }, this.video, this.#note), this.#bar.element,
      h('div', { class: 'row controls' },
        button(t('film.back'), () => this.step(-1), { shape: 'previous', bare: true, 'aria-keyshortcuts': ',' }),
          this.#play,
        button(t('film.forth'), () => this.step(1), { shape: 'next', bare: true, 'aria-keyshortcuts': '.' }),
        this.#position, this.#taken, this.#sound, this.#speed(),
        button(t('full'), () => toggleFull(this.element), { shape: 'full', bare: true, class: 'quiet' })));
    this.update({ recording, files, report });
    this.#listen(signal);
    this.#load(0, 0);
  }

  #play;
  #signal;
  #sound = h('button', { type: 'button', hidden: true, class: 'sound', title: t('sound.key'), 'aria-keyshortcuts': 'm',
    onclick: () => this.#hear(!heard) }, icon('sound-off'), h('span'));

  #make() {
    return h('video', { class: 'media', muted: !heard, playsInline: true, preload: 'auto', tabindex: -1 });
  }

  // A report tells of sound when it is finished; before that, the browser does once it has decoded some.
  #drawSound() {
    const [shape, words] = this.#sound.children;
    if (this.#report?.audio || this.video.webkitAudioDecodedByteCount > 0 || this.video.mozHasAudio)
      this.#sound.hidden = false;
    this.#sound.setAttribute('aria-pressed', String(heard));
    setIcon(shape, heard ? 'sound-on' : 'sound-off');
    say(words, t(heard ? 'sound.on' : 'sound.off'));
  }

  #hear(on) {
    if (this.#sound.hidden)
      return;
    heard = on;
    this.video.muted = !heard;
    this.#drawSound();
  }

  #speed() {
    const select = h('select', { 'aria-label': t('film.speed'), title: t('film.speed'), onchange: () => {
      this.video.defaultPlaybackRate = this.video.playbackRate = Number(select.value);
    } }, [0.25, 0.5, 1, 2, 4, 8].map(rate => h('option', { value: rate, selected: rate === 1 }, `${rate}×`)));
    return select;
  }

  // A recording that grows, or was finished meanwhile, keeps what is shown.
  update({ recording, files, report }) {
    this.#recording = recording;
    if (files) {
      this.#frames = new Frames(recording.id, files);
      this.#report = report;
      this.#frames.record(0).then(() => this.#frames.at(0)).then(found => { this.#first = found?.record ?? null; })
        .catch(() => {}).then(() => this.#identify());
      this.#marks = findMarks(report, this.#frames.count, this.length);
    }
    this.#bar.set(this.length, this.#begin(), this.#marks);
    this.#drawPosition();
  }

  #marks = [];

  #begin() {
    return this.#first ? captureTime(this.#first, this.#report, this.#first).ms : Date.parse(this.#recording.started);
  }

  // Seconds; of a session still running, those since it began.
  get length() {
    const { duration, verdict, started } = this.#recording;
    return duration ?? (verdict === 'recording' ? Math.max(0, hub.now() - Date.parse(started)) / 1000
      : this.video.duration || 0);
  }

  // Seconds of the session.
  get now() {
    const next = this.#next;
    return next && !next.waits ? next.target : this.#base / TICKS + this.video.currentTime;
  }

  #listen(signal) {
    document.addEventListener('keydown', event => this.#onKey(event), { signal });
    hub.on('tick', () => this.#lookAhead(), signal);
    signal.addEventListener('abort', () => {
      this.#asked++;
      this.#drop();
      this.#release(this.video);
    });
  }

  #say(text) {
    say(this.#note, text);
    this.#note.hidden = !text;
  }

  // Of the <video> that is seen; those of one that waits to be, or was, mean nothing.
  #follow(video) {
    const on = (name, listener) => video.addEventListener(name, () => video === this.video && listener(),
      { signal: this.#signal });
    const onFrame = (_, { mediaTime }) => {
      if (video !== this.video)
        return;
      video.requestVideoFrameCallback(onFrame);
      if (!video.seeking)
        this.#identify(mediaTime);
      this.#handOver();
    };
    video.requestVideoFrameCallback?.(onFrame);
    for (const name of ['play', 'pause', 'timeupdate', 'durationchange'])
      on(name, () => this.#drawPosition());
    on('timeupdate', () => this.#lookAhead());
    on('seeked', () => {
      const next = this.#wanted;
      this.#wanted = null;
      this.#say('');
      if (next !== null)
        return this.#go(next);
      this.#identify(video.currentTime);
    });
    on('waiting', () => this.#say(t('film.loading')));
    on('playing', () => this.#say(''));
    on('ended', () => this.#onEnded());
    on('error', () => this.#say(t('film.error', { reason: video.error?.message ?? '' })));
  }

  #release(video) {
    video.pause();
    video.removeAttribute('src');
    video.load();
  }

  #drop() {
    if (this.#next)
      this.#release(this.#next.video);
    this.#next = null;
  }

  // Opens a file behind what is seen, at `seconds` of it. `waits`: for the end of the present one.
  async #load(part, seconds, plays = false, waits = false) {
    const { id, parts, verdict } = this.#recording, grows = verdict === 'recording', video = this.#make();
    this.#wanted = null;
    this.#going = false;
    this.#drop();
    const next = this.#next = { video, part, base: 0, lead: 0, plays, waits, ready: false, open: false, seconds,
      target: this.now };
    if (!waits)
      this.video.pause();
    const place = parts.length > 1 || grows ? await this.#frames.part(part + 1).catch(() => null) : null;
    if (next !== this.#next)
      return;
    const base = place?.pts ?? 0;
    const begin = next.seconds; // the present one may have ended meanwhile
    Object.assign(next, { base, lead: grows ? place?.lead ?? 0 : 0, target: base / TICKS + begin, open: true });
    const onReady = () => {
      if (video.seeking && !video.error)
        return; // to another place
      next.ready = true;
      if (next === this.#next && !next.waits)
        this.#show();
    };
    for (const name of [begin > 0 ? 'seeked' : 'loadeddata', 'error'])
      video.addEventListener(name, onReady);
    video.defaultPlaybackRate = video.playbackRate = this.video.playbackRate;
    // A browser takes the same address for the same file, which it knows already.
    video.src = recordingFile(id, parts[part]) + (grows ? `?at=${Date.now()}` : '');
    if (begin > 0)
      video.currentTime = begin;
    setTimeout(() => next === this.#next && !next.waits && this.#say(t('film.loading')), PATIENCE_MS);
  }

  // What was opened takes the place of what is seen, as soon as it is drawn.
  #show() {
    const old = this.video, { video, part, base, lead, plays } = this.#next;
    this.#next = null;
    [this.video, this.#part, this.#base, this.#lead] = [video, part, base, lead];
    this.#say(video.error ? t('film.error', { reason: video.error.message }) : '');
    video.muted = !heard;
    old.muted = true;
    old.before(video); // under it
    const leave = () => {
      old.remove();
      this.#release(old);
    };
    if (old.readyState > 0) {
      requestAnimationFrame(() => requestAnimationFrame(leave));
      setTimeout(leave, PATIENCE_MS); // a page that is not seen draws nothing
    } else {
      leave();
    }
    this.#follow(video);
    if (plays)
      video.play().catch(() => {});
    this.#identify(video.currentTime);
    this.#drawPosition();
  }

  // The longer state of the present file goes on with the picture that the shorter one shows.
  #handOver() {
    const next = this.#next, { currentTime, playbackRate } = this.video;
    if (!next?.waits || !next.ready || next.part !== this.#part || currentTime < next.seconds - LATE_S / 2)
      return;
    if (currentTime < next.seconds + LATE_S * Math.max(1, playbackRate))
      return this.#show();
    next.ready = false; // it came too late
    next.seconds = next.video.currentTime = currentTime + AHEAD_S * playbackRate;
  }

  // What comes behind the end of the file that is open: the next part, or of a session still running what has been
  // recorded since. [part, seconds], or null.
  #beyond() {
    const { verdict, parts } = this.#recording, { duration, currentTime, ended } = this.video;
    if (this.#part + 1 < parts.length)
      return [this.#part + 1, 0];
    return verdict === 'recording' && this.length > this.#base / TICKS + duration + EDGE_S
      ? [this.#part, ended ? currentTime : Math.max(currentTime + AHEAD_S, duration - PROMISE_S)] : null;
  }

  #lookAhead() {
    const { video } = this, left = (video.duration - video.currentTime) / video.playbackRate;
    if (!this.#plays || this.#next || this.#going || video.seeking || !(left < SOON_S))
      return;
    if (video.ended)
      return this.#onEnded();
    const beyond = this.#beyond();
    if (beyond)
      this.#load(...beyond, true, true);
  }

  // A browser also calls it an end when the last picture was merely gone to.
  #onEnded() {
    if (!this.#plays)
      return null;
    const next = this.#next, beyond = this.#beyond();
    if (!next)
      return beyond && this.#load(...beyond, true);
    next.waits = false;
    if (next.part === this.#part && Math.abs(next.seconds - this.video.currentTime) > LATE_S) {
      next.ready = false;
      next.seconds = this.video.currentTime;
      if (next.open)
        next.video.currentTime = next.seconds;
    }
    return next.ready ? this.#show() : next;
  }

  seek(seconds) {
    this.#stepped = false;
    return this.#go(seconds);
  }

  async #go(seconds) {
    const asked = ++this.#asked, target = Math.min(Math.max(0, seconds), this.length || Infinity);
    this.#bar.show(target, span(target, 1));
    const opening = this.#next?.waits === false ? this.#next : null;
    if (!opening) {
      this.#drop();
      if (this.video.seeking) {
        this.#wanted = target;
        return;
      }
    }
    const { parts, verdict } = this.#recording;
    let part = 0, base = 0;
    this.#going = true;
    for (let n = 1; n < parts.length; n++) {
      const place = await this.#frames.part(n + 1).catch(() => null);
      if (!place || place.pts / TICKS > target)
        break;
      [part, base] = [n, place.pts];
    }
    if (asked !== this.#asked)
      return;
    this.#going = false;
    const { video } = this, local = target - base / TICKS, next = this.#next;
    if (next?.open && !next.waits && next.part === part) {
      Object.assign(next, { ready: false, seconds: local, target });
      next.video.currentTime = local;
    } else if (next || part !== this.#part || verdict === 'recording' && local > video.duration) {
      await this.#load(part, local, this.#plays);
    } else {
      video.currentTime = local;
    }
  }

  toggle() {
    const { video } = this, next = this.#next;
    this.#stepped = false;
    if (next && !next.waits) {
      this.#plays = next.plays = !next.plays;
      return;
    }
    this.#plays = video.paused;
    if (!this.#plays)
      return video.pause();
    // On the last picture of a file browsers differ in whether it has ended, and would begin it anew.
    const { record, after } = this.#seen ?? {};
    if (video.ended || record && after?.part !== record.part)
      return this.#onEnded() ?? (this.#recording.verdict === 'recording' ? video.play() : this.#load(0, 0, true));
    video.play().catch(() => {});
  }

  // Steps come faster than the index is read: one after another.
  step(direction) {
    this.#steps = this.#steps.then(() => this.#step(direction)).catch(() => {});
  }

  #steps = Promise.resolve();

  // Into the middle of the time for which the picture before or after is shown.
  async #step(direction) {
    this.#plays = false;
    this.video.pause();
    if (!this.#seen)
      await this.#identify(this.video.currentTime);
    const target = direction > 0 ? this.#seen?.after : this.#seen?.before;
    if (!target)
      return;
    const found = this.#seen = await this.#frames.at(target.pts), end = found.after?.pts ?? target.pts + TICKS / 50;
    this.#stepped = true;
    const middle = (target.pts + end) / 2 / TICKS;
    this.#drawTaken();
    if (target.part !== this.#part + 1)
      return this.#load(target.part - 1, middle - ((await this.#frames.part(target.part))?.pts ?? 0) / TICKS);
    return this.#go(middle + this.#lead / TICKS);
  }

  // Finds the record of the picture shown at a time of the file.
  async #identify(mediaTime = this.video.currentTime) {
    const asked = this.#identified = {}, ticks = this.#base + mediaTime * TICKS - this.#lead;
    const found = await this.#frames.at(ticks).catch(() => null);
    if (asked !== this.#identified || this.#stepped)
      return;
    this.#seen = found;
    this.#drawTaken();
    this.#drawPosition();
  }

  #identified = null;

  #drawPosition() {
    const { video } = this, position = this.now, text = span(position, 3);
    say(this.#position, `${text} / ${span(this.length)}`);
    this.#bar.show(position, text);
    this.#drawSound();
    setIcon(this.#play.firstChild, video.paused ? 'play' : 'pause');
    this.#play.title = t(video.paused ? 'film.play' : 'film.pause');
    this.#play.setAttribute('aria-label', this.#play.title);
  }

  #drawTaken() {
    if (!this.#seen) {
      say(this.#taken, '');
      return;
    }
    const { record } = this.#seen, { ms, exact } = captureTime(record, this.#report, this.#first);
    const notes = [exact ? null : t('film.arrival'), record.flags & SHIFTED ? t('film.repaired') : null]
      .filter(Boolean);
    say(this.#taken, `${day(ms)} ${clock(ms, true)}${notes.length ? ` (${notes.join(', ')})` : ''}`);
    const doubt = this.#report?.clock?.uncertainty;
    this.#taken.title = t('film.taken', { sequence: String(record.sequence),
      doubt: exact && doubt ? `± ${Math.ceil(doubt * 1000)} ms` : '' });
  }

  #onKey(event) {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey
      || document.querySelector('dialog[open]'))
      return;
    const onButton = event.target.closest('button, a, summary');
    const act = { ',': () => this.step(-1), '.': () => this.step(1), ' ': onButton ? null : () => this.toggle(),
      f: () => toggleFull(this.element), m: () => this.#hear(!heard), ArrowLeft: () => this.seek(this.now - JUMP_S),
      ArrowRight: () => this.seek(this.now + JUMP_S) }[event.key];
    if (!act)
      return;
    event.preventDefault();
    act();
  }
}
