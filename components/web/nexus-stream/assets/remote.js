// A remote control in a page: arrows go to what is nearest in that direction, Enter opens it (the
// browser does that), Back goes back. Nothing here is needed with a mouse or a finger; rows scroll
// by themselves, and get buttons for who has neither wheel nor touch.

const REACHABLE = "a[href], button:not([disabled]), input:not([type=hidden]), select, summary";
const AWAY = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const isThere = (it) => {
  const { width, height } = it.getBoundingClientRect();
  return width > 0 && height > 0 && !it.closest(".skip") && getComputedStyle(it).visibility !== "hidden";
};

// How far `to` is, seen from `from` in a direction; none when it does not lie there. Straight ahead
// counts, aside counts more: a row is left only when nothing is left in it.
const distance = (from, to, [x, y]) => {
  const [a, b] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
  const ahead = x ? (x > 0 ? b.left - a.left : a.right - b.right) : (y > 0 ? b.top - a.bottom : a.top - b.bottom);
  if (x ? ahead <= 1 : ahead < -8) return Infinity;
  const overlaps = x ? b.top < a.bottom && b.bottom > a.top : b.left < a.right && b.right > a.left;
  const middle = (it) => (x ? it.top + it.height / 2 : it.left + it.width / 2);
  const aside = Math.abs(middle(a) - middle(b));
  if (x && !overlaps) return Infinity;
  return ahead + (overlaps ? aside * 0.2 : aside * 2);
};

const go = (direction) => {
  const all = [...document.querySelectorAll(REACHABLE)].filter(isThere);
  const here = document.activeElement;
  if (!all.includes(here)) {
    (document.querySelector("main a.button, main a, main button") ?? all[0])?.focus();
    return;
  }
  const best = all.filter((it) => it !== here)
    .map((it) => [distance(here, it, direction), it])
    .filter(([far]) => far < Infinity)
    .sort(([a], [b]) => a - b)[0];
  if (!best) return;
  best[1].focus({ preventScroll: true });
  best[1].scrollIntoView({ block: "center", inline: "center", behavior: "smooth" });
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const { target, key } = event;
  const typing = target.matches?.("input, textarea, select");
  // Within a word, arrows move within the word.
  const within = typing && (target.tagName === "SELECT" || key === "ArrowLeft" || key === "ArrowRight");
  if (AWAY[key] && !within) {
    event.preventDefault();
    go(AWAY[key]);
  } else if (["GoBack", "BrowserBack"].includes(key) || (!typing && (key === "Backspace" || key === "Escape"))) {
    event.preventDefault();
    if (location.pathname !== "/tv") history.length > 1 ? history.back() : location.assign("/tv");
  }
});

// Buttons at the ends of a row that is wider than the window.
for (const row of document.querySelectorAll(".shelf-tiles")) {
  const buttons = [-1, 1].map((way) => {
    const it = document.createElement("button");
    it.type = "button";
    it.className = `shelf-go ${way < 0 ? "shelf-back" : "shelf-on"}`;
    it.tabIndex = -1;
    it.setAttribute("aria-hidden", "true");
    it.textContent = way < 0 ? "‹" : "›";
    it.addEventListener("click", () => row.scrollBy({ left: way * row.clientWidth * 0.85, behavior: "smooth" }));
    return it;
  });
  const show = () => {
    buttons[0].hidden = row.scrollLeft < 8;
    buttons[1].hidden = row.scrollLeft + row.clientWidth > row.scrollWidth - 8;
  };
  row.after(...buttons);
  row.addEventListener("scroll", show, { passive: true });
  new ResizeObserver(show).observe(row);
}
