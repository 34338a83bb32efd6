/** Building the page. Data enters it as text only: nothing here parses HTML. */

const SVG = "http://www.w3.org/2000/svg";
const ICONS = new URL("icons.svg", import.meta.url).pathname;

/**
 * Make an element. `properties`: `class`, `text`, `dataset`, `on` (listeners by event), `hidden`, `href` and
 * the like; names with a dash become attributes. Children that are null, false or "" are left out.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) setProperty(node, name, value);
  node.append(...children.flat().filter((child) => child || child === 0));
  return node;
}

function setProperty(node, name, value) {
  if (value === null || value === undefined) return;
  if (name === "class") node.className = value;
  else if (name === "text") node.textContent = value;
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
  else if (name.includes("-") || name === "role") node.setAttribute(name, value);
  else node[name] = value;
}

/** An icon of icons.svg; decoration, so hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

/** Text of unknown direction and language: isolated, so that it cannot reorder what stands around it. */
export function isolated(text, className = "") {
  return element("bdi", { class: className, text });
}

/** The element with this id, which the page is known to have. */
export function byId(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`the page has no #${id}`);
  return node;
}
