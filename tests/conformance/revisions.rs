//! Several revisions of one component answer side by side, and one takes over from another without
//! a call being lost.

use http::Method;
use nexus_harness::prelude::*;
use nexus_runtime::{
    ComponentId, ComponentSnapshot, Revision, RevisionSnapshot, Served, WEIGHT_WHOLE, Weighted,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const PIN: &str = "nexus-revision";
const MAY_PIN: [&str; 1] = ["platform:revisions:pin"];

struct Stage {
    nexus: Nexus,
    component: ComponentId,
}

impl Stage {
    /// A host whose component `spin` says which revision it is at `/variables/revision`; `proxy`
    /// calls what it is told to.
    async fn set() -> Self {
        let manifest = format!(
            r#"
spin_manifest_version = 2
[application]
name = "revisions"
version = "0.0.0"
[[trigger.http]]
route = "/..."
component = "spin"
[[trigger.http]]
route = "/proxy/..."
component = "proxy"
[component.spin]
source = "{}"
variables = {{ revision = "0" }}
allowed_outbound_hosts = [
  "http://*.spin.internal", "redis://nexus.internal", "postgres://nexus.internal",
]
key_value_stores = ["default"]
[component.spin.tool.nexus]
wall_ms = 600000
stream_idle_ms = 600000
[component.proxy]
source = "{}"
"#,
            probe("spin").display(),
            probe("proxy").display(),
        );
        let nexus = Nexus::setup().manifest(manifest).start().await;
        Self { nexus, component: ComponentId::new("spin").unwrap() }
    }

    async fn prepare(&self, number: u32) -> Arc<Revision> {
        let active = self.nexus.runtime().active();
        let fleet = active.components[&self.component].as_ref().ok().unwrap();
        let mut manifest = (*fleet.lead().manifest).clone();
        manifest.variables.insert("revision".into(), number.to_string());
        self.nexus.runtime().prepare(Arc::new(manifest), number).await.unwrap()
    }

    fn serve(&self, revisions: &[(&Arc<Revision>, u16)]) -> u64 {
        let runtime = self.nexus.runtime();
        let routes = runtime.active().routes.clone();
        let routes = routes.into_iter().filter(|route| route.component == self.component);
        let weighted = |(revision, weight): &(&Arc<Revision>, u16)| Weighted {
            revision: Arc::clone(revision),
            weight: *weight,
        };
        let revisions = revisions.iter().map(weighted).collect();
        runtime.serve(&self.component, Served { routes: routes.collect(), revisions }).unwrap()
    }

    fn snapshot(&self) -> ComponentSnapshot {
        let all = self.nexus.runtime().snapshot();
        all.into_iter().find(|one| one.component == self.component).unwrap()
    }
}

async fn answered_by(client: &Client) -> u32 {
    client.get("/variables/revision").await.ok().text().parse().unwrap()
}

async fn shares(client: &Client, calls: usize) -> HashMap<u32, usize> {
    let mut shares = HashMap::new();
    for _ in 0..calls {
        *shares.entry(answered_by(client).await).or_default() += 1;
    }
    shares
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_shared_out_by_weight() {
    let stage = Stage::set().await;
    let (old, new) = (stage.prepare(1).await, stage.prepare(2).await);
    let anyone = stage.nexus.anonymous();
    assert_eq!(answered_by(&anyone).await, 0);
    stage.serve(&[(&old, 7_000), (&new, 3_000)]);
    let found = shares(&anyone, 600).await;
    assert_eq!(found.len(), 2, "{found:?}");
    // Six standard deviations of 600 throws with 0.3.
    assert!((113..=247).contains(&found[&2]), "{found:?}");
    let answer = anyone.get("/variables/revision").await.ok();
    let said = format!("spin={}", answer.text());
    assert_eq!(answer.header(PIN), Some(said.as_str()));
    stage.serve(&[(&old, 0), (&new, WEIGHT_WHOLE)]);
    assert_eq!(shares(&anyone, 50).await, HashMap::from([(2, 50)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_on_the_new_revision_stays_there_while_its_share_grows() {
    let stage = Stage::set().await;
    let (old, new) = (stage.prepare(1).await, stage.prepare(2).await);
    let client = |name: usize| stage.nexus.anonymous().header("nexus-affinity", &name.to_string());
    let clients: Vec<_> = (0..60).map(client).collect();
    let mut early: Vec<usize> = Vec::new();
    for weight in [2_000, 5_000, 8_000] {
        stage.serve(&[(&old, WEIGHT_WHOLE - weight), (&new, weight)]);
        let mut now = Vec::new();
        for (name, client) in clients.iter().enumerate() {
            let first = answered_by(client).await;
            assert_eq!(answered_by(client).await, first, "client {name} at {weight}");
            if first == 2 {
                now.push(name);
            }
        }
        assert!(early.iter().all(|name| now.contains(name)), "{early:?} {now:?}");
        assert!(now.len() > early.len() && now.len() < clients.len(), "{now:?} at {weight}");
        early = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_known_meets_one_revision() {
    let stage = Stage::set().await;
    let (old, new) = (stage.prepare(1).await, stage.prepare(2).await);
    stage.serve(&[(&old, 5_000), (&new, 5_000)]);
    let member = stage.nexus.member_with(["catalog:write"]).await;
    assert_eq!(shares(&member, 40).await.len(), 1);
    assert_eq!(shares(&stage.nexus.anonymous(), 40).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_without_a_share_is_reached_by_who_may_ask_for_it() {
    let stage = Stage::set().await;
    let (old, staged) = (stage.prepare(1).await, stage.prepare(2).await);
    stage.serve(&[(&old, WEIGHT_WHOLE), (&staged, 0)]);
    let operator = stage.nexus.member_with(MAY_PIN).await;
    assert_eq!(shares(&operator, 20).await, HashMap::from([(1, 20)]));
    assert_eq!(answered_by(&operator.clone().header(PIN, "spin=2")).await, 2);
    assert_eq!(answered_by(&operator.clone().header(PIN, "other=9, spin=2")).await, 2);
    let gone = operator.clone().header(PIN, "spin=9");
    gone.get("/variables/revision").await.problem(404, "no-such-revision");
    let wrong = operator.clone().header(PIN, "two");
    wrong.get("/variables/revision").await.problem(400, "invalid-pin");
    let stranger = stage.nexus.anonymous().header(PIN, "spin=2");
    stranger.get("/variables/revision").await.problem(403, "may-not-pin");
    let member = stage.nexus.member_with(["catalog:write"]).await.header(PIN, "spin=2");
    member.get("/variables/revision").await.problem(403, "may-not-pin");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_follow_from_a_call_ask_for_the_same_revisions() {
    let stage = Stage::set().await;
    let (old, staged) = (stage.prepare(1).await, stage.prepare(2).await);
    stage.serve(&[(&old, WEIGHT_WHOLE), (&staged, 0)]);
    let operator = stage.nexus.member_with(MAY_PIN).await;
    let path = "/fetch?url=http://spin.spin.internal/variables/revision";
    let fetched = async |client: &Client| {
        let answer: Value = client.get(path).await.ok().json();
        answer["body"].as_str().map(str::to_owned).unwrap_or_else(|| answer.to_string())
    };
    assert_eq!(fetched(&operator).await, "1");
    assert_eq!(fetched(&operator.clone().header(PIN, "spin=2")).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_lost_while_revisions_take_over_from_each_other() {
    let stage = Stage::set().await;
    let done = AtomicBool::new(false);
    let calls = AtomicUsize::new(0);
    let asking = async |client: Client| {
        let mut last = 0;
        while !done.load(Ordering::Relaxed) {
            last = answered_by(&client).await;
            calls.fetch_add(1, Ordering::Relaxed);
        }
        last
    };
    let changing = async {
        let mut served = Vec::new();
        for number in 1..=25 {
            let new = stage.prepare(number).await;
            stage.serve(&[(&new, WEIGHT_WHOLE)]);
            let before = calls.load(Ordering::Relaxed);
            eventually("it is asked", seconds(20), async || {
                calls.load(Ordering::Relaxed) > before + 10
            })
            .await;
            served.push(new);
        }
        done.store(true, Ordering::Relaxed);
        served
    };
    let client = || stage.nexus.anonymous();
    let (one, two, three, served) =
        tokio::join!(asking(client()), asking(client()), asking(client()), changing);
    assert_eq!([one, two, three].map(|last| last >= 24), [true; 3], "{one} {two} {three}");
    // Every call is still counted, and the old ones' instances are gone.
    let counts = stage.snapshot().counts;
    assert_eq!(counts.calls as usize, calls.load(Ordering::Relaxed));
    assert_eq!((counts.failures, counts.traps, counts.timeouts), (0, 0, 0));
    drop(served);
    // Well before an instance without calls would end by itself.
    eventually("only the last one's instances are left", seconds(40), async || {
        let listed = stage.nexus.runtime().revisions();
        let last = listed.iter().find(|one| one.number == 25).unwrap();
        stage.snapshot().instances == last.instances
    })
    .await;
    let listed = stage.nexus.runtime().revisions();
    let of_it = listed.iter().filter(|one| one.component == stage.component);
    assert_eq!(of_it.map(|one| one.number).collect::<Vec<_>>(), [25]);
    assert_eq!(stage.snapshot().counts.calls as usize, calls.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_finishes_what_it_began_or_is_cut_off() {
    let stage = Stage::set().await;
    let (old, new) = (stage.prepare(1).await, stage.prepare(2).await);
    stage.serve(&[(&old, WEIGHT_WHOLE)]);
    let anyone = stage.nexus.anonymous();
    let events = async || anyone.request(Method::GET, "/events/2000000").stream().await.status(200);
    let (mut first, mut second) = (events().await, events().await);
    first.next().await.unwrap().expect("an event");
    second.next().await.unwrap().expect("an event");
    stage.serve(&[(&new, WEIGHT_WHOLE)]);
    assert_eq!(answered_by(&anyone).await, 2);
    assert_eq!(old.inflight(), 2);
    let draining = stage.nexus.runtime().revisions();
    let is_old = |one: &&RevisionSnapshot| one.component == stage.component && one.number == 1;
    let of_old = draining.iter().find(is_old).expect("it is still listed");
    assert!(of_old.draining && of_old.inflight == 2, "{of_old:?}");
    // One more piece comes: nobody has ended it.
    first.next().await.unwrap().expect("another event");
    stage.nexus.expects_log("instance lost component=\"spin\"");
    stage.nexus.expects_log("the response broke off");
    old.cut_off();
    for stream in [first, second] {
        stream.rest().await.expect_err("it was cut off, and looks like it");
    }
    eventually("nothing of it runs", seconds(20), async || old.inflight() == 0).await;
    assert_eq!(answered_by(&anyone).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_that_do_not_add_up_are_not_served() {
    let stage = Stage::set().await;
    let (one, two) = (stage.prepare(1).await, stage.prepare(2).await);
    let before = stage.nexus.runtime().generation();
    for revisions in [
        vec![],
        vec![(&one, 9_999)],
        vec![(&one, 6_000), (&two, 6_000)],
        vec![(&one, 5_000), (&one, 5_000)],
    ] {
        let weighted = revisions
            .iter()
            .map(|(revision, weight)| Weighted { revision: Arc::clone(revision), weight: *weight });
        let served = Served { routes: Vec::new(), revisions: weighted.collect() };
        stage.nexus.runtime().serve(&stage.component, served).unwrap_err();
    }
    assert_eq!(stage.nexus.runtime().generation(), before);
    assert_eq!(answered_by(&stage.nexus.anonymous()).await, 0);
}
