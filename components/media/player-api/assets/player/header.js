// The Nexus player: an element that plays a title or an asset of this installation.
//
//   <link rel="stylesheet" href="/api/player-api/v1/sdk/nexus-player.css">
//   <script type="module" src="/api/player-api/v1/sdk/nexus-player.js"></script>
//   <nexus-player asset="…" title-id="…" heading="The Sea" back="/tv"></nexus-player>
//
// Attributes: `asset`, `title-id` (cues and what comes next), `profile` (one of the household),
// `engine` (`hls`, `dash`), `device` (the name of a device profile), `heading`, `back` (where the
// arrow leads), `watch` (what comes before the id of the next title), `quiet` (begins when asked).
// The element tells of itself by events: `nexus-first-frame`, `nexus-rung`, `nexus-stall`,
// `nexus-error`, `nexus-end`; and by `element.seen`, what was seen so far.
//
// Joined of the files beside this one, in the order that `sdk.rs` says; they share this scope.

const ENGINES = { hls: "{{hls}}", dash: "{{shaka}}" };
const STREAMING = "/api/streaming/v1";
const CONFIG = "/api/player-api/v1/config";

const SKIP_SECONDS = 10;
const STEP_SECONDS = 5;
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

// What the browser remembers for this player; without storage it forgets.
const memory = {
  get(name) {
    try { return localStorage.getItem(`nexus-player-${name}`); } catch { return null; }
  },
  set(name, value) {
    try { localStorage.setItem(`nexus-player-${name}`, value); } catch { /* It forgets. */ }
  },
};

// Version 4; `crypto.randomUUID` is there over TLS only.
const uuid = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (it) => it.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

