// A hub that is not one: serves web/ and answers the API of docs/openapi.json from memory, with events and live
// pictures (docs/live-protocol.md), so that the console page can be looked at and tested without cameras.
//
//   node mock_hub.js [PORT] [empty|sources]     to look at it; `empty` has no cameras, `sources` others
//
// In tests: hub = await new MockHub({ cameras, recordings }).start(), then hub.url; hub.requests holds what was asked.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOSTILE, makeCamera, makeCameras, makeLog, makeRecording, makeReport, makeSources, makeStatistics, makeStatus }
  from './mock_data.js';
import { fragmentAt, makeIndex, makeMedia } from './mock_media.js';
import { MockSocket } from './mock_ws.js';

const WEB = fileURLToPath(new URL('../../web/', import.meta.url)), DEVICE_MS = 5000000, UNCERTAINTY = 0.004;
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; " +
  "media-src 'self' blob:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8',
  mp4: 'video/mp4', jpg: 'image/jpeg', json: 'application/json', svg: 'image/svg+xml',
    idx: 'application/octet-stream' };
let sharedMedia = null;

export class MockHub {
  constructor({ cameras = makeCameras(), recordings = 1000, latency = 0 } = {}) {
    this.media = sharedMedia ??= makeMedia();
    this.cameras = new Map(cameras.map(camera => [camera.name, camera]));
    this.begun = Date.now();
    this.latency = latency;
    this.requests = [];
    this.sockets = new Set();
    this.events = new Set();
    this.viewers = new Map();
    this.frozen = new Set();
    this.log = makeLog(this.begun, 200);
    this.wakes = false; // a new viewer starts a source
    this.statusChange = {};
    this.refuses = false;
    this.failing = false; // answers everything but the page with 500 and no JSON
    const [film, second] = this.media.films;
    this.recordings = Array.from({ length: recordings }, (_, n) => makeRecording(n, this.begun, { length: film.length,
      frames: film.pictures.length }));
    if (recordings > 3) {
      Object.assign(this.recordings[1], { parts: ['stream.mp4', 'stream_2.mp4'],
        duration: film.length + second.length });
      Object.assign(this.recordings[0], { verdict: 'recording', ended: null, reason: 'being recorded' });
    }
  }

