// Chromium over the DevTools protocol, through a pipe: no port, no library. Knows how to send a
// command and wait for its answer, and how to wait until something is so.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const WAIT_MS = 60_000;

export class Chromium {
  #next = 1;
  #asked = new Map();
  #heard = [];
  #child;
  #home;

  static async start(program) {
    const browser = new Chromium();
    browser.#home = mkdtempSync(join(tmpdir(), "nx-browser-"));
    const options = [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
      "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe",
      `--user-data-dir=${browser.#home}`, "about:blank",
    ];
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
    browser.#child = spawn(program, options, { stdio });
    let rest = "";
    browser.#child.stdio[4].on("data", (piece) => {
      rest += piece;
      for (let end = rest.indexOf("\0"); end >= 0; end = rest.indexOf("\0")) {
        browser.#hear(JSON.parse(rest.slice(0, end)));
        rest = rest.slice(end + 1);
      }
    });
    return browser;
  }

  #hear(said) {
    const asked = this.#asked.get(said.id);
    if (!asked) {
      this.#heard.forEach((listener) => listener(said));
      return;
    }
    this.#asked.delete(said.id);
    if (said.error) asked.reject(new Error(`${asked.method}: ${said.error.message}`));
    else asked.resolve(said.result);
  }

  listen(listener) {
    this.#heard.push(listener);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    const whole = JSON.stringify({ id, method, params, sessionId });
    this.#child.stdio[3].write(`${whole}\0`);
    return new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject, method }));
  }

  async page() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const flat = { targetId, flatten: true };
    const { sessionId } = await this.send("Target.attachToTarget", flat);
    const page = new Page(this, sessionId);
    await page.send("Page.enable");
    await page.send("Runtime.enable");
    await page.send("Log.enable");
    return page;
  }

  async stop() {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.send("Browser.close").catch(() => this.#child.kill());
    await gone;
    rmSync(this.#home, { recursive: true, force: true });
  }
}

export class Page {
  // What the page complained about: content policy, script errors.
  complaints = [];

  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
    browser.listen((said) => {
      if (said.sessionId !== session) return;
      if (said.method === "Runtime.exceptionThrown") {
        this.complaints.push(said.params.exceptionDetails.text);
      }
      if (said.method === "Log.entryAdded" && said.params.entry.level === "error") {
        this.complaints.push(said.params.entry.text);
      }
    });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  async evaluate(expression) {
    const asked = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", asked);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  // Polls, since a click may lead to another document.
  async until(what, expression, waitMs = WAIT_MS) {
    const end = Date.now() + waitMs;
    for (;;) {
      const so = await this.evaluate(expression).catch(() => false);
      if (so) return so;
      if (Date.now() > end) {
        const where = await this.evaluate("location.href + '\\n' + document.body.innerText");
        throw new Error(`not ${what} within ${waitMs} ms, but at ${where}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async open(url) {
    await this.send("Page.navigate", { url });
    await this.until(`at ${url}`, `document.readyState === "complete" && location.href !== "about:blank"`);
  }

  // Types as a person does: the field gets the focus first.
  async type(selector, text) {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).focus()`);
    await this.evaluate("document.activeElement.select?.()");
    await this.send("Input.insertText", { text });
  }

  // Presses the button with these words, and waits for the next document.
  async press(words) {
    await this.evaluate("window.before = true");
    const found = await this.evaluate(`(() => {
      const all = [...document.querySelectorAll("button, a.button, summary")];
      const one = all.find((it) => it.innerText.trim().startsWith(${JSON.stringify(words)}));
      one?.click();
      return Boolean(one);
    })()`);
    if (!found) throw new Error(`no button ${words} at ${await this.evaluate("document.body.innerText")}`);
  }

  async pressAndLeave(words) {
    await this.press(words);
    await this.until(
      `on from ${words}`,
      `!window.before && document.readyState === "complete"`,
    );
  }
}
