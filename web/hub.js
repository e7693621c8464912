// What the page knows of the hub: cameras, status, log, answers, the selection. One object that everything else
// looks at and listens to; it is fed by the events socket and outlives lost connections.
// Emits: online (bool), cameras (some came or went), camera (one), figures, status, answer (name), log (new lines),
// recording, recording_deleted, selection, tick (each second).
import { api, Events, measureOffset } from './api.js';
import { Emitter } from './dom.js';

const LOG_LINES = 2000, ANSWERS = 50, MEASURE_MS = 600000, SILENT_S = 3;
// Of a source or an output: it should run, and does not.
export const fails = ({ state }) => state === 'waiting' || state === 'given_up';
// Of a source: only somebody new makes the hub try it again.
export const isOver = ({ state }) => state === 'given_up' || state === 'ended';
const byName = new Intl.Collator('en', { numeric: true }).compare;

class Hub extends Emitter {
  cameras = new Map();
  selected = new Set();
  status = null;
  statusAt = 0;
  log = [];
  answers = new Map();
  online = null; // null: not yet known
  retryAt = 0;
  offset = 0;
  #events = new Events();
  #fresh = true;

  start() {
    this.#events.on('open', () => this.#opened());
    this.#events.on('message', message => this.#take(message));
    this.#events.on('lost', pause => {
      this.retryAt = Date.now() + pause;
      this.#setOnline(false);
    });
    this.#events.open();
    setInterval(() => this.emit('tick'), 1000);
    setInterval(() => this.#measure(), MEASURE_MS);
    addEventListener('online', () => this.retry());
  }

  retry() {
    if (!this.online)
      this.#events.open();
  }

  // Milliseconds since 1970 by the hub's clock.
  now() {
    return Date.now() + this.offset;
  }

  list() {
    return [...this.cameras.values()].sort((a, b) => byName(a.name, b.name));
  }

  connected() {
    return this.list().filter(camera => camera.state !== 'lost');
  }

  isSilent({ state, figures }) {
    return (state === 'recording' || state === 'capturing') && figures.age > SILENT_S;
  }

  isFailing({ source }) {
    return Boolean(source) && fails(source);
  }

  select(name, on) {
    on ? this.selected.add(name) : this.selected.delete(name);
    this.emit('selection');
  }

  clearSelection() {
    this.selected.clear();
    this.emit('selection');
  }

  // Sends a command and shows on each camera what became of it.
  async command(body) {
    const { results } = await api.command(body);
    for (const { camera, outcome, sent } of results)
      this.#answered(camera, { outcome, text: sent ?? '', error: outcome !== 'sent', time: this.now() });
    return results;
  }

  #opened() {
    this.#fresh = true;
    this.#setOnline(true);
    this.#measure();
  }

  #setOnline(online) {
    this.online = online;
    this.emit('online', online);
  }

  #measure() {
    measureOffset().then(offset => { this.offset = offset; }, () => {});
  }

  #take(message) {
    switch (message.type) {
      case 'cameras':
        message.cameras.forEach(camera => this.#prepare(camera));
        this.cameras = new Map(message.cameras.map(camera => [camera.name, camera]));
        return this.#rosterChanged();
      case 'camera': {
        const { camera } = message, known = this.cameras.has(camera.name);
        this.#prepare(camera);
        this.cameras.set(camera.name, camera);
        return known ? this.emit('camera', camera) : this.#rosterChanged();
      }
      case 'camera_removed':
        this.cameras.delete(message.name);
        return this.#rosterChanged();
      case 'figures':
        for (const [name, figures] of Object.entries(message.cameras))
          if (this.cameras.has(name))
            this.cameras.get(name).figures = figures;
        return this.emit('figures');
      case 'status':
        this.status = message.status;
        this.statusAt = Date.now();
        return this.emit('status');
      case 'answer':
        return this.#answered(message.camera, { ...message.answer, time: Date.parse(message.answer.time) });
      case 'log':
        return this.#logged(message.lines);
      case 'recording':
        return this.emit('recording', message.recording);
      case 'recording_deleted':
        return this.emit('recording_deleted', message.id);
    }
  }

  #rosterChanged() {
    for (const name of this.selected)
      if (!this.cameras.has(name))
        this.selected.delete(name);
    this.emit('cameras');
    this.emit('selection');
  }

  // `at`: when the hub said so, by this clock. Once nobody looks any more, a source that was over is merely stopped
  // for the hub; that it was over is what those want to know who looked until then.
  #prepare(camera) {
    const { name, answer, source } = camera, before = this.cameras.get(name)?.source;
    camera.at = Date.now();
    if (source?.state === 'stopped' && before && isOver(before))
      Object.assign(source, { state: before.state, since: before.since });
    if (answer && !this.answers.has(name))
      this.answers.set(name, [{ ...answer, time: Date.parse(answer.time) }]);
  }

  #answered(name, answer) {
    const all = this.answers.get(name) ?? [], last = all.at(-1);
    if (last && last.time === answer.time && last.text === answer.text)
      return;
    this.answers.set(name, [...all.slice(1 - ANSWERS), answer]);
    this.emit('answer', name);
  }

  // After a lost connection the hub tells its last lines again: those that are known are left out.
  #logged(lines) {
    if (this.#fresh && this.log.length) {
      const last = this.log.at(-1).time, known = new Set(this.log.filter(line => line.time === last)
        .map(line => line.text));
      lines = lines.filter(line => line.time > last || line.time === last && !known.has(line.text));
    }
    this.#fresh = false;
    this.log.push(...lines);
    this.log.splice(0, this.log.length - LOG_LINES);
    this.emit('log', lines);
  }
}

export const hub = new Hub();
