"""/api/v1/events: what listeners are told, and what becomes of those that do not behave. Log lines on /dev."""
import json
import re
import socket
import time
import unittest

import wire
from cases import HubTest, phone
from clips import steady
from contract import ask, check_event
from hub import wait_until
from listener import Listener

LINE = re.compile(r'^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) \[([A-Za-z ]+)\] (.*)$')
LEFT_OUT = re.compile(r'^(\d+) lines came too fast to be shown here')


class EventsTest(HubTest):
    def listen(self, hub, **options):
        listener = Listener(hub, **options)
        self.addCleanup(listener.abort)
        return listener

    def assert_sane(self, listener):
        if listener.fault:
            raise listener.fault

    def log_lines(self, hub):
        return [LINE.match(line).group(4) for line in hub.log_text().splitlines()]


class Stories(EventsTest):
    def test_beginning(self):
        """First all cameras, the last lines, the status."""
        hub = self.start_hub()
        cam = self.camera(hub, 'early')
        cam.settle()
        listener = self.listen(hub)
        listener.wait_kind('status')
        self.assertEqual([m['type'] for m in listener.messages[:3]], ['cameras', 'log', 'status'])
        told, = listener.messages[0]['cameras']
        asked, = ask(hub, 'GET', '/cameras').value['cameras']
        self.assertEqual(told, dict(asked, figures=told['figures']))
        texts = [line['text'] for line in listener.messages[1]['lines']]
        self.assertEqual(texts, self.log_lines(hub))
        self.assertIn('early: ready: Client is ready', texts)

    def test_life_of_a_camera(self):
        hub = self.start_hub()
        listener = self.listen(hub)
        listener.wait_kind('status')
        cam = self.camera(hub, 'bench', ready=False)
        listener.wait_camera('bench', 'connected')
        cam.ready()
        listener.wait_camera('bench', 'ready')
        cam.started()
        cam.send(phone(1).phone(count=5))
        listener.wait_camera('bench', 'recording')
        message = listener.wait(lambda m: m['type'] == 'camera' and m['camera']['session'], 'a camera with its session')
        self.assertEqual(message['camera']['session']['id'], hub.wait_session('bench')[0].id)
        listener.wait(lambda m: m['type'] == 'camera' and m['camera']['stream'], 'a camera with its picture size')
        cam.stopped()
        wait_until(lambda: listener.states('bench')[-1:] == ['ready'], 10, lambda: listener.states('bench'))
        ask(hub, 'POST', '/commands', {'command': 'stop'})
        listener.wait(lambda m: m['type'] == 'camera' and m['camera']['command'], 'a camera with its command')
        cam.close()
        listener.wait_camera('bench', 'lost')
        self.assertEqual(ask(hub, 'DELETE', '/cameras/bench').status, 204)
        listener.wait_kind('camera_removed')
        self.camera(hub, 'bench', ready=False)
        wait_until(lambda: listener.states('bench')[-2:] == ['removed', 'connected'], 10,
                   lambda: listener.states('bench'))
        states = listener.states('bench')
        self.assertEqual([s for n, s in enumerate(states) if s != 'capturing'],
                         ['connected', 'ready', 'recording', 'ready', 'lost', 'removed', 'connected'])
        self.assert_sane(listener)

    def test_the_last_state_is_told(self):
        """However fast they change."""
        hub = self.start_hub()
        listener = self.listen(hub)
        listener.wait_kind('status')
        cam = self.camera(hub, 'restless')
        for _ in range(40):
            cam.started()
            cam.stopped()
        cam.settle()
        cam.started()
        cam.settle()
        wait_until(lambda: ask(hub, 'GET', '/cameras/restless').value['state'] == 'recording', 10,
                   lambda: listener.states('restless'))
        now = ask(hub, 'GET', '/cameras/restless').value
        wait_until(lambda: listener.of('camera')[-1]['camera']['since'] == now['since'], 10,
                   lambda: listener.states('restless'))
        self.assertEqual(listener.states('restless')[-1], 'recording')

    def test_answers(self):
        hub = self.start_hub()
        listener = self.listen(hub)
        cam = self.camera(hub, 'talker', ready=False)
        for n in range(10):
            cam.text('ACK: %d <b>"\\\x1b\u202e' % n)
        cam.text({'status': 'error', 'message': 'too hot'})
        listener.wait_kind('answer', 11)
        answers = [(m['camera'], m['answer']['text'], m['answer']['error']) for m in listener.of('answer')]
        self.assertEqual(answers[:10], [('talker', 'ACK: %d <b>"\\\x1b\u202e' % n, False) for n in range(10)])
        self.assertEqual(answers[10], ('talker', 'too hot', True))

    def test_a_chatterbox(self):
        """Answers faster than anyone reads: in order, and the last one is told; the others' are not lost."""
        hub = self.start_hub()
        listener = self.listen(hub)
        quiet, cam = self.camera(hub, 'quiet', ready=False), self.camera(hub, 'loud', ready=False)
        for n in range(1500):
            cam.text('%d %s' % (n, 'x' * 100))
            if n in (10, 1000):
                quiet.text('word %d' % n)
        listener.wait(lambda m: m['type'] == 'answer' and m['answer']['text'].startswith('1499 '), 'the last answer')
        told = [int(m['answer']['text'].split()[0]) for m in listener.of('answer') if m['camera'] == 'loud']
        self.assertEqual(told, sorted(set(told)))
        self.assertEqual([m['answer']['text'] for m in listener.of('answer') if m['camera'] == 'quiet'],
                         ['word 10', 'word 1000'])
        self.assertTrue(listener.socket.open)

    def test_figures_and_status(self):
        hub = self.start_hub()
        listener = self.listen(hub)
        listener.wait_kind('status', 2)
        self.assertEqual(listener.of('figures'), [])  # no camera, no figures
        cam = self.camera(hub, 'moving')
        cam.started()
        sending = cam.send_in_background(phone(6).phone(steady(180, 33)), paced=1)
        message = listener.wait(lambda m: m['type'] == 'figures' and m['cameras']['moving']['fps'] > 0 and
                                m['cameras']['moving']['bitrate'] > 0, 'figures of a moving picture')
        self.assertEqual(list(message['cameras']), ['moving'])
        self.assertGreater(message['cameras']['moving']['frames'], 0)
        busy = listener.wait(lambda m: m['type'] == 'status' and m['status']['disk']['write_rate'] > 0, 'a write rate')
        self.assertEqual(busy['status']['cameras'], {'connected': 1, 'recording': 1, 'lost': 0})
        sending.cancel()
        self.assert_sane(listener)

    def test_many_listeners(self):
        """All hear the same, byte for byte."""
        hub = self.start_hub()
        listeners = [self.listen(hub) for _ in range(20)]
        for listener in listeners:
            listener.wait_kind('status')
        cam = self.camera(hub, 'star')
        cam.started()
        cam.send(phone(1).phone(count=5))
        cam.stopped()
        cam.close()
        for listener in listeners:
            listener.wait_camera('star', 'lost')
            listener.wait(lambda m: m['type'] == 'answer' and m['answer']['text'] == 'Capture stopped.', 'its last word')
        told = [[t for t in l.texts[3:] if json.loads(t)['type'] in ('camera', 'answer')] for l in listeners]
        for other in told[1:]:
            self.assertEqual(other, told[0])

    def test_restart(self):
        """A shutdown is said, and a listener of the next run begins anew."""
        hub = self.start_hub()
        listener = self.listen(hub)
        listener.wait_kind('status')
        hub.type('quit')
        self.assertEqual(listener.wait_closed()[0], 1001)
        self.assertEqual(hub.wait_exit(5), 0)
        again = self.start_hub()
        listener = self.listen(again)
        listener.wait_kind('status')
        self.assertEqual(listener.messages[0]['cameras'], [])
        self.assertEqual([l['text'] for l in listener.lines()], self.log_lines(again))

    def test_a_command_and_its_echo(self):
        hub = self.start_hub()
        listener = self.listen(hub)
        self.camera(hub, 'one').settle()
        ask(hub, 'POST', '/commands', {'command': 'raw', 'text': 'led on'})
        message = listener.wait(lambda m: m['type'] == 'camera' and m['camera']['command'], 'the command')
        self.assertEqual(message['camera']['command']['text'], '{"command":"raw","payload":{"text":"led on"}}')
        wait_until(lambda: any(l['tag'] == 'Broadcast' and l['text'].startswith('led on sent to 1')
                               for l in listener.lines()), 10, 'the line of the broadcast')


