"""The screen streamer's users: its configuration files as they are, and its addresses where its viewers find them."""
import json
import os
import signal
import socket

import films
import flvread
import hub as hubs
from cases import weight
from hub import wait_until
from sources import SourceTest, details, free_port, processes_of, wait_state
from viewer import HttpViewer, Viewer

EVIL = {'Origin': 'http://evil.example'}


class Place:
    """A port of a hub that is not its own: what viewers need to know of it."""
    url, get = hubs.Hub.url, hubs.Hub.get

    def __init__(self, port):
        self.host, self.port = '127.0.0.1', port


class DoorTest(SourceTest):
    def setUp(self):
        super().setUp()
        self.film = films.film(4)
        self.known = films.Known(self.film)

    def streamer(self, name='screen', port=None, path='/', http_port=0, source=None, host='127.0.0.1', **sections):
        """A file of the screen streamer; its path."""
        text = {'server': {'host': host, 'port': port or free_port(), 'path': path, 'http_port': http_port},
                'ffmpeg': {'video_codec': 'libx264', 'audio_codec': 'aac', 'bitrate': '1M', 'framerate': 30,
                           'preset': 'ultrafast', 'tune': 'zerolatency'},
                'source': source or {'type': 'file', 'path': self.film},
                'process': {'crash_threshold': 3, 'crash_window': 60, 'shutdown_timeout': 0}, **sections}
        file_path = os.path.join(self.root, name + '.json')
        with open(file_path, 'w') as file:
            json.dump(text, file)
        return file_path

    def door_hub(self, *files, wait=True, port=0, doors=0, **options):
        flags = [word for path in files for word in ('--config', path)]
        hub = self.start_hub(*flags, '--port', str(port), '--no-thumbnails', thumbnails=True, wait=wait,
                             env={'E2E_SOURCE_MARK': self.mark}, **options)
        if wait:
            hub.wait_log(r'FLV at ws://', count=doors or len(files))
        return hub

    def ws(self, place, path='/', **options):
        viewer = Viewer(place, '', path=path, **options)
        self.addCleanup(viewer.abort)
        return viewer

    def http(self, place, path='/live.flv', extra=''):
        viewer = HttpViewer(place, path, extra)
        self.addCleanup(viewer.close)
        return viewer

    def flv(self, viewer):
        data = viewer.body if isinstance(viewer, HttpViewer) else b''.join(viewer.binaries())
        return flvread.read(data) if len(data) > 13 else flvread.Flv(False, False)

    def assert_film(self, viewer, pictures=20, known=None):
        """It gets the film: pictures and sound, as they are; where it begins."""
        wait_until(lambda: len(self.flv(viewer).pictures) >= pictures, 20, 'pictures', step=0.1)
        flv = self.flv(viewer)
        self.assertEqual(flv.order[:4], ['meta', 'video config', 'audio config', 'picture'])
        self.assertTrue(flv.sounds)
        return (known or self.known).check(flv.pictures, flv.sounds)

    def refused(self, place, path, **options):
        viewer = self.ws(place, path, **options)
        self.assertEqual(viewer.wait_closed(), (1008, 'Unknown endpoint'), path)
        self.assertEqual(viewer.all, [])


