// Somebody who watches, in Chromium: signs in on the way to a title, sees it by both engines, seeks,
// changes its size, goes on where they were, walks through the pages with arrow keys. Every page is
// held against the rules of WCAG 2.2 AA that a program can see, wide and narrow, light and dark.
// With PROTECTED=1: the same title under a key, with its own licence and with somebody else's key.
// With MEASURE=<n>: opens the title's page n times with an empty cache and n times with a full one, by
// each engine; with SHAPED=1 over a line of 10 Mb/s and 80 ms.
// Prints what was measured: one line of JSON. `page_ms` is from opening the page to the first picture,
// `startup_ms` from asking for a playback to it.
//
// NEXUS_URL, NEXUS_EMAIL, NEXUS_PASSWORD, TITLE, SERIES and NEXUS_PICTURES (a folder, or empty) come
// from the environment. The browser is the first argument.

import { Chromium } from "./chromium.mjs";
import { claim, looker, press } from "./sights.mjs";

const { NEXUS_URL: origin, NEXUS_EMAIL, NEXUS_PASSWORD, TITLE, SERIES, NEXUS_PICTURES: pictures } = process.env;
const measured = {};

const see = looker(new URL("./node_modules/axe-core/axe.js", import.meta.url), pictures, { wide: 1440, whole: false });

const PLAYER = "document.querySelector('nexus-player')";
const seen = (page) => page.evaluate(`({ ...${PLAYER}.seen })`);
const at = (page) => page.evaluate(`${PLAYER}.video.currentTime`);

// The browser may want a key before it plays with sound; the film begins without until then.
const begins = async (page) => {
  await page.until("shown a picture", `${PLAYER}?.seen.startup_ms > 0`);
  await page.until("playing", `!${PLAYER}.video.paused && ${PLAYER}.video.currentTime > 0.2`);
};

// Three seconds without standing still. A machine that is busy may need another try.
const plays = async (page, engine) => {
  for (let attempt = 1; ; attempt += 1) {
    const before = (await seen(page)).stalls;
    await page.until("three seconds in", `${PLAYER}.video.currentTime >= 3`);
    const now = await seen(page);
    claim(now.engine === engine, `${engine} was asked for, and ${now.engine} plays`);
    claim(now.errors.length === 0, `errors: ${now.errors}`);
    if (now.stalls === before) return attempt;
    claim(attempt < 5, `${now.stalls} stalls within three seconds, five times`);
    await page.evaluate(`${PLAYER}.seek(0)`);
  }
};

const seeks = async (page) => {
  const length = await page.evaluate(`${PLAYER}.duration`);
  for (let i = 0; i < 10; i += 1) {
    // To and fro, so that nothing is there already.
    const to = length * (i % 2 ? 0.93 - i * 0.07 : 0.05 + i * 0.07);
    await page.evaluate(`${PLAYER}.seek(${to})`);
    await page.until(`at ${to}`, `!${PLAYER}.video.seeking && ${PLAYER}.video.readyState >= 3 && ${PLAYER}.video.currentTime >= ${to - 0.3}`);
    const landed = await at(page);
    claim(landed - to < 8, `sought ${to}, landed at ${landed}`);
  }
};

const changes = async (page) => {
  const heights = await page.evaluate(`${PLAYER}.heights`);
  claim(heights.length >= 2 && heights[0] <= 720, `sizes: ${heights}`);
  for (const height of [heights.at(-1), heights[0]]) {
    await page.evaluate(`${PLAYER}.seek(1); ${PLAYER}.play(); ${PLAYER}.pickHeight(${height})`);
    await page.until(`${height} lines`, `${PLAYER}.seen.rung?.height === ${height} && ${PLAYER}.video.videoHeight === ${height}`);
  }
  return heights;
};

const signIn = async (page, path) => {
  await page.open(origin + path);
  await page.until("asked to sign in", `location.pathname === "/account/sign-in"`);
  await page.type("#email", NEXUS_EMAIL);
  await page.type("#password", NEXUS_PASSWORD);
  await page.pressAndLeave("Sign in");
  await page.until(`back at ${path}`, `location.pathname === ${JSON.stringify(path)}`);
};

