// Commands to one, several or all cameras: the forms, their checks in words, the values used last, and sending.
// `names` is a list of cameras, or null for all that are connected.
import { ask } from './ask.js';
import { button, h, recall, remember, say } from './dom.js';
import { hub } from './hub.js';
import { t } from './i18n.js';

const RESOLUTIONS = ['QQVGA', 'QCIF', 'HQVGA', '240X240', 'QVGA', 'CIF', 'HVGA', 'VGA', 'SVGA', 'XGA', 'HD', 'SXGA',
  'UXGA', 'FHD', 'P_HD', 'P_3MP', 'QXGA'];
const whole = (least, most, mayBeEmpty) => text =>
  text === '' ? mayBeEmpty : /^[+-]?\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most;

// Each: kind of camera, value at first, check, and what is sent (undefined: the camera's own).
const FIELDS = {
  aspect_ratio: { kind: 'h264', first: '', check: text => /^([1-9]\d{0,4}:[1-9]\d{0,4})?$/.test(text),
    send: text => text || undefined, choices: ['4:3', '16:9', '1:1', '3:4', '9:16'] },
  bitrate: { kind: 'h264', first: '4', check: whole(1, 1000), send: Number },
  fps: { kind: 'h264', first: '10', check: whole(0, 1000), send: Number },
  resolution: { kind: 'jpeg', first: '', check: text => text === '' || RESOLUTIONS.includes(text),
    send: text => text || undefined, options: RESOLUTIONS },
  quality: { kind: 'jpeg', first: '', check: whole(1, 63, true), send: text => text === '' ? undefined : Number(text) },
  brightness: { first: '', check: whole(-100, 100, true), send: text => text === '' ? undefined : Number(text) },
  contrast: { first: '', check: whole(-100, 100, true), send: text => text === '' ? undefined : Number(text) },
  text: { first: '', check: text => text.trim() !== '' && new TextEncoder().encode(text).length <= 1000, send: String },
};
const CAPTURE = ['aspect_ratio', 'bitrate', 'fps', 'resolution', 'quality'];
let fieldCount = 0;

function used(name) {
  const value = recall('values', {})?.[name];
  return typeof value === 'string' && FIELDS[name].check(value) ? value : FIELDS[name].first;
}

function kindsOf(names) {
  const cameras = names ? names.map(name => hub.cameras.get(name)).filter(Boolean) : hub.connected();
  // Sources send as they are configured: all that can be said to them is that they are to be recorded.
  return new Set(cameras.length ? cameras.filter(camera => !camera.source).map(camera => camera.kind) : ['h264']);
}

// Whether these cameras are sources, all of them.
export function onlySources(names) {
  return names.length > 0 && names.every(name => hub.cameras.get(name)?.source);
}

// What Start sends, in short words.
export function startSummary() {
  const kinds = kindsOf(null), parts = [];
  if (kinds.has('h264'))
    parts.push(used('aspect_ratio'), t('values.h264',
      { bitrate: used('bitrate'), fps: used('fps') === '0' ? '∞' : used('fps') }));
  if (kinds.has('jpeg'))
    parts.push(used('resolution'), used('quality') && t('values.quality', { quality: used('quality') }));
  return parts.filter(Boolean).join(' · ');
}

async function send(names, body) {
  try {
    const results = await hub.command(names ? { ...body, cameras: names } : body);
    const failed = results.filter(result => result.outcome !== 'sent').map(result => result.camera);
    const n = results.length - failed.length;
    hub.emit('notice', failed.length ? t('sent.some', { n, names: failed.join(', ') }) : t('sent', { n }),
      failed.length > 0);
    return true;
  } catch (error) {
    hub.emit('notice', error.message, true);
    return error;
  }
}

export function start(names) {
  const body = { command: 'start' }, kinds = kindsOf(names);
  for (const name of CAPTURE)
    if (kinds.has(FIELDS[name].kind))
      body[name] = FIELDS[name].send(used(name));
  return send(names, body);
}

// Stopping all asks first if that ends recordings.
export async function stop(names) {
  const n = names ? 0 : hub.connected().filter(camera => camera.state === 'recording').length;
  if (n && !await ask({ title: t('stop.all.title'), text: t('stop.all.text', { n }), yes: t('stop.all'),
    no: t('stop.all.no') }))
    return false;
  return send(names, { command: 'stop' });
}

