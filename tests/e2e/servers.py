"""Servers that outputs push to and sources pull from, and those who listen at their other end. Each ends with its test.

    servers.py rtsp PORT FILE      an RTSP server that plays a film at rtsp://127.0.0.1:PORT/film
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
EXAMPLES = os.path.join(ROOT, 'docs', 'examples')
RTMP_MODULE = '/usr/lib/nginx/modules/ngx_rtmp_module.so'


def require(there, package):
    """These tests are not skipped: what they need is named."""
    if not there:
        raise AssertionError('this test needs: apt install ' + package)


def require_program(program, package):
    path = shutil.which(program) or shutil.which(program, path='/usr/sbin:/sbin')
    require(path, package)
    return path


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(('127.0.0.1', port), 1).close()
        return True
    except OSError:
        return False


class Program:
    """A program that is started, perhaps several times, and ended with the test. What it says goes to a file."""

    def __init__(self, test, name, *command, cwd=None, env=None):
        self.test, self.command, self.cwd, self.env = test, command, cwd, env
        self.log_path = os.path.join(test.root, '%s-%d.log' % (name, id(self)))
        self.process = None
        test.addCleanup(self.end)

    def start(self):
        import processes  # not for the server that this file is, too
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.cwd, env=dict(os.environ, **(self.env or {})),
                                            preexec_fn=processes.before_exec, start_new_session=True)
        return self

    def said(self):
        with open(self.log_path, 'rb') as file:
            return file.read().decode('utf8', 'replace')

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, timeout=30):
        """Its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError('%s still runs:\n%s' % (self.command[0], self.said()[-1500:])) from None

    def signal(self, number):
        """To all of its group."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        """At once, and all that it started."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process is None:
            return
        if self.running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                pass
        self.kill()


class Listening(Program):
    """One that is there when its port answers."""

    def __init__(self, test, name, port, *command, **options):
        super().__init__(test, name, *command, **options)
        self.port = port

    def start(self):
        from hub import wait_until
        super().start()
        wait_until(lambda: answers(self.port) or not self.running(), 20, 'port %d answers' % self.port)
        if not self.running():
            raise AssertionError('%s ended with %s:\n%s' % (self.command[0], self.process.returncode, self.said()))
        return self


# --- nginx ------------------------------------------------------------------------------------------------

def example_of_nginx(rtmp_port, http_port, folder):
    """docs/examples/nginx-rtmp.conf with other ports, and another folder in place of /tmp."""
    with open(os.path.join(EXAMPLES, 'nginx-rtmp.conf')) as file:
        text = file.read()
    for old, new in ((r'listen 127\.0\.0\.1:1935;', 'listen 127.0.0.1:%d;' % rtmp_port),
                     (r'listen 127\.0\.0\.1:8088;', 'listen 127.0.0.1:%d;' % http_port),
                     (r'/tmp/', folder + '/')):
        text, count = re.subn(old, new, text)
        if not count:
            raise AssertionError('docs/examples/nginx-rtmp.conf has no %s' % old)
    return text


class Nginx(Listening):
    """With the RTMP module and the example's configuration: rtmp://127.0.0.1:PORT/live/KEY, HLS at `http_port`."""

    def __init__(self, test):
        require(os.path.exists(RTMP_MODULE), 'libnginx-mod-rtmp')
        program = require_program('nginx', 'nginx-light')
        port, self.http_port = free_port(), free_port()
        self.folder = os.path.join(test.root, 'nginx')
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(test.root, 0o755)  # a server that root starts works as somebody else
        config = os.path.join(self.folder, 'nginx.conf')
        with open(config, 'w') as file:
            file.write(example_of_nginx(port, self.http_port, self.folder))
        super().__init__(test, 'nginx', port, program, '-e', 'stderr', '-c', config, '-p', self.folder)

    def url(self, key):
        return 'rtmp://127.0.0.1:%d/live/%s' % (self.port, key)


# --- RTSP -------------------------------------------------------------------------------------------------

class RtspServer(Listening):
    """GStreamer's: plays a film to each who comes, H.264 and AAC as they are."""

    def __init__(self, test, film):
        check = subprocess.run(['/usr/bin/python3', '-c', 'import gi; gi.require_version("GstRtspServer", "1.0")'],
                               stderr=subprocess.DEVNULL)
        require(check.returncode == 0, 'python3-gi gir1.2-gst-rtsp-server-1.0')
        port = free_port()
        super().__init__(test, 'rtsp', port, '/usr/bin/python3', os.path.abspath(__file__), 'rtsp', str(port), film)

    @property
    def url(self):
        return 'rtsp://127.0.0.1:%d/film' % self.port


