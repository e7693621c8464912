// One recording: its film, its verdict with the reason, what is missing where, its files, and the way to delete it.
import { api, recordingFile } from './api.js';
import { ask } from './ask.js';
import { button, h, icon } from './dom.js';
import { Film } from './film.js';
import { hub } from './hub.js';
import { bytes, clock, day, duration, number, span, t } from './i18n.js';
import { lengthText, verdictChip } from './recordings.js';
import { soundWords } from './source.js';

const REFRESH_MS = 5000, LISTED = 100;

async function remove({ id, bytes: size, camera }) {
  const sure = await ask({ title: t('delete.title'), text: t('delete.text', { camera, id, size: bytes(size) }),
    yes: t('delete'),
    danger: true });
  if (!sure)
    return;
  try {
    await api.remove(id);
    location.hash = '#/recordings';
  } catch (error) {
    hub.emit('notice', error.message, true);
  }
}

function facts({ recording, report }) {
  const when = time => `${day(time)} ${clock(time)}`, { clock: map, frame_rate: rate } = report ?? {};
  return [[t('started'), when(recording.started)], [t('ended'), recording.ended && when(recording.ended)],
    [t('length'), lengthText(recording)], [t('size'), bytes(recording.bytes)],
    [t('frames'), recording.frames && number(recording.frames, 0)],
      [t('missing'), recording.missing && number(recording.missing, 0)],
    [t('end'), report?.end_reason && t(`end.${report.end_reason}`)],
    [t('sound'), report?.audio && soundWords(report.audio)],
    [t('rate'), rate && `${number(rate.estimate, 2)} ${t('unit.fps')}`],
    [t('drift'), map && `${number(map.drift_ppm, 1)} ppm, ± ${number(map.uncertainty * 1000, 0)} ms`],
    [t('camera.model'), report?.camera?.device_model], [t('id'), recording.id]]
    .filter(([, value]) => value).flatMap(([key, value]) => [h('dt', null, key), h('dd', null, value)]);
}

function gapList(report, film) {
  const gaps = report?.gaps ?? [];
  if (!gaps.length)
    return '';
  return h('section', null, h('h3', null, t('marks.gap', { n: gaps.length })),
    h('ul', { class: 'gaps' }, gaps.slice(0, LISTED).map(gap =>
    h('li', null, button(span(gap.at, 3), () => film?.seek(gap.at - 0.001), { class: 'link figure' }), ' ',
      duration(gap.duration), ' · ', gap.missing ? t('mark.missing', { n: gap.missing }) : t('mark.not_encoded')))),
    gaps.length > LISTED || report.lists_truncated ? h('p', { class: 'quiet-text' }, t('lists.truncated')) : null);
}

export function showRecording(main, { id }, signal) {
  const head = h('div', { class: 'head' }), stage = h('div', { class: 'stage' }), side = h('aside', { class: 'side' });
  const heading = h('h1', { tabindex: -1 }, id);
  main.replaceChildren(h('section', { class: 'view page camera' }, head, stage, side));
  const back = h('a', { class: 'button quiet', href: '#/recordings', 'aria-label': t('back.recordings'),
    title: t('back.recordings') },
    icon('back'));
  head.replaceChildren(back, heading);
  let film = null, details = null, asked = 0;

  function draw() {
    const { recording, files, report } = details;
    heading.textContent = recording.camera;
    head.replaceChildren(back, heading, verdictChip(recording), h('p', { class: 'reason' }, recording.reason),
      button(t('delete'), () => remove(details.recording),
        { class: 'small', disabled: recording.verdict === 'recording',
        title: recording.verdict === 'recording' ? t('delete.running') : '' }));
    side.replaceChildren(h('dl', { class: 'facts' }, facts(details)), gapList(report, film),
      h('section', null, h('h3', null, t('files')),
        h('ul', { class: 'files' }, files.map(({ name, bytes: size }) => h('li', null,
        h('a', { href: recordingFile(recording.id, name), download: `${recording.id}_${name}` }, name),
        h('span', { class: 'figure' }, bytes(size)))))));
  }

  async function load() {
    asked = Date.now();
    try {
      details = await api.recording(id);
    } catch (error) {
      return details || stage.replaceChildren(h('p', { class: 'empty' }, error.message));
    }
    if (signal.aborted)
      return;
    if (film)
      film.update(details);
    else if (details.recording.video)
      stage.replaceChildren((film = new Film(details, signal)).element);
    else
      stage.replaceChildren(h('p', { class: 'empty' },
        t(details.recording.kind === 'jpeg' ? 'film.later' : 'film.none')));
    if (!side.contains(document.activeElement))
      draw();
  }

  hub.on('recording', recording => {
    if (recording.id !== id || !details)
      return;
    film?.update({ recording });
    if (recording.verdict !== details.recording.verdict || recording.video !== details.recording.video ||
        recording.parts.length !== details.recording.parts.length || Date.now() - asked > REFRESH_MS)
      load();
  }, signal);
  hub.on('tick', () => {
    if (details && details.recording.verdict !== 'recording')
      return;
    if (details)
      film?.update({ recording: details.recording });
    if (Date.now() - asked > REFRESH_MS)
      load();
  }, signal);
  hub.on('recording_deleted', gone => {
    if (gone !== id)
      return;
    asked = Infinity;
    film = null;
    side.replaceChildren();
    stage.replaceChildren(h('p', { class: 'empty' }, t('deleted')));
  }, signal);
  load();
  return id;
}
