// The element: from being put into a page to a picture, and everything a viewer asks of it.

// Standing still for less is nothing that anybody sees.
const STALL_MS = 100;
const NEXT_SECONDS = 10;
// Whoever drags along the bar stops at many points.
const REMEMBER_MS = 400;
const STUCK_MS = 10_000;
const STUCK_STEP_MS = 500;
// What takes our place so soon was asked for before us.
const RETAKEN_MS = 15_000;

class NexusPlayer extends HTMLElement {
  #begun = 0;
  #stalled = 0;
  #seeking = false;
  #played = 0;
  #at = null;
  #cleanups = [];
  #rungs = [];
  #texts = [];
  #voices = [];
  #chosen = { rung: -1, text: -1, voice: 0 };
  #fallen = false;
  #asked = false;
  #retaken = false;
  #start = 0;
  #placed = false;
  #turn = 0;
  #offered = false;
  #remembering = 0;

  // What was seen so far; for pages, tests and measurements.
  seen = { began: false, engine: null, startup_ms: null, page_ms: null, stalls: 0, stall_ms: 0, rung: null, rungs: 0, errors: [], details: [], trouble: null, first_turn: 0 };

  connectedCallback() {
    if (this.controls) return;
    this.replaceChildren();
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", `Player: ${this.getAttribute("heading") || "film"}`);
    this.video = make("video", { class: "np-video", playsinline: true, preload: "auto", tabindex: "-1" });
    this.video.volume = clamp(Number(memory.get("volume") ?? 1), 0, 1);
    this.video.muted = memory.get("muted") === "yes";
    this.controls = new Controls(this);
    this.#cleanups.push(listenToKeys(this));
    this.#watch();
    this.restart();
  }

  get duration() {
    const { duration } = this.video;
    return Number.isFinite(duration) && duration > 0 ? duration : (this.playback?.said.duration_ms ?? 0) / 1000;
  }

