//! What is secret is found nowhere: not in the database as it would be dumped, not in what
//! operators read. The secrets of a whole journey are looked for, as they were shown and as bytes.

use super::login_people::{API, Browser, PASSWORD, token_of};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nexus_harness::prelude::*;
use std::collections::BTreeMap;

const KMS: &str = "/api/kms/v1";
const EMAIL: &str = "ada@secrets.example";

/// By what they are.
type Secrets = BTreeMap<String, String>;

fn keep(secrets: &mut Secrets, what: &str, secret: &Value) {
    let secret = secret.as_str().unwrap_or_else(|| panic!("{what} is no text: {secret}"));
    assert!(secret.len() >= 8, "{what} is too short to be looked for: {secret}");
    secrets.insert(what.to_owned(), secret.to_owned());
}

/// Every text column, document and byte string of every table, as `pg_dump` would write it.
async fn dump(nexus: &Nexus) -> Vec<(String, String)> {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables
                  where schemaname not in ('pg_catalog', 'information_schema')";
    let mut all = Vec::new();
    for row in session.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let rows = session.query(&format!("select t::text from {table} t"), &[]).await.unwrap();
        all.extend(rows.iter().map(|row| (table.clone(), row.get::<_, String>(0))));
    }
    assert!(all.len() > 100, "{} rows are too few to be a whole installation", all.len());
    all
}

/// A secret as it may lie there: as it was shown, in base64 either way, as the bytes of its text,
/// and as the bytes that it stands for.
fn disguises(secret: &str) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut all = vec![
        secret.to_owned(),
        hex(secret.as_bytes()),
        STANDARD.encode(secret).trim_end_matches('=').to_owned(),
    ];
    let body = secret.rsplit('_').next().unwrap_or(secret);
    for decoded in [STANDARD.decode(body), URL_SAFE_NO_PAD.decode(body)].into_iter().flatten() {
        if decoded.len() >= 16 {
            all.push(hex(&decoded));
        }
    }
    all
}

async fn journey(nexus: &Nexus) -> Secrets {
    let mut secrets = Secrets::new();
    secrets.insert("the password".into(), PASSWORD.into());
    let stranger = Browser::at(nexus, "198.51.100.7");
    let draft = json!({ "email": EMAIL, "password": PASSWORD, "display_name": "Ada" });
    // A key makes the platform keep the answer: it must not keep this one.
    let register = stranger.client.request(http::Method::POST, &format!("{API}/register"));
    register.json(draft).header("idempotency-key", "register-1").send().await.status(202);
    let link = nexus.mail(EMAIL).await.link().to_owned();
    let token = token_of(&link);
    keep(&mut secrets, "the token of the mail", &json!(token));
    let answer = stranger.post("/verify", json!({ "token": token })).await.ok();
    let browser = stranger.enters(&answer);
    let cookie = browser.cookie.clone().unwrap();
    keep(&mut secrets, "the session", &json!(cookie.split_once('=').unwrap().1));
    keep(&mut secrets, "the CSRF token", &json!(browser.csrf));

    let totp: Value = browser.post("/mfa/totp", json!({})).await.json();
    keep(&mut secrets, "the TOTP secret", &totp["secret"]);

    let send = |method: http::Method, path: &str, body: Value| {
        let request = browser.client.request(method, path).json(body);
        let request = request.header("cookie", &cookie).header("x-csrf-token", &browser.csrf);
        request.header("idempotency-key", &path.replace('/', "-"))
    };
    let tokens = "/api/token-mgr/v1/tokens";
    let tokens: Value = send(http::Method::POST, tokens, json!({})).send().await.json();
    keep(&mut secrets, "the access token", &tokens["access_token"]);
    keep(&mut secrets, "the refresh token", &tokens["refresh_token"]);
    let draft = json!({ "name": "ci" });
    let key: Value =
        send(http::Method::POST, "/api/token-mgr/v1/apikeys", draft).send().await.json();
    keep(&mut secrets, "the API key", &key["key"]);

    let operator = nexus.operator();
    let client = json!({
        "name": "Shop", "kind": "confidential", "redirect_uris": ["https://client.example/"],
    });
    let client = operator.post("/api/auth/v1/clients", client).await.created().json;
    keep(&mut secrets, "the client's secret", &client["client_secret"]);
    let plaintext = STANDARD.encode("what nobody else may ever read");
    let made = json!({ "name": "orders", "type": "aes256-gcm96" });
    operator.post(&format!("{KMS}/transit/keys"), made).await.status(201);
    let path = format!("{KMS}/transit/encrypt/orders");
    operator.post(&path, json!({ "plaintext": plaintext })).await.ok();
    keep(&mut secrets, "the plaintext", &json!("what nobody else may ever read"));
    let root = std::fs::read(nexus.host().home().join("dev-root-key")).unwrap();
    keep(&mut secrets, "the root key", &json!(STANDARD.encode(root)));
    secrets
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_whole_journey_lies_in_the_database_or_where_operators_read() {
    let nexus = Nexus::setup()
        .settings(|settings| {
            settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        })
        .start()
        .await;
    let secrets = journey(&nexus).await;
    let mut rows = dump(&nexus).await;
    for page in ["/metrics", "/api/v1/queues", "/api/v1/jobs", "/api/v1/schedules"] {
        rows.push((page.to_owned(), nexus.admin().get(page).await.text()));
    }
    let mut found = Vec::new();
    for (what, secret) in &secrets {
        let disguises = disguises(secret);
        let shows = |text: &str| disguises.iter().any(|disguise| text.contains(disguise));
        let places = rows.iter().filter(|(_, text)| shows(text)).map(|(place, _)| place);
        found.extend(places.map(|place| format!("{what} stands in {place}")));
    }
    assert!(secrets.len() >= 11, "{:?}", secrets.keys());
    assert!(found.is_empty(), "{}", found.join("\n"));
}
