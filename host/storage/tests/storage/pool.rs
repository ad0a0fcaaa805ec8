//! One bound for all: nobody gets more than it, nobody is kept from the rest by one who hoards.

use crate::server::{Fresh, brisk, two_services, until, value};
use nexus_storage::{Error, Limits};
use std::time::{Duration, Instant};

/// Four connections for services, of which one service takes at most three.
fn tight() -> Limits {
    Limits {
        connections_max: 10,
        per_service_max: 3,
        wait: Duration::from_millis(300),
        still: Duration::from_secs(3600),
        ..brisk()
    }
}

async fn with_services(limits: Limits, names: &[&str]) -> Fresh {
    let fresh = two_services(limits).await;
    fresh.database.admit(names).await.expect("admit");
    fresh
}

#[tokio::test]
async fn one_who_hoards_leaves_room_for_others() {
    let fresh = two_services(tight()).await;
    let hoard = [fresh.as_alpha().await, fresh.as_alpha().await, fresh.as_alpha().await];
    let refused = fresh.database.service("alpha").await.map(drop).unwrap_err();
    assert!(matches!(refused, Error::Saturated { bound: 3, .. }), "{refused:?}");
    assert!(refused.is_unavailable());
    let beta = fresh.database.service("beta").await.unwrap();
    assert_eq!(value::<i32>(&beta, "select 1").await, 1);
    drop((hoard, beta));
    fresh.end().await;
}

#[tokio::test]
async fn idle_connections_make_room_and_the_bound_holds() {
    let names = ["gamma", "delta", "epsilon", "zeta"];
    let fresh = with_services(tight(), &names).await;
    for name in ["alpha", "beta"].iter().chain(&names).cycle().take(18) {
        let session = fresh.database.service(name).await.unwrap();
        assert_eq!(value::<String>(&session, "select current_user::text").await, *name);
        assert!(fresh.database.stats().0.open <= 4);
    }
    let stats = fresh.database.stats().0;
    assert!(stats.evicted >= 12, "{stats:?}");
    assert_eq!(stats.saturated, 0);
    fresh.end().await;
}

#[tokio::test]
async fn many_callers_at_once_never_pass_the_bound_at_the_server() {
    let fresh = two_services(Limits { wait: Duration::from_secs(20), ..tight() }).await;
    let host = fresh.database.host().await.unwrap();
    let seen = "select count(*) from pg_stat_activity \
                where datname = current_database() and usename in ('alpha', 'beta')";
    let work = (0..200).map(|n| {
        let database = fresh.database.clone();
        async move {
            let session = database.service(["alpha", "beta"][n % 2]).await.unwrap();
            value::<i32>(&session, "select 1 from pg_sleep(0.002)").await
        }
    });
    let watch = async {
        let mut most = 0;
        while fresh.database.stats().0.waiting > 0 || most == 0 {
            most = most.max(value::<i64>(&host, seen).await);
        }
        most
    };
    let (answers, most) = tokio::join!(futures::future::join_all(work), watch);
    assert_eq!(answers.len(), 200);
    // A closed connection may take the server a moment longer than the host.
    assert!((1..=6).contains(&most), "{most}");
    assert!(fresh.database.stats().0.open <= 4);
    fresh.end().await;
}

