//! Rollouts as the database keeps them: weights are whole, one controller at a time moves a
//! rollout, a stale one moves nothing, and what is needed is never collected.

use crate::server::{Fresh, brisk, platform};
use nexus_storage::rollouts::{
    Applied, Held, Move, NewArtifact, NewRevision, NewRollout, RolloutError, Rollouts, Sample,
    State, Verb, Weights,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);

struct Ground {
    fresh: Fresh,
    rollouts: Rollouts,
    host: Uuid,
}

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

impl Ground {
    /// Component `lamp` serves revision 1 alone; 2 is there.
    async fn new() -> Self {
        let fresh = crate::server::empty(brisk()).await;
        platform().apply(&fresh.database).await.unwrap();
        let rollouts = Rollouts::new(fresh.database.clone());
        let ground = Self { fresh, rollouts, host: Uuid::now_v7() };
        ground.rollouts.join(ground.host, "one", "1.0").await.unwrap();
        assert_eq!(ground.revision('a').await, 1);
        assert_eq!(ground.revision('b').await, 2);
        ground.rollouts.begin_traffic(&[("lamp", 1)], "test").await.unwrap();
        ground
    }

    async fn revision(&self, letter: char) -> u32 {
        let wasm = digest(letter);
        let new = NewRevision {
            component: "lamp",
            artifact: None,
            wasm: &wasm,
            fragment: "",
            configuration: 0,
            version: "1",
            origin: "push",
            note: "",
            by: "test",
        };
        self.rollouts.make_revision(&new).await.unwrap().number
    }

    async fn begin(&self, revision: u32) -> Result<Uuid, RolloutError> {
        let new = NewRollout {
            component: "lamp",
            revision,
            plan: &json!({}),
            kind: "deploy",
            note: "",
            by: "test",
            despite_freeze: false,
        };
        self.rollouts.begin(&new).await
    }

    async fn hold(&self, holder: Uuid) -> Option<Held> {
        self.rollouts.hold(holder, LEASE).await.unwrap().pop()
    }

    async fn weights(&self) -> Weights {
        self.rollouts.traffic("lamp").await.unwrap().unwrap().weights
    }

    async fn lapse(&self) {
        let host = self.fresh.database.host().await.unwrap();
        host.batch("update platform.rollout set held_until = now() - interval '1 s'")
            .await
            .unwrap();
    }
}

fn stepping(weight: u16) -> Move<'static> {
    Move {
        step: Some(0),
        weight: Some(weight),
        traffic: Some(Weights::from([(1, 10_000 - weight), (2, weight)])),
        ..Move::to(State::Stepping, "a step")
    }
}

#[tokio::test]
async fn the_same_parts_are_the_same_revision_and_no_revision_changes() {
    let ground = Ground::new().await;
    assert_eq!(ground.revision('a').await, 1);
    assert_eq!(ground.revision('c').await, 3);
    let host = ground.fresh.database.host().await.unwrap();
    let refused = host.execute("update platform.revision set fragment = 'x'", &[]).await;
    assert_eq!(refused.unwrap_err().code().map(|c| c.code()), Some("23001"));
    let made = [("lamp", 'b'), ("desk", 'b'), ("lamp", 'd')]
        .map(|(component, letter)| (component, digest(letter)));
    let all: Vec<_> = made
        .iter()
        .map(|(component, wasm)| NewRevision {
            component,
            artifact: None,
            wasm,
            fragment: "",
            configuration: 0,
            version: "1",
            origin: "manifest",
            note: "",
            by: "manifest",
        })
        .collect();
    let made = ground.rollouts.make_revisions(&all).await.unwrap();
    let made: Vec<_> = made.iter().map(|made| (made.number, made.is_new)).collect();
    assert_eq!(made, [(2, false), (1, true), (4, true)]);
    ground.fresh.end().await;
}

#[tokio::test]
async fn a_rollout_is_moved_by_one_controller_at_a_time() {
    let ground = Ground::new().await;
    let id = ground.begin(2).await.unwrap();
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let held = ground.hold(one).await.unwrap();
    assert_eq!((held.row.id, held.row.state, held.row.baseline), (id, State::Verifying, Some(1)));
    assert!(ground.hold(two).await.is_none());
    ground.lapse().await;
    let taken = ground.hold(two).await.unwrap();
    let stale = ground.rollouts.advance(&held, &Move::to(State::Compiling, "late")).await.unwrap();
    assert!(!stale, "whoever lost the lease moves nothing");
    assert!(ground.rollouts.advance(&taken, &Move::to(State::Compiling, "on")).await.unwrap());
    // The same word twice moves it once.
    let again = ground.rollouts.advance(&taken, &Move::to(State::Compiling, "on")).await.unwrap();
    assert!(!again);
    let events = ground.rollouts.events(id).await.unwrap();
    let words: Vec<_> = events.iter().map(|event| event.words.as_str()).collect();
    assert_eq!(words, ["begun", "on"]);
    ground.fresh.end().await;
}

