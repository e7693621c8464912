// The dock: Start all and Stop all, always at the same place and acting at once; beside them the values that Start
// sends, and what can be done with the cameras that are selected. What came of a command is said here in words.
import { openDialog } from './ask.js';
import { commandForms, onlySources, start, startSummary, stop } from './commands.js';
import { button, h, say } from './dom.js';
import { hub } from './hub.js';
import { t } from './i18n.js';

const NOTICE_MS = 8000;

function openCommands(names) {
  const target = () => names ?? null;
  const title = names ? t('commands.some', { n: names.length }) : t('commands.all');
  openDialog(title, { wide: true }, ...names ? [h('p', { class: 'quiet-text' }, names.join(', '))] : [],
    commandForms(target));
}

export function makeDock(signal) {
  const startAll = button(t('start.all'), () => start(null), { shape: 'recording', class: 'primary start-all' });
  const stopAll = button(t('stop.all'), () => stop(null), { shape: 'stop', class: 'stop-all' });
  const values = button('', () => openCommands(null), { shape: 'adjust', class: 'quiet values' });
  const summary = h('small');
  values.lastChild.append(h('b', null, t('commands')), summary);
  const notice = h('output', { class: 'notice' });
  const begin = button('', () => start(chosen())), end = button('', () => stop(chosen()));
  const count = h('strong'), chosen = () => [...hub.selected];
  const selection = h('div', { class: 'selection', role: 'group', 'aria-label': t('selection') }, count,
    begin, end,
    button(t('commands.more'), () => openCommands(chosen())),
    button(t('selection.clear'), () => hub.clearSelection(), { shape: 'close', bare: true, class: 'quiet' }));
  document.getElementById('dock').replaceChildren(startAll, stopAll, values, notice, selection);
  let timer = 0;

  function draw() {
    const n = hub.connected().length;
    startAll.disabled = stopAll.disabled = n === 0;
    say(summary, startSummary());
    selection.hidden = hub.selected.size === 0;
    const sources = onlySources(chosen());
    say(begin.lastChild, t(sources ? 'record' : 'start'));
    say(end.lastChild, t(sources ? 'record.stop' : 'stop'));
    say(count, t('selected', { n: hub.selected.size }));
  }

  for (const name of ['cameras', 'camera', 'selection', 'values'])
    hub.on(name, draw, signal);
  hub.on('notice', (text, isError = false) => {
    say(notice, text);
    notice.classList.toggle('error', isError);
    clearTimeout(timer);
    timer = setTimeout(() => say(notice, ''), isError ? 4 * NOTICE_MS : NOTICE_MS);
  }, signal);
  draw();
}
