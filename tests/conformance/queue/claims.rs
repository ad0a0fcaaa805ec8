//! The promises, each in the words of the four steps. Refuses to know which door it goes through.

use super::ground::States;
use super::{Door, End, Put, Rules, SOON};
use nexus_harness::prelude::*;
use std::time::Duration;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

fn retry(after: Duration, reason: &'static str) -> End {
    End::Retry { after, reason }
}

pub(super) async fn what_is_acknowledged_is_done_and_comes_no_more<D: Door>() {
    let door = D::open(Rules::default()).await;
    let first = door.put(Put::default()).await;
    assert_eq!(door.settle(End::Ack).await.id, first);
    door.ground().becomes(States { done: 1, ..States::default() }).await;
    let second = door.put(Put::default()).await;
    assert_eq!(door.settle(End::Ack).await.id, second);
    door.ground().becomes(States { done: 2, ..States::default() }).await;
    door.nothing_comes().await;
    door.end().await;
}

pub(super) async fn a_delivery_is_counted_when_it_is_claimed<D: Door>() {
    let door = D::open(Rules::default()).await;
    door.put(Put::default()).await;
    let taken = door.take().await;
    assert_eq!(taken.attempt, 1);
    // Nothing was said of it yet: whoever dies with it in his hands has used the attempt up.
    assert_eq!(door.ground().attempts("leased").await, [1]);
    assert!(door.finish(&taken, retry(HOUR, "not yet")).await);
    assert_eq!(door.ground().attempts("deferred").await, [1]);
    door.end().await;
}

pub(super) async fn a_retry_comes_again_after_its_pause_as_another_attempt<D: Door>() {
    let door = D::open(Rules::default()).await;
    let id = door.put(Put::default()).await;
    door.settle(retry(HOUR, "not yet")).await;
    door.ground().becomes(States { deferred: 1, ..States::default() }).await;
    let wait = door.ground().due_in().await;
    assert!(wait > HOUR - Duration::from_secs(60) && wait <= HOUR, "{wait:?}");
    door.nothing_comes().await;
    door.ground().hurry().await;
    let again = door.settle(End::Ack).await;
    assert_eq!((again.id, again.attempt), (id, 2));
    door.end().await;
}

pub(super) async fn a_release_uses_no_attempt_up<D: Door>() {
    let door = D::open(Rules { attempts_max: 1, ..Rules::default() }).await;
    let id = door.put(Put::default()).await;
    for _ in 0..3 {
        let taken = door.settle(End::Release).await;
        assert_eq!((taken.id, taken.attempt), (id, 1));
    }
    assert_eq!(door.settle(End::Ack).await.attempt, 1);
    door.ground().becomes(States { done: 1, ..States::default() }).await;
    door.end().await;
}

pub(super) async fn a_reject_is_dead_at_once_with_its_reason<D: Door>() {
    let door = D::open(Rules::default()).await;
    door.put(Put::default()).await;
    door.settle(End::Reject { reason: "it can never succeed" }).await;
    door.ground().becomes(States { dead: 1, ..States::default() }).await;
    let letter = door.ground().letter().await;
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("it can never succeed"), "{letter}");
    assert_eq!(letter["attempts"], 1);
    door.nothing_comes().await;
    door.end().await;
}

pub(super) async fn a_message_that_fails_too_often_is_dead_with_its_history<D: Door>() {
    let door = D::open(Rules { attempts_max: 2, ..Rules::default() }).await;
    door.put(Put::default()).await;
    assert_eq!(door.settle(retry(Duration::ZERO, "first words")).await.attempt, 1);
    assert_eq!(door.settle(retry(Duration::ZERO, "last words")).await.attempt, 2);
    door.ground().becomes(States { dead: 1, ..States::default() }).await;
    let letter = door.ground().letter().await;
    let history = letter["errors"].as_array().unwrap();
    let words: Vec<_> =
        history.iter().map(|e| (e["attempt"].clone(), e["reason"].clone())).collect();
    assert_eq!(words, [(json!(1), json!("first words")), (json!(2), json!("last words"))]);
    assert!(history.iter().all(|e| e["at"].is_string() && e["worker"].is_string()), "{letter}");
    door.end().await;
}

