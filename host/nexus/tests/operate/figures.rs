//! What Prometheus reads about queues, schedules and jobs.

use super::{Bed, QUEUE, SERVICE};
use nexus_harness::prelude::*;
use nexus_observability::Scrape;

/// Depths are counted every ten seconds.
const COUNTED: std::time::Duration = seconds(40);

const FAMILIES: [(&str, &str); 23] = [
    ("nexus_queue_ready", "gauge"),
    ("nexus_queue_deferred", "gauge"),
    ("nexus_queue_leased", "gauge"),
    ("nexus_queue_dead", "gauge"),
    ("nexus_queue_paused", "gauge"),
    ("nexus_queue_oldest_ready_seconds", "gauge"),
    ("nexus_queue_leases_held", "gauge"),
    ("nexus_queue_claimed_total", "counter"),
    ("nexus_queue_acked_total", "counter"),
    ("nexus_queue_retried_total", "counter"),
    ("nexus_queue_released_total", "counter"),
    ("nexus_queue_rejected_total", "counter"),
    ("nexus_queue_died_total", "counter"),
    ("nexus_queue_stale_total", "counter"),
    ("nexus_queue_leases_expired_total", "counter"),
    ("nexus_queue_pickup_seconds", "histogram"),
    ("nexus_cron_fired_total", "counter"),
    ("nexus_cron_skipped_total", "counter"),
    ("nexus_cron_missed_total", "counter"),
    ("nexus_cron_lateness_seconds", "histogram"),
    ("nexus_jobs_queued", "gauge"),
    ("nexus_jobs_running", "gauge"),
    ("nexus_jobs_claimed_total", "counter"),
];

#[tokio::test(flavor = "multi_thread")]
async fn depths_of_queues_and_jobs_are_on_the_page() {
    let bed = Bed::begin().await;
    bed.put(1).await;
    bed.put(2).await;
    bed.bury("card expired").await;
    bed.job("thumb").await;
    let labels = [("service", SERVICE), ("queue", QUEUE)];
    let counted = async || {
        let page = bed.nexus.metrics().await;
        page.value("nexus_queue_ready", &labels) == Some(2.0)
            && page.value("nexus_queue_dead", &labels) == Some(1.0)
            && page.value("nexus_jobs_queued", &[("queue", "thumb")]) == Some(1.0)
    };
    eventually("the depths are counted", COUNTED, counted).await;
    let page = bed.nexus.metrics().await;
    assert!(page.value("nexus_queue_oldest_ready_seconds", &labels).unwrap() >= 0.0);
    for (name, kind) in FAMILIES {
        assert_eq!(page.kind(name), Some(kind), "{name}");
    }
    let host: Value = bed.nexus.admin().get("/api/v1/host").await.ok().json();
    assert!(host["queue"]["dead"].as_u64().unwrap() >= 1, "{host}");
    assert!(host["cron"].is_object(), "{host}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_component_is_handed_and_when_is_counted() {
    let lines = "subscribe = [\"probe.entry.written.v1\"]\n\
                 cron = [{ name = \"count\", schedule = \"0 * * * *\" }]";
    let nexus = nexus_harness::journal(lines).await;
    let labels = [("service", "probe-journal"), ("queue", "probe.entry.written.v1")];
    let author = nexus.member_with(["probe-journal:write"]).await;
    let entries = "/api/probe-journal/v1/entries";
    let subscribed = async || {
        let queues: Value = nexus.admin().get("/api/v1/queues?service=probe-journal").await.json();
        queues["queues"].as_array().unwrap().iter().any(|q| q["queue"] == labels[1].1)
    };
    eventually("the subscription is made", seconds(30), subscribed).await;
    author.post(entries, json!({ "mood": "well", "chapter": "one" })).await.created();
    author.post(entries, json!({ "mood": "refuse", "chapter": "one" })).await.created();
    let value = |page: &Scrape, name: &str| page.value(name, &labels).unwrap_or_default();
    let handled = async || {
        let page = nexus.metrics().await;
        value(&page, "nexus_queue_acked_total") == 1.0
            && value(&page, "nexus_queue_rejected_total") == 1.0
    };
    eventually("both events have ended", seconds(30), handled).await;
    let page = nexus.metrics().await;
    assert_eq!(value(&page, "nexus_queue_claimed_total"), 2.0);
    assert_eq!(value(&page, "nexus_queue_died_total"), 1.0);
    assert_eq!(value(&page, "nexus_queue_pickup_seconds_count"), 2.0);

    nexus.advance(hours(1)).await;
    let ticks = [("service", "probe-journal"), ("queue", "schedules")];
    let ticked = async || {
        let page = nexus.metrics().await;
        let fired = page.value("nexus_cron_fired_total", &ticks[..1]).unwrap_or_default();
        let acked = page.value("nexus_queue_acked_total", &ticks).unwrap_or_default();
        fired >= 1.0 && acked == fired
    };
    eventually("the schedule has fired and run", seconds(30), ticked).await;
    nexus.stop().await.unwrap();
}
