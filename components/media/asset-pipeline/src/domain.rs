//! Which step follows which, and what that makes of an asset. Pure.

use media_contract::Reason;
use media_contract::facts::Facts;
use media_contract::step::{Lane, Outcome, Step, StepDone};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

/// Tries at a step, where another could end otherwise; each of them is several of a worker's.
const ATTEMPTS_MAX: i32 = 2;
const TITLE_CHARS_MAX: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssetState {
    /// Work is under way; it can be played from `playable_at` on.
    Processing,
    Ready,
    Failed,
    Deleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Told to the service whose step it is.
    Requested,
    /// That service has told that work has begun.
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl ToParam for $kind {
            fn to_param(&self) -> Param {
                word(self)
            }
        }
    )*};
}

words! { AssetState, RunState, StepState }

/// A step of a run: the same however often it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepRow {
    pub name: Step,
    /// `fast` or `ladder`; empty where there is one way only.
    pub lane: String,
    pub state: StepState,
    pub attempt: i32,
    pub requested_at: Time,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub reason_code: Option<String>,
    pub reason_detail: Option<String>,
    pub result: Option<Value>,
}

impl StepRow {
    pub fn requested(name: Step, lane: Option<Lane>, now: Time) -> StepRow {
        StepRow {
            name,
            lane: lane_word(lane).to_owned(),
            state: StepState::Requested,
            attempt: 1,
            requested_at: now,
            started_at: None,
            finished_at: None,
            reason_code: None,
            reason_detail: None,
            result: None,
        }
    }

    pub fn lane(&self) -> Option<Lane> {
        match self.lane.as_str() {
            "fast" => Some(Lane::Fast),
            "ladder" => Some(Lane::Ladder),
            _ => None,
        }
    }

    pub fn is(&self, name: Step, lane: Option<Lane>) -> bool {
        self.name == name && self.lane == lane_word(lane)
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, StepState::Requested | StepState::Running)
    }

    /// Takes what its service tells of its end. False when that is not about this attempt, or was
    /// told before.
    pub fn take(&mut self, done: &StepDone, now: Time) -> bool {
        if done.attempt != self.attempt || !self.is_open() {
            return false;
        }
        self.finished_at = Some(now);
        self.result = Some(done.result.clone()).filter(|result| !result.is_null());
        self.reason_code = done.reason.as_ref().map(|reason| short(&reason.code, 60));
        self.reason_detail = done.reason.as_ref().map(|reason| short(&reason.detail, 2000));
        match done.outcome {
            Outcome::Succeeded => self.state = StepState::Succeeded,
            Outcome::Failed if done.may_retry && self.attempt < ATTEMPTS_MAX => self.again(now),
            Outcome::Failed => self.state = StepState::Failed,
        }
        true
    }

    /// The next attempt.
    pub fn again(&mut self, now: Time) {
        self.attempt += 1;
        self.state = StepState::Requested;
        self.requested_at = now;
        self.started_at = None;
        self.finished_at = None;
    }

    fn reason(&self) -> Reason {
        Reason {
            code: self.reason_code.clone().unwrap_or_else(|| "unknown".into()),
            detail: self.reason_detail.clone().unwrap_or_default(),
        }
    }

    pub fn cancel(&mut self, now: Time) {
        self.state = StepState::Cancelled;
        self.finished_at = Some(now);
    }

    /// Names of the tracks that it has published.
    pub fn tracks(&self) -> Vec<String> {
        self.names("tracks", |track| track.get("track")?.as_str())
    }

    /// Names of the tracks of earlier steps that its own are played instead of.
    pub fn replaced(&self) -> Vec<String> {
        self.names("replaces", Value::as_str)
    }

    fn names(&self, list: &str, name: impl Fn(&Value) -> Option<&str>) -> Vec<String> {
        let result = self.result.as_ref().filter(|_| self.state == StepState::Succeeded);
        let listed = result.and_then(|result| result.get(list)?.as_array());
        listed.into_iter().flatten().filter_map(|one| name(one).map(str::to_owned)).collect()
    }
}

