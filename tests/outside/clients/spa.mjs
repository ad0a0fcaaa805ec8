// A web page that lets people sign in: oidc-client-ts, unmodified, in Chromium, on an origin of its
// own. Code + PKCE with consent, userinfo, silent renewal in a frame and by refresh token, sign-out.
// NEXUS_URL, NEXUS_TOKEN, NEXUS_EMAIL, NEXUS_PASSWORD, NEXUS_PAGE (the page's origin), NEXUS_CERT and
// NEXUS_KEY come from the environment. The browser is the first argument; it trusts the CA.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Chromium } from "./chromium.mjs";

const { NEXUS_URL, NEXUS_TOKEN, NEXUS_EMAIL, NEXUS_PASSWORD, NEXUS_PAGE } = process.env;

// What the page's developer has written: the rest is the library.
const page = `<!doctype html><html lang="en"><title>Client</title><h1>Client</h1>
<script src="/oidc-client-ts.js"></script>
<script>
  const settings = {
    authority: "${NEXUS_URL}",
    client_id: new URLSearchParams(location.search).get("client") ?? localStorage.client,
    redirect_uri: location.origin + "/back",
    silent_redirect_uri: location.origin + "/silent",
    post_logout_redirect_uri: location.origin + "/bye",
    scope: localStorage.scope ?? "openid profile email",
    loadUserInfo: true,
    automaticSilentRenew: false,
    userStore: new oidc.WebStorageStateStore({ store: localStorage }),
  };
  localStorage.client = settings.client_id;
  const manager = new oidc.UserManager(settings);
  const told = (promise) => promise.then((it) => (window.done = it ?? true), (error) => (window.failed = String(error)));
  if (location.pathname === "/back") told(manager.signinRedirectCallback());
  if (location.pathname === "/silent") manager.signinSilentCallback();
  if (location.pathname === "/bye") told(manager.signoutRedirectCallback());
</script></html>`;

const library = readFileSync(new URL("./node_modules/oidc-client-ts/dist/browser/oidc-client-ts.js", import.meta.url));
const tls = { cert: readFileSync(process.env.NEXUS_CERT), key: readFileSync(process.env.NEXUS_KEY) };
const frames = [];
const server = createServer(tls, (asked, answer) => {
  const { pathname } = new URL(asked.url, NEXUS_PAGE);
  if (pathname === "/silent") frames.push(asked.headers["sec-fetch-dest"]);
  const script = pathname === "/oidc-client-ts.js";
  answer.writeHead(pathname === "/favicon.ico" ? 204 : 200, {
    "content-type": script ? "text/javascript" : "text/html; charset=utf-8",
  });
  answer.end(pathname === "/favicon.ico" ? undefined : script ? library : page);
});
await new Promise((resolve) => server.listen(new URL(NEXUS_PAGE).port, "127.0.0.1", resolve));

async function client() {
  const draft = {
    name: "A page",
    kind: "public",
    redirect_uris: [`${NEXUS_PAGE}/back`, `${NEXUS_PAGE}/silent`],
    post_logout_redirect_uris: [`${NEXUS_PAGE}/bye`],
    grant_types: ["authorization_code", "refresh_token"],
  };
  const answer = await fetch(`${NEXUS_URL}/api/auth/v1/clients`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${NEXUS_TOKEN}` },
    body: JSON.stringify(draft),
  });
  assert.equal(answer.status, 201, await answer.clone().text());
  return (await answer.json()).id;
}

const id = await client();
const browser = await Chromium.start(process.argv[2]);
try {
  const tab = await browser.page();
  const at = (path) => `location.href.startsWith(${JSON.stringify(path)})`;
  const ended = async (what) => {
    await tab.until(what, "window.done !== undefined || window.failed !== undefined");
    assert.equal(await tab.evaluate("window.failed"), undefined, what);
  };

  // A stranger is asked who they are, then whether they agree, and comes back.
  await tab.open(`${NEXUS_PAGE}/?client=${id}`);
  await tab.evaluate("manager.signinRedirect(); true");
  await tab.until("asked to sign in", at(`${NEXUS_URL}/account/sign-in`));
  await tab.until("shown the form", `document.querySelector("#password") !== null`);
  await tab.type("#email", NEXUS_EMAIL);
  await tab.type("#password", NEXUS_PASSWORD);
  await tab.pressAndLeave("Sign in");
  await tab.until("asked to agree", at(`${NEXUS_URL}/account/consent`));
  await tab.pressAndLeave("Agree");
  await tab.until("back at the page", at(`${NEXUS_PAGE}/back`));
  await ended("signed in");
  const user = () => tab.evaluate("manager.getUser().then((it) => it && JSON.parse(it.toStorageString()))");
  const first = await user();
  assert.equal(first.profile.email, NEXUS_EMAIL, "userinfo knows the address");
  assert.ok(first.id_token && first.access_token && !first.refresh_token);
  console.log("ok: a page lets people sign in");

  // Nobody sees it: a hidden frame, the session's cookie, prompt=none.
  await tab.evaluate("manager.signinSilent().then(() => true)");
  const second = await user();
  assert.notEqual(second.access_token, first.access_token);
  assert.equal(second.profile.sub, first.profile.sub);
  assert.deepEqual(frames, ["iframe"]);
  console.log("ok: and renews silently in a frame");

  // Who may be offline renews by refresh token, which is exchanged each time.
  await tab.evaluate(`localStorage.scope = "openid email offline_access"; location.assign("/")`);
  await tab.until("at the page anew", `location.pathname === "/" && typeof manager === "object"`);
  await tab.evaluate("manager.signinRedirect(); true");
  await tab.until("asked for more", at(`${NEXUS_URL}/account/consent`));
  await tab.pressAndLeave("Agree");
  await tab.until("back with more", at(`${NEXUS_PAGE}/back`));
  await ended("signed in with more");
  const third = await user();
  assert.ok(third.refresh_token);
  await tab.evaluate("manager.signinSilent().then(() => true)");
  const fourth = await user();
  assert.notEqual(fourth.refresh_token, third.refresh_token);
  assert.notEqual(fourth.access_token, third.access_token);
  assert.deepEqual(frames, ["iframe"], "no frame was needed");
  console.log("ok: and by refresh token");

  // Out, everywhere: the page forgets, and the session is over.
  await tab.evaluate("manager.signoutRedirect(); true");
  await tab.until("back after signing out", at(`${NEXUS_PAGE}/bye`));
  await ended("signed out");
  assert.equal(await user(), null);
  const why = await tab.evaluate("manager.signinSilent().then(() => 'in', (error) => error.error)");
  assert.equal(why, "login_required");
  console.log("ok: and lets them leave");
  assert.deepEqual(tab.complaints, []);
} finally {
  await browser.stop();
  server.close();
}
process.exit(0);
