// What is seen around the picture. Knows the elements and what the viewer does with them; refuses to
// know engines and services: it calls `player`, and is told by it.

const HIDE_MS = 3000;

class Controls {
  #hide = 0;
  #dragging = false;
  #bezel = 0;

  constructor(player) {
    this.player = player;
    const { video } = player;
    this.say = make("p", { class: "np-say", role: "status", "aria-live": "polite" });
    this.spinner = make("div", { class: "np-spinner", "aria-hidden": "true", hidden: true });
    this.bezel = make("div", { class: "np-bezel", "aria-hidden": "true" });
    this.begin = make("button", { type: "button", class: "np-begin", "aria-label": "Play", hidden: true, onclick: () => player.play() }, mark("play"));
    this.skip = make("button", { type: "button", class: "np-chip np-skip", hidden: true, onclick: () => player.skipCue() });
    this.loud = make("button", { type: "button", class: "np-chip np-loud", hidden: true, onclick: () => player.mute(false) }, mark("muted"), make("span", { text: "Sound is off. Turn it on" }));
    this.after = make("div", { class: "np-after", hidden: true });
    this.trouble = make("div", { class: "np-trouble", role: "alert", hidden: true });
    player.append(video, this.spinner, this.bezel, this.#top(), this.begin, this.skip, this.loud, this.after, this.#bottom(), this.trouble, this.say);
    this.#listen(video);
  }

  #top() {
    const back = this.player.getAttribute("back");
    const arrow = back && make("a", { class: "np-button", href: back, "aria-label": "Back", title: "Back" }, mark("back"));
    this.heading = make("p", { class: "np-heading", text: this.player.getAttribute("heading") ?? "" });
    this.topBar = make("div", { class: "np-top" }, arrow, this.heading);
    return this.topBar;
  }

  #bottom() {
    const { player } = this;
    this.playing = button("play", "Play", () => player.toggle());
    this.rewind = button("rewind", `Back ${SKIP_SECONDS} seconds`, () => player.jump(-SKIP_SECONDS), "np-spare");
    this.forward = button("forward", `Forward ${SKIP_SECONDS} seconds`, () => player.jump(SKIP_SECONDS), "np-spare");
    this.next = button("next", "Next", () => player.goNext());
    this.next.hidden = true;
    this.sound = button("sound", "Mute", () => player.mute());
    this.volume = make("input", { type: "range", class: "np-volume", min: "0", max: "100", step: "1", "aria-label": "Volume", oninput: () => player.loudness(Number(this.volume.value) / 100) });
    this.times = make("p", { class: "np-times" });
    this.captions = new Menu("captions", "Audio and subtitles", () => player.fillMenus());
    this.speed = new Menu("speed", "Speed", () => player.fillMenus());
    this.quality = new Menu("quality", "Quality", () => player.fillMenus());
    this.window = button("window", "Picture in picture", () => player.float());
    this.window.hidden = !document.pictureInPictureEnabled;
    this.wide = button("wide", "Full screen", () => player.fill());
    const row = make("div", { class: "np-row" },
      this.playing, this.rewind, this.forward, this.next, this.sound, this.volume, this.times,
      make("span", { class: "np-space" }), this.captions.root, this.speed.root, this.quality.root, this.window, this.wide);
    this.bottomBar = make("div", { class: "np-bottom" }, this.#bar(), row);
    return this.bottomBar;
  }