class LogLines(EventsTest):
    def test_lines_as_in_the_log(self):
        """In their order, each once, with level and tag; those of other threads too."""
        hub = self.start_hub()
        listener = self.listen(hub)
        cam = self.camera(hub, 'bench')
        cam.text({'status': 'error', 'message': 'lens cap'})
        cam.record(phone(1).phone(count=5))
        cam.close()
        hub.wait_finished()
        hub.wait_log(r'session bench_\w+ finished')
        hub.wait_log(r'bench: disconnected')
        wait_until(lambda: [l['text'] for l in listener.lines()] == self.log_lines(hub), 10, 'the same lines')
        tags = {l['text']: (l['level'], l['tag']) for l in listener.lines()}
        self.assertEqual(tags['bench: error: lens cap'], ('error', 'App Status'))
        self.assertEqual(tags['bench: ready: Client is ready'], ('info', 'App Status'))
        times = [l['time'] for l in listener.lines()]
        self.assertEqual(times, sorted(times))

    def test_no_debug_lines(self):
        hub = self.start_hub('--log-level', 'debug')
        listener = self.listen(hub)
        cam = self.camera(hub, 'bench')
        cam.record(phone(1).phone(count=5))
        hub.wait_log(r'\[Frame\]')
        hub.wait_finished()
        listener.wait(lambda m: m['type'] == 'log' and any('finished' in l['text'] for l in m['lines']), 'its end')
        self.assertEqual([l for l in listener.lines() if l['tag'] == 'Frame' or l['level'] == 'debug'], [])

    def test_the_last_500(self):
        hub = self.start_hub()
        cam = self.camera(hub, 'chatty')
        for n in range(700):
            cam.text('word %d' % n)
        cam.settle()
        listener = self.listen(hub)
        listener.wait_kind('status')
        lines = listener.messages[1]['lines']
        self.assertEqual([l['text'] for l in lines], self.log_lines(hub)[-500:])

    def test_flood(self):
        """Each line is shown or counted, and the listener stays."""
        hub = self.start_hub()
        listener = self.listen(hub)
        listener.wait_kind('status')
        cams = [self.camera(hub, 'flood%d' % n, ready=False) for n in range(2)]
        many = wire.frame(wire.TEXT, b'x' * 290) * 4000
        for n in range(2):
            peer = self.peer(hub)
            peer.upgrade('/android-cam/raw%d' % n)
            peer.send(many)
        for cam in cams:
            cam.text('the end of it')
            cam.settle()
        hub.wait_log('raw0: x', count=4000, timeout=30)
        hub.wait_log('raw1: x', count=4000, timeout=30)
        cams[0].text('quite the end')
        hub.wait_log('quite the end')

        def accounted():
            left_out = [LEFT_OUT.match(l['text']) for l in listener.lines()]
            return (sum(int(m.group(1)) for m in left_out if m), sum(1 for m in left_out if not m))
        wait_until(lambda: sum(accounted()) == len(self.log_lines(hub)), 20,
                   lambda: '%r of %d lines' % (accounted(), len(self.log_lines(hub))))
        self.assertTrue(any(l['text'] == 'flood0: quite the end' for l in listener.lines()))
        self.assertTrue(listener.socket.open)
        self.assert_sane(listener)

    def test_lines_of_bad_bytes(self):
        """A line that is cut in the middle of a character, and paths that are no UTF-8."""
        hub = self.start_hub()
        listener = self.listen(hub)
        cam = self.camera(hub, 'bench', ready=False)
        for text in ('ä' * 2000, 'x' + 'ä' * 2000, '\U0001f600' * 700, '\x85\x9b\u2028'):
            cam.text(text)
        cam.settle()
        peer = self.peer(hub)
        peer.upgrade('/%ff%fe-nowhere')
        listener.wait(lambda m: m['type'] == 'log' and any('nowhere' in l['text'] for l in m['lines']), 'the bad path')
        self.assert_sane(listener)
        self.assert_alive(hub)

    def test_developer_console(self):
        """The same lines as text on /dev: the last ones, then each as it comes."""
        hub = self.start_hub()
        self.camera(hub, 'before').settle()
        console = self.camera(hub, path='/dev', ready=False)
        self.camera(hub, 'after').settle()
        wait_until(lambda: any('after: ready' in t for t in console.texts), 10, lambda: console.texts)
        lines = hub.log_text().splitlines()
        wait_until(lambda: [t for t in console.texts if LINE.match(t)] == lines, 10, lambda: (console.texts, lines))
        other = self.camera(hub, path='/dev', ready=False)
        console.abort()
        self.camera(hub, 'later').settle()
        wait_until(lambda: any('later: ready' in t for t in other.texts), 10, lambda: other.texts)


