//! The loop that workers run in: its own host, jobs of every temper, and an end within a bound.

use crate::bed::Bed;
use nexus_harness::prelude::*;
use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Crew, Error, Failure, Job, Program, ProgramError, Settings};
use nexus_media_protocol::{Token, Worker};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Stores a text, fetches it again, and says what it is.
struct Echo;

#[derive(serde::Deserialize)]
struct Text {
    text: String,
}

impl Worker for Echo {
    const KIND: &'static str = "echo";
    type Args = Text;
    type Output = Value;

    fn work(&self, job: &Job<Text>, cx: &Context) -> Result<Value, Failure> {
        let file = cx.folder().join("text");
        std::fs::write(&file, &job.args.text).map_err(Failure::retry)?;
        let object = Object { bucket: "default".into(), key: format!("echo/{}", job.id) };
        let bytes = cx.put(&file, &object, "text/plain")?;
        cx.keep_checkpoint(&object)?;
        cx.progress(0.5, "stored");
        let missing = Object { key: "none".into(), ..object.clone() };
        assert!(matches!(cx.fetch(&missing, 10), Err(Failure::Reject(_))));
        assert!(matches!(cx.fetch(&object, bytes - 1), Err(Failure::Reject(_))));
        let fetched = cx.fetch(&object, 1000)?;
        let text = std::fs::read_to_string(&fetched.path).map_err(Failure::retry)?;
        let kind = fetched.content_type;
        Ok(json!({ "text": text, "bytes": bytes, "sha256": fetched.sha256, "type": kind }))
    }
}

/// Computes until it is told to stop.
struct Endless(Arc<AtomicBool>);

impl Worker for Endless {
    const KIND: &'static str = "endless";
    type Args = Value;
    type Output = ();

    fn work(&self, _: &Job<Value>, cx: &Context) -> Result<(), Failure> {
        self.0.store(true, Ordering::Release);
        let ended = cx.run(&Program::new("sleep").args(["600"]));
        assert!(matches!(ended, Err(ProgramError::Stopped)), "{ended:?}");
        cx.check()
    }
}

struct Panics;

impl Worker for Panics {
    const KIND: &'static str = "panics";
    type Args = Value;
    type Output = ();

    fn work(&self, _: &Job<Value>, _: &Context) -> Result<(), Failure> {
        panic!("out of luck")
    }
}

struct AtWork {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Error>>,
    began: Arc<AtomicBool>,
    scratch: tempfile::TempDir,
}

impl AtWork {
    fn begin(bed: &Bed) -> Self {
        let began = Arc::new(AtomicBool::new(false));
        let crew = Crew::default().with(Echo).with(Endless(began.clone())).with(Panics);
        let scratch = tempfile::tempdir().unwrap();
        let settings = Settings {
            host: Bed::address(&bed.nexus),
            token: Token::new(bed.nexus.host().worker_token()).unwrap(),
            name: "crew-1".into(),
            scratch: scratch.path().to_owned(),
            kinds: None,
            offers: Default::default(),
            most: 2,
            drain: Duration::from_millis(200),
            idle_exit: None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let asked = async { drop(stopped.await) };
            crew.run(settings, asked).await
        });
        Self { stop, running, began, scratch }
    }

    async fn has_begun(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.began.load(Ordering::Acquire) {
            assert!(Instant::now() < deadline, "the work never begins");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        let bound = Duration::from_secs(20);
        tokio::time::timeout(bound, self.running).await.unwrap().unwrap().unwrap();
        assert!(is_empty(self.scratch.path()), "nothing is left behind");
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_all_the_way_and_its_end_is_told() {
    let bed = Bed::begin().await;
    let crew = AtWork::begin(&bed);
    let id = bed.submit("echo", json!({ "text": "hello" }), json!({})).await;
    bed.is(&id, "succeeded").await;
    let told = bed
        .text("select payload::text from platform.event where topic = 'platform.job.succeeded.v1'")
        .await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["id"], id);
    assert_eq!(told["output"]["text"], "hello");
    assert_eq!(told["output"]["bytes"], 5);
    assert_eq!(told["output"]["type"], "text/plain");
    let bad = bed.submit("echo", json!({ "words": 1 }), json!({})).await;
    bed.is(&bad, "failed").await;
    crew.end().await;
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_reaches_the_program_that_works() {
    let bed = Bed::begin().await;
    let crew = AtWork::begin(&bed);
    let id = bed.submit("endless", json!({}), json!({})).await;
    crew.has_begun().await;
    let cancel =
        format!("select platform.job_cancel_locked(j) from platform.job j where id = '{id}'");
    assert_eq!(bed.text(&cancel).await, "running");
    // Told with a heartbeat, which progress brings forward; none comes from this work.
    bed.is(&id, "cancelled").await;
    crew.end().await;
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_that_has_to_stop_gives_its_jobs_back_uncharged() {
    let bed = Bed::begin().await;
    let crew = AtWork::begin(&bed);
    let id = bed.submit("endless", json!({}), json!({})).await;
    crew.has_begun().await;
    crew.end().await;
    assert_eq!(bed.state(&id).await, "queued");
    let next = bed.claim_one("endless").await;
    assert_eq!((next.id.to_string(), next.attempt), (id, 1));
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_has_used_an_attempt() {
    let bed = Bed::begin().await;
    let crew = AtWork::begin(&bed);
    let id = bed.submit("panics", json!({}), json!({ "attempts_max": 1 })).await;
    bed.is(&id, "failed").await;
    let error = bed.text("select error from platform.job").await;
    assert!(error.contains("panic"), "{error}");
    crew.end().await;
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_with_the_wrong_token_says_so_and_ends() {
    let bed = Bed::begin().await;
    let scratch = tempfile::tempdir().unwrap();
    let settings = Settings {
        host: Bed::address(&bed.nexus),
        token: Token::new("not-the-workers-token").unwrap(),
        name: "crew-1".into(),
        scratch: scratch.path().to_owned(),
        kinds: None,
        offers: Default::default(),
        most: 1,
        drain: Duration::ZERO,
        idle_exit: None,
    };
    let ended = Crew::default().with(Echo).run(settings, std::future::pending()).await;
    assert!(matches!(ended, Err(Error::Refused { status: 401, .. })), "{ended:?}");
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_that_may_ends_once_nothing_is_left_to_do() {
    let bed = Bed::begin().await;
    let scratch = tempfile::tempdir().unwrap();
    let id = bed.submit("echo", json!({ "text": "last" }), json!({})).await;
    let settings = Settings {
        host: Bed::address(&bed.nexus),
        token: Token::new(bed.nexus.host().worker_token()).unwrap(),
        name: "crew-1".into(),
        scratch: scratch.path().to_owned(),
        kinds: None,
        offers: Default::default(),
        most: 1,
        drain: Duration::ZERO,
        idle_exit: Some(Duration::from_secs(1)),
    };
    let crew = Crew::default().with(Echo);
    let ended = crew.run(settings, std::future::pending());
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap();
    assert_eq!(bed.state(&id).await, "succeeded", "what was to be done is done before");
    bed.nexus.stop().await.unwrap();
}
