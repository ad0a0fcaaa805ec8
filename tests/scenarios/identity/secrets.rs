//! What is secret is found nowhere: not in the database as it would be dumped, not in the host's
//! home with its objects, not in its log, however much it says, not in what operators read. The
//! secrets of a whole journey are looked for, as they were shown and as bytes.

use super::login_people::{API, Browser, PASSWORD, token_of};
use super::secrets_log::Log;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nexus_harness::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const KMS: &str = "/api/kms/v1";
const EMAIL: &str = "ada@secrets.example";
const MISTYPED: &str = "the password of another account of hers";

/// The services that the journey asks; the others would only make the start slower.
const SERVICES: [&str; 9] = [
    "auth",
    "core-os",
    "email",
    "frontend-app",
    "kms",
    "session-mgr",
    "token-mgr",
    "user-auth",
    "users",
];

/// What lies in the home because that is where it belongs: the keys and tokens of the operator, and
/// letters, which are for the person they are addressed to.
const HOME_OWN: [&str; 8] = [
    "admin-token",
    "blob-secret",
    "dev-key.pem",
    "dev-root-key",
    "dev-token",
    "mail",
    "setup-link",
    "worker-token",
];

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

/// The files of the host's home, objects among them.
fn home(folder: &Path, own: &[&str]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if own.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            all.extend(home(&path, &[]));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            all.push((format!("the file {name}"), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    all
}

/// Somebody signs up, comes in, mistypes and forgets.
async fn person(nexus: &Nexus, secrets: &mut Secrets) -> Browser {
    secrets.insert("the password".into(), PASSWORD.into());
    secrets.insert("a mistyped password".into(), MISTYPED.into());
    let stranger = Browser::at(nexus, "198.51.100.7");
    let draft = json!({ "email": EMAIL, "password": PASSWORD, "display_name": "Ada" });
    // A key makes the platform keep the answer: it must not keep this one.
    let register = stranger.client.request(http::Method::POST, &format!("{API}/register"));
    register.json(draft).header("idempotency-key", "register-1").send().await.status(202);
    let link = nexus.mail(EMAIL).await.link().to_owned();
    let token = token_of(&link);
    keep(secrets, "the token of the mail", &json!(token));
    // As a browser follows it, and the page's form after it.
    stranger.get(&link[link.find("/account").unwrap()..]).await.ok();
    let answer = stranger.post("/verify", json!({ "token": token })).await.ok();
    let browser = stranger.enters(&answer);
    let cookie = browser.cookie.clone().unwrap();
    keep(secrets, "the session", &json!(cookie.split_once('=').unwrap().1));
    keep(secrets, "the CSRF token", &json!(browser.csrf));
    let totp: Value = browser.post("/mfa/totp", json!({})).await.json();
    keep(secrets, "the TOTP secret", &totp["secret"]);

    stranger.login(EMAIL, MISTYPED).await.status(401);
    stranger.post("/recover", json!({ "email": EMAIL })).await.status(202);
    let link = letter(nexus, "/account/recover/").await;
    keep(secrets, "the token of a forgotten password", &json!(token_of(&link)));
    stranger.get(&link[link.find("/account").unwrap()..]).await.ok();
    browser
}

/// The link of the next letter that leads to a page; other letters are put aside.
async fn letter(nexus: &Nexus, page: &str) -> String {
    loop {
        let mail = nexus.mail(EMAIL).await;
        if let Some(link) = mail.links.iter().find(|link| link.contains(page)) {
            return link.clone();
        }
    }
}

/// A person's programs get tokens and a key, and use them.
async fn programs(nexus: &Nexus, browser: &Browser, secrets: &mut Secrets) {
    let cookie = browser.cookie.clone().unwrap();
    let send = |path: &str, body: Value| {
        let request = browser.client.request(http::Method::POST, path).json(body);
        let request = request.header("cookie", &cookie).header("x-csrf-token", &browser.csrf);
        request.header("idempotency-key", &path.replace('/', "-"))
    };
    let path = "/api/token-mgr/v1/tokens";
    let tokens: Value = send(path, json!({})).send().await.json();
    keep(secrets, "the access token", &tokens["access_token"]);
    keep(secrets, "the refresh token", &tokens["refresh_token"]);
    let me = "/api/users/v1/me";
    nexus.anonymous().bearer(tokens["access_token"].as_str().unwrap()).get(me).await.ok();
    let asked = json!({ "refresh_token": tokens["refresh_token"] });
    let again: Value = nexus.anonymous().post(&format!("{path}/refresh"), asked).await.ok().json();
    keep(secrets, "the second access token", &again["access_token"]);
    keep(secrets, "the second refresh token", &again["refresh_token"]);
    let key: Value = send("/api/token-mgr/v1/apikeys", json!({ "name": "ci" })).send().await.json();
    keep(secrets, "the API key", &key["key"]);
    let key = key["key"].as_str().unwrap();
    nexus.anonymous().header("x-api-key", key).get(me).await.ok();
    nexus.anonymous().bearer(key).get(me).await.ok();
}

/// What operators and services keep.
async fn installation(nexus: &Nexus, secrets: &mut Secrets) {
    let token = nexus.operator_token();
    keep(secrets, "the operator's token", &json!(token));
    let operator = nexus.anonymous().bearer(&token);
    let client = json!({
        "name": "Shop", "kind": "confidential", "redirect_uris": ["https://client.example/"],
    });
    let client = operator.post("/api/auth/v1/clients", client).await.created().json;
    keep(secrets, "the client's secret", &client["client_secret"]);
    let (id, secret) = (client["id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let form = "application/x-www-form-urlencoded";
    let by_header = nexus.anonymous().header("authorization", &basic);
    let by_form = format!("token=x&client_id={id}&client_secret={secret}");
    for (client, body) in [(by_header, format!("token={token}")), (nexus.anonymous(), by_form)] {
        let asked = client.request(http::Method::POST, "/oauth2/introspect").body(body);
        asked.header("content-type", form).send().await.ok();
    }

    let plaintext = "what nobody else may ever read";
    let made = json!({ "name": "orders", "type": "aes256-gcm96" });
    operator.post(&format!("{KMS}/transit/keys"), made).await.status(201);
    let path = format!("{KMS}/transit/encrypt/orders");
    operator.post(&path, json!({ "plaintext": STANDARD.encode(plaintext) })).await.ok();
    keep(secrets, "the plaintext", &json!(plaintext));
    let kept = "what a service keeps for itself";
    let path = format!("{KMS}/secrets/shop");
    let answer = operator.put(&path, json!({ "data": { "it": kept } })).await;
    assert!(answer.status.is_success(), "{answer:?}");
    let shown = operator.get(&format!("{path}/value")).await.ok();
    assert!(shown.text().contains(kept), "{shown:?}");
    keep(secrets, "a secret of a service", &json!(kept));
    let root = std::fs::read(nexus.host().home().join("dev-root-key")).unwrap();
    keep(secrets, "the root key", &json!(STANDARD.encode(root)));
    keep(secrets, "the operators' token", &json!(nexus.host().admin_token()));
}

async fn journey(nexus: &Nexus) -> Secrets {
    let mut secrets = Secrets::new();
    let setup = nexus.setup_token().await;
    nexus.anonymous().get(&format!("/account/setup?token={setup}")).await.ok();
    keep(&mut secrets, "the token of the first administrator", &json!(setup));
    let browser = person(nexus, &mut secrets).await;
    programs(nexus, &browser, &mut secrets).await;
    installation(nexus, &mut secrets).await;
    secrets
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_whole_journey_lies_in_a_store_or_a_log_or_where_operators_read() {
    let log = Log::begin();
    let nexus = Nexus::setup()
        .services(&SERVICES)
        .settings(|settings| {
            settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        })
        .start()
        .await;
    let secrets = journey(&nexus).await;
    let mut rows = dump(&nexus).await;
    rows.extend(home(nexus.host().home(), &HOME_OWN));
    for page in ["/metrics", "/api/v1/queues", "/api/v1/jobs", "/api/v1/schedules"] {
        rows.push((page.to_owned(), nexus.admin().get(page).await.text()));
    }
    drop(nexus);
    rows.extend(log.map(|log| ("the log".to_owned(), log.said())));
    let mut found = Vec::new();
    for (what, secret) in &secrets {
        let disguises = disguises(secret);
        let shows = |text: &str| disguises.iter().any(|disguise| text.contains(disguise));
        let places = rows.iter().filter(|(_, text)| shows(text)).map(|(place, _)| place);
        found.extend(places.map(|place| format!("{what} stands in {place}")));
    }
    assert!(secrets.len() >= 19, "{:?}", secrets.keys());
    assert!(found.is_empty(), "{}", found.join("\n"));
}
