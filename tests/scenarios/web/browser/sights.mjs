// How a page is looked at: in light and dark, wide and narrow, against the rules of WCAG 2.2 AA that
// a program can see, with a picture of each where a folder for pictures is named. And how a key of
// the keyboard is pressed.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const claim = (holds, words) => {
  if (!holds) throw new Error(words);
};

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const sights = (wide) => [
  { name: "wide-light", width: wide, height: 900, scheme: "light" },
  { name: "wide-dark", width: wide, height: 900, scheme: "dark" },
  { name: "narrow-light", width: 390, height: 844, scheme: "light" },
  { name: "narrow-dark", width: 390, height: 844, scheme: "dark" },
];

// `wrong` is a list for what is amiss, for whoever wants to see all pages before failing; `whole`
// takes pictures of more than the window.
export const looker = (axeFile, pictures, { wide = 1280, whole = true, wrong = null } = {}) => {
  const axe = readFileSync(axeFile, "utf8");
  const amiss = (words) => (wrong ? wrong.push(words) : claim(false, words));
  return async (page, name) => {
    for (const sight of sights(wide)) await see(page, `${name}-${sight.name}`, sight, { axe, amiss, pictures, whole });
    await page.send("Emulation.clearDeviceMetricsOverride");
  };
};

const see = async (page, name, { width, height, scheme }, { axe, amiss, pictures, whole }) => {
  const size = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
  await page.send("Emulation.setDeviceMetricsOverride", size);
  // Still: a colour on its way from one scheme to the other has no contrast of its own.
  const features = [
    { name: "prefers-color-scheme", value: scheme },
    { name: "prefers-reduced-motion", value: "reduce" },
  ];
  await page.send("Emulation.setEmulatedMedia", { features });
  await page.evaluate("document.fonts.ready.then(() => true)");
  // A telephone would zoom out rather than scroll, so its window grows with the page.
  const broad = await page.evaluate("document.documentElement.scrollWidth");
  if (broad > width) amiss(`${name} is ${broad} px wide in a window of ${width}`);
  // Evaluated, not loaded: the page's own policy stays as it is.
  await page.evaluate(`${axe}; true`);
  const found = await page.evaluate(`axe.run(document, {
    runOnly: ${JSON.stringify(RULES)}, resultTypes: ["violations"],
  }).then(({ violations }) => violations.map((it) =>
    it.id + ": " + it.help + " at " + it.nodes.slice(0, 5).map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join("; ")))`);
  if (found.length > 0) amiss(`${name}:\n${found.join("\n")}`);
  if (pictures) {
    const shot = await page.send("Page.captureScreenshot", { captureBeyondViewport: whole });
    writeFileSync(join(pictures, `${name}.png`), Buffer.from(shot.data, "base64"));
  }
};

const CODES = { " ": 32, Tab: 9, Enter: 13, Escape: 27, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 };

export const press = async (page, key) => {
  const code = key === " " ? "Space" : key.length === 1 ? `Key${key.toUpperCase()}` : key;
  const windowsVirtualKeyCode = CODES[key] ?? key.toUpperCase().charCodeAt(0);
  const text = key === "Enter" ? "\r" : key.length === 1 ? key : undefined;
  await page.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", key, code, text, windowsVirtualKeyCode });
  await page.send("Input.dispatchKeyEvent", { type: "keyUp", key, code, windowsVirtualKeyCode });
};