class BadListeners(EventsTest):
    def test_data_is_refused(self):
        hub = self.start_hub()
        for data in ('hello', b'\x00', '', b'x' * 100000, ['a', 'b']):
            with self.subTest(data=data[:10]):
                listener = self.listen(hub)
                listener.send(data)
                self.assertEqual(listener.wait_closed()[0], 1003)
        self.assert_alive(hub)

    def test_pings_are_fine(self):
        hub = self.start_hub()
        peer = self.peer(hub)
        peer.upgrade('/api/v1/events')
        peer.frame(wire.PING, b'there?')
        while True:
            opcode, payload = peer.next_frame()
            if opcode == wire.PONG:
                break
            self.assertEqual(opcode, wire.TEXT)
            check_event(payload.decode())
        self.assertEqual(payload, b'there?')

    def test_a_slow_one(self):
        """One that does not read is closed with 1008; the others hear all of it."""
        hub = self.start_hub()
        good = self.listen(hub)
        slow = self.peer(hub)
        slow.socket.close()
        slow.socket = socket.socket()
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.socket.settimeout(20)
        slow.socket.connect(('127.0.0.1', hub.port))
        self.assertEqual(slow.upgrade('/api/v1/events')[0], 101)
        cam = self.camera(hub, 'loud', ready=False)
        end = time.monotonic() + 60
        while not hub.matches('does not read its events') and time.monotonic() < end:
            for _ in range(200):
                cam.text('y' * 290)
            cam.settle()
        self.assertEqual(len(hub.matches('does not read its events')), 1)
        code = slow.close_code()
        self.assertEqual(code, 1008)
        cam.text('the end')
        good.wait(lambda m: m['type'] == 'answer' and m['answer']['text'] == 'the end', 'the last answer')
        self.assertTrue(good.socket.open)

    def test_coming_and_going(self):
        """Listeners that vanish at any moment, while there is something to say."""
        hub = self.start_hub()
        cam = self.camera(hub, 'busy', ready=False)
        for n in range(60):
            peer = self.peer(hub)
            peer.upgrade('/api/v1/events')
            cam.text('word %d' % n)
            [peer.close, peer.reset, peer.shut_down][n % 3]()
        cam.settle()
        listener = self.listen(hub)
        cam.text('still there')
        listener.wait(lambda m: m['type'] == 'answer' and m['answer']['text'] == 'still there', 'the answer')
        self.assert_alive(hub)


if __name__ == '__main__':
    unittest.main()
