// The two engines under one face, and the browser's own where it has no Media Source Extensions.
// `told` hears of them: `rungs(list)`, `rung(it)`, `texts(list)`, `voices(list)`, and
// `failed(code, detail)`, where the detail is the engine's own word for it.
// A rung is `{id, height, kbps}`; what is not known is 0.

const scripts = new Map();
const script = (url) => {
  if (!scripts.has(url)) {
    scripts.set(url, new Promise((resolve, reject) => {
      const gone = () => { scripts.delete(url); reject(new Trouble("network")); };
      document.head.append(make("script", { src: url, onload: resolve, onerror: gone }));
    }));
  }
  return scripts.get(url);
};

// One rung for each height: the best of those that a viewer would read as the same.
const byHeight = (rungs) => {
  const best = new Map();
  for (const it of rungs) {
    if (!(best.get(it.height)?.kbps >= it.kbps)) best.set(it.height, it);
  }
  return [...best.values()].sort((a, b) => b.height - a.height);
};

// The first piece of the film decides how soon there is a picture: it is of a size that a line loads
// in half a second, and the next ones of what the line can carry. Who is here for the first time is
// taken to have 5 Mb/s; who had a fast line the last time may have another one today.
const FIRST_SECONDS = 0.5;
const PIECE_SECONDS = 4;
const FIRST_KBPS = 5000;
const lineKbps = () => Number(memory.get("kbps")) || FIRST_KBPS;
const FIRST_KBPS_MAX = 1500;
const firstKbps = () => Math.min((lineKbps() * FIRST_SECONDS) / PIECE_SECONDS, FIRST_KBPS_MAX);

// How often a picture that cannot be decoded is tried again from the next one.
const RECOVERIES_MAX = 2;
const KEYS_GONE_MS = 3000;

class HlsEngine {
  static word = "hls";
  #recoveries = 0;

  constructor(video, playback, config, told) {
    Object.assign(this, { video, playback, config, told });
  }

  async load(start) {
    await script(ENGINES.hls);
    const { Hls } = window;
    if (!Hls.isSupported()) throw new Trouble("unsupported");
    const { playback, config } = this;
    const hls = new Hls({
      startPosition: start > 0 ? start : -1,
      maxBufferLength: config.quality.buffer_seconds,
      backBufferLength: 60,
      capLevelToPlayerSize: false,
      // Not before its key is there, though.
      startFragPrefetch: !playback.said.protection,
      abrEwmaDefaultEstimate: lineKbps() * 1000,
      // A promise is waited for: the newest token, on every request.
      xhrSetup: async (xhr, url) => {
        await playback.fresh();
        xhr.open("GET", playback.address(url), true);
      },
      cmcd: { sessionId: playback.said.id, contentId: playback.said.asset_id, useHeaders: false, includeKeys: config.cmcd.keys },
      ...this.#protection(),
    });
    this.hls = hls;
    this.#listen(hls, Hls);
    hls.attachMedia(this.video);
    hls.loadSource(playback.said.hls);
  }

