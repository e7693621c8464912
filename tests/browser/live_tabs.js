// Chromium with tabs that are really hidden when another one is in front. (The browser driver of the other tests
// tells every page that it is visible, so this one speaks the DevTools protocol itself.)
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { dial } from './live_ws.js';

export class Tabs {
  async open() {
    this.profile = mkdtempSync(path.join(tmpdir(), 'camhub-live-'));
    this.process = spawn(process.env.CHROMIUM || '/usr/bin/chromium', ['--headless', '--no-sandbox', '--disable-gpu',
      '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--remote-debugging-port=0', `--user-data-dir=${this.profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'pipe'] });
    this.ended = new Promise(resolve => this.process.on('exit', resolve));
    const address = await new Promise((resolve, reject) => {
      let log = '';
      this.process.stderr.setEncoding('utf8').on('data', text => {
        log += text;
        const found = /DevTools listening on (\S+)\s/.exec(log);
        if (found)
          resolve(found[1]);
      });
      this.ended.then(() => reject(new Error(`the browser ended: ${log}`)));
    });
    this.connection = await dial(address);
    this.asked = new Map();
    this.connection.onMessage = text => {
      const { id, result, error } = JSON.parse(text), settle = this.asked.get(id);
      this.asked.delete(id);
      if (error)
        settle?.reject(new Error(error.message));
      else
        settle?.resolve(result);
    };
    return this;
  }

  ask(method, params = {}, sessionId = undefined) {
    const id = this.next = (this.next ?? 0) + 1;
    return new Promise((resolve, reject) => {
      this.asked.set(id, { resolve, reject });
      this.connection.send(JSON.stringify({ id, method, params, sessionId }));
    });
  }

  // A new tab, in front: { front(), evaluate(expression) }.
  async tab(url) {
    const { targetId } = await this.ask('Target.createTarget', { url });
    const { sessionId } = await this.ask('Target.attachToTarget', { targetId, flatten: true });
    return {
      front: () => this.ask('Target.activateTarget', { targetId }),
      evaluate: async expression => {
        const answer = await this.ask('Runtime.evaluate',
          { expression, awaitPromise: true, returnByValue: true, userGesture: false }, sessionId);
        if (answer.exceptionDetails)
          throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text);
        return answer.result.value;
      },
    };
  }

  async close() {
    await this.ask('Browser.close').catch(() => {});
    await this.ended;
    rmSync(this.profile, { recursive: true, force: true });
  }
}
