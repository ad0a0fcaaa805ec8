// Resumable uploads (tus 1.0.0) of files that a person has chosen. Knows the protocol, and that
// lines break: it asks how far the server is and goes on from there, for as long as it takes. It
// remembers where a file was going, so that choosing it again after a reload goes on, too.
// Refuses to know pages: it tells states and bytes.

const VERSION = { "tus-resumable": "1.0.0" };
// What is lost at most when a proxy in between keeps a body to itself until it is whole.
const PIECE_BYTES = 32 * 1024 * 1024;
const WAITS_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
// A line that carries nothing for so long is taken for broken.
const SILENCE_MS = 45_000;
const REMEMBERED = "nexus-upload:";
// The server forgets an unfinished upload after a day.
const FORGOTTEN_MS = 24 * 3_600_000;

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

const key = (file) => `${REMEMBERED}${file.name}/${file.size}/${file.lastModified}`;

const recall = (name) => {
  try {
    const known = JSON.parse(localStorage.getItem(name));
    return known && Date.now() - known.at < FORGOTTEN_MS ? known : null;
  } catch {
    return null;
  }
};

const forget = (name) => {
  try {
    localStorage.removeItem(name);
  } catch {
    // A browser that keeps nothing: then a reload begins anew.
  }
};

const remember = (name, upload) => {
  try {
    localStorage.setItem(name, JSON.stringify(upload));
  } catch {
    // As above.
  }
};

// Uploads that were begun in this browser and are not finished.
export const unfinished = () => {
  let names = [];
  try {
    names = Object.keys(localStorage).filter((name) => name.startsWith(REMEMBERED));
  } catch {
    return [];
  }
  const all = names.map((name) => ({ key: name, ...recall(name) }));
  all.filter((one) => !one.url).forEach((one) => forget(one.key));
  return all.filter((one) => one.url);
};

// How far the server is with one of them; null when it knows nothing of it any more.
export const standing = async (url) => {
  const answer = await fetch(url, { method: "HEAD", headers: VERSION });
  return answer.ok ? Number(answer.headers.get("upload-offset")) : null;
};

export const discard = async (upload) => {
  forget(upload.key);
  await fetch(upload.url, { method: "DELETE", headers: VERSION });
};

// What ended a request. `isFinal`: no other attempt ends otherwise.
class Trouble extends Error {
  constructor(words, { isFinal = false, waitMs = null, isGone = false } = {}) {
    super(words);
    Object.assign(this, { isFinal, waitMs, isGone });
  }
}

const trouble = (answer) => {
  const { status } = answer;
  if (status === 0) return new Trouble("The line broke.");
  if (status === 404 || status === 410) return new Trouble("It is gone.", { isGone: true });
  const wait = Number(answer.getResponseHeader("retry-after"));
  const waitMs = wait > 0 ? wait * 1_000 : null;
  // Taken by another writer, or further than we thought: ask again where it stands.
  if (status === 409 || status === 423 || status === 429 || status >= 500) {
    return new Trouble("It is busy.", { waitMs });
  }
  if (status === 401) {
    return new Trouble("You are signed out. Sign in in another tab, then go on here.", { isFinal: true });
  }
  let words = "It was refused.";
  try {
    const problem = JSON.parse(answer.responseText);
    words = problem.detail || problem.title || words;
  } catch {
    // No problem in it: ours will do.
  }
  words = words.charAt(0).toUpperCase() + words.slice(1);
  return new Trouble(words, { isFinal: true });
};

export class Upload {
  state = "waiting"; // sending, retrying, paused, failed, done
  sent = 0;
  words = "";
  url = null;
  #request = null;
  #wake = null;
  #round = 0;

  constructor(file, endpoint, changed) {
    Object.assign(this, { file, endpoint, changed });
  }

  get id() {
    return this.url?.split("/").pop();
  }

