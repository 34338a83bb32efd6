/** A panel that a button opens: closed by a choice, by Escape, or by touching anything else. */

export class Menu {
  #button;
  #panel;

  constructor(button, panel) {
    this.#button = button;
    this.#panel = panel;
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-controls", panel.id);
    button.addEventListener("click", () => (panel.classList.contains("open") ? this.close() : this.#open()));
    panel.addEventListener("click", (event) => event.target.closest("button") && this.close());
    document.addEventListener("pointerdown", (event) => this.#touched(event.target), { capture: true });
    document.addEventListener("keydown", (event) => this.#pressed(event), { capture: true });
  }

  close() {
    if (!this.#isOpen) return;
    const hadFocus = this.#panel.contains(document.activeElement);
    this.#panel.classList.remove("open");
    this.#button.setAttribute("aria-expanded", "false");
    if (hadFocus) this.#button.focus();
  }

  get #isOpen() {
    return this.#panel.classList.contains("open");
  }

  #open() {
    this.#panel.classList.add("open");
    this.#button.setAttribute("aria-expanded", "true");
    this.#panel.querySelector("button")?.focus({ focusVisible: false });
  }

  #touched(target) {
    if (this.#isOpen && !this.#panel.contains(target) && !this.#button.contains(target)) this.close();
  }

  #pressed(event) {
    if (event.key !== "Escape" || !this.#isOpen) return;
    event.stopPropagation();
    this.close();
  }
}