pub(super) async fn a_lease_that_lapses_is_an_attempt_and_the_message_comes_again<D: Door>() {
    let door = D::open(Rules::default()).await;
    let id = door.put(Put::default()).await;
    let lost = door.take().await;
    door.ground().lapse().await;
    let again = door.take().await;
    assert_eq!((again.id, again.attempt), (id, 2));
    assert_ne!(again.lease, lost.lease);
    assert!(door.finish(&again, End::Reject { reason: "enough" }).await);
    let letter = door.ground().letter().await;
    assert_eq!(letter["errors"][0]["reason"], "lease expired");
    assert_eq!(letter["errors"][0]["attempt"], 1);
    door.end().await;
}

pub(super) async fn a_holder_whose_lease_has_lapsed_changes_nothing<D: Door>() {
    let door = D::open(Rules::default()).await;
    door.put(Put::default()).await;
    let lost = door.take().await;
    door.ground().lapse().await;
    let held = door.take().await;
    let before = door.ground().picture().await;
    assert!(!door.finish(&lost, End::Reject { reason: "too late" }).await);
    assert_eq!(door.ground().picture().await, before);
    assert!(door.finish(&held, End::Ack).await);
    door.ground().becomes(States { done: 1, ..States::default() }).await;
    door.end().await;
}

pub(super) async fn a_delayed_message_does_not_come_before_its_time<D: Door>() {
    let door = D::open(Rules::default()).await;
    let late = door.put(Put { delay: Some(HOUR), ..Put::default() }).await;
    door.ground().becomes(States { deferred: 1, ..States::default() }).await;
    let early = door.put(Put::default()).await;
    assert_eq!(door.settle(End::Ack).await.id, early);
    door.nothing_comes().await;
    door.ground().hurry().await;
    assert_eq!(door.settle(End::Ack).await.id, late);
    door.end().await;
}

pub(super) async fn of_one_key_only_the_first_is_put_in<D: Door>() {
    let door = D::open(Rules::default()).await;
    let keyed = |key| Put { dedup_key: Some(key), ..Put::default() };
    let first = door.put(keyed("one")).await;
    door.put(keyed("one")).await;
    assert_eq!(door.settle(End::Ack).await.id, first);
    door.put(keyed("one")).await;
    door.nothing_comes().await;
    let other = door.put(keyed("two")).await;
    assert_eq!(door.settle(End::Ack).await.id, other);
    door.ground().becomes(States { done: 2, ..States::default() }).await;
    door.end().await;
}

pub(super) async fn one_of_a_group_at_a_time_and_in_order<D: Door>() {
    let door = D::open(Rules { grouped: true, ..Rules::default() }).await;
    let of = |group| Put { group: Some(group), ..Put::default() };
    let mut a = Vec::new();
    for _ in 0..3 {
        a.push(door.put(of("a")).await);
    }
    let b = door.put(of("b")).await;
    let both = [door.take().await, door.take().await];
    let held = |id: Uuid| both.iter().find(|taken| taken.id == id).expect("its group's first");
    let (first, other) = (held(a[0]), held(b));
    door.nothing_comes().await;
    assert!(door.finish(first, retry(HOUR, "not yet")).await);
    assert!(door.finish(other, End::Ack).await);
    // One that failed is in the way of those behind it until it has its next attempt.
    door.nothing_comes().await;
    door.ground().hurry().await;
    let mut came = Vec::new();
    for _ in &a {
        let taken = door.take().await;
        door.nothing_comes().await;
        assert!(door.finish(&taken, End::Ack).await);
        came.push(taken.id);
    }
    assert_eq!(came, a);
    door.end().await;
}

pub(super) async fn higher_priority_goes_first_and_equals_in_order<D: Door>() {
    let door = D::open(Rules { at_once: 1, ..Rules::default() }).await;
    door.ground().switch("pause").await;
    let mut put = Vec::new();
    for priority in [0, 5, -3, 5, 0] {
        let id = door.put(Put { priority, ..Put::default() }).await;
        put.push((-priority, put.len(), id));
    }
    put.sort_unstable();
    door.ground().switch("resume").await;
    for (_, _, id) in put {
        assert_eq!(door.settle(End::Ack).await.id, id);
    }
    door.end().await;
}

