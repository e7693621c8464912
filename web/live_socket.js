// What the two live players share: a connection that comes back by itself, and a player's state and figures.

const FIRST_PAUSE_MS = 250, LONGEST_PAUSE_MS = 5000;
const REFUSED_PAUSE_MS = 10000; // the hub said no for good; yet a camera may appear
const OPEN_LIMIT_MS = 8000; // for a connection to come about
const SILENCE_MS = 10000, LONGEST_SILENCE_MS = 40000; // before a connection without messages is tried anew
const STALLED_MS = 2000;
const TICK_MS = 250, FIGURES_MS = 1000;
const POLICY_VIOLATION = 1008, UNSUPPORTED_DATA = 1003;

export const isRefusal = code => code === POLICY_VIOLATION || code === UNSUPPORTED_DATA;

// A WebSocket to the hub, kept up until stop(). A connection on which nothing comes may be dead without either side
// knowing (a hub that lost its power says no farewell, and a viewer never sends): a second one is then opened beside
// it and takes its place.
//
// handlers: open() on each new connection, text(object), binary(ArrayBuffer), lost(code, reason).
export class LiveSocket {
  #url;
  #handlers;
  #socket = null; // in use
  #next = null; // being opened
  #started = false;
  #failures = 0;
  #retryTimer = 0;
  #openTimer = 0;
  #silence = SILENCE_MS;
  #lastMessage = 0;
  #wake = () => this.#retryNow();
  #wakeIfVisible = () => { if (!document.hidden) this.#retryNow(); };

  constructor(url, handlers) {
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace('http', 'ws');
    this.#handlers = handlers;
  }

  start() {
    if (this.#started)
      return;
    this.#started = true;
    this.#failures = 0;
    this.#silence = SILENCE_MS;
    addEventListener('online', this.#wake);
    document.addEventListener('visibilitychange', this.#wakeIfVisible);
    this.#open();
  }

  stop() {
    this.#started = false;
    removeEventListener('online', this.#wake);
    document.removeEventListener('visibilitychange', this.#wakeIfVisible);
    this.#release();
  }

  // Gives up the connection and opens another after a while (by default the pause of a lost one).
  again(pauseMs = this.#pause()) {
    this.#release();
    this.#retryTimer = setTimeout(() => this.#retryNow(), pauseMs);
  }

  // To be called now and then.
  watch() {
    const silent = performance.now() - this.#lastMessage;
    if (!this.#socket || this.#next || silent < this.#silence)
      return;
    this.#silence = Math.min(this.#silence * 2, LONGEST_SILENCE_MS);
    this.#lastMessage = performance.now();
    this.#open();
  }

  #pause() {
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures++;
    return pause * (0.8 + 0.2 * Math.random()); // not all viewers of a hub in the same instant
  }

  #retryNow() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    if (this.#started && !this.#socket && !this.#next)
      this.#open();
  }

  #open() {
    const socket = new WebSocket(this.#url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#opened(socket);
    socket.onclose = event => this.#closed(socket, event);
    this.#next = socket;
    this.#openTimer = setTimeout(() => this.#closed(socket, { code: 1006, reason: '' }), OPEN_LIMIT_MS);
  }

  #opened(socket) {
    clearTimeout(this.#openTimer);
    this.#discard(this.#socket);
    this.#socket = socket;
    this.#next = null;
    this.#lastMessage = performance.now();
    socket.onmessage = event => this.#message(event.data);
    this.#handlers.open();
  }

  #message(data) {
    this.#lastMessage = performance.now();
    if (typeof data !== 'string') {
      this.#failures = 0;
      return this.#handlers.binary(data);
    }
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message && typeof message === 'object')
      this.#handlers.text(message);
  }

  // Pictures are being shown that are news: this camera is worth quick attempts.
  alive() {
    this.#silence = SILENCE_MS;
  }

  #closed(socket, { code, reason }) {
    this.again(isRefusal(code) ? REFUSED_PAUSE_MS : undefined);
    this.#discard(socket);
    this.#handlers.lost(code, reason);
  }

  #release() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#openTimer);
    this.#discard(this.#socket);
    this.#discard(this.#next);
    this.#socket = this.#next = null;
  }

