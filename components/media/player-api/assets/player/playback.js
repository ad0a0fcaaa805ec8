// A playback at `streaming`: begun, renewed before its token ends, closed. Knows the newest token
// and puts it into every address. Refuses to know engines.

// Before so much of a token's time is left, the next one is fetched.
const FRESH_MS = 60_000;

const ask = async (method, path, body) => {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Trouble("network");
  }
  if (answer.status === 204) return null;
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const name = String(said.type ?? "").split("/").pop();
  if (answer.status === 401) throw new Trouble("unauthenticated", said.detail);
  if (answer.status === 429) throw new Trouble("too-often", said.detail);
  if (answer.status >= 500) throw new Trouble("away", said.detail);
  throw new Trouble(name || "unknown", said.detail);
};

// This browser, so that what is begun here again takes its own place.
const deviceId = () => {
  const known = memory.get("device");
  if (known) return known;
  const made = uuid();
  memory.set("device", made);
  return made;
};

class Playback {
  #renewing = null;
  #timer = 0;
  #closed = false;

  static async begin(asset, state, ended) {
    const playback = new Playback();
    playback.state = state;
    playback.ended = ended;
    playback.#take(await ask("POST", `${STREAMING}/sessions`, { asset, device: deviceId() }));
    return playback;
  }

  #take(said) {
    this.said = said;
    this.token = new URL(said.hls, location.href).searchParams.get("t");
    // By this machine's clock, which may be wrong: how long it lasts is what counts.
    this.until = performance.now() + Math.max(30_000, Date.parse(said.expires_at) - Date.now());
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.renew().catch(() => {}), said.heartbeat_seconds * 1000);
  }

  get url() {
    return `${STREAMING}/sessions/${this.said.id}`;
  }

  // The same address with the newest token.
  address(url) {
    return url.replace(/([?&]t=)[^&#]*/, `$1${this.token}`);
  }

  get licence() {
    return this.said.protection ? new URL(this.said.protection.licence, location.href).href : null;
  }

  // Says how the player is; gets fresh addresses. One at a time.
  renew() {
    if (this.#closed) return Promise.reject(new Trouble("closed"));
    this.#renewing ??= this.#beat().finally(() => { this.#renewing = null; });
    return this.#renewing;
  }

  async #beat() {
    try {
      this.#take(await ask("POST", `${this.url}/heartbeat`, this.state()));
    } catch (trouble) {
      if (this.#closed) throw trouble;
      if (trouble.code === "session-ended" || trouble.code === "not-found") {
        const reason = trouble.code === "not-found" ? "unpublished" : trouble.message.split(": ").pop().trim();
        this.#closed = true;
        this.ended(reason);
      } else {
        // The token is still good for a while.
        this.#timer = setTimeout(() => this.renew().catch(() => {}), 5000);
      }
      throw trouble;
    }
  }

  // Waits for a token only when the one at hand is about to end.
  async fresh() {
    if (this.until - performance.now() > FRESH_MS || this.#closed) return;
    await this.renew().catch(() => {});
  }

  // Where the viewer is, for whatever page comes next.
  remember(leaving = false) {
    const { position_ms } = this.state();
    this.#send("PUT", `${STREAMING}/progress/${this.said.asset_id}`, leaving, { position_ms });
  }

  // The browser finishes it by itself when the page goes away.
  #send(method, path, leaving, body) {
    fetch(path, {
      method, keepalive: leaving, credentials: "same-origin",
      headers: body ? { "content-type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    }).catch(() => {});
  }

  // `leaving`: the page goes away. `seen`: there is
  // something to remember.
  close(leaving = false, seen = false) {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    if (seen) this.remember(leaving);
    this.#send("DELETE", this.url, leaving);
  }
}

