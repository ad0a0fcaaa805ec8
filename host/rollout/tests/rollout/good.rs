//! What is good is served everywhere, step by step, with its migrations, and what it replaced ends.

use crate::bed::{Bed, Wanted, artifact, fragment, steps, until};
use nexus_rollout::{Deploy, Deployed, Strategy};
use nexus_storage::rollouts::{State, Verb, Weights};
use serde_json::json;

fn named(name: &str) -> Strategy {
    serde_json::from_value(json!(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_revision_takes_all_calls_of_all_hosts_by_its_steps() {
    let bed = Bed::new().await;
    let one = bed.host(Wanted::default()).await;
    let two = bed.host(Wanted { name: "two", ..Wanted::default() }).await;
    let new = artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let id = one.deploy("lamp", &new, steps(&[1_000, 5_000, 10_000])).await;
    bed.reaches(id, State::Done).await;
    let states: Vec<_> = bed.rollouts.events(id).await.unwrap();
    let weights: Vec<_> = states
        .iter()
        .filter(|event| event.state == State::Stepping)
        .map(|event| event.weight)
        .collect();
    assert_eq!(weights, [1_000, 5_000, 10_000], "{states:?}");
    for host in [&one, &two] {
        until("both hosts serve it alone", async || {
            host.serves("lamp") == Weights::from([(2, 10_000)])
        })
        .await;
        assert_eq!(host.get("/api/lamp/x").await.unwrap(), 200);
    }
    // The same again is the same revision, and nothing is rolled out twice at a time.
    let again = one.deploy("lamp", &new, named("instant")).await;
    let row = bed.reaches(again, State::Done).await;
    assert_eq!((row.revision, row.baseline), (2, Some(2)));
    one.stop().await;
    two.stop().await;
    assert!(bed.rollouts.hosts().await.unwrap().is_empty(), "whoever stops says so");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_staged_waits_for_its_promotion() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let new = artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let id = host.deploy("lamp", &new, named("stage")).await;
    bed.reaches(id, State::Staged).await;
    until("it is there without a share", async || {
        host.serves("lamp") == Weights::from([(1, 10_000), (2, 0)])
    })
    .await;
    bed.rollouts.order(id, Verb::Promote, "ada", "", false).await.unwrap();
    bed.reaches(id, State::Done).await;
    until("it serves", async || host.serves("lamp") == Weights::from([(2, 10_000)])).await;
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_nobody_knew_gets_its_schema_and_its_route() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let sql = "create table desk.desk (id int primary key)";
    let new = artifact("desk", "hello", &fragment("desk", "", ""), &[("0001_desk.sql", sql)]);
    let id = host.deploy("desk", &new, steps(&[1_000, 10_000])).await;
    bed.reaches(id, State::Done).await;
    until("it is served", async || host.get_of("desk", "/api/desk/x").await.is_ok()).await;
    let active = host.runtime.active();
    assert!(active.routes.iter().any(|r| r.pattern.as_deref() == Some("/api/desk/...")));
    let session = bed.database.service("desk").await.unwrap();
    session.query("select * from desk", &[]).await.unwrap();
    // The next one brings another table, and what would break the one before is refused.
    let more = "create table desk.drawer (id int)";
    let files = [("0001_desk.sql", sql), ("0002_drawer.sql", more)];
    let new = artifact("desk", "hello", &fragment("desk", "", ""), &files);
    let id = host.deploy("desk", &new, named("instant")).await;
    bed.reaches(id, State::Done).await;
    session.query("select * from drawer", &[]).await.unwrap();
    let files = [files[0], files[1], ("0003_less.sql", "drop table desk.drawer")];
    let less = artifact("desk", "hello", &fragment("desk", "", ""), &files);
    let id = host.deploy("desk", &less, named("instant")).await;
    let row = bed.reaches(id, State::Failed).await;
    assert!(row.reason.contains("0003_less.sql, line 1: it drops a table"), "{}", row.reason);
    session.query("select * from drawer", &[]).await.unwrap();
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let lines = "allowed_outbound_hosts = [\"https://example.com\"]";
    let files = [("0001_lamp.sql", "select 1"), ("0002_x.sql", "alter table a rename to b")];
    let new = artifact("lamp", "hello", &fragment("lamp", lines, "cpu_ms = 7"), &files);
    let stored = host.rollout.store(new.archive().into(), "ada").await.unwrap();
    assert!(!stored.existed);
    let order = Deploy {
        artifact: Some(stored.artifact.digest),
        dry_run: true,
        by: "ada".into(),
        ..Deploy::default()
    };
    let planned = host.rollout.deploy("lamp", &order).await.unwrap();
    let Deployed::Planned { changes, objections, plan, .. } = planned else { panic!("it began") };
    assert_eq!(plan.steps, [100, 1_000, 5_000, 10_000]);
    let text = changes.to_string();
    assert!(text.contains("https://example.com") && text.contains("cpu_ms"), "{text}");
    assert!(objections.iter().any(|why| why.contains("it renames something")), "{objections:?}");
    assert!(bed.rollouts.list(None, None, None, 10).await.unwrap().is_empty());
    assert_eq!(bed.rollouts.revisions("lamp", None, 10).await.unwrap().len(), 1);
    host.stop().await;
    bed.end().await;
}
