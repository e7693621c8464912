"""A peer on a bare socket: for everything that no library would send."""
import base64
import os
import socket
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def mask(data, key):
    if not data:
        return b''
    repeated = (key * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, 'big') ^ int.from_bytes(repeated, 'big')).to_bytes(len(data), 'big')


def frame(opcode, payload=b'', fin=True, rsv=0, masked=True, length=None):
    """A client's frame; `length` announces another length than the payload's."""
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += bytes([bit | 126]) + struct.pack('>H', size)
    else:
        head += bytes([bit | 127]) + struct.pack('>Q', size)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


class Peer:
    def __init__(self, hub, timeout=8):
        self.socket = socket.create_connection(('127.0.0.1', hub.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = hub.port
        self.buffer = b''

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def take(self, size):
        """Exactly so many bytes; fewer only if the hub closed."""
        while len(self.buffer) < size and self._more():
            pass
        out, self.buffer = self.buffer[:size], self.buffer[size:]
        return out

    def take_until(self, mark):
        while mark not in self.buffer and self._more():
            pass
        before, found, rest = self.buffer.partition(mark)
        self.buffer = rest
        return before + found

    def closed(self):
        """Waits for the end of the connection; what came before it."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        out, self.buffer = self.buffer, b''
        return out

    def response(self, head_only=False):
        """(status, fields, body) of the next HTTP response; (0, {}, b'') if the hub just closed."""
        head = self.take_until(b'\r\n\r\n').decode('latin1')
        lines = head.split('\r\n')
        if not lines[0]:
            return 0, {}, b''
        fields = {}
        for line in lines[1:]:
            name, colon, value = line.partition(':')
            if colon:
                fields[name.strip().lower()] = value.strip()
        status = int(lines[0].split()[1])
        body = b'' if head_only or status in (101, 304) else self.take(int(fields.get('content-length', 0)))
        return status, fields, body

    def upgrade(self, path='/android-cam', fields=()):
        """WebSocket handshake; the response."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ['GET %s HTTP/1.1' % path, 'Host: 127.0.0.1:%d' % self.port, 'Upgrade: websocket',
                 'Connection: Upgrade', 'Sec-WebSocket-Key: ' + key, 'Sec-WebSocket-Version: 13', *fields]
        self.send(('\r\n'.join(lines) + '\r\n\r\n').encode())
        return self.response()

    def frame(self, opcode, payload=b'', **options):
        self.send(frame(opcode, payload, **options))

    def next_frame(self):
        """(opcode, payload) of the hub's next frame; (None, b'') at the end."""
        head = self.take(2)
        if len(head) < 2:
            return None, b''
        if head[1] & 0x80:
            raise AssertionError('the hub masks')
        size = head[1] & 127
        if size == 126:
            size = struct.unpack('>H', self.take(2))[0]
        elif size == 127:
            size = struct.unpack('>Q', self.take(8))[0]
        return head[0] & 15, self.take(size)

    def close_code(self):
        """Waits for the hub's close frame; its code (None if the connection just ended)."""
        while True:
            try:
                opcode, payload = self.next_frame()
            except ConnectionResetError:
                return None
            if opcode is None:
                return None
            if opcode == CLOSE:
                return struct.unpack('>H', payload[:2])[0] if len(payload) >= 2 else 1005

    def shut_down(self):
        """FIN in our direction only."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()
