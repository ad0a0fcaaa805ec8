//! What the queue and cron triggers tell operators. Depths are counted in the database, so that
//! every host of it shows the same: take the maximum over hosts, and the sum of what hosts count.
//!
//! Labels are bounded: a service that makes many queues at run time has one series for all of them.

use nexus_admin::Source;
use nexus_observability::Exposition;
use nexus_storage::queue::Depth;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use trigger_cron::{CronCounts, CronSnapshot, CronStats, LATENESS_BOUNDS};
use trigger_queue::{CLAIM_BOUNDS, QueueCounts, QueueSnapshot, QueueStats};

/// Queues made at run time that a service may have before they share their series.
const MADE_MAX: usize = 50;

/// The name under which they do.
const SHARED: &str = "(made at run time)";

/// The counters of the triggers, once they run; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Work {
    pub(crate) queue: Arc<OnceLock<QueueStats>>,
    pub(crate) cron: Arc<OnceLock<CronStats>>,
}

impl Work {
    pub(crate) fn sources(&self) -> [Box<dyn Source>; 2] {
        [Box::new(Queues(self.queue.clone())), Box::new(Cron(self.cron.clone()))]
    }
}

struct Queues(Arc<OnceLock<QueueStats>>);

struct Cron(Arc<OnceLock<CronStats>>);

/// By service and the queue's label.
type Labelled<T> = BTreeMap<(String, String), T>;

impl Source for Queues {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn measure(&self, page: &mut Exposition) {
        let Some(stats) = self.0.get() else { return };
        let snapshot = stats.snapshot();
        let labels = Labels::of(&snapshot.depths);
        depths(page, &labels.sum(&snapshot));
        jobs(page, &snapshot.depths);
        counts(page, &labels.counted(&snapshot));
        let help = "Leases that this host holds now.";
        page.gauge("nexus_queue_leases_held", help).sample(&[], snapshot.leases as f64);
        let help = "Rounds of the queue that failed: the database was away, or worse.";
        page.counter("nexus_queue_failures_total", help).sample(&[], snapshot.failures as f64);
    }

    fn describe(&self) -> Value {
        let Some(stats) = self.0.get() else { return Value::Null };
        let snapshot = stats.snapshot();
        let sum = |read: fn(&Depth) -> u64| snapshot.depths.iter().map(read).sum::<u64>();
        json!({
            "queues": snapshot.depths.len(),
            "ready": sum(|depth| depth.ready),
            "deferred": sum(|depth| depth.deferred),
            "leased": sum(|depth| depth.leased),
            "dead": sum(|depth| depth.dead),
            "leases_held": snapshot.leases,
        })
    }
}

/// Which queues share their series.
struct Labels<'a>(BTreeSet<(&'a str, &'a str)>);

#[derive(Default)]
struct Deep {
    ready: u64,
    deferred: u64,
    leased: u64,
    dead: u64,
    paused: u64,
    oldest_ready_seconds: f64,
}

impl<'a> Labels<'a> {
    fn of(depths: &'a [Depth]) -> Self {
        let mut made: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for depth in depths.iter().filter(|depth| depth.kind == "service") {
            made.entry(&depth.service).or_default().push(&depth.name);
        }
        made.retain(|_, names| names.len() > MADE_MAX);
        let pairs = made.into_iter().flat_map(|(s, names)| names.into_iter().map(move |n| (s, n)));
        Self(pairs.collect())
    }

    fn label(&self, service: &str, name: &str) -> (String, String) {
        let name = if self.0.contains(&(service, name)) { SHARED } else { name };
        (service.to_owned(), name.to_owned())
    }

    fn sum(&self, snapshot: &QueueSnapshot) -> Labelled<Deep> {
        let mut all: Labelled<Deep> = BTreeMap::new();
        for depth in &snapshot.depths {
            let deep = all.entry(self.label(&depth.service, &depth.name)).or_default();
            deep.ready += depth.ready;
            deep.deferred += depth.deferred;
            deep.leased += depth.leased;
            deep.dead += depth.dead;
            deep.paused += u64::from(depth.paused);
            deep.oldest_ready_seconds = deep.oldest_ready_seconds.max(depth.oldest_ready_seconds);
        }
        all
    }

