/** The keys of the viewer. */

const PAGE_STEP = 10;

/** Listen on the page; keys that a focused control needs for itself are left to it. */
export function listenToKeys(parts) {
  document.addEventListener("keydown", (event) => {
    const isTaken = event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") !== null;
    if (isTaken || event.target.matches("select, input") || (event.key === " " && event.target.matches("button, a"))) return;
    const action = keyAction(event.key, parts);
    if (action === null) return;
    event.preventDefault();
    action();
  });
}

function keyAction(key, { viewport, toolbar, cine, scroll }) {
  if (/^[1-8]$/.test(key)) return () => toolbar.choosePreset(Number(key));
  const actions = {
    ArrowUp: () => scroll(-1),
    ArrowLeft: () => scroll(-1),
    ArrowDown: () => scroll(1),
    ArrowRight: () => scroll(1),
    PageUp: () => scroll(-PAGE_STEP),
    PageDown: () => scroll(PAGE_STEP),
    Home: () => scroll(-viewport.count),
    End: () => scroll(viewport.count),
    " ": () => cine.toggle(),
    "+": () => viewport.zoom(1.25, 0, 0),
    "-": () => viewport.zoom(0.8, 0, 0),
    0: () => viewport.reset(),
    i: () => viewport.invert(),
    r: () => viewport.rotate(),
    f: () => viewport.flip(),
    t: () => toolbar.toggleOverlay(),
  };
  return actions[key.length === 1 ? key.toLowerCase() : key] ?? null;
}
