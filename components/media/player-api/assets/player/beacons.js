// What is told of how it goes: events in batches, each with an id of its own, so that one that is
// sent again counts once. Refuses to tell what was watched; `streaming` knows that.

class Beacons {
  #events = [];
  #timer = 0;
  #last = null;

  constructor(config, playback, sample) {
    Object.assign(this, { config, playback, sample });
    this.#timer = setInterval(() => this.send(), config.beacons.seconds * 1000);
  }

  tell(kind, fields = {}) {
    if (this.#events.length < this.config.beacons.events_max - 2) this.#events.push({ kind, ...fields });
  }

  // Of what has passed since the last one.
  #sampled() {
    const now = this.sample();
    const before = this.#last ?? { played: 0, frames: 0, dropped: 0 };
    this.#last = now;
    const played_ms = Math.round(now.played - before.played);
    if (played_ms <= 0) return;
    const frames = Math.max(0, now.frames - before.frames);
    const dropped = Math.max(0, now.dropped - before.dropped);
    this.tell("sample", { position_ms: now.position, played_ms, kbps: now.cmcd.br ?? 0, frames, dropped, cmcd: now.cmcd });
  }

  send(leaving = false) {
    this.#sampled();
    if (!this.#events.length) return;
    const batch = {
      id: uuid(),
      playback: this.playback.said.id,
      device: this.config.device.name,
      events: this.#events,
    };
    this.#events = [];
    fetch(this.config.beacons.url, {
      method: "POST", keepalive: leaving, credentials: "same-origin",
      headers: { "content-type": "application/json" }, body: JSON.stringify(batch),
    }).catch(() => {});
  }

  close(leaving) {
    clearInterval(this.#timer);
    this.tell("end");
    this.send(leaving);
  }
}

