// A camhub under test, and what a test needs beside it: a file server that knows ranges, and waiting.
import { spawn } from 'node:child_process';
import { createReadStream, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

// A test that takes long: only `./dev test long` runs it.
export const LONG = { skip: !process.env.CAMHUB_TEST_LONG && './dev test long' };

export async function until(what, question, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer)
      return answer;
    if (Date.now() > end)
      throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

export class Hub {
  constructor(recordings) {
    this.recordings = recordings;
    this.log = '';
  }

  // On any free port, or on that of its last run.
  async start({ again = false } = {}) {
    const port = again ? new URL(this.url).port : '0';
    this.process = spawn(process.env.CAMHUB, ['serve', '--host', '127.0.0.1', '--port', port, '--open',
      '--recordings', this.recordings], { stdio: ['pipe', 'ignore', 'pipe'] });
    this.ended = new Promise(resolve => this.process.on('exit', (code, signal) => resolve(signal ?? code)));
    let log = '';
    this.process.stderr.setEncoding('utf8').on('data', text => { log += text; this.log += text; });
    const listening = () => log.match(/listening on \S*:(\d+)/);
    await until('the hub listens', () => {
      if (this.process.exitCode !== null)
        throw new Error(`the hub ended at once: ${log}`);
      return listening();
    });
    this.url = `http://127.0.0.1:${listening()[1]}`;
    return this;
  }

  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    return this.ended;
  }

  // The newest session of a camera: { id, folder, report (null while there is none) }.
  session(camera) {
    const id = readdirSync(this.recordings).filter(name => name.startsWith(`${camera}_`)).sort().pop();
    if (!id)
      return null;
    const folder = path.join(this.recordings, id), file = path.join(folder, 'session.json');
    return { id, folder, report: existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null };
  }

  finished(camera) {
    return until(`the session of ${camera} is finished`, () => {
      const session = this.session(camera);
      return session?.report?.state === 'finished' && session;
    });
  }

  address(session) {
    return `${this.url}/recordings/${session.id}/stream.mp4`;
  }
}

// Serves the files of a folder by GET, whole or one range; answers `/` with an empty page.
export async function serveFolder(folder) {
  const server = createServer((request, response) => {
    if (request.url === '/')
      return response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>empty</title>');
    const file = path.join(folder, path.basename(request.url));
    if (!existsSync(file))
      return response.writeHead(404).end();
    const size = statSync(file).size, range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0, end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
    const headers = { 'Content-Type': 'video/mp4', 'Accept-Ranges': 'bytes', 'Content-Length': end - start + 1 };
    if (range)
      headers['Content-Range'] = `bytes ${start}-${end}/${size}`;
    response.writeHead(range ? 206 : 200, headers);
    createReadStream(file, { start, end }).on('error', () => response.destroy()).pipe(response);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const close = () => { server.close(); server.closeAllConnections(); };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}
