// Believable and nasty data for the mock hub: cameras in all states, recordings with all verdicts, names and texts that
// try to be HTML. All by rule, nothing by chance, so that tests know what to expect.
export const HOSTILE = '<img src=x onerror="document.title=\'owned\'">';

const iso = ms => new Date(ms).toISOString();
const figures = (fps, bitrate, more = {}) => ({ fps, bitrate, frames: Math.round(fps * 300), lost: 0, viewers: 0,
  age: 0.05, ...more });

export function makeCamera(name, state, now, more = {}) {
  const kind = more.kind ?? 'h264', running = state === 'recording' || state === 'capturing';
  return { name, kind, state, since: iso(now), address: state === 'lost' ? null : '192.168.1.23:41266',
    model: 'Pixel 8',
    stream: running || state === 'lost' ? { width: 640, height: 360, codec: kind === 'jpeg' ? 'jpeg' : 'avc1.42C01E',
      audio: null } : null,
    figures: running ? figures(9.8, 3940000) : figures(0, 0, { age: null }),
    session: state === 'recording' ? { id: `${name}_20261121_120000`, started: iso(now) } : null,
    answer: null, command: null, source: null, outputs: [], ...more };
}

const AUDIO = { codec: 'mp4a.40.2', rate: 44100, channels: 1 };
export const LONG_URL = `rtmp://live.example.net/${'a-very-long-path/'.repeat(12)}***`;

export function makeOutput(name, state, now, more = {}) {
  return { name, url: 'rtmp://live.example.net/app/***', format: 'flv', state, since: iso(now), retry: null,
    error: null, restarts: 0, bytes: 123456789, frames: 45210, dropped: 0, ...more };
}

// A camera that is a source in a state; `more` as of makeCamera, `change` is of its source.
export function makeSource(name, state, now, more = {}, change = {}) {
  const runs = state === 'running' || state === 'lingering';
  return makeCamera(name, more.state ?? (runs ? 'capturing' : 'ready'), now, { address: null, model: null,
    stream: { width: 320, height: 240, codec: 'avc1.42C00D', audio: AUDIO },
    source: { type: 'network', description: 'rtsp://door.example/stream', state, since: iso(now), retry: null,
      error: null, restarts: 0, crashes: 0, record: 'command', ...change }, ...more });
}

// One of each state, and outputs.
export function makeSources(now = Date.now()) {
  const error = `rtsp://door.example/stream: Connection refused ${HOSTILE}`;
  return [
    makeSource('a-stopped', 'stopped', now), makeSource('b-starting', 'starting', now, {}, { type: 'screen',
      description: ':0.0, 1920x1080' }),
    makeSource('c-running', 'running', now, { outputs: [makeOutput('archive', 'running', now)] }),
    makeSource('d-recording', 'running', now, { state: 'recording', outputs: [makeOutput('stream', 'running', now),
      makeOutput('backup', 'waiting', now, { retry: 9, url: LONG_URL, restarts: 4, dropped: 120,
        error: `Error opening output: Input/output error ${HOSTILE}` })] }),
    makeSource('e-lingering', 'lingering', now), makeSource('f-stopping', 'stopping', now),
    makeSource('g-waiting', 'waiting', now, {}, { retry: 8, error, restarts: 2, crashes: 2 }),
    makeSource('h-given-up', 'given_up', now, {}, { error: `${error} ${'and so on '.repeat(60)}`, restarts: 5,
      crashes: 5 }),
    makeSource('i-ended', 'ended', now, {}, { type: 'file', description: '/srv/films/demo with spaces.mp4' }),
    makeSource('j-mute', 'running', now, { stream: { width: 320, height: 240, codec: 'avc1.42C00D', audio: null } }),
  ];
}

export function makeStatistics(now, { source }) {
  const runs = source.state === 'running' || source.state === 'lingering';
  return { pid: runs ? 4711 : null, runs: 1 + source.restarts, bytes: 18273645 + now % 100000, packets: 13250,
    video_packets: 4250, audio_packets: 9000, key_frames: 85, video_copied: true, audio_copied: false,
    gop: { ready: runs, pictures: runs ? 12 : 0, video_config: runs, audio_config: runs },
    log: [...Array.from({ length: 12 }, (_, n) => `[rtsp @ 0x55d0] line ${n + 1}`),
      `rtsp://door.example/stream: Connection refused ${HOSTILE}`, 'x'.repeat(300)] };
}

export function makeCameras(now = Date.now()) {
  const ago = seconds => now - seconds * 1000;
  return [
    makeCamera('bench-left', 'recording', ago(753), { model: 'Pixel 8 Pro' }),
    makeCamera('bench-right', 'recording', ago(752), { figures: figures(9.6, 3810000, { lost: 12 }) }),
    makeCamera('cam-2', 'ready', ago(90)),
    makeCamera('cam-10', 'capturing', ago(12)),
    makeCamera('esp-door', 'recording', ago(3700),
      { kind: 'jpeg', model: null, stream: { width: 640, height: 480, codec: 'jpeg' },
      figures: figures(10.1, 1620000) }),
    makeCamera('microscope.with-a-very-long-name_that-goes-on-and-on-and-on-1234', 'recording', ago(750),
      { model: HOSTILE }),
    makeCamera('overhead', 'lost', ago(340), { figures: figures(0, 0, { lost: 3, age: 340 }) }),
    makeCamera('tripod', 'connected', ago(5), { model: null, address: '[fe80::1]:50412' }),
    makeCamera('window', 'ready', ago(61), { model: '华为 Mate 60',
      answer: { text: `错误：相机被占用 ${HOSTILE}`, error: true, time: iso(ago(8)) } }),
  ];
}

