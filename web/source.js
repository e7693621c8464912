// Cameras that the hub pulls in by ffmpeg, and the outputs that it pushes pictures to: their states as word, shape and
// colour, and on a camera's own page the figures, the outputs and the last lines of ffmpeg, asked for as long as it is
// looked at.
import { api } from './api.js';
import { h, icon, say, setIcon } from './dom.js';
import { fails, isOver } from './hub.js';
import { bytes, number, since, t } from './i18n.js';

const ASK_MS = 2000, RATE_UNIT = 1000;
const SHAPES = { stopped: 'ready', starting: 'connected', running: 'play', lingering: 'capturing',
  stopping: 'connected', waiting: 'again', given_up: 'lost', ended: 'stop' };
const LEVELS = { running: 'good', waiting: 'warning', given_up: 'bad' };

export const runs = ({ state }) => state === 'running' || state === 'lingering';

// Seconds until the next attempt, as far as they have gone by since the hub told them.
export function secondsLeft({ retry }, at) {
  return Math.max(0, Math.ceil((retry ?? 0) - (Date.now() - at) / 1000));
}

function word(one, at, words) {
  const n = one.state === 'waiting' ? secondsLeft(one, at) : 0;
  return one.state === 'waiting' && n === 0 ? t('source.trying') : words(one.state, n);
}

const sourceWord = ({ source, at }) => word(source, at, (state, n) => t(`source.state.${state}`, { n }));
const outputWord = (output, at) => word(output, at, (state, n) => t(`output.state.${state}`, { n }));

// { shape, level, word, time } of a source's state, as of other cameras' in tile.js.
export function describeSource(camera) {
  const { state } = camera.source;
  return { shape: SHAPES[state] ?? 'ready', level: LEVELS[state] ?? 'calm', word: sourceWord(camera), time: '' };
}

// What stands where the picture would be: { words, error, again (whether a new viewer makes it try) }; null: it runs.
export function sourceNote(camera, watched) {
  const { source } = camera, { state, error } = source;
  if (runs(source))
    return null;
  const words = state === 'stopped' ? t(watched ? 'source.asked' : 'source.sleeps') : sourceWord(camera);
  return { words, error: state === 'stopped' ? '' : error ?? '', again: isOver(source) };
}

// One small sign on a tile: there are outputs, and whether they do what they should.
export function outputsSign() {
  const shape = icon('output'), text = h('span'), element = h('span', { class: 'sign' }, shape, text);
  return { element, draw({ outputs = [] }) {
    const bad = outputs.filter(fails);
    element.hidden = outputs.length === 0;
    element.dataset.level = bad.length ? 'bad' : '';
    setIcon(shape, bad.length ? 'warning' : 'output');
    say(text, bad.length ? t('outputs.fail') : number(outputs.length, 0));
    element.title = (bad.length ? bad : outputs).map(({ name }) => name).join(', ');
    element.setAttribute('aria-label', `${t('outputs')}: ${text.textContent}`);
  } };
}

export function soundWords({ codec, rate, channels }) {
  return `${codec}, ${number(rate / RATE_UNIT)} kHz, ${t('sound.channels', { n: channels })}`;
}

const pairs = list => list.filter(([, value]) => value !== null && value !== undefined && value !== '')
  .flatMap(([key, value]) => [h('dt', null, key), h('dd', null, value)]);
const count = value => number(value, 0);

// The hub's words begin with the type, but for addresses.
function origin({ type, description }) {
  const rest = description.startsWith(`${type} `) ? description.slice(type.length + 1) : description;
  return `${t(`source.type.${type}`)}: ${rest}`;
}

