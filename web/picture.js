// One camera's live picture: a player, its <video> or <canvas>, and words over it whenever what is seen is not live.
// A picture that stands still is drawn grey with its reason, never bare. Emits 'figures' as the player measures them,
// and 'sound' (player.js) as it changes.
import { button, Emitter, h, say } from './dom.js';
import { hub, isOver } from './hub.js';
import { since, t } from './i18n.js';
import { socketAddress } from './api.js';
import { JpegPlayer } from './jpeg_player.js';
import { LivePlayer } from './player.js';
import { runs, sourceNote } from './source.js';

const STALL_MS = 2000, LINES = 6;

export class Picture extends Emitter {
  #camera;
  #kind = null;
  #player = null;
  #state = 'idle';
  #reason = '';
  #stalledAt = 0;
  #sound = false;
  #parked = false;
  #words = h('p');
  #error = h('p', { class: 'why-not' });
  #lines = h('pre', { class: 'last' });
  #again = button(t('source.again'), () => this.again(), { shape: 'again' });
  #note = h('div', { class: 'note' }, this.#words, this.#error, this.#lines, this.#again);
  lines = []; // the last that a source's ffmpeg said, to be shown when it fails

  constructor(camera) {
    super();
    this.element = h('div', { class: 'picture' }, this.#note);
    this.update(camera);
  }

  update(camera) {
    const before = this.#camera?.source;
    this.#camera = camera;
    if (before && camera.source)
      this.#follow(before, camera.source);
    if (camera.kind !== this.#kind) {
      const running = this.running;
      this.stop();
      this.#kind = camera.kind;
      this.#makeMedia();
      if (running)
        this.start();
    }
    this.draw();
  }

  // A source that is over is left alone until somebody has made it run: a player that stays connects anew now and then,
  // and each time the hub would take it for somebody who wants to see it tried again.
  #follow(before, source) {
    if (this.running && isOver(source) && before.since !== source.since) {
      this.stop();
      this.#parked = true;
    } else if (this.#parked && runs(source)) {
      this.start();
    }
  }

  #makeMedia() {
    this.media?.remove();
    this.media = this.#kind === 'jpeg' ? h('canvas', { class: 'media' })
      : h('video', { class: 'media', muted: true, playsInline: true, disablePictureInPicture: true, tabindex: -1 });
    this.media.setAttribute('aria-hidden', 'true');
    this.element.prepend(this.media);
  }

  get running() {
    return this.#player !== null;
  }

  start() {
    if (this.#player)
      return;
    this.#parked = false;
    const query = this.#kind === 'jpeg' ? '?format=mjpeg' : '',
      Player = this.#kind === 'jpeg' ? JpegPlayer : LivePlayer;
    const player = this.#player = new Player({
      url: socketAddress(`/live/${encodeURIComponent(this.#camera.name)}${query}`),
      media: this.media, clockOffset: () => hub.offset,
    });
    const ours = listener => (...values) => player === this.#player && listener(...values);
    player.on('state', ours((state, detail) => this.#setState(state, detail?.reason)));
    player.on('figures', ours(figures => this.emit('figures', figures)));
    player.on('size', ours(size => this.emit('size', size)));
    player.on('sound', ours(sound => this.emit('sound', sound)));
    if (this.#sound)
      player.sound = true;
    this.#setState('connecting');
    player.start();
  }

  stop() {
    const player = this.#player;
    this.#parked = false;
    this.#player = null;
    player?.stop();
    this.#setState('idle');
  }

  // A new viewer: a source that was given up, or has ended, is tried again.
  again() {
    this.stop();
    this.start();
  }

  set sound(on) {
    this.#sound = on;
    if (this.#player && this.#kind !== 'jpeg')
      this.#player.sound = on;
  }

  #setState(state, reason = '') {
    if (state === 'stalled' && this.#state !== 'stalled')
      this.#stalledAt = Date.now() - STALL_MS;
    this.#state = state;
    this.#reason = reason;
    this.draw();
  }

  // Once per second, and when something changed.
  draw() {
    const note = this.#camera.source && sourceNote(this.#camera, this.running) || { words: this.#says(), error: '' };
    const lines = note.error || note.again ? this.lines.slice(-LINES).join('\n') : '';
    this.element.dataset.live = note.words === '';
    say(this.#words, note.words);
    say(this.#error, note.error);
    say(this.#lines, lines);
    this.#error.hidden = note.error === '';
    this.#lines.hidden = lines === '';
    this.#again.hidden = !note.again;
    this.#note.hidden = note.words === '';
  }

  #says() {
    const { state, source, since: time } = this.#camera;
    if (state === 'lost')
      return t('lost.since', { time: since(time) });
    const sends = source ? runs(source) : state === 'recording' || state === 'capturing';
    switch (this.#state) {
      case 'playing': return sends ? '' : t('picture.none'); // what plays is what the hub still had
      case 'waiting': return t(sends ? 'picture.waiting' : 'picture.none');
      case 'stalled':
        return sends ? t('picture.stalled', { n: Math.floor((Date.now() - this.#stalledAt) / 1000) })
          : t('picture.none');
      case 'closed': return t('picture.closed', { reason: this.#reason });
      default: return t('picture.connecting');
    }
  }
}
