//! Steps of runs.

use crate::domain::StepRow;
use media_contract::RunId;
use nexus_sdk::prelude::*;

pub async fn of_run(db: &Db, run: RunId) -> Result<Vec<StepRow>> {
    let all = sql!(
        "select name, lane, state, attempt, requested_at, started_at, finished_at, reason_code,
           reason_detail, result
         from asset_pipeline.step where tenant_id = {tenant} and run_id = {run}
         order by requested_at, name, lane"
    );
    db.all(all).await
}

pub fn put(run: RunId, s: &StepRow) -> Write {
    sql!(
        "insert into asset_pipeline.step (tenant_id, run_id, name, lane, state, attempt,
           requested_at, started_at, finished_at, reason_code, reason_detail, result)
         values ({tenant}, {run}, {s.name}, {s.lane}, {s.state}, {s.attempt}, {s.requested_at},
           {s.started_at}, {s.finished_at}, {s.reason_code}, {s.reason_detail}, {s.result})
         on conflict (tenant_id, run_id, name, lane) do update set state = excluded.state,
           attempt = excluded.attempt, requested_at = excluded.requested_at,
           started_at = excluded.started_at, finished_at = excluded.finished_at,
           reason_code = excluded.reason_code, reason_detail = excluded.reason_detail,
           result = excluded.result"
    )
}

/// A run with a step of which nothing was heard for long.
#[derive(Debug, Deserialize)]
pub struct Silent {
    pub tenant_id: TenantId,
    pub run_id: RunId,
}

pub async fn silent(db: &Db, requested_before: Time, started_before: Time) -> Result<Vec<Silent>> {
    let some = sql!(
        "select distinct tenant_id, run_id from asset_pipeline.step
         where (state = 'requested' and requested_at < {requested_before})
           or (state = 'running' and started_at < {started_before})
         limit 100"
    );
    db.all(some.across_tenants()).await
}

/// Nobody waits for what is under way any more.
pub fn cancel(run: RunId, now: Time) -> Write {
    sql!(
        "update asset_pipeline.step set state = 'cancelled', finished_at = {now}
         where tenant_id = {tenant} and run_id = {run} and state in ('requested', 'running')"
    )
}
