"""Screens and windows of a real X server, and streams of real RTSP and RTMP servers, as sources."""
import socket

import films
import flvread
import processes
from cases import weight
from hub import wait_until
from listener import Listener
from servers import Nginx, Program, RtspServer, Xvfb
from sources import SourceTest, details, processes_of, source_states, state, wait_state
from x11 import Display

BLUE, RED, GREEN, WHITE, BLACK = 0x0000FF, 0xFF0000, 0x00FF00, 0xFFFFFF, 0x000000
NAMES = {BLUE: 'blue', RED: 'red', GREEN: 'green', WHITE: 'white', BLACK: 'black'}


class Picture:
    """A decoded picture that can be asked for its colours."""

    def __init__(self, width, height, data):
        self.width, self.height, self.data = width, height, data

    def colour(self, x, y):
        """Of the five colours the nearest; what is far from all of them is told as it is."""
        at = 3 * (y * self.width + x)
        pixel = self.data[at:at + 3]
        for colour, name in NAMES.items():
            if all(abs(a - b) < 70 for a, b in zip(pixel, colour.to_bytes(3, 'big'))):
                return name
        return tuple(pixel)


class GrabTest(SourceTest):
    def setUp(self):
        super().setUp()
        self.watchers = []

    def xvfb(self, size=(640, 480)):
        server = Xvfb(self, size).start()
        return server, self.connect(server)

    def connect(self, server):
        display = Display(server.display)
        self.addCleanup(display.close)
        return display

    def grab_hub(self, *names_and_keys, env=None, threshold=1, **options):
        """Sources by name; given up at the first failure. A program under AddressSanitizer takes any address space."""
        process = {'crash_threshold': threshold, 'shutdown_timeout': 0,
                   **({'memory_limit': 0} if processes.sanitized() else {})}
        sources = [{'type': 'screen', 'draw_mouse': False, 'ffmpeg': {'framerate': 30, 'bitrate': '8M'}, 'name': name,
                    **keys} for name, keys in names_and_keys]
        return self.source_hub(sources, process=process, env=env, **options)

    def watch(self, hub, name):
        watcher = self.watcher(hub, name, 'http flv')
        self.watchers.append(watcher)
        return watcher

    def picture(self, watcher, newest=False):
        """The first picture, or the newest, decoded."""
        watcher.wait_pictures(1)
        data = watcher.data() if newest else watcher.whole(1)
        header, tags = data[:13], flvread.split(data)[1]
        starts = [n for n, tag in enumerate(tags) if tag.kind == flvread.SCRIPT]
        keys = [n for n, tag in enumerate(tags) if tag.kind == flvread.VIDEO and tag.body[:2] == b'\x17\1']
        start = max(n for n in starts if n < keys[-1])  # of the newest that has pictures
        end = 13
        for number, tag in enumerate(tags):
            size = 15 + len(tag.body)
            header += data[end:end + size] if number >= start else b''
            end += size
        meta = flvread.read(header).metadata[-1]
        width, height = int(meta['width']), int(meta['height'])
        raw = films.ffmpeg('-f', 'flv', '-i', 'pipe:0', '-map', '0:v:0', '-fps_mode', 'passthrough', '-f', 'rawvideo',
                           '-pix_fmt', 'rgb24', 'pipe:1', data=header)
        size = 3 * width * height
        self.assertEqual(len(raw) % size, 0)
        return Picture(width, height, raw[-size:])

    def first_picture(self, hub, name):
        watcher = self.watch(hub, name)
        picture = self.picture(watcher)
        watcher.viewer.close()
        return picture

    def assert_colours(self, picture, size, *colours):
        """`colours`: (x, y, name)."""
        self.assertEqual((picture.width, picture.height), size)
        self.assertEqual([picture.colour(x, y) for x, y, _ in colours], [name for _, _, name in colours])

    def wait_size(self, watcher, width):
        wait_until(lambda: self.picture(watcher, True).width == width, 30, '%d wide' % width, step=0.2)

    def words(self, hub, name):
        """Why this source is given up."""
        watcher = self.watch(hub, name)
        now = wait_state(hub, name, 'given_up')
        self.assertEqual(watcher.data(), b'')
        return now['source']['error']


