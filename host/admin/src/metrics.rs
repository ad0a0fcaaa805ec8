//! `/metrics`: components, engine, process, conditions, and what every source adds. Rate, errors
//! and use per component; durations come with the trigger that measures them.

use crate::{Condition, Facts};
use nexus_observability::{Exposition, ProcessSample, otlp};
use nexus_runtime::{ComponentSnapshot, EngineSnapshot};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

pub(crate) fn render(facts: &Facts) -> String {
    page(facts).finish()
}

/// All numbers of this host as they are now.
pub(crate) fn page(facts: &Facts) -> Exposition {
    let mut page = Exposition::new();
    host(&mut page, facts);
    process(&mut page, &ProcessSample::read());
    if let Some(runtime) = facts.runtime() {
        engine(&mut page, &runtime.engine_snapshot(), facts.0.pool_slots_max);
        components(&mut page, &runtime.snapshot());
    }
    if facts.jobs().is_some() {
        facts.counts().measure(&mut page);
    }
    for source in facts.all_sources() {
        source.measure(&mut page);
    }
    page
}

/// The same numbers go to a collector, where the OpenTelemetry variables name one, until this host
/// has ended.
pub(crate) fn push(facts: &Facts) {
    let facts = Arc::downgrade(&facts.0);
    otlp::measured_by(move || facts.upgrade().map(|facts| page(&Facts(facts))));
}

fn host(page: &mut Exposition, facts: &Facts) {
    page.gauge("nexus_build_info", "The version of this host; the value is 1.")
        .sample(&[("version", facts.0.version)], 1.0);
    let ready = facts.0.conditions.why_not_ready().is_none();
    page.gauge("nexus_ready", "1 when the host is ready for requests.")
        .sample(&[], f64::from(u8::from(ready)));
    let mut family = page.gauge("nexus_condition_met", "1 for each condition of readiness met.");
    for (name, condition) in facts.0.conditions.all() {
        let met = matches!(condition, Condition::Met(_));
        family.sample(&[("condition", name)], f64::from(u8::from(met)));
    }
}

fn process(page: &mut Exposition, sample: &ProcessSample) {
    let started = sample.started.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let whole = |number: Option<u64>| number.map(|number| number as f64);
    for (name, help, value) in [
        ("resident_memory_bytes", "Memory in RAM.", whole(sample.resident_bytes)),
        ("virtual_memory_bytes", "Address space.", whole(sample.virtual_bytes)),
        ("open_fds", "Open file descriptors.", whole(sample.open_fds)),
        ("max_fds", "Limit of open file descriptors.", whole(sample.max_fds)),
        ("threads", "Threads.", whole(sample.threads)),
        (
            "start_time_seconds",
            "Start of the process since 1970 (UTC).",
            started.map(|since| since.as_secs_f64()),
        ),
    ] {
        if let Some(value) = value {
            page.gauge(&format!("nexus_process_{name}"), help).sample(&[], value);
        }
    }
    if let Some(cpu) = sample.cpu {
        page.counter("nexus_process_cpu_seconds_total", "CPU time, user and system.")
            .sample(&[], cpu.as_secs_f64());
    }
}

fn engine(page: &mut Exposition, engine: &EngineSnapshot, slots_max: u32) {
    let mut used = page.gauge("nexus_pool_slots", "Slots of the engine's pools in use.");
    for (kind, number) in [
        ("component_instances", engine.component_instances),
        ("core_instances", engine.core_instances),
        ("memories", engine.memories),
        ("tables", engine.tables),
        ("stacks", engine.stacks),
    ] {
        used.sample(&[("kind", kind)], number as f64);
    }
    page.gauge("nexus_pool_slots_max", "Component instances that the pool has room for.")
        .sample(&[("kind", "component_instances")], f64::from(slots_max));
    page.counter("nexus_aot_cache_hits_total", "Components loaded from compiled code.")
        .sample(&[], engine.cache_hits as f64);
    page.counter("nexus_aot_cache_misses_total", "Components that had to be compiled.")
        .sample(&[], engine.cache_misses as f64);
}

type Read = fn(&ComponentSnapshot) -> f64;

const COUNTERS: [(&str, &str, Read); 5] = [
    ("nexus_component_calls_total", "Calls begun.", |c| c.counts.calls as f64),
    ("nexus_component_server_errors_total", "Answers of 5xx, and messages not taken.", |c| {
        c.counts.server_errors as f64
    }),
    ("nexus_component_instances_created_total", "Instances made.", |c| {
        c.counts.instances_created as f64
    }),
    ("nexus_component_cpu_seconds_total", "CPU time of guest code.", |c| c.counts.cpu_seconds),
    ("nexus_component_log_lines_dropped_total", "Guest log lines above the limit.", |c| {
        c.counts.log_lines_dropped as f64
    }),
];