const watches = async (page) => {
  await signIn(page, `/watch/${TITLE}`);
  await begins(page);
  const first = await seen(page);
  measured.hls = { startup_ms: first.startup_ms, page_ms: first.page_ms, attempts: await plays(page, "hls") };
  await seeks(page);
  measured.heights = await changes(page);
  await press(page, " ");
  await page.until("paused", `${PLAYER}.video.paused`);
  await page.evaluate(`${PLAYER}.seek(4)`);
  await page.until("at four", `!${PLAYER}.video.seeking`);
  const four = await at(page);
  await press(page, "l");
  await page.until("ten seconds on", `${PLAYER}.video.currentTime >= ${four + 9.9}`);
  await press(page, "j");
  await page.until("ten seconds back", `${PLAYER}.video.currentTime <= ${four + 0.3}`);
  await press(page, "ArrowRight");
  await page.until("five seconds on", `${PLAYER}.video.currentTime >= ${four + 4.7}`);
  const muted = await page.evaluate(`${PLAYER}.video.muted`);
  await press(page, "m");
  await page.until("muted otherwise", `${PLAYER}.video.muted === ${!muted}`);
  await press(page, "5");
  await page.until("in the middle", `Math.abs(${PLAYER}.video.currentTime - ${PLAYER}.duration / 2) < 0.5`);
  // Subtitles come and go.
  const texts = `[...${PLAYER}.video.textTracks].filter((it) => it.mode === "showing" && it.activeCues?.length)`;
  await press(page, "c");
  await page.until("shown subtitles", `${texts}.some((it) => it.activeCues[0].text.includes("tide"))`);
  await press(page, "c");
  await page.until("shown none", `${texts}.length === 0`);
  // A token is replaced while it plays: what is asked for afterwards holds the new one.
  const token = await page.evaluate(`${PLAYER}.playback.renew().then(() => ${PLAYER}.playback.token)`);
  await page.evaluate(`performance.clearResourceTimings(); ${PLAYER}.pickHeight(${measured.heights.at(-1)}); true`);
  const asked = `performance.getEntriesByType("resource").map((it) => it.name).filter((it) => it.includes("/media/") && it.includes(".m4s"))`;
  await page.until("asking with the new token", `${asked}.length > 0 && ${asked}.every((it) => it.includes(${JSON.stringify(token)}))`);
  // Within the intro it can be skipped.
  await page.evaluate(`${PLAYER}.seek(1)`);
  await page.until("offered to skip", `[...document.querySelectorAll(".np-skip")].some((it) => !it.hidden)`);
  await page.press("Skip intro");
  await page.until("after the intro", `${PLAYER}.video.currentTime >= 2.9`);
  const requests = await page.evaluate(`performance.getEntriesByType("resource").map((it) => it.name).filter((it) => it.includes("/media/"))`);
  claim(requests.some((it) => it.includes("CMCD=") && decodeURIComponent(it).includes("sid=")), `no CMCD in ${requests[0]}`);
  // What is over the picture.
  await page.evaluate(`${PLAYER}.controls.bar.dispatchEvent(new PointerEvent("pointermove", { clientX: innerWidth / 2, clientY: 0 }))`);
  await page.until("shown a moment", `!document.querySelector(".np-hint").hidden`);
  await page.until("shown its picture", `getComputedStyle(document.querySelector(".np-picture")).backgroundImage.includes("/images/sprite-")`);
  await see(page, "watch");
  await page.evaluate(`${PLAYER}.controls.quality.toggle()`);
  await see(page, "watch-quality");
  await page.evaluate(`${PLAYER}.seek(8)`);
  await page.until("at eight", `!${PLAYER}.video.seeking`);
};

const comesBack = async (page) => {
  // What the player told last may still be on its way.
  for (let attempt = 1; ; attempt += 1) {
    await page.open(`${origin}/tv`);
    if (await page.evaluate(`document.querySelector("#row-begun") !== null`)) break;
    claim(attempt < 20, "nothing is offered to go on with");
  }
  await see(page, "home");
  await page.open(`${origin}/watch/${TITLE}`);
  await begins(page);
  const there = await at(page);
  claim(there >= 7.5, `it was at 8 s, and goes on at ${there}`);
  measured.again = { startup_ms: (await seen(page)).startup_ms, page_ms: (await seen(page)).page_ms };
};

