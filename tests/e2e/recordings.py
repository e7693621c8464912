"""What the tests of the list of recordings have in common."""
import os
import urllib.parse

from cases import HubTest, phone
from contract import ask
from hub import wait_until
from listener import Listener

DATABASE = '.catalogue.sqlite'
VERDICTS = ('recording', 'complete', 'gaps', 'recovered', 'damaged', 'unknown')


def quote(text):
    return urllib.parse.quote(text, safe='')


class RecordingsTest(HubTest):
    def setUp(self):
        super().setUp()
        self.recordings = os.path.join(self.root, 'recordings')
        self.database = os.path.join(self.recordings, DATABASE)

    def listen(self, hub):
        listener = Listener(hub)
        self.addCleanup(listener.abort)
        listener.wait_kind('status')
        return listener

    def status(self, hub):
        return ask(hub, 'GET', '/status').value['catalogue']

    def wait_ready(self, hub, timeout=20):
        return wait_until(lambda: (lambda c: c if c['state'] == 'ready' else None)(self.status(hub)), timeout,
                          lambda: 'a ready list, have %s' % self.status(hub))

    def page(self, hub, query='', **values):
        """One page; values go into the query percent-encoded."""
        query = '&'.join([query] * bool(query) + ['%s=%s' % (k.rstrip('_'), quote(str(v))) for k, v in values.items()])
        answer = ask(hub, 'GET', '/recordings' + '?' * bool(query) + query)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.value

    def pages(self, hub, **values):
        """All recordings that fit, page by page."""
        found, page = [], self.page(hub, **values)
        while True:
            found += page['recordings']
            if not page['next']:
                self.assertEqual(page['total'], len(found))
                return found
            page = self.page(hub, cursor=page['next'], **values)

    def ids(self, hub, **values):
        return [r['id'] for r in self.pages(hub, **values)]

    def details(self, hub, name):
        answer = ask(hub, 'GET', '/recordings/' + quote(name))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.value

    def delete(self, hub, name, status=204, **headers):
        answer = ask(hub, 'DELETE', '/recordings/' + quote(name), headers=headers)
        self.assertEqual(answer.status, status, answer.body)
        return answer

    def record(self, hub, name, count=10, messages=None):
        """A whole session of a camera that comes and goes; it is finished, and the list knows it."""
        before = len(hub.sessions(name + '_'))
        cam, messages = self.camera(hub, name), messages or phone(1).phone(count=count)
        cam.record(messages)
        cam.close()
        hub.wait_finished(before + 1, prefix=name + '_')
        session = hub.sessions(name + '_')[-1]
        self.wait_listed(hub, session.id)
        return session

    def wait_listed(self, hub, name, verdict=None):
        def found():
            known = [r for r in self.page(hub, limit=500)['recordings'] if r['id'] == name]
            return known and known[0]['verdict'] not in (['recording'] if verdict is None else VERDICTS) or \
                known and known[0]['verdict'] == verdict
        wait_until(found, 15, lambda: '%s in the list as %s; it is %s' % (
            name, verdict, [(r['id'], r['verdict']) for r in self.page(hub, limit=500)['recordings']]))

    def late_ffmpeg(self):
        """An ffmpeg that waits until it may go (at most 15 s)."""
        script = os.path.join(self.root, 'late-ffmpeg')
        with open(script, 'w') as file:
            file.write('#!/bin/bash\nfor n in {1..300}; do [ -e %s/go ] && break; sleep 0.05; done\n'
                       'exec ffmpeg "$@"\n' % self.root)
        os.chmod(script, 0o755)
        return script

    def let_ffmpeg_go(self):
        open(os.path.join(self.root, 'go'), 'w').close()

    def assert_tells(self, recording, session):
        """The list says what the folder and its report say."""
        report, sizes = session.report(), self.sizes(session.folder)
        parts = session.parts()
        want = {
            'id': session.id, 'camera': report['camera']['name'] or report['camera']['address'],
            'kind': report.get('kind', 'h264'), 'started': report['started'], 'ended': report['ended'],
            'duration': report['duration'], 'bytes': sum(sizes.values()), 'frames': report['counts']['frames'],
            'missing': report['counts']['missing'], 'verdict': report['verdict'], 'reason': report['reason'],
            'video': parts[0] if parts else None, 'parts': parts, 'thumbnail': 'thumbnail.jpg' in sizes}
        self.assertEqual(recording, want)

    def sizes(self, folder):
        return {n: os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder)}

    def assert_details(self, hub, session):
        details = self.details(hub, session.id)
        self.assert_tells(details['recording'], session)
        self.assertEqual(details['report'], session.report())
        self.assertEqual({f['name']: f['bytes'] for f in details['files']}, self.sizes(session.folder))
        self.assertEqual([f['name'] for f in details['files']], sorted(f['name'] for f in details['files']))
        return details