pub fn lane_word(lane: Option<Lane>) -> &'static str {
    match lane {
        Some(Lane::Fast) => "fast",
        Some(Lane::Ladder) => "ladder",
        None => "",
    }
}

fn short(text: &str, chars_max: usize) -> String {
    // PostgreSQL's text has no NUL.
    text.chars().filter(|c| *c != '\0').take(chars_max).collect()
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Ready { is_degraded: bool },
    Failed(Reason),
}

/// What follows from the steps so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// Steps that nobody was asked for yet.
    pub due: Vec<(Step, Option<Lane>)>,
    /// Whether what is there can be played.
    pub is_playable: bool,
    /// None: something is under way.
    pub ending: Option<Ending>,
}

/// The graph: `probe`, then `metadata` and the fast lane, then `thumbnail` and the ladder. Sound
/// alone has neither pictures nor sizes. Without the first two there is nothing to play; the rest
/// makes it better.
pub fn next(steps: &[StepRow], facts: Option<&Facts>) -> Next {
    let state = |name, lane| steps.iter().find(|step| step.is(name, lane));
    let mut next = Next::default();
    let mut require = |name, lane| {
        let step = state(name, lane);
        if step.is_none() {
            next.due.push((name, lane));
        }
        step.map(|step| step.state)
    };
    let probe = require(Step::Probe, None);
    let mut fast = None;
    if probe == Some(StepState::Succeeded) {
        fast = require(Step::Transcode, Some(Lane::Fast));
        require(Step::Metadata, None);
    }
    let moves = facts.is_some_and(|facts| facts.video.is_some());
    if fast == Some(StepState::Succeeded) && moves {
        require(Step::Thumbnail, None);
        require(Step::Transcode, Some(Lane::Ladder));
    }
    next.is_playable = fast == Some(StepState::Succeeded);
    next.ending = ending(steps, &next);
    next
}

fn ending(steps: &[StepRow], next: &Next) -> Option<Ending> {
    let needed =
        |step: &&StepRow| step.is(Step::Probe, None) || step.is(Step::Transcode, Some(Lane::Fast));
    let failed = |step: &&StepRow| step.state == StepState::Failed;
    if let Some(step) = steps.iter().filter(needed).find(failed) {
        return Some(Ending::Failed(step.reason()));
    }
    let over = next.due.is_empty() && !steps.iter().any(StepRow::is_open);
    let is_degraded = steps.iter().any(|step| step.state != StepState::Succeeded);
    over.then_some(Ending::Ready { is_degraded })
}

/// A title out of a file's name: its words, without what programs put between them.
pub fn title_of(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 5 => stem,
        _ => name,
    };
    let spaced: String =
        stem.chars().map(|c| if c == '_' || c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    match words.is_empty() {
        true => "Untitled".into(),
        false => short(&words.join(" "), TITLE_CHARS_MAX),
    }
}

/// Shares of a run's work by what its steps usually cost, so that a bar moves evenly.
fn share(step: &StepRow) -> f64 {
    match (step.name, step.lane()) {
        (Step::Probe | Step::Metadata, _) => 2.0,
        (Step::Transcode, Some(Lane::Ladder)) => 70.0,
        (Step::Transcode, _) => 18.0,
        (Step::Thumbnail, _) => 8.0,
    }
}

/// How far a run is, 0 to 1; `at` tells how far a step that is under way is.
pub fn fraction(steps: &[StepRow], facts: Option<&Facts>, at: impl Fn(&StepRow) -> f64) -> f64 {
    let moves = facts.is_none_or(|facts| facts.video.is_some());
    let whole = if moves { 100.0 } else { 22.0 };
    let done = |step: &StepRow| match step.is_open() {
        true => share(step) * at(step).clamp(0.0, 1.0),
        false => share(step),
    };
    (steps.iter().map(done).sum::<f64>() / whole).clamp(0.0, 1.0)
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
