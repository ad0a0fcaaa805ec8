//! What a service may do with schedules: its own ones, and only through the platform's functions.

use crate::server::{Fresh, brisk, two_services, until, value};
use nexus_storage::schedules::{Fired, RunState, Schedules};
use nexus_storage::{Error, Session};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

const TENANT: &str = "00000000-0000-7000-8000-000000000001";

async fn stand() -> (Fresh, Schedules, Session) {
    let fresh = two_services(brisk()).await;
    let schedules = Schedules::new(fresh.database.clone());
    let alpha = fresh.as_alpha().await;
    alpha.query("select platform.queue_put('orders', 'on_order', '{}')", &[]).await.unwrap();
    (fresh, schedules, alpha)
}

async fn put(session: &Session, id: Uuid, name: &str, definition: &str) -> Result<(), Error> {
    let sql = format!(
        "select platform.schedule_put('{id}', '{TENANT}', '{name}', '{definition}', \
         '{{\"queue\": \"orders\", \"topic\": \"scheduler.order.due.v1\", \
         \"payload\": {{\"a\": 1}}}}')"
    );
    session.query(&sql, &[]).await.map(drop)
}

fn code(result: Result<(), Error>) -> String {
    match result {
        Ok(()) => "ok".into(),
        Err(error) => error.code().map_or(error.to_string(), |code| code.code().into()),
    }
}

async fn ask(session: &Session, sql: &str) -> String {
    code(session.query(sql, &[]).await.map(drop))
}

#[tokio::test]
async fn a_schedule_that_a_service_puts_is_fired_into_its_queue() {
    let (fresh, schedules, alpha) = stand().await;
    let id = Uuid::now_v7();
    put(&alpha, id, "nightly", "{\"expression\": \"* * * * * *\"}").await.unwrap();
    let now = SystemTime::now();
    let computed = schedules.compute(now, 10).await.unwrap();
    assert_eq!((computed.len(), computed[0].id), (1, id));
    let later = now + Duration::from_secs(1);
    let next = schedules.due(later, 10).await.unwrap();
    let Fired { runs } = schedules.fire(&next.due[0], later).await.unwrap();
    assert_eq!(runs[0].state, RunState::Due);
    let payload = "select payload::text from platform.event where topic = 'scheduler.order.due.v1'";
    let host = fresh.database.host().await.unwrap();
    let payload: serde_json::Value =
        serde_json::from_str(&value::<String>(&host, payload).await).unwrap();
    assert_eq!((&payload["schedule"], &payload["payload"]["a"]), (&"nightly".into(), &1.into()));
    let seen = format!("select count(*) from platform.schedule_runs('{id}', null, 10)");
    assert!(value::<i64>(&alpha, &seen).await >= 1);
    drop((alpha, host));
    fresh.end().await;
}

#[tokio::test]
async fn an_instant_a_moment_after_the_order_is_not_lost() {
    let (fresh, schedules, alpha) = stand().await;
    let id = Uuid::now_v7();
    let soon = SystemTime::now() + Duration::from_millis(300);
    let definition = format!("{{\"expression\": \"at {}\"}}", nexus_calendar::rfc3339(soon));
    put(&alpha, id, "once", &definition).await.unwrap();
    until("it has passed", async || SystemTime::now() > soon).await;
    // The host looks only now.
    let now = SystemTime::now();
    schedules.compute(now, 10).await.unwrap();
    let next = schedules.due(now, 10).await.unwrap();
    let Fired { runs } = schedules.fire(&next.due[0], now).await.unwrap();
    assert_eq!(runs[0].state, RunState::Due);
    assert!(schedules.due(now, 10).await.unwrap().due.is_empty());
    assert_eq!(schedules.show(id).await.unwrap().next_fire_at, None);
    drop(alpha);
    fresh.end().await;
}

#[tokio::test]
async fn an_expression_that_means_nothing_is_refused_with_a_reason() {
    let (fresh, schedules, alpha) = stand().await;
    let id = Uuid::now_v7();
    put(&alpha, id, "never", "{\"expression\": \"0 0 30 2 *\"}").await.unwrap();
    let computed = schedules.compute(SystemTime::now(), 10).await.unwrap();
    assert!(computed[0].refused.as_deref().unwrap().contains("no month of any year"));
    let refused = format!("select refused from platform.schedule_list('{TENANT}', null, 10)");
    assert!(value::<String>(&alpha, &refused).await.contains("`30`"));
    // Mended, it is computed again.
    put(&alpha, id, "never", "{\"expression\": \"0 0 28 2 *\"}").await.unwrap();
    let computed = schedules.compute(SystemTime::now(), 10).await.unwrap();
    assert!(computed[0].refused.is_none() && computed[0].next_fire_at.is_some());
    drop(alpha);
    fresh.end().await;
}

