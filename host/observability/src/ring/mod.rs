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
use lanes::{Entry, Lanes};
use std::cell::Cell;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A few hundred bytes each: the last ten or twenty thousand calls.
const INVOCATIONS_BYTES_MAX: usize = 8 << 20;
const LINES_BYTES_MAX: usize = 8 << 20;
/// Some rounds over all components.
const PROBES_BYTES_MAX: usize = 1 << 20;

/// Entries of one answer.
const ROWS_MAX: usize = 1_000;

static RECENT: LazyLock<Ring> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    Ring::of(threads.min(PARTS_MAX))
});

/// More parts would each hold too little.
const PARTS_MAX: usize = 8;

thread_local! {
    static PART: Cell<usize> = const { Cell::new(0) };
}

/// What the calling thread tells of is kept apart from what those tell of that have other numbers:
/// threads that answer requests would otherwise wait for each other, and for each other's memory.
pub fn keep_apart(number: usize) {
    PART.set(number);
}

/// What happened last in this process; filled from the moment on that logging was started.
pub fn recent() -> &'static Ring {
    &RECENT
}

/// Calls and lines, each with a number that only grows.
pub struct Ring {
    /// Given out while a part is locked: who has locked all of them knows what there is.
    last: AtomicU64,
    parts: Vec<Mutex<Kept>>,
}

struct Kept {
    invocations: Lanes<Invocation>,
    probes: Lanes<Invocation>,
    lines: Lanes<Line>,
}

impl Kept {
    /// One of so many parts.
    fn of(parts: usize) -> Self {
        Self {
            invocations: Lanes::new(INVOCATIONS_BYTES_MAX / parts),
            probes: Lanes::new(PROBES_BYTES_MAX / parts),
            lines: Lanes::new(LINES_BYTES_MAX / parts),
        }
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
    Invocation(Invocation),
    Line(Line),
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
    fn of(parts: usize) -> Self {
        let kept = (0..parts).map(|_| Mutex::new(Kept::of(parts)));
        Self { last: AtomicU64::new(0), parts: kept.collect() }
    }

    /// The calling thread's part, and the number of what it has to tell.
    fn own(&self) -> (MutexGuard<'_, Kept>, u64) {
        let part = lock(&self.parts[PART.get() % self.parts.len()]);
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        (part, number)
    }

    fn all(&self) -> Vec<MutexGuard<'_, Kept>> {
        self.parts.iter().map(lock).collect()
    }

    pub(crate) fn keep_invocation(&self, mut invocation: Invocation) {
        let (mut kept, number) = self.own();
        invocation.number = number;
        match invocation.is_quiet() {
            true => kept.probes.push(invocation),
            false => kept.invocations.push(invocation),
        }
    }

    pub(crate) fn keep_line(&self, mut line: Line) {
        let (mut kept, number) = self.own();
        line.number = number;
        kept.lines.push(line);
    }

    /// The number of what happened last.
    pub fn last(&self) -> u64 {
        let _all = self.all();
        self.last.load(Ordering::Relaxed)
    }

