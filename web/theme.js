// Dark or light, before anything is drawn: what was chosen, else what the system wants, else dark.
// A plain script, not a module, so that the page never flashes in the wrong colours.
(() => {
  const system = matchMedia('(prefers-color-scheme: light)');
  window.applyTheme = () => {
    let chosen = null;
    try {
      chosen = JSON.parse(localStorage.getItem('camhub.theme'));
    } catch { /* storage may be forbidden */ }
    const light = chosen ? chosen === 'light' : system.matches;
    document.documentElement.dataset.theme = light ? 'light' : 'dark';
  };
  system.addEventListener('change', window.applyTheme);
  window.applyTheme();
})();
