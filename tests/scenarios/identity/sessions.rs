//! Somebody is in, at one device and then at another, and out again: by their own hand, by
//! another's or because time has passed.

use super::sessions_ground::{
    Person, SESSIONS, ask, ask_in, browser, number, person, sign_in, suite, tell,
};
use http::Method;
use nexus_harness::prelude::*;
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

async fn nexus() -> Nexus {
    suite(&["session-mgr"]).await
}

async fn stands(nexus: &Nexus, session: &Value) -> bool {
    let path = format!("{SESSIONS}/internal/introspect");
    let question = json!({ "secret": session["secret"] });
    let told = ask(nexus, "auth", "session-mgr", Method::POST, &path, question).await.status(200);
    told["active"].as_bool().unwrap()
}

async fn reason(nexus: &Nexus, reason: &str) -> i64 {
    let sql = format!("select count(*) from session_mgr.session where ended_reason = '{reason}'");
    number(nexus, &sql).await
}

/// How many of the credentials that hosts know still open something.
async fn credentials(nexus: &Nexus) -> i64 {
    number(nexus, "select count(*) from platform.credential where revoked_at is null").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_known_by_its_secret_and_to_the_hosts_by_its_digest() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let session = sign_in(&nexus, &ada).await;
    let secret = session["secret"].as_str().unwrap();
    assert!(secret.starts_with("nxs_") && secret.len() == 47, "{secret}");
    assert_eq!(session["idle_seconds"], 1800);
    assert!(stands(&nexus, &session).await);
    let digest = format!(
        "select count(*) from platform.credential c join session_mgr.session s
           on s.id = c.id and s.digest = c.digest
         where c.kind = 'session' and c.digest = sha256('{secret}') and c.subject = '{}'
           and c.idle_seconds = 1800 and c.acr = 'urn:nexus:acr:1fa'",
        ada.id
    );
    assert_eq!(number(&nexus, &digest).await, 1);
    let path = format!("{SESSIONS}/internal/sessions/{}", session["id"].as_str().unwrap());
    let known = ask(&nexus, "gateway", "session-mgr", Method::GET, &path, Value::Null).await;
    assert_eq!(known.status(200)["subject"], json!(ada.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_draws_the_secret_anew_so_that_a_planted_one_is_worth_nothing() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let before = sign_in(&nexus, &ada).await;
    let path = format!("{SESSIONS}/internal/sessions/{}", before["id"].as_str().unwrap());
    let proof = json!({
        "amr": ["pwd", "otp", "mfa"], "acr": "urn:nexus:acr:2fa", "auth_time": 1_800_000_000,
    });
    nexus.advance(days(400)).await;
    let late = ask(&nexus, "user-auth", "session-mgr", Method::PATCH, &path, proof.clone()).await;
    late.problem(404, "not-found");
    let before = sign_in(&nexus, &ada).await;
    let path = format!("{SESSIONS}/internal/sessions/{}", before["id"].as_str().unwrap());
    let after = ask(&nexus, "user-auth", "session-mgr", Method::PATCH, &path, proof).await;
    let after = after.status(200);
    assert_eq!((&after["id"], &after["expires_at"]), (&before["id"], &before["expires_at"]));
    assert_ne!(after["secret"], before["secret"]);
    assert_ne!(after["csrf_token"], before["csrf_token"]);
    assert!(!stands(&nexus, &before).await);
    assert!(stands(&nexus, &after).await);
    let raised = "select count(*) from platform.credential where acr = 'urn:nexus:acr:2fa'
        and extract(epoch from auth_time) = 1800000000";
    assert_eq!(number(&nexus, raised).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_at_the_same_moment_leave_as_many_sessions_as_the_tenant_allows() {
    let nexus = nexus().await;
    let ada = Arc::new(person(&nexus, &[]).await);
    let keeper = nexus.member_with(["session-mgr:manage"]).await;
    let policy = keeper.get(&format!("{SESSIONS}/policy")).await.ok();
    let tag = policy.header("etag").unwrap().to_owned();
    let mut few: Value = policy.json();
    few["sessions_max"] = json!(3);
    keeper.clone().header("if-match", &tag).put(&format!("{SESSIONS}/policy"), &few).await.ok();
    let first = sign_in(&nexus, &ada).await;
    let nexus = Arc::new(nexus);
    let mut all = JoinSet::new();
    for _ in 0..6 {
        let (nexus, ada) = (nexus.clone(), ada.clone());
        all.spawn(async move { sign_in(&nexus, &ada).await });
    }
    let sessions = all.join_all().await;
    assert_eq!(sessions.len(), 6);
    assert!(!stands(&nexus, &first).await, "the oldest ends");
    let mut standing = 0;
    for session in &sessions {
        standing += usize::from(stands(&nexus, session).await);
    }
    assert_eq!(standing, 3);
    assert_eq!(credentials(&nexus).await, 3);
    assert_eq!(reason(&nexus, "replaced").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_session_runs_out_and_a_persistent_one_lasts_a_month() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let short = sign_in(&nexus, &ada).await;
    let path = format!("{SESSIONS}/internal/sessions");
    let draft = json!({
        "subject": ada.id, "amr": ["hwk", "user"], "acr": "urn:nexus:acr:passkey", "auth_time": 0,
        "persistent": true,
    });
    let long = ask(&nexus, "user-auth", "session-mgr", Method::POST, &path, draft).await;
    let long = long.status(201);
    nexus.advance(minutes(29)).await;
    assert!(stands(&nexus, &short).await);
    nexus.advance(minutes(2)).await;
    assert!(!stands(&nexus, &short).await);
    assert!(stands(&nexus, &long).await);
    let swept = async || reason(&nexus, "expired").await == 1;
    eventually("the sweep has told of it", seconds(30), swept).await;
    assert_eq!(credentials(&nexus).await, 1);
    let told = "select count(*) from platform.revocation where kind = 'session'";
    assert_eq!(number(&nexus, told).await, 1);
    nexus.advance(days(31)).await;
    assert!(!stands(&nexus, &long).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_leaves_only_the_session_that_changed_it() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let (own, other) = (sign_in(&nexus, &ada).await, sign_in(&nexus, &ada).await);
    let bob = person(&nexus, &[]).await;
    let stranger = sign_in(&nexus, &bob).await;
    let changed = json!({ "user": ada.id, "session": own["id"] });
    tell(&nexus, "session-mgr", "identity.password.changed.v1", changed).await;
    assert!(stands(&nexus, &own).await);
    assert!(!stands(&nexus, &other).await);
    assert!(stands(&nexus, &stranger).await);
    let recovered = json!({ "user": ada.id, "session": null });
    tell(&nexus, "session-mgr", "identity.password.changed.v1", recovered).await;
    assert!(!stands(&nexus, &own).await);
    assert_eq!(reason(&nexus, "password-changed").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_is_out_and_of_who_is_erased_nothing_is_left() {
    let nexus = nexus().await;
    let (ada, bob) = (person(&nexus, &[]).await, person(&nexus, &[]).await);
    let (of_ada, of_bob) = (sign_in(&nexus, &ada).await, sign_in(&nexus, &bob).await);
    let suspended = json!({ "id": ada.id, "reason": null });
    tell(&nexus, "session-mgr", "identity.user.suspended.v1", suspended).await;
    assert!(!stands(&nexus, &of_ada).await);
    assert!(stands(&nexus, &of_bob).await);
    tell(&nexus, "session-mgr", "identity.user.erased.v1", json!({ "id": bob.id })).await;
    assert!(!stands(&nexus, &of_bob).await);
    assert_eq!(credentials(&nexus).await, 0);
    let left = format!("select count(*) from session_mgr.session where subject = '{}'", bob.id);
    assert_eq!(number(&nexus, &left).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_flow_ends_all_sessions_but_one_and_a_keeper_those_of_one_person() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let (own, other) = (sign_in(&nexus, &ada).await, sign_in(&nexus, &ada).await);
    let id = own["id"].as_str().unwrap();
    let path = format!("{SESSIONS}/internal/users/{}/sessions?except={id}", ada.id);
    ask(&nexus, "user-auth", "session-mgr", Method::DELETE, &path, Value::Null).await.status(204);
    assert!(stands(&nexus, &own).await && !stands(&nexus, &other).await);
    let keeper = nexus.member_with(["session-mgr:manage"]).await;
    let path = format!("{SESSIONS}/users/{}/sessions", ada.id);
    let list: Value = keeper.get(&path).await.ok().json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["device"], "Firefox on Linux");
    assert_eq!(list["items"][0]["address"], "203.0.113.7");
    let stranger = nexus.stranger_with(Uuid::now_v7(), ["session-mgr:manage"]).await;
    stranger.delete(&format!("{path}/{id}")).await.problem(404, "not-found");
    assert_eq!(stranger.get(&path).await.ok().json::<Value>()["items"], json!([]));
    keeper.delete(&format!("{path}/{id}")).await.no_content();
    keeper.delete(&format!("{path}/{id}")).await.problem(404, "not-found");
    assert!(!stands(&nexus, &own).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_begun_by_login_flows_and_seen_by_their_tenant_alone() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let path = format!("{SESSIONS}/internal/sessions");
    let draft = json!({ "subject": ada.id, "amr": ["pwd"], "acr": "urn:nexus:acr:1fa",
        "auth_time": 0 });
    nexus.operator().post(&path, &draft).await.problem(404, "not-found");
    let thief = ask(&nexus, "scheduler", "session-mgr", Method::POST, &path, draft.clone()).await;
    thief.problem(404, "not-found");
    let session = sign_in(&nexus, &ada).await;
    let question = json!({ "secret": session["secret"] });
    let introspect = format!("{SESSIONS}/internal/introspect");
    let elsewhere =
        ask_in(&nexus, Uuid::now_v7(), "auth", "session-mgr", Method::POST, &introspect, question);
    assert_eq!(elsewhere.await.status(200), json!({ "active": false }));
    let member = nexus.member_with(["session-mgr:view"]).await;
    let of_ada = format!("{SESSIONS}/users/{}/sessions", ada.id);
    member.get(&of_ada).await.problem(403, "forbidden");
    nexus.anonymous().get(&of_ada).await.problem(401, "unauthenticated");
    nexus.anonymous().get(&format!("{SESSIONS}/sessions")).await.problem(401, "unauthenticated");
    member.get(&format!("{SESSIONS}/sessions/current")).await.problem(404, "no-session");
}

async fn two_devices(nexus: &Nexus) -> (Person, Value, Value) {
    let ada = person(nexus, &[]).await;
    let (here, there) = (sign_in(nexus, &ada).await, sign_in(nexus, &ada).await);
    (ada, here, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_sees_their_devices_and_signs_out_the_one_they_do_not_know() {
    let nexus = nexus().await;
    let (_, here, there) = two_devices(&nexus).await;
    let own = browser(&nexus, &here);
    let current: Value = own.get(&format!("{SESSIONS}/sessions/current")).await.ok().json();
    assert_eq!(current["csrf_token"], here["csrf_token"]);
    let list: Value = own.get(&format!("{SESSIONS}/sessions")).await.ok().json();
    let marked = |id: &Value| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["id"] == *id).unwrap()["current"].clone()
    };
    assert_eq!((marked(&here["id"]), marked(&there["id"])), (json!(true), json!(false)));
    own.delete(&format!("{SESSIONS}/sessions?others_only=true")).await.no_content();
    assert!(stands(&nexus, &here).await && !stands(&nexus, &there).await);
    let stolen = browser(&nexus, &there);
    let out = async || stolen.get(&format!("{SESSIONS}/sessions")).await.status == 401;
    eventually("the other device is out", seconds(5), out).await;
    let id = here["id"].as_str().unwrap();
    own.delete(&format!("{SESSIONS}/sessions/{id}")).await.no_content();
    assert_eq!(reason(&nexus, "signed-out").await, 1);
    assert_eq!(reason(&nexus, "ended").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_out_somebody_elses_device() {
    let nexus = nexus().await;
    let (_, here, _) = two_devices(&nexus).await;
    let (_, elsewhere, _) = two_devices(&nexus).await;
    let id = elsewhere["id"].as_str().unwrap();
    let own = browser(&nexus, &here);
    own.delete(&format!("{SESSIONS}/sessions/{id}")).await.problem(404, "not-found");
    assert!(stands(&nexus, &elsewhere).await);
}
