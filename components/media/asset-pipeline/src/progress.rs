//! How far an asset is, once or as a stream of events. A step's worker tells its own service, which
//! is asked here; where that does not answer, a step is where its row says.

use crate::domain::{self, AssetState, StepRow, StepState};
use crate::store::assets::Asset;
use crate::{seen_by, store};
use media_contract::step::Step;
use media_contract::{AssetId, PackageId, Reason, RunId};
use nexus_sdk::prelude::*;
use std::convert::Infallible;

/// Between two looks; a bar that moves once a second moves.
const LOOK_MS: u64 = 1000;
/// An event stream that says nothing is taken for dead by what lies in between.
const COMMENT_AFTER_LOOKS: u32 = 15;
/// A stream ends before the host's bound on one call; a browser asks again by itself.
const LOOKS_MAX: u32 = 240;

pub fn router() -> Router {
    Router::new()
        .route("/assets/{id}/progress", get(watch))
        .route("/assets/{id}/progress/now", get(now))
}

/// How far an asset is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct Progress {
    #[serde(skip)]
    run: RunId,
    state: AssetState,
    /// 0 to 1, over all steps.
    fraction: f64,
    /// There once it can be played.
    package_id: Option<PackageId>,
    degraded: bool,
    failure: Option<Reason>,
    steps: Vec<StepProgress>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct StepProgress {
    name: Step,
    lane: String,
    state: StepState,
    fraction: f64,
    /// What its worker does now.
    stage: Option<String>,
}

/// What a step's service says of its workers.
#[derive(Debug, Deserialize)]
struct Told {
    lane: String,
    fraction: f64,
    stage: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Workers {
    items: Vec<Told>,
}

impl Progress {
    async fn read(db: &Db, asset: Asset) -> Result<Progress> {
        let steps = store::steps::of_run(db, asset.run_id).await?;
        let mut shown = Vec::with_capacity(steps.len());
        for step in &steps {
            shown.push(StepProgress::read(asset.run_id, step).await);
        }
        let at = |step: &StepRow| {
            let own = shown.iter().find(|own| own.name == step.name && own.lane == step.lane);
            own.map_or(0.0, |own| own.fraction)
        };
        let fraction = match asset.state {
            AssetState::Ready | AssetState::Failed => 1.0,
            _ => domain::fraction(&steps, asset.facts.as_ref(), at),
        };
        let detail = asset.failure_detail.unwrap_or_default();
        Ok(Progress {
            run: asset.run_id,
            state: asset.state,
            fraction: (fraction * 1000.0).round() / 1000.0,
            package_id: asset.package_id,
            degraded: asset.is_degraded,
            failure: asset.failure_code.map(|code| Reason { code, detail }),
            steps: shown,
        })
    }

    /// What was told of the same run is not taken back: while a service does not answer, or a step
    /// begins again, a bar stands still.
    fn no_less_than(mut self, told: Option<&Progress>) -> Progress {
        let Some(told) = told.filter(|told| told.run == self.run) else { return self };
        self.fraction = self.fraction.max(told.fraction);
        for step in &mut self.steps {
            let mut before = told.steps.iter();
            let before = before.find(|old| old.name == step.name && old.lane == step.lane);
            step.fraction = before.map_or(step.fraction, |old| old.fraction.max(step.fraction));
        }
        self
    }
}

impl StepProgress {
    async fn read(run: RunId, step: &StepRow) -> StepProgress {
        let told = match (step.state, step.name) {
            (StepState::Running, Step::Transcode) => ask("transcoder", run, &step.lane).await,
            (StepState::Running, Step::Thumbnail) => ask("thumbnailer", run, &step.lane).await,
            _ => None,
        };
        let fraction = match step.state {
            StepState::Succeeded => 1.0,
            _ => told.as_ref().map_or(0.0, |told| told.fraction),
        };
        StepProgress {
            name: step.name,
            lane: step.lane.clone(),
            state: step.state,
            fraction: (fraction * 1000.0).round() / 1000.0,
            stage: told.and_then(|told| told.stage),
        }
    }
}

/// Nothing when the service is away: a bar that stands still says as much.
async fn ask(service: &str, run: RunId, lane: &str) -> Option<Told> {
    let path = format!("/api/{service}/v1/internal/runs/{run}");
    let workers: Workers = call(service).get(path).read().await.ok()?;
    workers.items.into_iter().find(|told| told.lane == lane)
}

async fn now(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<Progress>> {
    let asset = store::assets::find(by.db(), id, seen_by(&by)?).await?;
    Progress::read(by.db(), asset).await.map(Json)
}

/// An event `progress` now and whenever something moves; the last one is `end`.
async fn watch(by: SignedIn, Path(id): Path<AssetId>) -> Result<Response> {
    let owner = seen_by(&by)?;
    store::assets::find(by.db(), id, owner).await?;
    let begin = Watch { by, id, owner, told: None, looks: 0, quiet: 0, is_over: false };
    let events = futures::stream::unfold(begin, async |mut watch| {
        let event = watch.next().await?;
        Some((Ok::<_, Infallible>(event), watch))
    });
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(events)).into_response())
}

