// A network between a browser and a hub: a TCP proxy that can hold everything back, cut, or fall silent.
import { connect, createServer } from 'node:net';

export class Proxy {
  constructor(port) {
    this.target = port;
    this.pairs = new Set();
    this.paused = false;
  }

  async start() {
    this.server = createServer(near => this.#join(near));
    await new Promise(resolve => this.server.listen(0, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    return this;
  }

  #join(near) {
    const far = connect(this.target, '127.0.0.1'), pair = { near, far, silent: false, held: [] };
    this.pairs.add(pair);
    near.setNoDelay(true);
    far.setNoDelay(true);
    near.on('data', data => pair.silent || far.write(data));
    far.on('data', data => {
      if (pair.silent)
        return;
      if (this.paused)
        pair.held.push(data);
      else
        near.write(data);
    });
    const end = () => {
      this.pairs.delete(pair);
      if (!pair.silent)
        near.destroy();
      far.destroy();
    };
    for (const socket of [near, far])
      socket.on('error', () => {}).on('close', end);
  }

  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
    for (const pair of this.pairs)
      pair.held.splice(0).forEach(data => pair.near.write(data));
  }

  // As it is when the hub's machine has lost its power: present connections stay open and carry nothing more.
  silence() {
    for (const pair of this.pairs)
      pair.silent = true;
  }

  cut() {
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
  }

  stop() {
    this.server.close();
    this.cut();
  }
}
