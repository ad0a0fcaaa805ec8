//! The calls, one by one: what they answer and what they leave alone.

use crate::bed::Bed;
use nexus_harness::prelude::*;
use nexus_media_protocol::Error;
use nexus_media_protocol::wire::{
    CheckpointRequest, FinishRequest, HeartbeatRequest, Object, Outcome, Progress, Stop, Target,
    UrlsRequest,
};
use std::time::{Duration, Instant};

fn beat(lease: &str) -> HeartbeatRequest {
    let progress = Progress { fraction: 0.5, stage: Some("half".into()) };
    HeartbeatRequest { lease: lease.into(), progress }
}

fn finish(lease: &str, outcome: Outcome) -> FinishRequest {
    FinishRequest { lease: lease.into(), outcome }
}

fn object(bucket: &str, key: &str) -> Object {
    Object { bucket: bucket.into(), key: key.into() }
}

fn ack() -> Outcome {
    Outcome::Ack { output: json!({ "a": 1 }) }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_no_operators_and_operators_no_workers() {
    let bed = Bed::begin().await;
    let operator = bed.nexus.admin();
    operator.post("/worker/v1/claim", json!({})).await.problem(401, "worker-token-wrong");
    bed.bare().get("/api/v1/host").await.problem(401, "admin-token-wrong");
    bed.bare().get("/worker/v1/claim").await.problem(405, "method-not-allowed");
    bed.bare().post("/worker/v1/elsewhere", json!({})).await.problem(404, "no-worker-route");
    let nobody = Client::new(&Bed::address(&bed.nexus));
    nobody.post("/worker/v1/claim", json!({})).await.problem(401, "worker-token-required");
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_is_refused() {
    let bed = Bed::begin().await;
    let claim = |body: Value| async {
        let answer = bed.bare().post("/worker/v1/claim", body).await;
        answer.status.as_u16()
    };
    let sound = json!({ "worker": "w", "kinds": ["x"], "most": 1 });
    assert_eq!(claim(sound.clone()).await, 200);
    for (name, value) in [
        ("worker", json!("")),
        ("worker", json!("a b")),
        ("kinds", json!([])),
        ("most", json!(0)),
        ("most", json!(17)),
        ("offers", json!([])),
    ] {
        let mut body = sound.clone();
        body[name] = value;
        assert_eq!(claim(body.clone()).await, 400, "{body}");
    }
    assert_eq!(claim(json!({ "worker": "x".repeat(200_000) })).await, 413);
    let path = "/worker/v1/jobs/00000000-0000-7000-8000-000000000001/finish";
    let no_lease = json!({ "lease": "x", "outcome": "release" });
    bed.bare().post(path, no_lease).await.problem(400, "unreadable-body");
    let no_job = json!({ "lease": "1.1.1", "outcome": "release" });
    bed.bare().post(path, no_job).await.problem(409, "lease-lost");
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_lease_gets_409_everywhere_and_changes_nothing() {
    let bed = Bed::begin().await;
    let id = bed.submit("probe", json!({}), json!({})).await;
    let lost = bed.claim_one("probe").await;
    bed.lapse().await;
    let held = bed.claim_one("probe").await;
    assert_eq!((held.id, held.attempt), (lost.id, 2), "the lost attempt was charged");
    let picture = "select md5(string_agg(t::text, '|')) from (select j::text as t from \
                   platform.job j union all select l::text from platform.queue_lease l union all \
                   select e::text from platform.event e) t";
    let before = bed.text(picture).await;
    let (worker, id_of, lease) = (&bed.worker, lost.id, lost.lease.as_str());
    let checkpoint = object("default", "half");
    let urls =
        UrlsRequest { lease: lease.into(), read: vec![checkpoint.clone()], write: Vec::new() };
    let told = CheckpointRequest { lease: lease.into(), checkpoint };
    let answers = [
        worker.heartbeat(id_of, &beat(lease)).await.map(|_| ()),
        worker.checkpoint(id_of, &told).await,
        worker.urls(id_of, &urls).await.map(|_| ()),
        worker.finish(id_of, &finish(lease, ack())).await,
        worker.finish(id_of, &finish(lease, Outcome::Reject { reason: "x".into() })).await,
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        assert!(matches!(answer, Err(Error::Stale(_))), "call {n}: {answer:?}");
    }
    assert_eq!(bed.text(picture).await, before);
    worker.finish(held.id, &finish(&held.lease, ack())).await.unwrap();
    assert_eq!(bed.state(&id).await, "succeeded");
    let again = worker.finish(held.id, &finish(&held.lease, ack())).await;
    assert!(matches!(again, Err(Error::Stale(_))), "{again:?}");
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_keeps_the_lease_and_tells_what_to_do() {
    let bed = Bed::begin().await;
    let id = bed.submit("probe", json!({ "x": 1 }), json!({})).await;
    let job = bed.claim_one("probe").await;
    assert_eq!((job.args.clone(), job.service.as_str()), (json!({ "x": 1 }), "hello"));
    assert_eq!((job.lease_ms, job.wall_ms, job.attempts_max), (60_000, 3_600_000, 5));
    let left = "select (expires_at > now() + interval '50 s')::text from platform.queue_lease";
    bed.texts(
        "with aged as (update platform.queue_lease set expires_at = now() + interval '9 s') \
         select null::text",
    )
    .await;
    assert_eq!(bed.text(left).await, "false");
    let reply = bed.worker.heartbeat(job.id, &beat(&job.lease)).await.unwrap();
    assert_eq!((reply.lease_ms, reply.stop), (60_000, None));
    assert_eq!(bed.text(left).await, "true");
    let seen = bed.text("select fraction::text || stage from platform.job").await;
    assert_eq!(seen, "0.5half");
    bed.text(&format!(
        "select platform.job_cancel_locked(j) from platform.job j where id = '{id}'"
    ))
    .await;
    let reply = bed.worker.heartbeat(job.id, &beat(&job.lease)).await.unwrap();
    assert_eq!(reply.stop, Some(Stop::Cancelled));
    let release = Outcome::Release { after_ms: None };
    bed.worker.finish(job.id, &finish(&job.lease, release)).await.unwrap();
    assert_eq!(bed.state(&id).await, "cancelled");
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_at_the_host_until_a_job_is_committed() {
    let bed = Bed::begin().await;
    let wish = Bed::wish("probe", Duration::from_secs(25));
    let began = Instant::now();
    let submitting = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        bed.submit("probe", json!({}), json!({})).await
    };
    let (reply, id) = tokio::join!(bed.worker.claim(&wish), submitting);
    assert_eq!(reply.unwrap().jobs[0].id.to_string(), id);
    let took = began.elapsed();
    assert!(took > Duration::from_millis(390) && took < Duration::from_secs(10), "{took:?}");
    let wish = Bed::wish("probe", Duration::from_millis(300));
    assert!(bed.worker.claim(&wish).await.unwrap().jobs.is_empty());
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_away_while_it_waits_takes_nothing_along() {
    let bed = Bed::begin().await;
    let wish = Bed::wish("probe", Duration::from_secs(25));
    let gone = tokio::time::timeout(Duration::from_millis(300), bed.worker.claim(&wish)).await;
    assert!(gone.is_err());
    // What is handed to one whose going is not noticed yet is lost until its lease lapses.
    eventually("the host has noticed", seconds(20), async || {
        bed.nexus.metrics().await.value("nexus_jobs_claims_waiting", &[]) == Some(0.0)
    })
    .await;
    bed.submit("probe", json!({}), json!({})).await;
    let reply = bed.worker.claim(&wish).await.unwrap();
    assert_eq!(reply.jobs[0].attempt, 1);
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_only_what_it_can_do() {
    let bed = Bed::begin().await;
    let requires = json!({ "requires": { "gpu": 1, "codec": "av1" } });
    let id = bed.submit("encode", json!({}), requires).await;
    let mut wish = Bed::wish("encode", Duration::ZERO);
    for offers in [json!({}), json!({ "gpu": 1 }), json!({ "gpu": 1, "codec": ["h264"] })] {
        wish.offers = offers.as_object().unwrap().clone();
        assert!(bed.worker.claim(&wish).await.unwrap().jobs.is_empty(), "{offers}");
    }
    wish.offers = json!({ "gpu": 2, "codec": ["h264", "av1"] }).as_object().unwrap().clone();
    wish.kinds = vec!["probe".into()];
    assert!(bed.worker.claim(&wish).await.unwrap().jobs.is_empty(), "another kind");
    wish.kinds.push("encode".into());
    assert_eq!(bed.worker.claim(&wish).await.unwrap().jobs[0].id.to_string(), id);
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_open_in_the_buckets_of_the_jobs_service_only() {
    let bed = Bed::begin().await;
    bed.submit("probe", json!({}), json!({})).await;
    let job = bed.claim_one("probe").await;
    let ask = |read: Vec<Object>, write: Vec<Object>| {
        let write = write.into_iter().map(|object| Target {
            object,
            content_type: Some("text/plain".into()),
            size: Some(3),
        });
        let request = UrlsRequest { lease: job.lease.clone(), read, write: write.collect() };
        let (worker, id) = (bed.worker.clone(), job.id);
        async move { worker.urls(id, &request).await }
    };
    let refused = |answer: Result<_, Error>| match answer {
        Err(Error::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ask(vec![object("secret", "a")], vec![]).await.map(|_| ())), 403);
    assert_eq!(refused(ask(vec![], vec![object("secret", "a")]).await.map(|_| ())), 403);
    assert_eq!(refused(ask(vec![object("default", "none")], vec![]).await.map(|_| ())), 404);
    assert_eq!(refused(ask(vec![object("default", "../a")], vec![]).await.map(|_| ())), 400);
    let urls = ask(vec![], vec![object("default", "made")]).await.unwrap();
    assert_eq!((urls.write[0].method.as_str(), urls.read.len()), ("PUT", 0));
    bed.nexus.stop().await.unwrap();
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_a_span_of_its_own_in_the_trace_of_the_job() {
    let bed = Bed::begin().await;
    let id = bed.submit("a", json!({}), json!({})).await;
    let traced = format!(
        "update platform.job set trace = '00-{TRACE}-00f067aa0ba902b7-01' where id = '{id}' \
         returning null::text"
    );
    bed.texts(&traced).await;
    let mut spans = std::collections::HashSet::from(["00f067aa0ba902b7".to_owned()]);
    let refused = || Outcome::Reject { reason: "never".into() };
    let again = || Outcome::Retry { after_ms: Some(0), reason: "once more".into() };
    for outcome in [again(), refused(), ack()] {
        bed.hurry().await;
        let job = bed.claim_one("a").await;
        let given = job.traceparent.clone().unwrap();
        let span = given.strip_prefix(&format!("00-{TRACE}-")).expect(&given);
        assert!(spans.insert(span[..16].to_owned()), "{given} is another's span");
        let ended = json!(finish(&job.lease, outcome.clone()));
        let path = format!("/worker/v1/jobs/{id}/finish");
        bed.bare().header("traceparent", &given).post(&path, ended).await.no_content();
        // What the job tells at its end goes on from the attempt that ended it.
        let told = format!(
            "select trace from platform.event where subject = '{id}' \
             and topic in ('platform.job.failed.v1', 'platform.job.succeeded.v1')
             order by position desc limit 1"
        );
        let told = bed.texts(&told).await;
        match outcome {
            Outcome::Retry { .. } => assert!(told.is_empty()),
            _ => assert_eq!(told, [given.as_str()]),
        }
        bed.texts(
            "select platform.queue_redrive_dead(queue_id, '{\"all\": true}', false, null)::text \
             from platform.job_queue",
        )
        .await;
    }
    bed.nexus.stop().await.unwrap();
}
