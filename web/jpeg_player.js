// Live pictures of a JPEG camera on a canvas, from ws://HUB/live/NAME?format=mjpeg. Knows nothing of the page.
//
//   new JpegPlayer({ url, media: canvas }); events, start() and stop() as in player.js, and one figure more: `skipped`,
//   pictures that came but were overtaken before this browser had decoded them. `latency` is null: these streams do
//   not tell when a picture was taken; `behind` counts from its arrival.
//
// One picture is decoded at a time; of those that come meanwhile, the newest waits. A hidden page decodes nothing.
import { LiveView } from './live_socket.js';

export class JpegPlayer extends LiveView {
  #canvas;
  #waiting = null; // { data, arrival }
  #decoding = false;
  #run = 0; // counts starts: a decode that ends after a stop shows nothing
  #skipped = 0;
  #width = 0;
  #height = 0;
  #onVisible = () => this.#decode();

  constructor({ url, media }) {
    const address = new URL(url, location.href);
    address.searchParams.set('format', 'mjpeg');
    super(address);
    this.#canvas = media;
  }

  begin() {
    this.#run++;
    this.#skipped = this.#width = this.#height = 0;
    document.addEventListener('visibilitychange', this.#onVisible);
  }

  end() {
    this.#run++;
    this.#waiting = null;
    this.#decoding = false;
    document.removeEventListener('visibilitychange', this.#onVisible);
  }

  text({ type, frames }) {
    if (type === 'drop')
      this.dropped(frames);
  }

  binary(data) {
    if (this.#waiting)
      this.#skipped++;
    this.#waiting = { data, arrival: performance.now() };
    if (document.hidden)
      this.unseen();
    this.#decode();
  }

  async #decode() {
    if (this.#decoding || !this.#waiting || document.hidden)
      return;
    const { data, arrival } = this.#waiting, run = this.#run;
    this.#waiting = null;
    this.#decoding = true;
    let bitmap = null;
    try {
      bitmap = await createImageBitmap(new Blob([data], { type: 'image/jpeg' }));
    } catch {
      // A damaged picture; the next one may be better.
    }
    if (run === this.#run) {
      this.#decoding = false;
      if (bitmap)
        this.#show(bitmap, arrival);
      else
        this.#skipped++;
    }
    bitmap?.close();
    if (run === this.#run)
      this.#decode();
  }

  #show(bitmap, arrival) {
    const canvas = this.#canvas, { width, height } = bitmap;
    if (this.#width !== width || this.#height !== height) {
      canvas.width = this.#width = width;
      canvas.height = this.#height = height;
      this.emit('size', { width, height });
    }
    canvas.getContext('2d').drawImage(bitmap, 0, 0);
    this.shown(1, { behind: (performance.now() - arrival) / 1000 });
  }

  moreFigures() {
    return { skipped: this.#skipped };
  }
}
