// An operator at the dashboard, in Chromium: signs in, walks through every page with and without
// a mouse, sends dead letters back, lets somebody in, watches a call arrive. Every page is held against
// the rules of WCAG 2.2 AA that a program can see, wide and narrow, light and dark.
//
// NEXUS_ADMIN, NEXUS_URL, NEXUS_TOKEN, QUEUE, JOB and NEXUS_PICTURES (a folder, or empty) come from the
// environment. The browser is the first argument.

import { Chromium } from "./chromium.mjs";
import { claim, looker, press } from "./sights.mjs";

const { NEXUS_ADMIN: admin, NEXUS_URL: origin, NEXUS_TOKEN: token, QUEUE, JOB, NEXUS_PICTURES: pictures } = process.env;

const wrong = [];
const see = looker(new URL("./node_modules/axe-core/axe.js", import.meta.url), pictures, { wide: 1440, wrong });

const at = (path) => `document.readyState === "complete" && location.pathname === ${JSON.stringify(path)}`;

const visit = async (page, path) => {
  await page.evaluate("window.before = true").catch(() => {});
  await page.send("Page.navigate", { url: `${admin}${path}` });
  await page.until(`at ${path}`, `!window.before && document.readyState === "complete" && !!document.querySelector("main h1")`);
};

const signIn = async (page, secret) => {
  await page.until("asked for a token", `!!document.querySelector("#token")`);
  await page.type("#token", secret);
  await page.pressAndLeave("Sign in");
};

const walk = async (page) => {
  await page.open(`${admin}/queues`);
  await page.until("asked for a token", at("/login"));
  await see(page, "login");
  await signIn(page, "not-the-token-of-anybody");
  await page.until("refused", `!!document.querySelector("[role=alert]")`);
  await see(page, "login-refused");
  await signIn(page, token);
  await page.until("where it was wanted", at("/queues"));
  await visit(page, "/");
  await page.until("told of components", `document.querySelectorAll("#components [data-row]").length > 0`);
  await page.until("shown rates", `!!document.querySelector(".spark polyline")`);
  await see(page, "overview");

  await visit(page, "/components/core-os");
  await see(page, "component");
  await visit(page, "/components/nobody");
  await page.until("told that there is none", `!!document.querySelector("[role=alert]")`);
  await see(page, "component-missing");
  for (const [name, path] of [
    ["rollouts", "/rollouts"], ["queues", "/queues"], ["queue", `/queues/${QUEUE}?state=dead`],
    ["letters", "/dead-letters"], ["schedules", "/schedules"], ["jobs", "/jobs"], ["job", `/jobs/${JOB}`],
    ["invocations", "/invocations"], ["logs", "/logs"], ["configuration", "/configuration"],
    ["configuration-one", "/configuration/core-os"], ["hosts", "/hosts"],
    ["missing", "/nowhere"],
  ]) {
    await visit(page, path);
    await see(page, name);
  }
  await visit(page, "/schedules");
  await page.evaluate(`document.querySelector("#schedules tbody a").click()`);
  await page.until("at a schedule", `location.pathname.startsWith("/schedules/") && !!document.querySelector("#runs")`);
  await see(page, "schedule");
  await visit(page, "/health-matrix");
  await page.until("told of every name", `document.querySelectorAll("#matrix [data-row]").length > 100`, 180_000);
  await see(page, "health");
};

const work = async (page) => {
  await visit(page, `/queues/${QUEUE}?state=dead`);
  await page.pressAndLeave("Send them back to work");
  await page.until("told what it would reach", `document.body.innerText.includes("This would send 2 messages back to work")`);
  await see(page, "redrive");
  await page.pressAndLeave("Send 2 back");
  await page.until("told that it is done", `document.querySelector(".notice.good")?.innerText.includes("2 messages")`);

  await visit(page, "/operators");
  await page.type("#name", "vera");
  await page.pressAndLeave("Let in");
  const words = await page.until("shown a token", `document.querySelector(".notice.good")?.innerText.match(/nx-operator-[0-9a-f]+/)?.[0]`);
  await see(page, "operators");
  await visit(page, "/audit?verify=1");
  await page.until("told that the journal is whole", `document.querySelector(".notice.good")?.innerText.includes("whole")`);
  await page.until("told who did it", `document.querySelector("#entries").innerText.includes("redrive")`);
  await see(page, "audit");
  return words;
};

const keyboard = async (page) => {
  await visit(page, "/");
  await press(page, "Tab");
  await page.until("offered a way past the menu", `document.activeElement.className === "skip"`);
  await press(page, "Enter");
  await page.until("in the content", `document.activeElement.id === "main" || location.hash === "#main"`);
  await press(page, "?");
  await page.until("shown the keys", `document.getElementById("keys").open`);
  await see(page, "keys");
  await press(page, "Escape");
  await page.until("back", `!document.getElementById("keys").open`);
  await press(page, "g");
  await press(page, "q");
  await page.until("at the queues", at("/queues"));
  await press(page, "/");
  await page.until("in the filter", `document.activeElement.id === "filter"`);
  await page.send("Input.insertText", { text: "no queue is called so" });
  await page.until("shown none", `[...document.querySelectorAll("#queues [data-row]")].every((row) => row.hidden)`);
};

const live = async (page) => {
  await visit(page, "/invocations");
  // Until it is there: the stream may be younger than the call.
  const end = Date.now() + 60_000;
  for (let seen = false; !seen; ) {
    claim(Date.now() < end, "a call never came onto the page");
    await fetch(`${origin}/api/core-os/v1/status`);
    seen = await page.until("shown the call", `document.querySelector("#calls").innerText.includes("/api/core-os")`, 5_000).catch(() => false);
  }
  await page.evaluate(`document.querySelector("#calls tbody a").click()`);
  await page.until("at a call", `!!document.querySelector(".tree .call")`);
  await see(page, "invocation");
};

const asViewer = async (page, secret) => {
  await page.pressAndLeave("Sign out");
  await signIn(page, secret);
  await page.until("on the overview", at("/"));
  const menu = await page.evaluate(`document.querySelector(".menu").innerText`);
  claim(!menu.includes("Operators"), "a viewer is shown what only administrators may");
  await visit(page, `/queues/${QUEUE}`);
  const text = await page.evaluate(`document.querySelector("main").innerText`);
  claim(!text.includes("Pause"), "a viewer is shown orders");
};

const browser = await Chromium.start(process.argv[2]);
try {
  const page = await browser.page();
  await walk(page);
  const secret = await work(page);
  await keyboard(page);
  await live(page);
  await asViewer(page, secret);
  const complaints = page.complaints.filter((words) => !/status of (401|404)/.test(words));
  claim(complaints.length === 0, `the browser complained: ${complaints.join("; ")}`);
  claim(wrong.length === 0, wrong.join("\n\n"));
} finally {
  await browser.stop();
}
