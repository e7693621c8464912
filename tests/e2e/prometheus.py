"""/metrics, read by the letter of Prometheus' text format 0.0.4."""
import re

_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (\S+)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def read(hub):
    """{(name, ((label, value), ...)): number} by the letter of Prometheus' text format 0.0.4."""
    status, fields, body = hub.get('/metrics')
    if status != 200 or fields['content-type'] != 'text/plain; version=0.0.4; charset=utf-8':
        raise AssertionError('%d %s' % (status, fields))
    text, out, types, current, done = body.decode('utf8'), {}, {}, None, set()
    if not text.endswith('\n') or '\n\n' in text:
        raise AssertionError('lines of /metrics')
    for line in text[:-1].split('\n'):
        if line.startswith('# '):
            word, name, rest = line[2:].split(' ', 2)
            if word == 'HELP':
                done.add(current)
                if name in done or name in types:
                    raise AssertionError('%s comes twice' % name)
                current = name
            elif word != 'TYPE' or name != current or rest not in ('gauge', 'counter') or name in types:
                raise AssertionError(line)
            else:
                types[name] = rest
                if (rest == 'counter') != name.endswith('_total'):
                    raise AssertionError('the name of %s' % line)
            continue
        match = _SAMPLE.match(line)
        if not match or match.group(1) != current or current not in types:
            raise AssertionError('line %r under %s' % (line, current))
        labels = _LABEL.findall(match.group(2) or '')
        if ','.join('%s="%s"' % pair for pair in labels) != (match.group(2) or ''):
            raise AssertionError('labels of %r' % line)
        key = match.group(1), tuple(sorted(labels))
        if key in out:
            raise AssertionError('%s twice' % (key,))
        out[key] = float(match.group(3))
    return out


def value(metrics, name, **labels):
    return metrics['camhub_' + name, tuple(sorted(labels.items()))]
