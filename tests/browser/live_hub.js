// A small hub for the players' tests: it speaks docs/live-protocol.md and does to its viewers exactly what a test
// asks for. It serves the players' modules and an empty page from the same origin.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { codecString, fragment, initSegment, TIMESCALE } from './live_mp4.js';
import { accept } from './live_ws.js';

const WEB = fileURLToPath(new URL('../../web/', import.meta.url));
const ORIGIN_US = 1000000; // where a camera's timeline begins
const STEP_MS = 1000 / 30; // by which decode times lie before those of showing, per B-frame
const POLICY = "default-src 'none'; script-src 'self'; media-src blob:; connect-src 'self' ws:; img-src 'self' data:";

export class FakeCamera {
  constructor(clip, { now = Date.now, format = 'mp4' } = {}) {
    this.viewers = new Set();
    this.connections = 0; // viewers that ever came
    this.format = format;
    this.now = now;
    this.gop = [];
    this.sequence = 0;
    this.lastDts = -1;
    this.begun = null;
    this.setClip(clip);
  }

  // Another encoder or resolution: viewers are told with the next key frame.
  setClip(clip) {
    this.clip = clip;
    this.changed = true;
  }

  // A timeline of its own from here on, as after a restart of the hub.
  restart() {
    this.begun = null;
    this.gop = [];
    this.lastDts = -1;
  }

  #ticks(unixMs) {
    return Math.round(((unixMs - this.begun) * 1000 + ORIGIN_US) * TIMESCALE / 1e6);
  }

  #greeting() {
    if (this.format === 'mjpeg')
      return [JSON.stringify({ type: 'stream', mime: 'image/jpeg', width: 320, height: 240 })];
    const time = { ticks: this.#ticks(this.begun), unix_us: Math.round(this.begun * 1000) };
    return [JSON.stringify({ type: 'stream', mime: `video/mp4; codecs="${codecString(this.clip)}"`,
      width: this.clip.width, height: this.clip.height, timescale: TIMESCALE, time }), initSegment(this.clip)];
  }

  add(connection) {
    this.viewers.add(connection);
    this.connections++;
    connection.onClose = () => this.viewers.delete(connection);
    connection.started = this.gop.length > 0;
    if (connection.started)
      for (const message of [...this.greeting, ...this.gop])
        connection.send(message);
  }

  // A picture taken at `unixMs` goes to all viewers at once.
  send(frame, unixMs = this.now()) {
    this.begun ??= unixMs;
    if (frame.key) {
      if (this.changed || this.gop.length === 0)
        for (const viewer of this.viewers)
          viewer.started = false;
      this.changed = false;
      this.greeting = this.#greeting();
      this.gop = [];
    }
    if (!frame.key && this.gop.length === 0)
      return;
    const pts = this.#ticks(unixMs);
    // Decode times must not run backward; any that do so are good enough.
    const wanted = pts - Math.round(this.clip.bFrames * STEP_MS * TIMESCALE / 1000);
    const dts = this.clip.bFrames ? Math.max(this.lastDts + 1, Math.min(wanted, pts)) : pts;
    this.lastDts = dts;
    const message = fragment({ ...frame, sequence: ++this.sequence, dts, composition: pts - dts });
    this.gop.push(message);
    for (const viewer of this.viewers)
      this.#pass(viewer, frame, message);
  }

  #pass(viewer, frame, message) {
    if (!viewer.started && !frame.key)
      return;
    if (viewer.dropping && !frame.key)
      return void viewer.dropped++;
    if (!viewer.started)
      this.greeting.forEach(part => viewer.send(part));
    viewer.started = true;
    if (viewer.dropping)
      viewer.send(JSON.stringify({ type: 'drop', frames: viewer.dropped }));
    viewer.dropping = false;
    viewer.send(message);
  }

  sendJpeg(data) {
    for (const viewer of this.viewers) {
      if (!viewer.started)
        this.#greeting().forEach(part => viewer.send(part));
      viewer.started = true;
      viewer.send(data);
    }
  }

  say(message) {
    for (const viewer of this.viewers)
      viewer.send(typeof message === 'object' && !Buffer.isBuffer(message) ? JSON.stringify(message) : message);
  }

  // From here to the next key frame nothing is sent, and then the number is told.
  drop() {
    for (const viewer of this.viewers)
      Object.assign(viewer, { dropping: true, dropped: 0 });
  }

  cut() {
    for (const viewer of this.viewers)
      viewer.destroy();
  }
}

export class FakeHub {
  constructor() {
    this.cameras = new Map();
    this.refused = 0;
  }

  async start() {
    this.server = createServer((request, response) => this.#file(request, response));
    this.server.on('upgrade', (request, socket) => {
      const connection = accept(request, socket), name = path.basename(new URL(request.url, 'http://hub').pathname);
      const camera = this.cameras.get(name);
      if (camera)
        return camera.add(connection);
      this.refused++;
      connection.close(1008, `no camera ${name}`);
    });
    await new Promise(resolve => this.server.listen(0, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    this.base = { page: `${this.url}/`, modules: this.url };
    return this;
  }

  camera(name, clip, options) {
    const camera = new FakeCamera(clip, options);
    this.cameras.set(name, camera);
    return camera;
  }

  #file(request, response) {
    const { pathname } = new URL(request.url, this.url), name = path.basename(pathname);
    if (pathname === '/')
      return response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': POLICY })
        .end('<!doctype html><title>live</title><link rel="icon" href="data:,">');
    try {
      const text = readFileSync(path.join(WEB, name));
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(text);
    } catch {
      response.writeHead(404).end();
    }
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
    for (const camera of this.cameras.values())
      camera.cut();
  }
}
