#!/usr/bin/python3
"""End-to-end tests of camhub: each starts a hub of its own and talks to it as a foreign client.

    run.py --camhub PATH [--jobs 2] [--long] [--list] [--keep] [PATTERN...]

A pattern is a part of a test's name. One line per test, the reason of a failure below it, and at the
end `N passed, N failed, N skipped`. Exit 0 if nothing failed.

Every test runs in a process of its own, forked from this one, in its own process group; past its time
limit the group is killed, so a hub that hangs costs one test and no more. Hubs die with their test.
"""
import argparse
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def attribute(test, name, default):
    method = getattr(test, test._testMethodName, None)
    return getattr(method, name, getattr(test, name, default))


def short_name(test):
    return test.id().removeprefix('e2e.')


def describe_failure(result, most=3):
    """The first failures (a test with subtests may have many), each with the subtest's parameters."""
    found = result.failures + result.errors
    texts = [str(getattr(test, '_subDescription', str)()) + '\n' + text for test, text in found[:most]]
    if len(found) > most:
        texts.append('... and %d more failures in this test\n' % (len(found) - most))
    return '\n'.join(texts)


def run_here(test, pipe):
    """In the child: one test, its outcome as JSON into the pipe."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    capture = tempfile.TemporaryFile()
    os.dup2(capture.fileno(), 1)
    os.dup2(capture.fileno(), 2)
    result = unittest.TestResult()
    test.run(result)
    outcome = {'state': 'passed', 'text': ''}
    if not result.wasSuccessful():
        import hub
        sys.stdout.flush()
        capture.seek(0)
        printed = capture.read().decode('utf8', 'replace')
        outcome = {'state': 'failed', 'text': describe_failure(result) + printed + hub.tails()}
    elif result.skipped:
        outcome = {'state': 'skipped', 'text': result.skipped[0][1]}
    os.write(pipe, json.dumps(outcome).encode()[:1 << 20])
    os._exit(0)


class Job:
    def __init__(self, test):
        self.test = test
        self.name = short_name(test)
        self.limit = attribute(test, 'time_limit', 90)
        self.started = time.monotonic()
        self.data = b''
        self.pipe, child_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            try:
                run_here(test, child_end)
            except BaseException as error:  # the child must never return into the runner
                os.write(child_end, json.dumps({'state': 'failed', 'text': repr(error)}).encode())
            finally:
                os._exit(0)
        os.close(child_end)

    def late(self):
        return time.monotonic() - self.started > self.limit

    def end(self):
        """Ends the whole group: what a test leaves running is killed. Returns the outcome."""
        timed_out = self.late() and not self.data
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.pipe)
        try:
            outcome = json.loads(self.data)
        except ValueError:
            text = 'no end within %d s' % self.limit if timed_out else 'the test process died'
            outcome = {'state': 'failed', 'text': text}
        outcome['seconds'] = time.monotonic() - self.started
        return outcome


def report(job, outcome):
    word = {'passed': 'ok     ', 'failed': 'FAILED ', 'skipped': 'skipped'}[outcome['state']]
    note = ' (%s)' % outcome['text'] if outcome['state'] == 'skipped' else ''
    print('%s %6.1f s  %s%s' % (word, outcome['seconds'], job.name, note))
    if outcome['state'] == 'failed':
        print('\n'.join('    ' + line for line in outcome['text'].splitlines()))
    sys.stdout.flush()


def run_all(tests, jobs):
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    waiting, running = list(tests), []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Job(waiting.pop(0)))
            ready, _, _ = select.select([job.pipe for job in running], [], [], 0.5)
            for job in list(running):
                ended = job.late()
                if job.pipe in ready:
                    data = os.read(job.pipe, 1 << 20)
                    job.data += data
                    ended = ended or not data
                if ended:
                    running.remove(job)
                    outcome = job.end()
                    counts[outcome['state']] += 1
                    report(job, outcome)
    finally:
        for job in running:
            job.end()
    return counts


def choose(patterns, with_long):
    tests = list(flatten(unittest.defaultTestLoader.discover(HERE, 'test_*.py', HERE)))
    for test in tests:
        if type(test).__name__ == '_FailedTest':
            sys.exit('cannot load %s: %s' % (test.id(), test._exception))
    chosen = [t for t in tests if not patterns or any(p in short_name(t) for p in patterns)]
    chosen = [t for t in chosen if with_long or not attribute(t, 'long', False)]
    return sorted(chosen, key=lambda t: -attribute(t, 'weight', 1))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('patterns', nargs='*')
    parser.add_argument('--camhub', default=os.environ.get('CAMHUB_BIN'))
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--long', action='store_true')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--keep', action='store_true')
    args = parser.parse_args()
    tests = choose(args.patterns, args.long)
    if args.list:
        print('\n'.join(short_name(t) for t in tests))
        return 0
    if not args.camhub or not os.access(args.camhub, os.X_OK):
        print('no program at --camhub %s' % args.camhub, file=sys.stderr)
        return 2
    os.environ['CAMHUB_BIN'] = os.path.abspath(args.camhub)
    os.environ['CAMHUB_E2E_KEEP'] = '1' if args.keep else ''
    os.environ['CAMHUB_E2E_LONG'] = '1' if args.long else ''
    cache = tempfile.mkdtemp(prefix='camhub-e2e-')
    os.environ['CAMHUB_E2E_CACHE'] = cache
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        counts = run_all(tests, max(1, args.jobs))
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    print('%(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counts)
    return 1 if counts['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
