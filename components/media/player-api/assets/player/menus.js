// A button that opens a list of which one is chosen. Arrows move, Enter chooses, Escape closes.

class Menu {
  #sections = [];

  constructor(name, label, onopen) {
    this.list = make("div", { class: "np-list", role: "menu", "aria-label": label, hidden: true });
    this.button = button(name, label, () => this.toggle());
    this.button.setAttribute("aria-haspopup", "menu");
    this.button.setAttribute("aria-expanded", "false");
    this.root = make("div", { class: "np-menu", hidden: true }, this.list, this.button);
    this.onopen = onopen;
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("focusout", ({ relatedTarget }) => {
      if (this.open && relatedTarget && !this.root.contains(relatedTarget)) this.close(false);
    });
  }

  get open() {
    return !this.list.hidden;
  }

  // `sections`: [{label, items: [{id, label, note?}], chosen, choose(id)}]; without anything to
  // choose from, there is no button.
  fill(sections) {
    this.#sections = sections.filter((it) => it.items.length > 1);
    this.root.hidden = !this.#sections.length;
    const at = this.open ? this.#items().indexOf(document.activeElement) : -1;
    this.list.replaceChildren(...this.#sections.map((it) => this.#section(it)));
    if (at >= 0) this.#items()[Math.min(at, this.#items().length - 1)]?.focus();
  }

  #section({ label, items, chosen, choose }) {
    const group = make("div", { role: "group", "aria-label": label }, make("p", { class: "np-list-name", "aria-hidden": "true", text: label }));
    for (const it of items) {
      group.append(make("button", {
        type: "button", role: "menuitemradio", class: "np-item", tabindex: "-1", "data-id": String(it.id),
        "aria-checked": String(it.id === chosen),
        onclick: () => { this.close(); choose(it.id); },
      }, make("span", { text: it.label }), it.note && make("span", { class: "np-note", text: it.note })));
    }
    return group;
  }

  #items() {
    return [...this.list.querySelectorAll(".np-item")];
  }

  toggle() {
    if (this.open) return this.close();
    this.onopen(this);
    this.list.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    const items = this.#items();
    (items.find((it) => it.getAttribute("aria-checked") === "true") ?? items[0])?.focus();
  }

  close(focus = true) {
    if (!this.open) return;
    this.list.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    if (focus) this.button.focus();
  }

  #key(event) {
    if (!this.open) return;
    const items = this.#items();
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[(to + items.length) % items.length].focus();
    else if (event.key === "Escape" || event.key === "Backspace") this.close();
    else if (event.key === "Tab") return this.close(false);
    else if (event.key !== "Enter" && event.key !== " ") return;
    // Nothing of it is for the film.
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== " ") event.preventDefault();
  }
}

