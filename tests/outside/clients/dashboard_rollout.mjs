// An operator who deploys a component by its pages, in Chromium: sends a file, reads what it would
// change, watches the canary under load, pauses it, freezes, promotes; sees a bad one go back by
// itself, and one that is refused. Every page is held against the rules of WCAG 2.2 AA that a
// program can see, wide and narrow, light and dark.
//
// NEXUS_ADMIN, NEXUS_TOKEN, GOOD, BAD, UNGRANTED (files of components) and NEXUS_PICTURES (a folder, or
// empty) come from the environment. The browser is the first argument.

import { Chromium } from "./chromium.mjs";
import { claim, looker, press } from "./sights.mjs";

const { NEXUS_ADMIN: admin, NEXUS_TOKEN: token, GOOD, BAD, UNGRANTED, NEXUS_PICTURES: pictures } = process.env;
const LAMP = "/components/lamp";

const wrong = [];
const see = looker(new URL("./node_modules/axe-core/axe.js", import.meta.url), pictures, { wide: 1440, wrong });

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

const api = async (method, path, body) => {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${admin}/api/v1/${path}`, { method, headers, body: JSON.stringify(body) });
  claim(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
};

// Chooses a file as the file dialog would, and sends it.
const sendFile = async (page, file) => {
  await visit(page, `${LAMP}/deploy`);
  const { root } = await page.send("DOM.getDocument", {});
  const { nodeId } = await page.send("DOM.querySelector", { nodeId: root.nodeId, selector: "#file" });
  await page.send("DOM.setFileInputFiles", { nodeId, files: [file] });
  await page.press("Send it");
  await page.until("shown what changes", `location.search.includes("artifact=") && document.readyState === "complete" && !!document.querySelector("#changes-title")`);
};

const deploy = async (page, way, reason) => {
  await page.evaluate(`[...document.querySelectorAll(".way")].find((it) => it.innerText.startsWith(${JSON.stringify(way)})).click()`);
  await page.type("#note", reason);
  await page.pressAndLeave("Deploy");
  await page.until("at the rollout", `location.pathname.startsWith("/rollouts/") && !!document.querySelector("#progress")`);
};

const order = async (page, words, reason) => {
  await page.type("#reason", reason);
  await page.pressAndLeave(words);
};

const state = (word) => `document.querySelector("#progress .badge")?.innerText === ${JSON.stringify(word)}`;
const CALLS = `Number(document.querySelector("#watched [data-key=calls] td")?.innerText ?? 0)`;

// On a telephone, nothing that can be typed into or pressed stands out of its card.
const contained = async (page) => {
  await page.send("Emulation.setDeviceMetricsOverride", { width: 390, height: 844, deviceScaleFactor: 1, mobile: true });
  const out = await page.evaluate(`[...document.querySelectorAll(".card")].flatMap((card) =>
    [...card.querySelectorAll("form input, form button, form select")].filter((it) =>
      it.getBoundingClientRect().right > card.getBoundingClientRect().right - 8).map((it) => it.outerHTML)).join()`);
  claim(out === "", `out of its card: ${out}`);
  await page.send("Emulation.clearDeviceMetricsOverride");
};

const chooses = async (page) => {
  await page.open(`${admin}${LAMP}/deploy`);
  await signIn(page, token);
  await page.until("back where it was wanted", `location.pathname === "${LAMP}/deploy"`);
  await see(page, "deploy-choose");
  await contained(page);
  await sendFile(page, GOOD);
  const text = await page.evaluate(`document.querySelector("main").innerText`);
  claim(text.includes("Nothing changes in: imports"), `the same component changes: ${text}`);
  await see(page, "deploy-same");
};

// Under load, what the gates see comes onto the page by itself, and disturbs nobody who types.
const watches = async (page) => {
  await page.until("shown figures", `${CALLS} > 0`);
  await see(page, "rollout-stepping");
  await contained(page);
  await page.type("#reason", "looks slow to me");
  const before = await page.evaluate(`window.stays = true; ${CALLS}`);
  await page.evaluate(`window.shifted = 0; new PerformanceObserver((list) => list.getEntries().forEach((it) => {
    if (!it.hadRecentInput) window.shifted += it.value;
  })).observe({ type: "layout-shift" }); true`);
  await page.until("shown more calls", `window.stays && (${CALLS} > ${before} || !${state("stepping")})`);
  const kept = await page.evaluate(`document.activeElement.id === "reason" && document.activeElement.value`);
  claim(kept === "looks slow to me", `what was typed has become ${kept}`);
  const shifted = await page.evaluate("window.shifted");
  claim(shifted < 0.1, `the page moved under the reader: ${shifted}`);
};

const pausesAndFreezes = async (page) => {
  // The return key in the field is the first button, and that one is harmless.
  await page.evaluate("window.before = true");
  await press(page, "Enter");
  await page.until("paused", `!window.before && ${state("paused")}`);
  await see(page, "rollout-paused");
  await page.press("Resume");
  const asked = await page.evaluate(`document.querySelector("#reason").validity.valueMissing`);
  claim(asked, "an order was taken without a reason");
  await order(page, "Freeze", "the night before the premiere");
  await page.until("told of the freeze", `document.querySelector("#frozen")?.innerText.includes("the night before the premiere")`);
  await order(page, "Promote", "it is good");
  await page.until("refused", `document.querySelector(".notice.bad[role=alert]")?.innerText.includes("the night before the premiere")`);
  await see(page, "rollout-frozen");
  await page.pressAndLeave("End the freeze");
  await page.until("thawed", `document.querySelector("#frozen")?.innerText.trim() === ""`);
  await order(page, "Promote", "it is good");
  await page.until("done", state("done"));
  await see(page, "rollout-done");
};

const goesBack = async (page) => {
  await sendFile(page, BAD);
  await see(page, "deploy-changes");
  await deploy(page, "Quickly", "a lamp of another maker");
  await page.until("back by itself", state("rolled back"));
  const words = await page.evaluate(`document.querySelector("#progress .notice").innerText`);
  claim(/Because: .*(traps|failed)/.test(words), `no reason in words: ${words}`);
  await see(page, "rollout-rolled-back");
};

const isRefused = async (page) => {
  await sendFile(page, UNGRANTED);
  const words = await page.evaluate(`document.querySelector(".notice.bad")?.innerText`);
  claim(words?.includes("key_value_stores"), `no objection: ${words}`);
  const deploys = await page.evaluate(`[...document.querySelectorAll("button")].some((it) => it.innerText === "Deploy")`);
  claim(!deploys, "what would fail can be begun");
  await see(page, "deploy-objections");
  const artifact = await page.evaluate(`new URLSearchParams(location.search).get("artifact")`);
  const { rollout } = await api("POST", "components/lamp/deploy", { artifact });
  await visit(page, `/rollouts/${rollout.id}`);
  await page.until("failed", state("failed"));
  const reason = await page.evaluate(`document.querySelector("#progress .notice").innerText`);
  claim(reason.includes("key_value_stores"), `no reason in words: ${reason}`);
  await see(page, "rollout-failed");
};

const looksBack = async (page) => {
  await visit(page, LAMP);
  const text = await page.evaluate(`document.querySelector("main").innerText`);
  claim(!text.includes("{") && text.includes("Serve it"), `not in words: ${text}`);
  await see(page, "component-lamp");
  await page.evaluate(`document.querySelector("#revisions tbody th a").click()`);
  await page.until("at a revision", `location.pathname.includes("/revisions/") && !!document.querySelector("#lines-title")`);
  const again = await page.evaluate(`document.querySelector("main").innerText.includes("Serve it alone, at once")`);
  claim(again, "a revision without a share cannot be served again");
  await see(page, "revision");
  for (const [name, path] of [["deploy-known", `${LAMP}/deploy`], ["rollouts", "/rollouts"], ["overview-lamp", "/"]]) {
    await visit(page, path);
    await see(page, name);
  }
};

const asViewer = async (page, rollout) => {
  const { token: secret } = await api("POST", "operators", { name: "vera", role: "viewer" });
  await visit(page, "/");
  await page.pressAndLeave("Sign out");
  await signIn(page, secret);
  for (const path of [rollout, LAMP, `${LAMP}/deploy`]) {
    await visit(page, path);
    const buttons = await page.evaluate(`[...document.querySelectorAll("main button")].map((it) => it.innerText).join()`);
    claim(buttons === "", `a viewer is shown orders at ${path}: ${buttons}`);
  }
  await see(page, "deploy-viewer");
};

const browser = await Chromium.start(process.argv[2]);
try {
  const page = await browser.page();
  browser.listen(({ sessionId, method }) => {
    if (sessionId === page.session && method === "Page.javascriptDialogOpening") page.send("Page.handleJavaScriptDialog", { accept: true });
  });
  await chooses(page);
  await deploy(page, "Quickly", "brighter");
  const rollout = await page.evaluate("location.pathname");
  await watches(page);
  await pausesAndFreezes(page);
  await goesBack(page);
  await isRefused(page);
  await looksBack(page);
  await asViewer(page, rollout);
  claim(page.complaints.length === 0, `the browser complained: ${page.complaints.join("; ")}`);
  claim(wrong.length === 0, wrong.join("\n\n"));
} finally {
  await browser.stop();
}
