#!/usr/bin/python3
"""Makes C of files, so that they are part of the program (src/app/assets.h).

    embed.py OUT.c OUT.d FOLDER [FILE...]

All files of FOLDER, by their names below it, and each FILE, by its own name; each as it is and compressed. OUT.d tells ninja what the result
depends on: the folders too, so a file that is added or goes is noticed. A folder that does not exist has no files.
"""
import gzip
import hashlib
import os
import sys

TYPES = {
    '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
    '.json': 'application/json', '.svg': 'image/svg+xml', '.png': 'image/png', '.ico': 'image/x-icon',
    '.txt': 'text/plain; charset=utf-8', '.webmanifest': 'application/manifest+json', '.woff2': 'font/woff2',
}
SAFE = set(range(32, 127)) - set(b'"\\?')


def walk(folder):
    """(name, path) of each file, and the folders. What editors leave behind is none of ours."""
    files, folders = [], []
    for where, names, leaves in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith('.'))
        folders.append(where)
        for leaf in leaves:
            if os.path.splitext(leaf)[1] in TYPES and not leaf.startswith('.'):
                path = os.path.join(where, leaf)
                files.append((os.path.relpath(path, folder), path))
    return files, folders


def literal(data):
    """A string literal; a line ends with a piece, and octal escapes are whole."""
    for at in range(0, len(data), 96):
        piece = ''.join(chr(b) if b in SAFE else '\\%03o' % b for b in data[at:at + 96])
        yield '    "%s"' % piece


def array(name, data):
    """The lines of a definition."""
    pieces = [*literal(data)] or ['    ""']
    return ['static const unsigned char %s[%d + 1] =' % (name, len(data)), *pieces[:-1], pieces[-1] + ';']


def main():
    out, depend, folder, *singles = sys.argv[1:]
    files, folders = walk(folder)
    files = sorted(files + [(os.path.basename(path), path) for path in singles])
    text = ['// Made by tools/embed.py.', '#include "app/assets.h"', '']
    table = []
    for number, (name, path) in enumerate(files):
        with open(path, 'rb') as file:
            data = file.read()
        packed = gzip.compress(data, 9, mtime=0)
        text += array('data_%d' % number, data) + array('gzip_%d' % number, packed)
        table.append('    {"%s", "%s", "%s", data_%d, %d, gzip_%d, %d},' % (
            name, TYPES[os.path.splitext(name)[1]], hashlib.sha256(data).hexdigest()[:20], number, len(data), number,
            len(packed)))
    text += ['', 'const struct ch_asset ch_assets[] = {', *table, '    {0},', '};',
             'const size_t ch_asset_count = %d;' % len(table), '']
    with open(out, 'w', encoding='ascii') as file:
        file.write('\n'.join(text))
    above = [] if folders else [os.path.dirname(os.path.abspath(folder))]  # where the folder would appear
    names = [os.path.abspath(path) for path in [*(path for _, path in files), *folders, *above]]
    with open(depend, 'w', encoding='utf8') as file:
        file.write('%s: %s\n' % (out, ' '.join(name.replace(' ', '\\ ') for name in names)))


main()