const byDash = async (page) => {
  await page.open(`${origin}/watch/${TITLE}?engine=dash`);
  await begins(page);
  const first = await seen(page);
  await page.evaluate(`${PLAYER}.seek(0)`);
  await page.until("at the beginning", `!${PLAYER}.video.seeking`);
  measured.dash = { startup_ms: first.startup_ms, page_ms: first.page_ms, attempts: await plays(page, "dash") };
  await seeks(page);
  await changes(page);
};

const walks = async (page) => {
  await page.open(`${origin}/tv`);
  await page.evaluate(`document.querySelector(".lead-words .button")?.focus()`);
  await press(page, "ArrowDown");
  await page.until("in a row", `document.activeElement.matches(".tile")`);
  const [row, tile] = ["shelf", "tile"].map((it) => `document.activeElement.closest(".${it}")`);
  await page.evaluate(`window.row = ${row}; window.tile = ${tile}; true`);
  while (await page.evaluate(`window.row.querySelectorAll(".tile").length < 2`)) {
    await press(page, "ArrowDown");
    await page.evaluate(`window.row = ${row}; window.tile = ${tile}; true`);
  }
  await press(page, "ArrowRight");
  await page.until("one further", `${tile} && ${tile} !== window.tile && ${row} === window.row`);
  await press(page, "ArrowLeft");
  await page.until("back again", `${tile} === window.tile`);
  await page.evaluate("window.before = true");
  await press(page, "Enter");
  await page.until("at a title", `!window.before && /^.(tv.title|watch)/.test(location.pathname)`);
  await page.open(`${origin}/tv/title/${SERIES}`);
  await page.until("shown episodes", `document.querySelectorAll(".episode").length === 2`);
  await see(page, "series");
  await page.open(`${origin}/tv/title/${TITLE}`);
  await see(page, "title");
  await page.open(`${origin}/tv/search?q=sea`);
  await page.until("found", `document.querySelectorAll(".grid .tile").length >= 1`);
  await see(page, "search");
  // One of the household, who is asked for from now on.
  await page.open(`${origin}/tv/profiles`);
  await see(page, "profiles");
  await page.open(`${origin}/tv/profiles/new`);
  await see(page, "profile-new");
  await page.type("#name", "Mia");
  await page.pressAndLeave("Add");
  await page.until("Mia watches", `document.querySelector(".face-link")?.innerText.includes("Mia")`);
  // A series goes on with its first episode, and says what comes after it.
  await page.open(`${origin}/watch/${SERIES}`);
  await page.until("at an episode", `location.pathname !== "/watch/${SERIES}"`);
  await begins(page);
  // Both episodes are the same film here, so that it goes on with the last one; back to the first.
  await page.open(`${origin}/tv/title/${SERIES}`);
  await page.open(await page.evaluate(`document.querySelector(".episode").href`));
  await begins(page);
  await page.evaluate(`${PLAYER}.seek(${PLAYER}.duration - 1)`);
  await page.until("offered the next one", `!document.querySelector(".np-after").hidden`);
  await page.evaluate(`document.querySelector(".np-after .np-second").click()`);
};

// Where the film cannot go on, it says why, and what can be done.
const fails = async (page) => {
  await page.open(`${origin}/watch/preview?asset=01890000-0000-7000-8000-000000000000`);
  await page.until("told why not", `${PLAYER}?.seen.trouble === "not-found"`);
  await see(page, "trouble");
};

// Every key of a licence is another one.
const otherKeys = (text) => {
  const said = JSON.parse(text);
  const k = Buffer.from("somebody else's!").toString("base64url");
  return JSON.stringify({ ...said, keys: said.keys.map((it) => ({ ...it, k })) });
};