  // Begins, or begins anew where it was.
  async restart() {
    const turn = this.#turn += 1;
    const at = this.#placed ? this.video.currentTime : 0;
    await this.#stop();
    this.#placed = false;
    this.controls.calm();
    this.controls.spinner.hidden = false;
    this.seen.trouble = null;
    this.#begun = performance.now();
    try {
      await this.#open(turn, at);
    } catch (error) {
      if (turn === this.#turn) this.#fail(error instanceof Trouble ? error.code : `${error}`);
    }
  }

  async #open(turn, at) {
    const known = this.getAttribute("asset");
    const wanted = this.getAttribute("engine");
    // The engine is on its way while services are asked.
    script(ENGINES[wanted === "dash" ? "dash" : "hls"]).catch(() => {});
    const config = ask("GET", this.#configUrl());
    const state = () => ({ position_ms: this.#position(), state: this.#state() });
    const begin = async (asset) => Playback.begin(asset, state, (reason) => this.#ended(reason));
    const [told, playback] = known
      ? await Promise.all([config, begin(known)])
      : await config.then(async (it) => [it, await begin(it.asset)]);
    if (turn !== this.#turn) return playback.close();
    Object.assign(this, { config: told, playback });
    this.beacons = new Beacons(told, playback, () => this.#sample());
    this.beacons.tell("start");
    this.storyboard = new Storyboard(playback);
    this.storyboard.load();
    this.controls.next.hidden = !told.next;
    this.#start = at > 0 ? at : playback.said.resume_ms / 1000;
    this.#watchOver(turn);
    await this.#load(wanted ?? told.engine, this.#start, turn);
    await this.play(true);
  }

  #configUrl() {
    const query = new URLSearchParams();
    const pairs = { title: this.getAttribute("title-id"), profile: this.getAttribute("profile"), device: this.getAttribute("device") ?? this.#deviceKind() };
    for (const [name, value] of Object.entries(pairs)) if (value) query.set(name, value);
    if (!pairs.title) query.set("asset", this.getAttribute("asset") ?? "");
    return `${CONFIG}?${query}`;
  }

  #deviceKind() {
    if (/\b(TV|SmartTV|Tizen|Web0S|BRAVIA|AFT[A-Z])\b/i.test(navigator.userAgent)) return "tv";
    return matchMedia("(pointer: coarse)").matches ? "web-mobile" : "web-desktop";
  }

  async #load(word, start, turn) {
    const told = {
      rungs: (list) => { this.#rungs = list; this.fillMenus(); },
      rung: (it) => this.#rung(it),
      texts: (list) => { this.#texts = list; this.#likedText(); this.fillMenus(); },
      voices: (list) => { this.#voices = list; this.fillMenus(); },
      failed: (code, detail) => { if (turn === this.#turn) this.#engineFailed(code, detail); },
    };
    const Engine = engineOf(word);
    this.engine = new Engine(this.video, this.playback, this.config, told);
    this.seen.engine = Engine.word;
    this.#firstFrame(turn);
    await this.engine.load(start);
  }

  // A decoder that waits for ever tells nobody: there is something to show, or a key to show it with,
  // and no picture comes of it.
  async #watchOver(turn) {
    const { video } = this;
    for (let waited = 0; waited < STUCK_MS; waited += STUCK_STEP_MS) {
      await wait(STUCK_STEP_MS);
      if (turn !== this.#turn || this.seen.first_turn === turn || this.seen.trouble) return;
      if (!video.buffered.length && !video.mediaKeys) waited = 0;
    }
    this.#engineFailed("media", "no picture");
  }

  #firstFrame(turn) {
    const { video } = this;
    const seen = () => {
      if (turn !== this.#turn || this.seen.first_turn === turn) return;
      this.seen.first_turn = turn;
      const now = performance.now();
      this.seen.startup_ms = Math.round(now - this.#begun);
      this.seen.page_ms ??= Math.round(now);
      this.classList.add("np-shows");
      this.beacons.tell("first_frame", { ms: this.seen.startup_ms });
      this.#tell("first-frame", { startup_ms: this.seen.startup_ms, page_ms: this.seen.page_ms });
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(seen);
    else video.addEventListener("loadeddata", seen, { once: true });
    // Sound alone has no pictures.
    video.addEventListener("playing", () => { if (!video.videoWidth) seen(); }, { once: true });
  }

  // Of captions that are there, those that the viewer likes.
  #likedText() {
    const kept = memory.get("text");
    const wanted = kept ?? (this.config.captions.show ? this.config.captions.language ?? document.documentElement.lang : "");
    const found = wanted && this.#texts.find((it) => it.language.split("-")[0] === wanted.split("-")[0]);
    if (found && this.#chosen.text < 0) this.#pickText(found.id);
  }

  #rung(it) {
    const before = this.seen.rung;
    this.seen.rung = it;
    if (before && before.height !== it.height) {
      this.seen.rungs += 1;
      this.beacons.tell("rung", { height: it.height, kbps: it.kbps, position_ms: this.#position() });
    }
    this.#tell("rung", it);
    this.fillMenus();
  }

  async #engineFailed(code, detail = "") {
    const { playback } = this;
    this.seen.details.push(detail);
    this.beacons?.tell("error", { code, fatal: code !== "denied", position_ms: this.#position() });
    this.seen.errors.push(code);
    // A token that opens nothing: perhaps another one does; where not, `streaming` says why.
    if (code === "denied") {
      const renewed = await playback.renew().then(() => true, (trouble) => trouble.code === "network");
      if (renewed) this.restart();
      return;
    }
    // What one engine cannot show, the other one perhaps can.
    if (code === "media" && !this.#fallen && !this.getAttribute("engine") && this.seen.engine !== "native") {
      this.#fallen = true;
      const at = this.#position() / 1000;
      const other = this.seen.engine === "hls" ? "dash" : "hls";
      await this.engine.close();
      return this.#load(other, at, this.#turn).then(() => this.play(true), () => this.#fail(code));
    }
    // Under a key that does not fit, pictures look broken. Another licence is asked for once.
    const last = code === "media" && playback?.licence ? "licence" : code;
    if (code === "licence" && !this.#asked) {
      this.#asked = true;
      return this.restart();
    }
    this.#fail(last);
  }

  async #fail(code) {
    const turn = this.#turn;
    this.seen.trouble = code;
    if (!this.seen.errors.includes(code)) this.seen.errors.push(code);
    this.#tell("error", { code });
    this.controls.show(code);
    // A place that nobody plays at is somebody else's.
    if (code !== "network") await this.#stop();
    const { wait: pause } = troubleOf(code);
    if (!pause) return;
    await wait(pause);
    if (turn === this.#turn && this.isConnected) this.restart();
  }

  // `streaming` has ended it, for a reason.
  #ended(reason) {
    // A page that was left before it had begun takes its place late, when nobody is there any more.
    if (reason === "replaced" && !this.#retaken && performance.now() - this.#begun < RETAKEN_MS) {
      this.#retaken = true;
      return this.restart();
    }
    // A laptop that slept, another plan: nothing that the viewer has to do anything about.
    if (["stale", "plan", "closed", "over", "protection"].includes(reason)) return this.restart();
    this.#stop().then(() => this.#fail(reason));
  }

  async #stop(leaving = false) {
    const { engine, beacons, playback } = this;
    beacons?.close(leaving);
    playback?.close(leaving, this.#placed);
    Object.assign(this, { beacons: null, playback: null });
    // A page that is kept aside closes it when it comes back.
    if (leaving) return;
    this.engine = null;
    await engine?.close().catch(() => {});
  }

  #state() {
    if (this.video.ended) return "ended";
    if (this.video.paused) return "paused";
    return this.#stalled ? "buffering" : "playing";
  }

  // Until it plays, it is where it will begin.
  #position() {
    return Math.round((this.#placed ? this.video.currentTime : this.#start) * 1000);
  }

  #sample() {
    const { video, engine } = this;
    const quality = video.getVideoPlaybackQuality?.() ?? { totalVideoFrames: 0, droppedVideoFrames: 0 };
    const ahead = [...Array(video.buffered.length).keys()].filter((i) => video.buffered.start(i) <= video.currentTime)
      .map((i) => video.buffered.end(i) - video.currentTime).filter((it) => it > 0);
    const throughput = engine?.throughput ?? 0;
    if (throughput) memory.set("kbps", String(throughput));
    return {
      played: this.#played, position: this.#position(), frames: quality.totalVideoFrames, dropped: quality.droppedVideoFrames,
      cmcd: {
        br: this.seen.rung?.kbps ?? 0, bl: Math.round((ahead[0] ?? 0) * 1000), bs: Boolean(this.#stalled), mtp: throughput,
        tb: this.#rungs[0]?.kbps ?? 0, pr: video.playbackRate, sf: this.seen.engine === "dash" ? "d" : "h", st: "v",
      },
    };
  }

  // What the picture does by itself.
  #watch() {
    const { video } = this;
    const on = (target, name, act) => {
      target.addEventListener(name, act);
      this.#cleanups.push(() => target.removeEventListener(name, act));
    };
    on(video, "play", () => { this.seen.began = true; });
    on(video, "playing", () => { this.#placed = true; });
    on(video, "seeking", () => { this.#seeking = true; this.#stalled = 0; this.#at = null; });
    on(video, "seeked", () => { this.#seeking = false; this.#placed ||= this.seen.first_turn === this.#turn; });
    on(video, "waiting", () => {
      if (!this.#seeking && this.seen.first_turn === this.#turn && !video.ended) this.#stalled ||= performance.now();
    });
    // Soon after somebody stops, so that the page they go on to knows of it.
    for (const name of ["pause", "seeked"]) on(video, name, () => this.#soon());
    for (const name of ["playing", "timeupdate", "pause"]) on(video, name, () => this.#moves());
    on(video, "volumechange", () => { memory.set("volume", String(video.volume)); memory.set("muted", video.muted ? "yes" : "no"); });
    on(video, "durationchange", () => { if (this.config) this.controls.marks(this.config.cues, this.duration); });
    on(video, "ended", () => { this.#tell("end"); this.playback?.renew().catch(() => {}); this.#offer(); });
    on(window, "pagehide", () => this.#stop(true));
    on(window, "pageshow", ({ persisted }) => { if (persisted) this.restart(); });
    on(window, "online", () => { if (this.seen.trouble === "network") this.restart(); });
    on(document, "visibilitychange", () => { if (!document.hidden) this.playback?.fresh(); });
  }

  #moves() {
    const { video } = this;
    const now = performance.now();
    // How much was played is the film's time, not the clock's: speed counts.
    const at = video.currentTime;
    const step = this.#at === null ? 0 : at - this.#at;
    if (step > 0 && step < 5) this.#played += step * 1000;
    this.#at = at;
    if (this.#stalled && (step > 0 || video.paused)) {
      const ms = Math.round(now - this.#stalled);
      this.#stalled = 0;
      if (ms >= STALL_MS && !video.paused) {
        this.seen.stalls += 1;
        this.seen.stall_ms += ms;
        this.beacons?.tell("stall", { ms, position_ms: this.#position() });
        this.#tell("stall", { ms });
      }
    }
    const credits = this.config?.cues.find((it) => it.kind === "credits");
    if (credits && !video.paused && at * 1000 >= credits.start_ms) this.#offer();
  }

  #soon() {
    clearTimeout(this.#remembering);
    if (!this.video.paused || !this.#placed) return;
    this.#remembering = setTimeout(() => this.playback?.remember(), REMEMBER_MS);
  }

  #tell(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(`nexus-${name}`, { detail, bubbles: true }));
  }

  // What comes next is offered once: at the credits, or at the end.
  async #offer() {
    const { config, controls, video } = this;
    if (!config?.next || this.#offered) return;
    this.#offered = true;
    let stays = false;
    const stay = () => { stays = true; controls.after.hidden = true; this.video.focus(); };
    const count = controls.offer(config.next, config.autoplay_next ? NEXT_SECONDS : 0, () => this.goNext(), stay);
    for (let rest = NEXT_SECONDS; config.autoplay_next && rest > 0; rest -= 1) {
      count(rest);
      await wait(1000);
      if (stays || !this.isConnected) return;
      if (video.paused && !video.ended) rest += 1;
    }
    if (config.autoplay_next) this.goNext();
  }

  goNext() {
    const next = this.config?.next;
    if (next) location.assign((this.getAttribute("watch") ?? "/watch/") + next.id);
  }

  leave() {
    const back = this.getAttribute("back");
    if (back) location.assign(back);
  }

  // `alone`: nobody has pressed anything; a browser may want that for sound.
  async play(alone = false) {
    const { video } = this;
    if (alone && this.hasAttribute("quiet")) return this.controls.update();
    try {
      await video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || !alone) return this.controls.update();
      video.muted = true;
      await video.play().then(() => { this.controls.loud.hidden = false; }, () => {});
    }
    this.controls.update();
  }

  toggle(byKey = false) {
    const { video } = this;
    if (!this.engine) return;
    const plays = video.paused;
    if (plays) this.play();
    else video.pause();
    if (byKey) this.controls.flash(plays ? "play" : "pause", plays ? "Playing" : "Paused");
  }

  seek(seconds) {
    this.video.currentTime = clamp(seconds, 0, Math.max(0, this.duration - 0.1));
    this.controls.progress();
  }

  jump(seconds) {
    this.seek(this.video.currentTime + seconds);
    const words = `${Math.abs(seconds)} seconds ${seconds < 0 ? "back" : "forward"}`;
    this.controls.flash(seconds < 0 ? "rewind" : "forward", words);
  }

  loudness(share, byKey = false) {
    this.video.volume = clamp(share, 0, 1);
    this.video.muted = this.video.volume === 0;
    if (byKey) this.controls.flash(this.video.muted ? "muted" : "sound", `Volume ${Math.round(this.video.volume * 100)} percent`);
  }

  mute(muted = !this.video.muted, byKey = false) {
    this.video.muted = muted;
    if (!muted && this.video.volume === 0) this.video.volume = 0.5;
    if (byKey) this.controls.flash(muted ? "muted" : "sound", muted ? "Sound is off" : "Sound is on");
  }

  faster(steps) {
    const at = SPEEDS.indexOf(this.video.playbackRate);
    this.video.playbackRate = SPEEDS[clamp((at < 0 ? 2 : at) + steps, 0, SPEEDS.length - 1)];
    this.controls.flash("speed", `Speed ${this.video.playbackRate}`);
    this.fillMenus();
  }

  fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.requestFullscreen) this.requestFullscreen().catch(() => {});
    else this.video.webkitEnterFullscreen?.();
  }

  float() {
    if (document.pictureInPictureElement) document.exitPictureInPicture();
    else this.video.requestPictureInPicture?.().catch(() => {});
  }

  // What may be skipped at a second of the film.
  cueAt(seconds) {
    const ms = seconds * 1000;
    // Nobody skips the last moment of something.
    return this.config?.cues.find((it) => it.kind !== "credits" && ms >= it.start_ms && ms < it.end_ms - 500);
  }

  skipCue() {
    const cue = this.cueAt(this.video.currentTime);
    if (cue) this.seek(cue.end_ms / 1000);
    this.video.focus();
  }

  // Sizes that there are, and choosing one by its lines; 0 leaves it to the line.
  get heights() {
    return this.#rungs.map((it) => it.height);
  }

  pickHeight(height) {
    this.#pickRung(this.#rungs.find((it) => it.height === height)?.id ?? -1);
  }

  #pickRung(id) {
    this.#chosen.rung = id;
    this.engine?.pick(id);
    this.fillMenus();
  }

  #pickText(id) {
    this.#chosen.text = id;
    memory.set("text", this.#texts.find((it) => it.id === id)?.language ?? "");
    this.engine?.text(id);
    this.fillMenus();
  }

  toggleText() {
    if (!this.#texts.length) return this.controls.flash("captions", "There are no subtitles");
    const on = this.#chosen.text < 0;
    this.#pickText(on ? this.#texts[0].id : -1);
    this.controls.flash("captions", on ? `Subtitles: ${this.#texts[0].label}` : "Subtitles are off");
  }

  fillMenus() {
    const { captions, speed, quality } = this.controls;
    const now = this.seen.rung?.height;
    const auto = { id: -1, label: "Automatic", note: this.#chosen.rung < 0 && now ? `${now}p` : "" };
    const rungs = this.#rungs.filter((it) => it.height).map((it) => ({ id: it.id, label: `${it.height}p`, note: it.height >= 2160 ? "4K" : it.height >= 720 ? "HD" : "" }));
    quality.fill([{ label: "Quality", items: [auto, ...rungs], chosen: this.#chosen.rung, choose: (id) => this.#pickRung(id) }]);
    speed.fill([{
      label: "Speed", items: SPEEDS.map((it) => ({ id: it, label: it === 1 ? "Normal" : `${it}×` })), chosen: this.video.playbackRate,
      choose: (it) => { this.video.playbackRate = it; this.fillMenus(); },
    }]);
    const texts = [{ id: -1, label: "Off" }, ...this.#texts];
    captions.fill([
      { label: "Subtitles", items: texts, chosen: this.#chosen.text, choose: (id) => this.#pickText(id) },
      { label: "Audio", items: this.#voices, chosen: this.#chosen.voice, choose: (id) => { this.#chosen.voice = id; this.engine?.voice(id); } },
    ]);
  }

  disconnectedCallback() {
    this.#turn += 1;
    this.#stop();
    this.#cleanups.splice(0).forEach((act) => act());
    this.controls = null;
  }
}

customElements.define("nexus-player", NexusPlayer);

export { NexusPlayer };
