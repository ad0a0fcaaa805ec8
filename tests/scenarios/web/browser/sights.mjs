// How a page is looked at: in light and dark, wide and narrow, against the rules of WCAG 2.2 AA that
// a program can see, with a picture of each where a folder for pictures is named.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const claim = (holds, words) => {
  if (!holds) throw new Error(words);
};

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SIGHTS = [
  { name: "wide-light", width: 1280, height: 900, scheme: "light" },
  { name: "wide-dark", width: 1280, height: 900, scheme: "dark" },
  { name: "narrow-light", width: 390, height: 844, scheme: "light" },
  { name: "narrow-dark", width: 390, height: 844, scheme: "dark" },
];

export const looker = (axeFile, pictures) => {
  const axe = readFileSync(axeFile, "utf8");
  return (page, name) => see(page, name, axe, pictures);
};

const see = async (page, name, axe, pictures) => {
  for (const sight of SIGHTS) {
    const { width, height } = sight;
    const size = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await page.send("Emulation.setDeviceMetricsOverride", size);
    // Still: a colour on its way from one scheme to the other has no contrast of its own.
    const features = [
      { name: "prefers-color-scheme", value: sight.scheme },
      { name: "prefers-reduced-motion", value: "reduce" },
    ];
    await page.send("Emulation.setEmulatedMedia", { features });
    await page.evaluate("document.fonts.ready.then(() => true)");
    // A telephone would zoom out rather than scroll, so its window grows with the page.
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    claim(wide <= width, `${name} (${sight.name}) is ${wide} px wide in a window of ${width}`);
    // Evaluated, not loaded: the page's own policy stays as it is.
    await page.evaluate(`${axe}; true`);
    const found = await page.evaluate(`axe.run(document, {
      runOnly: ${JSON.stringify(RULES)}, resultTypes: ["violations"],
    }).then(({ violations }) => violations.map((it) =>
      it.id + ": " + it.help + " at " + it.nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join("; ")))`);
    claim(found.length === 0, `${name} (${sight.name}):\n${found.join("\n")}`);
    if (pictures) {
      const shot = await page.send("Page.captureScreenshot", { captureBeyondViewport: true });
      writeFileSync(join(pictures, `${name}-${sight.name}.png`), Buffer.from(shot.data, "base64"));
    }
  }
};