  #become(state, words = "") {
    this.state = state;
    this.words = words;
    this.changed(this);
  }

  // Sends until all is there, it is paused, or nothing helps.
  async start() {
    const round = ++this.#round;
    let failures = 0;
    this.#become("sending");
    while (round === this.#round) {
      const before = this.sent;
      try {
        await this.#stand();
        while (round === this.#round && this.sent < this.file.size) await this.#piece();
        if (round !== this.#round) return;
        forget(key(this.file));
        this.#become("done");
        return;
      } catch (why) {
        if (round !== this.#round) return;
        if (!(why instanceof Trouble) || why.isFinal) {
          this.#become("failed", why.message);
          return;
        }
        if (why.isGone) this.#lose();
        failures = this.sent > before ? 0 : failures + 1;
        const wait = why.waitMs ?? WAITS_MS[Math.min(failures, WAITS_MS.length - 1)];
        this.#become("retrying", why.message);
        await this.#pause(wait);
        if (round === this.#round) this.#become("sending");
      }
    }
  }

  // Where it is, or where it begins.
  async #stand() {
    const name = key(this.file);
    this.url ??= recall(name)?.url ?? null;
    if (this.url) {
      const answer = await this.#ask("HEAD", this.url, {});
      if (answer.status === 200) {
        this.#told(Number(answer.getResponseHeader("upload-offset")));
        return;
      }
      // A HEAD has no body to tell why.
      if (![403, 404, 410].includes(answer.status)) throw trouble(answer);
      this.#lose();
    }
    const { file } = this;
    const metadata = { filename: file.name, filetype: file.type, purpose: "asset" };
    const pairs = Object.entries(metadata).filter(([, value]) => value);
    const answer = await this.#ask("POST", this.endpoint, {
      "upload-length": file.size,
      "upload-metadata": pairs.map(([word, value]) => `${word} ${base64(value)}`).join(","),
    });
    if (answer.status !== 201) throw trouble(answer);
    // Only its path: behind a proxy the origin may be another.
    const { pathname } = new URL(answer.getResponseHeader("location"), location.href);
    this.url = pathname;
    remember(name, { url: pathname, name: file.name, size: file.size, at: Date.now() });
    this.#told(0);
  }

  async #piece() {
    const { file, sent } = this;
    const piece = file.slice(sent, Math.min(sent + PIECE_BYTES, file.size));
    const headers = {
      "upload-offset": sent,
      "content-type": "application/offset+octet-stream",
    };
    const answer = await this.#ask("PATCH", this.url, headers, piece, (bytes) => this.#told(sent + bytes));
    if (answer.status !== 204) {
      this.#told(sent);
      throw trouble(answer);
    }
    this.#told(Number(answer.getResponseHeader("upload-offset")));
  }

  #told(bytes) {
    this.sent = bytes;
    this.changed(this);
  }

  #lose() {
    forget(key(this.file));
    this.url = null;
    this.sent = 0;
  }

  // One request; bytes on their way are told, and silence ends it.
  #ask(method, url, headers, body = null, progress = () => {}) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.#request = request;
      let silence;
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => request.abort(), SILENCE_MS);
      };
      const over = () => {
        clearTimeout(silence);
        this.#request = null;
      };
      request.open(method, url);
      for (const [name, value] of Object.entries({ ...VERSION, ...headers })) {
        request.setRequestHeader(name, value);
      }
      request.upload.addEventListener("progress", ({ loaded }) => {
        heard();
        progress(loaded);
      });
      request.addEventListener("load", () => {
        over();
        resolve(request);
      });
      for (const end of ["error", "abort", "timeout"]) {
        request.addEventListener(end, () => {
          over();
          reject(new Trouble("The line broke."));
        });
      }
      heard();
      request.send(body);
    });
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  // The line is back: do not wait for the next try.
  hurry() {
    if (this.state === "retrying") this.#wake?.();
  }

  pause() {
    this.#round += 1;
    this.#request?.abort();
    this.#wake?.();
    this.#become("paused");
  }

  async cancel() {
    this.pause();
    const { url } = this;
    if (url) await discard({ key: key(this.file), url });
  }
}
