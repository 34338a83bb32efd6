/** The viewer's buttons: what a drag does, the windows, turning, resetting, playing. */

import { byId, element } from "./dom.js";
import { text } from "./dicom-json.js";
import { formatWindowValue, plain } from "./format.js";
import { formatNumber, t } from "./i18n.js";
import { Menu } from "./menu.js";
import { RATES } from "./cine.js";
import { CT_PRESETS, fileWindows, isWindowed, sameWindow } from "./windows.js";

const TOOLS = ["scroll", "window", "pan"];

export class Toolbar {
  #viewport;
  #cine;
  #tool;
  #drawnPresets = "";

  /** `modality()` is that of the series on show. */
  constructor(viewport, cine, { modality }) {
    this.#viewport = viewport;
    this.#cine = cine;
    this.modality = modality;
    // A finger scrolls, as everywhere on a phone; a mouse has its wheel for that.
    this.#tool = matchMedia("(pointer: coarse)").matches ? "scroll" : "window";
    new Menu(byId("presets-button"), byId("presets"));
    new Menu(byId("more-button"), byId("more"));
    this.#bind();
  }

  /** What a drag does: the chosen tool, or the next best where it can do nothing. */
  get tool() {
    const wanted = this.#tool === "window" && !this.#canWindow ? "scroll" : this.#tool;
    return wanted === "scroll" && this.#viewport.count < 2 ? "pan" : wanted;
  }

  get #canWindow() {
    const { slice } = this.#viewport;
    return slice !== null && isWindowed(slice);
  }

  #bind() {
    for (const tool of TOOLS) byId(`tool-${tool}`).addEventListener("click", () => this.#choose(tool));
    byId("tool-invert").addEventListener("click", () => this.#viewport.invert());
    byId("tool-rotate").addEventListener("click", () => this.#viewport.rotate());
    byId("tool-flip").addEventListener("click", () => this.#viewport.flip());
    byId("tool-reset").addEventListener("click", () => this.#viewport.reset());
    byId("tool-overlay").addEventListener("click", () => this.toggleOverlay());
    byId("help-button").addEventListener("click", () => byId("help").showModal());
    byId("play").addEventListener("click", () => this.#cine.toggle());
    byId("rate").addEventListener("change", ({ target }) => (this.#cine.rate = Number(target.value)));
    byId("scrubber").addEventListener("input", ({ target }) => this.#scrub(Number(target.value)));
    const fullscreen = byId("tool-fullscreen");
    fullscreen.hidden = !document.fullscreenEnabled;
    fullscreen.addEventListener("click", toggleFullscreen);
  }

  #choose(tool) {
    this.#tool = tool;
    this.render();
  }

  #scrub(value) {
    this.#cine.pause();
    this.#viewport.goTo(value - 1);
  }

  toggleOverlay() {
    document.body.classList.toggle("without-overlay");
    this.render();
  }

  /** Choose the CT preset of a digit key, 1 to 8. */
  choosePreset(digit) {
    const preset = this.#presets()[digit - 1];
    if (preset !== undefined) this.#viewport.setWindow(preset);
  }

  render() {
    for (const tool of TOOLS) byId(`tool-${tool}`).setAttribute("aria-pressed", String(this.tool === tool));
    byId("tool-invert").setAttribute("aria-pressed", String(this.#viewport.isInverted));
    byId("tool-flip").setAttribute("aria-pressed", String(this.#viewport.view.flipped));
    byId("tool-overlay").setAttribute("aria-pressed", String(!document.body.classList.contains("without-overlay")));
    byId("tool-window").disabled = !this.#canWindow;
    byId("tool-scroll").disabled = this.#viewport.count < 2;
    document.body.dataset.tool = this.tool;
    byId("tools").inert = this.#viewport.count === 0;
    this.#renderScrubber();
    this.#renderPresets();
  }

  #renderScrubber() {
    const { count, index } = this.#viewport;
    byId("playback").hidden = count < 2;
    if (count < 2) return;
    const scrubber = byId("scrubber");
    scrubber.max = count;
    scrubber.value = index + 1;
    scrubber.setAttribute("aria-valuetext", t("viewer.image_of", { n: index + 1, count }));
    scrubber.style.setProperty("--filled", `${(100 * index) / (count - 1)}%`);
    byId("position").textContent = `${formatNumber(index + 1)} / ${formatNumber(count)}`;
    const play = byId("play");
    play.dataset.playing = String(this.#cine.isPlaying);
    play.setAttribute("aria-label", t(this.#cine.isPlaying ? "cine.pause" : "cine.play"));
    this.#renderRates();
  }

  #renderRates() {
    const rate = byId("rate");
    rate.hidden = !(this.#cine.isPlaying || this.#cine.isLoop);
    const words = RATES.map((n) => t("cine.rate.value", { n }));
    if (rate.options[0]?.text !== words[0]) {
      rate.replaceChildren(...RATES.map((n, i) => element("option", { value: String(n), text: words[i] })));
    }
    rate.value = String(this.#cine.rate);
  }

  #presets() {
    return this.#canWindow && this.modality() === "CT" ? CT_PRESETS : [];
  }

  /** The choices: the file's own windows first, then the presets; built again only when they differ. */
  #renderPresets() {
    const { slice, window } = this.#viewport;
    const own = this.#canWindow ? distinct(fileWindows(slice)) : [];
    const choices = [
      { words: t("window.default"), window: null, values: own.length === 0 ? "" : windowWords(own[0]), key: "" },
      ...(own.length > 1 ? own.map(ownChoice) : []),
      ...this.#presets().map((preset, i) => choice(t(preset.name), preset, String(i + 1))),
    ];
    byId("presets-button").disabled = !this.#canWindow;
    const described = JSON.stringify([choices, window, text(slice?.dataset, "SOPInstanceUID")]);
    if (described === this.#drawnPresets) return;
    this.#drawnPresets = described;
    byId("presets-list").replaceChildren(...choices.map((each) => this.#presetButton(each)));
  }

  #presetButton({ words, window, values, key }) {
    return element(
      "button",
      {
        type: "button",
        class: "choice",
        dataset: { key },
        "aria-pressed": String(sameWindow(this.#viewport.window, window)),
        on: { click: () => this.#viewport.setWindow(window) },
      },
      element("span", { class: "choice-words", text: words }),
      element("span", { class: "choice-values", text: values }),
      element("kbd", { text: key, hidden: key === "" }),
    );
  }
}

function ownChoice(window, i) {
  return choice(plain(window.explanation) || t("window.file", { n: i + 1 }), window, "");
}

function choice(words, window, key) {
  const { center, width, shape } = window;
  return { words, window: { center, width, shape }, values: windowWords(window), key };
}

function windowWords({ center, width }) {
  return `${formatWindowValue(center)} / ${formatWindowValue(width)}`;
}

/** Scanners often write the same window twice. */
function distinct(windows) {
  return windows.filter((window, i) => windows.findIndex((other) => sameWindow(window, other)) === i);
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
}
