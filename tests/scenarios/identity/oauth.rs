//! A program asks to be let in: what it gets when a person agrees, and what thieves get.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nexus_harness::prelude::*;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub const ADDRESS: &str = "https://client.example/callback";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CLIENTS: &str = "/api/auth/v1/clients";
const PASSWORD: &str = "a sentence that nobody else has written";

/// A person at a browser that is signed in: the first administrator.
pub async fn person(nexus: &Nexus) -> Client {
    let draft = json!({
        "token": nexus.setup_token().await, "email": "ada@nexus.example", "display_name": "Ada",
        "password": PASSWORD,
    });
    let answer = nexus.anonymous().post("/api/user-auth/v1/setup", draft).await;
    assert!(answer.status.is_success(), "{answer:?}");
    let cookie = answer.header("set-cookie").expect("a session cookie");
    let cookie = cookie.split(';').next().unwrap();
    let csrf: Value = answer.json();
    let csrf = csrf["session"]["csrf_token"].as_str().expect("a CSRF token").to_owned();
    nexus.anonymous().header("cookie", cookie).header("x-csrf-token", &csrf)
}

/// A program that people can sign in to.
pub struct Program {
    pub nexus: Client,
    pub id: String,
    pub secret: String,
}

impl Program {
    pub async fn register(nexus: &Nexus, changes: Value) -> Self {
        let mut draft = json!({
            "name": "Shop", "kind": "confidential", "redirect_uris": [ADDRESS],
            "scopes": ["core-os:view"],
        });
        draft.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let made = nexus.operator().post(CLIENTS, draft).await.created().json;
        let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        Self { nexus: nexus.anonymous(), id: text("id"), secret: text("client_secret") }
    }

    fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, self.secret)))
    }

    /// Sends a form to an endpoint of the protocol, as this client.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = self.nexus.request(http::Method::POST, path).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("authorization", &self.basic()).send().await
    }

    pub async fn redeem(&self, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", ADDRESS),
            ("code_verifier", VERIFIER),
        ];
        self.form("/oauth2/token", &fields).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.form("/oauth2/token", &fields).await
    }

    pub fn wish(&self, changes: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", self.id.as_str()),
            ("redirect_uri", ADDRESS),
            ("scope", "openid core-os:view offline_access"),
            ("state", "s&t=1"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.push((name, value));
        }
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        format!("/oauth2/authorize?{}", pairs.collect::<Vec<_>>().join("&"))
    }

    /// A code, from a person who is asked and agrees.
    pub async fn code(&self, person: &Client) -> String {
        let asked = sent_on(&person.get(&self.wish(&[])).await);
        let request = asked.strip_prefix("/account/consent?request=").expect("the consent page");
        let path = format!("/api/auth/v1/requests/{request}/decision");
        let onward: Value = person.post(&path, json!({ "approve": true })).await.ok().json();
        query(onward["redirect_to"].as_str().unwrap(), "code").expect("a code")
    }
}

pub fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let escape = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(escape).collect()
}

#[track_caller]
pub fn sent_on(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").expect("a location").to_owned()
}

/// A parameter of an address, as it is written there.
pub fn query(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let pair = |pair: &str| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    query.split('&').find_map(pair)
}

