//! The identity services on a real host, asked as other components ask them: what stories about
//! sessions, tokens and keys stand on.

use http::Method;
use http_body_util::BodyExt as _;
use nexus_harness::Client;
use nexus_harness::prelude::*;
use nexus_runtime::{
    Call, ComponentId, DEFAULT_TENANT, Delivery, Message, Outcome, Principal, full,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

pub const SESSIONS: &str = "/api/session-mgr/v1";
pub const TOKENS: &str = "/api/token-mgr/v1";

/// A host with these components alone, as their fragments grant.
pub async fn suite(components: &[&str]) -> Nexus {
    Nexus::setup().services(components).start().await
}

/// What a component answered to another.
pub struct Told {
    pub status: u16,
    pub json: Value,
}

impl Told {
    #[track_caller]
    pub fn status(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json
    }

    /// Claims a problem whose type ends in `/<name>`.
    #[track_caller]
    pub fn problem(self, status: u16, name: &str) {
        let json = self.status(status);
        let kind = json["type"].as_str().unwrap_or_default();
        assert!(kind.ends_with(&format!("/{name}")), "{json}");
    }
}

/// Asks `component` as `caller` would, within `tenant`.
pub async fn ask_in(
    nexus: &Nexus,
    tenant: Uuid,
    caller: &str,
    component: &str,
    method: Method,
    path: &str,
    body: Value,
) -> Told {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://{component}.spin.internal{path}"))
        .header("content-type", "application/json")
        .body(full(text))
        .unwrap();
    let call = Call::new(Uuid::now_v7().to_string(), Arc::new(Principal::anonymous(tenant)));
    let call = call.onward(ComponentId::new(caller).unwrap());
    let component = ComponentId::new(component).unwrap();
    let answer = nexus.runtime().call(&component, request, call).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Told { status, json: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

/// As [`ask_in`], within the tenant that every installation has.
pub async fn ask(
    nexus: &Nexus,
    caller: &str,
    component: &str,
    method: Method,
    path: &str,
    body: Value,
) -> Told {
    ask_in(nexus, DEFAULT_TENANT, caller, component, method, path, body).await
}

/// Somebody with an account, as the platform knows them.
pub struct Person {
    pub id: String,
}

/// A person who may do this. Written as `users` would: what roles are is its own story.
pub async fn person(nexus: &Nexus, permissions: &[&str]) -> Person {
    let id = Uuid::now_v7().to_string();
    let person = Person { id };
    may(nexus, &person, permissions).await;
    person
}

/// From now on, the person may do this and nothing else.
pub async fn may(nexus: &Nexus, person: &Person, permissions: &[&str]) {
    put(nexus, person, "active", permissions).await;
}

pub async fn suspend(nexus: &Nexus, person: &Person) {
    put(nexus, person, "suspended", &[]).await;
}

async fn put(nexus: &Nexus, person: &Person, status: &str, permissions: &[&str]) {
    let database = nexus.host().database().unwrap();
    let host = database.host().await.unwrap();
    let sql = "with put as (
       insert into platform.subject (tenant_id, subject, status, permissions)
       values ($1, $2, $3, $4)
       on conflict (tenant_id, subject) do update
         set status = excluded.status, permissions = excluded.permissions, changed_at = now())
     insert into platform.identity_notice (kind, tenant_id, key) values ('subject', $1, $2)";
    host.query(sql, &[&DEFAULT_TENANT, &person.id, &status, &permissions]).await.unwrap();
}

/// A fresh session of the person, as `user-auth` begins one.
pub async fn sign_in(nexus: &Nexus, person: &Person) -> Value {
    sign_in_proven(nexus, person, Duration::ZERO).await
}

/// As [`sign_in`], of somebody who has proven who they are so long ago.
pub async fn sign_in_proven(nexus: &Nexus, person: &Person, ago: Duration) -> Value {
    let path = format!("{SESSIONS}/internal/sessions");
    let proven = nexus.runtime().clock().now() - ago;
    let proven = proven.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let draft = json!({
        "subject": person.id, "amr": ["pwd"], "acr": "urn:nexus:acr:1fa", "auth_time": proven,
        "address": "203.0.113.7",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
        "persistent": false,
    });
    ask(nexus, "user-auth", "session-mgr", Method::POST, &path, draft).await.status(201)
}

/// A browser that holds the session's cookie, on a page of ours.
pub fn browser(nexus: &Nexus, session: &Value) -> Client {
    let secret = session["secret"].as_str().unwrap();
    let cookie = format!("nexus-session={secret}");
    nexus.anonymous().header("cookie", &cookie).header("sec-fetch-site", "same-origin")
}

/// Hands a fact to a component that listens for it, as the queue would.
pub async fn tell(nexus: &Nexus, component: &str, topic: &'static str, payload: Value) {
    let message = Message {
        id: Uuid::now_v7(),
        topic: topic.into(),
        source: "users".into(),
        subject: None,
        tenant: Some(DEFAULT_TENANT),
        payload: payload.to_string().into(),
        published_at: SystemTime::now(),
        attempt: 1,
        group: None,
        trace: None,
    };
    let delivery = Delivery {
        subscription: topic.into(),
        messages: vec![message],
        wall: seconds(20),
        batch: false,
    };
    let call = Call::new("r-1", Arc::new(Principal::anonymous(DEFAULT_TENANT)));
    let component = ComponentId::new(component).unwrap();
    let outcomes = nexus.runtime().deliver(&component, delivery, call).await.unwrap();
    assert_eq!(outcomes, [Outcome::Ack]);
}

/// One number of the database.
pub async fn number(nexus: &Nexus, sql: &str) -> i64 {
    let host = nexus.host().database().unwrap().host().await.unwrap();
    host.query(sql, &[]).await.unwrap()[0].get(0)
}