const protectedBy = async (page, engine) => {
  await page.open(`${origin}/watch/${TITLE}?engine=${engine}`);
  await begins(page);
  const first = await seen(page);
  await page.evaluate(`${PLAYER}.seek(0)`);
  await plays(page, engine);
  const frames = await page.evaluate(`${PLAYER}.video.getVideoPlaybackQuality().totalVideoFrames`);
  claim(frames > 20, `${frames} pictures with the right key`);
  claim(await page.evaluate(`${PLAYER}.playback.said.protection?.scheme === "cbcs" && ${PLAYER}.video.mediaKeys !== null`), "it is protected");
  return { startup_ms: first.startup_ms, page_ms: first.page_ms };
};

const wrongBy = async (page, engine) => {
  await page.open(`${origin}/watch/${TITLE}?engine=${engine}`);
  await page.until("told that the key does not fit", `${PLAYER}?.seen.trouble === "licence"`, 120_000);
  const { errors, startup_ms } = await seen(page);
  const frames = await page.evaluate(`${PLAYER}.video.getVideoPlaybackQuality().totalVideoFrames`);
  claim(frames === 0 && startup_ms === null, `${frames} pictures with a wrong key, after ${errors}`);
  return errors;
};

const withKeys = async (page) => {
  await signIn(page, `/watch/${TITLE}`);
  // Nothing of this page is on its way any more when the next one begins.
  await begins(page);
  measured.protected = { hls: await protectedBy(page, "hls"), dash: await protectedBy(page, "dash") };
  await page.send("Fetch.enable", { patterns: [{ urlPattern: "*/licences/clearkey*", requestStage: "Response" }] });
  const swap = async ({ sessionId, method, params }) => {
    if (sessionId !== page.session || method !== "Fetch.requestPaused") return;
    const { requestId, responseStatusCode } = params;
    const { body, base64Encoded } = await page.send("Fetch.getResponseBody", { requestId });
    const text = base64Encoded ? Buffer.from(body, "base64").toString() : body;
    const other = Buffer.from(otherKeys(text)).toString("base64");
    await page.send("Fetch.fulfillRequest", {
      requestId, responseCode: responseStatusCode, body: other, responseHeaders: [{ name: "content-type", value: "application/json" }],
    });
  };
  // What is still asked for while the browser closes is nobody's any more.
  page.browser.listen((said) => swap(said).catch(() => {}));
  measured.wrong = { hls: await wrongBy(page, "hls"), dash: await wrongBy(page, "dash") };
};

const measures = async (page, times) => {
  await signIn(page, `/watch/${TITLE}`);
  await begins(page);
  await page.send("Network.enable");
  if (process.env.SHAPED === "1") {
    const bytes = 10_000_000 / 8;
    await page.send("Network.emulateNetworkConditions", { offline: false, latency: 80, downloadThroughput: bytes, uploadThroughput: bytes });
  }
  for (const engine of ["hls", "dash"]) {
    const starts = measured[engine] = { cold: [], warm: [] };
    for (const [kind, list] of Object.entries(starts)) {
      for (let i = 0; i < times; i += 1) {
        await page.open("about:blank#between");
        if (kind === "cold") await page.send("Network.clearBrowserCache");
        await page.open(`${origin}/watch/${TITLE}?engine=${engine}`);
        await page.until("shown a picture", `${PLAYER}?.seen.startup_ms > 0`);
        const { page_ms, startup_ms } = await seen(page);
        list.push({ page_ms, startup_ms });
      }
    }
  }
};

const browser = await Chromium.start(process.argv[2]);
try {
  const page = await browser.page();
  if (Number(process.env.MEASURE) > 0) {
    await measures(page, Number(process.env.MEASURE));
  } else if (process.env.PROTECTED === "1") {
    await withKeys(page);
  } else {
    await watches(page);
    await comesBack(page);
    await byDash(page);
    await walks(page);
    const amiss = page.complaints.filter((text) => !/status of (404|422)/.test(text));
    claim(amiss.length === 0, `the browser complains:\n${amiss.join("\n")}`);
    await fails(page);
  }
  process.stdout.write(`${JSON.stringify(measured)}\n`);
} finally {
  await browser.stop();
}
process.exit(0);
