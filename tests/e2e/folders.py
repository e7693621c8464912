"""Session folders made by hand, as somebody copies them in: for lists that are longer than cameras could fill."""
import datetime
import json
import os

FIRST = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)


def instant(seconds=0.0):
    return FIRST + datetime.timedelta(seconds=seconds)


def rfc3339(time):
    return time.astimezone(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.') + '%03dZ' % (time.microsecond // 1000)


def report(name, camera='door', started=0.0, verdict='complete', reason='as it should be', model='Pixel 7', seconds=10,
           frames=300, missing=0, kind='h264', part='stream.mp4'):
    """What session.json says of a session that has ended."""
    return {
        'format': 1, 'id': name, 'kind': kind, 'numbered': kind == 'h264', 'state': 'finished', 'verdict': verdict,
        'reason': reason, 'end_reason': 'capture_stopped',
        'camera': {'name': camera, 'address': '10.0.0.1:5000', 'device_model': model}, 'capabilities': None,
        'started': rfc3339(instant(started)), 'ended': rfc3339(instant(started + seconds)), 'duration': seconds,
        'files': [{'name': part, 'kind': 'mp4', 'bytes': 9, 'frames': frames, 'damaged': False,
                   'width': 320, 'height': 240}],
        'counts': {'messages': frames + 1, 'frames': frames, 'missing': missing}, 'missing': [], 'gaps': []}


def make(recordings, name, files=(('stream.mp4', b'not video'),), **options):
    """A folder with a report; returns the report."""
    os.makedirs(recordings, exist_ok=True)
    folder = os.path.join(recordings, name)
    os.mkdir(folder)
    told = report(name, **options)
    for file_name, data in (*files, ('session.json', json.dumps(told).encode())):
        with open(os.path.join(folder, file_name), 'wb') as file:
            file.write(data)
    return told


def age(folder, seconds=100):
    """Makes a folder and what is in it older, as after a quiet while."""
    for name in ('', *os.listdir(folder)):
        path = os.path.join(folder, name)
        info = os.lstat(path)
        os.utime(path, (info.st_atime - seconds, info.st_mtime - seconds), follow_symlinks=False)