    /// Calls, the latest to end first, before a number.
    pub fn invocations(
        &self,
        filter: &InvocationFilter,
        before: Option<u64>,
        rows_max: usize,
    ) -> Vec<Invocation> {
        let fits = |call: &Invocation| {
            let is =
                |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|w| w == own);
            is(&filter.trigger, &call.trigger) && is(&filter.outcome, call.outcome())
        };
        let (lane, rows_max) = (filter.component.as_deref(), rows_max.min(ROWS_MAX));
        let of_probes = filter.trigger.as_deref() == Some(PROBE);
        latest(rows_max, &self.all(), |kept| {
            let mut found = kept.invocations.latest(lane, before, rows_max, fits);
            if of_probes {
                found.extend(kept.probes.latest(lane, before, rows_max, fits));
            }
            found
        })
    }

    /// Lines, the latest first, before a number.
    pub fn lines(&self, filter: &LineFilter, before: Option<u64>, rows_max: usize) -> Vec<Line> {
        let (lane, rows_max) = (filter.component.as_deref(), rows_max.min(ROWS_MAX));
        latest(rows_max, &self.all(), |kept| {
            kept.lines.latest(lane, before, rows_max, |line| filter.fits(line))
        })
    }

    /// The call with the id of a span.
    pub fn invocation(&self, id: &str) -> Option<Invocation> {
        let id = hex_u128(id).filter(|_| id.len() == 16)? as u64;
        let is = |call: &Invocation| call.own.span_number() == id;
        let all = self.all();
        let of = |lanes: &Lanes<Invocation>| lanes.latest(None, None, 1, is).pop();
        let called = all.iter().find_map(|kept| of(&kept.invocations));
        called.or_else(|| all.iter().find_map(|kept| of(&kept.probes)))
    }

    /// The calls of a trace in the order in which they began, and the lines of these calls in the
    /// order in which they were written.
    pub fn trace(&self, trace_id: &str) -> (Vec<Invocation>, Vec<Line>) {
        let number = hex_u128(trace_id).filter(|_| trace_id.len() == 32);
        let of_trace = |call: &Invocation| Some(call.own.trace_number()) == number;
        let all = self.all();
        let mut calls =
            latest(ROWS_MAX, &all, |kept| kept.invocations.latest(None, None, ROWS_MAX, of_trace));
        let left = ROWS_MAX - calls.len();
        calls.extend(latest(left, &all, |kept| kept.probes.latest(None, None, left, of_trace)));
        // A guest's line knows its request only.
        let of_calls = |line: &Line| {
            let request = line.request_id.as_deref();
            line.trace_id.as_deref() == Some(trace_id)
                || request.is_some_and(|id| calls.iter().any(|call| *call.request_id == *id))
        };
        let mut lines =
            latest(ROWS_MAX, &all, |kept| kept.lines.latest(None, None, ROWS_MAX, of_calls));
        drop(all);
        calls.sort_by_key(|call| (call.began, call.number));
        lines.reverse();
        (calls, lines)
    }

    /// What happened after a number, at most a thousand things: the latest, if there were more.
    pub fn since(&self, number: u64) -> Since {
        let parts = self.all();
        let mut all: Vec<Happened> = Vec::new();
        for kept in &parts {
            all.extend(
                kept.invocations.since(number, ROWS_MAX).into_iter().map(Happened::Invocation),
            );
            all.extend(kept.probes.since(number, ROWS_MAX).into_iter().map(Happened::Invocation));
            all.extend(kept.lines.since(number, ROWS_MAX).into_iter().map(Happened::Line));
        }
        let last = self.last.load(Ordering::Relaxed);
        drop(parts);
        all.sort_by_key(Happened::number);
        let too_many = all.len().saturating_sub(ROWS_MAX);
        all.drain(..too_many);
        let happened = last.saturating_sub(number);
        Since { last, missed: happened.saturating_sub(all.len() as u64), all }
    }
}

fn lock(part: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The latest that were found in all parts, at most so many.
fn latest<E: Entry>(
    rows_max: usize,
    parts: &[MutexGuard<'_, Kept>],
    find: impl Fn(&Kept) -> Vec<E>,
) -> Vec<E> {
    let mut found: Vec<_> = parts.iter().flat_map(|kept| find(kept)).collect();
    found.sort_by_key(|entry| std::cmp::Reverse(entry.number()));
    found.truncate(rows_max);
    found
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn line(message: &str) -> Line {
        Line {
            number: 0,
            at: SystemTime::UNIX_EPOCH,
            level: "info",
            target: "test",
            message: message.to_owned(),
            component: None,
            request_id: None,
            trace_id: None,
            span_id: None,
            more: Vec::new(),
        }
    }

    #[test]
    fn who_reads_misses_nothing_that_threads_tell_apart_from_each_other() {
        const EACH: usize = 500;
        let ring = Ring::of(3);
        let mut seen = Vec::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let ring = &ring;
                scope.spawn(move || {
                    keep_apart(thread);
                    (0..EACH).for_each(|_| ring.keep_line(line("said")));
                });
            }
            let mut last = 0;
            while last < 4 * EACH as u64 {
                let since = ring.since(last);
                assert_eq!(since.missed, since.last - last - since.all.len() as u64);
                // What came between two looks may be more than one answer has.
                seen.extend(since.all.iter().map(Happened::number));
                assert!(since.missed == 0 || since.all.len() == ROWS_MAX);
                last = since.last;
            }
        });
        assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(seen.last(), Some(&(4 * EACH as u64)));
    }

    #[test]
    fn the_latest_of_all_parts_come_first() {
        let ring = Ring::of(2);
        for (part, message) in [(0, "1"), (1, "2"), (1, "3"), (0, "4"), (3, "5")] {
            keep_apart(part);
            ring.keep_line(line(message));
        }
        let said = |before, rows_max| {
            let lines = ring.lines(&LineFilter::default(), before, rows_max);
            lines.iter().map(|line| line.message.clone()).collect::<String>()
        };
        assert_eq!(said(None, 9), "54321");
        assert_eq!(said(None, 3), "543");
        assert_eq!(said(Some(4), 2), "32");
        assert_eq!(ring.last(), 5);
    }
}
