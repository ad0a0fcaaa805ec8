//! Short reads share a connection, and nobody notices: each has its own answer or its own error.

use crate::server::{Fresh, brisk, two_services, until, value};
use futures::future::join_all;
use nexus_storage::{Error, Limits, Session};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

const READ: &str = "select 100 / $1::int4";

/// Three connections for one service, for which nobody waits long.
fn tight() -> Limits {
    Limits {
        per_service_max: 3,
        wait: Duration::from_millis(100),
        still: Duration::from_secs(3600),
        ..brisk()
    }
}

async fn read(fresh: &Fresh, by: i32) -> Result<i32, Error> {
    let reading = fresh.database.reading("alpha", READ).await?;
    Ok(reading.all(&[&by]).await?.rows()[0].get(0))
}

/// As often as it takes to go together with others.
async fn prove(fresh: &Fresh) {
    for _ in 0..16 {
        assert_eq!(read(fresh, 5).await.unwrap(), 20);
    }
}

/// All connections of the service but one.
async fn hoard(fresh: &Fresh) -> [Session; 2] {
    [fresh.as_alpha().await, fresh.as_alpha().await]
}

#[tokio::test]
async fn what_was_quick_many_times_needs_no_connection_of_its_own() {
    let fresh = two_services(tight()).await;
    let hoard = hoard(&fresh).await;
    let unknown = fresh.database.reading("alpha", READ).await.unwrap();
    let alone = fresh.database.reading("alpha", READ).await.map(drop).unwrap_err();
    assert!(matches!(alone, Error::Saturated { bound: 3, .. }), "{alone:?}");
    unknown.all(&[&1]).await.unwrap();
    prove(&fresh).await;
    let mut sharing = Vec::new();
    for _ in 0..8 {
        sharing.push(fresh.database.reading("alpha", READ).await.unwrap());
    }
    assert!(fresh.database.reading("alpha", READ).await.is_err(), "eight are enough");
    assert!(fresh.database.service("alpha").await.is_err(), "no other use shares");
    let other = fresh.database.reading("alpha", "select 1").await.map(drop);
    assert!(other.is_err(), "nor does what is not known");
    let all = sharing.into_iter().zip(1..).map(|(reading, by)| async move {
        let answer = reading.all(&[&by]).await.unwrap();
        (answer.rows()[0].get::<_, i32>(0), 100 / by)
    });
    for (said, right) in join_all(all).await {
        assert_eq!(said, right);
    }
    // It is as good as new.
    let session = fresh.as_alpha().await;
    assert_eq!(value::<i32>(&session, "select 7").await, 7);
    assert_eq!(fresh.database.stats().0.open, 3);
    drop((hoard, session));
    fresh.end().await;
}

#[tokio::test]
async fn a_connection_that_is_always_shared_goes_back_all_the_same() {
    let fresh = two_services(tight()).await;
    let hoard = hoard(&fresh).await;
    prove(&fresh).await;
    let held = fresh.database.reading("alpha", READ).await.unwrap();
    let joins = async || fresh.database.reading("alpha", READ).await.is_ok();
    assert!(joins().await);
    until("nobody joins any more", async || !joins().await).await;
    drop(held);
    until("it is shared anew", joins).await;
    drop(hoard);
    fresh.end().await;
}

#[tokio::test]
async fn an_error_is_of_the_one_who_made_it() {
    let fresh = two_services(tight()).await;
    prove(&fresh).await;
    let mut sharing = Vec::new();
    for _ in 0..3 {
        sharing.push(fresh.database.reading("alpha", READ).await.unwrap());
    }
    let one = |reading: nexus_storage::Reading<'static>, by: i32| async move {
        reading.all(&[&by]).await.map(|answer| answer.rows()[0].get::<_, i32>(0))
    };
    let [a, b, c] = sharing.try_into().ok().unwrap();
    let (a, b, c) = tokio::join!(one(a, 4), one(b, 0), one(c, 10));
    assert_eq!((a.unwrap(), c.unwrap()), (25, 10));
    assert_eq!(b.unwrap_err().code().unwrap().code(), "22012");
    assert_eq!(fresh.database.stats().0.open, 1);
    fresh.end().await;
}

#[tokio::test]
async fn who_leaves_takes_nobodys_answer_along() {
    let fresh = two_services(tight()).await;
    prove(&fresh).await;
    let leaving = fresh.database.reading("alpha", READ).await.unwrap();
    let staying = fresh.database.reading("alpha", READ).await.unwrap();
    {
        let mut leaving = pin!(leaving.all(&[&2]));
        let sent = std::future::poll_fn(|cx| Poll::Ready(leaving.as_mut().poll(cx))).await;
        assert!(sent.is_pending());
    }
    let answer = staying.all(&[&4]).await.unwrap();
    assert_eq!(answer.rows()[0].get::<_, i32>(0), 25);
    until("it is back", async || fresh.database.stats().0.idle == 1).await;
    let session = fresh.as_alpha().await;
    assert!(!session.in_transaction());
    assert_eq!(value::<i32>(&session, "select 7").await, 7);
    drop(session);
    fresh.end().await;
}

#[tokio::test]
async fn a_connection_whose_last_user_left_is_nobodys_before_it_was_answered() {
    let fresh = two_services(tight()).await;
    prove(&fresh).await;
    let leaving = fresh.database.reading("alpha", READ).await.unwrap();
    {
        let mut leaving = pin!(leaving.all(&[&2]));
        let sent = std::future::poll_fn(|cx| Poll::Ready(leaving.as_mut().poll(cx))).await;
        assert!(sent.is_pending());
    }
    assert_eq!(fresh.database.stats().0.idle, 0, "it may not even have been sent");
    until("it is back", async || fresh.database.stats().0.idle == 1).await;
    fresh.end().await;
}

#[tokio::test]
async fn each_of_many_has_the_answer_to_its_own_question() {
    let fresh = two_services(Limits { wait: Duration::from_secs(20), ..tight() }).await;
    prove(&fresh).await;
    let one = |n: i32| {
        let fresh = &fresh;
        async move {
            for _ in 0..n % 5 {
                tokio::task::yield_now().await;
            }
            let by = n % 23;
            let mut reading = pin!(read(fresh, by));
            if n % 7 == 0 {
                // One who is gone in the middle of it.
                for _ in 0..n % 3 {
                    let _any =
                        std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await;
                }
                return;
            }
            match (reading.await, by) {
                (Err(error), 0) => assert_eq!(error.code().unwrap().code(), "22012"),
                (said, by) => assert_eq!(said.unwrap(), 100 / by, "100 / {by}"),
            }
        }
    };
    for round in 0..20 {
        join_all((0..60).map(|n| one(n + round))).await;
    }
    let (alpha, before) = (fresh.as_alpha().await, fresh.database.stats().0);
    assert_eq!(value::<i32>(&alpha, "select 7").await, 7);
    assert!(before.open <= 3, "{before:?}");
    drop(alpha);
    fresh.end().await;
}