#[track_caller]
pub fn refused(answer: &Answer, error: &str) {
    let said: Value = answer.json();
    assert_eq!(said["error"], error, "{answer:?}");
    assert!(answer.status.is_client_error(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_agrees_and_the_program_acts_within_what_was_agreed() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let code = shop.code(&person).await;
    let tokens: Value = shop.redeem(&code).await.ok().json();
    assert_eq!(tokens["scope"], "openid core-os:view offline_access");
    let program = nexus.anonymous().bearer(tokens["access_token"].as_str().unwrap());
    program.get("/api/core-os/v1/flags").await.ok();
    // The person may do everything, the program may not.
    let flag = json!({ "key": "x", "variants": { "on": true }, "default_variant": "on" });
    program.post("/api/core-os/v1/flags", flag).await.problem(403, "forbidden");
    let about: Value = program.get("/oauth2/userinfo").await.ok().json();
    assert!(about.get("email").is_none(), "the address was not asked for: {about}");
    // Whoever has agreed is not asked again, but for more.
    let back = sent_on(&person.get(&shop.wish(&[])).await);
    assert!(back.starts_with(ADDRESS), "{back}");
    assert_eq!(query(&back, "state").as_deref(), Some("s%26t%3D1"));
    assert_eq!(query(&back, "iss"), Some(escaped(nexus.host().public_url())));
    let more = sent_on(&person.get(&shop.wish(&[("scope", "openid email")])).await);
    assert!(more.starts_with("/account/consent"), "{more}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_its_second_use_ends_the_tokens_of_the_first() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let code = shop.code(&person).await;
    let tokens: Value = shop.redeem(&code).await.ok().json();
    refused(&shop.redeem(&code).await, "invalid_grant");
    refused(&shop.refresh(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");
    let program = nexus.anonymous().bearer(tokens["access_token"].as_str().unwrap());
    eventually("the first token is worth nothing", seconds(5), async || {
        program.get("/api/core-os/v1/flags").await.status == 401
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_show_one_code_at_once_are_not_both_let_in() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let code = shop.code(&person).await;
    let (one, other) = tokio::join!(shop.redeem(&code), shop.redeem(&code));
    let let_in = [one, other].iter().filter(|answer| answer.status == 200).count();
    assert!(let_in <= 1, "{let_in} tokens for one code");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_worth_nothing_to_anybody_else() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let thief = Program::register(&nexus, json!({ "name": "Thief" })).await;
    let code = shop.code(&person).await;
    refused(&thief.redeem(&code).await, "invalid_grant");
    let with = |changed: (&'static str, &'static str)| {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", ADDRESS),
            ("code_verifier", VERIFIER),
        ];
        fields.retain(|(name, _)| *name != changed.0);
        if !changed.1.is_empty() {
            fields.push(changed);
        }
        fields
    };
    for changed in [
        ("code_verifier", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_verifier", ""),
        ("redirect_uri", "https://client.example/callback/"),
        ("redirect_uri", ""),
    ] {
        refused(&shop.form("/oauth2/token", &with(changed)).await, "invalid_grant");
    }
    let wrong =
        Program { secret: "nxc_wrong".into(), ..Program::register(&nexus, json!({})).await };
    let answer = wrong.redeem(&code).await.status(401);
    refused(&answer, "invalid_client");
    assert!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Basic")));
    // None of that has used it up.
    shop.redeem(&code).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_ever_sent_to_an_address_that_is_not_registered() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    for address in [
        "https://evil.example/callback",
        "https://client.example/callback/../evil",
        "https://client.example/callback?x=1",
        "https://client.example.evil.example/callback",
        "https://client.example@evil.example/callback",
        "https://client.example/callback#x",
        "//client.example/callback",
        "javascript:alert(1)",
        "",
    ] {
        for prompt in ["", "none"] {
            let wish = shop.wish(&[("redirect_uri", address), ("prompt", prompt)]);
            let answer = person.get(&wish).await.status(400);
            assert!(answer.header("location").is_none(), "{address}: {answer:?}");
        }
    }
    let unknown = shop.wish(&[("client_id", &Uuid::now_v7().to_string())]);
    assert!(person.get(&unknown).await.status(400).header("location").is_none());
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", shop.wish(&[]));
    assert!(person.get(&twice).await.status(400).header("location").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_to_the_program() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    for (changed, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "core-os:configure"), "invalid_scope"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("prompt", "none"), "consent_required"),
        (("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"),
    ] {
        let back = sent_on(&person.get(&shop.wish(&[changed])).await);
        assert!(back.starts_with(ADDRESS), "{back}");
        assert_eq!(query(&back, "error").as_deref(), Some(error));
        assert_eq!(query(&back, "state").as_deref(), Some("s%26t%3D1"));
    }
    let nobody = sent_on(&nexus.anonymous().get(&shop.wish(&[("prompt", "none")])).await);
    assert_eq!(query(&nobody, "error").as_deref(), Some("login_required"));
    let door = sent_on(&nexus.anonymous().get(&shop.wish(&[])).await);
    assert!(door.starts_with("/account/sign-in?return_to=%2Foauth2%2Fauthorize"), "{door}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_used_twice_ends_its_family() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let first: Value = shop.redeem(&shop.code(&person).await).await.ok().json();
    let first = first["refresh_token"].as_str().unwrap().to_owned();
    let thief = Program::register(&nexus, json!({ "name": "Thief" })).await;
    refused(&thief.refresh(&first).await, "invalid_grant");
    let second: Value = shop.refresh(&first).await.ok().json();
    let second = second["refresh_token"].as_str().unwrap().to_owned();
    let third: Value = shop.refresh(&second).await.ok().json();
    // A lost answer may be asked for again for a moment; this one is two exchanges old.
    refused(&shop.refresh(&first).await, "invalid_grant");
    refused(&shop.refresh(third["refresh_token"].as_str().unwrap()).await, "invalid_grant");
    let program = nexus.anonymous().bearer(third["access_token"].as_str().unwrap());
    eventually("the family's tokens are worth nothing", seconds(5), async || {
        program.get("/api/core-os/v1/flags").await.status == 401
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_person_who_was_asked_can_answer() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let asked = sent_on(&person.get(&shop.wish(&[])).await);
    let request = asked.strip_prefix("/account/consent?request=").unwrap();
    let path = format!("/api/auth/v1/requests/{request}");
    let somebody = nexus.member_with(["auth:view"]).await;
    somebody.get(&path).await.problem(404, "not-found");
    let decision = format!("{path}/decision");
    let yes = json!({ "approve": true });
    somebody.post(&decision, &yes).await.problem(404, "not-found");
    let no: Value = person.post(&decision, json!({ "approve": false })).await.ok().json();
    assert_eq!(
        query(no["redirect_to"].as_str().unwrap(), "error").as_deref(),
        Some("access_denied")
    );
    person.post(&decision, &yes).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_consent_back_ends_what_the_program_holds() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let tokens: Value = shop.redeem(&shop.code(&person).await).await.ok().json();
    let listed: Value = person.get("/api/auth/v1/consents").await.ok().json();
    assert_eq!(listed["items"][0]["name"], "Shop");
    person.delete(&format!("/api/auth/v1/consents/{}", shop.id)).await.no_content();
    refused(&shop.refresh(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");
    let asked = sent_on(&person.get(&shop.wish(&[])).await);
    assert!(asked.starts_with("/account/consent"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_acts_for_itself_with_its_own_permissions_and_no_more() {
    let nexus = Nexus::start().await;
    let robot = json!({
        "grant_types": ["client_credentials"], "redirect_uris": [], "scopes": [],
        "permissions": ["core-os:view"],
    });
    let robot = Program::register(&nexus, robot).await;
    let ask = [("grant_type", "client_credentials")];
    let token: Value = robot.form("/oauth2/token", &ask).await.ok().json();
    assert!(token.get("refresh_token").is_none() && token.get("id_token").is_none());
    let program = nexus.anonymous().bearer(token["access_token"].as_str().unwrap());
    program.get("/api/core-os/v1/flags").await.ok();
    let flag = json!({ "key": "x", "variants": { "on": true }, "default_variant": "on" });
    program.post("/api/core-os/v1/flags", flag).await.problem(403, "forbidden");
    let more = [("grant_type", "client_credentials"), ("scope", "core-os:configure")];
    refused(&robot.form("/oauth2/token", &more).await, "invalid_scope");
    refused(
        &robot.form("/oauth2/token", &[("grant_type", "password")]).await,
        "unsupported_grant_type",
    );
    nexus.operator().delete(&format!("{CLIENTS}/{}", robot.id)).await.no_content();
    refused(&robot.form("/oauth2/token", &ask).await, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_given_nothing_that_its_maker_does_not_hold() {
    let nexus = Nexus::start().await;
    let maker = nexus.member_with(["auth:manage", "core-os:view"]).await;
    let about = json!({ "name": "Shop", "kind": "public", "redirect_uris": [ADDRESS] });
    let draft = |scope: &str| {
        let mut draft = about.clone();
        draft["scopes"] = json!([scope]);
        draft
    };
    let held = maker.post(CLIENTS, draft("core-os:view")).await.created();
    maker.post(CLIENTS, draft("core-os:configure")).await.problem(403, "scope-not-held");
    maker.post(CLIENTS, draft("*")).await.problem(403, "scope-not-held");
    let stranger = nexus.stranger_with(Uuid::now_v7(), ["auth:view", "auth:manage"]).await;
    stranger.get(&held.url).await.problem(404, "not-found");
    stranger.delete(&held.url).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_anybodys_signs_nobody_out() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let bye = "https://client.example/bye";
    let changes = json!({ "post_logout_redirect_uris": [bye] });
    let shop = Program::register(&nexus, changes).await;
    let tokens: Value = shop.redeem(&shop.code(&person).await).await.ok().json();
    assert_eq!(sent_on(&person.get("/oauth2/logout").await), "/account/sign-out");
    person.get("/api/session-mgr/v1/sessions/current").await.ok();
    let leave = |to: &str| {
        let hint = tokens["id_token"].as_str().unwrap();
        format!("/oauth2/logout?id_token_hint={hint}&post_logout_redirect_uri={}", escaped(to))
    };
    let elsewhere = sent_on(&person.get(&leave("https://evil.example/")).await);
    assert_eq!(elsewhere, "/account/sign-in");
    eventually("the session is over", seconds(5), async || {
        person.get("/api/session-mgr/v1/sessions/current").await.status == 401
    })
    .await;
    assert_eq!(sent_on(&nexus.anonymous().get(&leave(bye)).await), bye);
}
