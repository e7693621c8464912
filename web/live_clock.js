// Where on a camera's timeline a live video should be now, from the times at which its pictures (or its sound) arrived.
import { quantile } from './live_socket.js';

const WINDOW_MS = 10000, WINDOW_COUNT = 600;
export const SETTLING_MS = 500; // after a start the hub's backlog comes in one go
const JITTER_LIMIT_MS = 250; // what is later than that is an interruption and not jitter
const REBASE_MS = 1000; // an interruption that lasts so long is how things are now
const SPARE_MS = 20; // from arrival to display, without decoding
const DECODE_LIMIT_MS = 200;
// Pictures that the browser decoded but did not show were too late: lag more, by so many ms for each quarter of a
// second in which all are; and less again when none was for a while.
const MORE_SPARE_MS = 40, MAX_SPARE_MS = 120, LESS_SPARE_MS = 2, CALM_MS = 5000;

// Transit is arrival minus time of capture, ms, from an unknown origin. A picture can be shown in time if the video
// lags by its transit and the time to decode it; the lag aimed at lets all but a few of the last 10 s be in time.
export class Clock {
  #samples = []; // { at, transit }
  #least = Infinity;
  #quantile = 0;
  #settledAt = 0;
  #lateSince = 0; // 0: not late
  #decode = []; // ms, of the last pictures
  #sorted = 0;
  #spare = SPARE_MS;
  #missedAt = 0;

  // The connection is new: what comes first is old.
  settle(now) {
    this.#settledAt = now + SETTLING_MS;
  }

  reset() {
    this.#samples = [];
    this.#least = Infinity;
    this.#lateSince = 0;
  }

  arrived(pts, now) {
    const transit = now - pts * 1000, late = transit - this.#least;
    if (late < -JITTER_LIMIT_MS || (late < 0 && now < this.#settledAt))
      this.reset(); // all before was backlog, or the timeline was moved
    else if (late > JITTER_LIMIT_MS)
      this.#lateSince ||= now;
    else if (late <= Math.max(this.#quantile - this.#least, 20))
      this.#lateSince = 0;
    if (this.#lateSince && now - this.#lateSince > REBASE_MS)
      this.reset();
    const backlog = now < this.#settledAt && transit > this.#quantile && this.#samples.length > 0;
    if (this.#lateSince || backlog)
      return;
    this.#samples.push({ at: now, transit });
    this.#least = Math.min(this.#least, transit);
    if (this.#samples.length < 30 || now - this.#sorted > 250 || transit > this.#quantile)
      this.#sort(now);
  }

  decoded(seconds) {
    this.#decode.push(seconds * 1000);
    if (this.#decode.length > 32)
      this.#decode.shift();
  }

  // A share of the pictures of the last quarter of a second was decoded and not shown.
  missed(share, now) {
    if (share > 0.05) {
      this.#missedAt = now;
      this.#spare = Math.min(this.#spare + MORE_SPARE_MS * share, MAX_SPARE_MS);
    } else if (now - this.#missedAt > CALM_MS) {
      this.#spare = Math.max(this.#spare - LESS_SPARE_MS, SPARE_MS);
    }
  }

  #sort(now) {
    this.#sorted = now;
    if (this.#samples.length > WINDOW_COUNT || now - this.#samples[0].at > WINDOW_MS + 1000)
      this.#samples = this.#samples.filter(({ at }) => now - at <= WINDOW_MS).slice(-WINDOW_COUNT);
    const transits = this.#samples.map(({ transit }) => transit);
    this.#least = quantile(transits, 0);
    this.#quantile = quantile(transits, 0.98);
  }

  get known() {
    return this.#samples.length > 0;
  }

  // Seconds on the camera's timeline.
  position(now) {
    const decode = Math.min(quantile(this.#decode, 0.9) ?? 0, DECODE_LIMIT_MS);
    return (now - this.#quantile - decode - this.#spare) / 1000;
  }
}
