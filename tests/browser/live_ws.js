// RFC 6455, as much of it as tests need: both sides, whole messages, no extensions.
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

export class Connection {
  // `masked`: this side is the client.
  constructor(socket, masked) {
    this.socket = socket;
    this.masked = masked;
    this.closed = false;
    this.pending = Buffer.alloc(0);
    this.onMessage = () => {};
    this.onClose = () => {};
    socket.setNoDelay(true);
    socket.on('data', data => this.#received(data));
    socket.on('error', () => {});
    socket.on('close', () => { this.closed = true; this.onClose(); });
  }

  send(message) {
    this.#frame(typeof message === 'string' ? TEXT : BINARY, Buffer.from(message));
  }

  close(code = 1000, reason = '') {
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    this.#frame(CLOSE, Buffer.concat([body, Buffer.from(reason)]));
    this.socket.end();
  }

  // Without a farewell, as when a cable is cut and the peer notices.
  destroy() {
    this.socket.destroy();
  }

  #frame(opcode, body) {
    if (this.closed || this.socket.writableEnded)
      return;
    const mask = this.masked ? 0x80 : 0;
    const extended = body.length > 65535 ? 8 : body.length > 125 ? 2 : 0;
    const head = Buffer.alloc(2 + extended);
    head[0] = 0x80 | opcode;
    head[1] = mask | (extended === 8 ? 127 : extended === 2 ? 126 : body.length);
    if (extended === 2)
      head.writeUInt16BE(body.length, 2);
    else if (extended === 8)
      head.writeBigUInt64BE(BigInt(body.length), 2);
    if (!this.masked)
      return void this.socket.write(Buffer.concat([head, body]));
    const key = randomBytes(4), hidden = Buffer.from(body);
    for (let at = 0; at < hidden.length; at++)
      hidden[at] ^= key[at & 3];
    this.socket.write(Buffer.concat([head, key, hidden]));
  }

  #received(data) {
    this.pending = Buffer.concat([this.pending, data]);
    for (;;) {
      const buffer = this.pending;
      if (buffer.length < 2)
        return;
      const short = buffer[1] & 127, extended = short === 127 ? 8 : short === 126 ? 2 : 0;
      const masked = buffer[1] & 0x80, head = 2 + extended + (masked ? 4 : 0);
      if (buffer.length < head)
        return;
      const length = extended === 8 ? Number(buffer.readBigUInt64BE(2)) : extended ? buffer.readUInt16BE(2) : short;
      if (buffer.length < head + length)
        return;
      const body = Buffer.from(buffer.subarray(head, head + length));
      for (let at = 0; masked && at < length; at++)
        body[at] ^= buffer[head - 4 + (at & 3)];
      this.pending = buffer.subarray(head + length);
      this.#message(buffer[0] & 15, body);
    }
  }

  #message(opcode, body) {
    if (opcode === PING)
      this.#frame(PONG, body);
    else if (opcode === CLOSE)
      this.socket.end();
    else if (opcode === TEXT || opcode === BINARY)
      this.onMessage(opcode === TEXT ? body.toString() : body);
  }
}

// The hub's side of the handshake, on node's 'upgrade' event.
export function accept(request, socket) {
  const key = request.headers['sec-websocket-key'];
  const answer = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${answer.digest('base64')}\r\n\r\n`);
  return new Connection(socket, false);
}

// A client's connection to ws://HOST:PORT/PATH.
export function dial(address) {
  const { hostname, port, pathname, search } = new URL(address);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let head = Buffer.alloc(0);
    const answered = data => {
      head = Buffer.concat([head, data]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0)
        return;
      socket.off('data', answered);
      if (!head.toString('latin1').startsWith('HTTP/1.1 101 '))
        return reject(new Error(`${address}: ${head.toString('latin1').split('\r\n')[0]}`));
      const connection = new Connection(socket, true), rest = head.subarray(end + 4);
      if (rest.length > 0)
        setImmediate(() => socket.emit('data', rest));
      resolve(connection);
    };
    socket.on('data', answered);
    socket.on('error', reject);
    socket.on('connect', () => socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
      'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`));
  });
}
