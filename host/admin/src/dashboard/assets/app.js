// The dashboard's only script: keeps pages live, and makes them quick with a keyboard. Every page
// works without it, but for sending a file.
"use strict";

const page = document.body.dataset.page ?? "";
const status = document.getElementById("status");

// Makes `old` what `fresh` is, and touches nothing that is the same already: what has the focus, is
// open or was typed stays. Rows with a key stay themselves wherever they stand.
const keyOf = (node) => node?.dataset?.key ?? "";
function become(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) {
    const own = name === "open" || name === "hidden";
    if (!own && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  contain(old, fresh);
}

function contain(old, fresh) {
  const mine = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  const stays = new Set([...fresh.children].map(keyOf));
  let at = old.firstChild;
  const pass = () => {
    const gone = at;
    at = at.nextSibling;
    return gone;
  };
  for (const next of [...fresh.childNodes]) {
    while (at && keyOf(at) && !stays.has(keyOf(at))) pass().remove();
    const key = keyOf(next);
    const same = key ? mine.get(key) : keyOf(at) ? null : at;
    if (same?.nodeName !== next.nodeName) {
      old.insertBefore(document.importNode(next, true), at);
    } else {
      if (same === at) pass();
      else old.insertBefore(same, at);
      become(same, next);
    }
  }
  while (at) pass().remove();
}

// Live parts: fetched again as a whole page, changed where they are others.
let asking = false;
let again = false;
async function refresh() {
  const parts = document.querySelectorAll("[data-live]");
  again = asking;
  if (asking || parts.length === 0 || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const other = fresh.getElementById(part.id);
      if (other) contain(part, other);
      part.removeAttribute("aria-busy");
    }
    document.body.classList.remove("stale");
    filter();
  } catch {
    document.body.classList.add("stale");
  } finally {
    asking = false;
  }
  if (again) soon();
}

let due = null;
function soon() {
  due ??= setTimeout(() => { due = null; refresh(); }, 400);
}

// One stream for each page that has something to follow.
function follow() {
  if (page === "login") return;
  const list = document.querySelector("[data-stream]");
  const wanted = new URLSearchParams({ topics: list?.dataset.stream ?? "rollouts,conditions" });
  for (const name of ["component", "level"]) {
    const value = list?.dataset[name];
    if (value) wanted.set(name, value);
  }
  const events = new EventSource(`/api/v1/stream?${wanted}`);
  events.addEventListener("rollout", (event) => {
    const rollout = JSON.parse(event.data);
    status.textContent = `${rollout.component}: ${rollout.state.replaceAll("_", " ")}`;
    soon();
  });
  let first = true;
  events.addEventListener("condition", (event) => {
    const condition = JSON.parse(event.data);
    if (!first) status.textContent = `${condition.name}: ${condition.detail}`;
  });
  setTimeout(() => { first = false; }, 2000);
  if (list) {
    for (const name of ["invocation", "log", "dropped", "figures"]) {
      events.addEventListener(name, soon);
    }
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
for (const link of document.querySelectorAll("a[data-presses]")) places[link.dataset.presses] = link.href;
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

// An artifact from this machine: sent as it is, then looked at before anything is done with it.
function send(form) {
  const file = form.querySelector("input[type=file]").files[0];
  const [sent, trouble] = ["sent", "send-trouble"].map((id) => document.getElementById(id));
  const button = form.querySelector("button");
  const request = new XMLHttpRequest();
  const fail = (words) => {
    trouble.textContent = words;
    trouble.hidden = false;
    sent.hidden = true;
    button.disabled = false;
  };
  request.open("POST", form.dataset.sends);
  request.responseType = "json";
  request.setRequestHeader("x-csrf-token", form.dataset.csrf);
  const archive = file.name.endsWith(".tar");
  const kind = archive ? "application/vnd.oci.image.layout.v1.tar" : "application/wasm";
  request.setRequestHeader("content-type", kind);
  request.upload.addEventListener("progress", ({ loaded, total }) => { sent.value = loaded / total; });
  request.addEventListener("error", () => fail("The host cannot be reached."));
  request.addEventListener("load", () => {
    const { digest, title, detail } = request.response ?? {};
    if (request.status !== 200) fail(`Not stored: ${title ?? request.status}. ${detail ?? ""}`);
    else location.assign(`?${new URLSearchParams({ artifact: digest })}`);
  });
  trouble.hidden = true;
  sent.hidden = false;
  button.disabled = true;
  request.send(file);
}
for (const form of document.querySelectorAll("form[data-sends]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

later();
follow();
if (document.querySelector("[data-live]")) setInterval(refresh, 5000);
