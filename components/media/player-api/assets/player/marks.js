// Elements and drawings.

const make = (tag, fields = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(Boolean));
  return made;
};

const MARKS = {
  play: "M7 4.5v15l13-7.5z",
  pause: "M6.5 4.5h4v15h-4zM13.5 4.5h4v15h-4z",
  again: "M12 5a7 7 0 1 1-6.6 4.7M5 4v6h6",
  back: "M19 12H5M11 6l-6 6 6 6",
  sound: "M4 9.5v5h3.5L12 19V5L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  muted: "M4 9.5v5h3.5L12 19V5L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5",
  captions: "M4 5.5h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1zM7 11h4M7 14.5h6M15 14.5h2M14 11h3",
  speed: "M12 13l4-4M4.5 17.5a9 9 0 1 1 15 0",
  quality: "M4 7h10M18 7h2M4 12h3M11 12h9M4 17h8M16 17h4M16 5v4M9 10v4M14 15v4",
  wide: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  small: "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
  window: "M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM12 12h6v4h-6z",
  rewind: "M11 6 5 12l6 6M18 6l-6 6 6 6",
  forward: "M6 6l6 6-6 6M13 6l6 6-6 6",
  next: "M5 5v14l10-7zM18.5 5v14",
  warning: "M12 4 2.5 20h19zM12 10v4.5M12 17.4v.1",
};
const FILLED = new Set(["play", "pause", "next"]);

const mark = (name) => {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  drawing.setAttribute("class", FILLED.has(name) ? "np-mark np-filled" : "np-mark");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", MARKS[name]);
  drawing.append(path);
  return drawing;
};

const button = (name, label, onclick, extra = "") =>
  make("button", { type: "button", class: `np-button ${extra}`.trim(), "aria-label": label, title: label, onclick }, mark(name));

// Another drawing and name on the same button.
const redraw = (it, name, label) => {
  if (it.getAttribute("aria-label") === label) return;
  it.replaceChildren(mark(name));
  it.setAttribute("aria-label", label);
  it.title = label;
};

