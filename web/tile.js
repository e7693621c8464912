// One camera on the wall: its picture, its name, its state as word, shape and colour together, quiet figures, and
// what it answered last. Losses are shown only when there are any.
import { api } from './api.js';
import { button, h, icon, say, setIcon } from './dom.js';
import { hub } from './hub.js';
import { clock, number, since, span, t } from './i18n.js';
import { Picture } from './picture.js';
import { describeSource, outputsSign, runs } from './source.js';

const ANSWER_SHOWN_MS = 30000;

// { shape, level, word, time }: what is to be shown of a camera's state.
export function describeState(camera) {
  const { state, source } = camera;
  if (source && !(state === 'recording' && runs(source)))
    return describeSource(camera);
  if (state === 'recording' && camera.session)
    return { shape: 'recording', level: 'recording', word: t('state.recording'),
      time: span((hub.now() - Date.parse(camera.session.started)) / 1000) };
  const levels = { lost: 'bad', capturing: 'warning' };
  const shape = state === 'recording' ? 'recording' : state;
  return { shape, level: levels[state] ?? 'calm', word: t(`state.${state}`),
    time: state === 'lost' ? t('since', { time: since(camera.since) }) : '' };
}

export function stateLine() {
  const shape = icon('ready'), word = h('span'), time = h('span', { class: 'figure' });
  const element = h('p', { class: 'state' }, shape, word);
  return {
    element, time,
    draw(camera) {
      const state = describeState(camera);
      element.dataset.level = state.level;
      setIcon(shape, state.shape);
      say(word, state.word);
      say(time, state.time);
      time.hidden = state.time === '';
    },
  };
}

// [text, isWarning] each; `live` are the player's own figures.
export function describeFigures({ state, figures }, live) {
  const parts = [];
  if (figures.lost > 0)
    parts.push([t('figures.lost', { n: figures.lost }), true]);
  if (live?.dropped > 0)
    parts.push([t('figures.dropped', { n: live.dropped }), true]);
  if (state !== 'lost' && figures.fps > 0) {
    parts.push([`${number(figures.fps)} ${t('unit.fps')}`]);
    parts.push([`${number(figures.bitrate / 1e6)} ${t('unit.mbit')}`]);
    if (live && live.latency !== null && live.latency !== undefined)
      parts.push([`${number(Math.max(0, live.latency), 2)} ${t('unit.s')}`]); // clocks are estimated, too
  }
  return parts;
}

export function drawFigures(element, parts) {
  while (element.children.length > parts.length)
    element.lastChild.remove();
  parts.forEach(([text, warn], at) => {
    const span = element.children[at] ?? element.appendChild(h('span'));
    say(span, text);
    span.className = warn ? 'warn' : '';
  });
}

// A camera's answer, or what became of a command to it, in one line.
export function answerText({ outcome, text }) {
  return outcome ? t(`outcome.${outcome}`, { text }) : text;
}

export class Tile {
  #live = null;
  #state = stateLine();
  #figures = h('p', { class: 'figures' });
  #answer = h('p', { class: 'answer', hidden: true });
  #outputs = outputsSign();
  #dismiss;

  constructor(camera) {
    this.camera = camera;
    const { name } = camera;
    this.picture = new Picture(camera);
    this.picture.element.append(this.#answer);
    this.picture.on('figures', figures => {
      this.#live = figures;
      this.drawFigures();
    });
    this.check = h('input', { type: 'checkbox', 'aria-label': t('select', { name }),
      onchange: () => hub.select(name, this.check.checked) });
    this.#dismiss = button(t('dismiss'), () => this.#onDismiss(),
      { class: 'small', 'aria-label': t('dismiss.name', { name }) });
    this.link = h('a', { href: `#/camera/${encodeURIComponent(name)}`, class: 'name', title: name }, name);
    this.element = h('li', { class: 'tile' }, this.picture.element,
      h('div', { class: 'caption' }, h('label', { class: 'pick' }, this.check), h('h2', null, this.link),
        this.#state.element, h('div', { class: 'second' }, this.#figures, this.#outputs.element, this.#state.time,
          this.#dismiss)));
    this.element.dataset.name = name;
    this.update(camera);
  }

  update(camera) {
    this.camera = camera;
    this.picture.update(camera);
    this.element.dataset.state = camera.state;
    this.#dismiss.hidden = camera.state !== 'lost';
    this.#outputs.draw(camera);
    this.drawSelection();
    this.drawFigures();
    this.tick();
  }

  tick() {
    this.#state.draw(this.camera);
    this.#state.time.hidden ||= this.camera.state === 'lost'; // the picture says it
    this.picture.draw();
    this.drawAnswer();
  }

  drawFigures() {
    drawFigures(this.#figures, describeFigures(this.camera, this.picture.running ? this.#live : null));
  }

  drawSelection() {
    this.check.checked = hub.selected.has(this.camera.name);
    this.element.classList.toggle('selected', this.check.checked);
  }

  // The newest answer for a while; a failure until something else is said.
  drawAnswer() {
    const answer = hub.answers.get(this.camera.name)?.at(-1);
    const shown = answer && (answer.error || hub.now() - answer.time < ANSWER_SHOWN_MS);
    this.#answer.hidden = !shown;
    if (!shown)
      return;
    this.#answer.classList.toggle('error', answer.error);
    say(this.#answer, `${clock(answer.time - hub.offset)} ${answerText(answer)}`);
  }

  async #onDismiss() {
    try {
      await api.dismiss(this.camera.name);
    } catch (error) {
      hub.emit('notice', error.message, true);
    }
  }
}
