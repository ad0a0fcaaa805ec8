//! The program as a process: ended by SIGTERM it gives its work back, killed it leaves nothing
//! running and loses nothing.

mod killed;

use nexus_harness::prelude::*;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Bed {
    nexus: Nexus,
    folder: TempDir,
}

impl Bed {
    async fn begin() -> Self {
        let nexus = Nexus::setup().components(&[probe("hello")]).start().await;
        Self { nexus, folder: tempfile::tempdir().unwrap() }
    }

    /// The program, with an `ffprobe` that does what the script says.
    fn worker(&self, script: &str) -> Child {
        let bin = self.folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let ffprobe = bin.join("ffprobe");
        std::fs::write(&ffprobe, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&ffprobe, std::fs::Permissions::from_mode(0o755)).unwrap();
        Command::new(env!("CARGO_BIN_EXE_nx-media"))
            .args(["run", "--drain-seconds", "1", "--scratch"])
            .arg(self.folder.path().join("scratch"))
            .env("NEXUS_HOST", format!("http://{}", self.nexus.host().admin_address()))
            .env("NEXUS_WORKER_TOKEN", self.nexus.host().worker_token())
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// A probe of an object that is there.
    async fn submit(&self) -> String {
        self.object().await;
        let database = self.nexus.host().database().unwrap();
        let service = database.service("hello").await.unwrap();
        let sql = "select platform.job_submit('probe', gen_random_uuid(), null, \
                   '{\"object\": {\"bucket\": \"default\", \"key\": \"a\"}}', null, '{}')::text";
        service.query(sql, &[]).await.unwrap()[0].get(0)
    }

    /// Stores an object the way any worker would.
    async fn object(&self) {
        let database = self.nexus.host().database().unwrap();
        let service = database.service("hello").await.unwrap();
        let sql = "select platform.job_submit('stash', gen_random_uuid(), null, '{}', null, '{}')";
        service.query(sql, &[]).await.unwrap();
        let admin = format!("http://{}", self.nexus.host().admin_address());
        let worker = Client::new(&admin).bearer(self.nexus.host().worker_token());
        let claim = json!({ "worker": "t", "kinds": ["stash"], "most": 1 });
        let claimed: Value = worker.post("/worker/v1/claim", claim).await.ok().json();
        let (id, lease) = (&claimed["jobs"][0]["id"], &claimed["jobs"][0]["lease"]);
        let id = id.as_str().unwrap();
        let wanted = json!({ "lease": lease, "write": [{ "bucket": "default", "key": "a" }] });
        let urls: Value =
            worker.post(&format!("/worker/v1/jobs/{id}/urls"), wanted).await.ok().json();
        let url = urls["write"][0]["url"].as_str().unwrap();
        let origin = self.nexus.anonymous();
        origin.request("PUT".parse().unwrap(), url).body("bytes").send().await.ok();
        let done = json!({ "lease": lease, "outcome": "ack", "output": {} });
        worker.post(&format!("/worker/v1/jobs/{id}/finish"), done).await.no_content();
    }

    async fn text(&self, sql: &str) -> String {
        let host = self.nexus.host().database().unwrap().host().await.unwrap();
        let rows = host.query(sql, &[]).await.unwrap();
        rows.first().and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default()
    }

    async fn is(&self, id: &str, expected: &str) {
        let sql = format!(
            "select platform.job_state(j) || ' ' || j.attempt from platform.job j where id = '{id}'"
        );
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.text(&sql).await;
            if found == expected {
                return;
            }
            assert!(Instant::now() < deadline, "the job is {found}, never {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

const QUICK: &str = "echo '{\"format\": {\"format_name\": \"x\"}, \"streams\": [{\"index\": 0}]}'";

async fn gone(process: Pid) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while test_kill_process(process).is_ok() && !is_dead(process) {
        assert!(Instant::now() < deadline, "it still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ended, but waited for by nobody yet.
fn is_dead(process: Pid) -> bool {
    let stat = Path::new("/proc").join(process.as_raw_pid().to_string()).join("stat");
    std::fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_gives_its_job_back_and_leaves_no_program() {
    let bed = Bed::begin().await;
    let id = bed.submit().await;
    let mut worker = bed.worker("exec sleep 600");
    let ffprobe = child_of(&worker).await;
    let told = Instant::now();
    kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
    let status = tokio::task::spawn_blocking(move || worker.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert!(told.elapsed() < Duration::from_secs(30), "{:?}", told.elapsed());
    gone(ffprobe).await;
    bed.is(&id, "queued 1").await;
    let mut worker = bed.worker(QUICK);
    bed.is(&id, "succeeded 1").await;
    kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
    worker.wait().unwrap();
    bed.nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_it_loses_its_lease_and_another_does_the_job_at_its_second_attempt() {
    let bed = Bed::begin().await;
    let id = bed.submit().await;
    let mut worker = bed.worker("exec sleep 600");
    let ffprobe = child_of(&worker).await;
    let dead = format!("{}-", worker.id());
    worker.kill().unwrap();
    worker.wait().unwrap();
    gone(ffprobe).await;
    bed.is(&id, "running 1").await;
    // A minute later. The host may find it before this does.
    bed.nexus.expects_log("leases have lapsed");
    bed.text(
        "with aged as (update platform.queue_lease set expires_at = now() - interval '1 s') \
         select null::text",
    )
    .await;
    bed.text("select count(*)::text from platform.queue_expire(100)").await;
    bed.text(
        "with due as (update platform.queue_deferred set due_at = now() - interval '1 s') \
         select null::text",
    )
    .await;
    bed.text("select platform.queue_promote(100)::text").await;
    let mut worker = bed.worker(QUICK);
    bed.is(&id, "succeeded 2").await;
    let folders = std::fs::read_dir(bed.folder.path().join("scratch")).unwrap();
    let mut names = folders.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    assert!(!names.any(|name| name.starts_with(&dead)), "what the killed one left is gone");
    kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
    worker.wait().unwrap();
    bed.nexus.stop().await.unwrap();
}

/// The program that a worker has started.
async fn child_of(worker: &Child) -> Pid {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
            if stat.contains("(sleep)") && parent == Some(&worker.id().to_string()) {
                return Pid::from_raw(pid).unwrap();
            }
        }
        assert!(Instant::now() < deadline, "no program was started");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
