// Dialogs: one with a title and any content, and one that asks before something that cannot be undone.
// Escape and the close button leave it; the browser keeps the focus inside and gives it back afterwards.
import { button, h } from './dom.js';
import { t } from './i18n.js';

let count = 0;

// Returns the <dialog>; it removes itself when closed. `returnValue` says how.
export function openDialog(title, { wide = false } = {}, ...content) {
  const id = `title-${++count}`;
  const dialog = h('dialog', { class: wide ? 'wide' : '', 'aria-labelledby': id },
    h('header', null, h('h2', { id }, title),
      button(t('close'), () => dialog.close(), { shape: 'close', bare: true, class: 'quiet' })),
    h('div', { class: 'body' }, ...content));
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', event => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// `danger`: what cannot be undone; then the way back has the focus first.
export function ask({ title, text, yes, no = t('cancel'), danger = false }) {
  return new Promise(resolve => {
    const act = button(yes, () => dialog.close('yes'), { class: danger ? 'danger' : 'primary' });
    const leave = button(no, () => dialog.close());
    const dialog = openDialog(title, {}, h('p', null, text), h('div', { class: 'row end' }, leave, act));
    (danger ? leave : act).focus();
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'));
  });
}
