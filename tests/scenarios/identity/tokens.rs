//! A client has tokens: it shows the one and exchanges the other, and whoever has stolen either
//! does not get far. Signatures are verified by a library that is not ours.

use super::sessions_ground::{
    Person, TOKENS, ask, browser, may, number, person, sign_in, suite, suspend, tell,
};
use http::Method;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use nexus_harness::prelude::*;
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

const CLIENT: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

async fn nexus() -> Nexus {
    suite(&["core-os", "kms", "session-mgr", "token-mgr"]).await
}

async fn auth(nexus: &Nexus, method: Method, path: &str, body: Value) -> (u16, Value) {
    let path = format!("{TOKENS}/internal/{path}");
    let told = ask(nexus, "auth", "token-mgr", method, &path, body).await;
    (told.status, told.json)
}

/// Tokens for a client of somebody else's, as `auth` asks for them.
async fn grant(nexus: &Nexus, person: &Person, session: Option<&Value>) -> Value {
    let wish = json!({
        "family": Uuid::now_v7(), "subject": person.id, "client_id": CLIENT,
        "scope": "openid core-os:view core-os:configure",
        "session": session.map(|session| session["id"].clone()), "auth_time": 1_800_000_000,
        "refresh": true,
    });
    let (status, tokens) = auth(nexus, Method::POST, "families", wish).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn refresh(nexus: &Nexus, token: &Value, scope: Option<&str>) -> (u16, Value) {
    let asked = json!({ "refresh_token": token, "client_id": CLIENT, "scope": scope });
    auth(nexus, Method::POST, "families/refresh", asked).await
}

async fn active(nexus: &Nexus, token: &Value) -> bool {
    let (_, told) = auth(nexus, Method::POST, "introspect", json!({ "token": token })).await;
    told["active"].as_bool().unwrap()
}

#[track_caller]
fn refused((status, problem): (u16, Value), kind: &str) {
    assert_eq!((status, &problem["type"]), (400, &json!(format!("/problems/token-mgr/{kind}"))));
}

/// The claims, if the published keys verify it.
async fn verified(nexus: &Nexus, token: &str) -> Option<Value> {
    let set = nexus.anonymous().get("/.well-known/jwks.json").await.ok();
    let set: JwkSet = set.json();
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap())?).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.validate_aud = false;
    rules.set_issuer(&[nexus.host().public_url()]);
    Some(decode::<Value>(token, &key, &rules).unwrap().claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_verified_by_the_published_keys_and_says_who_and_for_how_long() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let session = sign_in(&nexus, &ada).await;
    let tokens = grant(&nexus, &ada, Some(&session)).await;
    assert_eq!((&tokens["expires_in"], &tokens["subject"]), (&json!(600), &json!(ada.id)));
    let text = tokens["access_token"].as_str().unwrap();
    assert_eq!(decode_header(text).unwrap().typ.as_deref(), Some("at+jwt"));
    let claims = verified(&nexus, text).await.unwrap();
    for (name, expected) in [
        ("aud", json!("nexus")),
        ("sub", json!(ada.id)),
        ("kind", json!("user")),
        ("client_id", json!(CLIENT)),
        ("sid", session["id"].clone()),
        ("scope", json!("openid core-os:view core-os:configure")),
        ("auth_time", json!(1_800_000_000)),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    let told = auth(&nexus, Method::POST, "introspect", json!({ "token": text })).await.1;
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("Bearer")));
    assert_eq!(told["jti"], claims["jti"]);
    let plain = "select count(*) from token_mgr.issued i where i::text like '%eyJ%'";
    assert_eq!(number(&nexus, plain).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_used_once_and_its_second_use_ends_the_family() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let first = grant(&nexus, &ada, None).await;
    let second = refresh(&nexus, &first["refresh_token"], None).await.1;
    let third = refresh(&nexus, &second["refresh_token"], None).await.1;
    assert_ne!(second["refresh_token"], third["refresh_token"]);
    assert!(active(&nexus, &third["refresh_token"]).await);
    assert!(!active(&nexus, &first["refresh_token"]).await);
    // A thief comes late with the first; nobody can tell who is who any more.
    refused(refresh(&nexus, &first["refresh_token"], None).await, "invalid-grant");
    refused(refresh(&nexus, &third["refresh_token"], None).await, "invalid-grant");
    for token in [&first["access_token"], &third["access_token"], &third["refresh_token"]] {
        assert!(!active(&nexus, token).await);
    }
    let ended = "select count(*) from token_mgr.family where ended_reason = 'reuse'";
    assert_eq!(number(&nexus, ended).await, 1);
    let everywhere = "select count(*) from platform.revocation where kind = 'token'";
    assert_eq!(number(&nexus, everywhere).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lost_the_answer_gets_the_same_one_within_ten_seconds_and_not_later() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let first = grant(&nexus, &ada, None).await;
    let lost = refresh(&nexus, &first["refresh_token"], None).await.1;
    nexus.advance(seconds(5)).await;
    let again = refresh(&nexus, &first["refresh_token"], None).await.1;
    assert_eq!(lost["refresh_token"], again["refresh_token"]);
    assert_ne!(lost["access_token"], again["access_token"]);
    nexus.advance(seconds(10)).await;
    refused(refresh(&nexus, &first["refresh_token"], None).await, "invalid-grant");
    refused(refresh(&nexus, &again["refresh_token"], None).await, "invalid-grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_with_one_token_get_one_successor() {
    let nexus = Arc::new(nexus().await);
    let ada = person(&nexus, &[]).await;
    let first = grant(&nexus, &ada, None).await;
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let (nexus, token) = (nexus.clone(), first["refresh_token"].clone());
        all.spawn(async move { refresh(&nexus, &token, None).await });
    }
    let answers = all.join_all().await;
    for (status, answer) in &answers {
        assert_eq!(*status, 200, "{answer}");
        assert_eq!(answer["refresh_token"], answers[0].1["refresh_token"]);
    }
    assert_eq!(number(&nexus, "select count(*) from token_mgr.refresh_token").await, 2);
    let unused = "select count(*) from token_mgr.refresh_token where used_at is null";
    assert_eq!(number(&nexus, unused).await, 1);
    assert_eq!(refresh(&nexus, &answers[0].1["refresh_token"], None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_token_may_do_less_and_never_more_and_belongs_to_its_client() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let first = grant(&nexus, &ada, None).await;
    let (token, less) = (&first["refresh_token"], Some("core-os:view"));
    refused(refresh(&nexus, token, Some("core-os:*")).await, "scope-wider");
    let narrow = refresh(&nexus, token, less).await.1;
    assert_eq!(narrow["scope"], "core-os:view");
    let whole = refresh(&nexus, &narrow["refresh_token"], None).await.1;
    assert_eq!(whole["scope"], "openid core-os:view core-os:configure");
    let stolen = json!({
        "refresh_token": whole["refresh_token"], "client_id": Uuid::now_v7(), "scope": null,
    });
    refused(auth(&nexus, Method::POST, "families/refresh", stolen).await, "invalid-grant");
    // Past `auth`, where its client proves who it is, it is worth nothing.
    let open = format!("{TOKENS}/tokens/refresh");
    let past = json!({ "refresh_token": whole["refresh_token"], "client_id": CLIENT });
    nexus.anonymous().post(&open, past).await.problem(400, "invalid-grant");
    assert_eq!(refresh(&nexus, &whole["refresh_token"], None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_signed_out_or_a_month_away_refreshes_nothing() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let session = sign_in(&nexus, &ada).await;
    let (of_session, loose) =
        (grant(&nexus, &ada, Some(&session)).await, grant(&nexus, &ada, None).await);
    let path = format!("/api/session-mgr/v1/internal/users/{}/sessions", ada.id);
    ask(&nexus, "auth", "session-mgr", Method::DELETE, &path, Value::Null).await.status(204);
    // At once, whether the event has come or not.
    assert!(!active(&nexus, &of_session["access_token"]).await);
    refused(refresh(&nexus, &of_session["refresh_token"], None).await, "invalid-grant");
    assert!(active(&nexus, &loose["access_token"]).await);
    suspend(&nexus, &ada).await;
    assert!(!active(&nexus, &loose["access_token"]).await);
    refused(refresh(&nexus, &loose["refresh_token"], None).await, "invalid-grant");
    may(&nexus, &ada, &[]).await;
    let last = grant(&nexus, &ada, None).await;
    nexus.advance(days(31)).await;
    refused(refresh(&nexus, &last["refresh_token"], None).await, "invalid-grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_elsewhere_ends_families_here() {
    let nexus = nexus().await;
    let (ada, bob) = (person(&nexus, &[]).await, person(&nexus, &[]).await);
    let session = sign_in(&nexus, &ada).await;
    grant(&nexus, &ada, Some(&session)).await;
    grant(&nexus, &ada, None).await;
    grant(&nexus, &bob, None).await;
    let path = format!("/api/session-mgr/v1/internal/users/{}/sessions", ada.id);
    ask(&nexus, "auth", "session-mgr", Method::DELETE, &path, Value::Null).await.status(204);
    let ended = "select count(*) from token_mgr.family where ended_reason = 'session-ended'";
    let over = async || number(&nexus, ended).await == 1;
    eventually("the event has come", seconds(10), over).await;
    tell(
        &nexus,
        "token-mgr",
        "identity.user.suspended.v1",
        json!({ "id": ada.id, "reason": null }),
    )
    .await;
    let ended = "select count(*) from token_mgr.family where ended_reason = 'subject-ended'";
    assert_eq!(number(&nexus, ended).await, 1);
    tell(&nexus, "token-mgr", "identity.user.erased.v1", json!({ "id": bob.id })).await;
    assert_eq!(number(&nexus, "select count(*) from token_mgr.family").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_given_back_is_worth_nothing_and_of_a_stranger_nothing_is_said() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let tokens = grant(&nexus, &ada, None).await;
    let give = async |token: &Value, client: &str| {
        let given = json!({ "token": token, "client_id": client });
        assert_eq!(auth(&nexus, Method::POST, "revoke", given).await.0, 204);
    };
    give(&tokens["access_token"], "somebody-else").await;
    assert!(active(&nexus, &tokens["access_token"]).await);
    give(&tokens["access_token"], CLIENT).await;
    assert!(!active(&nexus, &tokens["access_token"]).await);
    assert!(active(&nexus, &tokens["refresh_token"]).await);
    give(&tokens["refresh_token"], CLIENT).await;
    give(&json!("nxr_unheard-of"), CLIENT).await;
    assert!(!active(&nexus, &tokens["refresh_token"]).await);
    let (_, told) = auth(&nexus, Method::POST, "introspect", json!({ "token": "a.b.c" })).await;
    assert_eq!(told, json!({ "active": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_has_single_tokens_made_but_not_what_they_say_of_who_and_when() {
    let nexus = nexus().await;
    let mint = |claims: Value| {
        json!({
            "subject": "shop", "kind": "user", "typ": "JWT", "audience": CLIENT,
            "lifetime_seconds": 300, "claims": claims,
        })
    };
    let (status, minted) =
        auth(&nexus, Method::POST, "mint", mint(json!({ "nonce": "n-1" }))).await;
    assert_eq!(status, 200, "{minted}");
    let claims = verified(&nexus, minted["token"].as_str().unwrap()).await.unwrap();
    assert_eq!((&claims["nonce"], &claims["aud"]), (&json!("n-1"), &json!(CLIENT)));
    assert_eq!(claims["jti"], minted["jti"]);
    let (status, _) = auth(&nexus, Method::POST, "mint", mint(json!({ "sub": "root" }))).await;
    assert_eq!(status, 422);
    let mut late = mint(json!({}));
    late["not_after"] = json!(1);
    let (status, problem) = auth(&nexus, Method::POST, "mint", late).await;
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/token-mgr/token-lifetime")));
    let path = format!("{TOKENS}/internal/mint");
    let thief = ask(&nexus, "scheduler", "token-mgr", Method::POST, &path, mint(json!({}))).await;
    thief.problem(404, "not-found");
    nexus.operator().post(&path, mint(json!({}))).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_known_a_day_before_it_signs_and_the_old_one_is_believed_long_enough() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let kid = |tokens: &Value| {
        decode_header(tokens["access_token"].as_str().unwrap()).unwrap().kid.unwrap()
    };
    let first = kid(&grant(&nexus, &ada, None).await);
    let operator = nexus.operator();
    let key = operator.get(&format!("{TOKENS}/jwks")).await.ok();
    let tag = key.header("etag").unwrap().to_owned();
    assert_eq!(key.header("cache-control"), Some("public, max-age=300"));
    let known = nexus.anonymous().header("if-none-match", &tag);
    known.get("/.well-known/jwks.json").await.status(304);
    operator.post(&format!("{TOKENS}/keys/rotate"), json!({})).await.no_content();
    let set: Value = known.get("/.well-known/jwks.json").await.ok().json();
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    assert!(set["keys"].as_array().unwrap().iter().all(|key| key["d"].is_null()));
    assert_eq!(kid(&grant(&nexus, &ada, None).await), first);
    let hosts = "select count(*) from platform.signing_key";
    assert_eq!(number(&nexus, hosts).await, 2);
    nexus.advance(hours(24) + seconds(1)).await;
    let second = kid(&grant(&nexus, &ada, None).await);
    assert_ne!(second, first);
    let believed = "select count(*) from platform.signing_key where expires_at is not null";
    let over = async || number(&nexus, believed).await == 1;
    eventually("the old key has an end", seconds(30), over).await;
    nexus.advance(hours(24)).await;
    let set: Value = nexus.anonymous().get("/.well-known/jwks.json").await.ok().json();
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    nexus.advance(hours(25)).await;
    let set: Value = nexus.anonymous().get("/.well-known/jwks.json").await.ok().json();
    assert_eq!(set["keys"][0]["kid"], json!(second));
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_signing_key_is_withdrawn_at_once_and_the_next_one_signs() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let before = grant(&nexus, &ada, None).await;
    let text = before["access_token"].as_str().unwrap();
    let kid = decode_header(text).unwrap().kid.unwrap();
    let path = format!("{TOKENS}/keys/{kid}/withdraw");
    let stranger = nexus.stranger_with(Uuid::now_v7(), ["*"]).await;
    stranger.post(&path, json!({})).await.problem(404, "not-found");
    let member = nexus.member_with(["token-mgr:manage"]).await;
    member.post(&path, json!({})).await.problem(403, "forbidden");
    nexus.operator().post(&path, json!({})).await.no_content();
    nexus.operator().post(&path, json!({})).await.problem(409, "key-withdrawn");
    assert!(verified(&nexus, text).await.is_none());
    let after = refresh(&nexus, &before["refresh_token"], None).await.1;
    let text = after["access_token"].as_str().unwrap();
    assert_ne!(decode_header(text).unwrap().kid.unwrap(), kid);
    assert!(verified(&nexus, text).await.is_some());
    assert_eq!(number(&nexus, "select count(*) from platform.signing_key").await, 1);
}

/// Whoever listens to kms may make the next key known a moment before the withdrawal looks for it,
/// by a clock that is ahead of its own. The table plays that other one.
const AHEAD: &str = "
  create function token_mgr.another_host() returns trigger language plpgsql as
    $$ begin new.active_at := new.active_at + interval '5 seconds'; return new; end $$;
  create trigger another_host before insert on token_mgr.key
    for each row execute function token_mgr.another_host()";

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_answered_as_done_when_another_host_was_faster_with_the_next_key() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let before = grant(&nexus, &ada, None).await;
    let kid = decode_header(before["access_token"].as_str().unwrap()).unwrap().kid.unwrap();
    nexus.host().database().unwrap().host().await.unwrap().batch(AHEAD).await.unwrap();
    let path = format!("{TOKENS}/keys/{kid}/withdraw");
    nexus.operator().post(&path, json!({})).await.no_content();
    // The next key does not wait either: nobody else signs.
    let after = refresh(&nexus, &before["refresh_token"], None).await.1;
    let text = after["access_token"].as_str().unwrap();
    assert_ne!(decode_header(text).unwrap().kid.unwrap(), kid);
    assert!(verified(&nexus, text).await.is_some());
    let versions = "select count(*) from token_mgr.key";
    assert_eq!(number(&nexus, versions).await, 2, "one key took over, not several");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_taken_away_is_gone_for_tokens_that_were_made_before() {
    let nexus = nexus().await;
    let ada = person(&nexus, &["core-os:view", "core-os:configure"]).await;
    let session = sign_in(&nexus, &ada).await;
    let wish = json!({ "scope": "core-os:view" });
    let path = format!("{TOKENS}/tokens");
    let tokens: Value = browser(&nexus, &session).post(&path, wish).await.ok().json();
    let app = nexus.anonymous().bearer(tokens["access_token"].as_str().unwrap());
    let flags = "/api/core-os/v1/flags";
    app.get(flags).await.ok();
    // What its owner may and it may not.
    let flag = json!({
        "key": "new", "description": "", "variants": { "off": false },
        "default_variant": "off", "off_variant": "off", "rules": [],
    });
    app.post(flags, flag).await.problem(403, "forbidden");
    // A narrow token does not make a wide one.
    app.post(&path, json!({})).await.problem(403, "credential-limited");
    app.get(&path).await.problem(403, "credential-limited");
    app.get(&format!("{TOKENS}/apikeys")).await.problem(403, "credential-limited");
    app.get("/api/session-mgr/v1/sessions").await.problem(403, "credential-limited");
    may(&nexus, &ada, &[]).await;
    let gone = async || app.get(flags).await.status == 403;
    eventually("the role is gone on this host", seconds(5), gone).await;
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    let next = nexus.anonymous().post(&format!("{TOKENS}/tokens/refresh"), refresh).await.ok();
    let next: Value = next.json();
    let list: Value = browser(&nexus, &session).get(&path).await.ok().json();
    assert_eq!(list["items"][0]["client_id"], "nexus");
    let given = json!({ "token": next["refresh_token"] });
    nexus.anonymous().post(&format!("{TOKENS}/tokens/revoke"), given).await.no_content();
    let app = nexus.anonymous().bearer(next["access_token"].as_str().unwrap());
    let out = async || app.get(flags).await.status == 401;
    eventually("the tokens are worth nothing", seconds(5), out).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_for_people_with_a_session() {
    let nexus = nexus().await;
    let path = format!("{TOKENS}/tokens");
    nexus.anonymous().post(&path, json!({})).await.problem(401, "unauthenticated");
    nexus.member_with(["*"]).await.post(&path, json!({})).await.problem(403, "session-needed");
    let ada = person(&nexus, &[]).await;
    let session = sign_in(&nexus, &ada).await;
    let own = browser(&nexus, &session);
    let elsewhere = json!({ "organisation": Uuid::now_v7() });
    own.post(&path, elsewhere).await.problem(403, "not-a-member");
    own.post(&path, json!({ "scope": "everything" })).await.problem(422, "scope-words");
    own.post(&path, json!({ "client_id": "a b" })).await.problem(422, "client-name");
}
