//! The operators' API, route by route.

use super::{Bed, QUEUE, SERVICE, TOPIC};
use nexus_harness::prelude::*;
use nexus_storage::queue::Outcome;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// The queue's path; its name is encoded.
const PATH: &str = "/api/v1/queues/billing/late%20fees%2Feu";

const READ: [&str; 10] = [
    "/api/v1/queues",
    PATH,
    "/api/v1/queues/billing/late%20fees%2Feu/messages",
    "/api/v1/dead-letters",
    "/api/v1/schedules",
    "/api/v1/schedules/00000000-0000-0000-0000-000000000000",
    "/api/v1/schedules/00000000-0000-0000-0000-000000000000/next",
    "/api/v1/schedules/00000000-0000-0000-0000-000000000000/runs",
    "/api/v1/jobs",
    "/api/v1/jobs/00000000-0000-0000-0000-000000000000",
];

const WRITTEN: [&str; 9] = [
    "/api/v1/queues/billing/late%20fees%2Feu/redrive",
    "/api/v1/queues/billing/late%20fees%2Feu/purge",
    "/api/v1/queues/billing/late%20fees%2Feu/pause",
    "/api/v1/queues/billing/late%20fees%2Feu/resume",
    "/api/v1/schedules/00000000-0000-0000-0000-000000000000/run",
    "/api/v1/schedules/00000000-0000-0000-0000-000000000000/pause",
    "/api/v1/schedules/00000000-0000-0000-0000-000000000000/resume",
    "/api/v1/schedules/00000000-0000-0000-0000-000000000000/backfill",
    "/api/v1/jobs/00000000-0000-0000-0000-000000000000/cancel",
];

/// Status and problem's name of an answer.
fn refused(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let problem: Value = answer.json();
    let kind = problem["type"].as_str().unwrap();
    let name = kind.strip_prefix("/problems/host/").unwrap_or_else(|| panic!("{kind}"));
    (answer.status.as_u16(), name.to_owned())
}

