// The hub's log as it comes: filtered by level, words and camera, pausable, bounded by what hub.js keeps. Scrolled up
// it stays where it is; at the end it follows. LogView is also the log of one camera.
import { button, h, icon, later, recall, remember, say } from './dom.js';
import { hub } from './hub.js';
import { clock, since, t } from './i18n.js';

const LEVELS = ['error', 'warning', 'info', 'debug'], MOST = 2000, NEAR_PX = 24;

// A line is about a camera if the camera's name stands in it as a word.
export function isAbout(line, name) {
  for (let at = line.text.indexOf(name); at >= 0; at = line.text.indexOf(name, at + 1))
    if (!/[\w.-]/.test(line.text[at - 1] ?? ' ') && !/^[\w-]|^\.\w/.test(line.text.slice(at + name.length)))
      return true;
  return line.tag === name;
}

function row({ time, level, tag, text }) {
  const element = h('li', null, h('time', { datetime: time, title: since(time) }, clock(time, true)),
    h('span', { class: 'level' }, level === 'error' || level === 'warning'
      ? icon(level === 'error' ? 'lost' : 'warning') : null,
      t(`level.${level}`)), h('span', { class: 'tag' }, tag), h('span', { class: 'text' }, text));
  element.dataset.level = level;
  return element;
}

export class LogView {
  #filter = { level: 'debug', text: '', camera: '' };
  #paused = false;
  #missed = 0;

  constructor(filter, signal) {
    Object.assign(this.#filter, filter);
    this.list = h('ol', { class: 'log', tabindex: 0, 'aria-label': t('nav.log') });
    this.empty = h('p', { class: 'empty' }, t('log.empty'));
    this.newest = button('', () => this.#follow(), { class: 'newest small', hidden: true });
    this.element = h('div', { class: 'log-box' }, this.list, this.empty, this.newest);
    this.list.addEventListener('scroll', () => this.#atEnd() && this.#drawMissed(0));
    hub.on('log', lines => this.#add(lines), signal);
    this.draw();
  }

  filter(change) {
    Object.assign(this.#filter, change);
    this.draw();
  }

  set paused(value) {
    this.#paused = value;
    if (!value)
      this.draw();
  }

  #fits(line) {
    const { level, text, camera } = this.#filter;
    return LEVELS.indexOf(line.level) <= LEVELS.indexOf(level) && (!camera || isAbout(line, camera)) &&
      (!text || `${line.tag} ${line.text}`.toLowerCase().includes(text.toLowerCase()));
  }

  draw() {
    this.list.replaceChildren(...hub.log.filter(line => this.#fits(line)).map(row));
    this.#follow();
  }

  #atEnd() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR_PX;
  }

  #add(lines) {
    const fitting = lines.filter(line => this.#fits(line));
    if (this.#paused || !fitting.length)
      return this.#paused && this.#drawMissed(this.#missed + fitting.length);
    const follows = this.#atEnd();
    this.list.append(...fitting.map(row));
    this.#trim(follows);
    this.empty.hidden = true;
    follows ? this.#follow() : this.#drawMissed(this.#missed + fitting.length);
  }

  // What goes at the top must not move what is being read.
  #trim(follows) {
    const before = this.list.scrollHeight, at = this.list.scrollTop;
    while (this.list.children.length > MOST)
      this.list.firstChild.remove();
    if (!follows && this.list.scrollHeight !== before)
      this.list.scrollTop = at - (before - this.list.scrollHeight);
  }

  #follow() {
    this.list.scrollTop = this.list.scrollHeight;
    this.empty.hidden = this.list.children.length > 0;
    this.#drawMissed(0);
  }

  #drawMissed(count) {
    this.#missed = count;
    this.newest.hidden = count === 0 || this.#paused && count === 0;
    say(this.newest.lastChild, t(this.#paused ? 'log.waiting' : 'log.newest', { n: count }));
  }
}

export function showLog(main, options, signal) {
  const kept = recall('log', {}) ?? {}, level = LEVELS.includes(kept.level) ? kept.level : 'info';
  const view = new LogView({ level }, signal);
  const levels = h('select', { 'aria-label': t('log.level'), onchange: () => {
    remember('log', { level: levels.value });
    view.filter({ level: levels.value });
  } }, LEVELS.map(one => h('option', { value: one }, t(`log.from.${one}`))));
  levels.value = level;
  const camera = h('select', { 'aria-label': t('camera'), onchange: () => view.filter({ camera: camera.value }) });
  const text = h('input', { type: 'search', placeholder: t('search'), 'aria-label': t('search'),
    oninput: later(() => view.filter({ text: text.value.trim() }), 150) });
  const pause = h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
    const paused = pause.getAttribute('aria-pressed') !== 'true';
    pause.setAttribute('aria-pressed', String(paused));
    pause.replaceChildren(icon(paused ? 'play' : 'pause'), t(paused ? 'log.resume' : 'log.pause'));
    view.paused = paused;
  } }, icon('pause'), t('log.pause'));

  function drawCameras() {
    const chosen = camera.value;
    camera.replaceChildren(h('option', { value: '' }, t('any.camera')),
      ...hub.list().map(({ name }) => h('option', null, name)));
    camera.value = hub.cameras.has(chosen) ? chosen : '';
  }

  drawCameras();
  hub.on('cameras', drawCameras, signal);
  main.replaceChildren(h('section', { class: 'view page log-page' },
    h('div', { class: 'filters' }, h('h1', { tabindex: -1 }, t('nav.log')),
      h('div', { class: 'grow' }, text), levels, camera, pause), view.element));
  view.draw();
  return t('nav.log');
}
