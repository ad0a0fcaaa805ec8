//! The commands as operators type them: the binary, against a host that runs.

use super::{Bed, QUEUE, SERVICE};
use nexus_harness::prelude::*;
use std::path::Path;

/// What a command has said.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    #[track_caller]
    pub(super) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The value that stands beside a name.
    #[track_caller]
    pub(super) fn value(&self, name: &str) -> &str {
        let found = self.out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("  "));
        found.unwrap_or_else(|| panic!("no {name}: {}", self.out)).trim_start()
    }

    /// The words of the first line.
    pub(super) fn heads(&self) -> Vec<&str> {
        self.out.lines().next().unwrap_or_default().split_whitespace().collect()
    }
}

/// Runs the binary with nothing of the developer's own set-up.
pub(super) async fn run(environment: &[(&str, &str)], arguments: &[&str]) -> Said {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nexus"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NEXUS_") {
            command.env_remove(&name);
        }
    }
    command.env("USER", "ada").envs(environment.iter().copied()).args(arguments);
    let output = command.stdin(std::process::Stdio::null()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

impl Bed {
    pub(super) async fn cli(&self, arguments: &[&str]) -> Said {
        let host = self.nexus.host();
        let address = host.admin_address().to_string();
        let environment =
            [("NEXUS_ADMIN_LISTEN", &*address), ("NEXUS_ADMIN_TOKEN", host.admin_token())];
        run(&environment, arguments).await
    }

    /// The answer of the API to the same question.
    async fn api(&self, path: &str) -> Value {
        self.nexus.admin().get(&format!("/api/v1/{path}")).await.ok().json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_listed_shown_and_switched_by_command() {
    let bed = Bed::begin().await;
    for amount in 0..3 {
        bed.put(amount).await;
    }
    bed.bury("card expired").await;
    let said = bed.cli(&["queue", "ls", "--service", SERVICE]).await.ok();
    let lines = "\
SERVICE  QUEUE         KIND     READY  DEFERRED  LEASED  DEAD  OLDEST  STATE
billing  late fees/eu  service      3         0       0     1  ";
    assert!(said.out.starts_with(lines), "{}", said.out);
    let line = said.out.lines().nth(1).unwrap();
    let [state, unit, age] = line.split_whitespace().rev().take(3).collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    assert_eq!((state, unit), ("open", "s"));
    assert!(age.parse::<u32>().is_ok(), "{line}");
    let said = bed.cli(&["queue", "ls", "--service", SERVICE, "--json"]).await.ok();
    assert_eq!(said.json()["queues"][0]["ready"], 3);
    let none = bed.cli(&["queue", "ls", "--service", "nobody"]).await.ok();
    assert_eq!((&*none.out, &*none.err), ("", "there is no queue\n"));

    let said = bed.cli(&["queue", "show", SERVICE, QUEUE]).await.ok();
    for (name, value) in [("service", SERVICE), ("state", "open"), ("ready", "3"), ("dead", "1")] {
        assert_eq!(said.value(name), value);
    }
    let said = bed.cli(&["queue", "pause", SERVICE, QUEUE]).await.ok();
    assert_eq!(said.value("state"), "paused");
    assert!(said.value("paused").ends_with(" ago by root (ada)"), "{}", said.out);
    let again = bed.cli(&["queue", "pause", SERVICE, QUEUE, "--by", "bob"]).await.ok();
    assert_eq!(again.err, "it was so already\n");
    let said = bed.cli(&["queue", "resume", SERVICE, QUEUE, "--json"]).await.ok();
    assert_eq!((&said.json()["paused"], &said.json()["changed"]), (&json!(false), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_peeked_redriven_and_purged_by_command() {
    let bed = Bed::begin().await;
    let id = bed.bury("card \u{1b}[31mexpired").await.to_string();
    bed.bury("no such account").await;
    for amount in 0..3 {
        bed.put(amount).await;
    }
    let peek = ["queue", "peek", SERVICE, QUEUE, "--limit", "2"];
    let said = bed.cli(&peek).await.ok();
    let heads = ["ID", "TOPIC", "READY", "ATTEMPT", "PRIORITY", "GROUP", "WORKER", "LAST", "ERROR"];
    assert_eq!(said.heads(), heads);
    assert_eq!(said.out.lines().count(), 3, "{}", said.out);
    let cursor = said.err.trim().strip_prefix("more: --cursor '").unwrap().trim_end_matches('\'');
    let rest = bed.cli(&[&peek[..], &["--cursor", cursor, "--payload"]].concat()).await.ok();
    assert!(rest.out.contains("payload  {\"amount_minor\":2}\n"), "{}", rest.out);
    let said = bed.cli(&[&peek[..], &["--json"]].concat()).await.ok();
    let path = "queues/billing/late%20fees%2Feu/messages?limit=2";
    assert_eq!(said.json(), bed.api(path).await);
    let dead = bed.cli(&["queue", "peek", SERVICE, QUEUE, "--state", "dead"]).await.ok();
    assert_eq!(dead.heads()[2], "DIED");

    let said = bed.cli(&["queue", "dlq"]).await.ok();
    let heads = ["SERVICE", "QUEUE", "ID", "TOPIC", "DIED", "ATTEMPTS", "REASON"];
    assert_eq!(said.heads(), heads);
    assert!(
        said.out.contains("card \u{fffd}[31mexpired\n"),
        "no colours of strangers: {}",
        said.out
    );
    let said = bed.cli(&["queue", "dlq", "--reason", "account", "--since", "1h"]).await.ok();
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);
    let said = bed.cli(&["queue", "dlq", "--json"]).await.ok();
    assert_eq!(said.json(), bed.api("dead-letters").await);
    let none = bed.cli(&["queue", "dlq", "--before", "1h"]).await.ok();
    assert_eq!((&*none.out, &*none.err), ("", "there is no such dead letter\n"));

    let redrive = ["queue", "redrive", SERVICE, QUEUE];
    let said = bed.cli(&[&redrive[..], &["--all", "--dry-run"]].concat()).await.ok();
    assert_eq!(said.out, "2 dead messages would be sent back to work\n");
    assert_eq!(bed.api("dead-letters").await["dead_letters"].as_array().unwrap().len(), 2);
    let said = bed.cli(&[&redrive[..], &["--id", &id, "--rate", "0.01"]].concat()).await.ok();
    assert_eq!(said.out, "1 dead message was sent back to work\n");
    let purge = ["queue", "purge", SERVICE, QUEUE];
    let said = bed.cli(&[&purge[..], &["--reason", "account", "--json"]].concat()).await.ok();
    assert_eq!(said.json(), json!({ "dry_run": false, "messages": 1, "more": false }));
    // The first of what is sent back is due at once, and ready at the host's next look.
    eventually("it is ready again", seconds(20), async || {
        bed.api("queues/billing/late%20fees%2Feu").await["ready"] == 4
    })
    .await;
    let said =
        bed.cli(&[&purge[..], &["--state", "ready", "--topic", "billing.**"]].concat()).await;
    assert_eq!(said.ok().out, "4 ready messages were thrown away\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_listed_run_and_backfilled_by_command() {
    let bed = Bed::begin().await;
    let id = bed.schedule().await.to_string();
    let said = bed.cli(&["cron", "ls", "--service", SERVICE]).await.ok();
    let heads = ["SERVICE", "NAME", "EXPRESSION", "ZONE", "NEXT", "LAST", "STATE", "ID"];
    assert_eq!(said.heads(), heads);
    let line = said.out.lines().nth(1).unwrap();
    assert!(line.starts_with("billing  close_books  15 3 * * *  Europe/Berlin  in "), "{line}");
    assert!(line.ends_with(&format!("on     {id}")), "{line}");
    let said = bed.cli(&["cron", "ls", "--service", SERVICE, "--json"]).await.ok();
    assert_eq!(said.json(), bed.api("schedules?service=billing").await);

    let said = bed.cli(&["cron", "next", "billing/close_books", "--count", "3"]).await.ok();
    assert_eq!((said.heads(), said.out.lines().count()), (vec!["DUE", "WHEN"], 4));
    let said = bed.cli(&["cron", "next", &id, "--zone", "Asia/Tokyo", "--json"]).await.ok();
    assert_eq!(said.json()["times"].as_array().unwrap().len(), 10);
    assert!(said.json()["times"][0].as_str().unwrap().ends_with("+09:00"));

    let run = bed.cli(&["cron", "run", "billing/close_books"]).await.ok();
    let run = run.out.strip_prefix("run ").unwrap().trim().to_owned();
    let stretch = ["--from", "2025-03-01T00:00:00Z", "--to", "2025-03-03T00:00:00Z"];
    let backfill = [&["cron", "backfill", &id][..], &stretch].concat();
    let said = bed.cli(&[&backfill[..], &["--dry-run"]].concat()).await.ok();
    assert_eq!((said.out.lines().count(), &*said.err), (3, "2 runs would run\n"));
    let said = bed.cli(&backfill).await.ok();
    assert_eq!(said.out, "2 runs ordered\n");
    let said = bed.cli(&["cron", "history", &id]).await.ok();
    let heads = ["SCHEDULED", "FIRED", "TRIGGER", "STATE", "ATTEMPT", "TOOK", "REASON", "BY", "ID"];
    assert_eq!((said.heads(), said.out.lines().count()), (heads.to_vec(), 4));
    assert!(said.out.contains(&run) && said.out.contains("  root (ada)  "), "{}", said.out);
    let said = bed.cli(&["cron", "history", &id, "--json", "--limit", "1"]).await.ok();
    assert_eq!(said.json()["runs"].as_array().unwrap().len(), 1);

    let said = bed.cli(&["cron", "pause", &id, "--reason", "the ledger moves"]).await.ok();
    let told = ["state", "by", "reason"].map(|name| said.value(name));
    assert_eq!(told, ["paused", "root (ada)", "the ledger moves"]);
    let said = bed.cli(&["cron", "next", &id]).await.ok();
    assert!(said.err.contains("it is paused"), "{}", said.err);
    let said = bed.cli(&["cron", "resume", "billing/close_books"]).await.ok();
    assert_eq!(said.value("state"), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_shown_and_cancelled_by_command() {
    let bed = Bed::begin().await;
    let id = bed.job("thumb").await.to_string();
    let said = bed.cli(&["jobs", "ls", "--state", "queued", "--kind", "thumb"]).await.ok();
    let heads = ["ID", "KIND", "SERVICE", "STATE", "DONE", "ATTEMPT", "CREATED", "WORKER", "WHAT"];
    assert_eq!(said.heads(), heads);
    let line = format!("{id}  thumb  billing  queued    0%      0/5  ");
    assert!(said.out.contains(&line), "{}", said.out);
    let said = bed.cli(&["jobs", "ls", "--json"]).await.ok();
    assert_eq!(said.json(), bed.api("jobs").await);
    let said = bed.cli(&["jobs", "show", &id]).await.ok();
    assert_eq!(said.value("args"), "{\"object\":\"a.mp4\"}");
    let said = bed.cli(&["jobs", "show", &id, "--json"]).await.ok();
    assert_eq!(said.json(), bed.api(&format!("jobs/{id}")).await);
    let said = bed.cli(&["jobs", "cancel", &id]).await.ok();
    assert_eq!(said.value("state"), "cancelled");
    let none = bed.cli(&["jobs", "ls", "--state", "running"]).await.ok();
    assert_eq!((&*none.out, &*none.err), ("", "there is no such job\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_exit_code_and_says_what_to_do_next() {
    let bed = Bed::begin().await;
    let gone = uuid::Uuid::nil().to_string();
    for (arguments, code, words) in [
        (vec!["queue"], 2, "Usage"),
        (vec!["queue", "ls", "--limit", "0"], 2, "--limit"),
        (vec!["queue", "purge", SERVICE, QUEUE], 2, "--all"),
        (vec!["queue", "redrive", SERVICE, QUEUE, "--all", "--topic", "a"], 2, "--all"),
        (vec!["queue", "dlq", "--since", "yesterday"], 2, "15m"),
        (vec!["cron", "next", "close_books"], 2, "nexus cron ls"),
        (vec!["jobs", "show", "1"], 2, "<ID>"),
        (vec!["queue", "ls", "--admin", "https://nexus.example"], 2, "SSH"),
        (vec!["queue", "show", SERVICE, "none"], 3, "/api/v1/queues"),
        (vec!["queue", "redrive", SERVICE, "none", "--all"], 3, "no such queue"),
        (vec!["cron", "run", "billing/none"], 3, "nexus cron ls"),
        (vec!["cron", "history", &gone], 3, "schedule"),
        (vec!["jobs", "cancel", &gone], 3, "30 days"),
        (vec!["queue", "peek", SERVICE, QUEUE, "--cursor", "x"], 4, "cursor"),
        (vec!["queue", "ls", "--admin-token", "another-token-0123"], 4, "NEXUS_ADMIN_TOKEN"),
        (vec!["queue", "ls", "--admin", "127.0.0.1:1"], 5, "nexus up"),
    ] {
        let said = bed.cli(&arguments).await;
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
    }
    for resource in ["queue", "cron", "jobs"] {
        let help = bed.cli(&[resource, "--help"]).await.ok();
        assert!(help.out.contains("5 no host answers"), "{}", help.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_found_in_the_hosts_home() {
    let bed = Bed::begin().await;
    let address = bed.nexus.host().admin_address().to_string();
    let ask = async |home: &Path| {
        let home = home.to_str().unwrap();
        run(&[], &["queue", "ls", "--admin", &address, "--home", home, "--service", SERVICE]).await
    };
    assert!(ask(bed.nexus.host().home()).await.ok().out.contains(QUEUE));
    let empty = tempfile::tempdir().unwrap();
    let said = ask(empty.path()).await;
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("NEXUS_ADMIN_TOKEN") && said.err.contains("--home"), "{}", said.err);
}
