// The dashboard's only script: keeps pages live, and makes them quick with a keyboard. Every page
// works without it.
"use strict";

const page = document.body.dataset.page ?? "";
const status = document.getElementById("status");

// Live parts: fetched again as a whole page, replaced where they changed and nobody is at work.
let asking = false;
async function refresh() {
  const parts = document.querySelectorAll("[data-live]");
  if (asking || parts.length === 0 || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const other = fresh.getElementById(part.id);
      const busy = part.contains(document.activeElement) || part.querySelector("details[open]");
      if (other && !busy && part.innerHTML !== other.innerHTML) part.innerHTML = other.innerHTML;
      part.removeAttribute("aria-busy");
    }
    document.body.classList.remove("stale");
    filter();
  } catch {
    document.body.classList.add("stale");
  } finally {
    asking = false;
  }
}

// One stream for each page that has something to follow.
function follow() {
  const list = document.querySelector("[data-stream]");
  const topics = list?.dataset.stream ?? "rollouts,conditions";
  if (page === "login") return;
  const wanted = new URLSearchParams({ topics });
  for (const name of ["component", "level"]) {
    const value = list?.dataset[name];
    if (value) wanted.set(name, value);
  }
  const events = new EventSource(`/api/v1/stream?${wanted}`);
  events.addEventListener("rollout", (event) => {
    const rollout = JSON.parse(event.data);
    status.textContent = `${rollout.component}: ${rollout.state}`;
    refresh();
  });
  let first = true;
  events.addEventListener("condition", (event) => {
    const condition = JSON.parse(event.data);
    if (!first) status.textContent = `${condition.name}: ${condition.detail}`;
  });
  setTimeout(() => { first = false; }, 2000);
  let due = null;
  const soon = () => {
    due ??= setTimeout(() => { due = null; refresh(); }, 400);
  };
  if (list) {
    events.addEventListener("invocation", soon);
    events.addEventListener("log", soon);
    events.addEventListener("dropped", soon);
  }
  events.addEventListener("open", () => document.body.classList.remove("stale"));
  events.addEventListener("error", () => document.body.classList.add("stale"));
}

// A filter over the rows that are there.
const search = document.querySelector("input[data-filters]");
function filter() {
  if (!search) return;
  const words = search.value.trim().toLowerCase();
  let shown = 0;
  for (const row of document.querySelectorAll(`#${search.dataset.filters} [data-row]`)) {
    row.hidden = !row.textContent.toLowerCase().includes(words);
    if (!row.hidden) shown += 1;
  }
  const count = document.getElementById("shown");
  if (count) count.textContent = words ? `${shown} shown` : "";
}
search?.addEventListener("input", filter);

// What takes a while comes afterwards.
async function later() {
  for (const part of document.querySelectorAll("[data-later]")) {
    const target = new URL(part.dataset.later, location.href);
    const answer = await fetch(target, { headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const other = fresh.getElementById(part.id);
    if (other) part.innerHTML = other.innerHTML;
    part.removeAttribute("aria-busy");
  }
  filter();
}

// Keys: two in a row go to a page, one opens the list of them.
const dialog = document.getElementById("keys");
const places = {};
for (const link of document.querySelectorAll("a[data-key]")) places[link.dataset.key] = link.href;
let pending = false;
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  if (pending && places[event.key]) {
    event.preventDefault();
    location.assign(places[event.key]);
    return;
  }
  pending = event.key === "g";
  if (event.key === "?" && dialog && !dialog.open) dialog.showModal();
  if (event.key === "/" && search) {
    event.preventDefault();
    search.focus();
  }
  if (event.key === "r" && !dialog?.open) refresh();
});
for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => document.getElementById(button.dataset.opens).showModal());
}

// Forms that cannot be undone ask once more.
document.addEventListener("submit", (event) => {
  const words = event.target.dataset.asks;
  if (words && !confirm(words)) event.preventDefault();
});

later();
follow();
if (document.querySelector("[data-live]")) setInterval(refresh, 5000);