#[tokio::test]
async fn a_connection_held_without_use_is_taken_when_others_wait() {
    let limits =
        Limits { still: Duration::from_millis(200), wait: Duration::from_secs(10), ..tight() };
    let fresh = with_services(limits, &["gamma"]).await;
    let mut hoard = vec![fresh.as_alpha().await, fresh.as_alpha().await];
    hoard.push(fresh.database.service("beta").await.unwrap());
    hoard.push(fresh.database.service("beta").await.unwrap());
    let gamma = fresh.database.service("gamma").await.unwrap();
    assert_eq!(value::<i32>(&gamma, "select 1").await, 1);
    let mut revoked = 0;
    for session in &hoard {
        match session.query("select 1", &[]).await {
            Ok(_) => {}
            Err(Error::Revoked) => revoked += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((revoked, fresh.database.stats().0.revoked), (1, 1));
    drop((hoard, gamma));
    fresh.end().await;
}

#[tokio::test]
async fn a_connection_that_nobody_used_for_long_is_not_taken_from_who_has_just_got_it() {
    let still = Duration::from_millis(500);
    let limits = Limits { still, wait: Duration::from_secs(10), ..tight() };
    let fresh = two_services(limits).await;
    let three = async || {
        let (a, b) = (fresh.as_alpha().await, fresh.as_alpha().await);
        [a, b, fresh.as_alpha().await]
    };
    drop(three().await);
    tokio::time::sleep(still).await;
    let began = Instant::now();
    let held = three().await;
    // Somebody waits, and gets the one that is held without use once it was held for long.
    let waited = fresh.as_alpha().await;
    assert!(began.elapsed() >= still, "taken after {:?}", began.elapsed());
    drop((held, waited));
    fresh.end().await;
}

#[tokio::test]
async fn without_anybody_waiting_a_connection_may_be_held() {
    let limits = Limits { still: Duration::from_millis(50), ..tight() };
    let fresh = two_services(limits).await;
    let session = fresh.as_alpha().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(value::<i32>(&session, "select 1").await, 1);
    drop(session);
    fresh.end().await;
}

#[tokio::test]
async fn who_came_first_is_served_first() {
    let fresh = two_services(Limits { wait: Duration::from_secs(10), ..tight() }).await;
    let mut held = vec![fresh.as_alpha().await, fresh.as_alpha().await, fresh.as_alpha().await];
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..5 {
        let (database, done) = (fresh.database.clone(), done.clone());
        tokio::spawn(async move {
            let session = database.service("alpha").await.unwrap();
            done.send(n).unwrap();
            drop(session);
        });
        until("it waits", async || fresh.database.stats().0.waiting == n + 1).await;
    }
    held.pop();
    for n in 0..5 {
        assert_eq!(order.recv().await, Some(n));
    }
    drop(held);
    fresh.end().await;
}

#[tokio::test]
async fn a_caller_that_gives_up_waiting_takes_nothing_with_it() {
    let fresh = two_services(Limits { wait: Duration::from_secs(10), ..tight() }).await;
    let mut held = vec![fresh.as_alpha().await, fresh.as_alpha().await, fresh.as_alpha().await];
    for _ in 0..10 {
        let waiting = fresh.database.service("alpha");
        assert!(tokio::time::timeout(Duration::from_millis(5), waiting).await.is_err());
    }
    held.pop();
    let session = fresh.as_alpha().await;
    assert_eq!(value::<i32>(&session, "select 1").await, 1);
    drop((held, session));
    until("all are back", async || fresh.database.stats().0.idle == 3).await;
    fresh.end().await;
}

#[tokio::test]
async fn hoarding_by_endless_statements_ends_at_their_limit() {
    let limits = Limits { statement: Duration::from_millis(500), ..tight() };
    let fresh = two_services(limits).await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        let session = fresh.as_alpha().await;
        // Turning the limit off helps nobody for long: the host has one of its own.
        session.execute("set statement_timeout = 0", &[]).await.unwrap();
        busy.push(tokio::spawn(async move {
            session.query("select pg_sleep(3600)", &[]).await.map(|rows| rows.len())
        }));
    }
    for task in busy {
        let ended = task.await.unwrap();
        assert!(matches!(ended, Err(Error::Revoked)), "{ended:?}");
    }
    assert_eq!(value::<i32>(&fresh.as_alpha().await, "select 1").await, 1);
    fresh.end().await;
}

#[tokio::test]
async fn a_transaction_is_not_held_open_although_nobody_waits() {
    let limits = Limits { idle_in_transaction: Duration::from_millis(100), ..tight() };
    let fresh = two_services(limits).await;
    let session = fresh.as_alpha().await;
    session.execute("set idle_in_transaction_session_timeout = 0", &[]).await.unwrap();
    session.execute("begin", &[]).await.unwrap();
    session.execute("insert into note values (1, 'never')", &[]).await.unwrap();
    until("the host ends it", async || fresh.database.stats().0.revoked == 1).await;
    let lost = session.execute("commit", &[]).await;
    assert!(matches!(lost, Err(Error::Revoked)), "{lost:?}");
    assert_eq!(value::<i64>(&fresh.as_alpha().await, "select count(*) from note").await, 0);
    fresh.end().await;
}
