//! Values that were never meant as values: SQL, header lines, paths, templates and odd text, in
//! every place that the services of signing in take text from outside. What comes back is an answer
//! of ours, nothing of it becomes a header, and the database does nothing that it was told by it.

use super::oauth::escaped;
use super::sessions_ground::number;
use http::Method;
use nexus_harness::prelude::*;

/// Besides the attempts of every such list, what our own layers might trip over.
const VALUES: [&str; 18] = [
    "' or '1'='1",
    "'; create table public.pwned (x int); --",
    "\"; drop schema auth cascade; --",
    "1); select pg_sleep(30); --",
    "$$; create table public.pwned (x int); $$",
    "\\'; create table public.pwned (x int); --",
    "{tenant}",
    "%27%20or%201=1",
    "a\r\nx-injected: yes",
    "a\nset-cookie: nexus-session=nxs_planted",
    "a%0d%0ax-injected:%20yes",
    "\u{560a}\u{560d}x-injected: yes",
    "\u{0}",
    "../../../../etc/passwd",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "\u{202e}\u{200b}ada@nexus.example",
    "https://evil.example/\r\nx-injected: yes",
];

/// What the endpoints of OAuth take, all at once.
const PARAMETERS: [&str; 20] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "response_type",
    "code",
    "code_verifier",
    "code_challenge",
    "grant_type",
    "refresh_token",
    "device_code",
    "token",
    "id_token_hint",
    "post_logout_redirect_uri",
    "request_uri",
    "client_assertion",
    "subject_token",
    "login_hint",
];

/// Claims an answer of ours that holds nothing which was injected.
#[track_caller]
fn harmless(answer: &Answer, what: &str) {
    assert!(answer.status.as_u16() < 500, "{what}: {answer:?}");
    assert!(answer.header("x-injected").is_none(), "{what}: {answer:?}");
    let planted = |cookie: &http::HeaderValue| cookie.as_bytes().ends_with(b"nxs_planted");
    assert!(!answer.headers.get_all("set-cookie").iter().any(planted), "{what}: {answer:?}");
}

/// A body in which every member that is known is the value.
fn body(schema: &Value, value: &str) -> Value {
    let members = schema["properties"].as_object().cloned().unwrap_or_default();
    Value::Object(members.keys().map(|name| (name.clone(), json!(value))).collect())
}

/// The schema of an operation's JSON body, wherever the document keeps it.
fn schema_of(document: &Value, operation: &Value) -> Value {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    match schema["$ref"].as_str() {
        Some(named) => document.pointer(named.trim_start_matches('#')).cloned().unwrap_or_default(),
        None => schema.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_text_to_every_route_of_signing_in() {
    let nexus = Nexus::start().await;
    let (operator, nobody) = (nexus.operator(), nexus.anonymous());
    let mut asked = 0;
    for service in ["auth", "token-mgr", "user-auth"] {
        let document = nobody.get(&format!("/api/{service}/openapi.json")).await.ok();
        let document: Value = document.json();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
                let schema = schema_of(&document, operation);
                for (at, value) in VALUES.iter().enumerate() {
                    let place: String = path
                        .split('/')
                        .map(|part| match part.starts_with('{') {
                            true => escaped(value),
                            false => part.to_owned(),
                        })
                        .collect::<Vec<_>>()
                        .join("/");
                    let text = escaped(value);
                    let place = format!("{place}?cursor={text}&limit={text}&state={text}");
                    let client = if at % 2 == 0 { &operator } else { &nobody };
                    let request = client.request(method.clone(), &place);
                    let request = request.json(body(&schema, value));
                    harmless(&request.send().await, &format!("{method} {path} with {value:?}"));
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 1000, "only {asked} requests");
    for path in [
        "/oauth2/authorize",
        "/oauth2/par",
        "/oauth2/token",
        "/oauth2/device",
        "/oauth2/introspect",
        "/oauth2/revoke",
        "/oauth2/logout",
    ] {
        for value in VALUES {
            let pairs = PARAMETERS.map(|name| format!("{name}={}", escaped(value)));
            let form = pairs.join("&");
            let request = nobody.request(Method::POST, path).body(form.clone());
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            harmless(&request.send().await, &format!("POST {path} with {value:?}"));
            let answer = nobody.get(&format!("{path}?{form}")).await;
            harmless(&answer, &format!("GET {path} with {value:?}"));
        }
    }
    let made = "select count(*) from pg_class where relname = 'pwned'";
    assert_eq!(number(&nexus, made).await, 0);
    let there = "select count(*) from information_schema.tables where table_schema = 'auth'";
    assert!(number(&nexus, there).await > 5);
}
