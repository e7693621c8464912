"""Configuration files: `camhub check`, `camhub serve --config`, the environment, flags, the log file, SIGHUP."""
import glob
import json
import os
import signal
import subprocess
import unittest

import processes
from cases import HubTest, phone
from hub import wait_until

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'docs')
EXAMPLES = sorted(glob.glob(os.path.join(DOCS, 'examples', '*.json')))


class ConfigTest(HubTest):
    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, 'w', encoding='utf8') as file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        return path

    def run_camhub(self, *args, env=None, cwd=None):
        """(exit code, stdout, stderr), without a sanitizer's complaint."""
        run = subprocess.run([os.environ['CAMHUB_BIN'], *args], stdin=subprocess.DEVNULL, timeout=60,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd or self.root,
                             env=dict(os.environ, **(env or {})))
        out, err = run.stdout.decode(), run.stderr.decode()
        self.assertNotIn('Sanitizer', err)
        self.assertNotIn('runtime error', err)
        return run.returncode, out, err


class Check(ConfigTest):
    def test_good(self):
        path = self.write('good.json', '// nothing but a comment /*\n{"hub": {"port": 8000}}')
        self.assertEqual(self.run_camhub('check', path), (0, path + ': ok\n', ''))

    def test_bad(self):
        """Every fault, one per line; the file's name as it was given."""
        self.write('bad.json', {'ffmpeg': {'framerate': 0},
                                'sources': [{'name': 'a', 'process': {'crash_treshold': 1}}]})
        code, out, err = self.run_camhub('check', 'bad.json')
        self.assertEqual((code, out), (1, ''))
        lines = err.splitlines()
        self.assertEqual(len(lines), 2, err)
        self.assertEqual(lines[0], 'bad.json: ffmpeg.framerate: 0 is not allowed; 1 to 120 is')
        self.assertRegex(lines[1], r'^bad\.json: sources\[0\]\.process\.crash_treshold: unknown key; '
                                   r'did you mean crash_threshold\? allowed: crash_threshold, ')

    def test_syntax(self):
        self.write('bad.json', '{\n  // one\n  "hub": { "port": 8000, }\n}\n')
        code, out, err = self.run_camhub('check', 'bad.json')
        self.assertEqual((code, out), (1, ''))
        self.assertTrue(err.startswith('bad.json:3:24: '), err)

    def test_usage(self):
        for args in ((), ('--nonsense', 'x')):
            code, out, err = self.run_camhub('check', *args)
            self.assertEqual((code, out), (2, ''))
            self.assertIn('--help', err)
        code, out, err = self.run_camhub('check', '--help')
        self.assertEqual((code, err), (0, ''))
        self.assertIn('***', out)  # it says that secrets are left out

    def test_no_such_file(self):
        code, _, err = self.run_camhub('check', 'none.json')
        self.assertEqual((code, err), (1, 'none.json: No such file or directory\n'))

    def test_environment(self):
        path = self.write('good.json', {'hub': {'port': 8000}})
        code, _, err = self.run_camhub('check', path, env={'CAMHUB_HUB_PORT': '99999'})
        self.assertEqual((code, err), (1, 'CAMHUB_HUB_PORT: 99999 is not allowed; 0 to 65535 is\n'))
        code, out, _ = self.run_camhub('check', '--effective', path, env={'CAMHUB_HUB_PORT': '7000'})
        self.assertEqual((code, json.loads(out)['hub']['port']), (0, 7000))
        code, _, err = self.run_camhub('check', path, env={'CAMHUB_HUB_PROT': '1'})
        self.assertEqual(code, 1)
        self.assertIn('did you mean CAMHUB_HUB_PORT?', err)

    def test_warnings(self):
        path = self.write('old.json', {'ffmpeg': {'video_codec': 'vp9'}, 'source': {'type': 'screen'}})
        code, out, err = self.run_camhub('check', path)
        self.assertEqual((code, out), (0, path + ': ok\n'))
        self.assertRegex(err, r'^warning: .*old\.json: ffmpeg\.video_codec: H\.264 .* in place of vp9')

    def test_effective(self):
        """All defaults, no secrets; and it is a configuration again, with the same meaning."""
        path = self.write('one.json', {'hub': {'recordings': '/var/lib/films'},
                                       'source': {'type': 'network_stream', 'url': 'http://h/x.flv'},
                                       'outputs': [{'camera': 'live', 'url': 'udp://192.0.2.1:5000'}]})
        code, out, err = self.run_camhub('check', path, '--effective')
        self.assertEqual((code, err), (0, ''))
        shown = json.loads(out)
        self.assertEqual(shown['server'], {'host': '0.0.0.0', 'port': 8765, 'path': '/', 'http_port': 8080})
        self.assertEqual(shown['source']['timeout'], 5000000)
        self.assertEqual(shown['process']['crash_window'], 60)
        self.assertEqual(shown['hub']['sync_interval'], 1)
        again = self.write('two.json', out)
        self.assertEqual(self.run_camhub('check', again, '--effective'), (0, out, ''))

    def test_secrets(self):
        path = self.write('one.json', {
            'source': {'type': 'network_stream', 'url': 'rtsp://user:geheim@192.0.2.1/x?token=geheim'},
            'sources': [{'name': 'f', 'type': 'ffmpeg', 'args': ['-headers', 'X: geheim', '-i', 'http://u:geheim@h/']}],
            'outputs': [{'camera': 'live', 'url': 'rtmp://h/live/geheim'}]})
        code, out, err = self.run_camhub('check', '--effective', path)
        self.assertEqual((code, err), (0, ''))
        self.assertNotIn('geheim', out)
        self.assertIn('192.0.2.1', out)
        text = open(path, encoding='utf8').read()
        for bad in (text.replace('rtsp:', 'ftp:'), text.replace('"-i"', '"-j"'), text.replace('rtmp:', 'http:'),
                    text[:-30], text.replace('"sources"', '"sourcs"'), text.replace('": "', '" "', 3)):
            self.write('bad.json', bad)
            code, out, err = self.run_camhub('check', 'bad.json')
            self.assertEqual(code, 1, bad)
            self.assertNotIn('geheim', out + err)

    def test_several(self):
        one = self.write('one.json', {'server': {'path': '/one'}})
        two = self.write('two.json', {'server': {'path': '/two'}})
        same = self.write('same.json', {'server': {'path': '/two'}, 'source': {'name': 'other'}})
        self.assertEqual(self.run_camhub('check', one, two), (0, '%s: ok\n%s: ok\n' % (one, two), ''))
        code, _, err = self.run_camhub('check', one, two, same)
        self.assertEqual(code, 1)
        self.assertEqual(err.count('\n'), 1, err)
        self.assertIn(same + ': server.path: /two at port 8765 is taken by ' + two, err)

    def test_examples(self):
        self.assertGreaterEqual(len(EXAMPLES), 4)
        for path in EXAMPLES:
            with self.subTest(os.path.basename(path)):
                self.assertEqual(self.run_camhub('check', path), (0, path + ': ok\n', ''))
        pair = [os.path.join(DOCS, 'examples', name) for name in ('screen.json', 'network.json')]
        self.assertEqual(self.run_camhub('check', *pair)[0], 0)

    def test_documented(self):
        """Each key is in docs/configuration.md, with its default."""
        with open(os.path.join(DOCS, 'configuration.md'), encoding='utf8') as file:
            rows = [[cell.strip() for cell in line.strip('| \n').split('|')] for line in file if line.startswith('| `')]
        documented = {}
        for row in rows:
            for key in row[0].split(', '):
                documented.setdefault(key.strip('`'), row[1])
        shown = {}
        for kind in ({'type': 'screen'}, {'type': 'window', 'window_title': 'w'}, {'type': 'device'},
                     {'type': 'network_stream', 'url': 'http://h/'}, {'type': 'file', 'path': '/x'},
                     {'type': 'ffmpeg', 'args': ['-i', 'x']}):
            path = self.write('one.json', {'source': kind, 'outputs': [{'camera': 'live', 'url': 'udp://h:1'}]})
            effective = json.loads(self.run_camhub('check', '--effective', path)[1])
            for section in ('hub', 'server', 'ffmpeg', 'source', 'process', 'logging'):
                shown.update({section + '.' + key: value for key, value in effective[section].items()})
            shown.update({'outputs[].' + key: None for key in effective['outputs'][0]})
        self.assertGreater(len(shown), 50)
        for key, value in shown.items():
            self.assertIn(key, documented)
            if key.startswith('outputs') or documented[key] in ('needed', ''):
                continue
            default = documented[key].split(' ')[0].strip('`')
            if key in ('source.name', 'source.type'):
                continue
            self.assertEqual(default, value if isinstance(value, str) else json.dumps(value), key)


