//! Nobody is written to who does not want it; tenants have their own words and their own lists.

use super::email::{MESSAGES, becomes, post_office, sent, verify};
use nexus_harness::prelude::*;
use uuid::Uuid;

fn notice(to: &str) -> Value {
    json!({
        "to": to, "template": "invite", "category": "notice",
        "model": { "link": "https://nexus.example/invite", "organisation": "Engines" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_ends_notices_and_nothing_else() {
    let nexus = post_office().await;
    let sender = nexus.member_with(["email:send", "email:view", "email:manage"]).await;
    let receipt = sent(&sender, notice("ada@example.org")).await;
    becomes(&sender, &receipt, "delivered").await;
    let mail = nexus.mail("ada@example.org").await;
    assert_eq!(mail.header("list-unsubscribe-post").as_deref(), Some("List-Unsubscribe=One-Click"));
    let listed = mail.header("list-unsubscribe").unwrap();
    let link = listed.trim_matches(['<', '>']);
    assert!(mail.links.iter().any(|other| other == link), "{mail:?}");
    let stranger = nexus.anonymous();
    // Looking at the page changes nothing.
    let page = stranger.get(link).await.ok().text();
    assert!(page.contains("<button>Unsubscribe</button>"), "{page}");
    assert_eq!(sent(&sender, notice("ada@example.org")).await["state"], "queued");
    let click = stranger.request("POST".parse().unwrap(), link);
    let click = click.header("content-type", "application/x-www-form-urlencoded");
    click.body("List-Unsubscribe=One-Click").send().await.ok();
    let stopped = sent(&sender, notice("Ada@example.org")).await;
    assert_eq!(stopped["state"], "suppressed");
    assert_eq!(sent(&sender, verify("ada@example.org")).await["state"], "queued");
    let forged = link.replace("token=", "token=x");
    stranger.request("POST".parse().unwrap(), &forged).send().await.ok();
    let list: Value = sender.get("/api/email/v1/suppressions").await.ok().json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["reason"], "unsubscribed");
    // Taken off the list by hand, notices come again.
    let one = "/api/email/v1/suppressions/ada@example.org/unsubscribed";
    sender.delete(one).await.no_content();
    sender.delete(one).await.problem(404, "not-found");
    assert_eq!(sent(&sender, notice("ada@example.org")).await["state"], "queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_complains_gets_what_must_be_said_alone() {
    let nexus = post_office().await;
    let sender = nexus.member_with(["email:send", "email:view", "email:manage"]).await;
    let receipt = sent(&sender, notice("ada@example.org")).await;
    becomes(&sender, &receipt, "delivered").await;
    let id = receipt["id"].as_str().unwrap();
    let feedback = json!({ "message_id": format!("<{id}@localhost>"), "kind": "complaint" });
    for _ in 0..2 {
        sender.post("/api/email/v1/feedback", &feedback).await.no_content();
    }
    becomes(&sender, &receipt, "complained").await;
    let mut account = verify("ada@example.org");
    account["category"] = json!("account");
    assert_eq!(sent(&sender, account).await["state"], "suppressed");
    assert_eq!(sent(&sender, verify("ada@example.org")).await["state"], "queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_flooded_and_a_sandbox_writes_to_nobody_it_does_not_name() {
    let nexus = post_office().await;
    let sender = nexus.member_with(["email:send", "email:view", "email:manage"]).await;
    let settings = json!({
        "from_address": "Hello@Nexus.example", "from_name": "Brand", "sandbox": true,
        "sandbox_allow": ["@example.org"], "recipient_hour_max": 2,
    });
    sender.put("/api/email/v1/sender", &settings).await.ok();
    for state in ["queued", "queued", "suppressed"] {
        assert_eq!(sent(&sender, verify("ada@example.org")).await["state"], state);
    }
    let outside = sent(&sender, verify("ada@elsewhere.example")).await;
    let message = becomes(&sender, &outside, "suppressed").await;
    assert_eq!(message["reason"], "sandbox");
    let mail = nexus.mail("ada@example.org").await;
    assert_eq!(mail.from, "Hello@nexus.example");
    assert!(mail.html.contains("Brand"));
    nexus.advance(hours(2)).await;
    assert_eq!(sent(&sender, verify("ada@example.org")).await["state"], "queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_words_go_first_and_can_be_looked_at_before() {
    let nexus = post_office().await;
    let editor = nexus.member_with(["email:send", "email:view", "email:manage"]).await;
    let template = json!({
        "name": "verify-email", "locale": "de", "subject": "Servus {{ name }}",
        "html": "{% extends 'layout.html' %}{% block content %}<b>{{ name }}</b>{% endblock %}",
        "plain": "Servus {{ name }}: {{ link }}",
    });
    let preview = json!({
        "source": { "subject": "Servus {{ name }}", "html": "<b>{{ name }}</b>", "plain": "a" },
        "model": { "name": "<i>Ada" },
    });
    let seen: Value = editor.post("/api/email/v1/templates/preview", preview).await.ok().json();
    assert_eq!(seen["html"], "<b>&lt;i&gt;Ada</b>");
    let made = editor.post("/api/email/v1/templates", &template).await.status(201);
    assert_eq!(made.json::<Value>()["version"], 1);
    let mut broken = template.clone();
    broken["html"] = json!("{% if %}");
    editor.post("/api/email/v1/templates", broken).await.problem(422, "template-broken");
    sent(&editor, verify("ada@example.org")).await;
    assert_eq!(nexus.mail("ada@example.org").await.subject, "Servus Ada");
    let mut french = verify("bo@example.org");
    french["locale"] = json!("fr");
    sent(&editor, french).await;
    assert_eq!(nexus.mail("bo@example.org").await.subject, "Confirmez votre adresse e-mail");
    editor.delete("/api/email/v1/templates/verify-email/de").await.no_content();
    sent(&editor, verify("cy@example.org")).await;
    let subject = nexus.mail("cy@example.org").await.subject;
    assert_eq!(subject, "Bestätigen Sie Ihre E-Mail-Adresse");
    let again = "/api/email/v1/templates/verify-email/de/1/activate";
    editor.post(again, json!({})).await.no_content();
    sent(&editor, verify("di@example.org")).await;
    assert_eq!(nexus.mail("di@example.org").await.subject, "Servus Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_order_is_pointed_at_and_nothing_is_sent() {
    let nexus = post_office().await;
    let sender = nexus.member_with(["email:send", "email:view"]).await;
    let with = |field: &str, value: Value| {
        let mut order = verify("ada@example.org");
        order[field] = value;
        order
    };
    for (order, problem) in [
        (with("to", json!("ada@example.org\r\nBcc: eve@example.org")), "address-form"),
        (with("template", json!("unheard-of")), "template-unknown"),
        (with("locale", json!("../en")), "locale-form"),
        (with("model", json!({ "link": "javascript:alert(1)" })), "model-link"),
        (with("model", json!({})), "model-without-link"),
        (with("dedup_key", json!("")), "dedup-key"),
        (with("category", json!("spam")), "invalid-body"),
    ] {
        sender.post(MESSAGES, order).await.problem(422, problem);
    }
    let list: Value = sender.get(MESSAGES).await.ok().json();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_seen_by_those_who_may_and_by_their_tenant_alone() {
    let nexus = post_office().await;
    nexus.anonymous().post(MESSAGES, verify("a@b.example")).await.problem(401, "unauthenticated");
    let reader = nexus.member_with(["email:view"]).await;
    reader.post(MESSAGES, verify("a@b.example")).await.problem(403, "forbidden");
    let internal = "/api/email/v1/internal/messages";
    nexus.operator().post(internal, verify("a@b.example")).await.problem(404, "not-found");
    let sender = nexus.member_with(["email:send", "email:view"]).await;
    let receipt = sent(&sender, verify("ada@example.org")).await;
    let stranger = nexus.stranger_with(Uuid::now_v7(), ["email:*"]).await;
    let url = format!("{MESSAGES}/{}", receipt["id"].as_str().unwrap());
    stranger.get(&url).await.problem(404, "not-found");
    for verb in ["cancel", "retry"] {
        stranger.post(&format!("{url}/{verb}"), json!({})).await.problem(404, "not-found");
    }
    let theirs: Value = stranger.get(MESSAGES).await.ok().json();
    assert_eq!(theirs["items"], json!([]));
    becomes(&sender, &receipt, "delivered").await;
}
