//! Something breaks: people read what it is, what is done about it, and that it is over.

use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_on_the_status_page_until_it_is_resolved() {
    let nexus = Nexus::start().await;
    let operator = nexus.member_with(["core-os:operate"]).await;
    let anyone = nexus.anonymous();
    let status: Value = anyone.get("/api/core-os/v1/status").await.ok().json();
    assert_eq!(status["indicator"], "operational");
    let incident = json!({
        "title": "Uploads are slow", "impact": "major", "services": ["uploader"],
        "body": "We see long waiting times and look for the cause.",
    });
    let opened = operator.post("/api/core-os/v1/incidents", incident).await.created();
    let status: Value = anyone.get("/api/core-os/v1/status").await.ok().json();
    assert_eq!(status["indicator"], "partial_outage");
    assert_eq!(status["incidents"][0]["title"], "Uploads are slow");
    let notes = format!("{}/notes", opened.url);
    let watching = json!({ "state": "monitoring", "body": "A disk was replaced." });
    operator.post(&notes, watching).await.created();
    let over = json!({ "state": "resolved", "body": "All is well again." });
    operator.post(&notes, &over).await.created();
    operator.post(&notes, &over).await.problem(409, "incident-resolved-already");
    let status: Value = anyone.get("/api/core-os/v1/status").await.ok().json();
    assert_eq!((&status["indicator"], &status["incidents"]), (&json!("operational"), &json!([])));
    let read: Value = anyone.get(&notes).await.ok().json();
    assert_eq!(read["items"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_shown_between_its_start_and_its_end() {
    let nexus = Nexus::start().await;
    let operator = nexus.member_with(["core-os:operate"]).await;
    let path = "/api/core-os/v1/announcements";
    let note = json!({
        "title": "Maintenance", "level": "notice",
        "starts_at": "2090-01-01T00:00:00Z", "ends_at": "2090-01-02T00:00:00Z",
    });
    operator.post(path, note).await.created();
    let now = json!({ "title": "Welcome", "level": "news" });
    operator.post(path, now).await.created();
    let shown: Value = nexus.anonymous().get(path).await.ok().json();
    let titles: Vec<_> = shown["items"].as_array().unwrap().iter().map(|a| &a["title"]).collect();
    assert_eq!(titles, ["Welcome"]);
}
