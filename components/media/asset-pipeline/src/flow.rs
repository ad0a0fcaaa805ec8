//! One turn of a run: something has happened to a step, what follows from it is asked for, and
//! what that makes of the asset is told. All of it is one commit on the asset as it was read; who
//! was slower reads again.

use crate::domain::{self, AssetState, Ending, RunState, StepRow, StepState};
use crate::store;
use crate::store::assets::Asset;
use crate::store::runs::Run;
use media_contract::RunId;
use media_contract::asset_pipeline::{AssetFailed, AssetPlayable, AssetReady, StepRequested};
use media_contract::facts::Facts;
use media_contract::step::{Lane, Step, StepDone, StepStarted};
use nexus_sdk::prelude::*;

/// Steps of one asset end at about the same time; more than these at once are there never.
pub const RACES_MAX: usize = 8;
/// How much what somebody waits for comes before what makes it better.
const FAST_PRIORITY: i16 = 50;
const PICTURES_PRIORITY: i16 = 10;

/// A run and all that it concerns, as it was read.
#[derive(Debug)]
pub struct Standing {
    pub asset: Asset,
    pub run: Run,
    pub steps: Vec<StepRow>,
}

impl Standing {
    pub async fn read(db: &Db, run: RunId) -> Result<Option<Standing>> {
        let Some(run) = store::runs::find(db, run).await? else { return Ok(None) };
        let Some(asset) = store::assets::of_run(db, run.id).await? else { return Ok(None) };
        let steps = store::steps::of_run(db, run.id).await?;
        Ok(Some(Standing { asset, run, steps }))
    }

    pub fn step(&mut self, name: Step, lane: Option<Lane>) -> Option<&mut StepRow> {
        self.steps.iter_mut().find(|step| step.is(name, lane))
    }

    /// Whether the asset still waits for what this run makes.
    pub fn is_wanted(&self) -> bool {
        self.run.state == RunState::Running
            && self.asset.run_id == self.run.id
            && self.asset.state != AssetState::Deleted
    }

    /// Asks for what is due and tells what has come about since it was read.
    pub fn advance(mut self, before: &[StepRow], now: Time) -> Vec<Write> {
        let next = domain::next(&self.steps, self.asset.facts.as_ref());
        let due = next.due.iter().map(|(name, lane)| StepRow::requested(*name, *lane, now));
        match next.ending {
            // What is under way is of no use to anybody now.
            Some(Ending::Failed(_)) => {
                self.steps.iter_mut().filter(|it| it.is_open()).for_each(|it| it.cancel(now));
            }
            _ => self.steps.extend(due),
        }
        let changed: Vec<&StepRow> =
            self.steps.iter().filter(|step| !before.contains(step)).collect();
        let mut writes: Vec<Write> =
            changed.iter().map(|step| store::steps::put(self.run.id, step)).collect();
        let asked = changed.iter().filter(|step| step.state == StepState::Requested);
        writes.extend(asked.map(|step| emit(self.order(step))));
        let (package, mut asset) = (self.run.package_id, self.asset.clone());
        if next.is_playable && asset.package_id != Some(package) {
            asset.package_id = Some(package);
            asset.playable_at = Some(now);
            writes.push(store::runs::retire_others(asset.id, Some(package), now));
            writes.push(emit(AssetPlayable {
                asset: asset.id,
                owner: asset.owner_id,
                package,
                duration_ms: asset.duration_ms,
                tracks: self.tracks(),
            }));
        }
        if let Some(ending) = next.ending {
            writes.extend(self.end(&mut asset, ending, now));
        }
        writes.insert(0, store::assets::save(&asset, now));
        writes
    }

