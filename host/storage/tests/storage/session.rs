//! What a connection is like for its next user, whatever the last one did to it.

use crate::server::{brisk, two_services, until, value};
use nexus_storage::{Error, Limits};
use std::time::Duration;

const PID: &str = "select pg_backend_pid()";

#[tokio::test]
async fn a_connection_after_plain_queries_is_back_at_once() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    session.execute("insert into note values (1, 'a')", &[]).await.unwrap();
    session.execute("begin", &[]).await.unwrap();
    session.query("select * from note for update", &[]).await.unwrap();
    session.execute("commit", &[]).await.unwrap();
    drop(session);
    // No await in between: nothing was asked of the server.
    assert_eq!(fresh.database.stats().0.idle, 1);
    fresh.end().await;
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let pid: i32 = value(&session, PID).await;
    session.execute("begin", &[]).await.unwrap();
    session.execute("insert into note values (1, 'never')", &[]).await.unwrap();
    drop(session);
    until("the connection is back", async || fresh.database.stats().0.idle == 1).await;
    let session = fresh.as_alpha().await;
    assert_eq!(value::<i32>(&session, PID).await, pid);
    assert!(!session.in_transaction());
    assert_eq!(value::<i64>(&session, "select count(*) from note").await, 0);
    fresh.end().await;
}

#[tokio::test]
async fn a_failed_transaction_is_rolled_back_too() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    session.execute("begin", &[]).await.unwrap();
    assert!(session.query("select 1/0", &[]).await.is_err());
    assert!(session.in_transaction());
    drop(session);
    until("the connection is back", async || fresh.database.stats().0.idle == 1).await;
    assert_eq!(value::<i32>(&fresh.as_alpha().await, "select 1").await, 1);
    fresh.end().await;
}

#[tokio::test]
async fn settings_and_cursors_do_not_reach_the_next_user() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let pid: i32 = value(&session, PID).await;
    for sql in [
        "set statement_timeout = 0",
        "set search_path = pg_catalog",
        "set default_transaction_read_only = on",
        "begin",
        "declare c cursor with hold for select 1",
        "commit",
    ] {
        session.execute(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    drop(session);
    until("the connection is back", async || fresh.database.stats().0.idle == 1).await;
    let session = fresh.as_alpha().await;
    assert_eq!(value::<i32>(&session, PID).await, pid);
    for (name, expected) in [
        ("statement_timeout", "30s"),
        ("search_path", "alpha,extension"),
        ("default_transaction_read_only", "off"),
        ("lock_timeout", "10s"),
    ] {
        let sql = format!("select current_setting('{name}')");
        assert_eq!(value::<String>(&session, &sql).await, expected, "{name}");
    }
    assert_eq!(
        value::<i64>(&session, "select count(*) from pg_cursors where is_holdable").await,
        0
    );
    fresh.end().await;
}

#[tokio::test]
async fn a_query_whose_caller_went_away_is_cancelled_and_its_connection_closed() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let pid: i32 = value(&session, PID).await;
    session.execute("begin", &[]).await.unwrap();
    session.execute("insert into note values (7, 'never')", &[]).await.unwrap();
    let endless = session.query("select count(*) from generate_series(1, 1000000000000)", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(100), endless).await.is_err());
    drop(session);
    let host = fresh.database.host().await.unwrap();
    let running = "select count(*) from pg_stat_activity where datname = current_database() \
                   and state = 'active' and usename = 'alpha'";
    until("the query has ended", async || value::<i64>(&host, running).await == 0).await;
    let session = fresh.as_alpha().await;
    // The request to cancel may arrive late, and would stop what the next holder runs.
    assert_ne!(value::<i32>(&session, PID).await, pid);
    assert!(!session.in_transaction());
    assert_eq!(value::<i64>(&session, "select count(*) from note").await, 0);
    fresh.end().await;
}

