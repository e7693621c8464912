// How a camera gets connected: the address it must use, as text and as QR code, and the command that starts a demo
// camera. Shown while there are none, and later by a button, then with a name. Also the settings of this page.
import { openDialog } from './ask.js';
import { uptime } from './bar.js';
import { makeField } from './commands.js';
import { button, copyText, h, recall, remember, say } from './dom.js';
import { hub } from './hub.js';
import { bytes, currentLanguage, languages, number, setLanguage, t } from './i18n.js';

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

// Where cameras can reach the hub. A page opened as localhost knows nothing that helps a phone; the hub does.
function hosts() {
  if (!/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname))
    return [location.host];
  const { addresses = [], port } = hub.status ?? {};
  return addresses.length ? addresses.map(address =>
    `${address.includes(':') && !address.startsWith('[') ? `[${address}]` : address}:${port}`) : [location.host];
}

function copyLine(label) {
  const text = h('code', { tabindex: 0 }), done = h('span', { class: 'hint', role: 'status' });
  const copy = button(t('copy'), async () => {
    say(done, await copyText(text.textContent) ? t('copied') : t('copy.failed'));
    setTimeout(() => say(done, ''), 3000);
  }, { class: 'small' });
  return { element: h('div', { class: 'copy' }, h('p', { class: 'label' }, label), text, copy, done),
    set: value => say(text, value) };
}

export function checkName(name) {
  if (name === '' || NAME.test(name))
    return '';
  const wrong = [...name].find(character => !/[A-Za-z0-9._-]/.test(character));
  return wrong === undefined ? t('name.long', { n: name.length })
    : wrong.trim() === '' ? t('name.blank') : t('name.wrong', { character: wrong });
}

// The instructions. `named`: with a field for the camera's name and the address of small cameras.
export function howTo(named = false) {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws', all = hosts();
  const phone = copyLine(t('add.phone')), esp = copyLine(t('add.esp')), demo = copyLine(t('add.demo'));
  const qr = h('img', { class: 'qr', width: 200, height: 200, alt: t('add.qr') });
  const host = h('select', { 'aria-label': t('add.host'), onchange: () => draw() },
    all.map(one => h('option', null, one)));
  const name = makeField('name', { label: t('name'), hint: t('name.hint'), value: '', maxlength: 80,
    check: text => checkName(text) === '', refusal: checkName });
  const warning = h('p', { class: 'hint', role: 'status' });

  function draw() {
    const given = named && name.value && !checkName(name.value) ? `/${name.value}` : '';
    const address = `${scheme}://${host.value}/android-cam${given}`;
    phone.set(address);
    esp.set(`${scheme}://${host.value}/esp${given}`);
    const local = `${scheme}://127.0.0.1:${hub.status?.port ?? location.port}/android-cam${given || '/demo'}`;
    demo.set(`camhub push --start ${local}`);
    const source = `/api/v1/qr.svg?text=${encodeURIComponent(address)}`;
    if (qr.getAttribute('src') !== source)
      qr.src = source;
    const other = hub.cameras.get(given.slice(1));
    say(warning, other ? t(other.state === 'lost' ? 'name.back' : 'name.taken', { name: other.name }) : '');
  }

  name.input.addEventListener('input', draw);
  draw();
  return h('div', { class: 'how' },
    h('div', { class: 'lines' },
      named ? h('div', null, name.element, warning) : null,
      phone.element, all.length > 1 ? h('label', { class: 'field' }, h('span', null, t('add.host')), host) : null,
      h('p', { class: 'quiet-text' }, t('add.network')), esp.element, demo.element),
    h('figure', null, qr, h('figcaption', null, t('add.qr'))));
}

export function openAdd() {
  openDialog(t('add'), { wide: true }, howTo(true));
}

function choice(label, options, value, onchoose) {
  const select = h('select', { onchange: () => onchoose(select.value) },
    options.map(([key, text]) => h('option', { value: key }, text)));
  select.value = value;
  return h('label', { class: 'field' }, h('span', null, label), select);
}

// Language, colours, facts of the hub, keys.
export function openHelp() {
  const theme = choice(t('theme'), ['', 'dark', 'light'].map(key => [key, t(`theme.${key || 'system'}`)]),
    recall('theme', '') ?? '', value => {
      remember('theme', value || null);
      window.applyTheme();
    });
  const language = choice(t('language'), languages.map(key => [key, t(`language.${key}`)]), currentLanguage(),
    value => {
    setLanguage(value);
    dialog.close();
    hub.emit('language');
  });
  const { status } = hub, facts = status ? [[t('hub.version'), `camhub ${status.version}`], [t('hub.uptime'), uptime()],
    [t('hub.addresses'), status.addresses.map(address => `${address} : ${status.port}`).join('\n')],
    [t('hub.folder'), status.disk.path], [t('hub.disk'), `${bytes(status.disk.free)} / ${bytes(status.disk.total)}`],
    [t('hub.recordings'), number(status.catalogue.sessions, 0)], [t('hub.viewers'), number(status.viewers, 0)],
    [t('hub.ffmpeg'), t(status.ffmpeg ? 'yes' : 'hub.ffmpeg.no')]] : [];
  const dialog = openDialog(t('settings'), {}, h('div', { class: 'fields' }, language, theme),
    h('dl', { class: 'facts' }, facts.map(([key, value]) => [h('dt', null, key), h('dd', null, value)])),
    h('h3', null, t('keys')), h('dl', { class: 'facts keys' }, ['Esc', 'F', 'M', '␣', ',', '.', '← →'].map((key, at) =>
      [h('dt', null, h('kbd', null, key)), h('dd', null, t(`keys.${at}`))])));
}
