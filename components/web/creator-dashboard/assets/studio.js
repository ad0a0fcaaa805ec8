// What moves by itself on the studio's pages: how far films are, subtitles that are sent, a form
// that is not saved yet. Every page is whole without it.

const json = async (path) => {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
};

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const pipeline = (id) => `/api/asset-pipeline/v1/assets/${id}/progress`;

// In lists films are asked about in turn: a browser has six lines to a host, and a stream for each
// film would take them from everything else.
const LIST_EVERY_MS = 2_000;

const badge = (root, words, kind) => {
  const shown = root.querySelector("[data-badge]");
  if (!shown) return;
  shown.textContent = words;
  shown.className = `badge ${kind}`;
};

const follow = async (cards) => {
  let live = cards;
  while (live.length) {
    for (const card of live) {
      const now = await json(`${pipeline(card.dataset.asset)}/now`).catch(() => null);
      if (!now) continue;
      const bar = card.querySelector("[data-bar]");
      if (bar) bar.value = now.fraction;
      if (now.state === "processing") {
        const words = now.package_id ? "Plays, gets better" : "Processing";
        badge(card, `${words}, ${Math.round(now.fraction * 100)} %`, "live");
        continue;
      }
      card.removeAttribute("data-live");
      bar?.remove();
      if (now.state === "failed") badge(card, "Failed", "bad");
      else badge(card, now.degraded ? "Ready, in part" : "Ready", now.degraded ? "warn" : "good");
    }
    live = live.filter((card) => card.hasAttribute("data-live"));
    await after(LIST_EVERY_MS);
  }
};

follow([...document.querySelectorAll("[data-live]")]);

// One film: its steps as they go, by the pipeline's stream of events.
const STEP_WORDS = { succeeded: "Done", failed: "Failed", cancelled: "Stopped" };

const watch = (place) => {
  const bar = place.querySelector("[data-bar]");
  const told = place.querySelector("[data-told]");
  const stream = new EventSource(pipeline(place.dataset.asset));
  let playable = Boolean(document.querySelector(".stage-link"));
  const show = (now) => {
    if (bar) bar.value = now.fraction;
    for (const step of now.steps) {
      const item = place.querySelector(`[data-step="${step.name} ${step.lane}"]`);
      if (!item) continue;
      item.dataset.now = step.state;
      const share = `${Math.round(step.fraction * 100)} %`;
      item.querySelector("[data-step-words]").textContent =
        STEP_WORDS[step.state] ?? (step.state === "running" ? share : "Waiting");
    }
    const words = now.package_id ? "Plays, gets better" : "Processing";
    badge(place, `${words}, ${Math.round(now.fraction * 100)} %`, "live");
  };
  // Somebody who writes is not interrupted; they see the rest with their next page.
  const again = () => {
    const writes = document.activeElement?.closest("form") || document.querySelector("[data-changed]");
    if (writes) told.textContent = "It has changed. Load the page again to see it.";
    else location.reload();
  };
  stream.addEventListener("progress", ({ data }) => {
    const now = JSON.parse(data);
    show(now);
    if (now.package_id && !playable) {
      playable = true;
      again();
    }
  });
  stream.addEventListener("end", ({ data }) => {
    show(JSON.parse(data));
    stream.close();
    again();
  });
};

document.querySelectorAll("[data-watch]").forEach(watch);

// Subtitles go to their service as the file is: it knows which letters are meant.
const subtitles = (form) => {
  form.hidden = false;
  const wrong = form.querySelector("[data-wrong]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [file] = form.elements.file.files;
    const language = encodeURIComponent(form.elements.language.value.trim());
    const button = form.querySelector("button");
    button.disabled = true;
    const headers = { "content-type": "application/octet-stream" };
    const asked = { method: "POST", headers, body: file };
    const answer = await fetch(`${form.dataset.subtitles}/${language}`, asked).catch(() => null);
    button.disabled = false;
    if (answer?.ok) {
      location.reload();
      return;
    }
    const problem = await answer?.json().catch(() => null);
    const said = problem?.detail ?? "They did not arrive. Please try again.";
    wrong.hidden = false;
    wrong.replaceChildren(...said.split("; ").map((line) => {
      const words = document.createElement("p");
      words.textContent = line.charAt(0).toUpperCase() + line.slice(1);
      return words;
    }));
  });
};

document.querySelectorAll("[data-subtitles]").forEach(subtitles);

// A title's form says that it is not saved, and a browser asks before it leaves.
const draft = (form) => {
  const words = form.querySelector("[data-unsaved]");
  form.addEventListener("input", () => {
    form.dataset.changed = "";
    words.hidden = false;
  });
  form.addEventListener("submit", () => form.removeAttribute("data-changed"));
};

document.querySelectorAll("[data-draft]").forEach(draft);

addEventListener("beforeunload", (event) => {
  if (document.querySelector("[data-changed]")) event.preventDefault();
});
