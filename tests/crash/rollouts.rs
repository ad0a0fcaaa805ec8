//! One component is deployed again and again under load: no request fails, no message is lost, and
//! no controller that is killed keeps a rollout from its end.

mod pace;

use crate::story::{Story, times};
use crash::ground::eventually;
use crash::journal::BOTH;
use crash::load::{Load, doors};
use crash::operator::Operator;
use crash::steady::Steady;
use pace::Paces;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Deploys in the default run; ten times as many with `NEXUS_LONG`.
const DEPLOYS: u32 = 20;
/// Controllers killed in the default run.
const KILLS: u32 = 4;

/// Entries that go well, so that whatever is refused is the host's doing.
const WELL: &[(&str, u32)] = &[("well", 1)];

/// What a host or a component says when something is wrong.
const GRAVE: [&str; 2] = ["\"level\":\"warn\"", "\"level\":\"error\""];

/// Readers of the component's own health, on each host.
struct Readers {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: JoinSet<Result<(), String>>,
}

impl Readers {
    fn start(story: &Story, each: usize) -> Self {
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for host in &story.hosts {
            for _ in 0..each {
                let (over, answered, to) = (over.clone(), answered.clone(), host.address());
                tasks.spawn(async move {
                    let mut client = Steady::to(to);
                    while !over.load(Relaxed) {
                        let answer = client.get("/api/probe-journal/health").await;
                        answer.map_err(|error| format!("{to}: {error}"))?;
                        answered.fetch_add(1, Relaxed);
                    }
                    Ok(())
                });
            }
        }
        Self { over, answered, tasks }
    }

    /// How many answers there were; every one of them good.
    async fn stop(mut self, story: &Story) -> usize {
        self.over.store(true, Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended.unwrap() {
                let said = story.hosts.iter().flat_map(|host| host.logged(&GRAVE));
                panic!("{error}\n{:#?}", said.collect::<Vec<_>>());
            }
        }
        self.answered.load(Relaxed)
    }
}

/// Open to whatever a busy machine does: a new instance is slow at first, and a host that is killed
/// fails the calls it had.
fn gates() -> Value {
    json!({ "samples_min": 10, "error_rate_delta": 0.9, "latency_ratio": 1e9 })
}

/// Instantly, or by steps whose gates a test's load opens.
fn strategy(number: u32) -> Value {
    match number % 4 {
        0 => json!({
            "steps": [1000, 5000, 10000],
            "step_seconds": 0,
            "gates": gates(),
        }),
        _ => json!("instant"),
    }
}

fn pace() -> Duration {
    Duration::from_millis(20)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_deployed_again_and_again_loses_neither_requests_nor_messages() {
    let mut story = Story::begin(BOTH).await;
    story.load().await.stop().await.unwrap();
    let load = Load::start(&doors(&story.hosts).unwrap(), 4, pace(), &story.dice, WELL);
    let readers = Readers::start(&story, 4);
    let mut operator = Operator::new(BOTH).unwrap();
    let (began, deploys) = (Instant::now(), times(DEPLOYS));
    let mut paces = Paces::default();
    for number in 0..deploys {
        let is_compiled = number % 10 == 0;
        let release = operator.release(is_compiled).unwrap();
        let host = &story.hosts[number as usize % 2];
        let id = operator.deploy(host, &release, strategy(number)).await.unwrap();
        let ended = operator.ended(host, &id).await;
        assert_eq!(ended["state"], "done", "deploy {number}: {ended:#}");
        let what = match (strategy(number).is_string(), is_compiled) {
            (true, false) => "at once",
            (true, true) => "at once, to be compiled",
            (false, _) => "by three steps",
        };
        paces.note(what, &ended);
    }
    println!("{deploys} deploys in {:?}", began.elapsed());
    print!("{paces}");
    println!("{} reads", readers.stop(&story).await);
    let tally = story.audit(load, &format!("{deploys} deploys")).await;
    assert_eq!((tally.refused, tally.unanswered), (0, 0), "every write was acknowledged");
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_host_is_killed_during_a_rollout_the_others_bring_it_to_its_end() {
    let mut story = Story::of(&["first", "second", "third"], BOTH).await;
    let load = story.load().await;
    let mut operator = Operator::new(BOTH).unwrap();
    let mut states: BTreeMap<String, u32> = BTreeMap::new();
    for number in 0..times(KILLS) {
        let release = operator.release(false).unwrap();
        let doomed = number as usize % 3;
        let left = (doomed + 1) % 3;
        let id = operator.deploy(&story.hosts[left], &release, strategy(number)).await.unwrap();
        tokio::time::sleep(story.dice.millis(0..1_500)).await;
        let before = operator.rollout(&story.hosts[left], &id).await.unwrap();
        assert!(story.hosts[doomed].kill());
        let state = before["state"].as_str().unwrap_or_default().to_owned();
        *states.entry(state).or_default() += 1;
        let ended = operator.ended(&story.hosts[left], &id).await;
        assert_eq!(ended["state"], "done", "kill {number}: {ended:#}");
        story.hosts[doomed].spawn().unwrap();
        story.ready().await;
    }
    println!("killed in {states:?}");
    // Who was killed has come back to what the others serve.
    let served = async |host: &crash::host::HostProcess| {
        let token = host.secret("admin-token").unwrap();
        let asked = crash::client::Client::default();
        let answer = asked.get(host.operators(), "/api/v1/components/probe-journal", &token).await;
        answer.and_then(|answer| answer.json()).map(|it| it["number"].clone()).unwrap_or_default()
    };
    eventually("all serve the same revision", Duration::from_secs(30), async || {
        let mut all = Vec::new();
        for host in &story.hosts {
            all.push(served(host).await);
        }
        all.windows(2).all(|pair| pair[0] == pair[1])
    })
    .await;
    story.audit(load, "hosts killed during rollouts").await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_the_others_do_not_notice_that_one_of_three_hosts_is_killed() {
    let mut story = Story::of(&["first", "second", "third"], BOTH).await;
    story.load().await.stop().await.unwrap();
    let doomed = story.hosts.remove(0);
    let load = Load::start(&doors(&story.hosts).unwrap(), 4, pace(), &story.dice, WELL);
    let readers = Readers::start(&story, 4);
    let mut operator = Operator::new(BOTH).unwrap();
    let release = operator.release(true).unwrap();
    let slow = json!({ "steps": [5000, 10000], "step_seconds": 2, "gates": gates() });
    let id = operator.deploy(&doomed, &release, slow).await.unwrap();
    eventually("it has begun", Duration::from_secs(60), async || {
        let rollout = operator.rollout(&story.hosts[0], &id).await.unwrap_or_default();
        // It may be past it between two looks.
        rollout["events"].as_array().into_iter().flatten().any(|it| it["state"] == "stepping")
    })
    .await;
    drop(doomed);
    let ended = operator.ended(&story.hosts[0], &id).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    assert!(readers.stop(&story).await > 0);
    let tally = story.audit(load, "one of three hosts killed").await;
    assert_eq!((tally.refused, tally.unanswered), (0, 0));
    story.end().await;
}
