//! The functions that services call: who calls is known, never told.

use crate::server::{Fresh, brisk, two_services, value};
use nexus_storage::Session;

const TENANT: &str = "00000000-0000-7000-8000-000000000001";
const EVENT: &str = "00000000-0000-7000-8000-0000000000e1";

fn publish(topic: &str, id: &str) -> String {
    format!(
        "select platform.publish('{topic}', '{id}', 'product/1', '{TENANT}', '{{\"a\": 1}}', null)"
    )
}

async fn code(session: &Session, sql: &str) -> String {
    match session.query(sql, &[]).await {
        Ok(_) => "ok".into(),
        Err(error) => error.code().map_or(error.to_string(), |code| code.code().into()),
    }
}

async fn events(fresh: &Fresh) -> Vec<(String, String)> {
    let host = fresh.database.host().await.unwrap();
    let sql = "select source, topic from platform.event order by position";
    let rows = host.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn an_event_is_published_by_its_login_and_with_its_transaction() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    session.execute("begin", &[]).await.unwrap();
    session.query(&publish("commerce.product.created.v1", EVENT), &[]).await.unwrap();
    session.execute("rollback", &[]).await.unwrap();
    assert!(events(&fresh).await.is_empty());
    session.query(&publish("commerce.product.created.v1", EVENT), &[]).await.unwrap();
    let expected = ("alpha".to_owned(), "commerce.product.created.v1".to_owned());
    assert_eq!(events(&fresh).await, [expected]);
    assert_eq!(code(&session, &publish("commerce.product.created.v1", EVENT)).await, "23505");
    drop(session);
    fresh.end().await;
}

#[tokio::test]
async fn what_is_no_event_is_not_published() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    for topic in
        ["", "product.created.v1", "a.b.c", "a.b.c.v0", "A.b.c.v1", "a.b.c.d.v1", "a.b.c.v1\n"]
    {
        assert_eq!(code(&session, &publish(topic, EVENT)).await, "22023", "{topic:?}");
    }
    let large = format!(
        "select platform.publish('a.b.c.v1', '{EVENT}', null, null, \
         to_jsonb(repeat('x', 300000)), null)"
    );
    assert_eq!(code(&session, &large).await, "54000");
    let host = fresh.database.host().await.unwrap();
    assert_eq!(code(&host, &publish("a.b.c.v1", EVENT)).await, "42501");
    assert!(events(&fresh).await.is_empty());
    drop((session, host));
    fresh.end().await;
}

/// `publish` looks at the bounds itself, where `publish_with` has them looked at.
#[tokio::test]
async fn an_event_has_the_same_bounds_however_it_is_published() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let text = |length: usize| format!("repeat('x', {length})");
    let topic = |length: usize| format!("repeat('a', {}) || '.b.c.v1'", length - 7);
    let json = |length: usize| format!("to_jsonb(repeat('x', {}))", length - 2);
    let null = || "null".to_owned();
    for (topic, subject, payload, trace, expected) in [
        (topic(200), null(), json(262_144), null(), "ok"),
        (topic(201), null(), json(2), null(), "22023"),
        (null(), null(), json(2), null(), "22023"),
        (topic(8), text(255), json(2), text(255), "ok"),
        (topic(8), text(256), json(2), null(), "22001"),
        (topic(8), null(), json(2), text(256), "22001"),
        (topic(8), null(), json(262_145), null(), "54000"),
        (topic(8), null(), null(), null(), "23502"),
    ] {
        for (function, more) in [("publish", ""), ("publish_with", ", null")] {
            let sql = format!(
                "select platform.{function}({topic}, gen_random_uuid(), {subject}, null, \
                 {payload}, {trace}{more})"
            );
            assert_eq!(code(&session, &sql).await, expected, "{sql}");
        }
    }
    drop(session);
    fresh.end().await;
}

