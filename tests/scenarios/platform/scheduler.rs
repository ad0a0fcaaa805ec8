//! A user's schedules call the user's machine, on time, signed, and as often as they should.

use super::scheduler_receiver::Receiver;
use nexus_harness::prelude::*;
use std::collections::BTreeSet;

const SCHEDULES: &str = "/api/scheduler/v1/schedules";

/// Somebody who may do all with schedules, and the secret of the tenant.
async fn owner(nexus: &Nexus) -> (Client, String) {
    let may = ["scheduler:view", "scheduler:manage", "scheduler:enqueue", "scheduler:operate"];
    let owner = nexus.member_with(may).await;
    let secret = owner.post("/api/scheduler/v1/signing-secrets", json!({})).await.created();
    (owner, secret.json["secret"].as_str().unwrap().to_owned())
}

fn nightly(url: &str) -> Value {
    json!({
        "name": "nightly",
        "timing": { "when": { "cron": "15 3 * * *" }, "zone": "Europe/Berlin" },
        "target": { "callback": { "url": url } },
    })
}

async fn runs(client: &Client, schedule: &str) -> Vec<Value> {
    let page: Value = client.get(&format!("{schedule}/runs?limit=200")).await.ok().json();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_schedule_calls_back_with_a_signature_that_verifies() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let (owner, secret) = owner(&nexus).await;
    let mut every_second = nightly(&receiver.url("/hook"));
    every_second["timing"]["when"] = json!({ "cron": "* * * * * *" });
    let made = owner.post(SCHEDULES, every_second).await.created();
    let first = receiver.heard(1).await.remove(0);
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/hook"));
    assert!(first.is_signed_with(&secret), "{first:?}");
    assert_eq!(first.headers["scheduler-attempt"], "1");
    assert_eq!(first.json()["data"]["schedule"], "nightly");
    let id = first.headers["webhook-id"].clone();
    assert_eq!(first.json()["data"]["run_id"], id.as_str());
    let finished = async || {
        let runs = runs(&owner, &made.url).await;
        runs.iter().any(|r| r["id"] == id.as_str() && r["state"] == "succeeded")
    };
    eventually("the run is over", seconds(20), finished).await;
    let attempts: Value =
        owner.get(&format!("/api/scheduler/v1/runs/{id}/attempts")).await.ok().json();
    assert_eq!(attempts["items"][0]["status"], 200);
    assert_eq!(attempts["items"][0]["body"], "heard\n");
    // No instant is called for twice.
    receiver.heard(3).await;
    let calls = receiver.calls();
    let instants: BTreeSet<_> =
        calls.iter().map(|call| call.headers["scheduler-scheduled-at"].clone()).collect();
    assert_eq!(instants.len(), calls.len());
    owner.delete(&made.url).await.no_content();
    owner.get(&made.url).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_schedule_is_pointed_at() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let (owner, _) = owner(&nexus).await;
    let changed = |pointer: &str, value: Value| {
        let mut schedule = nightly("https://example.com/hook");
        *schedule.pointer_mut(pointer).unwrap() = value;
        schedule
    };
    for (pointer, value, name, place) in [
        ("/timing/when", json!({ "cron": "61 * * * *" }), "expression", "#/timing/when/cron"),
        ("/timing/when", json!({ "cron": "0 0 30 2 *" }), "expression", "#/timing/when/cron"),
        ("/timing/when", json!({ "every": "soon" }), "expression", "#/timing/when/every"),
        (
            "/timing/when",
            json!({ "rrule": "RRULE:FREQ=NEVER" }),
            "expression",
            "#/timing/when/rrule",
        ),
        ("/timing/zone", json!("Europe/Atlantis"), "zone", "#/timing/zone"),
        (
            "/target/callback/url",
            json!("ftp://example.com"),
            "callback-url",
            "#/target/callback/url",
        ),
        (
            "/target/callback/url",
            json!("http://core-os.spin.internal/"),
            "callback-host",
            "#/target/callback/url",
        ),
    ] {
        let problem = owner.post(SCHEDULES, changed(pointer, value)).await.problem(422, name);
        assert_eq!(problem.errors[0]["pointer"], place, "{problem:?}");
    }
    let problem = owner
        .post(SCHEDULES, changed("/timing/when", json!({ "cron": "61 * * * *" })))
        .await
        .problem(422, "expression");
    assert!(problem.detail.contains("61"), "{problem:?}");
    let made = owner.post(SCHEDULES, nightly("https://example.com/hook")).await.created();
    owner
        .post(SCHEDULES, nightly("https://example.com/hook"))
        .await
        .problem(409, "schedule-exists");
    let next: Value = owner.get(&format!("{}/next?count=3", made.url)).await.ok().json();
    assert_eq!(next["instants"].as_array().unwrap().len(), 3);
    assert!(next["description"].as_str().unwrap().contains("03:15"), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_nothing_and_those_without_permission_are_told_so() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let (owner, _) = owner(&nexus).await;
    let schedule = owner.post(SCHEDULES, nightly(&receiver.url("/"))).await.created();
    let queue = json!({ "name": "mail", "callback": { "url": receiver.url("/") } });
    let queue = owner.post("/api/scheduler/v1/queues", queue).await.created();
    let stranger = nexus.stranger_with(uuid::Uuid::now_v7(), ["scheduler:*"]).await;
    for path in [SCHEDULES, "/api/scheduler/v1/queues", "/api/scheduler/v1/dead-letters"] {
        let theirs: Value = stranger.get(path).await.ok().json();
        assert_eq!(theirs["items"], json!([]), "{path}");
    }
    for path in ["", "/runs", "/next"] {
        let url = format!("{}{path}", schedule.url);
        stranger.get(&url).await.problem(404, "not-found");
    }
    for (path, body) in [
        ("/trigger", json!({})),
        ("/pause", json!({})),
        ("/resume", json!({})),
        ("/backfill", json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z" })),
    ] {
        let url = format!("{}{path}", schedule.url);
        stranger.post(&url, body).await.problem(404, "not-found");
    }
    stranger.delete(&schedule.url).await.problem(404, "not-found");
    stranger.delete(&queue.url).await.problem(404, "not-found");
    let job = json!({ "queue_id": queue.json["id"], "payload": {} });
    stranger.post("/api/scheduler/v1/jobs", job).await.problem(404, "not-found");
    let reader = nexus.member_with(["scheduler:view"]).await;
    reader.post(SCHEDULES, nightly(&receiver.url("/"))).await.problem(403, "forbidden");
    reader.post(&format!("{}/trigger", schedule.url), json!({})).await.problem(403, "forbidden");
    nexus.anonymous().get(SCHEDULES).await.problem(401, "unauthenticated");
    assert_eq!(receiver.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_schedule_fires_by_hand_alone_until_it_is_resumed() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let (owner, _) = owner(&nexus).await;
    let mut often = nightly(&receiver.url("/"));
    often["timing"]["when"] = json!({ "every": "1h" });
    let made = owner.post(SCHEDULES, often).await.created();
    let show = async || owner.get(&made.url).await.ok().json::<Value>();
    eventually("it is due", seconds(20), async || !show().await["next_at"].is_null()).await;
    let pause = json!({ "reason": "the receiver moves" });
    owner.post(&format!("{}/pause", made.url), pause).await.no_content();
    let paused = show().await;
    assert_eq!(paused["paused_reason"], "the receiver moves");
    assert!(paused["next_at"].is_null());
    nexus.advance(hours(3)).await;
    let triggered = owner.post(&format!("{}/trigger", made.url), json!({})).await.status(202);
    let run = triggered.json::<Value>()["run_id"].as_str().unwrap().to_owned();
    let calls = receiver.heard(1).await;
    assert_eq!(calls[0].headers["webhook-id"], run, "{calls:?}");
    assert_eq!(calls[0].headers["scheduler-trigger"], "manual");
    owner.post(&format!("{}/resume", made.url), json!({})).await.no_content();
    eventually("it is due again", seconds(20), async || !show().await["next_at"].is_null()).await;
    nexus.advance(hours(2)).await;
    let calls = receiver.heard(2).await;
    assert_ne!(calls[1].headers["scheduler-trigger"], "manual");
    // What fell into the pause is not made up for.
    let fired = runs(&owner, &made.url).await;
    let made_up = |run: &&Value| run["trigger"] != "manual" && run["state"] != "missed";
    assert_eq!(fired.iter().filter(made_up).count(), 1, "{fired:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_runs_what_its_preview_says_one_after_another() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let (owner, _) = owner(&nexus).await;
    let made = owner.post(SCHEDULES, nightly(&receiver.url("/"))).await.created();
    // The last Sunday of March is among them: in Berlin, an hour is missing.
    let stretch = json!({ "from": "2026-03-27T00:00:00Z", "to": "2026-03-31T00:00:00Z" });
    let mut preview = stretch.clone();
    preview["preview"] = json!(true);
    let path = format!("{}/backfill", made.url);
    let told: Value = owner.post(&path, preview).await.status(202).json();
    assert_eq!(
        told["instants"],
        json!([
            "2026-03-27T02:15:00Z",
            "2026-03-28T02:15:00Z",
            "2026-03-29T01:15:00Z",
            "2026-03-30T01:15:00Z"
        ])
    );
    assert!(told["id"].is_null());
    assert_eq!(receiver.calls().len(), 0);
    let ordered: Value = owner.post(&path, stretch).await.status(202).json();
    assert_eq!(ordered["instants"], told["instants"]);
    let calls = receiver.heard(4).await;
    let at = |call: &super::scheduler_receiver::Received| {
        call.json()["data"]["scheduled_at"].as_str().unwrap().to_owned()
    };
    let called: Vec<String> = calls.iter().map(at).collect();
    assert_eq!(json!(called), told["instants"]);
    let too_long = json!({ "from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" });
    owner.post(&path, too_long).await.problem(422, "backfill-too-long");
    let backwards = json!({ "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" });
    owner.post(&path, backwards).await.problem(422, "backfill-range");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_two_days_away_what_was_missed_is_made_up_for_as_the_schedule_says() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let (owner, _) = owner(&nexus).await;
    let schedule = |name: &str, catchup: &str| {
        json!({
            "name": name,
            "timing": {
                "when": { "cron": "0 */6 * * *" },
                "catchup": catchup,
                "catchup_window_seconds": 3 * 86_400,
                "overlap": "allow",
            },
            "target": { "callback": { "url": receiver.url(&format!("/{name}")) } },
        })
    };
    let mut urls = Vec::new();
    for (name, catchup) in [("all", "all"), ("latest", "latest"), ("none", "none")] {
        urls.push(owner.post(SCHEDULES, schedule(name, catchup)).await.created().url);
    }
    for url in &urls {
        let due = async || !owner.get(url).await.ok().json::<Value>()["next_at"].is_null();
        eventually("it is due", seconds(20), due).await;
    }
    nexus.advance(days(2)).await;
    receiver.heard(9).await;
    let fired = async |url: &String| {
        let runs = runs(&owner, url).await;
        runs.iter().filter(|run| run["state"] != "missed").count()
    };
    eventually("all that was missed is over", seconds(30), async || {
        let runs = runs(&owner, &urls[0]).await;
        runs.iter().filter(|run| run["state"] == "succeeded").count() == 8
    })
    .await;
    assert_eq!((fired(&urls[0]).await, fired(&urls[1]).await), (8, 1));
    let of = |path: &str| receiver.calls().iter().filter(|call| call.path == path).count();
    assert_eq!((of("/all"), of("/latest"), of("/none")), (8, 1, 0));
    // What was not made up for is told.
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let told = "select coalesce(sum((payload ->> 'fires')::bigint), 0)::bigint from platform.event
                where topic = 'platform.job.missed.v1'";
    let missed = async || session.query(told, &[]).await.unwrap()[0].get::<_, i64>(0);
    eventually("fifteen fires are told missed", seconds(30), async || missed().await == 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_fails_pauses_where_it_says_so_and_goes_on_as_replaced() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let (owner, _) = owner(&nexus).await;
    receiver.answers("500 Internal Server Error");
    let mut careful = nightly(&receiver.url("/old"));
    careful["timing"]["pause_on_failure"] = json!(true);
    careful["retry"] = json!({ "attempts_max": 1 });
    let made = owner.post(SCHEDULES, &careful).await.created();
    owner.post(&format!("{}/trigger", made.url), json!({})).await.status(202);
    let paused = async || !owner.get(&made.url).await.ok().json::<Value>()["paused_at"].is_null();
    eventually("it is paused", seconds(30), paused).await;
    assert_eq!(runs(&owner, &made.url).await[0]["state"], "dead");
    let shown = owner.get(&made.url).await.ok();
    let tag = shown.header("etag").unwrap().to_owned();
    careful["target"]["callback"]["url"] = json!(receiver.url("/new"));
    owner.put(&made.url, &careful).await.problem(428, "precondition-required");
    let editor = owner.clone().header("if-match", &tag);
    editor.put(&made.url, &careful).await.ok();
    editor.put(&made.url, &careful).await.problem(412, "precondition-failed");
    receiver.answers("200 OK");
    // The run that failed is sent again, to where the schedule calls now.
    let all = json!({ "filter": { "schedule_id": made.json["id"] } });
    let sent = async || {
        let redrive = "/api/scheduler/v1/dead-letters/redrive";
        owner.post(redrive, &all).await.ok().json::<Value>()["letters"] == 1
    };
    eventually("it is sent again", seconds(10), sent).await;
    let done = async || runs(&owner, &made.url).await[0]["state"] == "succeeded";
    eventually("it succeeds", seconds(30), done).await;
    let paths: Vec<_> = receiver.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/old", "/new"]);
}
