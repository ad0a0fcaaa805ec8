//! A user's queues: jobs reach the user's machine, are tried again, end dead, are sent again.

use super::scheduler_receiver::Receiver;
use nexus_harness::prelude::*;

const QUEUES: &str = "/api/scheduler/v1/queues";
const JOBS: &str = "/api/scheduler/v1/jobs";
const DEAD: &str = "/api/scheduler/v1/dead-letters";

async fn owner(nexus: &Nexus) -> Client {
    let may = ["scheduler:view", "scheduler:manage", "scheduler:enqueue", "scheduler:operate"];
    let owner = nexus.member_with(may).await;
    owner.post("/api/scheduler/v1/signing-secrets", json!({})).await.created();
    owner
}

fn mail(url: &str) -> Value {
    json!({
        "name": "mail",
        "callback": { "url": url },
        "retry": { "attempts_max": 2, "first_seconds": 1, "longest_seconds": 1 },
    })
}

async fn job(client: &Client, id: &str) -> Value {
    client.get(&format!("{JOBS}/{id}")).await.ok().json()
}

async fn becomes(client: &Client, id: &str, state: &str) {
    let there = async || job(client, id).await["state"] == state;
    eventually(&format!("the job is {state}"), seconds(30), there).await;
}

fn id_of(created: &nexus_harness::Created) -> String {
    created.json["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_fails_is_tried_again_ends_dead_and_is_sent_again() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = owner(&nexus).await;
    let queue = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    receiver.answers("500 Internal Server Error");
    let draft = json!({ "queue_id": queue.json["id"], "payload": { "to": "ada" } });
    let id = id_of(&owner.post(JOBS, draft).await.created());
    becomes(&owner, &id, "dead").await;
    let calls = receiver.calls();
    assert_eq!(calls.len(), 2);
    // The same message both times: the receiver can tell that it has seen it.
    assert!(calls.iter().all(|call| call.headers["webhook-id"] == id));
    assert_eq!(calls[1].headers["scheduler-attempt"], "2");
    assert_eq!(calls[0].json(), json!({ "to": "ada" }));
    let letters: Value = owner.get(DEAD).await.ok().json();
    assert_eq!(letters["items"][0]["id"], id.as_str());
    let letter: Value = owner.get(&format!("{DEAD}/{id}")).await.ok().json();
    assert_eq!(letter["attempts"].as_array().unwrap().len(), 2, "{letter}");
    assert_eq!(letter["attempts"][0]["reason"], "it answered 500, and was the last of 2");
    owner
        .post(&format!("{DEAD}/redrive"), json!({ "filter": {} }))
        .await
        .problem(422, "filter-missing");
    let filter = json!({ "queue_id": queue.json["id"], "reason": "answered 500" });
    let dry = json!({ "filter": filter, "dry_run": true });
    let counted: Value = owner.post(&format!("{DEAD}/redrive"), dry).await.ok().json();
    assert_eq!(counted["letters"], 1);
    assert_eq!(job(&owner, &id).await["state"], "dead");
    receiver.answers("200 OK");
    let wet = json!({ "filter": filter });
    let sent = async || {
        let counted: Value = owner.post(&format!("{DEAD}/redrive"), &wet).await.ok().json();
        counted["letters"] == 1
    };
    eventually("the letter is sent again", seconds(10), sent).await;
    becomes(&owner, &id, "succeeded").await;
    assert_eq!(receiver.calls().len(), 3);
    owner.get(&format!("{DEAD}/{id}")).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_jobs_is_told_to_whoever_subscribes() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = owner(&nexus).await;
    let queue = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    receiver.answers("404 Not Found");
    let draft = json!({ "queue_id": queue.json["id"], "payload": {} });
    let dead = id_of(&owner.post(JOBS, &draft).await.created());
    becomes(&owner, &dead, "dead").await;
    receiver.answers("204 No Content");
    let done = id_of(&owner.post(JOBS, &draft).await.created());
    becomes(&owner, &done, "succeeded").await;
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let topics = "select topic from platform.event where subject = $1
                  and topic like 'platform.job.%' and queue_id is null order by position";
    let mut told = Vec::new();
    for id in [&dead, &done] {
        let rows = session.query(topics, &[id]).await.unwrap();
        told.push(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>());
    }
    assert_eq!(told[0], ["platform.job.failed.v1", "platform.job.dead.v1"]);
    assert_eq!(told[1], ["platform.job.succeeded.v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_pauses_its_queue_and_one_that_asks_for_patience_gets_it() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = owner(&nexus).await;
    let queue = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    let draft = json!({ "queue_id": queue.json["id"], "payload": {} });
    receiver.answers("429 Too Many Requests\r\nretry-after: 3600");
    let patient = id_of(&owner.post(JOBS, &draft).await.created());
    let waits = async || {
        let job = job(&owner, &patient).await;
        job["state"] == "queued" && job["status"] == 429
    };
    eventually("it waits", seconds(20), waits).await;
    // The job says so before the host has given the message back.
    let deferred = async || {
        let stats: Value = owner.get(&format!("{}/stats", queue.url)).await.ok().json();
        stats["deferred"] == 1
    };
    eventually("its message is deferred", seconds(20), deferred).await;
    receiver.answers("410 Gone");
    let gone = id_of(&owner.post(JOBS, &draft).await.created());
    becomes(&owner, &gone, "dead").await;
    let paused: Value = owner.get(&queue.url).await.ok().json();
    assert_eq!(paused["paused_by"], "scheduler");
    assert_eq!(receiver.calls().len(), 2);
    // A paused queue takes jobs and gives none; resumed, it goes on.
    receiver.answers("200 OK");
    let waiting = id_of(&owner.post(JOBS, &draft).await.created());
    let stats: Value = owner.get(&format!("{}/stats", queue.url)).await.ok().json();
    assert_eq!((&stats["paused"], &stats["ready"]), (&json!(true), &json!(1)));
    owner.post(&format!("{}/resume", queue.url), json!({})).await.no_content();
    becomes(&owner, &waiting, "succeeded").await;
    owner.post(&format!("{}/purge", queue.url), json!({})).await.no_content();
    assert_eq!(job(&owner, &patient).await["state"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_put_in_once_and_a_job_that_waits_can_be_cancelled() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = owner(&nexus).await;
    let queue = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    let later = json!({
        "queue_id": queue.json["id"], "payload": {}, "delay_seconds": 3600, "dedup_key": "welcome",
    });
    let first = owner.post(JOBS, &later).await.created();
    assert_eq!(first.json["deduplicated"], false);
    let second = owner.post(JOBS, &later).await.created();
    assert_eq!(
        (&second.json["deduplicated"], &second.json["id"]),
        (&json!(true), &first.json["id"])
    );
    let keyed = owner.clone().header("idempotency-key", "job-1");
    let draft = json!({ "queue_id": queue.json["id"], "payload": {}, "delay_seconds": 3600 });
    let one: Value = keyed.post(JOBS, &draft).await.status(201).json();
    let same: Value = keyed.post(JOBS, &draft).await.status(201).json();
    assert_eq!(one["id"], same["id"]);
    let queued = format!("{JOBS}?queue_id={}&state=queued", id_of(&queue));
    let listed: Value = owner.get(&queued).await.ok().json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let id = id_of(&first);
    owner.post(&format!("{JOBS}/{id}/cancel"), json!({})).await.no_content();
    assert_eq!(job(&owner, &id).await["state"], "cancelled");
    owner.post(&format!("{JOBS}/{id}/cancel"), json!({})).await.problem(409, "job-not-queued");
    assert_eq!(receiver.calls().len(), 0);
    owner.delete(&queue.url).await.no_content();
    owner.post(JOBS, &draft).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_can_fill_a_queue_which_then_cannot_be_removed() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = owner(&nexus).await;
    let queue = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    let target = json!({ "enqueue": { "queue_id": queue.json["id"], "payload": { "n": 1 } } });
    let schedule = json!({
        "name": "hourly", "timing": { "when": { "every": "1h" } }, "target": target,
    });
    let made = owner.post("/api/scheduler/v1/schedules", schedule).await.created();
    owner.post(&format!("{}/trigger", made.url), json!({})).await.status(202);
    let calls = receiver.heard(1).await;
    assert_eq!(calls[0].json(), json!({ "n": 1 }));
    assert_eq!(calls[0].headers["scheduler-queue"], "mail");
    owner.delete(&queue.url).await.problem(409, "queue-in-use");
    owner.delete(&made.url).await.no_content();
    owner.delete(&queue.url).await.no_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_not_public_is_never_called() {
    let receiver = Receiver::start().await;
    // The suite as it ships: no private address is granted.
    let nexus = Nexus::start().await;
    nexus.expects_log("not a public address");
    let owner = owner(&nexus).await;
    for (name, url) in [
        ("by-address", receiver.url("/")),
        ("by-name", receiver.url("/").replace("127.0.0.1", "localhost")),
        ("metadata", "http://169.254.169.254/latest/meta-data/".to_owned()),
    ] {
        let mut queue = mail(&url);
        queue["name"] = json!(name);
        let queue = owner.post(QUEUES, queue).await.created();
        let draft = json!({ "queue_id": queue.json["id"], "payload": {} });
        let id = id_of(&owner.post(JOBS, draft).await.created());
        becomes(&owner, &id, "dead").await;
        let dead = job(&owner, &id).await;
        assert_eq!(dead["reason"], "the address is not a public one", "{dead}");
        assert_eq!(dead["attempt"], 1);
    }
    assert_eq!(receiver.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_signs_beside_the_old_one_until_that_ends() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = nexus.operator();
    let secrets = "/api/scheduler/v1/signing-secrets";
    let unsigned = owner.post(QUEUES, mail(&receiver.url("/mail"))).await;
    unsigned.problem(409, "signing-secret-missing");
    let secret = async |draft| {
        let made = owner.post(secrets, draft).await.created();
        made.json["secret"].as_str().unwrap().to_owned()
    };
    let old = secret(json!({})).await;
    let queue = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    let draft = json!({ "queue_id": queue.json["id"], "payload": {} });
    let new = secret(json!({ "overlap_hours": 1 })).await;
    owner.post(JOBS, &draft).await.created();
    let both = receiver.heard(1).await.remove(0);
    assert!(both.is_signed_with(&old) && both.is_signed_with(&new), "{both:?}");
    nexus.advance(hours(2)).await;
    owner.post(JOBS, &draft).await.created();
    let one = receiver.heard(2).await.remove(1);
    assert!(one.is_signed_with(&new) && !one.is_signed_with(&old), "{one:?}");
    let listed: Value = owner.get(secrets).await.ok().json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains("whsec_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_makes_jobs_wait_without_using_their_attempts_up() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = owner(&nexus).await;
    let made = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    let tag = owner.get(&made.url).await.ok().header("etag").unwrap().to_owned();
    let editor = owner.clone().header("if-match", &tag);
    let revision = json!({
        "callback": { "url": receiver.url("/slow") },
        "retry": { "attempts_max": 1 },
        "policy": { "rate_per_minute": 60, "concurrency_max": 2 },
    });
    editor.put(&made.url, &revision).await.ok();
    editor.put(&made.url, &revision).await.problem(412, "precondition-failed");
    let mut ids = Vec::new();
    for n in 0..5 {
        let draft = json!({ "queue_id": made.json["id"], "payload": { "n": n } });
        ids.push(id_of(&owner.post(JOBS, draft).await.created()));
    }
    for id in &ids {
        becomes(&owner, id, "succeeded").await;
        assert_eq!(job(&owner, id).await["attempt"], 1);
    }
    let calls = receiver.calls();
    assert_eq!(calls.len(), 5);
    let at = |n: usize| calls[n].headers["webhook-timestamp"].parse::<i64>().unwrap();
    // One a second, and one that may come early; whole seconds hide almost another.
    assert!(at(4) - at(0) >= 2, "{} to {}", at(0), at(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_host_was_lost_is_buried_and_what_is_old_is_forgotten() {
    let receiver = Receiver::start().await;
    let nexus = receiver.suite().await;
    let owner = owner(&nexus).await;
    let queue = owner.post(QUEUES, mail(&receiver.url("/mail"))).await.created();
    receiver.answers("500 Internal Server Error");
    let draft = json!({ "queue_id": queue.json["id"], "payload": {} });
    let id = id_of(&owner.post(JOBS, &draft).await.created());
    becomes(&owner, &id, "dead").await;
    // As a host leaves it that dies in its last attempt: given up by the platform, begun for us.
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let lose = "update scheduler.job set state = 'running', finished_at = null,
                  started_at = started_at - interval '1 hour'";
    session.batch(lose).await.unwrap();
    becomes(&owner, &id, "dead").await;
    let reason = job(&owner, &id).await["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("lost"), "{reason}");
    nexus.advance(days(32)).await;
    let forgotten = async || owner.get(&format!("{JOBS}/{id}")).await.status == 404;
    eventually("the job is forgotten", seconds(30), forgotten).await;
}
