// The wall: one tile per camera, by name, as large as the window allows. Tiles out of sight do not stream, nor does
// a page that nobody looks at. Without cameras it says how the first one connects.
import { howTo } from './add.js';
import { h } from './dom.js';
import { hub } from './hub.js';
import { t } from './i18n.js';
import { Tile } from './tile.js';

const LEAST_REM = 17;

// The number of columns that makes tiles largest; where not all can be seen at once and be worth a look, as many
// columns as still are, and the wall scrolls. Returns { columns, width } in pixels.
export function bestGrid(count, { width, height, gap, ratio, caption, least }) {
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const wide = (width - gap * (columns - 1)) / columns, high = (height - gap * (rows - 1)) / rows;
    const fits = Math.floor(Math.min(wide, (high - caption) * ratio));
    if (fits > (best?.width ?? 0))
      best = { columns, width: fits };
  }
  if (best && best.width >= Math.min(least, width))
    return best;
  const columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
  return { columns, width: Math.floor((width - gap * (columns - 1)) / columns) };
}

function usualRatio(cameras) {
  const ratios = cameras.filter(camera => camera.stream).map(({ stream }) => stream.width / stream.height);
  const middle = ratios.sort((a, b) => a - b)[ratios.length >> 1] ?? 16 / 9;
  return Math.min(16 / 9, Math.max(1, middle));
}

export function showWall(main, { cameFrom }, signal) {
  const tiles = new Map();
  const list = h('ul', { class: 'wall', 'aria-label': t('cameras') });
  const view = h('section', { class: 'view wall-view' }, h('h1', { class: 'unseen', tabindex: -1 }, t('nav.wall')),
    list);
  let welcome = null;
  const inSight = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      const tile = tiles.get(target.dataset.name);
      if (tile) {
        tile.seen = isIntersecting;
        stream(tile);
      }
    }
  }, { rootMargin: '64px' });

  function stream(tile) {
    tile.seen && document.visibilityState === 'visible' ? tile.picture.start() : tile.picture.stop();
  }

  function layout() {
    const cameras = hub.list(), rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const box = view.getBoundingClientRect(), padding = rem * 0.5;
    const caption = tiles.values().next().value?.element.querySelector('.caption').offsetHeight ?? 3.5 * rem;
    const ratio = usualRatio(cameras);
    const { columns, width } = bestGrid(cameras.length, { width: box.width - 2 * padding,
      height: box.height - 2 * padding, gap: padding, ratio, caption: caption + 2, least: LEAST_REM * rem });
    list.style.gridTemplateColumns = `repeat(${columns}, ${width}px)`;
    list.style.setProperty('--ratio', ratio);
  }

  function roster() {
    const cameras = hub.list();
    for (const [name, tile] of tiles)
      if (!hub.cameras.has(name)) {
        tile.picture.stop();
        inSight.unobserve(tile.element);
        tile.element.remove();
        tiles.delete(name);
      }
    cameras.forEach((camera, at) => {
      let tile = tiles.get(camera.name);
      if (!tile) {
        tiles.set(camera.name, tile = new Tile(camera));
        inSight.observe(tile.element);
      } else {
        tile.update(camera);
      }
      if (list.children[at] !== tile.element)
        list.insertBefore(tile.element, list.children[at] ?? null);
    });
    drawWelcome(cameras.length === 0);
    layout();
  }

  function drawWelcome(empty) {
    list.hidden = empty;
    const known = hub.online !== null && hub.status !== null;
    if (empty && known && !welcome)
      view.append(welcome = h('div', { class: 'welcome' }, h('h2', null, t('welcome')), howTo()));
    if (!empty) {
      welcome?.remove();
      welcome = null;
    }
  }

  main.replaceChildren(view);
  roster();
  hub.on('cameras', roster, signal);
  hub.on('status', () => drawWelcome(hub.cameras.size === 0), signal);
  hub.on('camera', camera => {
    tiles.get(camera.name)?.update(camera);
    layout();
  }, signal);
  hub.on('figures', () => tiles.forEach(tile => tile.drawFigures()), signal);
  hub.on('tick', () => tiles.forEach(tile => tile.tick()), signal);
  hub.on('answer', name => tiles.get(name)?.drawAnswer(), signal);
  hub.on('selection', () => tiles.forEach(tile => tile.drawSelection()), signal);
  document.addEventListener('visibilitychange', () => tiles.forEach(stream), { signal });
  const resized = new ResizeObserver(layout);
  resized.observe(view);
  signal.addEventListener('abort', () => {
    inSight.disconnect();
    resized.disconnect();
    tiles.forEach(tile => tile.picture.stop());
  });
  tiles.get(cameFrom)?.link.focus();
  return t('nav.wall');
}
