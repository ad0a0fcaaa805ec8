//! Mail reaches whom it is for, says what it should, and nobody is written to who does not want it.

use nexus_harness::prelude::*;

const MESSAGES: &str = "/api/email/v1/messages";

/// A host with the one service, and the worker that delivers.
async fn post_office() -> Nexus {
    Nexus::setup().manifest(manifest()).start().await
}

fn manifest() -> String {
    let fragment = include_str!("../../../components/integration/email/component.toml");
    format!(
        "spin_manifest_version = 2\n[application]\nname = \"test\"\nversion = \"0.0.0\"\n\
         [variables]\npg_url = {{ required = true, secret = true }}\n\
         public_url = {{ required = true }}\n{fragment}"
    )
}

fn verify(to: &str) -> Value {
    json!({
        "to": to, "template": "verify-email", "category": "security", "locale": "de-AT",
        "model": {
            "name": "Ada", "link": "https://nexus.example/verify?code=s3cret-c0de",
            "expires_in_minutes": 30, "address": to,
        },
    })
}

async fn sent(client: &Client, order: Value) -> Value {
    client.post(MESSAGES, order).await.status(202).json()
}

async fn becomes(client: &Client, receipt: &Value, state: &str) -> Value {
    let url = format!("{MESSAGES}/{}", receipt["id"].as_str().unwrap());
    let is = async || client.get(&url).await.ok().json::<Value>()["state"] == state;
    eventually(&format!("the message is {state}"), seconds(60), is).await;
    client.get(&url).await.ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_and_what_it_says_is_nowhere_else() {
    let nexus = post_office().await;
    let sender = nexus.member_with(["email:send", "email:view"]).await;
    let receipt = sent(&sender, verify("Ada@Example.org")).await;
    assert_eq!(receipt["state"], "queued");
    let mail = nexus.mail("Ada@example.org").await;
    assert_eq!(mail.subject, "Bestätigen Sie Ihre E-Mail-Adresse");
    assert_eq!(mail.from, "no-reply@localhost");
    assert_eq!(mail.link(), "https://nexus.example/verify?code=s3cret-c0de");
    assert!(mail.text.contains("Hallo Ada,") && mail.text.contains("30 Minuten"), "{mail:?}");
    assert!(mail.html.contains("Adresse bestätigen"));
    assert_eq!(mail.header("auto-submitted").as_deref(), Some("auto-generated"));
    assert_eq!(mail.header("return-path").as_deref(), Some("<no-reply@localhost>"));
    let message = becomes(&sender, &receipt, "delivered").await;
    assert_eq!(message["address"], "ada@example.org");
    assert!(!message.to_string().contains("s3cret"));
    // The database holds neither the words nor, any more, the key to them.
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let dump = "select concat(
        (select string_agg(m::text, '') from email.message m),
        (select string_agg(j::text, '') from platform.job j),
        (select string_agg(e::text, '') from platform.event e))";
    let text: String = session.query(dump, &[]).await.unwrap()[0].get(0);
    assert!(text.contains("ada@example.org") && !text.contains("s3cret"), "{text}");
    let keys = "select count(*) from email.message where seal_key is not null";
    assert_eq!(session.query(keys, &[]).await.unwrap()[0].get::<_, i64>(0), 0);
    let told = "select count(*) from platform.event where topic = 'notify.email.delivered.v1'";
    assert_eq!(session.query(told, &[]).await.unwrap()[0].get::<_, i64>(0), 1);
}
