"""Writes an FLV file to stdout, each tag when its time has come, as ffmpeg -re does; then hangs, or after SECONDS ends
by SIGSEGV.

    play_flv.py FILE [SECONDS]
"""
import os
import signal
import sys
import time


def tags(data):
    """(time in ms, bytes) of each tag, with the tag size behind it. Adobe FLV specification 10.1, E.4.1."""
    at = 9 + 4
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1:at + 4], 'big')
        when = int.from_bytes(data[at + 4:at + 7], 'big') | data[at + 7] << 24
        yield when, data[at:at + 11 + size + 4]
        at += 11 + size + 4


def wait_until(moment, end):
    """False if the end comes first."""
    now = time.monotonic()
    time.sleep(max(0, min(moment, end) - now))
    return moment <= end


def play(data, end):
    out = sys.stdout.buffer
    out.write(data[:9 + 4])
    out.flush()
    begin, first = time.monotonic(), None
    for when, tag in tags(data):
        first = when if first is None else first
        if not wait_until(begin + (when - first) / 1000, end):
            return
        out.write(tag)
        out.flush()


def main():
    with open(sys.argv[1], 'rb') as file:
        data = file.read()
    if data[:3] != b'FLV':
        sys.exit('%s: Invalid data found when processing input' % sys.argv[1])
    end = time.monotonic() + float(sys.argv[2]) if len(sys.argv) > 2 else float('inf')
    try:
        play(data, end)
    except BrokenPipeError:
        os._exit(1)
    if len(sys.argv) > 2:
        time.sleep(max(0, end - time.monotonic()))
        os.kill(os.getpid(), signal.SIGSEGV)
    while True:
        signal.pause()


main()
