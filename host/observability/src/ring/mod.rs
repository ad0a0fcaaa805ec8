//! The last calls and the last lines of this process, in memory: what an operator looks at when
//! nothing else is there to collect them. Costs a copy when something happens, and is bounded in
//! bytes; a component that says much takes its own place first, not that of others. Questions for
//! health that did not fail take a place apart: there are many, and nobody looks for them.
//!
//! Refuses to know what anything means: what a call is said a span with the target `call`.

mod lanes;
mod watch;

use watch::PROBE;
pub use watch::{Invocation, Line};
pub(crate) use watch::{Watch, invocation_of, keep};

use crate::trace::hex_u128;
use compact_str::CompactString;
use lanes::Lanes;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// A few hundred bytes each: the last ten or twenty thousand calls.
const INVOCATIONS_BYTES_MAX: usize = 8 << 20;
const LINES_BYTES_MAX: usize = 8 << 20;
/// Some rounds over all components.
const PROBES_BYTES_MAX: usize = 1 << 20;

/// Entries of one answer.
const ROWS_MAX: usize = 1_000;

static RECENT: LazyLock<Ring> = LazyLock::new(Ring::default);

/// What happened last in this process; filled from the moment on that logging was started.
pub fn recent() -> &'static Ring {
    &RECENT
}

/// Calls and lines, each with a number that only grows.
pub struct Ring(Mutex<Kept>);

struct Kept {
    last: u64,
    invocations: Lanes<Invocation>,
    probes: Lanes<Invocation>,
    lines: Lanes<Line>,
}

impl Default for Ring {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            last: 0,
            invocations: Lanes::new(INVOCATIONS_BYTES_MAX),
            probes: Lanes::new(PROBES_BYTES_MAX),
            lines: Lanes::new(LINES_BYTES_MAX),
        }))
    }
}

/// Which calls; all that is said must hold.
#[derive(Debug, Clone, Default)]
pub struct InvocationFilter {
    pub component: Option<String>,
    /// Of `probe`, those that did not fail are only among what asks for them.
    pub trigger: Option<String>,
    /// `ok`, `refused` or `failed`.
    pub outcome: Option<String>,
}

/// Which lines; all that is said must hold.
#[derive(Debug, Clone, Default)]
pub struct LineFilter {
    pub component: Option<String>,
    /// The least grave that is wanted: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Option<String>,
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
    pub since: Option<std::time::SystemTime>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Happened {
    Invocation(Arc<Invocation>),
    Line(Arc<Line>),
}

/// What happened after a number.
#[derive(Debug, Clone, Default)]
pub struct Since {
    /// In the order in which it happened.
    pub all: Vec<Happened>,
    /// To ask from next time.
    pub last: u64,
    /// How many things are gone already, or were too many for one answer.
    pub missed: u64,
}

impl Ring {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep_invocation(&self, mut invocation: Invocation) {
        let mut kept = self.kept();
        kept.last += 1;
        invocation.number = kept.last;
        match invocation.is_quiet() {
            true => kept.probes.push(invocation),
            false => kept.invocations.push(invocation),
        }
    }

    pub(crate) fn keep_line(&self, mut line: Line) {
        let mut kept = self.kept();
        kept.last += 1;
        line.number = kept.last;
        kept.lines.push(line);
    }

    /// The number of what happened last.
    pub fn last(&self) -> u64 {
        self.kept().last
    }

    /// Calls, the latest to end first, before a number.
    pub fn invocations(
        &self,
        filter: &InvocationFilter,
        before: Option<u64>,
        rows_max: usize,
    ) -> Vec<Arc<Invocation>> {
        let fits = |call: &Invocation| {
            let is =
                |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|w| w == own);
            is(&filter.trigger, &call.trigger) && is(&filter.outcome, call.outcome())
        };
        let (lane, rows_max) = (filter.component.as_deref(), rows_max.min(ROWS_MAX));
        let kept = self.kept();
        let mut found = kept.invocations.latest(lane, before, rows_max, fits);
        if filter.trigger.as_deref() == Some(PROBE) {
            found.extend(kept.probes.latest(lane, before, rows_max, fits));
            found.sort_by_key(|call| std::cmp::Reverse(call.number));
            found.truncate(rows_max);
        }
        found
    }

