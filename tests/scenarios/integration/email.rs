//! Mail reaches whom it is for and says what it should; what becomes of it is told.

use super::mail_server::MailServer;
use nexus_harness::prelude::*;

pub const MESSAGES: &str = "/api/email/v1/messages";

/// A host with the one service, and the worker that delivers.
pub async fn post_office() -> Nexus {
    Nexus::setup().services(&["email"]).start().await
}

pub fn verify(to: &str) -> Value {
    json!({
        "to": to, "template": "verify-email", "category": "security", "locale": "de-AT",
        "model": {
            "name": "Ada", "link": "https://nexus.example/verify?code=s3cret-c0de",
            "expires_in_minutes": 30, "address": to,
        },
    })
}

pub async fn sent(client: &Client, order: Value) -> Value {
    client.post(MESSAGES, order).await.status(202).json()
}

pub async fn becomes(client: &Client, receipt: &Value, state: &str) -> Value {
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

async fn count(nexus: &Nexus, sql: &str) -> i64 {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    session.query(sql, &[]).await.unwrap()[0].get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_takes_messages_and_those_it_refuses_for_good_come_back() {
    let server = MailServer::start().await;
    let url = server.url();
    let nexus = Nexus::setup().services(&["email"]).settings(move |settings| {
        settings.environment.push(("NEXUS_SMTP_URL".into(), url));
    });
    let nexus = nexus.start().await;
    let sender = nexus.member_with(["email:send", "email:view"]).await;
    let taken = sent(&sender, verify("ada@example.org")).await;
    let refused = sent(&sender, verify("nobody@example.org")).await;
    let taken = becomes(&sender, &taken, "sent").await;
    assert_eq!((&taken["smtp_code"], &taken["attempts"]), (&json!(250), &json!(1)));
    let refused = becomes(&sender, &refused, "bounced").await;
    assert_eq!(refused["smtp_code"], 550);
    assert_eq!(refused["reason"], "no_mailbox");
    let handed = server.handed();
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].to, "ada@example.org");
    assert!(handed[0].message.contains("Subject: "), "{}", handed[0].message);
    // Whoever has no mailbox is not written to again, whatever it is about.
    let again = sent(&sender, verify("Nobody@example.org")).await;
    assert_eq!(again["state"], "suppressed");
    assert_eq!(server.handed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_is_asked_again_and_a_message_that_is_too_old_is_given_up() {
    let server = MailServer::start().await;
    let url = server.url();
    let nexus = Nexus::setup().services(&["email"]).settings(move |settings| {
        settings.environment.push(("NEXUS_SMTP_URL".into(), url));
    });
    let nexus = nexus.start().await;
    let sender = nexus.member_with(["email:send", "email:view", "email:manage"]).await;
    let receipt = sent(&sender, verify("later@example.org")).await;
    let deferred = "select count(*) from platform.queue_deferred";
    eventually("it waits for a minute", seconds(60), async || count(&nexus, deferred).await == 1)
        .await;
    nexus.advance(days(2)).await;
    let old = becomes(&sender, &receipt, "failed").await;
    assert_eq!(old["reason"], "expired");
    let retry = format!("{MESSAGES}/{}/retry", receipt["id"].as_str().unwrap());
    sender.post(&retry, json!({})).await.problem(409, "message-erased");
    assert!(server.handed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_one_key_are_one_message() {
    let nexus = post_office().await;
    let sender = nexus.member_with(["email:send", "email:view"]).await;
    let mut order = verify("ada@example.org");
    order["dedup_key"] = json!("verify-7");
    let first = sent(&sender, order.clone()).await;
    let second = sent(&sender, order.clone()).await;
    assert_eq!(first["id"], second["id"]);
    assert_eq!((&first["deduplicated"], &second["deduplicated"]), (&json!(false), &json!(true)));
    becomes(&sender, &first, "delivered").await;
    let (one, other) = {
        order["dedup_key"] = json!("verify-8");
        tokio::join!(sent(&sender, order.clone()), sent(&sender, order.clone()))
    };
    assert_eq!(one["id"], other["id"]);
    becomes(&sender, &one, "delivered").await;
    assert_eq!(nexus.mailbox().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_gone_out_can_be_cancelled() {
    let nexus = Nexus::setup().services(&["email"]);
    let nexus = nexus.settings(|settings| settings.workers.count = 0).start().await;
    let sender = nexus.member_with(["email:send", "email:view", "email:manage"]).await;
    let receipt = sent(&sender, verify("ada@example.org")).await;
    let url = format!("{MESSAGES}/{}/cancel", receipt["id"].as_str().unwrap());
    sender.post(&url, json!({})).await.no_content();
    becomes(&sender, &receipt, "cancelled").await;
    sender.post(&url, json!({})).await.problem(409, "message-not-queued");
}
