// The page: its frame, and which view an address (#/camera/NAME, #/recordings/ID, #/log) shows. Each view gets <main>,
// its part of the address and a signal that ends it, and returns its title.
import { makeBar } from './bar.js';
import { showCamera } from './camera.js';
import { makeDock } from './dock.js';
import { isTyping, say } from './dom.js';
import { hub } from './hub.js';
import { currentLanguage, t } from './i18n.js';
import { showLog } from './log.js';
import { showRecording } from './recording.js';
import { showRecordings } from './recordings.js';
import { showWall } from './wall.js';

const main = document.getElementById('main');
let view = null, frame = null, mark, cameFrom = '';

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// { path, show, options }: path is that of the entry in the navigation.
function find() {
  const [, first = '', ...rest] = location.hash.replace(/^#/, '').split('/'), name = decode(rest.join('/'));
  if (first === 'camera' && name)
    return { path: '', show: showCamera, options: { name } };
  if (first === 'recordings')
    return { path: first, show: name ? showRecording : showRecordings, options: { id: name } };
  return first === 'log' ? { path: first, show: showLog } : { path: '', show: showWall, options: { cameFrom } };
}

function go(moves = true) {
  view?.abort();
  view = new AbortController();
  const { path, show, options = {} } = find();
  const title = show(main, options, view.signal);
  cameFrom = options.name ?? '';
  mark(path);
  document.title = `${title} · camhub`;
  if (moves && !main.contains(document.activeElement))
    main.querySelector('h1')?.focus({ preventScroll: true });
}

function build() {
  frame?.abort();
  frame = new AbortController();
  document.documentElement.lang = currentLanguage();
  say(document.querySelector('.skip'), t('skip'));
  mark = makeBar(frame.signal);
  makeDock(frame.signal);
  go(false);
}

document.querySelector('.skip').addEventListener('click', event => {
  event.preventDefault();
  main.focus();
});
addEventListener('hashchange', () => go());
addEventListener('keydown', event => {
  if (event.key !== 'Escape' || event.defaultPrevented || document.querySelector('dialog[open]')
    || document.fullscreenElement)
    return;
  if (isTyping(event.target))
    return event.target.blur();
  const { show } = find();
  if (show === showRecording)
    location.hash = '#/recordings';
  else if (show !== showWall)
    location.hash = '#/';
});
hub.on('language', build);
build();
hub.start();
