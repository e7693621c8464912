// Words, numbers, sizes and times in the reader's language. t(KEY, { n: 3 }) finds the words in words.js and
// fills in {n}; where words.js has a pair, the first is for one, the second for any other number `n`.
import { recall, remember } from './dom.js';
import { words } from './words.js';

export const languages = Object.keys(words);
const wanted = navigator.languages ?? [navigator.language];
const spoken = wanted.map(tag => tag.slice(0, 2).toLowerCase()).find(tag => words[tag]);
let language = words[recall('language')] ? recall('language') : spoken ?? 'en';
let cache = new Map();

// With the reader's region where there is one: dates differ between en-GB and en-US.
const locale = () => wanted.find(tag => tag.slice(0, 2).toLowerCase() === language) ?? language;

export function currentLanguage() {
  return language;
}

export function setLanguage(next) {
  language = next;
  cache = new Map();
  remember('language', next);
}

export function t(key, values = {}) {
  let text = words[language][key] ?? words.en[key] ?? key;
  if (Array.isArray(text))
    text = text[values.n === 1 ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (all, name) => {
    const value = values[name] ?? all;
    return typeof value === 'number' ? number(value, 0) : value;
  });
}

function formatter(key, make) {
  if (!cache.has(key))
    cache.set(key, make());
  return cache.get(key);
}

export function number(value, digits = 1) {
  return formatter(`n${digits}`, () => new Intl.NumberFormat(locale(),
    { minimumFractionDigits: digits, maximumFractionDigits: digits })).format(value);
}

// Three figures are enough: 3.97 GB, 41.2 GB, 412 GB.
export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++)
    value /= 1000;
  return `${number(value, unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${units[unit]}`;
}

function dateFormat(key, options) {
  return formatter(key, () => new Intl.DateTimeFormat(locale(), { hourCycle: 'h23', ...options }));
}

// 14:03:21, or 14:03:21.123
export function clock(time, withMs = false) {
  const date = new Date(time), two = value => String(value).padStart(2, '0');
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withMs ? `${text}.${String(date.getMilliseconds()).padStart(3, '0')}` : text;
}

export function day(time) {
  return dateFormat('day', { dateStyle: 'medium' }).format(new Date(time));
}

// Today only the time, else with its day.
export function since(time) {
  const today = new Date(time).toDateString() === new Date().toDateString();
  return today ? clock(time) : `${day(time)} ${clock(time)}`;
}

// Running time: 00:12:33; with `digits` behind the point where asked for.
export function span(seconds, digits = 0) {
  const unit = 10 ** digits, all = Math.floor(Math.max(0, seconds) * unit + 1e-6), whole = Math.floor(all / unit);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const text = parts.map(part => String(part).padStart(2, '0')).join(':');
  return digits ? `${text}.${String(all % unit).padStart(digits, '0')}` : text;
}

// In words, two units at the most: 3 d 4 h, 12 min 5 s, 8.2 s.
export function duration(seconds, units = 2) {
  if (seconds < 10)
    return `${number(seconds, 1)} ${t('unit.s')}`;
  const all = Math.floor(seconds), parts = [[Math.floor(all / 86400), 'd'], [Math.floor(all / 3600) % 24, 'h'],
    [Math.floor(all / 60) % 60, 'min'], [all % 60, 's']];
  const first = parts.findIndex(([count]) => count > 0);
  return parts.slice(first, first + units).filter(([count], at) => count > 0 || at === 0)
    .map(([count, unit]) => `${number(count, 0)} ${t(`unit.${unit}`)}`).join(' ');
}
