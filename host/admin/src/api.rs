//! The answers of `/api/v1`, as JSON. Numbers carry their unit in the name; nothing here is secret
//! to operators, and nothing here is a secret.

use crate::{Condition, Facts};
use nexus_observability::ProcessSample;
use nexus_runtime::{ComponentManifest, ComponentSnapshot, Isolation, Limits};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn health() -> Value {
    json!({ "status": "live" })
}

pub(crate) fn ready(facts: &Facts) -> Value {
    json!({ "status": "ready", "conditions": conditions(facts) })
}

fn conditions(facts: &Facts) -> Value {
    let all = facts.0.conditions.all().into_iter().map(|(name, condition)| match condition {
        Condition::Met(words) => json!({ "name": name, "met": true, "detail": words }),
        Condition::Waiting(words) => json!({ "name": name, "met": false, "detail": words }),
    });
    all.collect()
}

pub(crate) fn host(facts: &Facts) -> Value {
    let mut host = json!({
        "version": facts.0.version,
        "started_at_unix_seconds": unix_seconds(Some(facts.0.started_at)),
        "uptime_seconds": facts.0.started.elapsed().as_secs_f64(),
        "ready": facts.0.conditions.why_not_ready().is_none(),
        "conditions": conditions(facts),
        "process": process(),
    });
    if let Some(runtime) = facts.runtime() {
        let active = runtime.active();
        let engine = runtime.engine_snapshot();
        host["application"] = json!({ "name": active.application, "version": active.version });
        host["generation"] = active.generation.into();
        host["shards"] = runtime.shards().into();
        host["engine"] = json!({
            "hash": engine.compatibility,
            "cache_hits": engine.cache_hits,
            "cache_misses": engine.cache_misses,
            "component_instances": engine.component_instances,
            "component_instances_max": facts.0.pool_slots_max,
            "core_instances": engine.core_instances,
            "memories": engine.memories,
            "tables": engine.tables,
            "stacks": engine.stacks,
        });
    }
    for source in facts.all_sources() {
        host[source.name()] = source.describe();
    }
    host
}

fn process() -> Value {
    let sample = ProcessSample::read();
    json!({
        "id": std::process::id(),
        "resident_bytes": sample.resident_bytes,
        "virtual_bytes": sample.virtual_bytes,
        "cpu_seconds": sample.cpu.map(|cpu| cpu.as_secs_f64()),
        "open_fds": sample.open_fds,
        "open_fds_max": sample.max_fds,
        "threads": sample.threads,
        "started_at_unix_seconds": unix_seconds(sample.started),
    })
}

fn unix_seconds(time: Option<SystemTime>) -> Value {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(Value::Null, |since| since.as_secs().into())
}

pub(crate) fn components(facts: &Facts) -> Value {
    let snapshots = facts.runtime().map(|runtime| runtime.snapshot()).unwrap_or_default();
    let all: Vec<_> = snapshots.iter().map(|snapshot| describe(facts, snapshot)).collect();
    json!({ "components": all })
}

/// None when the manifest has no component of this name.
pub(crate) fn component(facts: &Facts, name: &str) -> Option<Value> {
    let snapshots = facts.runtime()?.snapshot();
    let found = snapshots.iter().find(|snapshot| snapshot.component.as_str() == name)?;
    Some(describe(facts, found))
}

fn describe(facts: &Facts, snapshot: &ComponentSnapshot) -> Value {
    let red = facts.samples().of(snapshot.component.as_str());
    let mut component = json!({
        "id": snapshot.component.as_str(),
        "state": if snapshot.inactive_reason.is_some() { "inactive" } else { "active" },
        "revision": snapshot.revision,
        "number": snapshot.number,
        "calls": snapshot.counts.calls,
        "failures": {
            "traps": snapshot.counts.traps,
            "timeouts": snapshot.counts.timeouts,
            "cpu_kills": snapshot.counts.cpu_kills,
            "refused": snapshot.counts.refused,
            "other": snapshot.counts.failures,
        },
        "inflight": snapshot.inflight,
        "queued": snapshot.queued,
        "instances": snapshot.instances,
        "instances_created": snapshot.counts.instances_created,
        "memory_bytes": snapshot.memory_bytes,
        "cpu_seconds": snapshot.counts.cpu_seconds,
        "server_errors": snapshot.counts.server_errors,
        "red": red.to_json(),
        "p50_seconds": red.p50_seconds,
        "p99_seconds": red.p99_seconds,
        "log_lines_dropped": snapshot.counts.log_lines_dropped,
    });
    if let Some(reason) = &snapshot.inactive_reason {
        component["reason"] = reason.as_ref().into();
    }
    let Some(manifest) = facts.manifest() else {
        return component;
    };
    let of_it = manifest.routes.iter().filter(|route| route.component == snapshot.component);
    let routes = of_it.filter_map(|route| route.pattern.clone());
    component["routes"] = routes.collect::<Vec<_>>().into();
    if let Some(found) = manifest.components.iter().find(|c| c.id == snapshot.component) {
        component["limits"] = limits(&found.limits);
        component["grants"] = grants(found);
    }
    component
}

/// Under the names that the manifest uses.
fn limits(limits: &Limits) -> Value {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    json!({
        "wall_ms": ms(limits.wall),
        "cpu_ms": ms(limits.cpu),
        "first_byte_ms": ms(limits.first_byte),
        "stream_idle_ms": ms(limits.stream_idle),
        "memory_mib": limits.memory_mib,
        "body_in_bytes": limits.body_in_bytes,
        "body_out_bytes": limits.body_out_bytes,
        "inflight_max": limits.inflight_max,
        "queue_max": limits.queue_max,
        "outbound_max": limits.outbound_max,
        "reuse_max": limits.reuse_max,
        "concurrency_max": limits.concurrency_max,
    })
}

/// Names of what is granted; values of variables are never shown.
fn grants(component: &ComponentManifest) -> Value {
    let mut grants = Map::new();
    let isolation = match component.isolation {
        Isolation::Shared => "shared",
        Isolation::Fresh => "fresh",
    };
    grants.insert("isolation".into(), isolation.into());
    let names: Vec<_> = component.variables.keys().cloned().collect();
    grants.insert("variables".into(), names.into());
    for (name, list) in [
        ("allowed_outbound_hosts", &component.allowed_outbound_hosts),
        ("key_value_stores", &component.key_value_stores),
        ("buckets", &component.buckets),
    ] {
        grants.insert(name.into(), list.clone().into());
    }
    Value::Object(grants)
}