class AsItWas(DoorTest):
    def test_whole_file(self):
        """Every section, with defaults written out and with a log file: viewers find it where it was."""
        port, http_port = free_port(), free_port()
        log = os.path.join(self.root, 'streamer.log')
        config = self.streamer(port=port, http_port=http_port, logging={'level': 'INFO', 'file': log},
                               source={'type': 'file', 'path': os.path.basename(self.film)})
        # A relative path begins at the folder of the file.
        os.symlink(self.film, os.path.join(self.root, os.path.basename(self.film)))
        hub = self.door_hub(config)
        streamer, second = Place(port), Place(http_port)
        viewers = [self.ws(streamer), self.http(streamer), self.http(second), self.ws(second)]
        for viewer in viewers:
            self.assert_film(viewer)
        for viewer in viewers[1:3]:
            fields = viewer.head.lower().split('\r\n')
            self.assertIn('http/1.1 200 ok', fields)
            for field in ('content-type: video/x-flv', 'cache-control: no-cache', 'access-control-allow-origin: *',
                          'connection: close'):
                self.assertIn(field, fields)
            self.assertNotIn('content-length', viewer.head.lower())
        own = self.http(hub, '/live/live.flv')
        self.assert_film(own)
        self.assertNotIn('access-control-allow-origin', own.head.lower())
        now = details(hub, 'live')
        self.assertEqual((now['source']['type'], now['source']['state']), ('file', 'running'))
        self.assertEqual(now['figures']['viewers'], 5)
        self.assertEqual(len({m for m in hub.matches(r'live: FLV at (ws://\S+) and ')}), 2)
        with open(log) as file:
            self.assertIn('live: source runs', file.read())

    def test_network_stream_that_is_not_there(self):
        """Its keys are taken; a viewer waits, the reason is told in words, without the password."""
        port = free_port()
        config = self.streamer(port=port, path='/cam', source={
            'type': 'network_stream', 'url': 'rtsp://joe:hush1234@127.0.0.1:%d/stream' % free_port(),
            'transport': 'tcp', 'timeout': 5000000, 'reconnect_delay': 0.2, 'max_reconnect_attempts': 1})
        hub = self.door_hub(config)
        viewer = self.ws(Place(port), '/cam')
        now = wait_state(hub, 'cam', 'given_up')
        self.assertIn('refused', now['source']['error'].lower())
        self.assertTrue(viewer.socket.open)
        self.assertEqual(viewer.all, [])
        self.assertNotIn('hush1234', hub.log_text() + json.dumps(now))

    def test_requests(self):
        """GET and HEAD at its path; nothing else of the hub is there, in either port, with or without a viewer."""
        port, http_port = free_port(), free_port()
        hub = self.door_hub(self.streamer(port=port, http_port=http_port, path='/screen1'))
        for place in (Place(port), Place(http_port)):
            for path in ('/live.flv', '/screen1.flv', '/screen1/live.flv', '/live.flv?x=1'):
                status, fields, body = place.get(path, 'HEAD')
                self.assertEqual((status, fields['content-type'], body), (200, 'video/x-flv', b''), path)
                self.assertEqual((fields['cache-control'], fields['access-control-allow-origin']), ('no-cache', '*'))
            for path in ('/', '/dev', '/console/', '/console/app.js', '/healthz', '/metrics', '/recordings/',
                         '/api/v1/status', '/api/v1/cameras', '/api/v1/recordings', '/api/v1/events', '/camera',
                         '/live/screen1.flv', '/live/screen1.mp4', '/live/screen1.jpg', '/screen1', '/live.flv/',
                         '/screen1/', '/screen1/live.mp4', '/screen2.flv', '/..%2flive.flv', '//live.flv'):
                for method in ('GET', 'HEAD', 'POST', 'DELETE'):
                    status, _, body = place.get(path, method)
                    self.assertEqual(status, 404, '%s %s: %r' % (method, path, body[:200]))
            self.assertEqual(place.get('/live.flv', 'POST')[0], 404)
            self.assertEqual(place.get('/live.flv?coalesce=x')[0], 400)
            for path in ('/', '/android-cam', '/android-cam/mine', '/esp', '/esp/mine', '/dev', '/live/screen1',
                         '/api/v1/events', '/screen2', '/screen1/', '/Screen1', '/live.flv', '/screen1.flv'):
                self.refused(place, path)
        self.assertEqual([c['name'] for c in json.loads(hub.get('/api/v1/cameras')[2])['cameras']], ['screen1'])
        self.assertEqual(details(hub, 'screen1')['statistics']['runs'], 0)
        self.assert_alive(hub)

    def test_origins(self):
        """Pages of any site may watch there, as they could; the hub's own port is as it always is."""
        port = free_port()
        hub = self.door_hub(self.streamer(port=port))
        place = Place(port)
        self.assert_film(self.ws(place, extra_headers=EVIL), 5)
        self.assert_film(self.http(place, extra='Origin: http://evil.example\r\n'), 5)
        for path in ('/live/live', '/live/live?format=flv', '/dev', '/api/v1/events', '/android-cam'):
            peer = self.peer(hub)
            self.assertEqual(peer.upgrade(path, ['Origin: http://evil.example'])[0], 403, path)

    def test_viewer_that_sends(self):
        port = free_port()
        self.door_hub(self.streamer(port=port))
        viewer = self.ws(Place(port))
        viewer.ping()
        viewer.send('hello')
        self.assertEqual(viewer.wait_closed()[0], 1003)

    @weight(6)
    def test_who_comes_in_time(self):
        """Within shutdown_timeout ffmpeg is kept; behind it, it is gone, and started for the next."""
        port = free_port()
        hub = self.door_hub(self.streamer(port=port, process={'shutdown_timeout': 1.5}))
        place = Place(port)
        first = self.ws(place)
        self.assert_film(first, 5)
        pid = details(hub, 'live')['statistics']['pid']
        first.close()
        wait_state(hub, 'live', 'lingering')
        second = self.http(place)
        self.assert_film(second, 5)
        now = details(hub, 'live')
        self.assertEqual((now['statistics']['pid'], now['statistics']['runs']), (pid, 1))
        self.assertEqual(now['source']['state'], 'running')
        second.close()
        wait_state(hub, 'live', 'stopped')
        self.assertEqual([p for p in processes_of(self.mark) if p.pid != hub.pid], [])
        self.assertEqual(self.assert_film(self.ws(place), 5), 0)
        self.assertEqual(details(hub, 'live')['statistics']['runs'], 2)


