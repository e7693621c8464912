"""A hub under test: start it, read its log, ask it over HTTP, stop it, look at what it recorded."""
import http.client
import os
import re
import signal
import subprocess
import time
import uuid

import idx
import processes

STARTED = []  # hubs of this process, for the report of a failure


def tails(lines=40, hubs=2):
    """The last log lines of the last hubs that the test started."""
    out = ''
    for number, hub in list(enumerate(STARTED))[-hubs:]:
        text = hub.log_text().splitlines()
        out += '\n--- log of hub %d (%d lines)\n%s\n' % (number, len(text), '\n'.join(text[-lines:]))
    return out


def wait_until(question, timeout=10, what='condition', step=0.02):
    """Polls until the answer is true and returns it; fails after the timeout."""
    end = time.monotonic() + timeout
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError('not within %g s: %s' % (timeout, what() if callable(what) else what))
        time.sleep(step)


class Hub:
    """One `camhub serve` on a free port of 127.0.0.1, recording into `root`/recordings."""

    def __init__(self, root, *args, env=None, recordings=None, stdin=subprocess.PIPE, wait=True, host='127.0.0.1',
                 open_files=0):
        self.root = root
        self.host = host
        self.recordings = recordings or os.path.join(root, 'recordings')
        self.mark = uuid.uuid4().hex
        self.log_path = os.path.join(root, 'hub-%s.log' % self.mark[:6])
        self.out_path = self.log_path + '.out'
        self.final_log = None
        self.port = None
        port = () if '--port' in args else ('--port', '0')
        command = [os.environ['CAMHUB_BIN'], 'serve', '--host', host, *port, '--open',
                   '--recordings', self.recordings, *args]
        environment = dict(os.environ, E2E_MARK=self.mark, **(env or {}))
        with open(self.log_path, 'wb') as log, open(self.out_path, 'wb') as out:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=log, env=environment,
                                            preexec_fn=lambda: processes.before_exec(open_files))
        STARTED.append(self)
        if wait:
            self.wait_listening()

    # --- log -----------------------------------------------------------------------------------

    def log_text(self):
        if self.final_log is not None:
            return self.final_log
        with open(self.log_path, 'rb') as file:
            return file.read().decode('utf8', 'replace')

    def out_text(self):
        with open(self.out_path, 'rb') as file:
            return file.read().decode('utf8', 'replace')

    def matches(self, pattern):
        return re.findall(pattern, self.log_text(), re.M)

    def wait_log(self, pattern, timeout=10, count=1):
        """Waits for `count` matches and returns the last match object."""
        def found():
            all_matches = list(re.finditer(pattern, self.log_text(), re.M))
            return all_matches[-1] if len(all_matches) >= count else None
        return wait_until(found, timeout, 'log line /%s/' % pattern)

    def wait_listening(self, timeout=20):
        def heard():
            match = re.search(r'listening on \S*:(\d+)', self.log_text())
            if not match and self.process.poll() is not None:
                raise AssertionError('hub ended with %s:\n%s' % (self.process.returncode, self.log_text()))
            return match
        self.port = int(wait_until(heard, timeout, 'the hub listens').group(1))

    # --- doing -----------------------------------------------------------------------------------

    @property
    def pid(self):
        return self.process.pid

    def url(self, name=None, path=None):
        if path is None:
            path = '/android-cam' + ('/' + name if name else '')
        host = '[%s]' % self.host if ':' in self.host else self.host
        return 'ws://%s:%d%s' % (host, self.port, path)

    def type(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()

    def get(self, path, method='GET', headers=None):
        """(status, headers, body) over a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict((k.lower(), v) for k, v in response.getheaders()), response.read()
        finally:
            connection.close()

    def alive(self):
        return self.process.poll() is None and self.get('/healthz')[0] == 200

    # --- sessions ----------------------------------------------------------------------------------

    def sessions(self, prefix=''):
        """What lies in the recordings folder, oldest first."""
        if not os.path.isdir(self.recordings):
            return []
        names = [n for n in os.listdir(self.recordings)
                 if n.startswith(prefix) and os.path.isdir(os.path.join(self.recordings, n))]
        found = [idx.Session(os.path.join(self.recordings, n)) for n in names]
        return sorted(found, key=lambda s: (s.started(), s.id))

    def wait_finished(self, count=1, prefix='', timeout=20):
        """Waits until `count` sessions exist and all are finished; returns them."""
        def done():
            found = self.sessions(prefix)
            return found if len(found) >= count and all(s.finished() for s in found) else None

        def what():
            return 'finished sessions: want %d, have %s' % (
                count, [(s.id, s.state()) for s in self.sessions(prefix)])
        found = wait_until(done, timeout, what)
        if len(found) != count:
            raise AssertionError('%d sessions where %d were expected: %s' % (len(found), count, found))
        return found

    def wait_session(self, prefix='', count=1, timeout=10):
        """Waits until `count` session folders exist, in whatever state; returns them."""
        return wait_until(lambda: (lambda s: s if len(s) >= count else None)(self.sessions(prefix)), timeout,
                          '%d session folders named %s*' % (count, prefix))

    # --- ending --------------------------------------------------------------------------------------

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError('the hub did not end within %g s' % timeout) from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=5):
        """Ends an orderly hub by SIGTERM; returns complaints (none: it was well to the end)."""
        complaints = []
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                code = self.process.wait(timeout)
                if code != 0:
                    complaints.append('exit code %d after SIGTERM' % code)
            except subprocess.TimeoutExpired:
                complaints.append('no exit within %g s of SIGTERM' % timeout)
                self.kill()
        self.final_log = self.log_text()
        for pattern in ('AddressSanitizer', 'ThreadSanitizer', 'runtime error:', 'Assertion', 'LeakSanitizer'):
            if pattern in self.final_log:
                complaints.append('"%s" in the log' % pattern)
        return complaints