    fn counted(&self, snapshot: &QueueSnapshot) -> Labelled<QueueCounts> {
        let mut all: Labelled<QueueCounts> = BTreeMap::new();
        for ((service, name), counts) in &snapshot.queues {
            let sum = all.entry(self.label(service, name)).or_default();
            add(sum, counts);
        }
        all
    }
}

fn add(sum: &mut QueueCounts, counts: &QueueCounts) {
    sum.claimed += counts.claimed;
    sum.redelivered += counts.redelivered;
    sum.acked += counts.acked;
    sum.retried += counts.retried;
    sum.released += counts.released;
    sum.rejected += counts.rejected;
    sum.dead += counts.dead;
    sum.stale += counts.stale;
    sum.expired += counts.expired;
    sum.claim_seconds += counts.claim_seconds;
    for (sum, bucket) in sum.claim_buckets.iter_mut().zip(counts.claim_buckets) {
        *sum += bucket;
    }
}

type Gauge = (&'static str, &'static str, fn(&Deep) -> f64);

const GAUGES: [Gauge; 6] = [
    ("nexus_queue_ready", "Messages that could be claimed now.", |d| d.ready as f64),
    ("nexus_queue_deferred", "Messages that wait for their time.", |d| d.deferred as f64),
    ("nexus_queue_leased", "Messages that somebody works on.", |d| d.leased as f64),
    ("nexus_queue_dead", "Dead letters.", |d| d.dead as f64),
    ("nexus_queue_paused", "Queues that are paused.", |d| d.paused as f64),
    ("nexus_queue_oldest_ready_seconds", "Age of the oldest message that is ready.", |d| {
        d.oldest_ready_seconds
    }),
];

fn depths(page: &mut Exposition, all: &Labelled<Deep>) {
    for (name, help, read) in GAUGES {
        let mut family = page.gauge(name, help);
        for ((service, queue), deep) in all {
            family.sample(&[("service", service), ("queue", queue)], read(deep));
        }
    }
}

/// By kind; a kind has a queue for each requirement.
fn jobs(page: &mut Exposition, depths: &[Depth]) {
    let mut kinds: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for depth in depths.iter().filter(|depth| depth.kind == "job") {
        let kind = depth.name.split(' ').next().unwrap_or_default();
        let sum = kinds.entry(kind).or_default();
        sum[0] += depth.ready + depth.deferred;
        sum[1] += depth.leased;
        sum[2] += depth.dead;
    }
    for (at, (name, help)) in [
        ("nexus_jobs_queued", "Jobs that wait for a worker."),
        ("nexus_jobs_running", "Jobs in the hands of workers."),
        ("nexus_jobs_dead", "Jobs that were given up and could be sent again."),
    ]
    .into_iter()
    .enumerate()
    {
        let mut family = page.gauge(name, help);
        for (kind, sum) in &kinds {
            family.sample(&[("queue", kind)], sum[at] as f64);
        }
    }
}

type Counter = (&'static str, &'static str, fn(&QueueCounts) -> u64);

const COUNTERS: [Counter; 9] = [
    ("nexus_queue_claimed_total", "Attempts: claims by this host.", |c| c.claimed),
    ("nexus_queue_redelivered_total", "Claims of messages claimed before.", |c| c.redelivered),
    ("nexus_queue_acked_total", "Messages that are done.", |c| c.acked),
    ("nexus_queue_retried_total", "Attempts that failed and are made again.", |c| c.retried),
    ("nexus_queue_released_total", "Messages given back without a try.", |c| c.released),
    ("nexus_queue_rejected_total", "Messages refused for good.", |c| c.rejected),
    ("nexus_queue_died_total", "Messages that became dead letters.", |c| c.dead),
    ("nexus_queue_stale_total", "Ends that came after the lease was lost.", |c| c.stale),
    ("nexus_queue_leases_expired_total", "Leases that lapsed and this host noticed.", |c| {
        c.expired
    }),
];

