// One camera's live picture: a player, its <video> or <canvas>, and words over it whenever what is seen is not live.
// A picture that stands still is drawn grey with its reason, never bare. Emits 'figures' as the player measures them.
import { Emitter, h, say } from './dom.js';
import { hub } from './hub.js';
import { since, t } from './i18n.js';
import { socketAddress } from './api.js';
import { JpegPlayer } from './jpeg_player.js';
import { LivePlayer } from './player.js';

const STALL_MS = 2000;

export class Picture extends Emitter {
  #camera;
  #kind = null;
  #player = null;
  #state = 'idle';
  #reason = '';
  #stalledAt = 0;
  #note = h('p', { class: 'note' });

  constructor(camera) {
    super();
    this.element = h('div', { class: 'picture' }, this.#note);
    this.update(camera);
  }

  update(camera) {
    this.#camera = camera;
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
    this.#setState('connecting');
    player.start();
  }

  stop() {
    const player = this.#player;
    this.#player = null;
    player?.stop();
    this.#setState('idle');
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
    const words = this.#words();
    this.element.dataset.live = words === '';
    say(this.#note, words);
    this.#note.hidden = words === '';
  }

  #words() {
    const { state, since: time } = this.#camera;
    if (state === 'lost')
      return t('lost.since', { time: since(time) });
    const sends = state === 'recording' || state === 'capturing';
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