function figureRows({ source, figures }, statistics) {
  const rows = [[t('source.what'), origin(source)],
    [t('source.record'), t(`source.record.${source.record}`)], [t('camera.since'), since(source.since)],
    [t('source.restarts'), count(source.restarts)], [t('source.error'), source.error]];
  if (!statistics)
    return rows;
  const { gop } = statistics, copied = yes => t(yes ? 'source.copied' : 'source.encoded');
  return [...rows, [t('source.runs'), count(statistics.runs)],
    [t('source.received'), bytes(statistics.bytes)],
    [t('source.packets'), t('source.packets.of', { all: count(statistics.packets),
      pictures: count(statistics.video_packets), sound: count(statistics.audio_packets) })],
    [t('source.keys'), count(statistics.key_frames)],
    [t('source.gop'), t(gop.ready ? 'source.gop.ready' : 'source.gop.none', { n: gop.pictures })],
    [t('camera.picture'), copied(statistics.video_copied)],
    [t('sound'), statistics.audio_packets || gop.audio_config ? copied(statistics.audio_copied) : ''],
    [t('hub.viewers'), count(figures.viewers)], [t('source.pid'), statistics.pid && String(statistics.pid)]];
}

function outputRow(output, at) {
  const { state, name, url, format, error, restarts, frames, dropped } = output;
  const tone = h('p', { class: 'state' }, icon(SHAPES[state] ?? 'ready'), outputWord(output, at));
  tone.dataset.level = LEVELS[state] ?? 'calm';
  const counts = [format, bytes(output.bytes), t('outputs.frames', { n: frames }),
    restarts > 0 && t('outputs.restarts', { n: restarts })].filter(Boolean).map(text => h('span', null, text));
  if (dropped > 0)
    counts.push(h('span', { class: 'warn' }, t('outputs.dropped', { n: dropped })));
  return h('li', null, h('strong', null, name), tone, h('span', { class: 'url' }, url),
    error && !runs(output) ? h('p', { class: 'error' }, error) : null, h('p', { class: 'figures' }, counts));
}

// Touches the page only if something is another: what is selected there, to be copied, stays so.
function fill(list, items) {
  const same = items.length === list.children.length && items.every((item, n) => item.isEqualNode(list.children[n]));
  if (!same)
    list.replaceChildren(...items);
}

// Of one camera: `elements` for its page, which are hidden while there is nothing to say; draw(camera) once per second
// and when something changed. `tell(lines)` gets the last lines of ffmpeg. Ends with `signal`.
export class SourceView {
  #name;
  #tell;
  #camera = null;
  #statistics = null;
  #asks = false;
  #figures = h('dl', { class: 'facts' });
  #said = h('pre', { class: 'said', tabindex: 0, 'aria-label': t('source.said') });
  #outputs = h('ul', { class: 'outputs' });
  #parts;

  constructor(name, tell, signal) {
    this.#name = name;
    this.#tell = tell;
    this.#parts = {
      outputs: h('section', { class: 'of-outputs', hidden: true }, h('h3', null, t('outputs')), this.#outputs),
      figures: h('section', { class: 'of-source', hidden: true }, h('h3', null, t('source')), this.#figures),
      said: h('section', { hidden: true }, h('h3', null, t('source.said')), this.#said),
    };
    this.elements = Object.values(this.#parts);
    const timer = setInterval(() => this.#ask(), ASK_MS);
    signal.addEventListener('abort', () => clearInterval(timer));
  }

  async #ask() {
    if (this.#asks || !this.#camera?.source || document.visibilityState !== 'visible')
      return;
    this.#asks = true;
    try {
      this.#statistics = (await api.camera(this.#name)).statistics ?? null;
    } catch { /* the bar says that the hub does not answer */ }
    this.#asks = false;
    this.draw();
  }

  draw(camera = this.#camera) {
    const first = this.#camera === null;
    this.#camera = camera;
    const { source, outputs = [] } = camera, said = this.#statistics?.log ?? [], text = said.join('\n');
    this.#parts.figures.hidden = !source;
    if (source)
      fill(this.#figures, pairs(figureRows(camera, this.#statistics)));
    this.#parts.said.hidden = !source || text === '';
    if (this.#said.textContent !== text) {
      const atEnd = this.#said.scrollHeight - this.#said.scrollTop - this.#said.clientHeight < 8;
      this.#said.textContent = text;
      if (atEnd)
        this.#said.scrollTop = this.#said.scrollHeight;
    }
    this.#parts.outputs.hidden = outputs.length === 0;
    fill(this.#outputs, outputs.map(output => outputRow(output, camera.at)));
    this.#tell(said);
    if (first)
      this.#ask();
  }
}
