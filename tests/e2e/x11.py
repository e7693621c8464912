"""A client of an X server on a bare socket (X Window System Protocol, version 11): windows with titles, in plain
colours. As little of it as the tests of screens and windows need, so that no package has to draw for them."""
import socket
import struct

_STRING, _WINDOW, _WM_NAME = 31, 33, 39  # atoms that every server has
_INPUT_OUTPUT = 1


def _padded(data):
    return data + bytes(-len(data) % 4)


class Display:
    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect('/tmp/.X11-unix/X' + name.partition(':')[2].partition('.')[0])
        self.socket.sendall(struct.pack('<BxHHHHxx', ord('l'), 11, 0, 0, 0))
        status, length = struct.unpack('<BxxxxxH', self._take(8))
        setup = self._take(4 * length)
        if status != 1:
            raise AssertionError('the X server refuses: %r' % setup)
        self.base, vendor, formats = struct.unpack_from('<4xI8xHxxxB', setup)
        at = 32 + vendor + -vendor % 4 + 8 * formats
        self.root, self.given = struct.unpack_from('<I', setup, at)[0], 0

    def _take(self, size):
        data = b''
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise AssertionError('the X server has gone')
            data += more
        return data

    def _send(self, opcode, detail, body):
        body = _padded(body)
        self.socket.sendall(struct.pack('<BBH', opcode, detail, 1 + len(body) // 4) + body)

    def _reply(self):
        """The next reply; an error is raised, events are passed over."""
        while True:
            head = self._take(32)
            if head[0] == 0:
                raise AssertionError('X error %d of request %d (%d)' % (head[1], head[10], head[4]))
            if head[0] == 1:
                return head + self._take(4 * struct.unpack_from('<I', head, 4)[0])

    def settle(self):
        """Everything so far has been done."""
        self._send(43, 0, b'')  # GetInputFocus
        self._reply()

    def _id(self):
        self.given += 1
        return self.base + self.given

    def atom(self, name):
        self._send(16, 0, struct.pack('<Hxx', len(name)) + name.encode())
        return struct.unpack_from('<I', self._reply(), 8)[0]

    def property(self, window, name, kind, form, data):
        kind, name = (self.atom(a) if isinstance(a, str) else a for a in (kind, name))
        self._send(18, 0, struct.pack('<IIIB3xI', window, name, kind, form, len(data) // (form // 8)) + data)

    # --- drawing ---------------------------------------------------------------------------------------

    def fill(self, window, colour, x, y, width, height):
        context = self._id()
        self._send(55, 0, struct.pack('<IIII', context, window, 4, colour))  # CreateGC: foreground
        self._send(70, 0, struct.pack('<IIhhHH', window, context, x, y, width, height))  # PolyFillRectangle
        self._send(60, 0, struct.pack('<I', context))  # FreeGC
        self.settle()

    def window(self, colour, x, y, width, height, title=None, latin=False):
        """A window on the screen; its id."""
        window = self._id()
        values = struct.pack('<III', colour, 1, 0)  # background, override-redirect, no events
        self._send(1, 0, struct.pack('<IIhhHHHHII', window, self.root, x, y, width, height, 0, _INPUT_OUTPUT, 0,
                                     0x2 | 0x200 | 0x800) + values)
        if title is not None:
            self.title(window, title, latin)
        self._send(8, 0, struct.pack('<I', window))  # MapWindow
        self.settle()
        return window

    def title(self, window, title, latin=False):
        if latin:
            self.property(window, _WM_NAME, _STRING, 8, title.encode('latin1'))
        else:
            self.property(window, '_NET_WM_NAME', 'UTF8_STRING', 8, title.encode())

    def resize(self, window, width, height):
        self._send(12, 0, struct.pack('<IHxxII', window, 0xC, width, height))
        self.settle()

    def move(self, window, x, y):
        self._send(12, 0, struct.pack('<IHxxii', window, 0x3, x, y))
        self.settle()

    def destroy(self, window):
        self._send(4, 0, struct.pack('<I', window))
        self.settle()

    def pointer(self, x, y):
        self._send(41, 0, struct.pack('<IIhhHHhh', 0, self.root, 0, 0, 0, 0, x, y))  # WarpPointer
        self.settle()

    def cursor(self, size=16):
        """Over the screen the pointer is a white square from its point on."""
        pixmap, context, cursor = self._id(), self._id(), self._id()
        self._send(53, 1, struct.pack('<IIHH', pixmap, self.root, size, size))  # CreatePixmap of depth 1
        self._send(55, 0, struct.pack('<IIII', context, pixmap, 4, 1))
        self._send(70, 0, struct.pack('<IIhhHH', pixmap, context, 0, 0, size, size))
        self._send(93, 0, struct.pack('<III6HHH', cursor, pixmap, pixmap, *6 * [0xFFFF], 0, 0))  # CreateCursor
        self._send(2, 0, struct.pack('<III', self.root, 0x4000, cursor))  # ChangeWindowAttributes
        self.settle()

    def list_windows(self, windows):
        """As a window manager does."""
        self.property(self.root, '_NET_CLIENT_LIST_STACKING', _WINDOW, 32, struct.pack('<%dI' % len(windows), *windows))
        self.settle()

    def monitor(self, name, x, y, width, height):
        """RandR 1.5: RRSetMonitor."""
        self._send(98, 0, struct.pack('<Hxx', 5) + b'RANDR')
        major = self._reply()[9]
        self._send(major, 43, struct.pack('<IIBBHhhHHII', self.root, self.atom(name), 0, 0, 0, x, y, width, height,
                                          width, height))
        self.settle()

    def close(self):
        self.socket.close()
