// A creator with a real browser: registers, uploads a film over a line that breaks, pauses, loads
// the page again and goes on, watches it being processed, makes a title of it and publishes it. On
// the way the studio's pages are looked at in four sights. The test that has started this reads
// the mail and gives the role: a line of JSON in each direction.

import { statSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { Chromium } from "./chromium.mjs";
import { Line } from "./line.mjs";
import { claim, looker } from "./sights.mjs";

const [program, origin, axeFile, pictures, sea, broken, hostPort] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const email = "agnes@example.org";
const password = "a sentence that nobody else has written";
// Processing takes as long as the machine is busy with others.
const PROCESSED_MS = 240_000;
const SECONDS_OF_UPLOAD = 12;

const ask = async (question) => {
  process.stdout.write(`${JSON.stringify(question)}\n`);
  return JSON.parse((await answers.next()).value);
};

const see = looker(axeFile, pictures);

const open = async (page, path, name) => {
  await page.open(origin + path);
  if (name) await see(page, name);
};

const picture = async (page, name) => {
  if (!pictures) return;
  const shot = await page.send("Page.captureScreenshot", { captureBeyondViewport: true });
  writeFileSync(join(pictures, `${name}.png`), Buffer.from(shot.data, "base64"));
};

// Chooses files as a person does in the browser's own window.
const choose = async (page, selector, files) => {
  const { root } = await page.send("DOM.getDocument");
  const { nodeId } = await page.send("DOM.querySelector", { nodeId: root.nodeId, selector });
  await page.send("DOM.setFileInputFiles", { files, nodeId });
};

const register = async (page) => {
  await open(page, "/account/register");
  await page.type("#display_name", "Agnès Varda");
  await page.type("#email", email);
  await page.type("#password", password);
  await page.pressAndLeave("Create account");
  await page.open(await ask({ mail: email }));
  await page.pressAndLeave("Confirm my address");
  await page.until("at the account", `location.pathname === "/account"`);
  await open(page, "/creator", "studio-closed");
  await ask({ creator: email });
  // A role is known everywhere in less than a second.
  const opens = `fetch("/creator/upload").then((it) => it.text()).then((it) => it.includes("data-drop"))`;
  await page.until("let in", opens);
  await open(page, "/creator", "studio-empty");
};

const first = `document.querySelector(".queue > li")`;
const share = `(${first}?.querySelector("progress").value ?? 0)`;

const upload = async (page, line) => {
  await open(page, "/creator/upload", "upload");
  await page.until("ready for files", `document.querySelector("[data-ready]")`);
  line.slow(statSync(sea).size / SECONDS_OF_UPLOAD);
  await choose(page, "#files", [sea]);
  await page.until("sending", `${share} > 0.1`);
  line.cut();
  await page.until("waiting for the line", `${first}.dataset.now === "retrying"`);
  await see(page, "upload-broken-line");
  const here = await page.evaluate(share);
  line.mend();
  await page.until("going on by itself", `${first}.dataset.now === "sending" && ${share} > ${here}`);
  await page.press("Pause");
  await page.until("paused", `${first}.dataset.now === "paused"`);
  await see(page, "upload-paused");
  // Another visit: the browser has forgotten the file, but not where it was going.
  await page.open(`${origin}/creator/upload`);
  await page.until("reminded", `document.querySelector("[data-unfinished-list] li")`);
  const words = await page.evaluate(`document.querySelector("[data-unfinished]").innerText`);
  const safe = Number(/(\d+) % of/.exec(words)?.[1]);
  claim(safe > 0 && safe < 100, `an upload half way is remembered: ${words}`);
  await see(page, "upload-unfinished");
  await choose(page, "#files", [sea, broken]);
  await page.until("going on where it stopped", `${share} >= ${safe / 100}`);
  line.slow(Infinity);
  await page.until("open to look at", `${first}.querySelector("[data-open]:not([hidden])")`);
  await see(page, "upload-done");
};

// A picture in a new size is made when it is asked for, and a browser asks once.
const made = (page, selector) => page.until("made the pictures", `Promise.all(
  [...document.querySelectorAll("${selector}")].map((it) => fetch(it.src).then(({ status }) => status)),
).then((all) => all.length > 0 && all.every((status) => status === 200))`, PROCESSED_MS);

const film = async (page) => {
  await page.evaluate(`${first}.querySelector("[data-open]").click()`);
  await page.until("at the film", `location.pathname.startsWith("/creator/videos/")`);
  await page.until("shown its steps", `document.querySelectorAll("[data-step]").length > 2`);
  await picture(page, "film-processing");
  const done = `document.querySelector("[data-badge]").innerText === "Ready"`;
  await page.until("ready", done, PROCESSED_MS);
  const path = await page.evaluate("location.pathname");
  await made(page, ".stage img");
  await open(page, path, "film-ready");
  claim(await page.evaluate(`document.querySelector(".stage img").naturalWidth > 200`), "a poster");
  const subtitles = join(sea, "..", "sea.srt");
  writeFileSync(subtitles, "1\n00:00:01,000 --> 00:00:02,000\nThe sea.\n");
  await page.type("#subtitles-language", "en");
  await choose(page, "#subtitles-file", [subtitles]);
  await page.press("Add subtitles");
  await page.until("shown the subtitles", `document.body.innerText.includes("1 line")`);
};

const title = async (page) => {
  await page.pressAndLeave("Make a title");
  await page.until("at the title", `location.pathname.startsWith("/creator/titles/")`);
  await page.type("#tagline", "Nobody is awake.");
  await page.type("#year", "2026");
  await page.evaluate(`document.querySelector("input[value=drama]").click()`);
  await page.until("told it is not saved", `!document.querySelector("[data-unsaved]").hidden`);
  await page.pressAndLeave("Save");
  await page.until("saved", `document.querySelector(".notice")`);
  await see(page, "title");
  // Complaints take the focus and lead to their field.
  await page.type("#credits", "nobody");
  await page.pressAndLeave("Save");
  await page.until("at the summary", `document.activeElement.matches(".complaints")`);
  await see(page, "title-refused");
  await page.type("#credits", "director: Agnès Varda");
  await page.pressAndLeave("Save");
  await page.until("saved", `document.querySelector(".notice")`);
  await page.pressAndLeave("Publish");
  await page.until("published", `document.body.innerText.includes("Your audience can watch it now.")`);
  await see(page, "title-published");
};

const around = async (page) => {
  const failed = "/creator/videos?state=failed";
  const told = `fetch("${failed}").then((it) => it.text()).then((it) => it.includes("Broken"))`;
  await page.until("told what failed", told, PROCESSED_MS);
  await page.open(origin + failed);
  await page.evaluate(`document.querySelector(".video-link").click()`);
  await page.until("at what failed", `document.body.innerText.includes("Try again")`);
  await see(page, "film-failed");
  await page.open(`${origin}/creator/videos`);
  await made(page, ".video img");
  for (const [path, name] of [
    ["/creator", "studio"],
    ["/creator/videos", "films"],
    ["/creator/titles", "titles"],
    ["/creator/titles/new", "title-new"],
  ]) {
    await open(page, path, name);
  }
};

const line = await Line.open(Number(new URL(origin).port), Number(hostPort));
const browser = await Chromium.start(program);
try {
  const page = await browser.page();
  await page.send("DOM.enable");
  // A browser asks before a page with open uploads is left; this person wants to.
  browser.listen(({ method }) => {
    if (method === "Page.javascriptDialogOpening") page.send("Page.handleJavaScriptDialog", { accept: true });
  });
  await register(page);
  await upload(page, line);
  await film(page);
  await title(page);
  await around(page);
  // Refused forms are answered 422, an upload that is taken up at once after a break 423 while the
  // broken one is let go, and a line that breaks is reported.
  const known = /status of (404|422|423)|net::ERR_/;
  const amiss = page.complaints.filter((text) => !known.test(text));
  claim(amiss.length === 0, `the browser complains:\n${amiss.join("\n")}`);
  process.stdout.write(`${JSON.stringify({ done: true })}\n`);
} finally {
  await browser.stop();
}
process.exit(0);
