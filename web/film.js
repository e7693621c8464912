// Plays a recording from its files, also while it is being recorded: parts one after another on one time bar, single
// pictures forth and back, and for the picture that is seen the time at which it was taken, to the millisecond.
import { recordingFile } from './api.js';
import { button, h, isTyping, say, setIcon } from './dom.js';
import { captureTime, Frames, SHIFTED, TICKS } from './frames.js';
import { hub } from './hub.js';
import { clock, day, span, t } from './i18n.js';
import { toggleFull } from './camera.js';
import { findMarks, TimeBar } from './timebar.js';

const JUMP_S = 5, EDGE_S = 0.5;

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
  #plays = false; // what the viewer wants
  #stepped = false; // what is seen is known: pictures on the way there come late
  #wanted = null; // a seek that waits for the one under way
  #bar = new TimeBar(seconds => this.seek(seconds));
  #note = h('p', { class: 'note', hidden: true });
  #position = h('span', { class: 'figure' });
  #taken = h('span', { class: 'figure taken' });

  constructor({ recording, files, report }, signal) {
    this.#recording = recording;
    this.video = h('video', { class: 'media', muted: true, playsInline: true, preload: 'auto', tabindex: -1 });
    this.#play = button(t('film.play'), () => this.toggle(), { shape: 'play', bare: true });
    this.element = h('div', { class: 'film' }, h('div', { class: 'screen' }, this.video, this.#note), this.#bar.element,
      h('div', { class: 'row controls' },
        button(t('film.back'), () => this.step(-1), { shape: 'previous', bare: true, 'aria-keyshortcuts': ',' }),
          this.#play,
        button(t('film.forth'), () => this.step(1), { shape: 'next', bare: true, 'aria-keyshortcuts': '.' }),
        this.#position, this.#taken, this.#speed(),
        button(t('full'), () => toggleFull(this.element), { shape: 'full', bare: true, class: 'quiet' })));
    this.update({ recording, files, report });
    this.#listen(signal);
    this.#load(0, 0);
  }

  #play;

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
    return this.#base / TICKS + this.video.currentTime;
  }

  #listen(signal) {
    const { video } = this, options = { signal };
    const onFrame = (_, { mediaTime }) => {
      video.requestVideoFrameCallback(onFrame);
      if (!video.seeking)
        this.#identify(mediaTime);
    };
    video.requestVideoFrameCallback?.(onFrame);
    const note = text => {
      say(this.#note, text);
      this.#note.hidden = !text;
    };
    const draw = () => this.#drawPosition();
    for (const name of ['play', 'pause', 'timeupdate', 'durationchange'])
      video.addEventListener(name, draw, options);
    video.addEventListener('seeked', () => {
      const next = this.#wanted;
      this.#wanted = null;
      note('');
      if (next !== null)
        return this.#go(next);
      this.#identify(video.currentTime);
    }, options);
    video.addEventListener('waiting', () => note(t('film.loading')), options);
    video.addEventListener('playing', () => note(''), options);
    video.addEventListener('loadeddata', () => note(''), options);
    video.addEventListener('ended', () => this.#onEnded(), options);
    video.addEventListener('error', () => note(t('film.error', { reason: video.error?.message ?? '' })), options);
    document.addEventListener('keydown', event => this.#onKey(event), options);
    signal.addEventListener('abort', () => {
      video.pause();
      video.removeAttribute('src');
      video.load();
    });
  }

  async #load(part, seconds, plays = false) {
    const { id, parts, verdict } = this.#recording, asked = ++this.#asked, grows = verdict === 'recording';
    this.#wanted = null;
    const place = parts.length > 1 || grows ? await this.#frames.part(part + 1).catch(() => null) : null;
    if (asked !== this.#asked)
      return;
    this.#part = part;
    this.#base = place?.pts ?? 0;
    this.#lead = grows ? place?.lead ?? 0 : 0;
    this.video.src = recordingFile(id, parts[part]);
    if (seconds > 0)
      this.video.currentTime = seconds;
    if (plays)
      this.video.play().catch(() => {});
  }

  // The next part; of a session still running, what has been recorded since this file was opened. A browser also
  // calls it an end when the last picture was merely gone to.
  #onEnded() {
    if (!this.#plays)
      return null;
    if (this.#part + 1 < this.#recording.parts.length)
      return this.#load(this.#part + 1, 0, true);
    if (this.#recording.verdict === 'recording' && this.length > this.now + EDGE_S)
      return this.#load(this.#part, this.video.currentTime, true);
    return null;
  }

  seek(seconds) {
    this.#stepped = false;
    return this.#go(seconds);
  }

  async #go(seconds) {
    const { video } = this, asked = ++this.#asked, target = Math.min(Math.max(0, seconds), this.length || Infinity);
    this.#bar.show(target, span(target, 1));
    if (video.seeking) {
      this.#wanted = target;
      return;
    }
    const { parts } = this.#recording;
    let part = 0, base = 0;
    for (let n = 1; n < parts.length; n++) {
      const place = await this.#frames.part(n + 1).catch(() => null);
      if (!place || place.pts / TICKS > target)
        break;
      [part, base] = [n, place.pts];
    }
    if (asked !== this.#asked)
      return;
    const local = target - base / TICKS, beyond = Number.isFinite(video.duration) && local > video.duration;
    if (part !== this.#part || beyond && this.#recording.verdict === 'recording')
      await this.#load(part, local, !video.paused);
    else
      video.currentTime = local;
  }

  toggle() {
    const { video } = this;
    this.#plays = video.paused;
    this.#stepped = false;
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
      f: () => toggleFull(this.element), ArrowLeft: () => this.seek(this.now - JUMP_S),
      ArrowRight: () => this.seek(this.now + JUMP_S) }[event.key];
    if (!act)
      return;
    event.preventDefault();
    act();
  }
}