    fn end(&self, asset: &mut Asset, ending: Ending, now: Time) -> [Write; 2] {
        let (id, owner) = (asset.id, asset.owner_id);
        let (state, told) = match ending {
            Ending::Ready { is_degraded } => {
                asset.state = AssetState::Ready;
                asset.is_degraded = is_degraded;
                asset.ready_at = Some(now);
                asset.is_failed_no_more();
                let told = AssetReady {
                    asset: id,
                    owner,
                    package: self.run.package_id,
                    duration_ms: asset.duration_ms,
                    degraded: is_degraded,
                    tracks: self.tracks(),
                };
                (RunState::Succeeded, emit(told))
            }
            // What an earlier run has made is still there to be played.
            Ending::Failed(reason) => {
                asset.fail(&reason);
                if asset.package_id.is_some() {
                    asset.state = AssetState::Ready;
                }
                (RunState::Failed, emit(AssetFailed { asset: id, owner, reason }))
            }
        };
        [store::runs::save(self.run.id, state, Some(now)), told]
    }

    /// Tracks that are to be played: those that better ones stand for are left out.
    pub fn tracks(&self) -> Vec<String> {
        let replaced: Vec<String> = self.steps.iter().flat_map(StepRow::replaced).collect();
        let all = self.steps.iter().flat_map(StepRow::tracks);
        all.filter(|track| !replaced.contains(track)).collect()
    }

    /// The order by which a service is asked for a step.
    pub fn order(&self, step: &StepRow) -> StepRequested {
        let more = match (step.name, step.lane()) {
            (Step::Probe | Step::Metadata, _) | (_, Some(Lane::Fast)) => FAST_PRIORITY,
            (Step::Thumbnail, _) => PICTURES_PRIORITY,
            (Step::Transcode, _) => 0,
        };
        StepRequested {
            asset: self.asset.id,
            owner: self.asset.owner_id,
            run: self.run.id,
            step: step.name,
            lane: step.lane(),
            attempt: step.attempt,
            source: self.asset.source.clone(),
            package: self.run.package_id,
            priority: self.run.priority.saturating_add(more).min(100),
            facts: self.asset.facts.clone().filter(|_| step.name != Step::Probe),
        }
    }
}

/// Reads, changes, commits; again when somebody else was faster. What changes nothing is no turn.
///
/// # Errors
/// 409 `conflict` when others are faster all the time.
pub async fn turn(
    ctx: &Ctx,
    run: RunId,
    change: impl Fn(&mut Standing) -> Result<bool>,
) -> Result<NoContent> {
    for _ in 0..RACES_MAX {
        let Some(mut standing) = Standing::read(ctx.db(), run).await? else {
            return ctx.commit([]).await;
        };
        let before = standing.steps.clone();
        let writes = match change(&mut standing)? {
            true => standing.advance(&before, ctx.now()),
            false => Vec::new(),
        };
        match ctx.commit(writes).await {
            Err(error) if error.is(&standard::Conflict) => {}
            committed => return committed,
        }
    }
    Err(standard::Conflict.into())
}

pub async fn on_started(ctx: Ctx, event: StepStarted) -> Result<NoContent> {
    let now = ctx.now();
    turn(&ctx, event.run, |standing| {
        let Some(step) = standing.step(event.step, event.lane) else { return Ok(false) };
        if step.state != StepState::Requested || step.attempt != event.attempt {
            return Ok(false);
        }
        step.state = StepState::Running;
        step.started_at = Some(now);
        Ok(standing.is_wanted())
    })
    .await
}

pub async fn on_done(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    let now = ctx.now();
    turn(&ctx, event.run, |standing| take(standing, &event, now)).await
}

/// Takes a step's end and what it says of the asset.
fn take(standing: &mut Standing, event: &StepDone, now: Time) -> Result<bool> {
    let is_wanted = standing.is_wanted();
    let Some(step) = standing.step(event.step, event.lane) else { return Ok(false) };
    if !is_wanted || !step.take(event, now) {
        return Ok(false);
    }
    if step.state != StepState::Succeeded {
        return Ok(true);
    }
    if event.step == Step::Probe {
        let facts = serde_json::from_value::<Facts>(event.result.clone());
        let facts = facts.map_err(|why| Failure::new(why).context("read what was found"))?;
        standing.asset.duration_ms = facts.duration_ms;
        standing.asset.facts = Some(facts);
    }
    // What was decoded is known better than what the file says of itself.
    let measured = event.result.get("duration_ms").and_then(serde_json::Value::as_i64);
    if let (Step::Transcode, Some(measured)) = (event.step, measured) {
        standing.asset.duration_ms = measured;
    }
    Ok(true)
}
