//! A controller may die at any moment: another looks where the rollout is and goes on from there.

use crate::bed::{Bed, Wanted, artifact, called_steps, fragment, steps};
use nexus_storage::rollouts::{State, Weights};
use std::time::{Duration, Instant};

const STATES: [State; 8] = [
    State::Verifying,
    State::Compiling,
    State::Migrating,
    State::Probing,
    State::Staged,
    State::Stepping,
    State::Promoting,
    State::Draining,
];

/// Kills the only host once the rollout is where it is wanted, and starts another.
async fn killed_at(state: State) {
    let bed = Bed::new().await;
    let first = bed.host(Wanted::default()).await;
    let sql = [("0001_lamp.sql", "create table lamp.lamp (id int)")];
    let text = fragment("lamp", "environment = { N = \"2\" }", "");
    let new = artifact("lamp", "hello", &text, &sql);
    let id = first.deploy("lamp", &new, steps(&[2_000, 10_000])).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    // A state may pass between two looks: whatever follows it is as good a place to die.
    let order = |state: State| STATES.iter().position(|one| *one == state);
    loop {
        let now = bed.state(id).await.state;
        if order(now) >= order(state) || now.is_final() {
            break;
        }
        assert!(Instant::now() < deadline, "never {state:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill().await;
    let second = bed.host(Wanted::default()).await;
    let row = bed.reaches(id, State::Done).await;
    assert_eq!(bed.weights("lamp").await, Weights::from([(2, 10_000)]), "{state:?}");
    let events = bed.rollouts.events(id).await.unwrap();
    let steps = events.iter().filter(|event| event.state == State::Stepping).count();
    assert_eq!(steps, 2, "each step is made once, killed at {state:?}: {events:?}");
    assert_eq!(row.revision, 2);
    second.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_after_a_controller_that_died_before_the_calls_goes_on() {
    for state in &STATES[..4] {
        killed_at(*state).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_after_a_controller_that_died_among_the_calls_goes_on() {
    for state in &STATES[4..] {
        killed_at(*state).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_was_cut_off_is_gone_to_its_end() {
    let bed = Bed::new().await;
    let first = bed.host(Wanted::default()).await;
    let text = fragment("lamp", "environment = { N = \"2\" }", "");
    let new = artifact("lamp", "hello", &text, &[]);
    let id = first.deploy("lamp", &new, called_steps(&[2_000, 10_000])).await;
    bed.reaches(id, State::Stepping).await;
    first.rollout.roll_back("lamp", None, "no", "ada").await.unwrap();
    first.kill().await;
    let second = bed.host(Wanted::default()).await;
    bed.reaches(id, State::RolledBack).await;
    assert_eq!(bed.weights("lamp").await, Weights::from([(1, 10_000)]));
    second.stop().await;
    bed.end().await;
}
