//! What was counted, for metrics and operators: by component since the host started, and by
//! revision. A component's counts go on when its revision is replaced.

use crate::fleet::Fleet;
use crate::latency::LatencyHistogram;
use crate::manifest::ComponentId;
use crate::revision::Revision;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Counters of one component since the host started; for metrics and the admin API.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub calls: u64,
    /// What the guest itself says went wrong: answers of 5xx, messages it could not take.
    pub server_errors: u64,
    pub failures: u64,
    pub traps: u64,
    /// Calls that waited too long, for their first byte or their end.
    pub timeouts: u64,
    /// Calls that computed longer than `cpu_ms`.
    pub cpu_kills: u64,
    pub refused: u64,
    pub instances_created: u64,
    pub cpu_seconds: f64,
    pub log_lines_dropped: u64,
}

/// One component: what was counted, and how it is now.
#[derive(Debug, Clone)]
pub struct ComponentSnapshot {
    pub component: ComponentId,
    /// SHA-256 of the bytes of the revision with the greatest share, hex; empty when none is
    /// served.
    pub revision: String,
    /// Its number.
    pub number: u32,
    /// Why it is not active, if it is not.
    pub inactive_reason: Option<Arc<str>>,
    pub counts: Counts,
    pub inflight: u32,
    pub queued: u32,
    pub instances: u32,
    pub memory_bytes: u64,
}

/// One revision that is served, or still has calls to finish.
#[derive(Debug, Clone)]
pub struct RevisionSnapshot {
    pub component: ComponentId,
    pub number: u32,
    /// SHA-256 of its bytes, hex.
    pub digest: String,
    /// Its share of the calls, per 10,000.
    pub weight: u16,
    /// It is no longer served.
    pub draining: bool,
    pub counts: Counts,
    pub inflight: u32,
    /// Alive now.
    pub instances: u32,
    /// Until an answer began, of calls that were answered.
    pub latency: LatencyHistogram,
}

/// Revisions that are not served any more.
#[derive(Default)]
pub(crate) struct Past {
    /// Somebody may still have them in hands.
    draining: Vec<Arc<Revision>>,
    /// What those that are gone have counted.
    gone: HashMap<ComponentId, Counts>,
}

impl Past {
    /// `before` was replaced by `now`.
    pub(crate) fn keep(
        &mut self,
        component: &ComponentId,
        before: Option<&Fleet>,
        now: Option<&Fleet>,
    ) {
        let served = |revision: &Arc<Revision>| {
            let now = now.map_or(&[][..], Fleet::revisions);
            now.iter().any(|one| Arc::ptr_eq(&one.revision, revision))
        };
        self.draining.retain(|revision| revision.manifest.id != *component || !served(revision));
        let before = before.map_or(&[][..], Fleet::revisions).iter();
        let left = before.map(|one| &one.revision).filter(|revision| !served(revision));
        self.draining.extend(left.cloned());
        self.forget();
    }

    /// What nobody but this list knows is gone: it can neither be served again nor count on.
    fn forget(&mut self) {
        let (gone, draining): (Vec<_>, Vec<_>) =
            self.draining.drain(..).partition(|revision| Arc::strong_count(revision) == 1);
        self.draining = draining;
        for revision in gone {
            let counts = self.gone.entry(revision.manifest.id.clone()).or_default();
            counts.add(&Counts::of(&revision));
        }
    }

    /// Those that have not finished.
    pub(crate) fn draining(&mut self) -> impl Iterator<Item = &Arc<Revision>> {
        self.forget();
        self.draining.iter().filter(|revision| revision.inflight() > 0)
    }
}

impl Counts {
    fn of(revision: &Revision) -> Self {
        let c = &revision.counters;
        Self {
            calls: c.calls.load(Relaxed),
            server_errors: c.server_errors.load(Relaxed),
            failures: c.failures.load(Relaxed),
            traps: c.traps.load(Relaxed),
            timeouts: c.timeouts.load(Relaxed),
            cpu_kills: c.cpu_kills.load(Relaxed),
            refused: c.refused.load(Relaxed),
            instances_created: c.instances_created.load(Relaxed),
            cpu_seconds: c.cpu_nanos.load(Relaxed) as f64 / 1e9,
            log_lines_dropped: revision.gate.dropped(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.server_errors += other.server_errors;
        self.failures += other.failures;
        self.traps += other.traps;
        self.timeouts += other.timeouts;
        self.cpu_kills += other.cpu_kills;
        self.refused += other.refused;
        self.instances_created += other.instances_created;
        self.cpu_seconds += other.cpu_seconds;
        self.log_lines_dropped += other.log_lines_dropped;
    }
}

impl ComponentSnapshot {
    pub(crate) fn of(component: &ComponentId, fleet: &Fleet, past: &Past) -> Self {
        let lead = fleet.lead();
        let served = fleet.revisions().iter().map(|one| &one.revision);
        Self {
            revision: lead.digest.clone(),
            number: lead.number(),
            ..Self::sum(component, served.chain(past.of(component)), past)
        }
    }

    pub(crate) fn inactive(component: &ComponentId, reason: Arc<str>, past: &Past) -> Self {
        Self { inactive_reason: Some(reason), ..Self::sum(component, past.of(component), past) }
    }

    fn sum<'a>(
        component: &ComponentId,
        revisions: impl Iterator<Item = &'a Arc<Revision>>,
        past: &Past,
    ) -> Self {
        let mut sum = Self {
            component: component.clone(),
            revision: String::new(),
            number: 0,
            inactive_reason: None,
            counts: past.gone.get(component).cloned().unwrap_or_default(),
            inflight: 0,
            queued: 0,
            instances: 0,
            memory_bytes: 0,
        };
        for revision in revisions {
            sum.counts.add(&Counts::of(revision));
            sum.inflight += revision.inflight();
            sum.queued += revision.counters.queued.load(Relaxed);
            sum.instances += revision.counters.instances.load(Relaxed);
            sum.memory_bytes += revision.memory.used();
        }
        sum
    }
}

impl Past {
    fn of(&self, component: &ComponentId) -> impl Iterator<Item = &Arc<Revision>> {
        self.draining.iter().filter(move |revision| revision.manifest.id == *component)
    }
}

impl RevisionSnapshot {
    pub(crate) fn of(revision: &Revision, weight: u16, draining: bool) -> Self {
        Self {
            component: revision.manifest.id.clone(),
            number: revision.number(),
            digest: revision.digest.clone(),
            weight,
            draining,
            counts: Counts::of(revision),
            inflight: revision.inflight(),
            instances: revision.counters.instances.load(Relaxed),
            latency: revision.latency.read(),
        }
    }
}