fn counts(page: &mut Exposition, all: &Labelled<QueueCounts>) {
    for (name, help, read) in COUNTERS {
        let mut family = page.counter(name, help);
        for ((service, queue), counts) in all {
            family.sample(&[("service", service), ("queue", queue)], read(counts) as f64);
        }
    }
    let help = "From when a message could be claimed to when it was.";
    let mut family = page.histogram("nexus_queue_pickup_seconds", help);
    for ((service, queue), counts) in all {
        let buckets: Vec<_> = CLAIM_BOUNDS.iter().copied().zip(counts.claim_buckets).collect();
        let over = counts.claim_buckets[CLAIM_BOUNDS.len()];
        let labels = [("service", service.as_str()), ("queue", queue.as_str())];
        family.observations(&labels, &buckets, over, counts.claim_seconds);
    }
}

impl Source for Cron {
    fn name(&self) -> &'static str {
        "cron"
    }

    fn measure(&self, page: &mut Exposition) {
        let Some(stats) = self.0.get() else { return };
        fires(page, &stats.snapshot());
    }

    fn describe(&self) -> Value {
        let Some(stats) = self.0.get() else { return Value::Null };
        let snapshot = stats.snapshot();
        let fired: u64 = snapshot.services.values().map(|counts| counts.fired).sum();
        json!({ "fired": fired, "ended": snapshot.ended, "failures": snapshot.failures })
    }
}

type Fires = (&'static str, &'static str, fn(&CronCounts) -> u64);

const FIRES: [Fires; 4] = [
    ("nexus_cron_fired_total", "Runs that this host has put into a queue.", |c| c.fired),
    ("nexus_cron_caught_up_total", "Runs that made up for missed ones.", |c| c.caught_up),
    ("nexus_cron_held_total", "Runs that wait for an earlier one.", |c| c.held),
    ("nexus_cron_lost_total", "Fires that another host was faster with.", |c| c.lost),
];

type Reasons = fn(&CronCounts) -> &BTreeMap<String, u64>;

fn fires(page: &mut Exposition, snapshot: &CronSnapshot) {
    for (name, help, read) in FIRES {
        let mut family = page.counter(name, help);
        for (service, counts) in &snapshot.services {
            family.sample(&[("service", service)], read(counts) as f64);
        }
    }
    let skipped = "Runs left out because an earlier one was not over, by reason.";
    let missed = "Instants that nobody was there for and that are not made up for, by reason.";
    for (name, help, read) in [
        ("nexus_cron_skipped_total", skipped, (|c| &c.skipped) as Reasons),
        ("nexus_cron_missed_total", missed, |c| &c.missed),
    ] {
        let mut family = page.counter(name, help);
        for (service, counts) in &snapshot.services {
            for (reason, number) in by_reason(read(counts)) {
                family.sample(&[("service", service), ("reason", &reason)], number as f64);
            }
        }
    }
    let help = "From an instant, with its jitter, to its fire.";
    let mut family = page.histogram("nexus_cron_lateness_seconds", help);
    for (service, counts) in &snapshot.services {
        let buckets: Vec<_> =
            LATENESS_BOUNDS.iter().copied().zip(counts.lateness_buckets).collect();
        let over = counts.lateness_buckets[LATENESS_BOUNDS.len()];
        family.observations(&[("service", service)], &buckets, over, counts.lateness_seconds);
    }
    let help = "Runs that this host has seen to have ended.";
    page.counter("nexus_cron_runs_ended_total", help).sample(&[], snapshot.ended as f64);
    let help = "Rounds of schedules that failed: the database was away, or worse.";
    page.counter("nexus_cron_failures_total", help).sample(&[], snapshot.failures as f64);
}

