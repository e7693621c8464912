"""Processes: tying a child's life to ours, and finding what a hub's children left behind."""
import ctypes
import os
import resource
import signal

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For preexec_fn: the child is killed when the test process ends, however it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def before_exec(open_files=0):
    """The same, with a limit to its descriptors."""
    die_with_parent()
    if open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))


def cpu_seconds(pid):
    fields = _read('/proc/%d/stat' % pid).rpartition(b')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK') if len(fields) > 12 else 0


def _read(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError:
        return b''


def marked(mark, but=()):
    """Ids of living processes whose environment has the mark: a hub, its children, their children."""
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit() and int(entry) not in but:
            if ('E2E_MARK=' + mark).encode() in _read('/proc/%s/environ' % entry):
                found.append(int(entry))
    return found


def zombies(parent):
    """Ids of children that ended and were not collected."""
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            fields = _read('/proc/%s/stat' % entry).rpartition(b')')[2].split()
            if len(fields) > 2 and fields[0] == b'Z' and int(fields[1]) == parent:
                found.append(int(entry))
    return found


def open_files(pid):
    try:
        return len(os.listdir('/proc/%d/fd' % pid))
    except OSError:
        return 0


def resident_bytes(pid):
    fields = _read('/proc/%d/statm' % pid).split()
    return int(fields[1]) * os.sysconf('SC_PAGESIZE') if fields else 0


def sanitized():
    """True if the program under test was built with a sanitizer: its memory says nothing then."""
    with open(os.environ['CAMHUB_BIN'], 'rb') as file:
        data = file.read()
    return any(name in data for name in (b'__asan_init', b'__tsan_init', b'__msan_init'))
