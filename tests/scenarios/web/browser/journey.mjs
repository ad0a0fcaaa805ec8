// A person with a real browser: registers, adds a passkey, signs out, comes in with the passkey.
// On the way every page is held against the rules of WCAG 2.2 AA that a program can see, in light
// and dark, wide and narrow. The mail is read by the test that has started this: a line of JSON in
// each direction.

import { createInterface } from "node:readline";
import { Chromium } from "./chromium.mjs";
import { claim, looker } from "./sights.mjs";

const [program, origin, axeFile, pictures] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const email = "ada@example.org";
const password = "a sentence that nobody else has written";

const ask = async (question) => {
  process.stdout.write(`${JSON.stringify(question)}\n`);
  return JSON.parse((await answers.next()).value);
};

const see = looker(axeFile, pictures);

const open = async (page, path, name) => {
  await page.open(origin + path);
  await see(page, name);
};

const browser = await Chromium.start(program);
try {
  const page = await browser.page();
  await open(page, "/", "landing");
  await open(page, "/account/sign-in", "sign-in");
  await open(page, "/account/recover", "recover");
  await open(page, "/account/magic-link", "magic-link");
  await open(page, "/account/nothing", "missing");

  // A password that nobody should have: the summary takes the focus.
  await open(page, "/account/register", "register");
  await page.type("#email", email);
  await page.type("#password", "password1");
  await page.pressAndLeave("Create account");
  // A browser gives the focus with the first picture, which comes after the document.
  await page.until("at the summary", `document.activeElement.matches(".complaints")`);
  await see(page, "register-refused");

  await page.type("#display_name", "Ada Lovelace");
  await page.type("#email", email);
  await page.type("#password", password);
  await page.pressAndLeave("Create account");
  await see(page, "look-into-your-mail");
  await page.open(await ask({ mail: email }));
  await see(page, "verify");
  await page.pressAndLeave("Confirm my address");
  await page.until("at the account", `location.pathname === "/account"`);
  await see(page, "overview");

  // A passkey, made by an authenticator of the browser's own.
  await page.send("WebAuthn.enable");
  await page.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    },
  });
  await open(page, "/account/security", "security");
  await page.press("Add a passkey");
  await page.until("shown recovery codes", `document.querySelectorAll(".codes li").length === 10`);
  await see(page, "recovery-codes");
  await page.pressAndLeave("I have kept them");
  await see(page, "security-with-passkey");
  for (const [path, name] of [
    ["/account/profile", "profile"],
    ["/account/sessions", "devices"],
    ["/account/programs", "programs"],
    ["/account/keys", "keys"],
    ["/account/organisations", "organisations"],
    ["/account/device", "device"],
    ["/account/step-up", "step-up"],
  ]) {
    await open(page, path, name);
  }
  await page.open(`${origin}/account/security`);
  await page.press("Set up");
  await page.until("offered a code", `document.querySelector(".qr img")?.naturalWidth > 0`);
  await see(page, "totp");

  // Out, and in again with the passkey alone.
  await page.open(`${origin}/account`);
  await page.pressAndLeave("Sign out");
  await page.until("signed out", `location.pathname === "/account/sign-in"`);
  await see(page, "signed-out");
  await page.press("Sign in with a passkey");
  await page.until("in again", `location.pathname === "/account"`);
  claim(
    (await page.evaluate("document.body.innerText")).includes("Signed in with a passkey"),
    "the activity tells of the passkey",
  );

  // With the password, the account now asks for more.
  await page.pressAndLeave("Sign out");
  await page.type("#email", email);
  await page.type("#password", password);
  await page.pressAndLeave("Sign in");
  await page.until("asked for more", `document.body.innerText.includes("One more step")`);
  await see(page, "second-factor");
  await page.press("Use a passkey");
  await page.until("in by two steps", `location.pathname === "/account"`);

  // Refused forms are answered 422, which a browser reports; nothing else may be amiss.
  const amiss = page.complaints.filter((text) => !/status of (404|422)/.test(text));
  claim(amiss.length === 0, `the browser complains:\n${amiss.join("\n")}`);
  process.stdout.write(`${JSON.stringify({ done: true })}\n`);
} finally {
  await browser.stop();
}
process.exit(0);
