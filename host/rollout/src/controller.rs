//! Moves rollouts from state to state. Any number of hosts run one; each rollout is moved by
//! whoever holds its lease, and every move says which lease it was made under. Keeps nothing that
//! matters: a controller that dies anywhere is replaced by one that looks where the rollout is.

use crate::gates::{Judgement, Tally, judge};
use crate::plan::{Plan, blend};
use crate::{Error, Inner, stages, verify};
use nexus_runtime::{Shutdown, WEIGHT_WHOLE};
use nexus_storage::rollouts::{Held, Move, Report, State, Weights};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Between two looks at a rollout: how soon a failing gate is noticed.
const TURN: Duration = Duration::from_millis(500);
/// A controller that has not come back in this time has lost its rollouts.
const LEASE: Duration = Duration::from_secs(4);
/// Hosts may compile and probe for so long.
const STAGE_MAX: Duration = Duration::from_secs(300);
/// Hosts may take so long to apply traffic; a way back ends then, whoever was heard.
const APPLY_MAX: Duration = Duration::from_secs(60);
/// Questions for health in one turn, where there are too few calls.
const PROBES_A_TURN: u64 = 25;
/// How often what nobody needs is looked for.
const COLLECT: Duration = Duration::from_secs(600);

pub(crate) async fn run(inner: Arc<Inner>, mut shutdown: Shutdown) {
    let turns = Turns::default();
    let mut tasks = JoinSet::new();
    let mut collected = Instant::now();
    let mut stirred = inner.stirred().listen();
    while !shutdown.is_requested() {
        match inner.rollouts.hold(inner.id, LEASE).await {
            Ok(all) => {
                for held in all {
                    if turns.begin(held.row.id) {
                        let (inner, turns) = (inner.clone(), turns.clone());
                        tasks.spawn(async move { take(&inner, &held, &turns).await });
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "no rollout is moved while the database is away"),
        }
        while tasks.try_join_next().is_some() {}
        if collected.elapsed() > COLLECT {
            collected = Instant::now();
            if let Err(error) = inner.rollouts.collect().await {
                tracing::debug!(%error, "nothing is collected");
            }
        }
        tokio::select! {
            () = shutdown.requested() => {}
            () = crate::doze(&mut stirred, TURN) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Rollouts that a turn looks at now. A turn may take long (migrations); the lease is kept
/// meanwhile, and other turns go on.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<HashMap<Uuid, bool>>>);

impl Turns {
    /// False when one is under way: what it did not see yet is looked at after it.
    fn begin(&self, id: Uuid) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = !all.contains_key(&id);
        all.insert(id, !is_free);
        is_free
    }

    /// Whether somebody wanted one meanwhile.
    fn end(&self, id: Uuid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id).unwrap_or_default()
    }
}

async fn take(inner: &Inner, held: &Held, turns: &Turns) {
    let turned = turn(inner, held).await;
    let moved = matches!(turned, Ok(true));
    stumble(inner, held, turned).await;
    let is_wanted = turns.end(held.row.id);
    if moved {
        inner.stir();
    } else if is_wanted {
        inner.stirred().wake();
    }
}

/// Looks at a rollout once, and moves it if it is time; whether it did.
pub(crate) async fn turn(inner: &Inner, held: &Held) -> Result<bool, Error> {
    let plan = Plan::read(&held.row.plan);
    match held.row.state {
        State::Verifying => verifying(inner, held).await,
        State::Compiling => {
            let next = Move::to(State::Migrating, "every host has compiled it");
            heard(inner, held, stages::COMPILING, next).await
        }
        State::Migrating => migrating(inner, held).await,
        State::Probing => {
            let mut next = Move::to(State::Staged, "it is well on every host");
            // What is new has nobody who could keep the calls meanwhile.
            next.traffic =
                held.row.before.as_ref().map(|before| blend(before, held.row.revision, 0));
            heard(inner, held, stages::PROBING, next).await
        }
        State::Staged => staged(inner, held, &plan).await,
        State::Stepping => stepping(inner, held, &plan).await,
        State::Paused => paused(inner, held, &plan).await,
        State::Promoting => promoting(inner, held).await,
        State::Draining => draining(inner, held).await,
        State::RollingBack => rolling_back(inner, held).await,
        State::Done | State::RolledBack | State::Failed | State::Aborted => Ok(false),
    }
}

/// What will not pass by itself ends a rollout that has no traffic yet.
async fn stumble(inner: &Inner, held: &Held, turned: Result<bool, Error>) {
    let Err(error) = turned else { return };
    let rollout = held.row.id;
    let is_early = held.row.sequence.is_none();
    if !error.may_pass() && is_early {
        if let Err(error) = fail(inner, held, &error.to_string()).await {
            tracing::warn!(%rollout, %error, "a rollout is ended later");
        }
        return;
    }
    if !error.is_away() {
        tracing::warn!(%rollout, %error, "a move is tried again");
    }
}

async fn verifying(inner: &Inner, held: &Held) -> Result<bool, Error> {
    match verify::verify(inner, &held.row).await? {
        Ok(words) => go(inner, held, &Move::to(State::Compiling, &words)).await,
        Err(reason) => fail(inner, held, &reason).await,
    }
}

async fn migrating(inner: &Inner, held: &Held) -> Result<bool, Error> {
    match verify::migrate(inner, &held.row).await? {
        Ok(words) => go(inner, held, &Move::to(State::Probing, &words)).await,
        Err(reason) => fail(inner, held, &reason).await,
    }
}

/// Goes on when every living host has said that all is well.
async fn heard(
    inner: &Inner,
    held: &Held,
    stage: &'static str,
    next: Move<'_>,
) -> Result<bool, Error> {
    match inner.rollouts.reports(held.row.id, stage).await? {
        Some(reports) => match failures(&reports) {
            None => go(inner, held, &next).await,
            Some(reason) => fail(inner, held, &reason).await,
        },
        None if held.since_entered > STAGE_MAX => {
            fail(inner, held, &format!("a host has not answered ({stage})")).await
        }
        None => Ok(false),
    }
}

async fn staged(inner: &Inner, held: &Held, plan: &Plan) -> Result<bool, Error> {
    if held.row.sequence.is_some() && !has_settled(inner, held).await? {
        return Ok(false);
    }
    if plan.steps.is_empty() || is_frozen(inner, held).await? {
        return Ok(false);
    }
    step(inner, held, plan, 0).await
}

async fn stepping(inner: &Inner, held: &Held, plan: &Plan) -> Result<bool, Error> {
    // First what must not wait.
    let judged = judgement(inner, held, plan).await?;
    if let Judgement::Fail(reason) = &judged {
        return roll_back(inner, held, reason).await;
    }
    if !has_settled(inner, held).await? {
        return Ok(false);
    }
    let since = held.since_settled.unwrap_or_default();
    let is_over = since >= Duration::from_secs(plan.step_seconds);
    if !is_over {
        return Ok(false);
    }
    if let Judgement::TooFew(missing) = judged {
        let probes = plan.gates.as_ref().is_some_and(|gates| gates.probes);
        if probes {
            fill(inner, held, missing).await;
        } else {
            inner.rollouts.note(held, "it waits for more calls").await?;
        }
        return Ok(false);
    }
    if is_frozen(inner, held).await? {
        return Ok(false);
    }
    step(inner, held, plan, usize::try_from(held.row.step + 1).unwrap_or_default()).await
}

/// Nothing goes on, but what is bad goes back.
async fn paused(inner: &Inner, held: &Held, plan: &Plan) -> Result<bool, Error> {
    if held.row.onward != Some(State::Stepping) {
        return Ok(false);
    }
    match judgement(inner, held, plan).await? {
        Judgement::Fail(reason) => roll_back(inner, held, &reason).await,
        _ => Ok(false),
    }
}

async fn promoting(inner: &Inner, held: &Held) -> Result<bool, Error> {
    if held.row.sequence.is_none() {
        let words = "it takes all calls";
        let to = Move {
            weight: Some(WEIGHT_WHOLE),
            traffic: Some(Weights::from([(held.row.revision, WEIGHT_WHOLE)])),
            ..Move::to(State::Promoting, words)
        };
        return go(inner, held, &to).await;
    }
    if !has_settled(inner, held).await? {
        return Ok(false);
    }
    go(inner, held, &Move::to(State::Draining, "every host has taken it")).await
}

async fn draining(inner: &Inner, held: &Held) -> Result<bool, Error> {
    let Some(sequence) = held.row.sequence else {
        return go(inner, held, &Move::to(State::Done, "done")).await;
    };
    let settled = inner.rollouts.settled(&held.row.component, sequence).await?;
    let is_drained = settled.is_some_and(|(draining, _)| draining == 0);
    if is_drained || held.since_entered > inner.drain + APPLY_MAX {
        return go(inner, held, &Move::to(State::Done, "done")).await;
    }
    Ok(false)
}

async fn rolling_back(inner: &Inner, held: &Held) -> Result<bool, Error> {
    let end = held.row.onward.filter(|end| end.is_final()).unwrap_or(State::RolledBack);
    let settled = match held.row.sequence {
        Some(sequence) => inner.rollouts.settled(&held.row.component, sequence).await?,
        None => Some((0, Vec::new())),
    };
    let words = match settled {
        Some(_) => "every host is back where it was",
        None if held.since_entered > APPLY_MAX => "a host has not answered; it goes back later",
        None => return Ok(false),
    };
    go(inner, held, &Move::to(end, words)).await
}

/// Gives the share of a step, or everything after the last.
async fn step(inner: &Inner, held: &Held, plan: &Plan, index: usize) -> Result<bool, Error> {
    let new = held.row.revision;
    let before = held.row.before.clone().unwrap_or_default();
    let blended = plan.steps.get(index).map(|share| (*share, blend(&before, new, *share)));
    let is_gated = plan.gates.is_some() && before.keys().any(|number| *number != new);
    match blended {
        Some((share, traffic)) if is_gated || share < WEIGHT_WHOLE && !before.is_empty() => {
            let words = format!("step {} of {}: {share} of 10000", index + 1, plan.steps.len());
            let to = Move {
                step: Some(i32::try_from(index).unwrap_or(i32::MAX)),
                weight: Some(share),
                traffic: Some(traffic),
                ..Move::to(State::Stepping, &words)
            };
            go(inner, held, &to).await
        }
        _ => {
            let to = Move {
                weight: Some(WEIGHT_WHOLE),
                traffic: Some(Weights::from([(new, WEIGHT_WHOLE)])),
                ..Move::to(State::Promoting, "it takes all calls")
            };
            go(inner, held, &to).await
        }
    }
}

/// What the revision did since this step began, against what served beside it since the first.
async fn judgement(inner: &Inner, held: &Held, plan: &Plan) -> Result<Judgement, Error> {
    let (Some(gates), Some(baseline)) = (&plan.gates, held.row.baseline) else {
        return Ok(Judgement::Pass);
    };
    let now = inner.rollouts.samples(&held.row.component).await?;
    let new = Tally::between(held.row.revision, &held.samples_step, &now);
    let before = Tally::between(baseline, &held.samples_first, &now);
    Ok(judge(&new, &before, gates))
}

/// Asks for health where there are too few calls: both revisions, so that they stay comparable.
async fn fill(inner: &Inner, held: &Held, missing: u64) {
    let Some(running) = inner.running.get() else { return };
    for _ in 0..missing.min(PROBES_A_TURN) {
        stages::ask(running, &held.row.component, held.row.revision).await;
        if let Some(baseline) = held.row.baseline {
            stages::ask(running, &held.row.component, baseline).await;
        }
    }
}

/// Whether every living host has applied the traffic of this state. A host that could not sends the
/// rollout back.
async fn has_settled(inner: &Inner, held: &Held) -> Result<bool, Error> {
    if held.row.settled_at.is_some() {
        return Ok(true);
    }
    let Some(sequence) = held.row.sequence else { return Ok(true) };
    match inner.rollouts.settled(&held.row.component, sequence).await? {
        Some((_, reports)) => match failures(&reports) {
            None => {
                inner.rollouts.settle(held).await?;
                inner.stirred().wake();
                Ok(true)
            }
            Some(reason) => {
                roll_back(inner, held, &reason).await?;
                Ok(false)
            }
        },
        None if held.since_entered > APPLY_MAX => {
            roll_back(inner, held, "a host has not applied it in time").await?;
            Ok(false)
        }
        None => Ok(false),
    }
}

async fn is_frozen(inner: &Inner, held: &Held) -> Result<bool, Error> {
    let Some(frozen) = inner.rollouts.frozen(&held.row.component).await? else { return Ok(false) };
    inner
        .rollouts
        .note(held, &format!("it waits: frozen by {}: {}", frozen.by, frozen.reason))
        .await?;
    Ok(true)
}

/// Before it had any traffic there is nothing to go back to.
async fn fail(inner: &Inner, held: &Held, reason: &str) -> Result<bool, Error> {
    let to = Move { reason: Some(reason), ..Move::to(State::Failed, reason) };
    go(inner, held, &to).await
}

async fn roll_back(inner: &Inner, held: &Held, reason: &str) -> Result<bool, Error> {
    let Some(before) = held.row.before.clone() else {
        return fail(inner, held, reason).await;
    };
    let to = Move {
        weight: Some(0),
        traffic: Some(before),
        reason: Some(reason),
        onward: Some(State::RolledBack),
        ..Move::to(State::RollingBack, reason)
    };
    go(inner, held, &to).await
}

async fn go(inner: &Inner, held: &Held, to: &Move<'_>) -> Result<bool, Error> {
    let (component, revision) = (held.row.component.as_str(), held.row.revision);
    let state = to.to.as_str();
    let moved = inner.rollouts.advance(held, to).await?;
    if moved {
        match to.to {
            State::RollingBack | State::Failed => {
                tracing::warn!(component, revision, reason = to.words, "a rollout goes back");
            }
            _ => tracing::info!(component, revision, state, words = to.words, "rollout"),
        }
        crate::journal::note(inner, &held.row, to).await;
    }
    Ok(moved)
}

/// What hosts say that is not well.
fn failures(reports: &[Report]) -> Option<String> {
    let all = reports.iter().filter_map(|report| {
        report.failure.as_ref().map(|failure| format!("{}: {failure}", report.host))
    });
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_while_a_rollout_is_looked_at_is_looked_at_afterwards() {
        let (turns, id) = (Turns::default(), Uuid::now_v7());
        assert!(turns.begin(id));
        assert!(!turns.end(id));
        assert!(turns.begin(id));
        assert!(!turns.begin(id), "one at a time");
        assert!(turns.end(id));
        assert!(turns.begin(id));
    }
}