/// Reasons as labels: those that count something in their words are one.
fn by_reason(reasons: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (reason, number) in reasons {
        let full = reason.ends_with("already");
        let label = if full { "buffer full".into() } else { reason.replace('_', " ") };
        *all.entry(label).or_default() += number;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_observability::Scrape;
    use nexus_storage::queue::QueueId;

    fn depth(service: &str, name: &str, kind: &str, ready: u64) -> Depth {
        Depth {
            queue: QueueId(1),
            service: service.into(),
            name: name.into(),
            kind: kind.into(),
            paused: false,
            retired: false,
            ready,
            deferred: 2,
            leased: 1,
            dead: 3,
            oldest_ready_seconds: 1.5,
        }
    }

    fn counted(acked: u64) -> QueueCounts {
        let mut counts = QueueCounts { acked, claimed: acked, ..QueueCounts::default() };
        counts.claim_buckets[0] = acked;
        counts
    }

    #[test]
    fn queues_made_at_run_time_share_their_series_once_there_are_many() {
        let few = [depth("scheduler", "jobs-1", "service", 4)];
        assert_eq!(Labels::of(&few).label("scheduler", "jobs-1").1, "jobs-1");
        let made = (0..=MADE_MAX).map(|n| depth("scheduler", &format!("jobs-{n}"), "service", 4));
        let mut many: Vec<Depth> = made.collect();
        many.push(depth("scheduler", "schedules", "schedule", 7));
        let queues = [("jobs-0", 5), ("jobs-1", 6), ("schedules", 1)]
            .map(|(name, acked)| (("scheduler".into(), name.into()), counted(acked)));
        let snapshot = QueueSnapshot {
            depths: many.clone(),
            queues: queues.into(),
            ..QueueSnapshot::default()
        };
        let labels = Labels::of(&snapshot.depths);
        let mut page = Exposition::new();
        depths(&mut page, &labels.sum(&snapshot));
        counts(&mut page, &labels.counted(&snapshot));
        let scrape = Scrape::read(&page.finish()).unwrap();
        let value = |name: &str, queue: &str| {
            scrape.value(name, &[("service", "scheduler"), ("queue", queue)])
        };
        assert_eq!(value("nexus_queue_ready", SHARED), Some(4.0 * 51.0));
        assert_eq!(value("nexus_queue_ready", "schedules"), Some(7.0));
        assert_eq!(value("nexus_queue_ready", "jobs-1"), None);
        assert_eq!(value("nexus_queue_oldest_ready_seconds", SHARED), Some(1.5));
        assert_eq!(value("nexus_queue_acked_total", SHARED), Some(11.0));
        assert_eq!(value("nexus_queue_pickup_seconds_count", SHARED), Some(11.0));
    }

    #[test]
    fn jobs_are_counted_by_kind_whatever_they_require() {
        let depths = [
            depth("media-native", "probe", "job", 1),
            depth("media-native", "probe {\"gpu\": 1}", "job", 2),
        ];
        let mut page = Exposition::new();
        jobs(&mut page, &depths);
        let scrape = Scrape::read(&page.finish()).unwrap();
        let probe = [("queue", "probe")];
        assert_eq!(scrape.value("nexus_jobs_queued", &probe), Some(7.0));
        assert_eq!(scrape.value("nexus_jobs_running", &probe), Some(2.0));
        assert_eq!(scrape.value("nexus_jobs_dead", &probe), Some(6.0));
    }

    #[test]
    fn reasons_of_fires_are_few() {
        let mut counts = CronCounts { fired: 3, ..CronCounts::default() };
        let skipped = [("overlap", 1), ("100 wait already", 2), ("one waits already", 4)];
        counts.skipped = skipped.map(|(reason, number)| (reason.to_owned(), number)).into();
        let services = [("catalog".to_owned(), counts)].into();
        let mut page = Exposition::new();
        fires(&mut page, &CronSnapshot { services, ..CronSnapshot::default() });
        let scrape = Scrape::read(&page.finish()).unwrap();
        let skipped = |reason: &str| {
            let labels = [("service", "catalog"), ("reason", reason)];
            scrape.value("nexus_cron_skipped_total", &labels)
        };
        assert_eq!(skipped("overlap"), Some(1.0));
        assert_eq!(skipped("buffer full"), Some(6.0));
        assert_eq!(scrape.value("nexus_cron_fired_total", &[("service", "catalog")]), Some(3.0));
    }

    #[test]
    fn before_the_triggers_run_there_is_nothing_to_tell() {
        let mut page = Exposition::new();
        Queues(Arc::default()).measure(&mut page);
        Cron(Arc::default()).measure(&mut page);
        assert!(!page.finish().contains("nexus_queue_"));
        assert_eq!(Queues(Arc::default()).describe(), Value::Null);
    }
}
