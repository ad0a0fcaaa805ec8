"""An OpenID Connect relying party in Python: Authlib, unmodified.

Discovery, code + PKCE with consent, ID token, userinfo, refresh with rotation, introspection,
revocation, device flow, logout. NEXUS_URL, NEXUS_TOKEN (may manage clients), NEXUS_EMAIL and
NEXUS_PASSWORD come from the environment; so does the CA (REQUESTS_CA_BUNDLE).
"""

import os
import secrets
import time
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oidc.core import CodeIDToken

BASE = os.environ["NEXUS_URL"]
REDIRECT = "https://client.example/callback"
AFTER_LOGOUT = "https://client.example/bye"
SCOPE = "openid profile email offline_access"


def check(claim, words, seen=None):
    assert claim, f"{words}: {seen!r}"
    print("ok:", words)


def person():
    """A browser that is signed in."""
    browser = requests.Session()
    answer = browser.post(
        f"{BASE}/api/user-auth/v1/login",
        json={"email": os.environ["NEXUS_EMAIL"], "password": os.environ["NEXUS_PASSWORD"]},
    )
    check(answer.status_code == 200, "a person signs in", answer.text)
    browser.headers["x-csrf-token"] = answer.json()["session"]["csrf_token"]
    return browser


def client(**changes):
    draft = {
        "name": "Authlib",
        "kind": "confidential",
        "redirect_uris": [REDIRECT],
        "post_logout_redirect_uris": [AFTER_LOGOUT],
        "grant_types": [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        **changes,
    }
    answer = requests.post(
        f"{BASE}/api/auth/v1/clients",
        json=draft,
        headers={"authorization": f"Bearer {os.environ['NEXUS_TOKEN']}"},
    )
    check(answer.status_code == 201, "a client is registered", answer.text)
    return answer.json()


def agree(browser, location):
    """Answers the consent page as its form does."""
    where = urlsplit(location)
    check(where.path == "/account/consent", "the person is asked", location)
    request = parse_qs(where.query)["request"][0]
    shown = browser.get(f"{BASE}/api/auth/v1/requests/{request}").json()
    check(shown["client"]["name"] == "Authlib", "the person sees who asks", shown)
    answer = browser.post(
        f"{BASE}/api/auth/v1/requests/{request}/decision", json={"approve": True}
    )
    check(answer.status_code == 200, "the person agrees", answer.text)
    return answer.json()["redirect_to"]


def main():
    metadata = requests.get(f"{BASE}/.well-known/openid-configuration").json()
    check(metadata["issuer"] == BASE, "discovery names the issuer", metadata)
    keys = JsonWebKey.import_key_set(requests.get(metadata["jwks_uri"]).json())
    made = client()
    browser = person()
    session = OAuth2Session(
        made["id"],
        made["client_secret"],
        redirect_uri=REDIRECT,
        scope=SCOPE,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
    )
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    sent = browser.get(url, allow_redirects=False)
    check(sent.status_code == 303, "the browser is sent on", sent.text)
    back = agree(browser, sent.headers["location"])
    check(parse_qs(urlsplit(back).query)["state"] == [state], "the state comes back", back)
    token = session.fetch_token(authorization_response=back, code_verifier=verifier)
    check(token["token_type"] == "Bearer", "the code is worth a token", token)

    claims = jwt.decode(
        token["id_token"],
        keys,
        claims_cls=CodeIDToken,
        claims_options={"iss": {"value": BASE}, "aud": {"value": made["id"]}},
        claims_params={
            "nonce": nonce,
            "client_id": made["id"],
            "access_token": token["access_token"],
        },
    )
    claims.validate(leeway=60)
    check(claims.header["alg"] == "ES256", "the ID token is valid", claims)
    about = session.get(metadata["userinfo_endpoint"]).json()
    check(about["sub"] == claims["sub"], "userinfo is about the same person", about)
    check(about["email"] == os.environ["NEXUS_EMAIL"], "and knows the address", about)

    replayed = requests.post(
        metadata["token_endpoint"],
        data={
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(back).query)["code"][0],
            "redirect_uri": REDIRECT,
            "code_verifier": verifier,
        },
        auth=(made["id"], made["client_secret"]),
    )
    check(replayed.json().get("error") == "invalid_grant", "a code works once", replayed.text)
    deadline = time.monotonic() + 5
    while session.get(metadata["userinfo_endpoint"]).status_code != 401:
        assert time.monotonic() < deadline, "tokens of a replayed code still work"
        time.sleep(0.05)
    print("ok: and its second use ends the tokens of the first")

    # Consent is known by now: the browser comes straight back.
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    sent = browser.get(url, allow_redirects=False)
    back = sent.headers["location"]
    check(back.startswith(REDIRECT), "who has agreed is not asked again", back)
    token = session.fetch_token(authorization_response=back, code_verifier=verifier)
    old = token["refresh_token"]
    token = session.refresh_token(metadata["token_endpoint"], refresh_token=old)
    check(token["refresh_token"] != old, "a refresh token is exchanged", token)

    known = session.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"]
    ).json()
    check(known["active"] is True, "the token is active", known)
    session.revoke_token(metadata["revocation_endpoint"], token=token["refresh_token"])
    known = session.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"]
    ).json()
    check(known["active"] is False, "and is not after it was revoked", known)

    device(metadata, made, browser)
    end = requests.Request(
        "GET",
        metadata["end_session_endpoint"],
        params={
            "id_token_hint": token["id_token"],
            "post_logout_redirect_uri": AFTER_LOGOUT,
            "state": "s1",
        },
    ).prepare()
    gone = browser.get(end.url, allow_redirects=False)
    check(gone.headers["location"] == f"{AFTER_LOGOUT}?state=s1", "the person leaves", gone.headers)
    left = browser.get(f"{BASE}/api/session-mgr/v1/sessions/current")
    check(left.status_code == 401, "and is out", left.text)


def device(metadata, made, browser):
    auth = (made["id"], made["client_secret"])
    begun = requests.post(
        metadata["device_authorization_endpoint"], data={"scope": "openid"}, auth=auth
    ).json()
    ask = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": begun["device_code"],
    }
    early = requests.post(metadata["token_endpoint"], data=ask, auth=auth).json()
    check(early["error"] == "authorization_pending", "a device waits", early)
    hasty = requests.post(metadata["token_endpoint"], data=ask, auth=auth).json()
    check(hasty["error"] == "slow_down", "and is told to be patient", hasty)
    path = f"{BASE}/api/auth/v1/devices/{begun['user_code'].lower()}"
    answer = browser.post(f"{path}/decision", json={"approve": True})
    check(answer.status_code == 204, "the person lets it in", answer.text)
    token = requests.post(metadata["token_endpoint"], data=ask, auth=auth).json()
    check("access_token" in token, "the device is in", token)


main()
