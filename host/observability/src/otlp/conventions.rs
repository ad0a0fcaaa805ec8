//! Which of our numbers the semantic conventions have a name for, and what they are called then.
//! Refuses to stretch a meaning: what no convention means keeps its own name, and where ours is not
//! quite what the convention says, the description of the number says so.
//! Source: OpenTelemetry semantic conventions 1.3x: HTTP (stable), FaaS, messaging, database client
//! and process metrics (in development).

use crate::work::SYSTEM;

/// How one of our families is told.
pub(super) struct Convention {
    pub(super) family: &'static str,
    pub(super) name: &'static str,
    /// As UCUM writes it.
    pub(super) unit: &'static str,
    /// Our labels by their names there. One that is not here keeps its name.
    pub(super) labels: &'static [(&'static str, &'static str)],
    /// What is the same for all series.
    pub(super) fixed: &'static [(&'static str, &'static str)],
    pub(super) which: Which,
}

/// Which series of a family are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those with this value of a label, which is then not told.
    With(&'static str, &'static str),
    /// The others.
    Without(&'static str, &'static str),
}

impl Convention {
    const fn new(family: &'static str, name: &'static str, unit: &'static str) -> Self {
        Self { family, name, unit, labels: &[], fixed: &[], which: Which::All }
    }

    const fn labels(mut self, labels: &'static [(&'static str, &'static str)]) -> Self {
        self.labels = labels;
        self
    }

    const fn fixed(mut self, fixed: &'static [(&'static str, &'static str)]) -> Self {
        self.fixed = fixed;
        self
    }

    const fn which(mut self, which: Which) -> Self {
        self.which = which;
        self
    }

    /// The name of a label; None for one that says nothing any more.
    pub(super) fn label<'a>(&self, ours: &'a str) -> Option<&'a str> {
        if matches!(self.which, Which::With(label, _) if label == ours) {
            return None;
        }
        let found = self.labels.iter().find(|(known, _)| *known == ours);
        Some(found.map_or(ours, |(_, name)| *name))
    }

    pub(super) fn means(&self, labels: &[(String, String)]) -> bool {
        let has = |label: &str, value: &str| labels.iter().any(|(l, v)| l == label && v == value);
        match self.which {
            Which::All => true,
            Which::With(label, value) => has(label, value),
            Which::Without(label, value) => !has(label, value),
        }
    }
}

const OF_A_COMPONENT: &[(&str, &str)] = &[("component", "faas.name")];
const OF_A_FAILURE: &[(&str, &str)] = &[("component", "faas.name"), ("kind", "error.type")];
const OF_A_QUEUE: &[(&str, &str)] = &[
    ("service", "messaging.consumer.group.name"),
    ("queue", "messaging.destination.subscription.name"),
];
const CONSUMED: &[(&str, &str)] =
    &[("messaging.system", SYSTEM), ("messaging.operation.name", "process")];
const OF_A_POOL: &[(&str, &str)] = &[("pool", "db.client.connection.pool.name")];
const OF_CONNECTIONS: &[(&str, &str)] =
    &[("pool", "db.client.connection.pool.name"), ("state", "db.client.connection.state")];
const POSTGRESQL: &[(&str, &str)] = &[("db.system.name", "postgresql")];

/// All of them; `deploy/docs/runbooks/telemetry.md` has the same table.
pub(super) const CONVENTIONS: [Convention; 14] = [
    Convention::new("nexus_http_request_duration_seconds", "http.server.request.duration", "s")
        .labels(OF_A_COMPONENT),
    Convention::new("nexus_component_calls_total", "faas.invocations", "{invocation}")
        .labels(OF_A_COMPONENT),
    Convention::new("nexus_component_failures_total", "faas.errors", "{error}")
        .labels(OF_A_FAILURE)
        .which(Which::Without("kind", "timeout")),
    Convention::new("nexus_component_failures_total", "faas.timeouts", "{timeout}")
        .labels(OF_A_COMPONENT)
        .which(Which::With("kind", "timeout")),
    Convention::new("nexus_component_instances_created_total", "faas.coldstarts", "{coldstart}")
        .labels(OF_A_COMPONENT),
    Convention::new("nexus_queue_claimed_total", "messaging.client.consumed.messages", "{message}")
        .labels(OF_A_QUEUE)
        .fixed(CONSUMED),
    Convention::new("nexus_postgresql_connections", "db.client.connection.count", "{connection}")
        .labels(OF_CONNECTIONS)
        .fixed(POSTGRESQL),
    Convention::new(
        "nexus_postgresql_waiting",
        "db.client.connection.pending_requests",
        "{request}",
    )
    .labels(OF_A_POOL)
    .fixed(POSTGRESQL),
    Convention::new(
        "nexus_postgresql_saturated_total",
        "db.client.connection.timeouts",
        "{timeout}",
    )
    .labels(OF_A_POOL)
    .fixed(POSTGRESQL),
    Convention::new("nexus_process_cpu_seconds_total", "process.cpu.time", "s"),
    Convention::new("nexus_process_resident_memory_bytes", "process.memory.usage", "By"),
    Convention::new("nexus_process_virtual_memory_bytes", "process.memory.virtual", "By"),
    Convention::new("nexus_process_threads", "process.thread.count", "{thread}"),
    Convention::new(
        "nexus_process_open_fds",
        "process.unix.file_descriptor.count",
        "{file_descriptor}",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_families_are_told_under_one_name() {
        let names: BTreeSet<_> = CONVENTIONS.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), CONVENTIONS.len());
    }

    #[test]
    fn the_runbook_has_the_same_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/docs/runbooks/telemetry.md");
        let page = std::fs::read_to_string(page).unwrap();
        for one in &CONVENTIONS {
            let line = page.lines().find(|line| {
                line.starts_with("| `") && line.contains(&format!("| `{}` |", one.name))
            });
            let line = line.unwrap_or_else(|| panic!("the runbook does not know {}", one.name));
            assert!(line.contains(&format!("| `{}", one.family)), "{line}");
            assert!(line.contains(&format!("| `{}` |", one.unit)), "{line}");
            let labels = one.labels.iter().map(|(_, name)| name);
            for name in labels.chain(one.fixed.iter().map(|(name, _)| name)) {
                assert!(line.contains(&format!("`{name}`")), "{name}: {line}");
            }
        }
        let rows = page.lines().filter(|line| line.starts_with("| `nexus_")).count();
        assert_eq!(rows, CONVENTIONS.len());
    }
}