const GAUGES: [(&str, &str, Read); 5] = [
    ("nexus_component_active", "1 when the component can be called.", |c| {
        f64::from(u8::from(c.inactive_reason.is_none()))
    }),
    ("nexus_component_inflight", "Calls running now.", |c| f64::from(c.inflight)),
    ("nexus_component_queued", "Calls waiting now.", |c| f64::from(c.queued)),
    ("nexus_component_instances", "Instances alive now.", |c| f64::from(c.instances)),
    ("nexus_component_memory_bytes", "Linear memory of all instances.", |c| c.memory_bytes as f64),
];

fn components(page: &mut Exposition, all: &[ComponentSnapshot]) {
    for (name, help, read) in COUNTERS {
        let mut family = page.counter(name, help);
        for component in all {
            family.sample(&[("component", component.component.as_str())], read(component));
        }
    }
    for (name, help, read) in GAUGES {
        let mut family = page.gauge(name, help);
        for component in all {
            family.sample(&[("component", component.component.as_str())], read(component));
        }
    }
    let help = "Calls without a response of the component's own, by kind: trap (memory-limit \
                included), timeout (waited too long), cpu (computed longer than cpu_ms), refused \
                (saturated or no instance free), other.";
    let mut family = page.counter("nexus_component_failures_total", help);
    for component in all {
        for (kind, number) in [
            ("trap", component.counts.traps),
            ("timeout", component.counts.timeouts),
            ("cpu", component.counts.cpu_kills),
            ("refused", component.counts.refused),
            ("other", component.counts.failures),
        ] {
            let labels = [("component", component.component.as_str()), ("kind", kind)];
            family.sample(&labels, number as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conditions, Source};
    use nexus_observability::Scrape;
    use nexus_runtime::{ComponentId, Counts};

    fn snapshot(name: &str) -> ComponentSnapshot {
        ComponentSnapshot {
            component: ComponentId::new(name).unwrap(),
            revision: "abc".into(),
            number: 1,
            inactive_reason: None,
            counts: Counts {
                calls: 7,
                server_errors: 10,
                failures: 1,
                traps: 2,
                timeouts: 3,
                cpu_kills: 8,
                refused: 4,
                instances_created: 9,
                cpu_seconds: 0.5,
                log_lines_dropped: 0,
            },
            inflight: 5,
            queued: 6,
            instances: 2,
            memory_bytes: 1024,
        }
    }

    #[test]
    fn each_component_has_its_own_series_and_each_failure_its_kind() {
        let mut page = Exposition::new();
        components(&mut page, &[snapshot("hello"), snapshot("world")]);
        let scrape = Scrape::read(&page.finish()).unwrap();
        let hello = [("component", "hello")];
        assert_eq!(scrape.value("nexus_component_calls_total", &hello), Some(7.0));
        assert_eq!(scrape.value("nexus_component_cpu_seconds_total", &hello), Some(0.5));
        assert_eq!(scrape.value("nexus_component_active", &hello), Some(1.0));
        let kinds =
            [("trap", 2.0), ("timeout", 3.0), ("cpu", 8.0), ("refused", 4.0), ("other", 1.0)];
        for (kind, number) in kinds {
            let labels = [("component", "world"), ("kind", kind)];
            assert_eq!(scrape.value("nexus_component_failures_total", &labels), Some(number));
        }
    }

    #[test]
    fn a_host_that_is_still_starting_has_a_page_too() {
        struct Postgres;
        impl Source for Postgres {
            fn name(&self) -> &'static str {
                "postgresql"
            }
            fn measure(&self, page: &mut Exposition) {
                page.gauge("nexus_postgresql_connections", "Open.").sample(&[], 3.0);
            }
            fn describe(&self) -> serde_json::Value {
                serde_json::Value::Null
            }
        }
        let conditions = Conditions::default();
        conditions.set("postgresql", Condition::Waiting("away".into()));
        let facts = Facts::new("1.2.3", 100, conditions);
        facts.sources(vec![Box::new(Postgres)]);
        let scrape = Scrape::read(&render(&facts)).unwrap();
        assert_eq!(scrape.value("nexus_build_info", &[("version", "1.2.3")]), Some(1.0));
        assert_eq!(scrape.value("nexus_ready", &[]), Some(0.0));
        assert_eq!(scrape.value("nexus_condition_met", &[("condition", "postgresql")]), Some(0.0));
        assert_eq!(scrape.value("nexus_postgresql_connections", &[]), Some(3.0));
        assert!(scrape.value("nexus_process_resident_memory_bytes", &[]).unwrap() > 0.0);
        assert!(scrape.families().all(|name| name.starts_with("nexus_")));
    }
}
