// Small tools that everything else is made of: building elements, events, and what the browser remembers.
// Text goes into the page as text nodes only; nothing here or elsewhere reads a string as HTML.

// h('p', { class: 'x', onclick: fn, hidden: true }, 'text', element, null ...)
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on'))
      element.addEventListener(name.slice(2), value);
    else if (typeof value === 'string' || typeof value === 'number')
      element.setAttribute(name, value);
    else if (value !== null && value !== undefined)
      element[name] = value;
  }
  element.append(...children.flat(2).filter(child => child !== null && child !== undefined));
  return element;
}

export function icon(name) {
  const space = 'http://www.w3.org/2000/svg', svg = document.createElementNS(space, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(document.createElementNS(space, 'use'));
  setIcon(svg, name);
  return svg;
}

export function setIcon(svg, name) {
  const use = svg.firstChild;
  if (use.getAttribute('href') !== `#${name}`)
    use.setAttribute('href', `#${name}`);
}

// Touches the page only if the text is another one: figures come every second.
export function say(element, text) {
  if (element.textContent !== text)
    element.textContent = text;
}

export function button(label, onclick, { shape, bare, ...attributes } = {}) {
  return h('button', { type: 'button', onclick, ...attributes, ...bare && { 'aria-label': label, title: label } },
    shape && icon(shape), bare ? null : h('span', null, label));
}

export function isTyping(target) {
  return Boolean(target.closest?.('input:not([type=checkbox], [type=radio], [type=range]), textarea, select'));
}

export class Emitter {
  #listeners = new Map();

  // `signal` (of an AbortController) ends it.
  on(name, listener, signal) {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(listener));
    signal?.addEventListener('abort', () => all.delete(listener));
  }

  emit(name, ...values) {
    for (const listener of [...this.#listeners.get(name) ?? []])
      listener(...values);
  }
}

export function recall(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`camhub.${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`camhub.${key}`, JSON.stringify(value));
  } catch { /* storage may be forbidden or full: then nothing is remembered */ }
}

export function later(action, ms) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, ms);
  };
}

// Speaks to those who listen instead of looking.
export function announce(text) {
  say(document.getElementById('spoken'), text);
}

// The clipboard needs a secure page; in a plain local network the old way remains.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h('textarea', { class: 'unseen', value: text });
    (document.querySelector('dialog[open]') ?? document.body).append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}