class Screens(GrabTest):
    @weight(8)
    def test_what_is_grabbed(self):
        """The whole, a region, a monitor, a region of a monitor: each at its place."""
        server, screen = self.xvfb()
        screen.fill(screen.root, BLUE, 0, 0, 640, 480)
        screen.fill(screen.root, RED, 400, 100, 120, 80)
        on = {'display': server.display}
        hub = self.grab_hub(('whole', on),
                            ('region', dict(on, region={'x': 400, 'y': 100, 'width': 120, 'height': 80})),
                            ('beside', dict(on, region={'x': 384, 'y': 90, 'width': 100, 'height': 64})),
                            ('odd', dict(on, region={'x': 391, 'y': 93, 'width': 100, 'height': 64})),
                            ('right', dict(on, display_index=1)), ('left', dict(on, display_index=0)),
                            ('part', dict(on, display_index=1, region={'x': 80, 'y': 100, 'width': 120, 'height': 80})),
                            ('none', dict(on, display_index=3)),
                            ('outside', dict(on, region={'x': 600, 'y': 0, 'width': 64, 'height': 64})))
        self.assert_colours(self.first_picture(hub, 'whole'), (640, 480), (390, 140, 'blue'), (410, 110, 'red'),
                            (510, 170, 'red'), (530, 140, 'blue'), (460, 90, 'blue'), (460, 190, 'blue'),
                            (3, 3, 'blue'), (636, 476, 'blue'))
        self.assert_colours(self.first_picture(hub, 'region'), (120, 80), (2, 2, 'red'), (117, 2, 'red'),
                            (2, 77, 'red'), (117, 77, 'red'))
        self.assert_colours(self.first_picture(hub, 'beside'), (100, 64), (12, 30, 'blue'), (19, 30, 'red'),
                            (60, 6, 'blue'), (60, 13, 'red'), (97, 61, 'red'))
        self.assert_colours(self.first_picture(hub, 'odd'), (100, 64), (5, 30, 'blue'), (12, 30, 'red'),
                            (60, 3, 'blue'), (60, 10, 'red'))
        self.assertEqual(details(hub, 'whole')['source']['description'], 'screen ' + server.display)
        self.assertEqual(self.words(hub, 'outside'),
                         'region 64x64 at 600,0 does not lie inside the screen, which is 640x480')
        self.assertIn('display %s has 1 monitor, and display_index begins with 0: there is no 1' % server.display,
                      self.words(hub, 'right'))
        screen.monitor('LEFT', 0, 0, 320, 480)
        screen.monitor('RIGHT', 320, 0, 320, 480)
        self.assert_colours(self.first_picture(hub, 'right'), (320, 480), (70, 140, 'blue'), (90, 110, 'red'),
                            (190, 170, 'red'), (210, 140, 'blue'))
        self.assert_colours(self.first_picture(hub, 'left'), (320, 480), (90, 110, 'blue'), (190, 170, 'blue'))
        self.assert_colours(self.first_picture(hub, 'part'), (120, 80), (2, 2, 'red'), (117, 77, 'red'))
        # The third one is what the server itself has.
        self.assertIn('has 3 monitors, and display_index begins with 0: there is no 3', self.words(hub, 'none'))

    @weight(6)
    def test_it_moves(self):
        """What is drawn later is seen later; the pointer is seen if it is wanted. DISPLAY of the environment."""
        server, screen = self.xvfb((323, 241))
        screen.fill(screen.root, BLUE, 0, 0, 323, 241)
        screen.cursor()
        screen.pointer(100, 60)
        hub = self.grab_hub(('plain', {}), ('pointer', {'draw_mouse': True}), env={'DISPLAY': server.display})
        plain, pointer = self.watch(hub, 'plain'), self.watch(hub, 'pointer')
        self.assert_colours(self.picture(plain), (322, 240), (108, 68, 'blue'))
        self.assert_colours(self.picture(pointer), (322, 240), (108, 68, 'white'), (90, 50, 'blue'), (125, 85, 'blue'))
        screen.fill(screen.root, GREEN, 0, 0, 323, 241)
        screen.pointer(200, 160)
        wait_until(lambda: self.picture(plain, True).colour(108, 68) == 'green', 15, 'green', step=0.2)
        wait_until(lambda: self.picture(pointer, True).colour(208, 168) == 'white', 15, 'the pointer', step=0.2)
        self.assertEqual(self.picture(pointer, True).colour(108, 68), 'green')
        statistics = details(hub, 'plain')['statistics']
        self.assertFalse(statistics['video_copied'])

    @weight(8)
    def test_server_dies_and_comes_back(self):
        server, screen = self.xvfb((320, 240))
        screen.fill(screen.root, RED, 0, 0, 320, 240)
        hub = self.grab_hub(('desk', {'display': server.display}), threshold=32)
        watcher = self.watch(hub, 'desk')
        self.assert_colours(self.picture(watcher), (320, 240), (160, 120, 'red'))
        server.kill()
        now = wait_state(hub, 'desk', 'waiting')
        self.assertTrue(now['source']['error'])
        wait_until(lambda: 'cannot be reached' in (details(hub, 'desk')['source']['error'] or ''), 15, 'the words')
        server.start()
        screen = self.connect(server)
        screen.fill(screen.root, GREEN, 0, 0, 320, 240)
        wait_state(hub, 'desk', 'running', timeout=30)
        wait_until(lambda: self.picture(watcher, True).colour(160, 120) == 'green', 15, 'the new screen', step=0.2)
        self.assertGreater(details(hub, 'desk')['source']['restarts'], 0)
        watcher.abort()
        wait_state(hub, 'desk', 'stopped')
        wait_until(lambda: [p.pid for p in processes_of(self.mark)] == [hub.pid], 10, 'nothing is left')

    def test_no_display(self):
        """Missing, wrong, or not a display: said in words."""
        with socket.socket(socket.AF_UNIX) as holder:  # no X server is behind it
            holder.bind('\0/tmp/.X11-unix/X4177')
            hub = self.grab_hub(('none', {}), ('absent', {'display': ':4178'}), ('window', {'type': 'window',
                                'window_title': 'x'}), env={'DISPLAY': ''})
            for name in ('none', 'window'):
                self.assertEqual(self.words(hub, name),
                                 'no X display is named, neither in the configuration nor by DISPLAY')
            self.assertIn('the X server of display :4178 cannot be reached', self.words(hub, 'absent'))
        self.assert_alive(hub)