#[tokio::test]
async fn a_component_has_one_rollout_at_a_time() {
    let ground = Ground::new().await;
    let id = ground.begin(2).await.unwrap();
    let busy = ground.begin(1).await.unwrap_err();
    assert!(matches!(busy, RolloutError::Busy { rollout, .. } if rollout == id), "{busy}");
    let set = ground.rollouts.set_traffic("lamp", &Weights::from([(2, 10_000)]), "", "ada").await;
    assert!(matches!(set.unwrap_err(), RolloutError::Busy { .. }));
    let none = ground.rollouts.order(id, Verb::Abort, "ada", "", false).await.unwrap();
    assert_eq!((none.state, none.finished_at.is_some()), (State::Aborted, true));
    assert!(matches!(ground.begin(9).await.unwrap_err(), RolloutError::NoRevision { .. }));
    ground.begin(2).await.unwrap();
    ground.fresh.end().await;
}

#[tokio::test]
async fn an_order_makes_the_move_under_way_stale_and_abort_restores_the_weights() {
    let ground = Ground::new().await;
    let id = ground.begin(2).await.unwrap();
    let held = ground.hold(ground.host).await.unwrap();
    assert!(ground.rollouts.advance(&held, &stepping(1_000)).await.unwrap());
    assert_eq!(ground.weights().await, Weights::from([(1, 9_000), (2, 1_000)]));
    let held = ground.hold(ground.host).await.unwrap();
    let paused = ground.rollouts.order(id, Verb::Pause, "ada", "lunch", false).await.unwrap();
    assert_eq!((paused.state, paused.onward), (State::Paused, Some(State::Stepping)));
    assert!(!ground.rollouts.advance(&held, &stepping(5_000)).await.unwrap());
    let twice = ground.rollouts.order(id, Verb::Pause, "ada", "", false).await.unwrap_err();
    assert!(matches!(twice, RolloutError::Refused(_)), "{twice}");
    let resumed = ground.rollouts.order(id, Verb::Resume, "ada", "", false).await.unwrap();
    assert_eq!(resumed.state, State::Stepping);
    let aborted = ground.rollouts.order(id, Verb::Abort, "ada", "no", false).await.unwrap();
    assert_eq!((aborted.state, aborted.onward), (State::RollingBack, Some(State::Aborted)));
    assert_eq!(ground.weights().await, Weights::from([(1, 10_000)]));
    ground.fresh.end().await;
}

#[tokio::test]
async fn a_freeze_stops_what_goes_forward_and_never_what_goes_back() {
    let ground = Ground::new().await;
    let id = ground.begin(2).await.unwrap();
    let held = ground.hold(ground.host).await.unwrap();
    assert!(ground.rollouts.advance(&held, &stepping(100)).await.unwrap());
    let freeze = ground.rollouts.freeze(None, "a premiere", "ada").await.unwrap();
    let frozen = ground.rollouts.order(id, Verb::Promote, "ada", "", false).await.unwrap_err();
    assert!(matches!(frozen, RolloutError::Frozen { .. }), "{frozen}");
    ground.rollouts.order(id, Verb::Rollback, "ada", "", false).await.unwrap();
    let held = ground.hold(ground.host).await.unwrap();
    assert!(ground.rollouts.advance(&held, &Move::to(State::RolledBack, "back")).await.unwrap());
    assert!(matches!(ground.begin(2).await.unwrap_err(), RolloutError::Frozen { .. }));
    assert!(ground.rollouts.thaw(freeze.id, "ada").await.unwrap());
    assert!(!ground.rollouts.thaw(freeze.id, "ada").await.unwrap());
    ground.begin(2).await.unwrap();
    ground.fresh.end().await;
}

#[tokio::test]
async fn nothing_is_settled_before_every_living_host_has_applied_it() {
    let ground = Ground::new().await;
    let other = Uuid::now_v7();
    ground.rollouts.join(other, "two", "1.0").await.unwrap();
    let sequence = ground.rollouts.traffic("lamp").await.unwrap().unwrap().sequence;
    let applied = Applied { component: "lamp", sequence, draining: 0, failure: None };
    let settled = async || ground.rollouts.settled("lamp", sequence).await.unwrap();
    ground.rollouts.applied(ground.host, &[applied.clone()]).await.unwrap();
    assert!(settled().await.is_none());
    ground.rollouts.applied(other, &[Applied { draining: 2, ..applied }]).await.unwrap();
    assert_eq!(settled().await.map(|(draining, _)| draining), Some(2));
    // Who restarts under its name has applied nothing; who is dead is not waited for.
    let third = Uuid::now_v7();
    ground.rollouts.join(third, "two", "1.1").await.unwrap();
    assert!(settled().await.is_none());
    assert!(!ground.rollouts.beat(other, 1).await.unwrap());
    assert!(!ground.rollouts.rejoin(other, "two", "1.0").await.unwrap(), "it was followed");
    let host = ground.fresh.database.host().await.unwrap();
    let late =
        "update platform.host set heartbeat_at = now() - interval '1 min' where name = 'two'";
    host.batch(late).await.unwrap();
    assert_eq!(settled().await.map(|(draining, _)| draining), Some(0));
    ground.fresh.end().await;
}

