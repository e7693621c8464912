// A camera that is a web page: Chromium's own WebSocket, from a page of the hub's own origin.
export class Camera {
  static async connect(context, hub, name) {
    const camera = new Camera();
    camera.page = await context.newPage();
    camera.sequence = 0;
    await camera.page.goto(`${hub.url}/healthz`);
    await camera.page.evaluate(address => new Promise((resolve, reject) => {
      window.socket = new WebSocket(address);
      window.socket.onopen = resolve;
      window.socket.onerror = () => reject(new Error(`no connection to ${address}`));
    }), `${hub.url.replace('http', 'ws')}/android-cam/${name}`);
    await camera.say({ status: 'ready', message: 'ready' });
    await camera.say({ status: 'capture_started', message: 'started' });
    return camera;
  }

  say(message) {
    return this.page.evaluate(text => window.socket.send(text), JSON.stringify(message));
  }

  // As fast as the hub takes them.
  async send(frames) {
    const messages = frames.map(({ ms, data }) => [ms, this.sequence++, data.toString('base64')]);
    await this.page.evaluate(async messages => {
      for (const [ms, sequence, base64] of messages) {
        const payload = Uint8Array.from(atob(base64), character => character.charCodeAt(0));
        const message = new Uint8Array(16 + payload.length), header = new DataView(message.buffer);
        header.setBigUint64(0, BigInt(ms));
        header.setUint32(8, sequence);
        header.setUint32(12, payload.length);
        message.set(payload, 16);
        window.socket.send(message);
      }
      while (window.socket.bufferedAmount > 0)
        await new Promise(resolve => setTimeout(resolve, 10));
    }, messages);
  }

  async stop() {
    await this.say({ status: 'capture_stopped', message: 'stopped' });
    await this.page.close();
  }
}
