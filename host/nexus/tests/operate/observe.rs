//! Looking at what runs and trying it, as operators type it: the binary, against a host that runs.

use super::cli::run;
use super::{Bed, QUEUE, SERVICE};
use nexus_harness::prelude::*;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn operators_come_and_go_by_command() {
    let bed = Bed::begin().await;
    let said = bed.cli(&["operators", "add", "vera"]).await.ok();
    assert_eq!((said.value("name"), said.value("role")), ("vera", "viewer"));
    assert!(said.err.contains("NEXUS_ADMIN_TOKEN"), "{}", said.err);
    let token = said.value("token").to_owned();
    let said = bed.cli(&["operators", "ls"]).await.ok();
    assert_eq!(said.heads(), ["NAME", "ROLE", "CREATED", "LAST", "USED"]);
    assert!(said.out.contains("vera  viewer"), "{}", said.out);
    let as_vera = ["--admin-token", &token];
    bed.cli(&[&["queue", "ls"][..], &as_vera].concat()).await.ok();
    let said = bed.cli(&[&["queue", "pause", SERVICE, QUEUE][..], &as_vera].concat()).await;
    assert_eq!(said.code, 4, "a viewer only looks: {}", said.err);
    let said = bed.cli(&["operators", "rm", "vera"]).await.ok();
    assert_eq!(said.out, "vera may operate no more\n");
    assert_eq!(bed.cli(&[&["queue", "ls"][..], &as_vera].concat()).await.code, 4);
    assert_eq!(bed.cli(&["operators", "rm", "vera"]).await.code, 3);
    let said = bed.cli(&["operators", "add", "otto", "--role", "operator", "--json"]).await.ok();
    assert_eq!(said.json()["role"], "operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_listed_checked_and_exported_by_command() {
    let bed = Bed::begin().await;
    bed.cli(&["queue", "pause", SERVICE, QUEUE]).await.ok();
    let said = bed.cli(&["audit", "ls", "--since", "1h"]).await.ok();
    assert_eq!(said.heads()[..4], ["ENTRY", "WHEN", "ACTOR", "ADDRESS"]);
    assert!(said.out.contains("billing/late fees/eu"), "{}", said.out);
    let said = bed.cli(&["audit", "verify"]).await.ok();
    assert!(said.out.starts_with("whole: "), "{}", said.out);
    assert_eq!(bed.cli(&["audit", "verify", "--json"]).await.ok().json()["whole"], true);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("journal.jsonl");
    bed.cli(&["audit", "export", "-o", file.to_str().unwrap()]).await.ok();
    let lines = std::fs::read_to_string(file).unwrap();
    let entries: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(entries.len() >= 2, "{lines}");
    assert_eq!(bed.cli(&["audit", "export"]).await.ok().out.lines().next(), lines.lines().next());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_asked_by_command() {
    let bed = Bed::begin().await;
    let said = bed.cli(&["invoke", "hello", "/any?a=b"]).await.ok();
    assert_eq!(said.out, "hello\n");
    let said = bed.cli(&["invoke", "hello", "/any", "-d", "{}", "-i"]).await.ok();
    assert!(said.out.starts_with("200\n") && said.out.ends_with("\n\nhello\n"), "{}", said.out);
    let said = bed.cli(&["invoke", "hello", "/any", "--json"]).await.ok();
    assert_eq!(said.json()["status"], 200);
    for (arguments, code, words) in [
        (vec!["invoke", "hello", "any"], 2, "/any"),
        (vec!["invoke", "hello", "/any", "-H", "accept"], 2, "accept: text/plain"),
        (vec!["invoke", "nobody", "/any"], 3, "component"),
        (vec!["invoke", "hello", "/any", "-d", "@nowhere"], 1, "nowhere"),
    ] {
        let said = bed.cli(&arguments).await;
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(words.is_empty() || said.err.contains(words) || code == 2, "{}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_seen_while_it_happens_and_afterwards() {
    let bed = Bed::begin().await;
    let anybody = bed.nexus.anonymous();
    let tail = bed.cli(&["tail", "hello", "--count", "2"]);
    tokio::pin!(tail);
    // Asked again and again: the command may not listen yet.
    let said = loop {
        tokio::select! {
            said = &mut tail => break said.ok(),
            () = async {
                anybody.get("/seen").await.ok();
                tokio::time::sleep(Duration::from_millis(50)).await;
            } => {}
        }
    };
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);
    assert!(said.out.lines().all(|line| line.contains("  hello  http  GET ")), "{}", said.out);
    let said = bed.cli(&["logs", "hello", "--level", "error"]).await.ok();
    assert_eq!((&*said.out, &*said.err), ("", "nothing was logged that the host still has\n"));
    let said = bed.cli(&["status"]).await.ok();
    assert!(said.out.contains("COMPONENT  STATE   CALLS"), "{}", said.out);
    assert!(said.out.contains("\nhello      active"), "{}", said.out);
    assert_eq!(bed.cli(&["status", "nobody"]).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_and_a_run_are_ordered_by_command() {
    let bed = Bed::begin().await;
    bed.schedule().await;
    let queue = format!("{SERVICE}/{QUEUE}");
    let payload = ["-d", "{ \"amount_minor\": 7 }"];
    let said = bed.cli(&[&["call-queue", &queue, "--dry-run"][..], &payload].concat()).await.ok();
    assert_eq!(said.out, format!("{queue}\n"));
    assert_eq!(bed.queue_ready().await, 0);
    bed.cli(&[&["call-queue", &queue][..], &payload].concat()).await.ok();
    assert_eq!(bed.queue_ready().await, 1);
    let said = bed.cli(&["queue", "peek", SERVICE, QUEUE, "--payload"]).await.ok();
    assert!(said.out.contains("payload  {\"amount_minor\":7}"), "{}", said.out);

    let schedule = "billing/close_books";
    let said = bed.cli(&["run-cron", schedule, "--dry-run"]).await.ok();
    assert_eq!(said.heads(), ["DUE", "WHEN"]);
    assert!(bed.cli(&["run-cron", schedule]).await.ok().out.starts_with("run "));
    // Nobody answers for this service, so the run is never over.
    let wait = ["--overlap", "allow", "--wait", "--timeout", "1"];
    let said = bed.cli(&[&["run-cron", schedule][..], &wait].concat()).await;
    assert_eq!(said.code, 7, "{}", said.err);
    for (arguments, code, words) in [
        (vec!["call-queue", &*queue, "-d", "seven"], 2, "no JSON"),
        (vec!["call-queue", "nobody.asked.for.v1", "-d", "{}"], 3, "nexus queue ls"),
        (vec!["call-queue", "billing/none", "-d", "{}"], 3, "queue"),
        (vec!["run-cron", "billing/none"], 3, "nexus cron ls"),
    ] {
        let said = bed.cli(&arguments).await;
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
}

impl Bed {
    async fn queue_ready(&self) -> u64 {
        let said = self.cli(&["queue", "show", SERVICE, QUEUE, "--json"]).await.ok();
        said.json()["ready"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn a_component_begins_in_a_folder_that_nobody_has() {
    let place = tempfile::tempdir().unwrap();
    let into = place.path().join("greeting");
    let into = into.to_str().unwrap();
    let init = ["init", "shop/greeting", "--into", into];
    let said = run(&[], &[&init[..], &["--dry-run"]].concat()).await.ok();
    assert!(said.out.contains("greeting/src/greeting.rs\n"), "{}", said.out);
    assert!(!std::path::Path::new(into).exists());
    let said = run(&[], &[&init[..], &["--template", "cron", "--json"]].concat()).await.ok();
    assert_eq!(said.json()["files"].as_array().unwrap().len(), 9);
    let manifest = std::fs::read_to_string(format!("{into}/spin.toml")).unwrap();
    assert!(manifest.contains("schedule = "), "{manifest}");
    let again = run(&[], &init).await;
    assert_eq!(again.code, 2, "{}", again.err);
    assert!(again.err.contains("--into"), "{}", again.err);
    assert_eq!(run(&[], &["init", "greeting"]).await.code, 2);
}
