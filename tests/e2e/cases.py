"""The base class of the tests: a folder, hubs in it, cameras; and the checks every recording must pass."""
import functools
import os
import shutil
import subprocess
import tempfile
import unittest

import camera
import clips
import hub
import media
import wire

TOOLS = media.TOOLS
FAKE_FFMPEG = os.path.abspath(os.path.join(TOOLS, 'fakeffmpeg', 'ffmpeg'))
NO_THUMBNAILS = {'FFMPEG_BIN': '/bin/false'}  # where pictures are not the subject, they cost too much


def long(method):
    """Only with --long."""
    method.long = True
    return method


def weight(seconds):
    """About how long the test takes: heavy ones start first."""
    def mark(method):
        method.weight = seconds
        method.time_limit = max(90, 4 * seconds)
        return method
    return mark


def needs(*programs):
    def decorate(method):
        @functools.wraps(method)
        def wrapped(self, *args):
            for program in programs:
                if not shutil.which(program):
                    self.skipTest('no %s on this machine' % program)
            return method(self, *args)
        return wrapped
    return decorate


class HubTest(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix='ch-', dir='/tmp')
        if not os.environ.get('CAMHUB_E2E_KEEP'):
            self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)

    # --- hubs and cameras ---------------------------------------------------------------------------

    def start_hub(self, *args, thumbnails=False, well=True, **options):
        """A hub that must end well at the end of the test (`well`)."""
        env = dict({} if thumbnails else NO_THUMBNAILS, **options.pop('env', {}))
        the_hub = hub.Hub(self.root, *args, env=env, **options)
        self.addCleanup(self._end_hub, the_hub, well)
        return the_hub

    def _end_hub(self, the_hub, well):
        killed = the_hub.process.poll() == -9
        complaints = the_hub.stop()
        if the_hub.process.stdin:
            try:
                the_hub.process.stdin.close()
            except OSError:
                pass
        if well and not killed:
            self.assertEqual(complaints, [], 'the end of the hub')

    def camhub(self, *args, code=0, timeout=60, env=None):
        """Runs another command of the program; its output."""
        run = subprocess.run([os.environ['CAMHUB_BIN'], *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             timeout=timeout, env=dict(os.environ, **NO_THUMBNAILS, **(env or {})),
                             stdin=subprocess.DEVNULL)
        text = run.stdout.decode('utf8', 'replace')
        if code is not None:
            self.assertEqual(run.returncode, code, 'camhub %s\n%s%s' % (
                ' '.join(args), text, run.stderr.decode('utf8', 'replace')))
        return text

    def camera(self, the_hub, name=None, path=None, ready=True, **options):
        cam = camera.Camera(the_hub, name, path, **options)
        self.addCleanup(cam.abort)
        if ready:
            cam.ready()
            cam.capabilities()
        return cam

    def peer(self, the_hub):
        peer = wire.Peer(the_hub)
        self.addCleanup(peer.close)
        return peer

    # --- checks -------------------------------------------------------------------------------------

    def assert_sound(self, session, verdict='complete'):
        """The folder agrees with itself, and its MP4 files are finished and play to the end."""
        self.assertEqual(session.problems(), [], session.id)
        self.assertEqual(session.verdict(), verdict, session.report()['reason'])
        for name in session.parts():
            report = media.mp4check(session.path(name), '--layout', 'prog')
            self.assertEqual(report['errors'], [], '%s/%s' % (session.id, name))

    def assert_times(self, session, messages, part=1):
        """Every picture of the part stands in the MP4 at its device time, relative to the first, exactly."""
        name = 'stream.mp4' if part == 1 else 'stream_%d.mp4' % part
        pictures = [m for m in messages if m.picture]
        packets = media.packets(session.path(name))
        first = min(m.device_ms for m in pictures)
        self.assertEqual([p.pts for p in packets], [(m.device_ms - first) * 90 for m in pictures])

    def assert_payloads(self, session, messages):
        self.assert_same_bytes(session.h264(), b''.join(m.payload for m in messages), session.id + '/stream.h264')

    def assert_same_bytes(self, got, want, what):
        """As assertEqual, but says where they part instead of printing a video."""
        if got != want:
            size = min(len(got), len(want))
            at = next((n for n in range(size) if got[n] != want[n]), size)
            self.fail('%s: %d bytes where %d were expected, first difference at %d (%s, expected %s)' % (
                what, len(got), len(want), at, got[at:at + 16].hex(' '), want[at:at + 16].hex(' ')))

    def assert_alive(self, the_hub):
        """The hub records as if nothing had been."""
        self.assertTrue(the_hub.alive())
        name = 'alive%d' % len(the_hub.sessions('alive'))
        cam, messages = self.camera(the_hub, name), phone(1).phone(count=10)
        cam.record(messages)
        cam.close()
        session = the_hub.wait_finished(1, prefix=name + '_')[0]
        self.assertEqual(session.problems(), [])
        self.assert_payloads(session, messages)
        self.assertEqual(len(session.pictures()), 10)


def phone(seconds=2, **options):
    return clips.made(seconds, **options)
