// The sound of a live stream, made whole before it goes to the browser. Media Source Extensions stop the picture where
// sound is missing, and take any step in the times of the sound for a new beginning, which costs all pictures up to
// the next key frame. So each frame follows on the one before: a hole is filled with silence, what comes for a place
// that is filled already is left out, and a frame lies at the place nearest to its time, never further than half a
// frame away.
import { repeatFragment, silentFrame } from './boxes.js';

const USUAL_FRAME = 1024; // samples, until the first has come
const LONGEST_S = 3600; // of silence at once; behind that it is another timeline

export class SoundTrack {
  #track;
  #silence;
  #frame = USUAL_FRAME;
  #end; // ticks: where the next frame goes

  // `track` as from readTracks(); it begins at `seconds`. `channels`: of its silence.
  constructor(track, channels, seconds) {
    this.#track = track;
    this.#silence = silentFrame(channels);
    this.#end = Math.max(0, this.#ticks(seconds));
  }

  #ticks(seconds) {
    return Math.round(seconds * this.#track.timescale + this.#track.offset);
  }

  #seconds(ticks) {
    return (ticks - this.#track.offset) / this.#track.timescale;
  }

  // s, as all times of the <video>.
  get end() {
    return this.#seconds(this.#end);
  }

  timeOf({ samples }) {
    return this.#seconds(samples[0].dts);
  }

  // What is to be appended for a fragment of this track: [] if it came too late. RangeError: its time cannot be.
  take(fragment) {
    const { samples } = fragment, [{ dts, duration }] = samples;
    if (duration > 0)
      this.#frame = duration;
    if (dts - this.#end < -this.#frame / 2)
      return [];
    const filling = this.#fill(dts);
    if (!filling)
      throw new RangeError('a hole in the sound that cannot be filled');
    fragment.setTime(this.#end);
    this.#end += samples.reduce((sum, sample) => sum + sample.duration, 0);
    return [...filling, fragment.data];
  }

  // Silence up to here, as far as that is possible.
  fillTo(seconds) {
    return this.#fill(this.#ticks(seconds)) ?? [];
  }

  #fill(ticks) {
    const count = Math.round((ticks - this.#end) / this.#frame), time = this.#end;
    if (count <= 0)
      return [];
    if (!this.#silence || count * this.#frame > LONGEST_S * this.#track.timescale)
      return null;
    this.#end += count * this.#frame;
    return [repeatFragment({ track: this.#track.id, time, duration: this.#frame, count, sample: this.#silence })];
  }
}