// A labelled input that says in words what it does not take. Good values are remembered as they are typed.
export function makeField(name, { label, hint, refusal, value, check, options, choices, kept, ...attributes }) {
  const id = `field-${++fieldCount}`, told = h('span', null, hint);
  const words = h('span', { class: 'hint', id: `${id}-words` }, told);
  const input = options
    ? h('select', { id }, h('option', { value: '' }, t('values.own')), options.map(option => h('option', null, option)))
    : h('input', { id, type: 'text', autocomplete: 'off', spellcheck: false, ...attributes });
  if (choices) {
    input.setAttribute('list', `${id}-list`);
    words.append(h('datalist', { id: `${id}-list` }, choices.map(choice => h('option', { value: choice }))));
  }
  input.name = name;
  input.value = value;
  input.setAttribute('aria-describedby', words.id);
  const field = {
    input, element: h('div', { class: 'field' }, h('label', { for: id }, label), input, words),
    get value() {
      return input.value.trim();
    },
    tell(text, good) {
      input.setAttribute('aria-invalid', String(!good));
      field.element.classList.toggle('bad', !good);
      say(told, text);
      return good;
    },
    refuse(text) {
      field.tell(text, false);
      input.focus();
    },
    verify() {
      const good = check(field.value);
      return field.tell(good ? hint : typeof refusal === 'function' ? refusal(field.value) : refusal, good);
    },
  };
  input.addEventListener('input', () => {
    if (field.verify() && kept)
      kept(field.value);
  });
  return field;
}

function commandField(name) {
  const { check, options, choices } = FIELDS[name];
  return makeField(name, { label: t(`field.${name}`), hint: t(`hint.${name}`), refusal: t(`refuse.${name}`), check,
    options,
    choices, value: used(name), inputmode: check(' 1') || name === 'text' || choices ? 'text' : 'numeric',
    kept: value => {
      remember('values', { ...recall('values', {}), [name]: value });
      hub.emit('values');
    } });
}

// One form with its own submit button; `act` gets the fields once all of them are good.
function form(title, names, label, act, { extra = [], kind = '' } = {}) {
  const fields = names.map(commandField);
  const element = h('form', { class: 'command', noValidate: true, onsubmit: async event => {
    event.preventDefault();
    const bad = fields.filter(field => !field.verify());
    if (bad.length)
      return bad[0].input.focus();
    const error = await act(Object.fromEntries(fields.map(field => [field.input.name, field.value])), fields);
    const blamed = error?.field && fields.find(field => error.field.endsWith(field.input.name));
    if (blamed) {
      blamed.refuse(error.message);
    }
  } }, h('h3', null, title), h('div', { class: 'fields', hidden: !fields.length }, fields.map(field => field.element)),
    h('div', { class: 'row' }, h('button', { type: 'submit', class: kind }, label), extra));
  return element;
}

// All commands for the cameras that target() names. The kinds of camera decide which values there are.
export function commandForms(target) {
  const sources = onlySources(target() ?? hub.connected().map(({ name }) => name));
  if (sources)
    return [form(t('recording'), [], t('record'), () => start(target()), { kind: 'primary',
      extra: [button(t('record.stop'), () => stop(target()), { shape: 'stop' })] })];
  const kinds = kindsOf(target()), names = CAPTURE.filter(name => kinds.has(FIELDS[name].kind));
  return [
    form(t('capture'), names, t('start'), () => start(target()),
      { kind: 'primary', extra: [button(t('stop'), () => stop(target()), { shape: 'stop' })] }),
    form(t('picture'), ['brightness', 'contrast'], t('set'), (values, fields) => {
      const settings = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, FIELDS[name].send(text)])
        .filter(([, value]) => value !== undefined));
      if (Object.keys(settings).length)
        return send(target(), { command: 'set', settings });
      return fields[0].refuse(t('refuse.picture'));
    }),
    form(t('raw'), ['text'], t('send'), ({ text }) => send(target(), { command: 'raw', text })),
  ];
}
