// All recordings, newest first: searched by camera, words, verdict and date, one page after another as one scrolls,
// kept up to date by the hub's events.
import { api, recordingFile } from './api.js';
import { button, h, icon, later, say } from './dom.js';
import { hub } from './hub.js';
import { bytes, clock, day, duration, t } from './i18n.js';

const PAGE = 50, RETRY_MS = 5000, VERDICTS = ['recording', 'complete', 'gaps', 'recovered', 'damaged', 'unknown'];
const SHAPES = { recording: 'recording', complete: 'alive', gaps: 'gap', recovered: 'warning', damaged: 'lost',
  unknown: 'ready' };
const LEVELS = { recording: 'recording', complete: 'good', gaps: 'warning', recovered: 'warning', damaged: 'bad' };

export function verdictChip({ verdict }) {
  const chip = h('span', { class: 'verdict' }, icon(SHAPES[verdict] ?? 'ready'), t(`verdict.${verdict}`));
  chip.dataset.level = LEVELS[verdict] ?? 'calm';
  return chip;
}

export function lengthText({ duration: seconds, verdict, started }) {
  if (verdict === 'recording')
    seconds ??= Math.max(0, hub.now() - Date.parse(started)) / 1000;
  return seconds === null ? '–' : duration(seconds);
}

function row(recording) {
  const { id, camera, started, thumbnail, reason } = recording;
  const image = thumbnail ? h('img', { src: recordingFile(id, 'thumbnail.jpg'), alt: '', loading: 'lazy', width: 96,
    height: 54 })
    : h('span', { class: 'blank' }, icon('play'));
  const element = h('li', { class: 'recording' }, h('span', { class: 'thumb' }, image),
    h('a', { href: `#/recordings/${encodeURIComponent(id)}`, class: 'name' }, camera),
    h('time', { datetime: started }, `${day(started)} ${clock(started)}`),
    h('span', { class: 'figure length' }, lengthText(recording)),
      h('span', { class: 'figure size' }, bytes(recording.bytes)),
    h('span', { class: 'why' }, verdictChip(recording), h('span', { class: 'reason' }, reason)));
  element.dataset.id = id;
  return element;
}

// The hub takes UTC; a date here is a day of the reader's own.
function localDay(text, days) {
  const [year, month, date] = text.split('-').map(Number);
  return new Date(year, month - 1, date + days).toISOString();
}

export function showRecordings(main, options, signal) {
  const list = h('ul', { class: 'recordings', 'aria-label': t('nav.recordings') }),
    total = h('p', { class: 'total', role: 'status' });
  const more = button(t('more'), () => load(), { class: 'more', hidden: true }), rows = new Map();
  const known = new Map(), running = new Map();
  let next = null, run = 0, loading = false;
  const again = later(() => load(true), 250);
  const select = (label, choices) => h('select', { 'aria-label': label, onchange: again },
    h('option', { value: '' }, label), choices.map(([value, text]) => h('option', { value }, text)));
  const camera = select(t('any.camera'), hub.list().map(({ name }) => [name, name]));
  const verdict = select(t('any.verdict'), VERDICTS.map(one => [one, t(`verdict.${one}`)]));
  const words = h('input', { type: 'search', maxlength: 200, placeholder: t('search'), 'aria-label': t('search'),
    oninput: again });
  const from = h('input', { type: 'date', oninput: again }), to = h('input', { type: 'date', oninput: again });
  const clear = button(t('filter.clear'), () => {
    for (const field of [camera, verdict, words, from, to])
      field.value = '';
    load(true);
  }, { class: 'small' });

  function query() {
    const all = { camera: camera.value, q: words.value.trim(), verdict: verdict.value,
      from: from.value && localDay(from.value, 0), to: to.value && localDay(to.value, 1) };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
  }

  async function load(fresh = false) {
    if (loading && !fresh)
      return;
    const mine = fresh ? ++run : run;
    loading = true;
    try {
      const page = await api.recordings({ ...query(), limit: PAGE, ...!fresh && next && { cursor: next } });
      if (mine !== run)
        return;
      if (fresh) {
        rows.clear();
        list.replaceChildren();
      }
      page.recordings.forEach(put);
      next = page.next;
      more.hidden = next === null;
      count(page.total);
      addCameras(page.recordings);
    } catch (error) {
      if (mine === run) {
        say(total, error.message);
        setTimeout(() => mine === run && !signal.aborted && load(fresh), RETRY_MS);
      }
    } finally {
      if (mine === run)
        loading = false;
    }
  }

  function count(n) {
    const filtered = Object.keys(query()).length > 0;
    total.dataset.count = n;
    say(total, n ? t('total', { n }) : t(filtered ? 'total.none' : 'total.empty'));
    clear.hidden = !filtered;
  }

  // Cameras that are gone still have recordings.
  function addCameras(recordings) {
    const names = new Set([...camera.options].map(option => option.value));
    for (const { camera: name } of recordings)
      if (!names.has(name) && names.add(name))
        camera.append(h('option', { value: name }, name));
  }

  // In its place: newest first.
  function put(recording) {
    const { id, started } = recording, old = rows.get(id), fresh = row(recording);
    known.set(id, started);
    rows.set(id, fresh);
    recording.verdict === 'recording' ? running.set(id, recording) : running.delete(id);
    if (old) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(fresh);
      return focused && fresh.querySelector('a').focus();
    }
    const after = [...list.children].find(other => {
      const time = known.get(other.dataset.id);
      return time < started || time === started && other.dataset.id < id;
    });
    list.insertBefore(fresh, after ?? null);
  }

  function onRecording(recording) {
    if (rows.has(recording.id) && !(verdict.value && verdict.value !== recording.verdict))
      return put(recording);
    if (Object.keys(query()).length)
      return again();
    const oldest = known.get(list.lastChild?.dataset.id);
    if (oldest && recording.started < oldest && next !== null)
      return;
    put(recording);
    count(Number(total.dataset.count) + 1);
  }

  main.replaceChildren(h('section', { class: 'view page' },
    h('div', { class: 'filters' }, h('h1', { tabindex: -1 }, t('nav.recordings')), h('div', { class: 'grow' }, words),
      camera, verdict,
      h('label', null, t('from'), from), h('label', null, t('to'), to), clear),
    total, list, more));
  const watch = new IntersectionObserver(([entry]) => entry.isIntersecting && next !== null && load(),
    { rootMargin: '600px' });
  watch.observe(more);
  signal.addEventListener('abort', () => watch.disconnect());
  hub.on('recording', onRecording, signal);
  hub.on('tick', () => running.forEach((recording, id) =>
    say(rows.get(id)?.querySelector('.length') ?? h('i'), lengthText(recording))), signal);
  hub.on('recording_deleted', id => {
    if (!rows.has(id))
      return;
    rows.get(id).remove();
    rows.delete(id);
    count(Number(total.dataset.count) - 1);
  }, signal);
  hub.on('online', online => online && load(true), signal);
  load(true);
  return t('nav.recordings');
}