#[tokio::test]
async fn a_result_given_up_half_way_costs_nobody_the_rest() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let endless = "select generate_series(1, 1000000000), repeat('x', 100)";
    let mut rows = session.rows(endless, &[]).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().get::<_, i32>(0), 1);
    drop(rows);
    drop(session);
    until("the connection is free", async || {
        let stats = fresh.database.stats().0;
        stats.idle == stats.open
    })
    .await;
    assert_eq!(value::<i32>(&fresh.as_alpha().await, "select 1").await, 1);
    fresh.end().await;
}

#[tokio::test]
async fn a_statement_may_run_while_another_result_is_read() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let many = "select n from generate_series(1, 50000) n";
    let mut rows = session.rows(many, &[]).await.unwrap();
    let mut sum = 0_i64;
    while let Some(row) = rows.next().await {
        let n: i32 = row.unwrap().get(0);
        sum += i64::from(n);
        if n % 10_000 == 1 {
            let note: &(dyn nexus_storage::tokio_postgres::types::ToSql + Sync) = &n;
            session.execute("insert into note values ($1, 'seen')", &[note]).await.unwrap();
        }
    }
    assert_eq!(sum, 50_000 * 50_001 / 2);
    assert_eq!(value::<i64>(&session, "select count(*) from note").await, 5);
    fresh.end().await;
}

#[tokio::test]
async fn a_result_outlives_the_session_it_came_from() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let rows = session.rows("select n from generate_series(1, 50000) n", &[]).await.unwrap();
    assert_eq!(rows.columns()[0].name(), "n");
    drop(session);
    assert_eq!(fresh.database.stats().0.idle, 0);
    assert_eq!(rows.collect().await.unwrap().len(), 50_000);
    assert_eq!(fresh.database.stats().0.idle, 1);
    fresh.end().await;
}

#[tokio::test]
async fn columns_are_known_without_rows() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let rows = session.rows("select id, text from note", &[]).await.unwrap();
    let names: Vec<_> = rows.columns().iter().map(|c| (c.name(), c.type_().name())).collect();
    assert_eq!(names, [("id", "int4"), ("text", "text")]);
    fresh.end().await;
}

#[tokio::test]
async fn a_changed_table_does_not_break_prepared_queries() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    session.execute("insert into note values (1, 'a')", &[]).await.unwrap();
    assert_eq!(session.query("select * from note", &[]).await.unwrap()[0].len(), 2);
    let host = fresh.database.host().await.unwrap();
    host.batch("alter table alpha.note add column at timestamptz").await.unwrap();
    assert_eq!(session.query("select * from note", &[]).await.unwrap()[0].len(), 3);
    fresh.end().await;
}

#[tokio::test]
async fn a_row_too_long_for_the_host_is_an_error_and_not_its_memory() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let huge = session.query("select repeat('x', 100000000)", &[]).await;
    assert!(matches!(huge, Err(Error::TooLarge { .. })), "{huge:?}");
    let large = session.query("select repeat('x', 1000) from generate_series(1, 1000000)", &[]);
    drop(large.await);
    drop(session);
    let session = fresh.as_alpha().await;
    let many =
        session.query("select repeat('x', 1000) from generate_series(1, 1000000)", &[]).await;
    assert!(matches!(many, Err(Error::TooLarge { .. })), "{:?}", many.map(|rows| rows.len()));
    drop(session);
    assert_eq!(value::<i32>(&fresh.as_alpha().await, "select 1").await, 1);
    fresh.end().await;
}

#[tokio::test]
async fn a_statement_ends_at_its_limit() {
    let limits = Limits { statement: Duration::from_millis(200), ..brisk() };
    let fresh = two_services(limits).await;
    let error = fresh.as_alpha().await.query("select pg_sleep(60)", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "57014");
    fresh.end().await;
}

#[tokio::test]
async fn statements_from_several_tasks_take_turns() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let queries = (0..20).map(|n| {
        let session = session.clone();
        async move { value::<i32>(&session, &format!("select {n}")).await }
    });
    let answers = futures::future::join_all(queries).await;
    assert_eq!(answers, (0..20).collect::<Vec<_>>());
    fresh.end().await;
}