  async start(port = 0) {
    this.server = createServer((request, response) => this.#answer(request, response));
    this.server.on('upgrade', (request, socket) => this.#upgrade(request, socket));
    this.server.on('connection', socket => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise(resolve => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    this.timers = [setInterval(() => this.#figures(), 1000), setInterval(() => this.#status(), 2000),
      setInterval(() => this.#pictures(), 100)];
    return this;
  }

  async stop() {
    this.timers.forEach(clearInterval);
    for (const socket of this.sockets)
      socket.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }

  // What tests do to it.

  event(message) {
    for (const socket of this.events)
      socket.send(message);
  }

  setCamera(name, change = {}) {
    const known = this.cameras.get(name), now = new Date().toISOString();
    const camera = known ? { ...known, ...change, ...change.state && change.state !== known.state && { since: now } }
      : makeCamera(name, change.state ?? 'connected', Date.now(), change);
    this.cameras.set(name, camera);
    this.event({ type: 'camera', camera });
  }

  answer(name, text, error = false) {
    const answer = { text, error, time: new Date().toISOString() };
    this.cameras.get(name).answer = answer;
    this.event({ type: 'answer', camera: name, answer });
  }

  say(level, tag, text) {
    const line = { time: new Date().toISOString(), level, tag, text };
    this.log.push(line);
    this.event({ type: 'log', lines: [line] });
  }

  changeRecording(id, change) {
    const recording = Object.assign(this.recordings.find(one => one.id === id) ?? {}, change);
    this.event({ type: 'recording', recording });
  }

  addRecording(recording) {
    this.recordings.unshift(recording);
    this.event({ type: 'recording', recording });
  }

  // As if the hub were gone: nothing is answered until it is called with false.
  vanish(gone = true) {
    this.refuses = gone;
    if (gone)
      for (const socket of this.sockets)
        socket.destroy();
  }

  // What goes on by itself.

  #figures() {
    const figures = {};
    for (const [name, camera] of this.cameras) {
      const runs = this.#runs(camera), wave = Math.sin(Date.now() / 3000 + name.length);
      if (runs)
        Object.assign(camera.figures, { fps: Math.round((9.8 + wave * 0.3) * 10) / 10,
          bitrate: Math.round(3.9e6 + wave * 2e5),
          frames: camera.figures.frames + 10, age: 0.05 });
      else if (camera.figures.age !== null)
        camera.figures.age += 1;
      figures[name] = camera.figures;
    }
    if (this.cameras.size)
      this.event({ type: 'figures', cameras: figures });
  }

  #runs({ name, state }) {
    return (state === 'recording' || state === 'capturing') && !this.frozen.has(name);
  }

  status() {
    return makeStatus(Date.now(), [...this.cameras.values()], { port: this.port, ...this.statusChange });
  }

  #status() {
    this.event({ type: 'status', status: this.status() });
  }

  #pictures() {
    for (const [socket, viewer] of this.viewers) {
      const camera = this.cameras.get(viewer.name);
      if (!camera || !this.#runs(camera) || socket.slow)
        continue;
      const { live, sound, jpegs } = this.media, n = viewer.count++;
      if (viewer.sound)
        this.#sound(socket, viewer, sound);
      else if (viewer.mjpeg)
        socket.send(jpegs[n % jpegs.length]);
      else
        socket.send(fragmentAt(live.fragments[n % live.fragments.length], n * 90000 / live.rate));
    }
  }

  // All that was taken since the last time.
  #sound(socket, viewer, { messages, seconds }) {
    const now = (Date.now() - viewer.begun) / 1000;
    for (;; viewer.next++) {
      const round = Math.floor(viewer.next / messages.length) * seconds;
      const message = messages[viewer.next % messages.length];
      if (message.time + round > now)
        break;
      if (!message.sound || viewer.sound.audio)
        socket.send(message.at(round));
    }
  }

  #wake(name, camera) {
    const starts = ['stopped', 'given_up', 'ended'].includes(camera.source.state);
    if (!this.wakes || !starts)
      return;
    const change = source => ({ source: { ...this.cameras.get(name).source, error: null, retry: null, ...source } });
    this.setCamera(name, change({ state: 'starting' }));
    setTimeout(() => this.setCamera(name, { state: 'capturing', ...change({ state: 'running' }) }), 300);
  }

  // WebSockets.

  #upgrade(request, raw) {
    if (this.refuses)
      return raw.destroy();
    const url = new URL(request.url, this.url), socket = new MockSocket(request, raw);
    if (url.pathname === '/api/v1/events')
      return this.#openEvents(socket);
    const name = url.pathname.startsWith('/live/') ? decodeURIComponent(url.pathname.slice(6)) : null;
    const camera = this.cameras.get(name), mjpeg = url.searchParams.get('format') === 'mjpeg';
    if (!camera || (camera.kind === 'jpeg') !== mjpeg)
      return socket.close(1008, camera ? 'this camera has no such format' : 'no such camera');
    const { live, sound } = this.media, heard = Boolean(camera.source), begun = Date.now() - 120;
    socket.send({ type: 'stream', mime: mjpeg ? 'image/jpeg' : heard ? sound.mime : live.mime, width: 640, height: 360,
      timescale: 90000, audio: heard ? sound.audio : null, time: { ticks: 0, unix_us: begun * 1000 } });
    if (!mjpeg)
      socket.send(heard ? sound.init : live.init);
    this.viewers.set(socket, { name, mjpeg, count: 0, sound: heard && { audio: sound.audio }, begun, next: 0 });
    if (camera.source)
      this.#wake(name, camera);
    this.requests.push({ method: 'LIVE', path: name });
    socket.onclose = () => this.viewers.delete(socket);
  }

  #openEvents(socket) {
    this.events.add(socket);
    socket.onclose = () => this.events.delete(socket);
    socket.send({ type: 'cameras', cameras: [...this.cameras.values()] });
    socket.send({ type: 'log', lines: this.log.slice(-200) });
    socket.send({ type: 'status', status: this.status() });
  }

  // HTTP.

