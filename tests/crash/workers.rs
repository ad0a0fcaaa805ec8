//! Native workers are killed with SIGKILL in the middle of their jobs: each job ends once, by the
//! word of whoever held it last.

use crate::story::times;
use crash::books::Books;
use crash::client::Client;
use crash::dice::Dice;
use crash::ground::{Ground, Haste, eventually, repository};
use crash::host::{HostProcess, program};
use crash::journal;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Kills in the default run, and jobs that are submitted for each.
const KILLS: u32 = 20;
const JOBS_PER_KILL: u32 = 3;

const DONE_MAX: Duration = Duration::from_secs(90);

/// What the workers run in place of `ffprobe`: long enough to be killed in the middle.
const SLOW_FFPROBE: &str = "#!/bin/sh\nsleep 0.2\n\
    echo '{\"format\": {\"format_name\": \"x\"}, \"streams\": [{\"index\": 0}]}'\n";

/// Jobs that did not succeed, or of whose success nobody or too many were told.
const MISDONE: &str = "
    select string_agg(format('job %s: %s, told %s times', j.id, j.state, e.times), '; ')
    from platform.job j cross join lateral (
      select count(*) as times from platform.event e
      where e.topic = 'platform.job.succeeded.v1' and e.payload ->> 'id' = j.id::text) e
    where j.state <> 'succeeded' or e.times <> 1";

struct Bed {
    ground: Ground,
    host: HostProcess,
    workers: Vec<Child>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // It may have been killed a moment ago.
            let _gone = worker.kill();
            let _gone = worker.wait();
        }
    }
}

impl Bed {
    async fn begin() -> Self {
        let ground = Ground::prepare().await.unwrap();
        journal::furnish(&ground).await.unwrap();
        ground.hasten(&Haste::default()).await.unwrap();
        ground.keep_history().await.unwrap();
        let manifest = journal::manifest(&ground, r#"buckets = ["default"]"#).unwrap();
        let mut host = HostProcess::new(&ground, &program().unwrap(), "host", &manifest).unwrap();
        host.spawn().unwrap();
        host.ready().await;
        let bin = ground.folder().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("ffprobe"), SLOW_FFPROBE).unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join("ffprobe"), executable).unwrap();
        Self { ground, host, workers: Vec::new() }
    }

    /// One more worker, with two jobs at once.
    fn hire(&mut self) {
        let worker = repository().join(".nexus/bin/nx-media");
        assert!(worker.is_file(), "{} is missing: run cargo xtask build", worker.display());
        let scratch = self.ground.folder().join(format!("scratch-{}", self.workers.len()));
        let bin = self.ground.folder().join("bin");
        let mut command = Command::new(worker);
        command.args(["run", "--jobs", "2", "--scratch"]).arg(scratch);
        command.env("NEXUS_HOST", format!("http://{}", self.host.operators()));
        command.env("NEXUS_WORKER_TOKEN", self.host.secret("worker-token").unwrap());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.workers.push(command.spawn().unwrap());
    }

    /// So many probes of the object, each in a transaction of the service.
    async fn submit(&self, count: u32) {
        let service = self.ground.database().service(journal::SERVICE).await.unwrap();
        let sql = "select platform.job_submit('probe', gen_random_uuid(), null, \
                   '{\"object\": {\"bucket\": \"default\", \"key\": \"a\"}}', null, \
                   '{\"attempts_max\": 100}')::text";
        for _ in 0..count {
            service.query(sql, &[]).await.unwrap();
        }
    }

    /// Stores the object as a worker would: by a URL that it is given for a job.
    async fn store(&self) {
        let service = self.ground.database().service(journal::SERVICE).await.unwrap();
        let sql = "select platform.job_submit('stash', gen_random_uuid(), null, '{}', null, '{}')";
        service.query(sql, &[]).await.unwrap();
        let (client, token) = (Client::default(), self.host.secret("worker-token").unwrap());
        let ask = async |path: &str, json: Value| {
            let reply = client.post(self.host.operators(), path, &token, &json).await.unwrap();
            assert!(reply.status < 300, "{path}: {}", reply.text());
            reply.json().unwrap_or_default()
        };
        let claim = json!({ "worker": "t", "kinds": ["stash"], "most": 1 });
        let claimed = ask("/worker/v1/claim", claim).await;
        let (id, lease) = (&claimed["jobs"][0]["id"], &claimed["jobs"][0]["lease"]);
        let job = format!("/worker/v1/jobs/{}", id.as_str().unwrap());
        let wanted = json!({ "lease": lease, "write": [{ "bucket": "default", "key": "a" }] });
        let urls = ask(&format!("{job}/urls"), wanted).await;
        let url = urls["write"][0]["url"].as_str().unwrap();
        let path = url.split_once("//").and_then(|(_, rest)| rest.split_once('/')).unwrap().1;
        let put = client.put(self.host.address(), &format!("/{path}"), "bytes".into()).await;
        assert!(put.as_ref().is_ok_and(|put| put.status < 300), "{put:?}");
        let done = json!({ "lease": lease, "outcome": "ack", "output": {} });
        ask(&format!("{job}/finish"), done).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_ends_once_when_its_workers_are_killed() {
    let mut dice = Dice::new();
    let mut bed = Bed::begin().await;
    bed.store().await;
    bed.hire();
    bed.hire();
    for _ in 0..times(KILLS) {
        bed.submit(JOBS_PER_KILL).await;
        let held = "select count(*) from platform.queue_lease";
        eventually("a job is being done", DONE_MAX, async || {
            bed.ground.value::<i64>(held).await.unwrap() > 0
        })
        .await;
        tokio::time::sleep(dice.millis(0..400)).await;
        let one = dice.below(bed.workers.len());
        let mut worker = bed.workers.swap_remove(one);
        worker.kill().unwrap();
        worker.wait().unwrap();
        bed.hire();
    }
    let books = Books(bed.ground.database());
    eventually("all jobs have ended", DONE_MAX, async || books.waiting().await.unwrap() == 0).await;
    let misdone: Option<String> = bed.ground.value(MISDONE).await.unwrap();
    assert_eq!(misdone, None);
    assert_eq!(books.misplaced().await.unwrap(), Vec::<String>::new());
    assert_eq!(books.broken_leases().await.unwrap(), Vec::<String>::new());
    let (again, claims) = books.claims().await.unwrap();
    println!(
        "{} workers killed: {claims} claims, {again} not the first of their job",
        times(KILLS)
    );
    print!("{}", crash::books::table(&books.accounts().await.unwrap()));
}
