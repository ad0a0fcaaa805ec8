//! What an owner orders done with a run: stop it, take it up where it failed, begin anew.

use crate::assets::{self, Shown};
use crate::domain::{AssetState, RunState, StepState};
use crate::flow::{RACES_MAX, Standing};
use crate::store::assets::Asset;
use crate::{changed_by, store};
use media_contract::asset_pipeline::{AssetFailed, AssetReady, StepWithdrawn};
use media_contract::{AssetId, Reason};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NothingRuns = 409, "nothing is under way for this asset";
    NothingFailed = 409, "no step of the last run has failed or was stopped";
    StillRuns = 409, "a run is under way; stop it first";
    RunsMax = 409, "an asset is processed at most 100 times"
}

const RUNS_MAX: i32 = 100;

pub fn router() -> Router {
    Router::new()
        .route("/assets/{id}/cancel", post(cancel))
        .route("/assets/{id}/retry", post(retry))
        .route("/assets/{id}/process", post(process))
}

/// Stops what is under way. What can be played by then stays.
async fn cancel(by: SignedIn, Path(id): Path<AssetId>) -> Result<NoContent> {
    let owner = changed_by(&by)?;
    for _ in 0..RACES_MAX {
        let asset = store::assets::find(by.db(), id, owner).await?;
        let standing = Standing::read(by.db(), asset.run_id).await?.ok_or(NothingRuns)?;
        if standing.run.state != RunState::Running {
            return Err(NothingRuns.into());
        }
        match by.commit(stop(&standing, by.now())).await {
            // A step has just ended.
            Err(error) if error.is(&standard::Conflict) => {}
            stopped => return stopped,
        }
    }
    Err(standard::Conflict.into())
}

fn stop(standing: &Standing, now: Time) -> Vec<Write> {
    let (run, mut asset) = (&standing.run, standing.asset.clone());
    let (id, owner) = (asset.id, asset.owner_id);
    let reason = Reason { code: "cancelled".into(), detail: "it was stopped".into() };
    asset.fail(&reason);
    let mut writes = vec![
        store::runs::save(run.id, RunState::Cancelled, Some(now)),
        store::steps::cancel(run.id, now),
        emit(StepWithdrawn { asset: id, run: run.id }),
    ];
    match asset.package_id {
        // What this run has made so far, which is less than the whole.
        Some(package) if package == run.package_id => {
            asset.state = AssetState::Ready;
            asset.is_degraded = true;
            asset.ready_at = Some(now);
            let (duration_ms, tracks) = (asset.duration_ms, standing.tracks());
            let degraded = true;
            let ready = AssetReady { asset: id, owner, package, duration_ms, degraded, tracks };
            writes.push(emit(ready));
        }
        // What an earlier run has made.
        Some(_) => asset.state = AssetState::Ready,
        None => writes.push(emit(AssetFailed { asset: id, owner, reason })),
    }
    writes.insert(0, store::assets::save(&asset, now));
    writes
}

/// Takes the last run up again: what has succeeded stays, what failed is tried once more.
async fn retry(by: SignedIn, Path(id): Path<AssetId>) -> Result<Accepted<Shown>> {
    let asset = store::assets::find(by.db(), id, changed_by(&by)?).await?;
    let now = by.now();
    let run = store::runs::find(by.db(), asset.run_id).await?;
    if run.is_some_and(|run| run.state == RunState::Running) {
        return Err(StillRuns.into());
    }
    let Some(mut standing) = Standing::read(by.db(), asset.run_id).await? else {
        return Err(NothingFailed.into());
    };
    let before = standing.steps.clone();
    let failed = |state| matches!(state, StepState::Failed | StepState::Cancelled);
    let again: Vec<_> = standing.steps.iter_mut().filter(|step| failed(step.state)).collect();
    if again.is_empty() {
        return Err(NothingFailed.into());
    }
    again.into_iter().for_each(|step| step.again(now));
    standing.run.state = RunState::Running;
    standing.asset.state = AssetState::Processing;
    standing.asset.is_failed_no_more();
    let mut writes = vec![store::runs::save(standing.run.id, RunState::Running, None)];
    writes.extend(standing.advance(&before, now));
    by.commit(writes).await?;
    shown(&by, id).await
}

/// Begins anew, into a new package; the old one is played until the new one can be.
async fn process(by: SignedIn, Path(id): Path<AssetId>) -> Result<Accepted<Shown>> {
    let mut asset = store::assets::find(by.db(), id, changed_by(&by)?).await?;
    let runs = store::runs::of_asset(by.db(), id).await?;
    if runs.iter().any(|run| run.state == RunState::Running) {
        return Err(StillRuns.into());
    }
    let number = runs.first().map_or(1, |run| run.number + 1);
    if number > RUNS_MAX {
        return Err(RunsMax.into());
    }
    asset.run_id = by.new_id();
    asset.state = AssetState::Processing;
    asset.is_failed_no_more();
    let mut writes = vec![store::assets::save(&asset, by.now())];
    writes.extend(assets::first_step(&by, asset, number));
    by.commit(writes).await?;
    shown(&by, id).await
}

async fn shown(by: &Ctx, id: AssetId) -> Result<Accepted<Shown>> {
    let asset: Asset = store::assets::find(by.db(), id, None).await?;
    Ok(Accepted(asset.into()))
}