  #discard(socket) {
    if (!socket)
      return;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
  }
}

// Pictures per second of the last two seconds.
class Pace {
  #times = [];

  add(count, now) {
    for (; count > 0; count--)
      this.#times.push(now);
    this.#times = this.#times.filter(time => now - time < 2000);
  }

  rate(now) {
    this.add(0, now);
    const span = (this.#times.at(-1) - this.#times[0]) / 1000;
    return span > 0 ? Math.round((this.#times.length - 1) / span * 10) / 10 : this.#times.length / 2;
  }
}

// The value that a share of all values do not exceed; null if there are none.
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? null;
}

// The base of both players: events, states, figures. A player says what it saw by shown() and dropped().
export class LiveView {
  #listeners = new Map();
  #state = null;
  #timer = 0;
  #lastNews = 0;
  #lastFigures = 0;
  #pace = new Pace();
  #latencies = [];
  #counts;
  #behind = 0;

  constructor(url) {
    this.socket = new LiveSocket(url, {
      open: () => this.#opened(),
      text: message => this.text(message),
      binary: data => this.binary(data),
      lost: (code, reason) => this.#lost(code, reason),
    });
  }

  // Calls fn at each event of that name; returns a function that ends it.
  on(name, fn) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(fn));
    return () => set.delete(fn);
  }

  emit(name, ...values) {
    for (const fn of [...this.#listeners.get(name) ?? []])
      fn(...values);
  }

  get running() {
    return this.#timer !== 0;
  }

  start() {
    if (this.running)
      return;
    this.#counts = { dropped: 0, shown: 0 };
    this.#pace = new Pace();
    this.#lastFigures = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.begin();
    this.setState('connecting');
    if (this.running) // a listener may have called stop()
      this.socket.start();
  }

  stop() {
    if (!this.running)
      return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#state = null;
    this.socket.stop();
    this.end();
  }

  setState(state, detail = {}) {
    if (state === this.#state && state !== 'closed')
      return;
    this.#state = state;
    this.emit('state', state, detail);
  }

  // `count` more pictures are on the screen. latency and behind: seconds, of the last of them; latency null if
  // unknown. `news` is false for a picture that was shown before.
  shown(count, { latency = null, behind, news = true }) {
    const now = performance.now();
    this.#counts.shown += count;
    this.#pace.add(count, now);
    this.#behind = Math.max(0, behind);
    if (latency !== null)
      this.#latencies.push(latency);
    if (!news)
      return;
    this.#lastNews = now;
    this.socket.alive();
    this.setState('playing');
  }

  // Pictures come that nobody can see (a hidden page): no stall.
  unseen() {
    this.#lastNews = performance.now();
    this.socket.alive();
  }

  dropped(frames) {
    if (Number.isFinite(frames))
      this.#counts.dropped += frames;
  }

  #opened() {
    if (this.#state === 'connecting' || this.#state === 'closed')
      this.setState('waiting');
    this.opened();
  }

  #lost(code, reason) {
    this.lost();
    if (isRefusal(code))
      this.setState('closed', { code, reason });
    else
      this.setState('connecting');
  }

  #tick() {
    const now = performance.now();
    this.socket.watch();
    if (this.#state === 'playing' && now - this.#lastNews >= STALLED_MS)
      this.setState('stalled');
    this.tick(now);
    if (!this.running || now - this.#lastFigures < FIGURES_MS - TICK_MS / 2)
      return;
    this.#lastFigures = now;
    const latency = quantile(this.#latencies, 0.5);
    this.#latencies = [];
    this.emit('figures', { fps: this.#pace.rate(now), latency, behind: this.#behind, ...this.#counts,
      ...this.moreFigures?.() });
  }

  // For players to fill in.
  begin() {}
  end() {}
  opened() {}
  lost() {}
  tick() {}
}
