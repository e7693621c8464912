"""docs/openapi.json as a judge: is this answer, this event message, what the contract says?"""
import functools
import http.client
import json
import os
import re

import jsonschema

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
PREFIX = '/api/v1'


@functools.lru_cache(1)
def document():
    with open(os.path.join(ROOT, 'docs', 'openapi.json'), encoding='utf8') as file:
        return json.load(file)


@functools.lru_cache(None)
def _checker(*way):
    schema = document()
    for step in way:
        schema = schema[step]
    return jsonschema.Draft202012Validator({'allOf': [schema], 'components': document()['components']})


def _no_constants(name):
    raise AssertionError('%s is no JSON' % name)


def parse(text):
    """Strict: no NaN, no key twice."""
    def pairs(items):
        keys = [key for key, _ in items]
        assert len(keys) == len(set(keys)), 'a key comes twice: %r' % keys
        return dict(items)
    return json.loads(text, parse_constant=_no_constants, object_pairs_hook=pairs)


def _require(checker, value, what):
    faults = sorted(checker.iter_errors(value), key=str)
    if faults:
        raise AssertionError('%s: %s\n%s' % (what, faults[0].message, json.dumps(value)[:2000]))


def template(path):
    """The path of the contract that this one is an instance of."""
    path = path.partition('?')[0]
    for known in document()['paths']:
        if re.fullmatch(re.sub(r'\\\{\w+\\\}', '[^/]+', re.escape(known)), path):
            return known
    return None


def check_answer(method, path, status, fields, body):
    """Raises unless the contract knows this status here, and the body is of its type and schema. The value."""
    known = template(path)
    kind = fields.get('content-type', '').partition(';')[0]
    responses = document()['paths'].get(known, {}).get(method.lower(), {}).get('responses', {})
    if str(status) not in responses:
        assert status >= 400, '%s %s: status %d is not in the contract' % (method, path, status)
        assert kind == 'application/json', '%s %s: an error of type %r' % (method, path, kind)
        value = parse(body)
        _require(_checker('components', 'schemas', 'Error'), value, '%s %s' % (method, path))
        return value
    way = ('paths', known, method.lower(), 'responses', str(status))
    content = responses[str(status)].get('content')
    if not content:
        assert body == b'', '%s %s: %d has a body' % (method, path, status)
        return None
    assert kind in content, '%s %s: type %r, expected %r' % (method, path, kind, list(content))
    if kind != 'application/json':
        return body
    value = parse(body)
    _require(_checker(*way, 'content', kind, 'schema'), value, '%s %s -> %d' % (method, path, status))
    return value


def check_event(text):
    """Raises unless this is a message of /api/v1/events; the value."""
    assert isinstance(text, str), 'a binary message'
    value = parse(text)
    messages = ('paths', PREFIX + '/events', 'get', 'x-messages')
    known = document()['paths'][PREFIX + '/events']['get']['x-messages']
    assert value.get('type') in known, 'no such message: %s' % text[:200]
    _require(_checker(*messages, value['type']), value, 'event %s' % value['type'])
    return value


class Answer:
    def __init__(self, status, fields, body, value):
        self.status, self.fields, self.body, self.value = status, fields, body, value

    @property
    def error(self):
        return self.value['error']


def ask(hub, method, path, body=None, headers=None):
    """A request on a connection of its own, its answer checked against the contract."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        headers = {'Content-Type': 'application/json', **(headers or {})}
    connection = http.client.HTTPConnection(hub.host, hub.port, timeout=20)
    try:
        connection.request(method, PREFIX + path, body, headers or {})
        response = connection.getresponse()
        data = response.read()
        fields = {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
    value = None
    if method in ('GET', 'POST', 'DELETE'):
        value = check_answer(method, PREFIX + path, response.status, fields, data)
    return Answer(response.status, fields, data, value)