#[tokio::test]
async fn words_and_bounds_that_mean_nothing_are_refused_at_once() {
    let (fresh, _, alpha) = stand().await;
    for (definition, expected) in [
        ("{}", "23502"),
        ("{\"expression\": \"\"}", "23514"),
        ("{\"expression\": \"@daily\", \"overlap\": \"sometimes\"}", "23514"),
        ("{\"expression\": \"@daily\", \"colour\": 1}", "22023"),
        ("{\"expression\": \"@daily\", \"catchup_max\": 100000}", "23514"),
        ("{\"expression\": \"@daily\", \"jitter_ms\": -1}", "23514"),
    ] {
        let found = code(put(&alpha, Uuid::now_v7(), "x", definition).await);
        assert_eq!(found, expected, "{definition}");
    }
    let target = |target: &str| {
        let id = Uuid::now_v7();
        format!(
            "select platform.schedule_put('{id}', null, 'x', '{{\"expression\": \"@daily\"}}', \
             '{target}')"
        )
    };
    let topic = "\"topic\": \"a.b.c.v1\"";
    let none = target(&format!("{{\"queue\": \"nobodys\", {topic}}}"));
    assert_eq!(ask(&alpha, &none).await, "P0002");
    let no_topic = target("{\"queue\": \"orders\"}");
    assert_eq!(ask(&alpha, &no_topic).await, "22023");
    drop(alpha);
    fresh.end().await;
}

#[tokio::test]
async fn another_services_schedules_do_not_exist_for_a_service() {
    let (fresh, schedules, alpha) = stand().await;
    let beta = fresh.database.service("beta").await.unwrap();
    beta.query("select platform.queue_put('orders', 'on_order', '{}')", &[]).await.unwrap();
    let id = Uuid::now_v7();
    put(&alpha, id, "mine", "{\"expression\": \"@daily\"}").await.unwrap();
    assert_eq!(code(put(&beta, id, "mine", "{\"expression\": \"@daily\"}").await), "42501");
    let (now, later) = ("now() - interval '3 days'", "now()");
    for call in [
        format!("schedule_pause('{id}', 'me', null)"),
        format!("schedule_resume('{id}')"),
        format!("schedule_run_now('{id}', gen_random_uuid(), null, 'me')"),
        format!("schedule_backfill('{id}', gen_random_uuid(), {now}, {later}, null, 'me')"),
        format!("schedule_remove('{id}')"),
    ] {
        let sql = format!("select platform.{call}");
        assert_eq!(ask(&beta, &sql).await, "P0002", "{call}");
        assert_eq!(ask(&alpha, &sql).await, "ok", "{call}");
    }
    for read in [
        format!("select count(*) from platform.schedule_list('{TENANT}', null, 10)"),
        format!("select count(*) from platform.schedule_runs('{id}', null, 10)"),
    ] {
        assert_eq!(value::<i64>(&beta, &read).await, 0, "{read}");
    }
    for table in ["schedule", "schedule_run", "schedule_history", "schedule_backfill"] {
        let sql = format!("select count(*) from platform.{table}");
        assert_eq!(ask(&alpha, &sql).await, "42501", "{table}");
    }
    for call in [
        format!("select platform.schedule_set_paused(null, '{id}', true, null, null)"),
        "select * from platform.schedule_sweep(null, 10)".into(),
        "select platform.schedule_sync('beta', '[]')".into(),
        "select platform.schedule_purge(10)".into(),
    ] {
        assert_eq!(ask(&alpha, &call).await, "42501", "{call}");
    }
    assert!(matches!(
        schedules.show(id).await,
        Err(nexus_storage::schedules::ScheduleError::Unknown(_))
    ));
    drop((alpha, beta));
    fresh.end().await;
}

#[tokio::test]
async fn an_order_to_backfill_is_worked_off_by_the_host_once() {
    let (fresh, schedules, alpha) = stand().await;
    let id = Uuid::now_v7();
    put(&alpha, id, "hourly", "{\"expression\": \"every 1h\"}").await.unwrap();
    let sql = format!(
        "select platform.schedule_backfill('{id}', gen_random_uuid(), \
         date_trunc('hour', now()) - interval '5 hours', date_trunc('hour', now()), 'allow', 'me')"
    );
    assert_eq!(ask(&alpha, &sql).await, "ok");
    let now = SystemTime::now();
    let both = tokio::join!(schedules.backfills(now, 10), schedules.backfills(now, 10));
    assert_eq!(both.0.unwrap() + both.1.unwrap(), 5);
    let seen = format!(
        "select count(*) from platform.schedule_runs('{id}', null, 10) where trigger = 'backfill'"
    );
    assert_eq!(value::<i64>(&alpha, &seen).await, 5);
    drop(alpha);
    fresh.end().await;
}

#[tokio::test]
async fn a_schedule_is_put_with_the_transaction_around_it() {
    let (fresh, schedules, alpha) = stand().await;
    let id = Uuid::now_v7();
    alpha.execute("begin", &[]).await.unwrap();
    put(&alpha, id, "mine", "{\"expression\": \"@daily\"}").await.unwrap();
    alpha.execute("rollback", &[]).await.unwrap();
    assert!(schedules.compute(SystemTime::now(), 10).await.unwrap().is_empty());
    drop(alpha);
    fresh.end().await;
}