class Windows(GrabTest):
    @weight(8)
    def test_by_title(self):
        """Exact, in part, in small letters, by another encoding; the uppermost of several; none: which there are."""
        server, screen = self.xvfb()
        screen.fill(screen.root, BLUE, 0, 0, 640, 480)
        screen.window(GREEN, 40, 30, 200, 100, 'Editor - notes.txt')
        terminal = screen.window(RED, 300, 200, 160, 120, 'Terminal')
        screen.window(WHITE, 500, 300, 120, 120, 'Grün', latin=True)

        def window(title, exact=False, **keys):
            return dict({'type': 'window', 'display': server.display, 'window_title': title,
                         'find_by_substring': not exact}, **keys)
        region = {'x': 100, 'y': 60, 'width': 32, 'height': 32}
        hub = self.grab_hub(('part', window('editor')), ('exact', window('Terminal', True)),
                            ('latin', window('Grün', True)),
                            ('region', window('Terminal', True, type='window_region', region=region)),
                            ('none', window('Editor', True)), ('nowhere', window('Browser')),
                            ('outside', window('Terminal', region=dict(region, x=140))))
        self.assert_colours(self.first_picture(hub, 'part'), (200, 100), (3, 3, 'green'), (196, 96, 'green'))
        self.assert_colours(self.first_picture(hub, 'exact'), (160, 120), (3, 3, 'red'), (156, 116, 'red'))
        self.assert_colours(self.first_picture(hub, 'latin'), (120, 120), (60, 60, 'white'))
        screen.fill(terminal, WHITE, 120, 70, 12, 12)
        self.assert_colours(self.first_picture(hub, 'region'), (32, 32), (5, 5, 'red'), (26, 16, 'white'))
        words = self.words(hub, 'none')
        begin = 'no visible window on display %s is called "Editor"; there is ' % server.display
        self.assertTrue(words.startswith(begin), words)
        for title in ('"Editor - notes.txt"', '"Terminal"', '"Grün"'):
            self.assertIn(title, words)
        self.assertIn('is called "Browser" in part; there is ', self.words(hub, 'nowhere'))
        self.assertEqual(self.words(hub, 'outside'),
                         'region 32x32 at 140,60 does not lie inside the window, which is 160x120')
        self.assertEqual(details(hub, 'exact')['source']['description'], 'window "Terminal"')
        upper = screen.window(BLUE, 60, 50, 64, 64, 'Editor - other.txt')
        self.assert_colours(self.first_picture(hub, 'part'), (64, 64), (32, 32, 'blue'))
        screen.destroy(upper)
        screen.list_windows([terminal])  # what a window manager does not list is no window
        self.assert_colours(self.first_picture(hub, 'exact'), (160, 120), (3, 3, 'red'))
        self.assertTrue(self.words(hub, 'latin').endswith('is called "Grün"; there is "Terminal"'))

    @weight(12)
    def test_life_of_a_window(self):
        """Moved, made larger and smaller, closed and opened again while it is grabbed."""
        server, screen = self.xvfb()
        window = screen.window(GREEN, 40, 30, 200, 100, 'Editor')
        hub = self.grab_hub(('editor', {'type': 'window', 'display': server.display, 'window_title': 'Editor'}),
                            threshold=32)
        listener = Listener(hub)
        self.addCleanup(listener.abort)
        watcher = self.watch(hub, 'editor')
        self.assert_colours(self.picture(watcher), (200, 100), (100, 50, 'green'))
        screen.move(window, 300, 200)
        screen.fill(window, RED, 0, 0, 200, 100)
        wait_until(lambda: self.picture(watcher, True).colour(100, 50) == 'red', 15, 'red', step=0.2)
        screen.resize(window, 260, 160)  # its part goes on
        screen.fill(window, WHITE, 0, 0, 260, 160)
        wait_until(lambda: self.picture(watcher, True).colour(190, 90) == 'white', 15, 'white', step=0.2)
        self.assertEqual(details(hub, 'editor')['statistics']['runs'], 1)
        screen.resize(window, 120, 80)
        listener.wait(lambda m: m['type'] == 'camera' and m['camera']['name'] == 'editor' and
                      m['camera']['source']['error'], 'an error', 15)
        self.assertIn('the window was closed, hidden, made smaller, or moved off the screen',
                      ' '.join(hub.matches(r'source failed: .*')))
        screen.fill(window, RED, 0, 0, 120, 80)
        self.wait_size(watcher, 120)
        wait_until(lambda: self.picture(watcher, True).colour(60, 40) == 'red', 20, 'red again', step=0.2)
        screen.destroy(window)
        wait_until(lambda: 'no visible window' in (details(hub, 'editor')['source']['error'] or ''), 20, 'the words')
        screen.window(BLUE, 0, 0, 100, 100, 'Editor')
        self.wait_size(watcher, 100)
        self.assert_colours(self.picture(watcher, True), (100, 100), (50, 50, 'blue'))
        self.assertTrue({'starting', 'running', 'waiting'} <= set(source_states(listener, 'editor')))


