//! What operators do to queues: look, redrive, purge; and what the days do by themselves.

use crate::queue_bed::{Bed, TOPIC, ids};
use crate::server::value;
use nexus_storage::queue::{EnqueueRequest, Filter, Outcome, QueueId, Retention, Settings, State};
use std::time::Duration;
use uuid::Uuid;

/// Ten dead letters, every other of another tenant and with other words.
async fn ten_dead(bed: &Bed) -> (QueueId, Vec<Uuid>) {
    let queue = bed.queue_with(&Settings::default()).await;
    for n in 0..10_u128 {
        let tenant = Some(Uuid::from_u128(n % 2));
        let request = EnqueueRequest { tenant, ..bed.request(queue) };
        bed.queue.enqueue(&request).await.unwrap();
    }
    let leased = bed.claim(queue, 10).await;
    let reject = |n: usize| Outcome::Reject { reason: format!("words {}", n % 2).into() };
    let outcomes: Vec<_> = leased.iter().enumerate().map(|(n, l)| (l.lease, reject(n))).collect();
    bed.queue.finish(&outcomes).await.unwrap();
    (queue, ids(&leased))
}

#[tokio::test]
async fn a_redrive_takes_what_its_filter_says_and_a_dry_run_nothing() {
    let bed = Bed::new().await;
    let (queue, all) = ten_dead(&bed).await;
    // A filter's instants are whole milliseconds.
    let now = bed.now().await + Duration::from_millis(1);
    for (filter, expected) in [
        (Filter::all(), 10),
        (Filter::ids(all[..3].to_vec()), 3),
        (Filter { tenant: Some(Uuid::from_u128(1)), ..Filter::default() }, 5),
        (Filter { reason: Some("words 0".into()), ..Filter::default() }, 5),
        (Filter { reason: Some("%".into()), ..Filter::default() }, 0),
        (Filter { topic: Some("test.**".into()), ..Filter::default() }, 10),
        (Filter { topic: Some("other.**".into()), ..Filter::default() }, 0),
        (Filter { before: Some(now), ..Filter::default() }, 10),
        (Filter { since: Some(now), ..Filter::default() }, 0),
        (
            Filter {
                tenant: Some(Uuid::from_u128(1)),
                reason: Some("words 0".into()),
                ..Filter::default()
            },
            0,
        ),
    ] {
        let counted = bed.queue.redrive(queue, &filter, true, None).await.unwrap();
        assert_eq!(counted, expected, "{filter:?}");
        let counted = bed.queue.purge(queue, State::Dead, &filter, true).await.unwrap();
        assert_eq!(counted, expected, "{filter:?}");
    }
    assert_eq!(bed.depth(queue).await.dead, 10);
    for nothing in [Filter::default(), Filter { all: false, ..Filter::default() }] {
        let refused = bed.queue.redrive(queue, &nothing, false, None).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "22023");
    }
    let some = Filter::ids(all[..2].to_vec());
    assert_eq!(bed.queue.redrive(queue, &some, false, None).await.unwrap(), 2);
    let leased = bed.claim(queue, 10).await;
    assert_eq!(ids(&leased), all[..2]);
    assert!(leased.iter().all(|l| l.attempt == 1 && l.lease.number == 2));
    let purged = bed.queue.purge(queue, State::Dead, &Filter::all(), false).await.unwrap();
    assert_eq!(purged, 8);
    let depth = bed.depth(queue).await;
    assert_eq!((depth.dead, depth.leased), (0, 2));
    assert_eq!(bed.states(queue).await.len(), 10, "purged is done, not gone");
    bed.end().await;
}

#[tokio::test]
async fn a_redrive_with_a_rate_spreads_its_messages() {
    let bed = Bed::new().await;
    let (queue, _) = ten_dead(&bed).await;
    let before = bed.now().await;
    assert_eq!(bed.queue.redrive(queue, &Filter::all(), false, Some(0.1)).await.unwrap(), 10);
    let deferred = bed.queue.peek(queue, State::Deferred, 0, 100).await.unwrap();
    let mut waits: Vec<u64> = deferred
        .iter()
        .map(|p| (p.at.duration_since(before).unwrap().as_secs_f64() / 10.0).round() as u64)
        .collect();
    waits.sort_unstable();
    assert_eq!(waits, (0..10).collect::<Vec<_>>());
    assert_eq!(deferred[0].errors.as_array().unwrap().len(), 1, "history is kept");
    bed.end().await;
}

#[tokio::test]
async fn what_waits_can_be_looked_at_page_by_page_found_and_purged() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings::default()).await;
    let all = bed.put(queue, 25).await;
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = bed.queue.peek(queue, State::Ready, after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.lease.position;
        seen.extend(page.iter().map(|peeked| peeked.message.id));
    }
    assert_eq!(seen, all);
    assert_eq!(bed.queue.find(queue, all[3]).await.unwrap().unwrap().0, State::Ready);
    assert_eq!(bed.queue.find(queue, Uuid::nil()).await.unwrap(), None);
    let leased = bed.claim(queue, 1).await.remove(0);
    assert_eq!(bed.queue.find(queue, all[0]).await.unwrap().unwrap().0, State::Leased);
    bed.queue.finish(&[(leased.lease, Outcome::Ack)]).await.unwrap();
    assert_eq!(bed.queue.find(queue, all[0]).await.unwrap().unwrap().0, State::Done);
    let filter = Filter { topic: Some(TOPIC.into()), ..Filter::default() };
    assert_eq!(bed.queue.purge(queue, State::Ready, &filter, false).await.unwrap(), 24);
    let refused = bed.queue.purge(queue, State::Leased, &filter, false).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "22023");
    let depth = bed.depth(queue).await;
    assert_eq!((depth.ready, depth.oldest_ready_seconds), (0, 0.0));
    assert_eq!(bed.states(queue).await.len(), 25);
    bed.end().await;
}