class Serve(ConfigTest):
    def test_config(self):
        """What the file says holds, where no flag says otherwise."""
        path = self.write('hub.json', {'hub': {'h264': False, 'port': 1, 'thumbnails': False}})
        hub = self.start_hub('--config', path)  # with --port 0
        cam = self.camera(hub, 'phone')
        cam.record(phone(1).phone(count=10))
        cam.close()
        session = hub.wait_finished(1)[0]
        self.assertTrue(os.path.exists(session.path('stream.mp4')))
        self.assertFalse(os.path.exists(session.path('stream.h264')))
        self.assertFalse(os.path.exists(session.path('thumbnail.jpg')))

    def test_relative_folder(self):
        """A relative path in a file begins at the file's folder, wherever the hub was started."""
        os.mkdir(os.path.join(self.root, 'etc'))
        path = self.write('etc/hub.json', {'hub': {'recordings': 'films', 'host': '127.0.0.1', 'port': 0}})
        process = subprocess.Popen([os.environ['CAMHUB_BIN'], 'serve', '--config', path], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, cwd='/', preexec_fn=processes.die_with_parent)
        try:
            for line in process.stderr:
                if b'listening on 127.0.0.1:' in line:
                    break
            self.assertTrue(os.path.isdir(os.path.join(self.root, 'etc', 'films')))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), 0)
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stderr.close()

    def test_faults(self):
        bad = self.write('bad.json', {'hub': {'prot': 1}})
        code, out, err = self.run_camhub('serve', '--config', bad)
        self.assertEqual((code, out), (1, ''))
        self.assertEqual(err.count('\n'), 1)
        self.assertIn(bad + ': hub.prot: unknown key; did you mean port?', err)
        code, _, err = self.run_camhub('serve', '--config', 'none.json')
        self.assertEqual((code, err), (1, 'none.json: No such file or directory\n'))
        code, _, err = self.run_camhub('serve', env={'CAMHUB_HUB_PORT': 'x'})
        self.assertEqual((code, err), (1, 'CAMHUB_HUB_PORT: x is no number; 0 to 65535 is allowed\n'))
        self.assertFalse(os.path.exists(os.path.join(self.root, 'recordings')))  # nothing was begun

    def test_wrong_usage(self):
        for args in (('--port', '65536'), ('--config',), ('--nonsense',), ('--sync-interval', 'x'), ('x',)):
            code, out, err = self.run_camhub('serve', *args)
            self.assertEqual((code, out), (2, ''), args)
            self.assertIn('--help', err)

    def test_environment(self):
        hub = self.start_hub('--port', '0', env={'CAMHUB_HUB_PORT': '1', 'CAMHUB_LOGGING_LEVEL': 'INFO'})
        self.assertTrue(hub.alive())

    def test_log_file(self):
        """The same lines as on stderr; after a rename and SIGHUP in a new file."""
        path = self.write('hub.json', {'logging': {'file': 'logs/hub.log'}})
        log, old = os.path.join(self.root, 'logs', 'hub.log'), os.path.join(self.root, 'hub.log.1')
        hub = self.start_hub('--config', path)
        hub.wait_log('listening on')
        wait_until(lambda: 'listening on' in open(log, encoding='utf8').read(), what='the file has the line')
        for line in open(log, encoding='utf8').read().splitlines():
            self.assertIn(line, hub.log_text())
        os.rename(log, old)
        hub.signal(signal.SIGHUP)
        hub.wait_log(r'SIGHUP: the configuration was read again')
        wait_until(lambda: os.path.exists(log) and 'SIGHUP' in open(log, encoding='utf8').read(), what='a new file')
        self.assertNotIn('listening on', open(log, encoding='utf8').read())
        self.assertNotIn('SIGHUP', open(old, encoding='utf8').read())

    def test_log_file_that_cannot_be(self):
        path = self.write('hub.json', {'logging': {'file': 'none/deeper/hub.log'}})
        code, _, err = self.run_camhub('serve', '--config', path, '--port', '0')
        self.assertEqual(code, 1)
        self.assertIn('none/deeper/hub.log cannot be opened: No such file or directory', err)

    def test_bad_reload(self):
        """A bad file changes nothing, and each fault is in the log; a good one is taken on."""
        path = self.write('hub.json', {'logging': {'level': 'INFO'}})
        hub = self.start_hub('--config', path)
        self.write('hub.json', {'logging': {'level': 'ERROR', 'fiel': 1}, 'hub': {'port': 'x'}})
        hub.signal(signal.SIGHUP)
        hub.wait_log(r'\[Error\] SIGHUP: .*nothing has changed')
        hub.wait_log(r'\[Error\] .*hub\.json: logging\.fiel: unknown key; did you mean file\?')
        hub.wait_log(r'\[Error\] .*hub\.json: hub\.port: "x" is no number')
        cam = self.camera(hub, 'phone')  # information is logged as before
        hub.wait_log(r'\[Connection\] phone: connected')
        cam.close()
        os.unlink(path)
        hub.signal(signal.SIGHUP)
        hub.wait_log(r'hub\.json: No such file or directory')
        self.write('hub.json', {'logging': {'level': 'INFO'}})
        hub.signal(signal.SIGHUP)
        hub.wait_log(r'SIGHUP: the configuration was read again')

    def test_no_file_to_reload(self):
        hub = self.start_hub()
        hub.signal(signal.SIGHUP)
        hub.wait_log('SIGHUP: there is no configuration file to read again')
        self.assertTrue(hub.alive())


if __name__ == '__main__':
    unittest.main()