  #protection() {
    if (!this.playback.said.protection) return {};
    return {
      emeEnabled: true,
      drmSystems: { "org.w3.clearkey": { licenseUrl: this.playback.licence } },
      licenseXhrSetup: async (xhr, _url, _context, challenge) => {
        await this.playback.fresh();
        xhr.open("POST", this.playback.licence, true);
        return challenge;
      },
    };
  }

  #listen(hls, { Events, ErrorTypes, ErrorDetails }) {
    const rungOf = (level, id) => ({ id, height: level.height ?? 0, kbps: Math.round(level.bitrate / 1000) });
    hls.on(Events.MANIFEST_PARSED, () => {
      const { height_max: height, kbps_max: kbps } = this.config.quality;
      const fits = (it) => (!height || it.height <= height) && (!kbps || it.kbps <= kbps);
      const rungs = hls.levels.map(rungOf);
      // Where nothing is small enough, the smallest.
      const most = Math.max(0, rungs.findLastIndex(fits));
      hls.autoLevelCapping = most;
      hls.startLevel = Math.max(0, rungs.findLastIndex((it) => it.kbps <= firstKbps()));
      this.told.rungs(byHeight(rungs.filter((it, at) => fits(it) || at === most)));
    });
    hls.on(Events.LEVEL_SWITCHED, (_, { level }) => this.told.rung(rungOf(hls.levels[level], level)));
    hls.on(Events.SUBTITLE_TRACKS_UPDATED, () => {
      this.told.texts(hls.subtitleTracks.map((it, id) => ({ id, language: it.lang ?? "", label: it.name })));
    });
    hls.on(Events.AUDIO_TRACKS_UPDATED, () => {
      this.told.voices(hls.audioTracks.map((it, id) => ({ id, language: it.lang ?? "", label: it.name })));
    });
    hls.on(Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === ErrorTypes.KEY_SYSTEM_ERROR) return this.told.failed("licence", data.details);
      if (data.type === ErrorTypes.NETWORK_ERROR) {
        const denied = data.response?.code === 403;
        return this.told.failed(denied ? "denied" : "network", `${data.details} ${data.response?.code ?? ""}`);
      }
      const recovers = data.type === ErrorTypes.MEDIA_ERROR && this.#recoveries < RECOVERIES_MAX
        && data.details !== ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
      if (!recovers) return this.told.failed("media", data.details);
      this.#recoveries += 1;
      hls.recoverMediaError();
    });
  }

  pick(id) {
    // The next one that is loaded, without emptying what plays until it is there.
    this.hls.nextLevel = id;
  }

  text(id) {
    this.hls.subtitleDisplay = id >= 0;
    this.hls.subtitleTrack = id;
  }

  voice(id) {
    this.hls.audioTrack = id;
  }

  again() {
    this.hls.startLoad();
  }

  get throughput() {
    return Math.round((this.hls?.bandwidthEstimate || 0) / 1000);
  }

  async close() {
    this.hls?.destroy();
    // It takes its keys out of the element a moment later, and would take those of the next one.
    const end = performance.now() + KEYS_GONE_MS;
    while (this.playback.said.protection && this.video.mediaKeys && performance.now() < end) await wait(50);
  }
}

class DashEngine {
  static word = "dash";

  constructor(video, playback, config, told) {
    Object.assign(this, { video, playback, config, told });
  }