class Network(GrabTest):
    def network_hub(self, **names_and_keys):
        sources = [dict({'name': name, 'type': 'network_stream', 'reconnect_delay': 0.2, 'max_reconnect_attempts': 50},
                        **keys) for name, keys in names_and_keys.items()]
        return self.source_hub(sources, process={'shutdown_timeout': 0})

    def slices(self, pictures):
        return [tuple(n for n in flvread.sample_nals(p.sample) if n[0] & 31 in (1, 2, 5)) for p in pictures]

    def assert_film(self, watcher, known, pictures=40, sounds=30, tolerance_ms=2):
        """Pictures of the film, one after the other, at their steps, with their sound beside them."""
        watcher.wait_pictures(pictures)
        got, heard = watcher.items()
        own = self.slices(known.pictures)
        at = [own.index(one) for one in self.slices(got[:pictures])]
        self.assertEqual(at, list(range(at[0], at[0] + pictures)))
        for picture, place in zip(got, at):
            step = picture.pts - got[0].pts
            self.assertLessEqual(abs(step - (known.pictures[place].pts - known.pictures[at[0]].pts)), tolerance_ms)
        self.assertGreaterEqual(len(heard), sounds)
        found = [known.sound_at[s.sample] for s in heard]
        self.assertEqual(found, list(range(found[0], found[0] + len(found))))
        apart = (known.sounds[found[0]].dts - known.pictures[at[0]].pts) - (heard[0].dts - got[0].pts)
        self.assertLess(abs(apart), 60)

    @weight(12)
    def test_rtsp(self):
        """Over TCP, UDP and whatever comes; copied. The server is killed and comes back."""
        film = films.film(15)
        known = films.Known(film)
        server = RtspServer(self, film).start()
        hub = self.network_hub(tcp={'url': server.url, 'transport': 'tcp'}, udp={'url': server.url, 'transport': 'udp'},
                               auto={'url': server.url})
        watchers = [self.watch(hub, name) for name in ('tcp', 'udp', 'auto')]
        for watcher in watchers:
            self.assert_film(watcher, known)
        for name in ('tcp', 'udp', 'auto'):
            now = details(hub, name)
            self.assertTrue(now['statistics']['video_copied'] and now['statistics']['audio_copied'], name)
            self.assertEqual(now['stream']['audio']['codec'], 'mp4a.40.2')
        watchers[1].abort()
        watchers[2].abort()
        server.kill()
        now = wait_state(hub, 'tcp', 'waiting', timeout=30)
        self.assertTrue(now['source']['error'])
        have = watchers[0].count()
        server.start()
        watchers[0].wait_pictures(have + 30, 40)
        self.assertEqual(state(hub, 'tcp'), 'running')
        pictures, _ = watchers[0].items()
        times = [p.dts for p in pictures]
        self.assertEqual(times, sorted(times))
        own = set(self.slices(known.pictures))
        self.assertTrue(all(one in own for one in self.slices(pictures)))

    @weight(8)
    def test_rtmp(self):
        """From nginx, where another program pushes to, which ends and begins again."""
        film = films.film(15)
        known = films.Known(film)
        server = Nginx(self).start()
        pusher = Program(self, 'pusher', 'ffmpeg', '-nostdin', '-v', 'error', '-re', '-i', film, '-c', 'copy', '-f',
                         'flv', server.url('KEY-9')).start()
        hub = self.network_hub(pull={'url': server.url('KEY-9')})
        watcher = self.watch(hub, 'pull')
        self.assert_film(watcher, known, tolerance_ms=0)
        now = details(hub, 'pull')
        self.assertTrue(now['statistics']['video_copied'] and now['statistics']['audio_copied'])
        self.assertEqual(now['source']['description'], server.url('***'))
        pusher.kill()
        have = watcher.count()
        pusher.start()
        watcher.wait_pictures(have + 60, 40)
        self.assertNotIn('KEY-9', hub.log_text())
