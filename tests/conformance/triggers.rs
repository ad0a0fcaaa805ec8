//! One component with all three triggers: what it commits is told, what it is told it handles, and
//! its schedules run. The guest is `probes/journal`, written with our SDK.

use nexus_harness::prelude::*;
use nexus_runtime::{
    Call, CallError, ComponentId, DEFAULT_TENANT, Delivery, Message, Outcome, Principal, Tick,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

const ENTRIES: &str = "/api/probe-journal/v1/entries";

struct Journal {
    nexus: Nexus,
    author: Client,
}

async fn journal(lines: &str) -> Journal {
    let nexus = nexus_harness::journal(lines).await;
    let author = nexus.member_with(["probe-journal:write"]).await;
    Journal { nexus, author }
}

const BOTH: &str = r#"subscribe = ["probe.entry.written.v1", "probe.**"]"#;

impl Journal {
    async fn write(&self, mood: &str) -> String {
        let draft = json!({ "mood": mood, "chapter": "one" });
        let entry = self.author.post(ENTRIES, draft).await.created();
        entry.json["id"].as_str().unwrap().to_owned()
    }

    /// Times an entry was filed by its own subscription and heard by the pattern.
    async fn count(&self, id: &str) -> (i64, i64) {
        let entries: Vec<Value> = self.author.get(ENTRIES).await.ok().json();
        let entry = entries.iter().find(|entry| entry["id"] == id).expect("the entry is listed");
        (entry["handled"].as_i64().unwrap(), entry["heard"].as_i64().unwrap())
    }

    async fn number(&self, sql: &str) -> i64 {
        let session = self.nexus.host().database().unwrap().host().await.unwrap();
        session.query(sql, &[]).await.unwrap()[0].get(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_committed_with_its_row_reaches_each_subscription_once() {
    let journal = journal(BOTH).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(journal.write("well").await);
    }
    for id in &ids {
        eventually("filed and heard", seconds(10), async || journal.count(id).await == (1, 1))
            .await;
    }
    assert_eq!(journal.number("select count(*) from probe_journal.filed").await, 20);
    assert_eq!(journal.number("select count(*) from probe_journal.heard").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_undone_tells_nobody() {
    let journal = journal(BOTH).await;
    let draft = json!({ "mood": "rollback" });
    journal.author.post(ENTRIES, draft).await.problem(409, "conflict");
    let after = journal.write("well").await;
    eventually("the next is heard", seconds(10), async || journal.count(&after).await == (1, 1))
        .await;
    assert_eq!(journal.number("select count(*) from probe_journal.heard").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_fails_or_traps_harms_no_other_message() {
    let journal = journal(BOTH).await;
    for expected in ["the entry asks for it", "instance lost", "unwelcome", "is dead"] {
        journal.nexus.expects_log(expected);
    }
    let mut well = Vec::new();
    for mood in ["refuse", "trap", "fail"] {
        journal.write(mood).await;
        well.push(journal.write("well").await);
    }
    for id in &well {
        eventually("filed", seconds(20), async || journal.count(id).await == (1, 1)).await;
    }
    // A refusal is final; what trapped or failed is waiting for its next attempt.
    let of = |state: &str| {
        format!(
            "select count(*) from platform.queue_{state} where queue_id in (
           select id from platform.queue where name = 'probe.entry.written.v1')"
        )
    };
    eventually("the refused one is dead", seconds(10), async || {
        journal.number(&of("dead")).await == 1
    })
    .await;
    eventually("two are deferred", seconds(10), async || {
        journal.number(&of("deferred")).await
            + journal.number(&of("lease")).await
            + journal.number(&of("ready")).await
            == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_lets_its_deliveries_end() {
    let journal = journal(BOTH).await;
    let database = journal.nexus.host().database().unwrap().clone();
    let id = journal.write("slow").await;
    // Its lease alone would not say so: a host that has not heard of it yet gives it back.
    let napping = "select count(*) from pg_stat_activity
        where state = 'active' and query like '%pg_sleep(2)%' and pid <> pg_backend_pid()";
    eventually("the delivery has begun", seconds(10), async || journal.number(napping).await > 0)
        .await;
    journal.nexus.stop().await.unwrap();
    let left = async |table: &str| -> i64 {
        let session = database.host().await.unwrap();
        let sql = format!("select count(*) from {table}");
        session.query(&sql, &[]).await.unwrap()[0].get(0)
    };
    assert_eq!(left(&format!("probe_journal.filed where entry_id = '{id}'")).await, 1);
    assert_eq!(left("platform.queue_lease").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_once_for_each_instant_it_names() {
    let line = r#"cron = [{ name = "count", schedule = "* * * * * *" }]"#;
    let journal = journal(line).await;
    let (all, distinct) = ("count(*)", "count(distinct nominal)");
    let count = async |what: &str| {
        journal.number(&format!("select {what} from probe_journal.counted")).await
    };
    eventually("three runs", seconds(15), async || count(distinct).await >= 3).await;
    assert_eq!(count(all).await, count(distinct).await);
    let odd = "select count(*) from probe_journal.counted where date_trunc('second', nominal)
               <> nominal or at < nominal";
    assert_eq!(journal.number(odd).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_two_days_fires_what_became_due_by_the_catch_up_policy() {
    let line = r#"cron = [{ name = "count", schedule = "15 3 * * *", catchup = "latest" }]"#;
    let journal = journal(line).await;
    journal.nexus.advance(days(2)).await;
    let runs = "select count(*) from probe_journal.counted";
    eventually("the run that became due", seconds(15), async || journal.number(runs).await >= 1)
        .await;
    assert_eq!(journal.number(runs).await, 1, "latest means one, however many were missed");
}

/// A message of the probe's own subscription, as the queue would hand it over.
fn message(mood: &str) -> Message {
    let id = Uuid::now_v7();
    Message {
        id: Uuid::now_v7(),
        topic: "probe.entry.written.v1".into(),
        source: "probe-journal".into(),
        subject: Some(id.to_string().into()),
        tenant: Some(DEFAULT_TENANT),
        payload: json!({ "id": id, "mood": mood, "chapter": "" }).to_string().into(),
        published_at: SystemTime::now(),
        attempt: 1,
        group: None,
        trace: None,
    }
}

fn delivery(moods: &[&str], wall: Duration) -> Delivery {
    Delivery {
        subscription: "probe.entry.written.v1".into(),
        messages: moods.iter().map(|mood| message(mood)).collect(),
        wall,
        batch: moods.len() > 1,
    }
}

fn call() -> Call {
    Call::new("r-1", Arc::new(Principal::anonymous(DEFAULT_TENANT)))
}

fn component() -> ComponentId {
    ComponentId::new("probe-journal").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_with_an_outcome_for_each_message_in_its_order() {
    let journal = journal("").await;
    journal.nexus.expects_log("the entry asks for");
    let batch = delivery(&["well", "refuse", "fail", "fail-once"], seconds(20));
    let outcomes = journal.nexus.runtime().deliver(&component(), batch, call()).await.unwrap();
    assert_eq!(outcomes[0], Outcome::Ack);
    assert!(matches!(&outcomes[1], Outcome::Reject { reason } if reason.contains("unwelcome")));
    let Outcome::Retry { after: None, reason } = &outcomes[2] else { panic!("{outcomes:?}") };
    assert!(reason.contains("asks for it"), "{reason}");
    assert!(matches!(outcomes[3], Outcome::Retry { after: Some(_), .. }));
    assert_eq!(outcomes.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_traps_or_takes_too_long_is_an_error_and_the_component_goes_on() {
    let journal = journal("").await;
    journal.nexus.expects_log("instance lost");
    journal.nexus.expects_log("the entry asks for it");
    let runtime = journal.nexus.runtime();
    let trapped = runtime.deliver(&component(), delivery(&["trap"], seconds(20)), call()).await;
    assert!(matches!(trapped, Err(CallError::Trapped(_))), "{trapped:?}");
    let wall = Duration::from_millis(300);
    let late = runtime.deliver(&component(), delivery(&["slow"], wall), call()).await;
    assert!(
        matches!(late, Err(CallError::FirstByteTimeout { limit }) if limit == wall),
        "{late:?}"
    );
    let well = runtime.deliver(&component(), delivery(&["well"], seconds(20)), call()).await;
    assert_eq!(well.unwrap(), [Outcome::Ack]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_runs_the_schedule_of_its_name() {
    let journal = journal("").await;
    journal.nexus.expects_log("this schedule always fails");
    journal.nexus.expects_log("no schedule");
    let tick = |name: &str| Tick {
        id: Uuid::now_v7(),
        name: name.into(),
        scheduled_at: SystemTime::UNIX_EPOCH + days(365),
        fired_at: SystemTime::now(),
        attempt: 1,
        trace: None,
        wall: seconds(20),
    };
    let run = async |name| journal.nexus.runtime().tick(&component(), tick(name), call()).await;
    assert_eq!(run("count").await.unwrap(), Outcome::Ack);
    let nominal = "select count(*) from probe_journal.counted where nominal = '1971-01-01'";
    assert_eq!(journal.number(nominal).await, 1);
    assert!(matches!(run("fail").await.unwrap(), Outcome::Retry { .. }));
    let unknown = run("nobody").await.unwrap();
    assert!(matches!(&unknown, Outcome::Retry { reason, .. } if reason.contains("no schedule")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_cannot_answer_its_subscriptions_is_not_activated() {
    let manifest = format!(
        "spin_manifest_version = 2\n[application]\nname = \"hello\"\nversion = \"0.0.0\"\n\
         [component.hello]\nsource = \"{}\"\n[component.hello.tool.nexus]\n\
         subscribe = [\"probe.entry.written.v1\"]\n",
        probe("hello").display()
    );
    let mut nexus = Nexus::setup().manifest(manifest).without_database().start_unready().await;
    nexus.expects_log("the component is not active");
    nexus.ready().await;
    let hello = nexus.runtime().snapshot().remove(0);
    let reason = hello.inactive_reason.expect("it is not active");
    assert!(reason.contains("nexus:triggers/messages"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_submits_watches_and_cancels_the_jobs_of_native_workers() {
    let journal = journal("").await;
    let jobs = "/api/probe-journal/v1/jobs";
    let submit = async || {
        let errand = json!({ "kind": "fold", "args": { "paper": "a4" } });
        let submitted: Value = journal.author.post(jobs, errand).await.ok().json();
        submitted["id"].as_str().unwrap().to_owned()
    };
    let host = journal.nexus.host();
    let worker = Client::new(&format!("http://{}", host.admin_address()));
    let worker = worker.bearer(host.worker_token());
    let id = submit().await;
    let watching = {
        let (author, url) = (journal.author.clone(), format!("{jobs}/{id}/progress"));
        tokio::spawn(async move { author.get(&url).await.ok().json::<Value>() })
    };
    let wanted = json!({ "worker": "w", "kinds": ["fold"], "most": 1, "wait_ms": 10_000 });
    let claimed: Value = worker.post("/worker/v1/claim", wanted.clone()).await.ok().json();
    let lease = claimed["jobs"][0]["lease"].clone();
    assert_eq!(claimed["jobs"][0]["id"], id.as_str());
    let job = format!("/worker/v1/jobs/{id}");
    let half = json!({ "lease": lease, "fraction": 0.5, "stage": "folding" });
    worker.post(&format!("{job}/heartbeat"), half).await.ok();
    let show =
        async |id: &str| journal.author.get(&format!("{jobs}/{id}")).await.ok().json::<Value>();
    assert_eq!(show(&id).await["state"], "running");
    let done = json!({ "lease": lease, "outcome": "ack", "output": { "folds": 7 } });
    worker.post(&format!("{job}/finish"), done.clone()).await.no_content();
    worker.post(&format!("{job}/finish"), done).await.problem(409, "lease-lost");
    let seen = watching.await.unwrap();
    let last = seen.as_array().unwrap().last().unwrap();
    assert_eq!(last["state"], "succeeded", "{seen}");
    assert_eq!(show(&id).await["output"], json!({ "folds": 7 }));
    let second = submit().await;
    let url = format!("{jobs}/{second}");
    assert_eq!(journal.author.delete(&url).await.ok().json::<Value>()["state"], "cancelled");
    let stranger = format!("{jobs}/{}", Uuid::now_v7());
    journal.author.get(&stranger).await.problem(404, "not-found");
}
