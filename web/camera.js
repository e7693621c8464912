// One camera, large: its picture, sound, state and figures, its commands, what it answered, its log; of a source how it
// fares; its outputs. Escape goes back to the wall, F fills the screen, M turns the sound on and off.
import { api } from './api.js';
import { commandForms } from './commands.js';
import { button, h, icon, isTyping, say, setIcon } from './dom.js';
import { hub } from './hub.js';
import { clock, since, t } from './i18n.js';
import { LogView } from './log.js';
import { Picture } from './picture.js';
import { soundWords, SourceView } from './source.js';
import { answerText, describeFigures, drawFigures, stateLine } from './tile.js';

export function toggleFull(element) {
  if (document.fullscreenElement)
    document.exitFullscreen();
  else
    element.requestFullscreen?.().catch(() => {});
}

function answersList(name) {
  const list = h('ol', { class: 'answers' });
  return { list, draw() {
    const answers = [...hub.answers.get(name) ?? []].reverse();
    list.replaceChildren(...answers.length ? answers.map(answer => h('li', { class: answer.error ? 'error' : '' },
      h('time', null, clock(answer.time - hub.offset)),
        h('span', null, answerText(answer)))) : [h('li', null, t('answers.none'))]);
  } };
}

function facts(camera) {
  const { stream } = camera;
  return [[t('camera.kind'), t(`kind.${camera.kind}`)], [t('camera.model'), camera.model],
    [t('camera.address'), camera.address],
    [t('camera.picture'), stream && `${stream.width} × ${stream.height}, ${stream.codec}`],
    [t('sound'), stream?.audio && soundWords(stream.audio)],
    [t('camera.since'), since(camera.since)],
    [t('camera.command'), camera.command && `${clock(camera.command.time)} ${camera.command.text}`]]
    .filter(([, value]) => value).flatMap(([key, value]) => [h('dt', null, key), h('dd', null, value)]);
}

const heard = new Set(); // the cameras whose sound is on, as long as the page stays open

// The button for the sound of a picture: there as soon as a stream has sound.
function soundButton(name, picture) {
  const shape = icon('sound-off'), words = h('span');
  const element = h('button', { type: 'button', hidden: true, class: 'sound', title: t('sound.key'),
    'aria-keyshortcuts': 'm', onclick: () => toggle() }, shape, words);

  function toggle() {
    if (element.hidden || element.disabled)
      return;
    const on = element.getAttribute('aria-pressed') !== 'true';
    on ? heard.add(name) : heard.delete(name);
    picture.sound = on;
  }

  picture.on('sound', state => {
    const on = state === 'on' || state === 'silent';
    element.hidden = state === 'none';
    element.disabled = state === 'unplayable';
    element.setAttribute('aria-pressed', String(on));
    element.dataset.sound = state;
    setIcon(shape, on ? 'sound-on' : 'sound-off');
    say(words, t(`sound.${state}`));
  });
  picture.sound = heard.has(name);
  return { element, toggle };
}

export function showCamera(main, { name }, signal) {
  const heading = h('h1', { tabindex: -1 }, name);
  const back = h('a', { class: 'button quiet', href: '#/', 'aria-label': t('back.wall'), title: t('back.wall') },
    icon('back'));
  const shown = hub.cameras.get(name);
  if (!shown) {
    main.replaceChildren(h('section', { class: 'view page' }, h('div', { class: 'head' }, back, heading),
      h('p', null, t('camera.unknown'))));
    hub.on('cameras', () => hub.cameras.has(name) && showCamera(main, { name }, signal), signal);
    return name;
  }
  const closing = new AbortController(), picture = new Picture(shown), state = stateLine();
  signal.addEventListener('abort', () => closing.abort());
  let live = null, drawn = '';
  const figures = h('p', { class: 'figures' }), about = h('dl', { class: 'facts' }), answers = answersList(name);
  const session = h('p'), forms = h('div', { class: 'forms' }), sound = soundButton(name, picture);
  const source = new SourceView(name, lines => { picture.lines = lines; }, closing.signal);
  const screen = h('div', { class: 'screen' }, picture.element);
  const dismiss = button(t('dismiss'), () => api.dismiss(name).then(() => { location.hash = '#/'; },
    error => hub.emit('notice', error.message, true)));
  const log = new LogView({ camera: name }, closing.signal);
  main.replaceChildren(h('section', { class: 'view page camera' },
    h('div', { class: 'head' }, back, heading, state.element, state.time, figures, dismiss,
      sound.element, button(t('full'), () => toggleFull(screen), { shape: 'full', bare: true, class: 'quiet' })),
    h('div', { class: 'stage' }, screen),
    h('aside', { class: 'side' }, session, forms, source.elements,
      h('section', null, h('h3', null, t('answers')), answers.list),
      h('section', null, h('h3', null, t('camera.facts')), about)),
    h('section', { class: 'below' }, h('h3', null, t('nav.log')), log.element)));

  function draw() {
    const camera = hub.cameras.get(name);
    if (!camera)
      return;
    picture.update(camera);
    const kind = `${camera.kind} ${Boolean(camera.source)}`;
    if (kind !== drawn)
      forms.replaceChildren(...commandForms(() => [name]));
    drawn = kind;
    dismiss.hidden = camera.state !== 'lost';
    session.replaceChildren(...camera.session ? [h('a',
      { href: `#/recordings/${encodeURIComponent(camera.session.id)}` },
      t('camera.session'))] : []);
    about.replaceChildren(...facts(camera));
    tick();
  }

  function tick() {
    const camera = hub.cameras.get(name);
    if (camera) {
      state.draw(camera);
      source.draw(camera);
    }
    picture.draw();
    drawNumbers();
  }

  function drawNumbers() {
    if (hub.cameras.has(name))
      drawFigures(figures, describeFigures(hub.cameras.get(name), live));
  }

  function stream() {
    document.visibilityState === 'visible' ? picture.start() : picture.stop();
  }

  picture.on('figures', value => {
    live = value;
    drawNumbers();
  });
  hub.on('camera', camera => camera.name === name && draw(), closing.signal);
  hub.on('cameras', () => {
    if (hub.cameras.has(name))
      return draw();
    closing.abort();
    showCamera(main, { name }, signal);
  }, closing.signal);
  hub.on('figures', drawNumbers, closing.signal);
  hub.on('tick', tick, closing.signal);
  hub.on('answer', who => who === name && answers.draw(), closing.signal);
  document.addEventListener('visibilitychange', stream, { signal: closing.signal });
  document.addEventListener('keydown', event => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)
      || document.querySelector('dialog[open]'))
      return;
    if (key === 'f')
      toggleFull(screen);
    else if (key === 'm')
      sound.toggle();
  }, { signal: closing.signal });
  screen.addEventListener('dblclick', () => toggleFull(screen));
  closing.signal.addEventListener('abort', () => picture.stop());
  draw();
  answers.draw();
  stream();
  return name;
}
