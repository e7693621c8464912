// Sending pictures as a camera does: at their own pace, and as late as the network makes them.

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

// Sends the frames of a clip, over and over. Each is taken at its own time; `delay()` ms later it arrives, but never
// before the one in front of it. `step(n)` ms lie between picture n and n + 1.
//
//   const shooting = new Shooting(clip, (frame, takenAt) => ..., { step: () => 33, delay: () => 0 });
//   shooting.sent  [{ number, taken, due, at }] in order: ms since 1970; `at` is when it was really sent
//   await shooting.stop();
export class Shooting {
  constructor(clip, send, { step = () => 1000 / 30, delay = () => 0 } = {}) {
    Object.assign(this, { clip, send, step, delay, sent: [], paused: false, stopped: false });
    this.running = this.#run();
  }

  async #run() {
    // In order of decoding a picture is sent when it and all shown before it were taken.
    const { frames, bFrames } = this.clip;
    let begun = performance.now(), due = 0, round = [], resting = false;
    const unix = Date.now() - begun;
    for (let n = 0; !this.stopped; n++) {
      const frame = frames[n % frames.length];
      if (n % frames.length === 0)
        round = this.#times(due, frames.length + 1);
      const taken = round[frame.number], ready = Math.max(taken, round[n % frames.length]);
      const arrival = Math.max(begun + ready + (this.delay(n) ?? 0), this.sent.at(-1)?.at - unix || 0);
      for (let left; (left = arrival - performance.now()) > 0.5 && !this.stopped;)
        await wait(left);
      due = round[frames.length];
      if (this.stopped)
        break;
      resting = this.paused || resting && !frame.key; // it goes on with a key frame
      if (resting)
        continue;
      const at = unix + performance.now();
      this.send(frame, unix + begun + taken);
      const { number } = frame;
      this.sent.push({ number, taken: unix + begun + taken, due: unix + arrival, at });
    }
  }

  #times(from, count) {
    const times = [from];
    for (let n = 1; n < count; n++)
      times.push(times[n - 1] + this.step(n - 1));
    return times;
  }

  stop() {
    this.stopped = true;
    return this.running;
  }
}

// A camera of a real hub: speaks the phone's protocol.
export async function phone(dial, hubUrl, name) {
  const connection = await dial(`${hubUrl.replace('http', 'ws')}/android-cam/${name}`);
  let sequence = 0;
  connection.send(JSON.stringify({ status: 'ready', message: 'ready' }));
  return {
    connection,
    send({ annexB }, takenAt) {
      const head = Buffer.alloc(16);
      head.writeBigUInt64BE(BigInt(Math.round(takenAt) % 1e9));
      head.writeUInt32BE(sequence++, 8);
      head.writeUInt32BE(annexB.length, 12);
      connection.send(Buffer.concat([head, annexB]));
    },
    close: () => connection.close(),
  };
}
