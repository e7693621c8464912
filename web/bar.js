// The status bar: at one glance, in this order: is it recording, is every camera alive, will the disk last. Then the
// ways to the other views, and how the connection to the hub is. Listeners hear of changes of state, not of figures.
import { openHelp, openAdd } from './add.js';
import { announce, button, h, icon, say, setIcon } from './dom.js';
import { hub } from './hub.js';
import { bytes, duration, span, t } from './i18n.js';

const HOUR = 3600, GB = 1e9;

function cell() {
  const shape = icon('ready'), value = h('strong'), label = h('span');
  const element = h('div', { class: 'cell' }, shape, h('p', null, value, ' ', label));
  return (level, form, strong, rest, title = '') => {
    element.dataset.level = level;
    setIcon(shape, form);
    say(value, strong);
    say(label, rest);
    element.title = title;
    return element;
  };
}

export function describeRecording() {
  const all = hub.connected(), recording = all.filter(camera => camera.state === 'recording');
  if (!recording.length)
    return ['calm', 'ready', t('bar.off'), t('bar.off.rest')];
  const begin = Math.min(...recording.map(camera => Date.parse(camera.session?.started ?? camera.since)));
  const count = t('bar.of', { n: recording.length, all: all.length });
  return ['recording', 'recording', count, t('bar.recording', { time: span((hub.now() - begin) / 1000) })];
}

export function describeAlive() {
  const all = hub.list(), lost = all.filter(camera => camera.state === 'lost');
  const silent = all.filter(camera => hub.isSilent(camera) && !hub.isFailing(camera));
  const failing = all.filter(camera => hub.isFailing(camera)), bad = [...lost, ...failing, ...silent];
  const names = bad.map(camera => camera.name).join(', ');
  if (!all.length)
    return ['calm', 'ready', t('bar.none'), t('bar.none.rest')];
  const count = t('bar.of', { n: all.length - bad.length, all: all.length });
  const words = [t('bar.alive'), lost.length && t('bar.lost', { n: lost.length }),
    failing.length && t('bar.failing', { n: failing.length }), silent.length && t('bar.silent', { n: silent.length })]
    .filter(Boolean).join(t('comma'));
  const [level, shape] = lost.length ? ['bad', 'lost'] : failing.some(({ source }) => source.state === 'given_up')
    ? ['bad', 'warning'] : bad.length ? ['warning', 'warning'] : ['good', 'alive'];
  return [level, shape, count, words, names];
}

export function describeDisk() {
  if (!hub.status)
    return ['calm', 'disk', '–', ''];
  const { free, total, seconds_left: left, path } = hub.status.disk;
  const low = left !== null && left < 2 * HOUR || free < 5 * GB || free < total / 50;
  const urgent = left !== null && left < HOUR / 3 || free < GB;
  return [urgent ? 'bad' : low ? 'warning' : 'calm', low ? 'warning' : 'disk', bytes(free),
    left === null ? t('bar.free') : t('bar.left', { time: duration(left, left > 86400 ? 1 : 2) }),
    t('bar.disk.title', { path, total: bytes(total), rate: bytes(hub.status.disk.write_rate) })];
}

export function uptime() {
  return hub.status ? duration(hub.status.uptime + (Date.now() - hub.statusAt) / 1000) : '';
}

function makeTrouble() {
  const place = document.getElementById('trouble'), when = h('span', { class: 'figure' });
  const retry = button(t('trouble.now'), () => hub.retry(), { class: 'small' });
  const words = h('strong', { role: 'alert' });
  place.replaceChildren(icon('warning'), words, when, retry);
  return () => {
    const off = hub.online === false;
    place.hidden = !off;
    document.body.classList.toggle('offline', off);
    say(words, off ? t('trouble') : '');
    const n = Math.max(0, Math.ceil((hub.retryAt - Date.now()) / 1000));
    say(when, n ? t('trouble.again', { n }) : t('trouble.trying'));
  };
}

// Returns a function that marks the view now shown.
export function makeBar(signal) {
  const recording = cell(), alive = cell(), disk = cell(), about = h('span');
  const links = ['', 'recordings', 'log'].map(path =>
    h('a', { href: `#/${path}` }, t(`nav.${path || 'wall'}`)));
  document.getElementById('bar').replaceChildren(
    h('div', { class: 'glance', role: 'group', 'aria-label': t('bar') },
      recording('calm', 'ready', '', ''), alive('calm', 'ready', '', ''), disk('calm', 'disk', '', '')),
    h('nav', { 'aria-label': t('nav') }, links),
    h('div', { class: 'tools' },
      h('p', { class: 'about' }, h('strong'), h('br'), about),
      button(t('add'), openAdd, { shape: 'add' }),
      button(t('settings'), openHelp, { shape: 'adjust', bare: true, class: 'quiet' })));
  const version = document.querySelector('.about strong'), trouble = makeTrouble();
  let told = null;

  function draw() {
    const state = describeRecording(), cameras = describeAlive();
    recording(...state);
    alive(...cameras);
    disk(...describeDisk());
    say(version, hub.status ? `camhub ${hub.status.version}` : '');
    say(about, hub.status ? t('bar.up', { time: uptime() }) : '');
    trouble();
    const news = `${state[2]} ${state[0] === 'recording' ? t('state.recording') : ''}. ${cameras[2]} ${cameras[3]}`;
    if (told !== null && told !== news)
      announce(news);
    told = news;
  }

  for (const name of ['online', 'cameras', 'camera', 'status', 'tick'])
    hub.on(name, draw, signal);
  draw();
  return path => links.forEach(link => {
    const here = link.getAttribute('href') === `#/${path}`;
    here ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current');
  });
}