class Ports(DoorTest):
    def other_film(self):
        return films.film(4, size=(256, 192))

    def test_shared(self):
        """Three files on one port, and the same HTTP port: each at its path."""
        port, http_port, other = free_port(), free_port(), self.other_film()
        source = {'type': 'file', 'path': other}
        hub = self.door_hub(self.streamer('one', port, '/door', http_port, source=source),
                            self.streamer('two', port, '/', http_port),
                            self.streamer('three', port, '/yard/left', http_port, source=source))
        known = films.Known(other)
        for name, path in (('door', '/door'), ('live', ''), ('yard_left', '/yard/left')):
            self.assertTrue(hub.matches(r'%s: FLV at ws://127\.0\.0\.1:%d%s and http://127\.0\.0\.1:%d%s/live\.flv$' % (
                name, port, path or '/', port, path)), name)
        streamer, second = Place(port), Place(http_port)
        wanted = [(self.ws(streamer), self.known), (self.ws(streamer, '/door'), known),
                  (self.ws(streamer, '/yard/left'), known)]
        for place in (streamer, second):
            for path, film in (('/live.flv', self.known), ('/door/live.flv', known), ('/door.flv', known),
                               ('/yard/left/live.flv', known), ('/yard/left.flv', known)):
                wanted.append((self.http(place, path), film))
        for viewer, film in wanted:
            self.assert_film(viewer, 10, film)
        for path in ('/yard', '/yard/', '/left', '/door/yard', '/doo'):
            self.refused(streamer, path)
            self.assertEqual(streamer.get(path + '.flv')[0], 404)

    def test_shared_without_a_root(self):
        """/live.flv is the first's then."""
        port, other = free_port(), self.other_film()
        self.door_hub(self.streamer('one', port, '/b', source={'type': 'file', 'path': other}),
                      self.streamer('two', port, '/a'))
        place = Place(port)
        self.assert_film(self.http(place), 5, films.Known(other))
        self.assert_film(self.http(place, '/a.flv'), 5)
        self.refused(place, '/')

    def test_same_place_twice(self):
        port = free_port()
        hub = self.door_hub(self.streamer('one', port, '/a'), self.streamer('two', port, '/a', source={
            'type': 'file', 'path': self.film, 'name': 'other'}), wait=False, well=False)
        self.assertEqual(hub.wait_exit(20), 1)
        self.assertIn('server.path', hub.log_text())
        self.assertIn('one.json', hub.log_text())

    def test_taken_port(self):
        """The streamer's port is what it is for: without it the hub does not start."""
        with socket.socket() as holder:
            holder.bind(('127.0.0.1', 0))
            holder.listen()
            port = holder.getsockname()[1]
            hub = self.door_hub(self.streamer(port=port), wait=False, well=False)
            self.assertEqual(hub.wait_exit(20), 1)
        text = hub.log_text()
        self.assertRegex(text, r'\[Error\].*%d' % port)
        self.assertIn('in use', text)
        self.assertNotIn('AddressSanitizer', text)

    def test_taken_http_port(self):
        """The second address is not worth the end."""
        port = free_port()
        with socket.socket() as holder:
            holder.bind(('127.0.0.1', 0))
            holder.listen()
            taken = holder.getsockname()[1]
            hub = self.door_hub(self.streamer(port=port, http_port=taken))
            self.assertEqual(len(hub.matches(r'\[Error\].*%d' % taken)), 1)
            self.assert_film(self.http(Place(port)), 5)
        self.assert_alive(hub)

    def test_on_the_hubs_own_port(self):
        """At a path that is none of the hub's; all that the hub has is there, too."""
        port, second = free_port(), free_port()
        hub = self.door_hub(self.streamer(port=port, path='/screen1', http_port=second), port=port)
        self.assertEqual(hub.port, port)
        for viewer in (self.ws(hub, '/screen1'), self.http(hub), self.http(hub, '/screen1.flv'),
                       self.http(hub, '/screen1/live.flv'), self.http(hub, '/live/screen1.flv'),
                       self.http(Place(second)), self.ws(hub, '/screen1', extra_headers=EVIL),
                       self.ws(hub, '/live/screen1?format=flv')):
            self.assert_film(viewer, 5)
        self.assertEqual(self.peer(hub).upgrade('/live/screen1', ['Origin: http://evil.example'])[0], 403)
        self.assertEqual(hub.get('/')[0], 200)
        self.refused(hub, '/screen2')
        self.assert_alive(hub)

    def test_hubs_port_at_another_address(self):
        """That is a port of its own."""
        port = free_port()
        hub = self.door_hub(self.streamer(port=port, path='/screen1', host='127.0.0.2'), port=port)
        other = Place(port)
        other.host = '127.0.0.2'
        self.assert_film(self.ws(other, '/screen1'), 5)
        self.assertEqual(other.get('/api/v1/status')[0], 404)
        self.assertEqual(hub.get('/api/v1/status')[0], 200)
        self.refused(hub, '/screen1')

    def test_path_of_the_hub(self):
        for path in ('/', '/live', '/dev', '/android-cam/x', '/api/v1/status'):
            port = free_port()
            hub = self.door_hub(self.streamer(port=port, path=path), port=port, wait=False, well=False)
            self.assertEqual(hub.wait_exit(20), 1, path)
            self.assertIn("a path of the hub's own", hub.log_text())