def serve_rtsp(port, film):
    import gi
    gi.require_version('Gst', '1.0')
    gi.require_version('GstRtspServer', '1.0')
    from gi.repository import GLib, Gst, GstRtspServer
    Gst.init(None)
    for element, package in (('qtdemux', 'good'), ('rtph264pay', 'good'), ('rtpmp4gpay', 'good'), ('queue', 'base')):
        if not Gst.ElementFactory.find(element):
            sys.exit('no %s: it is in the package gstreamer1.0-plugins-%s' % (element, package))
    server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
    server.set_service(port)
    factory.set_launch('( filesrc location="%s" ! qtdemux name=d d.video_0 ! queue ! rtph264pay name=pay0 pt=96 '
                       'config-interval=-1 d.audio_0 ! queue ! rtpmp4gpay name=pay1 pt=97 )' % film)
    server.get_mount_points().add_factory('/film', factory)
    server.attach(None)
    GLib.MainLoop().run()


class DeafRtsp(threading.Thread):
    """An RTSP server that agrees to everything, and from RECORD on never reads a byte. `taken`: pushes so far."""

    def __init__(self, test):
        super().__init__(daemon=True)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(8)
        self.port, self.taken, self.sockets = self.listener.getsockname()[1], 0, []
        test.addCleanup(self.close)
        self.start()

    def close(self):
        for one in (self.listener, *self.sockets):
            one.close()

    def run(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(one)
            threading.Thread(target=self._agree, args=(one,), daemon=True).start()

    def _agree(self, one):
        data = b''
        try:
            while True:
                while b'\r\n\r\n' not in data:
                    more = one.recv(4096)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b'\r\n\r\n')
                size = int((re.search(rb'(?i)content-length: *(\d+)', head) or [0, 0])[1])
                while len(data) < size:
                    data += one.recv(4096)
                data = data[size:]
                number = re.search(rb'(?i)cseq: *(\d+)', head)[1].decode()
                transport = re.search(rb'(?i)transport: *(\S+)', head)
                extra = 'Transport: %s\r\n' % transport[1].decode() if transport else ''
                one.sendall(('RTSP/1.0 200 OK\r\nCSeq: %s\r\nSession: 1\r\nPublic: OPTIONS, ANNOUNCE, SETUP, RECORD\r\n'
                             '%s\r\n' % (number, extra)).encode())
                if head.startswith(b'RECORD'):
                    self.taken += 1
                    return
        except (OSError, TypeError):
            pass


# --- receivers --------------------------------------------------------------------------------------------

class Receiver(Program):
    """An ffmpeg that listens or asks, and keeps what comes, as it is, as FLV: so many pictures, then it ends."""

    def __init__(self, test, pictures, *arguments):
        self.path = os.path.join(test.root, 'received-%d.flv' % id(self))
        super().__init__(test, 'receiver', 'ffmpeg', '-nostdin', '-v', 'warning', '-y',
                         '-analyzeduration', '1000000', '-fpsprobesize', '0', *arguments, '-map', '0:v', '-map',
                         '0:a?', '-c', 'copy', '-frames:v', str(pictures), '-f', 'flv', '-flvflags',
                         'no_duration_filesize+no_sequence_end', '-flush_packets', '1', self.path)

    def flv(self, timeout=40):
        """What it has, when it has all; strictly read."""
        import flvread
        status = self.wait(timeout)
        if status != 0:
            raise AssertionError('the receiver ended with %d:\n%s' % (status, self.said()[-1500:]))
        with open(self.path, 'rb') as file:
            data = file.read()
        # This ffmpeg writes an empty configuration where it has none yet, as with MPEG-TS.
        out, at = data[:13], 13
        for tag in flvread.split(data)[1]:
            end = at + 15 + len(tag.body)
            if not (tag.kind == flvread.AUDIO and len(tag.body) == 2 and tag.body[1] == 0):
                out += data[at:end]
            at = end
        return flvread.read(out)


# --- X ----------------------------------------------------------------------------------------------------

class Xvfb(Program):
    """An X server without a screen."""

    def __init__(self, test, size=(640, 480)):
        program = require_program('Xvfb', 'xvfb')
        self.size, self.number = size, None
        self.reader, self.writer = os.pipe()
        test.addCleanup(os.close, self.reader)
        test.addCleanup(os.close, self.writer)
        self.program = program
        super().__init__(test, 'xvfb')

    def start(self):
        """On a free display the first time, then on the same one again."""
        import processes
        screen = '%dx%dx24' % self.size
        place = [':%d' % self.number] if self.number is not None else []
        command = [self.program, *place, '-displayfd', str(self.writer), '-screen', '0', screen, '-nolisten', 'tcp',
                   '-ac', '-noreset']
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            pass_fds=[self.writer], preexec_fn=processes.before_exec,
                                            start_new_session=True)
        line, end = b'', time.monotonic() + 20
        os.set_blocking(self.reader, False)
        while not line.endswith(b'\n'):
            try:
                line += os.read(self.reader, 16)
            except BlockingIOError:
                if not self.running() or time.monotonic() > end:
                    raise AssertionError('Xvfb does not come:\n' + self.said()) from None
                time.sleep(0.02)
        self.number = int(line)
        return self

    @property
    def display(self):
        return ':%d' % self.number


if __name__ == '__main__':
    serve_rtsp(*sys.argv[2:4])