    /// Lines, the latest first, before a number.
    pub fn lines(
        &self,
        filter: &LineFilter,
        before: Option<u64>,
        rows_max: usize,
    ) -> Vec<Arc<Line>> {
        let lane = filter.component.as_deref();
        self.kept().lines.latest(lane, before, rows_max.min(ROWS_MAX), |line| filter.fits(line))
    }

    /// The call with the id of a span.
    pub fn invocation(&self, id: &str) -> Option<Arc<Invocation>> {
        let id = hex_u128(id).filter(|_| id.len() == 16)? as u64;
        let kept = self.kept();
        let is = |call: &Invocation| call.own.span_number() == id;
        let of = |lanes: &Lanes<Invocation>| lanes.latest(None, None, 1, is).pop();
        of(&kept.invocations).or_else(|| of(&kept.probes))
    }

    /// The calls of a trace in the order in which they began, and the lines of these calls in the
    /// order in which they were written.
    pub fn trace(&self, trace_id: &str) -> (Vec<Arc<Invocation>>, Vec<Arc<Line>>) {
        let number = hex_u128(trace_id).filter(|_| trace_id.len() == 32);
        let kept = self.kept();
        let of_trace = |call: &Invocation| Some(call.own.trace_number()) == number;
        let mut calls = kept.invocations.latest(None, None, ROWS_MAX, of_trace);
        calls.extend(kept.probes.latest(None, None, ROWS_MAX - calls.len(), of_trace));
        // A guest's line knows its request only.
        let of_calls = |line: &Line| {
            let request = line.request_id.as_deref();
            line.trace_id.as_deref() == Some(trace_id)
                || request.is_some_and(|id| calls.iter().any(|call| *call.request_id == *id))
        };
        let mut lines = kept.lines.latest(None, None, ROWS_MAX, of_calls);
        drop(kept);
        calls.sort_by_key(|call| (call.began, call.number));
        lines.reverse();
        (calls, lines)
    }

    /// What happened after a number, at most a thousand things: the latest, if there were more.
    pub fn since(&self, number: u64) -> Since {
        let kept = self.kept();
        let mut all: Vec<Happened> = Vec::new();
        all.extend(kept.invocations.since(number).map(Happened::Invocation));
        all.extend(kept.probes.since(number).map(Happened::Invocation));
        all.extend(kept.lines.since(number).map(Happened::Line));
        let last = kept.last;
        drop(kept);
        all.sort_by_key(Happened::number);
        let too_many = all.len().saturating_sub(ROWS_MAX);
        all.drain(..too_many);
        let happened = last.saturating_sub(number);
        Since { last, missed: happened.saturating_sub(all.len() as u64), all }
    }
}

impl Happened {
    pub fn number(&self) -> u64 {
        match self {
            Self::Invocation(call) => call.number,
            Self::Line(line) => line.number,
        }
    }
}

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

impl LineFilter {
    /// Whether a line is among those that are wanted.
    pub fn fits(&self, line: &Line) -> bool {
        let is = |wanted: &Option<String>, own: &Option<CompactString>| {
            wanted.is_none() || wanted.as_deref() == own.as_deref()
        };
        let grave = |level: &str| LEVELS.iter().position(|known| *known == level);
        let enough = self.level.as_deref().is_none_or(|least| grave(line.level) <= grave(least));
        let component = self.component.as_deref();
        enough
            && component.is_none_or(|wanted| line.component.as_deref() == Some(wanted))
            && is(&self.request_id, &line.request_id)
            && is(&self.trace_id, &line.trace_id)
            && self.since.is_none_or(|since| line.at >= since)
    }
}