#[tokio::test]
async fn a_dead_letter_outlives_its_event_and_comes_back_whole() {
    let bed = Bed::new().await;
    let (queue, all) = ten_dead(&bed).await;
    let host = bed.host().await;
    // As if all that had been two months ago.
    let age = "
        with moved as (delete from platform.event returning *)
        insert into platform.event
        select day - 60, position, id, topic, source, subject, tenant_id, payload, trace,
          published_at - interval '60 days', queue_id from moved;
        update platform.queue_dead set day = day - 60;
        select platform.queue_make_day('event', (now() at time zone 'UTC')::date - 60)";
    host.batch(age).await.unwrap();
    let events = "select count(*) from platform.event";
    assert_eq!(value::<i64>(&host, events).await, 10);
    let upkeep = bed.queue.maintain(&Retention::default()).await.unwrap();
    assert_eq!((upkeep.days, upkeep.days_postponed), (1, false));
    assert_eq!(value::<i64>(&host, events).await, 0);
    assert_eq!(bed.queue.redrive(queue, &Filter::all(), false, None).await.unwrap(), 10);
    let leased = bed.claim(queue, 100).await;
    assert_eq!(ids(&leased), all);
    assert_eq!(leased[1].message.tenant, Some(Uuid::from_u128(1)));
    drop(host);
    bed.end().await;
}

#[tokio::test]
async fn a_day_of_events_stays_while_a_message_depends_on_it() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings::default()).await;
    let host = bed.host().await;
    let age = "
        with moved as (delete from platform.event returning *)
        insert into platform.event
        select day - 40, position, id, topic, source, subject, tenant_id, payload, trace,
          published_at, queue_id from moved;
        update platform.queue_ready set day = day - 40;
        update platform.queue_deferred set day = day - 40;
        update platform.queue_lease set day = day - 40;
        select platform.queue_make_day('event', (now() at time zone 'UTC')::date - 40)";
    bed.put(queue, 1).await;
    host.batch(age).await.unwrap();
    let maintain = async || bed.queue.maintain(&Retention::default()).await.unwrap().days;
    assert_eq!(maintain().await, 0, "ready");
    let leased = bed.claim(queue, 1).await.remove(0);
    assert_eq!(maintain().await, 0, "leased");
    let hour = Some(Duration::from_secs(3600));
    let retry = Outcome::Retry { after: hour, reason: "later".into() };
    bed.queue.finish(&[(leased.lease, retry)]).await.unwrap();
    assert_eq!(maintain().await, 0, "deferred");
    bed.make_due().await;
    let leased = bed.claim(queue, 1).await.remove(0);
    bed.queue.finish(&[(leased.lease, Outcome::Ack)]).await.unwrap();
    assert_eq!(maintain().await, 1);
    drop(host);
    bed.end().await;
}

#[tokio::test]
async fn days_are_made_ahead_and_take_in_what_came_before_them() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings::default()).await;
    let host = bed.host().await;
    // As on a database that was made from an old template.
    let drop_days = "
        do $$ declare part text; begin
          for part in select relname from pg_class where relname ~ '^(event|queue_done)_2[0-9]{7}$'
          loop execute format('drop table platform.%I', part); end loop;
        end $$";
    host.batch(drop_days).await.unwrap();
    let all = bed.put(queue, 3).await;
    let leased = bed.claim(queue, 1).await.remove(0);
    bed.queue.finish(&[(leased.lease, Outcome::Ack)]).await.unwrap();
    let stray = "select (select count(*) from platform.event_default) + \
                 (select count(*) from platform.queue_done_default)";
    assert_eq!(value::<i64>(&host, stray).await, 4);
    assert_eq!(bed.queue.maintain(&Retention::default()).await.unwrap().days, 10);
    assert_eq!(value::<i64>(&host, stray).await, 0);
    assert_eq!(ids(&bed.claim(queue, 10).await), all[1..]);
    assert_eq!(bed.queue.maintain(&Retention::default()).await.unwrap().days, 0);
    drop(host);
    bed.end().await;
}

#[tokio::test]
async fn what_is_done_and_dead_is_forgotten_in_time() {
    let bed = Bed::new().await;
    let (queue, _) = ten_dead(&bed).await;
    let host = bed.host().await;
    let age = "update platform.queue_dead set died_at = died_at - interval '31 days' \
               where position % 2 = 0";
    host.batch(age).await.unwrap();
    assert_eq!(bed.queue.maintain(&Retention::default()).await.unwrap().purged, 5);
    assert_eq!(bed.depth(queue).await.dead, 5);
    drop(host);
    bed.end().await;
}