const CAMERAS = ['bench-left', 'bench-right', 'esp-door', 'overhead',
  'microscope.with-a-very-long-name_that-goes-on-and-on-and-on-1234',
  'old-camera-that-is-gone'];
const VERDICTS = ['complete', 'complete', 'gaps', 'complete', 'recovered', 'complete', 'damaged', 'complete'];

function reasonOf(verdict, frames, missing, seconds) {
  const length = `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return { complete: `all ${frames} frames in ${length}`, gaps: `${missing} frames missing in ${length}`,
    recovered: `recording was interrupted; ${frames} frames recovered, 0 missing in ${length}`,
    damaged: `writing stream.mp4 failed: No space left on device ${HOSTILE}`, recording: 'being recorded' }[verdict];
}

// The n-th newest of them. Its length is that of the film it plays.
export function makeRecording(n, now, { length, frames }) {
  const camera = CAMERAS[n % CAMERAS.length], started = Math.floor((now - (n + 1) * 5400000) / 1000) * 1000 + 123;
  const stamp = iso(started).replace(/[-:]/g, '').replace('T', '_').slice(0, 15),
    verdict = VERDICTS[n % VERDICTS.length];
  const missing = verdict === 'gaps' ? 7 : 0, kind = camera === 'esp-door' ? 'jpeg' : 'h264',
    hasFilm = !(kind === 'jpeg' && n % 4 === 2);
  return { id: `${camera}_${stamp}`, camera, kind, started: iso(started), ended: iso(started + length * 1000),
    duration: length,
    bytes: 2800000 + n * 123456, frames, missing, verdict, reason: reasonOf(verdict, frames, missing, length),
    video: hasFilm ? 'stream.mp4' : null, parts: hasFilm ? ['stream.mp4'] : [], thumbnail: n % 7 !== 5 };
}

export function makeReport(recording, { gaps = [], repairs = [], clock }) {
  return { format: 1, id: recording.id, state: recording.verdict === 'recording' ? 'recording' : 'finished',
    verdict: recording.verdict,
    reason: recording.reason, end_reason: 'capture_stopped',
      camera: { name: recording.camera, address: '192.168.1.23:41266',
      device_model: HOSTILE }, started: recording.started, ended: recording.ended, duration: recording.duration,
    counts: { frames: recording.frames, missing: recording.missing, clock_jumps: 0 },
    missing: gaps.filter(gap => gap.missing).map(gap =>
      ({ first: 100, last: 99 + gap.missing, count: gap.missing, at: gap.at })),
    gaps, longest_gap: 1.2, repairs, clock, frame_rate: { arrival: 15, device: 15, estimate: 15 },
      lists_truncated: false };
}

export function makeLog(now, count) {
  const lines = [['info', 'Info', 'listening on 0.0.0.0:50001'],
    ['info', 'Connection', 'bench-left: connected from 192.168.1.23:41266'],
    ['info', 'App Status', 'bench-left: capture started: Capture started'],
      ['info', 'Info', 'bench-left: recording to bench-left_20261121_120000'],
    ['warning', 'Warning', 'bench-right: 12 frames are missing'], ['error', 'Error', `window: 相机被占用 ${HOSTILE}`],
    ['debug', 'Frame', 'cam-10: 512 frames, 9.8 frames/s'], ['warning', 'Warning', 'overhead: connection lost'],
    ['info', 'Broadcast', 'start, 4 Mbit/s, 10 frames/s sent to 8 cameras']];
  return Array.from({ length: count }, (_, n) => {
    const [level, tag, text] = lines[n % lines.length];
    return { time: iso(now - (count - n) * 1700), level, tag, text };
  });
}

export function makeStatus(now, cameras, more = {}) {
  const connected = cameras.filter(camera => camera.state !== 'lost').length;
  const recording = cameras.filter(camera => camera.state === 'recording').length;
  return { version: '1.4.0', time: iso(now), uptime: 273600 + process.uptime(),
    cameras: { connected, recording, lost: cameras.length - connected }, sessions: recording, viewers: 2,
    disk: { path: '/srv/recordings', free: 412300000000, total: 1999000000000, write_rate: recording * 490000,
      seconds_left: recording ? 412300000000 / (recording * 490000) : null },
    catalogue: { sessions: 1000, state: 'ready' }, port: 50001, addresses: ['192.168.1.10', '10.0.0.4', 'fd00::10'],
      ffmpeg: true, ...more };
}