pub(super) async fn a_paused_queue_takes_messages_and_gives_none<D: Door>() {
    let door = D::open(Rules::default()).await;
    door.ground().switch("pause").await;
    let put = [door.put(Put::default()).await, door.put(Put::default()).await];
    door.nothing_comes().await;
    door.ground().becomes(States { ready: 2, ..States::default() }).await;
    door.ground().switch("resume").await;
    let mut came = [door.settle(End::Ack).await.id, door.settle(End::Ack).await.id];
    came.sort_unstable_by_key(|id| put.iter().position(|it| it == id));
    assert_eq!(came, put);
    door.end().await;
}

pub(super) async fn a_dead_letter_that_is_redriven_has_all_its_attempts_again<D: Door>() {
    let door = D::open(Rules { attempts_max: 2, ..Rules::default() }).await;
    let id = door.put(Put::default()).await;
    door.settle(End::Reject { reason: "for now" }).await;
    door.ground().becomes(States { dead: 1, ..States::default() }).await;
    let all = json!({ "all": true });
    assert_eq!(door.ground().redrive(&json!({ "reason": "other words" }), false).await, 0);
    assert_eq!(door.ground().redrive(&all, true).await, 1);
    door.ground().becomes(States { dead: 1, ..States::default() }).await;
    assert_eq!(door.ground().redrive(&all, false).await, 1);
    let again = door.settle(retry(Duration::ZERO, "once more")).await;
    assert_eq!((again.id, again.attempt), (id, 1));
    assert_eq!(door.settle(End::Reject { reason: "for good" }).await.attempt, 2);
    let letter = door.ground().letter().await;
    let history: Vec<_> = letter["errors"].as_array().unwrap().iter().collect();
    assert_eq!(history.len(), 3, "what was before is kept: {letter}");
    door.end().await;
}

pub(super) async fn a_purge_takes_what_its_filter_says_and_a_dry_run_nothing<D: Door>() {
    let door = D::open(Rules::default()).await;
    for reason in ["one thing", "another thing"] {
        door.put(Put::default()).await;
        door.settle(End::Reject { reason }).await;
    }
    door.ground().becomes(States { dead: 2, ..States::default() }).await;
    let another = json!({ "reason": "another" });
    assert_eq!(door.ground().purge(&another, true).await, 1);
    door.ground().becomes(States { dead: 2, ..States::default() }).await;
    assert_eq!(door.ground().purge(&another, false).await, 1);
    door.ground().becomes(States { dead: 1, done: 1, ..States::default() }).await;
    let left = door.ground().letter().await;
    assert!(left["reason"].as_str().unwrap().contains("one thing"), "{left}");
    door.end().await;
}

pub(super) async fn every_message_is_in_exactly_one_state<D: Door>() {
    let door = D::open(Rules::default()).await;
    let ends =
        [End::Ack, retry(HOUR, "later"), End::Reject { reason: "never" }, End::Release, End::Ack];
    let mut put = 0;
    for end in ends {
        door.put(Put::default()).await;
        put += 1;
        door.settle(end).await;
        if matches!(end, End::Release) {
            door.settle(End::Ack).await;
        }
        eventually("all are accounted for", SOON, async || {
            door.ground().states().await.sum() == put
        })
        .await;
    }
    door.put(Put { delay: Some(HOUR), ..Put::default() }).await;
    door.put(Put::default()).await;
    let held = door.take().await;
    door.ground().switch("pause").await;
    door.put(Put::default()).await;
    door.ground().becomes(States { ready: 1, deferred: 2, leased: 1, dead: 1, done: 3 }).await;
    assert!(door.finish(&held, End::Ack).await);
    door.ground().becomes(States { ready: 1, deferred: 2, leased: 0, dead: 1, done: 4 }).await;
    door.end().await;
}
