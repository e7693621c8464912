// The server's side of RFC 6455, as little as a mock hub needs: accepts, sends, hears of the end.
import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11', TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;
const BACKLOG_BYTES = 1 << 20;

export class MockSocket {
  constructor(request, socket) {
    this.socket = socket;
    this.onclose = () => {};
    this.left = Buffer.alloc(0);
    const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64');
    socket.write(['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`, '', ''].join('\r\n'));
    socket.setNoDelay(true);
    socket.on('data', data => this.#read(data));
    socket.on('error', () => {});
    socket.on('close', () => this.onclose());
  }

  send(data) {
    if (Buffer.isBuffer(data))
      return this.#frame(BINARY, data);
    return this.#frame(TEXT, Buffer.from(JSON.stringify(data)));
  }

  get slow() {
    return this.socket.writableLength > BACKLOG_BYTES;
  }

  close(code, reason = '') {
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    this.#frame(CLOSE, payload);
    this.socket.end();
  }

  #frame(opcode, payload) {
    if (this.socket.destroyed)
      return;
    const length = payload.length, head = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10);
    head[0] = 0x80 | opcode;
    head[1] = length < 126 ? length : length < 65536 ? 126 : 127;
    if (head.length === 4)
      head.writeUInt16BE(length, 2);
    if (head.length === 10)
      head.writeBigUInt64BE(BigInt(length), 2);
    this.socket.write(Buffer.concat([head, payload]));
  }

  // Browsers send small control frames only.
  #read(data) {
    this.left = Buffer.concat([this.left, data]);
    while (this.left.length >= 6 && this.left.length >= 6 + (this.left[1] & 127)) {
      const opcode = this.left[0] & 15, end = 6 + (this.left[1] & 127), mask = this.left.subarray(2, 6);
      const payload = Buffer.from(this.left.subarray(6, end), 0).map((byte, n) => byte ^ mask[n % 4]);
      this.left = this.left.subarray(end);
      if (opcode === PING)
        this.#frame(PONG, payload);
      if (opcode === CLOSE) {
        this.#frame(CLOSE, payload.subarray(0, 2));
        this.socket.end();
      }
    }
  }
}
