// A camhub with a configuration: sources, outputs, the screen streamer's addresses; and what the API says of them.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { Hub, until } from './hub.js';

export const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

// So many ports that were free a moment ago.
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map(server => new Promise((resolve, reject) => {
    server.on('error', reject).listen(0, '127.0.0.1', () => resolve(server.address().port));
  })));
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}

export class SourceHub extends Hub {
  // `files`: configurations, each an object. In `folder` they, and the recordings, are kept. `environment`: more of it.
  constructor(folder, files, environment = {}) {
    super(path.join(folder, 'recordings'));
    Object.assign(this, { folder, files, environment });
  }

  async start() {
    mkdirSync(this.folder, { recursive: true });
    const configs = this.files.flatMap((file, n) => {
      const place = path.join(this.folder, `config-${n + 1}.json`);
      writeFileSync(place, JSON.stringify(file, null, 1));
      return ['--config', place];
    });
    this.process = spawn(process.env.CAMHUB, ['serve', '--host', '127.0.0.1', '--port', '0', '--open',
      '--recordings', this.recordings, ...configs],
    { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, ...this.environment } });
    this.ended = new Promise(resolve => this.process.on('exit', (code, signal) => resolve(signal ?? code)));
    this.process.stderr.setEncoding('utf8').on('data', text => { this.log += text; });
    // The streamer's addresses are told in the same way; which is the hub's own, only the hub knows.
    this.url = await until('the hub answers', async () => {
      if (this.process.exitCode !== null)
        throw new Error(`the hub ended at once: ${this.log}`);
      return this.#address();
    });
    return this;
  }

  async #address() {
    for (const [, port] of this.log.matchAll(/listening on \S*?:(\d+)/g)) {
      const url = `http://127.0.0.1:${port}`;
      const answer = await fetch(`${url}/healthz`).catch(() => null);
      if (answer?.ok && (await answer.text()).trim() === 'ok')
        return url;
    }
    return null;
  }

  get socketUrl() {
    return this.url.replace('http', 'ws');
  }

  async ask(place, body) {
    const answer = await fetch(`${this.url}/api/v1${place}`, body && { method: 'POST',
      headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    if (!answer.ok)
      throw new Error(`${place}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  camera(name) {
    return this.ask(`/cameras/${name}`);
  }

  // Waits until a source is in one of these states; its camera.
  async waitState(name, ...states) {
    let camera = null;
    return until(`${name} is ${states.join(' or ')}`, async () => {
      camera = await this.camera(name);
      return states.includes(camera.source.state) && camera;
    }, 40).catch(error => { throw new Error(`${error.message}: ${JSON.stringify(camera)}`); });
  }

  waitViewers(name, count) {
    return until(`${name} has ${count} viewers`, async () => (await this.camera(name)).figures.viewers === count, 40);
  }
}