#[tokio::test]
async fn a_step_knows_what_was_counted_before_it() {
    let ground = Ground::new().await;
    ground.begin(2).await.unwrap();
    let mut sample = Sample { component: "lamp".into(), number: 2, calls: 5, ..Sample::default() };
    sample.latency = vec![5, 0];
    ground.rollouts.count(ground.host, &[sample.clone()]).await.unwrap();
    let held = ground.hold(ground.host).await.unwrap();
    assert!(held.samples_step.is_empty());
    assert!(ground.rollouts.advance(&held, &stepping(100)).await.unwrap());
    sample.calls = 9;
    ground.rollouts.count(ground.host, &[sample]).await.unwrap();
    let held = ground.hold(ground.host).await.unwrap();
    let key = (ground.host.to_string(), 2);
    assert_eq!((held.samples_step[&key].calls, held.samples_first[&key].calls), (5, 5));
    assert_eq!(held.samples_step[&key].latency, [5, 0]);
    assert_eq!(ground.rollouts.samples("lamp").await.unwrap()[&key].calls, 9);
    ground.fresh.end().await;
}

#[tokio::test]
async fn what_is_needed_is_never_collected() {
    let ground = Ground::new().await;
    for letter in ['c', 'd', 'e', 'f', '1', '2', '3'] {
        ground.revision(letter).await;
    }
    let store = async |letter: char, component: &str| {
        let (wasm, id) = (digest(letter), digest(letter));
        let (migrations, empty) = (json!([]), Value::Array(Vec::new()));
        let new = NewArtifact {
            digest: &id,
            component,
            version: "1",
            wasm_digest: &wasm,
            wasm: b"wasm",
            archive_digest: &wasm,
            archive: b"wasm",
            fragment: None,
            migrations: &migrations,
            signature: "unsigned",
            key_id: None,
            imports: &empty,
            exports: &empty,
            by: "test",
        };
        ground.rollouts.store_artifact(&new).await.unwrap()
    };
    assert!(store('9', "lamp").await);
    assert!(!store('9', "lamp").await);
    ground.rollouts.collect().await.unwrap();
    let left = ground.rollouts.revisions("lamp", None, 100).await.unwrap();
    let left: Vec<_> = left.iter().map(|one| one.number).collect();
    assert_eq!(left, [9, 8, 7, 6, 5, 1], "the last five, and what serves");
    assert!(ground.rollouts.artifact(&digest('9')).await.unwrap().is_some(), "it is new");
    let host = ground.fresh.database.host().await.unwrap();
    let age = "update platform.artifact set created_at = now() - interval '2 h'; \
               update platform.blob set created_at = now() - interval '2 h'";
    host.batch(age).await.unwrap();
    ground.rollouts.collect().await.unwrap();
    assert!(ground.rollouts.artifact(&digest('9')).await.unwrap().is_none());
    assert!(!ground.rollouts.has_blob(&digest('9')).await.unwrap());
    ground.fresh.end().await;
}

#[test]
fn weights_that_are_not_whole_are_never_served() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ground = runtime.block_on(Ground::new());
    let weights = proptest::collection::btree_map(1..4_u32, 0..=10_000_u16, 0..3);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let split = (weights, any::<bool>()).prop_map(|(mut weights, mend)| {
        let sum: u32 = weights.values().map(|w| u32::from(*w)).sum();
        if let Some(last) = weights.values_mut().next_back()
            && mend
            && let Ok(whole) = u16::try_from(10_000 + u32::from(*last) - sum.min(10_000))
        {
            *last = whole.min(10_000);
        }
        weights
    });
    runner
        .run(&split, |weights| {
            let whole = weights.values().map(|w| u32::from(*w)).sum::<u32>() == 10_000;
            let known = weights.keys().all(|number| [1, 2].contains(number));
            runtime.block_on(async {
                let before = ground.weights().await;
                let set = ground.rollouts.set_traffic("lamp", &weights, "", "test").await;
                prop_assert_eq!(set.is_ok(), whole && known, "{:?}", weights);
                let now = ground.weights().await;
                prop_assert_eq!(&now, if set.is_ok() { &weights } else { &before });
                prop_assert_eq!(now.values().map(|w| u32::from(*w)).sum::<u32>(), 10_000);
                Ok(())
            })
        })
        .unwrap();
    runtime.block_on(ground.fresh.end());
}