struct Watch {
    by: SignedIn,
    id: AssetId,
    owner: Option<Uuid>,
    told: Option<Progress>,
    looks: u32,
    quiet: u32,
    is_over: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.is_over && self.looks < LOOKS_MAX {
            if self.looks > 0 {
                pause().await;
            }
            self.looks += 1;
            // Deleted, or the database is away: a browser that asks again hears which.
            let found = store::assets::find(self.by.db(), self.id, self.owner).await.ok()?;
            let progress = Progress::read(self.by.db(), found).await.ok()?;
            let progress = progress.no_less_than(self.told.as_ref());
            self.is_over = matches!(progress.state, AssetState::Ready | AssetState::Failed);
            if self.told.as_ref() != Some(&progress) {
                self.quiet = 0;
                let name = if self.is_over { "end" } else { "progress" };
                let event = event(name, &progress)?;
                self.told = Some(progress);
                return Some(event);
            }
            self.quiet += 1;
            if self.quiet >= COMMENT_AFTER_LOOKS {
                self.quiet = 0;
                return Some(Bytes::from_static(b": still here\n\n"));
            }
        }
        None
    }
}

fn event(name: &str, progress: &Progress) -> Option<Bytes> {
    let json = serde_json::to_string(progress).ok()?;
    Some(Bytes::from(format!("event: {name}\ndata: {json}\n\n")))
}

#[cfg(target_arch = "wasm32")]
async fn pause() {
    use nexus_sdk::spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
    wait_for(LOOK_MS * 1_000_000).await;
}

/// Natively there is no host whose clock could be waited for.
#[cfg(not(target_arch = "wasm32"))]
async fn pause() {
    unreachable!("a stream is watched by a guest, for {LOOK_MS} ms each time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(run: RunId, fraction: f64, step: f64) -> Progress {
        let steps = vec![StepProgress {
            name: Step::Transcode,
            lane: "fast".into(),
            state: StepState::Running,
            fraction: step,
            stage: None,
        }];
        let state = AssetState::Processing;
        Progress { run, state, fraction, package_id: None, degraded: false, failure: None, steps }
    }

    #[test]
    fn a_bar_stands_still_while_a_service_is_away_and_begins_anew_with_a_run() {
        let run: RunId = Uuid::from_u128(1).into();
        let told = progress(run, 0.4, 0.5);
        let away = progress(run, 0.2, 0.0).no_less_than(Some(&told));
        assert_eq!((away.fraction, away.steps[0].fraction), (0.4, 0.5));
        let on = progress(run, 0.6, 0.8).no_less_than(Some(&told));
        assert_eq!((on.fraction, on.steps[0].fraction), (0.6, 0.8));
        let anew = progress(Uuid::from_u128(2).into(), 0.1, 0.0).no_less_than(Some(&told));
        assert_eq!((anew.fraction, anew.steps[0].fraction), (0.1, 0.0));
    }
}