  async load(start) {
    await script(ENGINES.dash);
    const { shaka } = window;
    shaka.polyfill.installAll();
    if (!shaka.Player.isBrowserSupported()) throw new Trouble("unsupported");
    const player = new shaka.Player();
    this.player = player;
    await player.attach(this.video);
    player.configure(this.#wishes());
    this.#requests(player.getNetworkingEngine(), shaka);
    player.addEventListener("error", ({ detail }) => this.#failed(detail));
    player.addEventListener("adaptation", () => this.#rung());
    player.addEventListener("variantchanged", () => this.#rung());
    player.addEventListener("trackschanged", () => this.#tracks());
    try {
      await player.load(new URL(this.playback.said.dash, location.href).href, start > 0 ? start : null);
    } catch (error) {
      if (error.code !== shaka.util.Error.Code.LOAD_INTERRUPTED) this.#failed(error);
      return;
    }
    this.#tracks();
    this.#rung();
  }

  #wishes() {
    const { quality } = this.config;
    const { id, asset_id } = this.playback.said;
    const licence = this.playback.licence;
    return {
      streaming: { bufferingGoal: quality.buffer_seconds, bufferBehind: 60 },
      abr: {
        restrictions: {
          ...(quality.height_max ? { maxHeight: quality.height_max } : {}),
          ...(quality.kbps_max ? { maxBandwidth: quality.kbps_max * 1000 } : {}),
        },
        // Of which it takes 85 hundredths, until it has measured; what browsers say of the line is the
        // line's best, and no first piece is to be chosen by that.
        useNetworkInformation: false,
        // The first piece is not given up for a better one: that would come later.
        minTimeToSwitch: PIECE_SECONDS / 2,
        defaultBandwidthEstimate: (firstKbps() * 1000) / 0.85,
      },
      cmcd: { enabled: true, useHeaders: false, sessionId: id, contentId: asset_id, includeKeys: this.config.cmcd.keys },
      ...(licence ? { drm: { servers: { "org.w3.clearkey": licence } } } : {}),
    };
  }

  #requests(net, shaka) {
    const { LICENSE } = shaka.net.NetworkingEngine.RequestType;
    net.registerRequestFilter(async (kind, request) => {
      await this.playback.fresh();
      request.uris = kind === LICENSE ? [this.playback.licence] : request.uris.map((it) => this.playback.address(it));
    });
  }

  #failed(error) {
    const { Category, Severity, Code } = window.shaka.util.Error;
    if (error.severity !== Severity.CRITICAL) return;
    const licence = error.category === Category.DRM || (error.code === Code.VIDEO_ERROR && this.playback.licence);
    const detail = `shaka ${error.code}`;
    if (licence) return this.told.failed("licence", detail);
    if (error.category === Category.NETWORK) {
      return this.told.failed(error.data?.[1] === 403 ? "denied" : "network", detail);
    }
    this.told.failed("media", detail);
  }

  #tracks() {
    const variants = this.player.getVariantTracks();
    const rungs = variants.map((it) => ({ id: it.id, height: it.height ?? 0, kbps: Math.round(it.bandwidth / 1000) }));
    this.told.rungs(byHeight(rungs));
    const label = (it) => it.label || languageName(it.language || "und");
    this.told.texts(this.player.getTextTracks().map((it) => ({ id: it.id, language: it.language, label: label(it) })));
    const voices = this.player.getAudioTracks();
    this.told.voices(voices.map((it, id) => ({ id, language: it.language, label: label(it) })));
  }

  #rung() {
    const active = this.player.getVariantTracks().find((it) => it.active);
    if (active) this.told.rung({ id: active.id, height: active.height ?? 0, kbps: Math.round(active.bandwidth / 1000) });
  }

  pick(id) {
    this.player.configure("abr.enabled", id < 0);
    const track = this.player.getVariantTracks().find((it) => it.id === id);
    if (track) this.player.selectVariantTrack(track, true, 4);
  }

  text(id) {
    this.player.selectTextTrack(this.player.getTextTracks().find((it) => it.id === id) ?? null);
  }

  voice(id) {
    const voice = this.player.getAudioTracks()[id];
    if (voice) this.player.selectAudioTrack(voice);
  }

  again() {
    this.player.retryStreaming();
  }

  get throughput() {
    return Math.round((this.player?.getStats().estimatedBandwidth || 0) / 1000);
  }

  async close() {
    await this.player?.destroy();
  }
}

// The browser plays the playlist by itself: no menus, but a picture.
class NativeEngine {
  static word = "native";
  throughput = 0;

  constructor(video, playback, config, told) {
    Object.assign(this, { video, playback, told });
  }

  async load(start) {
    const { video } = this;
    if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new Trouble("unsupported");
    video.addEventListener("error", () => this.told.failed("media"), { once: true });
    video.src = this.playback.said.hls;
    if (start > 0) video.currentTime = start;
  }

  pick() {}
  text() {}
  voice() {}

  again() {
    this.load(this.video.currentTime);
  }

  async close() {
    this.video.removeAttribute("src");
    this.video.load();
  }
}

const engineOf = (word) => {
  if (!window.MediaSource && !window.ManagedMediaSource) return NativeEngine;
  return word === "dash" ? DashEngine : HlsEngine;
};