  #bar() {
    this.loaded = make("div", { class: "np-loaded" });
    this.done = make("div", { class: "np-done" });
    this.cues = make("div", { class: "np-cues" });
    this.picture = make("div", { class: "np-picture" });
    this.moment = make("p", { class: "np-moment" });
    this.hint = make("div", { class: "np-hint", "aria-hidden": "true", hidden: true }, this.picture, this.moment);
    this.bar = make("div", {
      class: "np-bar", role: "slider", tabindex: "0", "aria-label": "Position", "aria-valuemin": "0",
      "aria-valuemax": "0", "aria-valuenow": "0", "aria-valuetext": "0 seconds",
    }, make("div", { class: "np-track" }, this.loaded, this.cues, this.done), this.hint);
    const second = (event) => {
      const { left, width } = this.bar.getBoundingClientRect();
      return clamp((event.clientX - left) / width, 0, 1) * this.player.duration;
    };
    this.bar.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.#dragging = true;
      this.bar.setPointerCapture(event.pointerId);
      this.#preview(second(event));
    });
    this.bar.addEventListener("pointermove", (event) => this.#preview(second(event)));
    this.bar.addEventListener("pointerup", (event) => {
      if (this.#dragging) this.player.seek(second(event));
      this.#dragging = false;
      if (event.pointerType !== "mouse") this.hint.hidden = true;
    });
    this.bar.addEventListener("pointercancel", () => { this.#dragging = false; this.hint.hidden = true; });
    this.bar.addEventListener("pointerleave", () => { this.hint.hidden = !this.#dragging; });
    return this.bar;
  }

  // What would be there: its picture and its time, above the bar.
  #preview(second) {
    const { duration, storyboard } = this.player;
    if (!duration) return;
    this.hint.hidden = false;
    this.picture.hidden = !storyboard?.show(this.picture, second);
    this.moment.textContent = clock(second);
    const { width } = this.bar.getBoundingClientRect();
    const half = this.hint.offsetWidth / 2;
    this.hint.style.left = `${clamp((second / duration) * width, half, Math.max(half, width - half))}px`;
    if (this.#dragging) this.done.style.width = `${(second / duration) * 100}%`;
  }

  #listen(video) {
    const { player } = this;
    const on = (names, act) => names.split(" ").forEach((name) => video.addEventListener(name, act));
    on("play pause playing ended", () => this.update());
    on("timeupdate durationchange progress seeked loadedmetadata", () => this.progress());
    on("volumechange", () => this.update());
    on("waiting seeking", () => { this.spinner.hidden = false; });
    on("playing canplay seeked pause", () => { this.spinner.hidden = true; });
    document.addEventListener("fullscreenchange", () => this.update());
    player.addEventListener("pointermove", () => this.wake());
    player.addEventListener("focusin", () => this.wake());
    player.addEventListener("keydown", () => this.wake());
    let last = 0;
    video.addEventListener("click", (event) => {
      // A finger shows the controls first; twice at a side skips.
      const touch = event.pointerType === "touch";
      const twice = event.timeStamp - last < 300;
      last = event.timeStamp;
      if (touch && twice) return player.jump(event.offsetX < video.clientWidth / 2 ? -SKIP_SECONDS : SKIP_SECONDS);
      if (touch && player.classList.contains("np-quiet")) return this.wake();
      player.toggle();
    });
    video.addEventListener("dblclick", (event) => { if (event.pointerType !== "touch") player.fill(); });
    this.wake();
  }

  // Shows the controls, and hides them when nothing happens for a while.
  wake() {
    this.player.classList.remove("np-quiet");
    clearTimeout(this.#hide);
    this.#hide = setTimeout(() => {
      const busy = this.#dragging || [this.captions, this.speed, this.quality].some((it) => it.open)
        || !this.trouble.hidden || this.player.querySelector(":focus-visible");
      if (busy) return this.wake();
      if (!this.player.video.paused) this.player.classList.add("np-quiet");
    }, HIDE_MS);
  }

  update() {
    const { video } = this.player;
    const over = video.ended;
    redraw(this.playing, over ? "again" : video.paused ? "play" : "pause", over ? "Play again" : video.paused ? "Play" : "Pause");
    const muted = video.muted || video.volume === 0;
    redraw(this.sound, muted ? "muted" : "sound", muted ? "Turn sound on" : "Mute");
    this.volume.value = String(Math.round((muted ? 0 : video.volume) * 100));
    this.volume.style.setProperty("--np-share", `${this.volume.value}%`);
    if (!muted) this.loud.hidden = true;
    const full = Boolean(document.fullscreenElement);
    redraw(this.wide, full ? "small" : "wide", full ? "Leave full screen" : "Full screen");
    this.begin.hidden = !(video.paused && !this.player.seen.began && video.readyState >= 2);
    this.progress();
    this.wake();
  }

  progress() {
    const { video, duration } = this.player;
    if (!duration) return;
    const { currentTime: at, buffered } = video;
    if (!this.#dragging) this.done.style.width = `${(at / duration) * 100}%`;
    let end = 0;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= at + 0.5) end = Math.max(end, buffered.end(i));
    }
    this.loaded.style.width = `${Math.min(100, (end / duration) * 100)}%`;
    this.times.textContent = `${clock(at)} / ${clock(duration)}`;
    this.bar.setAttribute("aria-valuemax", String(Math.floor(duration)));
    this.bar.setAttribute("aria-valuenow", String(Math.floor(at)));
    this.bar.setAttribute("aria-valuetext", `${spokenTime(at)} of ${spokenTime(duration)}`);
    this.#cue(at);
  }

  // Where something may be skipped.
  #cue(at) {
    const cue = this.player.cueAt(at);
    this.skip.hidden = !cue;
    if (cue) this.skip.textContent = cue.kind === "recap" ? "Skip recap" : "Skip intro";
  }

  // Marks on the bar.
  marks(cues, duration) {
    this.cues.replaceChildren(...cues.map((cue) => {
      const it = make("span", { class: `np-cue np-${cue.kind}` });
      it.style.left = `${(cue.start_ms / 10 / duration)}%`;
      it.style.width = `${((cue.end_ms - cue.start_ms) / 10 / duration)}%`;
      return it;
    }));
  }

  // A large sign in the middle, for what was done by a key.
  flash(name, words) {
    this.bezel.replaceChildren(mark(name));
    this.bezel.classList.remove("np-shown");
    cancelAnimationFrame(this.#bezel);
    this.#bezel = requestAnimationFrame(() => this.bezel.classList.add("np-shown"));
    if (words) this.say.textContent = words;
  }

  // Why there is no picture, and what can be done about it.
  show(code) {
    const { title, words, way, label } = troubleOf(code);
    const { player } = this;
    const detail = player.seen.details.at(-1);
    const back = player.getAttribute("back") ?? "/tv";
    const here = encodeURIComponent(location.pathname + location.search);
    const ways = {
      "again": make("button", { type: "button", class: "np-way", text: label ?? "Try again", onclick: () => player.restart() }),
      "sign-in": make("a", { class: "np-way", href: `/account/sign-in?return_to=${here}`, text: "Sign in" }),
      "leave": make("a", { class: "np-way", href: back, text: "Back" }),
    };
    const other = way === "leave" ? null : make("a", { class: "np-way np-second", href: back, text: "Back" });
    this.trouble.replaceChildren(make("div", { class: "np-trouble-inside" }, mark("warning"),
      make("h2", { text: title }), make("p", { text: words }), make("p", { class: "np-ways" }, ways[way], other),
      detail && make("p", { class: "np-detail", text: `For support: ${detail}` })));
    this.trouble.dataset.code = code;
    this.trouble.hidden = false;
    this.spinner.hidden = true;
    this.begin.hidden = true;
    this.wake();
  }

  calm() {
    this.trouble.hidden = true;
  }

  // What comes next, with a while to say no.
  offer(next, seconds, go, stay) {
    const number = next.season && next.number ? `Season ${next.season}, episode ${next.number}` : "Next";
    const left = make("span", { text: seconds ? ` in ${seconds}` : "" });
    this.after.replaceChildren(
      make("p", { class: "np-after-number", text: number }), make("p", { class: "np-after-name", text: next.name }),
      make("p", { class: "np-ways" },
        make("button", { type: "button", class: "np-way", onclick: go }, make("span", { text: "Next episode" }), left),
        make("button", { type: "button", class: "np-way np-second", text: "Stay here", onclick: stay })));
    this.after.hidden = false;
    return (rest) => { left.textContent = ` in ${rest}`; };
  }
}