  async #answer(request, response) {
    if (this.refuses)
      return response.destroy();
    let body = '';
    for await (const chunk of request)
      body += chunk;
    const url = new URL(request.url, this.url), { method } = request;
    this.requests.push({ method, path: url.pathname, query: Object.fromEntries(url.searchParams),
      body: body && JSON.parse(body),
      range: request.headers.range });
    if (this.latency)
      await new Promise(resolve => setTimeout(resolve, this.latency));
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const send = (status, data, type = 'json', more = {}) => {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data === undefined ? '' : typeof data === 'string' ? data
        : JSON.stringify(data));
      response.writeHead(status, { 'Content-Type': TYPES[type] ?? 'application/octet-stream',
        'Content-Length': bytes.length,
        'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff', ...more }).end(bytes);
    };
    const fail = (status, code, message, field) => send(status, { error: { code, message, ...field && { field } } });
    if (url.pathname === '/' || url.pathname === '/dev')
      return this.#page('index.html', request, send);
    if (parts[0] === 'console' && existsSync(path.join(WEB, path.basename(parts[1] ?? '-'))))
      return this.#page(path.basename(parts[1]), request, send);
    if (this.failing)
      return send(500, '<!doctype html><h1>500</h1>', 'html');
    if (parts[0] === 'recordings')
      return this.#file(parts, request, send, fail);
    if (parts[0] === 'api' && parts[1] === 'v1')
      return this.#api(method, parts.slice(2), url.searchParams, body && JSON.parse(body), send, fail);
    return fail(404, 'not_found', 'no such page');
  }

  #page(name, request, send) {
    const data = readFileSync(path.join(WEB, name)), tag = `"${createHash('sha1').update(data).digest('hex')}"`;
    const headers = { ETag: tag, 'Cache-Control': 'no-cache' };
    if (request.headers['if-none-match'] === tag)
      return send(304, '', 'html', headers);
    return send(200, data, name.split('.').pop(), headers);
  }

  #api(method, [what, ...rest], query, body, send, fail) {
    const name = rest.join('/');
    if (what === 'status')
      return send(200, this.status());
    if (what === 'qr.svg')
      return send(200, fakeCode(query.get('text')), 'svg');
    if (what === 'commands' && method === 'POST')
      return this.#command(body, send, fail);
    if (what === 'cameras') {
      const camera = this.cameras.get(name);
      if (!name)
        return send(200, { cameras: [...this.cameras.values()] });
      if (!camera)
        return fail(404, 'unknown_camera', `there is no camera ${name}`);
      if (method !== 'DELETE')
        return send(200, { ...camera, capabilities: null,
          statistics: camera.source ? makeStatistics(Date.now(), camera) : null });
      if (camera.state !== 'lost')
        return fail(409, 'connected', `${name} is connected`);
      this.cameras.delete(name);
      this.event({ type: 'camera_removed', name });
      return send(204);
    }
    if (what === 'recordings')
      return this.#recordings(method, name, query, send, fail);
    return fail(404, 'not_found', 'no such thing');
  }

  #command(body, send, fail) {
    if (body.command === 'raw' && body.text === 'refuse me')
      return fail(400, 'bad_value', `text: this one is refused ${HOSTILE}`, 'text');
    const names = body.cameras ?? [...this.cameras.values()].filter(camera => camera.state !== 'lost')
      .map(camera => camera.name);
    const results = names.map(camera => {
      const state = this.cameras.get(camera)?.state;
      const outcome = !state ? 'unknown' : state === 'lost' ? 'lost' : 'sent';
      return { camera, outcome, sent: outcome === 'sent' ? JSON.stringify({ command: body.command }) : null };
    });
    send(200, { results });
    setTimeout(() => results.filter(({ outcome }) => outcome === 'sent')
      .forEach(({ camera }) => this.#obey(camera, body)), 150);
  }

  #obey(name, { command, text, settings }) {
    const now = new Date().toISOString(), stream = { width: 640, height: 360, codec: 'avc1.42C01E', audio: null };
    if (!this.cameras.has(name))
      return;
    if (command === 'start')
      this.setCamera(name, { state: 'recording', stream, session: { id: `${name}_20261121_130000`, started: now } });
    if (command === 'stop')
      this.setCamera(name, { state: 'ready', session: null });
    this.answer(name, { start: 'Capture started',
      stop: 'Capture stopped' }[command] ?? `ACK: ${text ?? JSON.stringify(settings)}`);
    this.say('info', 'App Status', `${name}: ${command} done`);
  }

  #recordings(method, id, query, send, fail) {
    if (id) {
      const at = this.recordings.findIndex(recording => recording.id === id), recording = this.recordings[at];
      if (!recording)
        return fail(404, 'unknown_recording', `there is no recording ${id}`);
      if (method === 'DELETE') {
        if (recording.verdict === 'recording')
          return fail(409, 'busy', 'it is being recorded');
        this.recordings.splice(at, 1);
        this.event({ type: 'recording_deleted', id });
        return send(204);
      }
      return send(200, this.#details(recording));
    }
    const words = (query.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean),
      [from, to] = [query.get('from'), query.get('to')];
    const fits = this.recordings.filter(({ id, camera, reason, started, verdict }) => {
      const texts = `${id} ${camera} ${reason}`.toLowerCase().split(/[^\p{L}\p{N}]+/u);
      return (!query.get('camera') || camera === query.get('camera'))
        && (!query.get('verdict') || verdict === query.get('verdict')) &&
        (!from || started >= from) && (!to || started < to) && words
          .every(word => texts.some(text => text.startsWith(word)));
    });
    const begin = Number(query.get('cursor') ?? 0), limit = Number(query.get('limit') ?? 50), end = begin + limit;
    return send(200, { recordings: fits.slice(begin, end), total: fits.length,
      next: end < fits.length ? String(end) : null });
  }

  #index(recording) {
    const films = this.media.films.slice(0, recording.parts.length || 1);
    return makeIndex(films, { arrival: Date.parse(recording.started), deviceMs: DEVICE_MS,
      missing: new Map(recording.verdict === 'gaps' ? [[75, 5], [150, 2]] : []), shifted: new Set([200]) });
  }

  #details(recording) {
    const gaps = recording.verdict === 'gaps' ? [{ at: 4.9, duration: 0.4, missing: 5, cause: 'transport' },
      { at: 9.95, duration: 1.2, missing: 2, cause: 'transport' },
        { at: 16, duration: 0.3, missing: 0, cause: 'not_encoded' }] : [];
    const repairs = recording.verdict === 'gaps' ? [{ record: 200, sequence: 207, kind: 'backward', at: 13.333, device_ms: 5013000,
      shift: 0.033 },
      { record: 240, sequence: 247, kind: 'jump', at: 16, device_ms: 5016000, shift: -3.5 }] : [];
    const clock = { wall_minus_device: Date.parse(recording.started) / 1000 - DEVICE_MS / 1000, drift_ppm: 0,
      uncertainty: UNCERTAINTY, frames: 300 };
    const files = [...recording.parts.map((name, n) => ({ name, bytes: this.media.films[n].mp4.length })),
      { name: 'stream.h264', bytes: 2100000 }, { name: 'frames.idx', bytes: this.#index(recording).length },
        { name: 'session.json', bytes: 1822 }];
    return { recording, files, report: recording.verdict === 'recording'
      ? { format: 1, id: recording.id, state: 'recording' }
      : makeReport(recording, { gaps, repairs, clock }) };
  }

  #file([, id, file], request, send, fail) {
    const at = this.recordings.findIndex(recording => recording.id === id), recording = this.recordings[at];
    const data = !recording ? null : file === 'thumbnail.jpg' ? this.media.thumbnails[at % this.media.thumbnails.length]
      : file === 'frames.idx' ? this.#index(recording) : file === 'session.json'
        ? Buffer.from(JSON.stringify(this.#details(recording).report))
        : file === 'stream.h264' ? Buffer.alloc(1000) : this.media.films[recording.parts.indexOf(file)]?.mp4;
    if (!data)
      return fail(404, 'not_found', 'no such file');
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? ''),
      headers = { 'Accept-Ranges': 'bytes', ETag: `"${data.length}"` };
    if (!range)
      return send(200, data, file.split('.').pop(), headers);
    const begin = Number(range[1]), end = range[2] ? Math.min(Number(range[2]), data.length - 1) : data.length - 1;
    if (begin >= data.length)
      return send(416, '', 'json', { 'Content-Range': `bytes */${data.length}` });
    return send(206, data.subarray(begin, end + 1), file.split('.').pop(),
      { ...headers, 'Content-Range': `bytes ${begin}-${end}/${data.length}` });
  }
}

// Looks like a QR code, and is none.
function fakeCode(text) {
  const bits = createHash('sha512').update(text ?? '').digest(), size = 29, cells = [];
  const corner = (x, y) => [[0, 0], [size - 7, 0], [0, size - 7]]
    .find(([left, top]) => x >= left - 1 && x < left + 8 && y >= top - 1 && y < top + 8);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const place = corner(x, y), ring = place && Math.max(Math.abs(x - place[0] - 3), Math.abs(y - place[1] - 3));
      const bit = (y * size + x) * 7 % 512;
      if (place ? ring === 3 || ring < 2 : bits[bit >> 3] >> bit % 8 & 1)
        cells.push(`M${x} ${y}h1v1h-1z`);
    }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}"><path d="${cells.join('')}"/></svg>`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, ...words] = process.argv.slice(2);
  const hub = new MockHub(words.includes('empty') ? { cameras: [], recordings: 0 }
    : words.includes('sources') ? { cameras: makeSources() } : {});
  await hub.start(Number(port ?? 8099));
  console.log(hub.url);
}
