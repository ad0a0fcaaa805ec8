//! A host with one service, and workers of the test's choice beside two of its own: one that puts
//! files of this machine into the store, and one that takes objects out of it.

use nexus_harness::prelude::*;
use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Crew, Failure, Job, Settings, Token, Worker};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The service whose jobs they are; a guest that does nothing for this.
const SERVICE: &str = "hello";
/// Where everything is stored.
const BUCKET: &str = "default";
/// What any job here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Puts a file of this machine into the store, as only a test may.
pub struct Stash;

impl Worker for Stash {
    const KIND: &'static str = "stash";
    type Args = PathBuf;
    type Output = Object;

    fn work(&self, job: &Job<PathBuf>, cx: &Context) -> Result<Object, Failure> {
        let object = Object { bucket: BUCKET.into(), key: format!("stash/{}", job.id) };
        cx.put(&job.args, &object, "application/octet-stream")?;
        Ok(object)
    }
}

/// Takes objects out of the store, into files named by their keys.
struct Collect;

#[derive(Serialize, Deserialize)]
struct Wanted {
    keys: Vec<String>,
    folder: PathBuf,
}

impl Worker for Collect {
    const KIND: &'static str = "collect";
    type Args = Wanted;
    type Output = ();

    fn work(&self, job: &Job<Wanted>, cx: &Context) -> Result<(), Failure> {
        for key in &job.args.keys {
            let object = Object { bucket: BUCKET.into(), key: key.clone() };
            let fetched = cx.fetch(&object, u64::MAX)?;
            let file = job.args.folder.join(key);
            let folder = file.parent().unwrap_or(&job.args.folder);
            std::fs::create_dir_all(folder).map_err(Failure::reject)?;
            std::fs::copy(fetched.path, file).map_err(Failure::reject)?;
        }
        Ok(())
    }
}

pub struct Bed {
    pub nexus: Nexus,
    pub folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    working: tokio::task::JoinHandle<()>,
}

impl Bed {
    /// With the workers of a crew.
    pub async fn begin(crew: Crew) -> Self {
        let nexus = Nexus::setup().components(&[probe(SERVICE)]).start().await;
        let folder = tempfile::tempdir().expect("there is room");
        let settings = Settings {
            host: format!("http://{}", nexus.host().admin_address()),
            token: Token::new(nexus.host().worker_token()).expect("the host has a token"),
            name: "w".into(),
            scratch: folder.path().join("scratch"),
            kinds: None,
            offers: Default::default(),
            most: 2,
            drain: Duration::ZERO,
            idle_exit: None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let working = tokio::spawn(async move {
            let crew = crew.with(Stash).with(Collect);
            crew.run(settings, async { drop(stopped.await) }).await.expect("work");
        });
        Self { nexus, folder, stop, working }
    }

    pub async fn end(self) {
        self.stop.send(()).expect("the crew works");
        self.working.await.expect("the crew ends");
        self.nexus.stop().await.expect("the host ends");
    }

    /// An object's name, as arguments have it.
    pub fn object(key: &str) -> Value {
        json!({ "bucket": BUCKET, "key": key })
    }

    /// Returns the job's id.
    pub async fn submit(&self, kind: &str, args: &Value, options: &Value) -> String {
        let database = self.nexus.host().database().expect("there is a database");
        let service = database.service(SERVICE).await.expect("log in as the service");
        let sql = "select platform.job_submit($1, gen_random_uuid(), null, $2::text::jsonb, null, \
                   $3::text::jsonb)::text";
        let (args, options) = (args.to_string(), options.to_string());
        let rows = service.query(sql, &[&kind, &args, &options]).await.expect("submit");
        rows[0].get(0)
    }

    /// How a job ended: its output, or why it has none.
    pub async fn outcome(&self, id: &str) -> Result<Value, String> {
        let database = self.nexus.host().database().expect("there is a database");
        let service = database.service(SERVICE).await.expect("log in as the service");
        let sql = "select state, output::text, error from platform.job_show($1::text::uuid)";
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = service.query(sql, &[&id]).await.expect("look at the job");
            let error: Option<String> = rows[0].get(2);
            match rows[0].get::<_, &str>(0) {
                "succeeded" => {
                    let output: String = rows[0].get(1);
                    return Ok(serde_json::from_str(&output).expect("an output is JSON"));
                }
                "failed" => return Err(error.unwrap_or_default()),
                state => assert!(Instant::now() < deadline, "it stays {state}: {error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// One attempt at a job, to its end.
    pub async fn ended(&self, kind: &str, args: &Value) -> Result<Value, String> {
        let id = self.submit(kind, args, &json!({ "attempts_max": 1 })).await;
        self.outcome(&id).await
    }

    /// Stores a file; returns its object.
    pub async fn stash(&self, file: &Path) -> Value {
        self.ended("stash", &json!(file)).await.expect("store the file")
    }

    /// Has objects as files; returns the folder below which their keys are.
    pub async fn collect(&self, keys: Vec<String>) -> PathBuf {
        let folder = self.folder.path().join("collected");
        let wanted = Wanted { keys, folder: folder.clone() };
        let wanted = serde_json::to_value(wanted).expect("it is JSON");
        self.ended("collect", &wanted).await.expect("collect objects");
        folder
    }
}