#[track_caller]
fn is(answer: Answer, status: u16, name: &str) {
    assert_eq!(refused(&answer), (status, name.to_owned()), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_wants_the_operators_token_and_its_own_method() {
    let bed = Bed::begin().await;
    let origin = format!("http://{}", bed.nexus.host().admin_address());
    let nobody = Client::new(&origin);
    let worker = nobody.clone().bearer(bed.nexus.host().worker_token());
    let stranger = nobody.clone().bearer("not-the-token-of-this-host");
    let admin = bed.nexus.admin();
    for path in READ {
        is(nobody.get(path).await, 401, "admin-token-required");
        is(worker.get(path).await, 401, "admin-token-wrong");
        is(stranger.get(path).await, 401, "admin-token-wrong");
        let posted = admin.post(path, json!({})).await;
        assert_eq!(posted.header("allow"), Some("GET, HEAD"), "{posted:?}");
        is(posted, 405, "method-not-allowed");
    }
    for path in WRITTEN {
        is(nobody.post(path, json!({})).await, 401, "admin-token-required");
        is(worker.post(path, json!({})).await, 401, "admin-token-wrong");
        let got = admin.get(path).await;
        assert_eq!(got.header("allow"), Some("POST"), "{got:?}");
        is(got, 405, "method-not-allowed");
        let large = admin.request(http::Method::POST, path).body(vec![b' '; (64 << 10) + 1]);
        is(large.send().await, 413, "body-too-large");
        is(admin.post(path, json!({ "nonsense": 1 })).await, 400, "unreadable-body");
        let broken = admin.request(http::Method::POST, path).body("{");
        is(broken.send().await, 400, "unreadable-body");
    }
    for path in ["/api/v1/queues/billing", "/api/v1/jobs/1/2/3", "/api/v1/dead-letters/1"] {
        is(admin.get(path).await, 404, "no-admin-route");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_meant_is_refused_by_name() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let nobody = Uuid::nil();
    for path in ["/api/v1/queues/billing/none", "/api/v1/queues/none/none/messages"] {
        is(admin.get(path).await, 404, "no-such-queue");
    }
    let gone = "/api/v1/queues/billing/none/pause";
    is(admin.post(gone, json!({})).await, 404, "no-such-queue");
    for path in ["/api/v1/schedules/x", "/api/v1/schedules/x/next"] {
        is(admin.get(path).await, 404, "no-such-schedule");
    }
    for verb in ["run", "pause", "resume"] {
        let path = format!("/api/v1/schedules/{nobody}/{verb}");
        is(admin.post(&path, json!({})).await, 404, "no-such-schedule");
    }
    is(admin.get(&format!("/api/v1/jobs/{nobody}")).await, 404, "no-such-job");
    let path = format!("/api/v1/jobs/{nobody}/cancel");
    is(admin.post(&path, json!({})).await, 404, "no-such-job");
    for query in [
        "queues?limit=0",
        "queues?limit=1001",
        "queues?cursor=x",
        "queues?states=ready",
        "dead-letters?reasons=x",
        "dead-letters?since=yesterday",
        "dead-letters?cursor=1",
        "dead-letters?payload=maybe",
        "dead-letters?tenant_id=x",
        "schedules?name=x",
        "schedules?cursor=x",
        "jobs?state=lost",
        "jobs?cursor=x",
        "queues/billing/late%20fees%2Feu/messages?state=done",
        "queues/billing/late%20fees%2Feu/messages?limit=201",
        "queues/billing/late%20fees%2Feu/messages?cursor=x",
    ] {
        is(admin.get(&format!("/api/v1/{query}")).await, 400, "bad-query");
    }
    is(admin.get("/api/v1/dead-letters?reason=%00").await, 400, "bad-value");
    for (verb, body, status, name) in [
        ("redrive", json!({}), 422, "filter-needed"),
        ("redrive", json!({ "filter": {} }), 422, "filter-needed"),
        ("redrive", json!({ "filter": { "all": true, "topic": "a" } }), 422, "filter-needed"),
        ("redrive", json!({ "filter": { "every": true } }), 400, "unreadable-body"),
        (
            "redrive",
            json!({ "filter": { "all": true }, "rate_per_second": 0 }),
            400,
            "unreadable-body",
        ),
        ("redrive", json!({ "filter": { "since": "x" } }), 400, "unreadable-body"),
        ("purge", json!({ "dry_run": true }), 422, "filter-needed"),
        ("purge", json!({ "state": "leased", "filter": { "all": true } }), 400, "unreadable-body"),
        ("pause", json!({ "by": "" }), 400, "unreadable-body"),
    ] {
        is(admin.post(&format!("{PATH}/{verb}"), body).await, status, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_seen_peeked_into_and_held_back() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let mut put = Vec::new();
    for amount in 0..5 {
        put.push(bed.put(amount).await.to_string());
    }
    let retry = Outcome::Retry { after: Some(Duration::from_secs(60)), reason: "busy".into() };
    bed.end(retry).await;
    bed.end(Outcome::Ack).await;

    let list: Value = admin.get("/api/v1/queues?service=billing").await.ok().json();
    assert_eq!(list["cursor"], Value::Null);
    let [queue] = &list["queues"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&queue["service"], &queue["queue"]), (&json!(SERVICE), &json!(QUEUE)));
    assert_eq!((&queue["ready"], &queue["deferred"]), (&json!(3), &json!(1)));
    assert_eq!((&queue["leased"], &queue["dead"]), (&json!(0), &json!(0)));

    let queue: Value = admin.get(PATH).await.ok().json();
    assert!(queue["rates"]["done_per_second"].as_f64().unwrap() > 0.0, "{queue}");
    assert_eq!(queue["settings"]["attempts_max"], 2);
    assert_eq!((&queue["handler"], &queue["kind"]), (&json!("on_fee"), &json!("service")));

    let peek = async |query: &str| -> Value {
        admin.get(&format!("{PATH}/messages?{query}")).await.ok().json()
    };
    let first = peek("limit=2").await;
    let second = peek(&format!("limit=2&cursor={}", first["cursor"].as_str().unwrap())).await;
    assert_eq!(second["cursor"], Value::Null);
    let ids = |page: &Value| -> Vec<String> {
        let messages = page["messages"].as_array().unwrap().iter();
        messages.map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!([ids(&first), ids(&second)].concat(), put[2..]);
    assert_eq!(first["messages"][0].get("payload"), None, "payloads are hidden");
    let open = peek("payload=true").await;
    assert_eq!(open["messages"][0]["payload"], json!({ "amount_minor": 2 }));
    let deferred = peek("state=deferred").await;
    assert_eq!(ids(&deferred), put[..1]);
    assert_eq!(deferred["messages"][0]["errors"][0]["reason"], "busy");

    let paused: Value = admin.post(&format!("{PATH}/pause"), json!({ "by": "ada" })).await.json();
    assert_eq!((&paused["paused"], &paused["paused_by"]), (&json!(true), &json!("root (ada)")));
    assert_eq!(paused["changed"], true);
    let again = admin.request(http::Method::POST, &format!("{PATH}/pause")).send().await;
    let again: Value = again.ok().json();
    assert_eq!((&again["changed"], &again["paused_by"]), (&json!(false), &json!("root (ada)")));
    let resumed: Value = admin.post(&format!("{PATH}/resume"), json!({})).await.ok().json();
    assert_eq!((&resumed["paused"], &resumed["changed"]), (&json!(false), &json!(true)));

    let purged = json!({ "state": "deferred", "filter": { "all": true } });
    let purged: Value = admin.post(&format!("{PATH}/purge"), purged).await.ok().json();
    assert_eq!(purged, json!({ "dry_run": false, "messages": 1, "more": false }));
    assert_eq!(peek("state=deferred").await["messages"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_queues_goes_on_where_its_page_ended() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    for (service, name) in [("archive", "a*"), ("billing", "zones"), ("courier", "b/c")] {
        let kind = nexus_storage::queue::Kind::Service;
        bed.queue.ensure(service, name, kind, "on_it", &Default::default()).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/queues?limit=1".to_owned();
    loop {
        let page: Value = admin.get(&path).await.ok().json();
        let queues = page["queues"].as_array().unwrap();
        seen.extend(queues.iter().map(|q| (q["service"].clone(), q["queue"].clone())));
        let Some(cursor) = page["cursor"].as_str() else { break };
        let query: String = cursor.bytes().map(|byte| format!("%{byte:02X}")).collect();
        path = format!("/api/v1/queues?limit=1&cursor={query}");
        assert!(seen.len() < 100, "the list has an end");
    }
    for (service, name) in
        [("archive", "a*"), ("billing", QUEUE), ("billing", "zones"), ("courier", "b/c")]
    {
        let times = seen.iter().filter(|line| **line == (json!(service), json!(name))).count();
        assert_eq!(times, 1, "{service} {name} in {seen:?}");
    }
    let only: Value = admin.get("/api/v1/queues?service=billing&limit=1").await.ok().json();
    assert_eq!(only["queues"][0]["queue"], QUEUE);
    let none: Value = admin.get("/api/v1/queues?service=nobody&limit=1").await.ok().json();
    assert_eq!(none, json!({ "queues": [], "cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_counted_sent_again_and_thrown_away() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    for n in 0..3 {
        bed.bury(&format!("card {n} expired")).await;
    }
    let odd = bed.bury("no such account").await;
    let dead = async |query: &str| -> Value {
        admin.get(&format!("/api/v1/dead-letters?{query}")).await.ok().json()
    };
    let ids = |page: &Value| -> BTreeSet<String> {
        let letters = page["dead_letters"].as_array().unwrap().iter();
        letters.map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = dead("").await;
    assert_eq!(ids(&all).len(), 4);
    let newest = &all["dead_letters"][0];
    assert_eq!((&newest["id"], &newest["reason"]), (&json!(odd), &json!("no such account")));
    assert_eq!((&newest["service"], &newest["queue"]), (&json!(SERVICE), &json!(QUEUE)));
    assert_eq!((&newest["topic"], &newest["attempts"]), (&json!(TOPIC), &json!(1)));
    assert_eq!(newest.get("payload"), None, "payloads are hidden");
    assert_eq!(ids(&dead("reason=expired").await).len(), 3);
    assert_eq!(
        ids(&dead("service=billing&queue=late%20fees%2Feu&topic=billing.**").await).len(),
        4
    );
    assert_eq!(ids(&dead("service=nobody").await).len(), 0);
    assert_eq!(ids(&dead("since=2100-01-01T00:00:00Z").await).len(), 0);
    assert_eq!(ids(&dead("before=2100-01-01T00:00:00Z&payload=true").await).len(), 4);
    let first = dead("limit=3").await;
    let cursor = first["cursor"].as_str().unwrap();
    let rest = dead(&format!("limit=3&payload=true&cursor={cursor}")).await;
    assert_eq!((ids(&rest).len(), &rest["cursor"]), (1, &Value::Null));
    assert!(ids(&rest).is_disjoint(&ids(&first)));
    assert_eq!(rest["dead_letters"][0]["payload"], json!({ "amount_minor": 1 }));

    let order = async |verb: &str, body: Value| -> Value {
        admin.post(&format!("{PATH}/{verb}"), body).await.ok().json()
    };
    let expired = json!({ "reason": "expired" });
    let dry = order("redrive", json!({ "filter": expired, "dry_run": true })).await;
    assert_eq!(dry, json!({ "dry_run": true, "messages": 3, "more": false }));
    let dry = order("purge", json!({ "filter": { "all": true }, "dry_run": true })).await;
    assert_eq!(dry, json!({ "dry_run": true, "messages": 4, "more": false }));
    assert_eq!(dead("").await, all, "a dry run changes nothing");
    let depth: Value = admin.get(PATH).await.ok().json();
    assert_eq!((&depth["ready"], &depth["dead"]), (&json!(0), &json!(4)));
    assert_eq!(depth["rates"]["died_last_hour"], 4);

    assert_eq!(order("redrive", json!({ "filter": expired })).await["messages"], 3);
    let depth: Value = admin.get(PATH).await.ok().json();
    assert_eq!((&depth["ready"], &depth["dead"]), (&json!(3), &json!(1)));
    assert_eq!(order("purge", json!({ "filter": { "ids": [odd] } })).await["messages"], 1);
    assert_eq!(dead("").await["dead_letters"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_seen_run_backfilled_and_paused() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let id = bed.schedule().await;
    let path = format!("/api/v1/schedules/{id}");
    let list: Value = admin.get("/api/v1/schedules?service=billing").await.ok().json();
    let [listed] = &list["schedules"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!(listed["id"], json!(id));
    assert_eq!((&listed["zone"], &listed["source"]), (&json!("Europe/Berlin"), &json!("manifest")));
    let named = "/api/v1/schedules?service=billing&name=close_books";
    assert_eq!(admin.get(named).await.ok().json::<Value>()["schedules"][0], *listed);
    assert_eq!(admin.get(&path).await.ok().json::<Value>(), *listed);

    let after = "after=2027-03-27T00:00:00Z";
    let next: Value = admin.get(&format!("{path}/next?count=2&{after}")).await.ok().json();
    let berlin = ["2027-03-27T03:15:00+01:00", "2027-03-28T03:15:00+02:00"];
    assert_eq!(next["times"], json!(berlin), "the clock is put forward in between");
    let next = format!("{path}/next?count=1&zone=UTC&{after}");
    assert_eq!(
        admin.get(&next).await.ok().json::<Value>()["times"][0],
        "2027-03-27T02:15:00+00:00"
    );
    is(admin.get(&format!("{path}/next?zone=Mars/Base")).await, 400, "bad-query");
    is(admin.get(&format!("{path}/next?count=0")).await, 400, "bad-query");

    let run = admin.post(&format!("{path}/run"), json!({ "by": "ada" })).await.status(202);
    let run: Value = run.json();
    let runs = async || -> Value { admin.get(&format!("{path}/runs")).await.ok().json() };
    let one = runs().await;
    let [seen] = &one["runs"].as_array().unwrap()[..] else { panic!("{one}") };
    assert_eq!((&seen["id"], &seen["trigger"]), (&run["id"], &json!("manual")));
    assert_eq!((&seen["state"], &seen["requested_by"]), (&json!("ready"), &json!("root (ada)")));
    let overlap = json!({ "overlap": "sometimes" });
    is(admin.post(&format!("{path}/run"), overlap).await, 400, "unreadable-body");

    let stretch = |preview: bool| {
        json!({ "from": "2025-03-01T00:00:00Z", "to": "2025-03-04T00:00:00Z",
            "overlap": "allow", "preview": preview })
    };
    let backfill = format!("{path}/backfill");
    let preview: Value = admin.post(&backfill, stretch(true)).await.ok().json();
    assert_eq!(preview["runs"], 3);
    assert_eq!(preview["times"][0], "2025-03-01T02:15:00Z");
    assert_eq!(runs().await["runs"].as_array().unwrap().len(), 1, "a preview makes nothing");
    let made: Value = admin.post(&backfill, stretch(false)).await.status(202).json();
    assert_eq!(made, json!({ "preview": false, "runs": 3 }));
    let page: Value = admin.get(&format!("{path}/runs?limit=3")).await.ok().json();
    let cursor = page["cursor"].as_str().unwrap();
    let rest = format!("{path}/runs?limit=3&cursor={cursor}");
    let rest: Value = admin.get(&rest).await.ok().json();
    assert_eq!((rest["runs"].as_array().unwrap().len(), &rest["cursor"]), (1, &Value::Null));
    assert_eq!(rest["runs"][0]["scheduled_at"], "2025-03-01T02:15:00Z", "the oldest is last");
    let backwards = json!({ "from": "2025-03-04T00:00:00Z", "to": "2025-03-01T00:00:00Z" });
    is(admin.post(&backfill, backwards).await, 422, "bad-stretch");
    let endless = json!({ "from": "1990-01-01T00:00:00Z", "to": "2025-01-01T00:00:00Z" });
    is(admin.post(&backfill, endless).await, 422, "bad-stretch");

    let order = json!({ "by": "ada", "reason": "the ledger moves" });
    let paused: Value = admin.post(&format!("{path}/pause"), order).await.ok().json();
    assert_eq!(paused["paused_reason"], "the ledger moves");
    assert_eq!(paused["next_fire_at"], Value::Null);
    let resumed: Value = admin.post(&format!("{path}/resume"), json!({})).await.ok().json();
    assert_eq!(resumed["paused_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_found_shown_and_cancelled_once() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let (first, second) = (bed.job("thumb").await, bed.job("thumb").await);
    let list: Value = admin.get("/api/v1/jobs?kind=thumb&state=queued&limit=1").await.ok().json();
    assert_eq!(list["jobs"][0]["id"], json!(second), "the newest comes first");
    let cursor = list["cursor"].as_str().unwrap();
    let rest: Value = admin.get(&format!("/api/v1/jobs?kind=thumb&cursor={cursor}")).await.json();
    assert_eq!(rest["jobs"][0]["id"], json!(first));
    assert_eq!(rest["jobs"][0].get("args"), None, "a list has no arguments");
    let path = format!("/api/v1/jobs/{first}");
    let job: Value = admin.get(&path).await.ok().json();
    assert_eq!((&job["args"], &job["service"]), (&json!({ "object": "a.mp4" }), &json!(SERVICE)));
    assert_eq!((&job["state"], &job["output"]), (&json!("queued"), &Value::Null));
    let cancelled: Value = admin.post(&format!("{path}/cancel"), json!({})).await.ok().json();
    assert_eq!(cancelled["state"], "cancelled");
    let again: Value = admin.post(&format!("{path}/cancel"), json!({})).await.ok().json();
    assert_eq!(again["state"], "cancelled");
    for (query, number) in
        [("state=cancelled", 1), ("state=queued", 1), ("state=failed", 0), ("service=nobody", 0)]
    {
        let list: Value = admin.get(&format!("/api/v1/jobs?{query}")).await.ok().json();
        assert_eq!(list["jobs"].as_array().unwrap().len(), number, "{query}");
    }
    let waiting = json!({ "state": "ready", "filter": { "all": true } });
    let purge = "/api/v1/queues/media-native/thumb/purge";
    is(admin.post(purge, waiting).await, 409, "purge-of-jobs");

    // A worker takes the other one and gives it up for good.
    let worker = Client::new(&format!("http://{}", bed.nexus.host().admin_address()))
        .bearer(bed.nexus.host().worker_token());
    let claim = json!({ "worker": "w-1", "kinds": ["thumb"], "most": 2 });
    let claimed: Value = worker.post("/worker/v1/claim", claim).await.ok().json();
    let held = &claimed["jobs"][0];
    let path = format!("/api/v1/jobs/{second}");
    assert_eq!(held["id"], json!(second));
    let asked: Value = admin.post(&format!("{path}/cancel"), json!({})).await.status(202).json();
    assert_eq!((&asked["state"], &asked["worker"]), (&json!("running"), &json!("w-1")));
    assert_ne!(asked["cancel_requested_at"], Value::Null);
    let finish = json!({ "lease": held["lease"],
        "outcome": "reject", "reason": "unreadable" });
    worker.post(&format!("/worker/v1/jobs/{second}/finish"), finish).await.no_content();
    is(admin.post(&format!("{path}/cancel"), json!({})).await, 409, "job-over");
}
