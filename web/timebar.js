// The time bar of a recording: a slider, and on it what the report knows, where it is: gaps, jumps of the device's
// clock, repaired times; below it the time of day. Marks that would overlap are one mark with the sum in words. One
// tab stop for all marks: arrow keys go from one to the next, Enter goes there in the film.
import { h, say } from './dom.js';
import { clock, duration, number, span, t } from './i18n.js';

const APART_PX = 10, LABEL_PX = 84;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

// [{ at, duration, kind: 'gap' | 'jump' | 'repair', missing, ... }] in the order of time. Older reports do not
// say when a repair was; its place among the records tells roughly.
export function findMarks(report, records, length) {
  const gaps = report?.gaps?.length ? report.gaps : (report?.missing ?? [])
    .map(({ at, count }) => ({ at, duration: 0, missing: count, cause: 'transport' }));
  const repairs = (report?.repairs ?? []).map(({ at, record, kind, shift }) => ({
    at: Math.max(0, at ?? record / Math.max(1, records) * length), duration: 0,
    kind: kind === 'jump' ? 'jump' : 'repair', shift,
  }));
  return [...gaps.map(gap => ({ ...gap, kind: 'gap' })), ...repairs].sort((a, b) => a.at - b.at);
}

export function describeMark({ at, marks }) {
  const time = span(at, 3);
  if (marks.length > 1) {
    const count = kind => marks.filter(mark => mark.kind === kind).length, parts = [];
    for (const kind of ['gap', 'jump', 'repair'])
      if (count(kind))
        parts.push(t(`marks.${kind}`, { n: count(kind) }));
    const n = marks.reduce((sum, mark) => sum + (mark.missing ?? 0), 0);
    return `${time} ${parts.join(', ')}${n ? `; ${t('mark.missing', { n })}` : ''}`;
  }
  const [mark] = marks;
  if (mark.kind !== 'gap')
    return `${time} ${t(`mark.${mark.kind}`, { shift: `${number(mark.shift ?? 0, 3)} ${t('unit.s')}` })}`;
  return `${time} ${t('mark.gap', { time: duration(mark.duration) })}${mark.missing ?
    `: ${t('mark.missing', { n: mark.missing })}` : `: ${t('mark.not_encoded')}`}`;
}

export class TimeBar {
  #marks = [];
  #length = 0;
  #started = 0;
  #slider;
  #track = h('div', { class: 'marks', role: 'toolbar', 'aria-label': t('marks') });
  #labels = h('div', { class: 'labels', 'aria-hidden': 'true' });
  #words = h('p', { class: 'mark-words' });

  constructor(seek) {
    this.seek = seek;
    this.#slider = h('input', { type: 'range', min: 0, step: 'any', value: 0, 'aria-label': t('film.position'),
      oninput: () => seek(Number(this.#slider.value)) });
    this.#track.addEventListener('keydown', event => this.#onKey(event));
    this.element = h('div', { class: 'timebar' }, this.#track, this.#slider, this.#labels, this.#words);
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  set(length, started, marks) {
    this.#length = length;
    this.#started = started;
    this.#marks = marks;
    this.#slider.max = length || 1;
    this.#draw();
  }

  show(position, words) {
    this.#slider.value = position;
    this.#slider.setAttribute('aria-valuetext', words);
  }

  #draw() {
    const width = this.#labels.clientWidth, length = this.#length;
    if (!width || !length)
      return;
    const groups = [];
    for (const mark of this.#marks) {
      const last = groups.at(-1), x = mark.at / length * width;
      if (last && x - last.x < APART_PX)
        last.marks.push(mark);
      else
        groups.push({ x, at: mark.at, marks: [mark] });
    }
    this.#track.replaceChildren(...groups.map((group, n) => this.#mark(group, n)));
    this.#track.hidden = groups.length === 0;
    const step = STEPS.find(seconds => seconds / length * width >= LABEL_PX) ?? STEPS.at(-1), labels = [];
    const zone = new Date(this.#started).getTimezoneOffset() * 60000, first = this.#started - zone;
    for (let time = Math.ceil(first / step / 1000) * step * 1000; time < first + length * 1000; time += step * 1000) {
      const x = (time - first) / 1000 / length;
      if (x * width < width - LABEL_PX / 2) {
        labels.push(h('span', null, clock(time + zone)));
        labels.at(-1).style.left = `${x * 100}%`;
      }
    }
    this.#labels.replaceChildren(...labels);
  }

  #mark(group, n) {
    const words = describeMark(group), tell = () => say(this.#words, words), end = group.marks.at(-1);
    const kind = ['gap', 'jump', 'repair'].find(one => group.marks.some(mark => mark.kind === one));
    const mark = h('button', { type: 'button', class: `mark ${kind}`, 'aria-label': words, title: words,
      tabindex: n ? -1 : 0, onfocus: tell, onmouseenter: tell,
      onclick: () => this.seek(Math.max(0, group.at - 0.001)) });
    mark.style.left = `${group.at / this.#length * 100}%`;
    mark.style.width = `${Math.max(0, end.at + end.duration - group.at) / this.#length * 100}%`;
    return mark;
  }

  #onKey(event) {
    const marks = [...this.#track.children], at = marks.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: marks.length - 1 }[event.key];
    if (!marks[to])
      return;
    event.preventDefault();
    event.stopPropagation();
    marks.forEach((mark, n) => { mark.tabIndex = n === to ? 0 : -1; });
    marks[to].focus();
  }
}
