// The page of uploads: files are dropped or chosen, two are sent at once, the others wait. Knows
// the page; `tus.js` knows how to send.

const drop = document.querySelector("[data-drop]");

const size = (bytes) => {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit + 1 < units.length) {
    bytes /= 1000;
    unit += 1;
  }
  return `${bytes.toFixed(unit && bytes < 10 ? 1 : 0)} ${units[unit]}`;
};

const time = (seconds) => {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min left`;
  return `${Math.round(seconds / 3_600)} h left`;
};

const json = async (path) => {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
};

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// By its name with a hash, which the page knows. Whoever may not upload has no place to drop.
const { Upload, discard, standing, unfinished } = drop ? await import(drop.dataset.tus) : {};

const AT_ONCE = 2;
// Bytes a second over the last while, so that a guess of what is left does not jump.
const WINDOW_MS = 8_000;

const find = (name) => document.querySelector(`[data-${name}]`);
const [queue, list, template] = [find("queue"), find("queue-list"), find("row")];
const [rest, restList, overall] = [find("unfinished"), find("unfinished-list"), find("overall")];
const tell = (words) => (find("told").textContent = words);
const rows = [];

class Row {
  #seen = [];
  #shown = "";

  constructor(file) {
    this.item = template.content.cloneNode(true).querySelector("li");
    const part = (name) => this.item.querySelector(`[data-${name}]`);
    Object.assign(this, {
      file,
      bar: part("bar"),
      words: part("words"),
      buttons: { pause: part("pause"), resume: part("resume"), cancel: part("cancel") },
      open: part("open"),
    });
    part("name").textContent = file.name;
    this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
    this.upload = new Upload(file, drop.dataset.endpoint, () => this.show());
    this.buttons.pause.addEventListener("click", () => this.upload.pause());
    this.buttons.resume.addEventListener("click", () => {
      this.upload.state = "waiting";
      this.show();
    });
    this.buttons.cancel.addEventListener("click", () => this.cancel());
    list.append(this.item);
  }

  get isOpen() {
    return ["waiting", "sending", "retrying"].includes(this.upload.state);
  }

  // How fast it is, in bytes a second.
  speed() {
    const now = performance.now();
    this.#seen.push([now, this.upload.sent]);
    while (this.#seen.length > 2 && now - this.#seen[0][0] > WINDOW_MS) this.#seen.shift();
    const [[then, before]] = this.#seen;
    return now - then > 500 ? ((this.upload.sent - before) / (now - then)) * 1000 : 0;
  }

  said() {
    const { upload, file } = this;
    const whole = size(file.size);
    const share = file.size ? Math.floor((upload.sent / file.size) * 100) : 100;
    switch (upload.state) {
      case "waiting":
        return `${whole}, waits for its turn`;
      case "sending": {
        const speed = this.speed();
        if (!speed || !upload.sent) return `${share} % of ${whole}`;
        const left = time((file.size - upload.sent) / speed);
        return `${share} % of ${whole}, ${size(speed)}/s, ${left}`;
      }
      case "retrying":
        return `${upload.words} It goes on by itself from ${share} %.`;
      case "paused":
        return `Paused at ${share} % of ${whole}`;
      case "failed":
        return upload.words;
      default:
        return `${whole}, uploaded`;
    }
  }

  show() {
    const { upload, buttons } = this;
    const { state } = upload;
    this.item.dataset.now = state;
    this.bar.value = this.file.size ? upload.sent / this.file.size : 1;
    if (state !== "done") this.words.textContent = this.said();
    buttons.pause.hidden = !this.isOpen;
    buttons.resume.hidden = !["paused", "failed"].includes(state);
    buttons.cancel.hidden = state === "done";
    if (state !== this.#shown) {
      if (state === "done") this.follow();
      if (["done", "failed", "retrying", "paused"].includes(state)) {
        tell(`${this.file.name}: ${state === "done" ? "uploaded" : this.said()}`);
      }
      if (state !== "sending") this.#seen = [];
      this.#shown = state;
      next();
    }
    total();
  }

  async cancel() {
    rows.splice(rows.indexOf(this), 1);
    this.item.remove();
    queue.hidden = rows.length === 0;
    await this.upload.cancel().catch(() => {});
    next();
  }

  // The bytes are safe; now it becomes something that can be watched.
  async follow() {
    this.words.textContent = "Uploaded. It is being looked at.";
    this.bar.removeAttribute("value");
    const upload = `/api/uploader/v1/objects/${this.upload.id}`;
    for (;;) {
      try {
        const told = await json(upload);
        if (told.state === "rejected") {
          this.item.dataset.now = "failed";
          this.bar.value = 1;
          this.words.textContent = `It was not taken: ${told.reason ?? "it is no film"}.`;
          return;
        }
        const { items } = await json("/api/asset-pipeline/v1/assets?limit=50");
        const asset = items.find((one) => one.upload_id === this.upload.id);
        if (asset) return this.watch(asset.id);
      } catch {
        // Away for a moment; it is asked again.
      }
      await after(1_000);
    }
  }

  async watch(id) {
    this.open.href = `/creator/videos/${id}`;
    this.open.hidden = false;
    for (;;) {
      const now = await json(`/api/asset-pipeline/v1/assets/${id}/progress/now`).catch(() => null);
      if (now) {
        this.bar.value = now.fraction;
        const share = Math.round(now.fraction * 100);
        if (now.state === "failed") {
          this.item.dataset.now = "failed";
          this.words.textContent = "It could not be processed. Open it to see why.";
          tell(`${this.file.name}: ${this.words.textContent}`);
          return;
        }
        if (now.state === "ready") {
          this.words.textContent = "Ready to be published.";
          tell(`${this.file.name}: ready`);
          return;
        }
        this.words.textContent = now.package_id
          ? `Can be watched; getting better, ${share} %`
          : `Being processed, ${share} %`;
      }
      await after(2_000);
    }
  }
}

const next = () => {
  const busy = rows.filter((row) => ["sending", "retrying"].includes(row.upload.state));
  const waiting = rows.filter((row) => row.upload.state === "waiting");
  for (const row of waiting.slice(0, Math.max(0, AT_ONCE - busy.length))) row.upload.start();
};

const total = () => {
  const all = rows.filter((row) => row.upload.state !== "done");
  const left = all.reduce((sum, row) => sum + row.file.size - row.upload.sent, 0);
  overall.textContent = left > 0 ? `${size(left)} to send` : "";
};

const add = (files) => {
  for (const file of files) {
    const same = (row) => row.file.name === file.name && row.file.size === file.size;
    const known = rows.find((row) => same(row) && row.upload.state !== "done");
    if (known) {
      if (!known.isOpen) known.buttons.resume.click();
      continue;
    }
    const row = new Row(file);
    rows.push(row);
    if (file.size === 0) {
      row.upload.state = "failed";
      row.upload.words = "This file is empty.";
    }
    row.show();
  }
  queue.hidden = rows.length === 0;
  if (files.length) tell(files.length === 1 ? `${files[0].name} added` : `${files.length} files added`);
  next();
};

// One line of what is unfinished.
const reminder = (one) => {
  const [item, words] = [document.createElement("li"), document.createElement("div")];
  const [name, more] = [document.createElement("p"), document.createElement("p")];
  const button = document.createElement("button");
  name.className = "item-name";
  name.textContent = one.name;
  more.className = "item-more";
  more.textContent = one.offset === undefined
    ? size(one.size)
    : `${Math.floor((one.offset / one.size) * 100)} % of ${size(one.size)} is safe here`;
  button.className = "quiet small";
  button.type = "button";
  button.textContent = "Forget it";
  button.setAttribute("aria-label", `Forget it: ${one.name}`);
  button.addEventListener("click", async () => {
    await discard(one).catch(() => {});
    remind();
  });
  words.append(name, more);
  item.append(words, button);
  return item;
};

// What an earlier visit has left unfinished.
const remind = async () => {
  const old = unfinished().filter((one) => !rows.some((row) => row.upload.url === one.url));
  const known = await Promise.all(old.map(async (one) => {
    const offset = await standing(one.url).catch(() => undefined);
    if (offset === null) discard(one).catch(() => {});
    return { ...one, offset };
  }));
  const left = known.filter((one) => one.offset !== null && one.offset !== one.size);
  rest.hidden = left.length === 0;
  restList.replaceChildren(...left.map(reminder));
};

const begin = async () => {
  const input = document.querySelector("#files");
  input.addEventListener("change", () => {
    add([...input.files]);
    // The same file may be chosen again.
    input.value = "";
    remind();
  });
  // The whole window takes files: beside the place, a browser would open them and leave.
  let depth = 0;
  addEventListener("dragenter", () => drop.toggleAttribute("data-over", ++depth > 0));
  addEventListener("dragleave", () => drop.toggleAttribute("data-over", --depth > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    drop.removeAttribute("data-over");
    add([...event.dataTransfer.files]);
    remind();
  });
  addEventListener("online", () => rows.forEach((row) => row.upload.hurry()));
  addEventListener("beforeunload", (event) => {
    if (rows.some((row) => row.isOpen)) event.preventDefault();
  });
  drop.dataset.ready = "";
  await remind();
};

if (drop) await begin();
