// An OpenID Connect relying party in Node: openid-client, unmodified. Discovery, pushed
// authorization request, code + PKCE, userinfo, refresh, introspection, revocation, device flow.
// NEXUS_URL, NEXUS_TOKEN, NEXUS_EMAIL and NEXUS_PASSWORD come from the environment; so does the CA
// (NODE_EXTRA_CA_CERTS).

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
const oidc = await import("openid-client");

const { NEXUS_URL, NEXUS_TOKEN, NEXUS_EMAIL, NEXUS_PASSWORD } = process.env;
const REDIRECT = "http://127.0.0.1/callback";
const scope = "openid email offline_access";

const json = (body, headers = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

async function client(kind) {
  const draft = {
    name: "openid-client",
    kind,
    redirect_uris: [REDIRECT],
    grant_types: [
      "authorization_code",
      "refresh_token",
      "urn:ietf:params:oauth:grant-type:device_code",
    ],
    trusted: true,
  };
  const authorization = { authorization: `Bearer ${NEXUS_TOKEN}` };
  const answer = await fetch(`${NEXUS_URL}/api/auth/v1/clients`, json(draft, authorization));
  assert.equal(answer.status, 201, await answer.clone().text());
  return answer.json();
}

async function person() {
  const login = { email: NEXUS_EMAIL, password: NEXUS_PASSWORD };
  const answer = await fetch(`${NEXUS_URL}/api/user-auth/v1/login`, json(login));
  assert.equal(answer.status, 200, await answer.clone().text());
  const { session } = await answer.json();
  const cookie = answer.headers.getSetCookie()[0].split(";")[0];
  return { cookie, "x-csrf-token": session.csrf_token };
}

/** Where the browser of a person is sent. */
async function sent(browser, url) {
  const answer = await fetch(url, { headers: browser, redirect: "manual" });
  assert.equal(answer.status, 303, await answer.clone().text());
  return new URL(answer.headers.get("location"), NEXUS_URL);
}

const browser = await person();

for (const kind of ["confidential", "public"]) {
  const made = await client(kind);
  const auth = kind === "public" ? oidc.None() : oidc.ClientSecretPost(made.client_secret);
  const config = await oidc.discovery(new URL(NEXUS_URL), made.id, {}, auth);
  const verifier = oidc.randomPKCECodeVerifier();
  const wish = {
    // The port of a program on the person's own machine is free (RFC 8252).
    redirect_uri: "http://127.0.0.1:49152/callback",
    scope,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state: oidc.randomState(),
    nonce: oidc.randomNonce(),
  };
  const url = await oidc.buildAuthorizationUrlWithPAR(config, wish);
  const back = await sent(browser, url);
  const tokens = await oidc.authorizationCodeGrant(config, back, {
    pkceCodeVerifier: verifier,
    expectedState: wish.state,
    expectedNonce: wish.nonce,
    idTokenExpected: true,
  });
  const { sub } = tokens.claims();
  const about = await oidc.fetchUserInfo(config, tokens.access_token, sub);
  assert.equal(about.email, NEXUS_EMAIL);
  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
  if (kind === "confidential") {
    const known = await oidc.tokenIntrospection(config, refreshed.access_token);
    assert.equal(known.active, true);
  }
  await oidc.tokenRevocation(config, refreshed.refresh_token);
  await assert.rejects(oidc.refreshTokenGrant(config, refreshed.refresh_token), {
    error: "invalid_grant",
  });

  const begun = await oidc.initiateDeviceAuthorization(config, { scope: "openid" });
  const path = `${NEXUS_URL}/api/auth/v1/devices/${begun.user_code}/decision`;
  const decided = await fetch(path, json({ approve: true }, browser));
  assert.equal(decided.status, 204, await decided.clone().text());
  const in_ = await oidc.pollDeviceAuthorizationGrant(config, { ...begun, interval: 1 });
  assert.ok(in_.access_token);
  console.log(`ok: ${kind}`);
}

// Without a person, a program is told so, and nobody is asked.
const made = await client("public");
const config = await oidc.discovery(new URL(NEXUS_URL), made.id, {}, oidc.None());
const silent = oidc.buildAuthorizationUrl(config, {
  redirect_uri: REDIRECT,
  scope: "openid",
  code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
  code_challenge_method: "S256",
  prompt: "none",
});
const back = await sent({}, silent);
assert.equal(back.searchParams.get("error"), "login_required");
const shown = oidc.buildAuthorizationUrl(config, {
  redirect_uri: REDIRECT,
  scope: "openid",
  code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
  code_challenge_method: "S256",
});
const door = await sent({}, shown);
assert.equal(door.pathname, "/account/sign-in");
console.log("ok: nobody");