class Changes(DoorTest):
    def reload(self, hub, count):
        hub.signal(signal.SIGHUP)
        hub.wait_log(r'SIGHUP: the configuration', count=count)

    def test_moved(self):
        """SIGHUP: its viewers stay, who comes new goes to the new port; the source runs on."""
        port, new_port = free_port(), free_port()
        hub = self.door_hub(self.streamer(port=port, process={'shutdown_timeout': 30}))
        stays = self.ws(Place(port))
        self.assert_film(stays, 5)
        self.streamer(port=new_port, path='/', process={'shutdown_timeout': 30})
        self.reload(hub, 1)
        self.assert_film(self.ws(Place(new_port)), 5)
        with self.assertRaises(OSError):
            socket.create_connection(('127.0.0.1', port), 2)
        self.assertTrue(stays.socket.open)
        have = len(self.flv(stays).pictures)
        self.assert_film(stays, have + 10)
        self.assertEqual(details(hub, 'live')['statistics']['runs'], 1)

    def test_source_changes(self):
        """Its viewers stay, and see the new one, as do those who come then."""
        port, other = free_port(), films.film(4, size=(256, 192))
        hub = self.door_hub(self.streamer(port=port))
        viewers = self.ws(Place(port)), self.http(Place(port))
        self.assert_film(viewers[0], 5)
        self.streamer(port=port, source={'type': 'file', 'path': other})
        self.reload(hub, 1)
        known = films.Known(other)
        self.assert_film(self.ws(Place(port)), 5, known)
        self.assert_film(self.http(Place(port)), 5, known)
        for viewer in viewers:
            pictures = self.flv(viewer).pictures
            begin = next(n for n, p in enumerate(pictures) if p.sample not in self.known.picture_at)
            self.assertEqual(known.check(pictures[begin:]), 0)
            self.assertGreater(pictures[begin].dts, pictures[begin - 1].dts)
        self.assertEqual([p for p in processes_of(self.mark) if p.state == 'Z'], [])

    def test_port_that_is_taken(self):
        """A reload that cannot be done changes nothing."""
        port = free_port()
        hub = self.door_hub(self.streamer(port=port))
        viewer = self.ws(Place(port))
        with socket.socket() as holder:
            holder.bind(('127.0.0.1', 0))
            holder.listen()
            self.streamer(port=holder.getsockname()[1])
            self.reload(hub, 1)
        self.assertRegex(hub.log_text(), 'nothing has changed')
        self.assert_film(viewer, 5)
        self.assert_film(self.http(Place(port)), 5)

    def test_bad_file(self):
        port = free_port()
        hub = self.door_hub(self.streamer(port=port))
        self.streamer(port=port, path='no slash')
        self.reload(hub, 1)
        self.assertRegex(hub.log_text(), r'\[Error\].*server\.path')
        self.assert_film(self.ws(Place(port)), 5)

    def test_added_and_taken_away(self):
        """A second door on the same port comes and goes."""
        port = free_port()
        first, second = self.streamer('one', port), self.streamer('two', port, '/door')
        with open(second) as file:
            there = file.read()
        with open(second, 'w') as file:
            file.write('{}')
        hub = self.door_hub(first, second, doors=1)
        place = Place(port)
        self.refused(place, '/door')
        with open(second, 'w') as file:
            file.write(there)
        self.reload(hub, 1)
        viewer = self.ws(place, '/door')
        self.assert_film(viewer, 5)
        with open(second, 'w') as file:
            file.write('{}')
        self.reload(hub, 2)
        self.refused(place, '/door')
        self.assertEqual(place.get('/door.flv')[0], 404)
        self.assertTrue(viewer.socket.open)  # as those of any camera that is lost
        self.assert_film(self.ws(place), 5)
