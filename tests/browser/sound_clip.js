// A stream with sound, made by ffmpeg: each second begins with a white picture and a beep of 0.1 s. Cut into the
// messages in which the hub sends it: an init segment, and one fragment per picture and per AAC frame.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

export const BEEP_S = 0.1;
const RATE = 25, TICKS = 90000;

function* boxes(data, begin = 0, end = data.length) {
  for (let at = begin; at < end; at += data.readUInt32BE(at))
    yield { type: data.toString('latin1', at + 4, at + 8), at, end: at + data.readUInt32BE(at) };
}

function find(data, names) {
  let range = { at: -8, end: data.length };
  for (const name of names)
    range = [...boxes(data, range.at + 8, range.end)].find(({ type }) => type === name);
  return range.at + 8;
}

// { mime, audio, init, messages, seconds }; a message is { sound, key, time (s), data, at(seconds) }: `at` gives it
// with its time moved.
export function makeSoundClip(folder, name, { seconds = 30, rate = 44100, channels = 1 } = {}) {
  const file = path.join(folder, `${name}.mp4`), flash = `lt(mod(n,${RATE}),${BEEP_S * RATE})`;
  execFileSync(process.env.FFMPEG_BIN || 'ffmpeg', ['-v', 'error', '-nostdin', '-y',
    '-f', 'lavfi', '-i', `testsrc2=size=320x240:rate=${RATE}:duration=${seconds},format=yuv420p,` +
      `drawbox=y=40:h=160:w=320:color=black:t=fill,drawbox=y=40:h=160:w=320:color=white:t=fill:enable='${flash}'`,
    '-f', 'lavfi', '-i', `aevalsrc='0.5*sin(2*PI*880*t)*lt(mod(t,1),${BEEP_S})':s=${rate}:d=${seconds}`,
    '-c:v', 'libx264', '-preset', 'veryfast', '-profile:v', 'baseline', '-g', String(RATE), '-sc_threshold', '0',
    '-c:a', 'aac', '-b:a', '64k', '-ac', String(channels), '-video_track_timescale', String(TICKS),
    '-movflags', 'frag_every_frame+empty_moov+default_base_moof', file]);
  const data = readFileSync(file), all = [...boxes(data)], head = all.findIndex(({ type }) => type === 'moof');
  const init = data.subarray(0, all[head].at), config = init.indexOf('avcC') + 5, messages = [];
  for (let n = head; n < all.length; n++) {
    if (all[n].type !== 'moof')
      continue;
    const message = data.subarray(all[n].at, all[n + 1].end);
    const trafs = [...boxes(message, 8, all[n].end - all[n].at)].filter(({ type }) => type === 'traf');
    if (trafs.length !== 1)
      throw new Error(`${trafs.length} tracks in a fragment`);
    const tfhd = find(message, ['moof', 'traf', 'tfhd']), tfdt = find(message, ['moof', 'traf', 'tfdt']);
    const sound = message.readUInt32BE(tfhd + 4) === 2, scale = sound ? rate : TICKS;
    const ticks = message[tfdt] ? Number(message.readBigUInt64BE(tfdt + 4)) : message.readUInt32BE(tfdt + 4);
    messages.push({ sound, time: ticks / scale, data: message, at(shift) {
      const copy = Buffer.from(message), moved = ticks + Math.round(shift * scale);
      message[tfdt] ? copy.writeBigUInt64BE(BigInt(moved), tfdt + 4) : copy.writeUInt32BE(moved, tfdt + 4);
      return copy;
    } });
  }
  let pictures = 0;
  for (const message of messages)
    message.key = !message.sound && pictures++ % RATE === 0;
  messages.sort((one, other) => one.time - other.time);
  const video = `avc1.${init.toString('hex', config, config + 3)}`;
  return { mime: `video/mp4; codecs="${video},mp4a.40.2"`, audio: { codec: 'mp4a.40.2', rate, channels }, init,
    messages, seconds };
}

// Sends a clip as a source's stream, over and over, each message when it was taken: a camera for a FakeHub.
//
// `sound(seconds)` says of each AAC frame, by its time since the start, whether it is sent; `late` is in seconds.
export class SoundCamera {
  constructor(clip, { sound = () => true, late = 0 } = {}) {
    Object.assign(this, { clip, sound, late, viewers: new Set(), connections: 0, gop: [], sent: { sound: 0 } });
    this.begun = Date.now();
    this.next = 0;
    this.waiting = []; // sound that is late
    this.timer = setInterval(() => this.#send(), 5);
  }

  add(connection) {
    this.viewers.add(connection);
    this.connections++;
    connection.onClose = () => this.viewers.delete(connection);
    const { mime, audio, init } = this.clip;
    connection.send(JSON.stringify({ type: 'stream', mime, audio, width: 320, height: 240, timescale: TICKS,
      time: { ticks: 0, unix_us: this.begun * 1000 } }));
    connection.send(init);
    this.gop.forEach(data => connection.send(data));
  }

  get seconds() {
    return (Date.now() - this.begun) / 1000;
  }

  #send() {
    const { messages, seconds } = this.clip, now = this.seconds;
    for (;; this.next++) {
      const round = Math.floor(this.next / messages.length) * seconds, message = messages[this.next % messages.length];
      if (message.time + round > now)
        break;
      if (message.sound)
        this.waiting.push({ due: message.time + round + this.late, message, round });
      else
        this.#pass(message, round);
    }
    for (; this.waiting.length && this.waiting[0].due <= now; this.waiting.shift()) {
      const { message, round } = this.waiting[0];
      if (this.sound(message.time + round))
        this.#pass(message, round);
    }
  }

  #pass(message, round) {
    const data = message.at(round);
    if (message.key)
      this.gop = [];
    this.gop.push(data);
    this.sent.sound += message.sound;
    for (const viewer of this.viewers)
      viewer.send(data);
  }

  cut() {
    for (const viewer of this.viewers)
      viewer.destroy();
  }

  stop() {
    clearInterval(this.timer);
    this.cut();
  }
}