#[tokio::test]
async fn an_event_is_accepted_once_per_consumer_of_a_service() {
    let fresh = two_services(brisk()).await;
    let alpha = fresh.as_alpha().await;
    let beta = fresh.database.service("beta").await.unwrap();
    let accept = |consumer: &str| format!("select platform.inbox_accept('{EVENT}', '{consumer}')");
    assert!(value::<bool>(&alpha, &accept("a")).await);
    assert!(!value::<bool>(&alpha, &accept("a")).await);
    assert!(value::<bool>(&alpha, &accept("b")).await);
    assert!(value::<bool>(&beta, &accept("a")).await);
    alpha.execute("begin", &[]).await.unwrap();
    assert!(value::<bool>(&alpha, &accept("c")).await);
    alpha.execute("rollback", &[]).await.unwrap();
    assert!(value::<bool>(&alpha, &accept("c")).await);
    drop((alpha, beta));
    fresh.end().await;
}

fn claim(key: &str) -> String {
    format!("select platform.idempotency_claim('{TENANT}', 'user/1', '{key}', 'print')")
}

fn store(key: &str) -> String {
    format!(
        "select platform.idempotency_store('{TENANT}', 'user/1', '{key}', 201, \
         '{{\"location\": \"/x\"}}', 'body')"
    )
}

fn find(key: &str) -> String {
    format!(
        "select coalesce((select status from \
         platform.idempotency_find('{TENANT}', 'user/1', '{key}')), 0)"
    )
}

#[tokio::test]
async fn a_key_is_taken_once_and_answers_from_then_on() {
    let fresh = two_services(brisk()).await;
    let alpha = fresh.as_alpha().await;
    let beta = fresh.database.service("beta").await.unwrap();
    assert_eq!(value::<i32>(&alpha, &find("k")).await, 0);
    assert_eq!(code(&alpha, &store("k")).await, "P0002");
    for sql in ["begin", &claim("k"), &store("k"), "commit"] {
        assert_eq!(code(&alpha, sql).await, "ok", "{sql}");
    }
    assert_eq!(value::<i32>(&alpha, &find("k")).await, 201);
    assert_eq!(code(&alpha, &claim("k")).await, "NX409");
    assert_eq!(code(&alpha, &store("k")).await, "P0002");
    assert_eq!(value::<i32>(&beta, &find("k")).await, 0);
    assert_eq!(code(&beta, &claim("k")).await, "ok");
    drop((alpha, beta));
    fresh.end().await;
}

#[tokio::test]
async fn of_two_requests_with_one_key_the_second_waits_for_the_first() {
    let fresh = two_services(brisk()).await;
    for (end, second_gets) in [("commit", "NX409"), ("rollback", "ok")] {
        let (first, second) = (fresh.as_alpha().await, fresh.as_alpha().await);
        let key = claim(end);
        assert_eq!(code(&first, "begin").await, "ok");
        assert_eq!(code(&first, &key).await, "ok");
        let waiting = tokio::spawn(async move { code(&second, &key).await });
        let host = fresh.database.host().await.unwrap();
        let blocked = "select count(*) from pg_stat_activity where datname = current_database() \
                       and wait_event_type = 'Lock'";
        crate::server::until("the second waits", async || value::<i64>(&host, blocked).await == 1)
            .await;
        assert_eq!(code(&first, end).await, "ok");
        assert_eq!(waiting.await.unwrap(), second_gets, "{end}");
    }
    fresh.end().await;
}

#[tokio::test]
async fn an_expired_key_is_free_again_and_purged_with_old_events() {
    let fresh = two_services(brisk()).await;
    let alpha = fresh.as_alpha().await;
    let host = fresh.database.host().await.unwrap();
    for sql in [claim("old"), store("old"), claim("kept"), store("kept")] {
        assert_eq!(code(&alpha, &sql).await, "ok");
    }
    let accept = format!("select platform.inbox_accept('{EVENT}', 'a')");
    assert!(value::<bool>(&alpha, &accept).await);
    let age = "update platform.idempotency set expires_at = now() where key = 'old'; \
               update platform.inbox set accepted_at = now() - interval '31 days'";
    host.batch(age).await.unwrap();
    assert_eq!(value::<i32>(&alpha, &find("old")).await, 0);
    assert_eq!(code(&alpha, &claim("old")).await, "ok");
    host.batch(age).await.unwrap();
    assert_eq!(value::<i64>(&host, "select platform.purge_expired()").await, 2);
    assert_eq!(value::<i32>(&alpha, &find("kept")).await, 201);
    drop((alpha, host));
    fresh.end().await;
}
