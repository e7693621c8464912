// The hub's REST interface and its events. Errors come as words for people: `message`, and `field` where one is to
// blame. The events socket comes back by itself, with growing pauses, and takes silence for a lost connection.
import { Emitter } from './dom.js';
import { t } from './i18n.js';

const PATIENCE_MS = 15000, SILENCE_MS = 7000, PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15000];

export class ApiError extends Error {
  constructor(message, status, field) {
    super(message);
    Object.assign(this, { status, field });
  }
}

async function request(method, path, body) {
  let response, answer = null;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method, cache: 'no-store', signal: AbortSignal.timeout?.(PATIENCE_MS),
      ...body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } },
    });
    if (response.status !== 204)
      answer = await response.json().catch(() => null);
  } catch {
    throw new ApiError(t('error.network'), 0);
  }
  if (response.ok)
    return answer;
  const { message, field } = answer?.error ?? {};
  throw new ApiError(t('error.refused', { message: message ?? `HTTP ${response.status}` }), response.status, field);
}

const part = encodeURIComponent;
export const api = {
  status: () => request('GET', 'status'),
  camera: name => request('GET', `cameras/${part(name)}`),
  dismiss: name => request('DELETE', `cameras/${part(name)}`),
  command: body => request('POST', 'commands', body),
  recordings: query => request('GET', `recordings?${new URLSearchParams(query)}`),
  recording: id => request('GET', `recordings/${part(id)}`),
  remove: id => request('DELETE', `recordings/${part(id)}`),
};

export function recordingFile(id, file) {
  return `/recordings/${part(id)}/${part(file)}`;
}

export function socketAddress(path) {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`;
}

// How far the hub's clock is ahead of ours, in ms: of a few questions the one that was answered soonest lies nearest.
export async function measureOffset(questions = 5) {
  const seen = [];
  for (let n = 0; n < questions; n++) {
    const asked = Date.now(), begin = performance.now(), status = await api.status();
    const trip = performance.now() - begin;
    seen.push({ trip, offset: Date.parse(status.time) - (asked + trip / 2) });
  }
  const best = seen.sort((a, b) => a.trip - b.trip).slice(0, 3).map(one => one.offset).sort((a, b) => a - b);
  return best[best.length >> 1];
}

// Emits 'open', 'message' (object), 'lost' (ms until the next try).
export class Events extends Emitter {
  #socket = null;
  #timer = 0;
  #failures = 0;

  open() {
    clearTimeout(this.#timer);
    this.#drop();
    const socket = this.#socket = new WebSocket(socketAddress('/api/v1/events'));
    socket.onmessage = ({ data }) => {
      this.#expect();
      let message = null;
      try {
        message = JSON.parse(data);
      } catch { /* not ours to judge */ }
      if (message)
        this.emit('message', message);
    };
    socket.onopen = () => {
      this.#failures = 0;
      this.emit('open');
    };
    socket.onclose = () => this.#retry();
    this.#expect();
  }

  #drop() {
    if (this.#socket)
      this.#socket.onmessage = this.#socket.onopen = this.#socket.onclose = null;
    this.#socket?.close();
    this.#socket = null;
  }

  #expect() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#retry(), SILENCE_MS);
  }

  #retry() {
    this.#drop();
    clearTimeout(this.#timer);
    const pause = PAUSES_MS[Math.min(this.#failures++, PAUSES_MS.length - 1)];
    this.#timer = setTimeout(() => this.open(), pause);
    this.emit('lost', pause);
  }
}
