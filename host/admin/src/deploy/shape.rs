//! How artifacts, revisions, rollouts and hosts look as JSON.

use crate::operate::instant::{maybe, text};
use nexus_rollout::{Plan, Stored};
use nexus_storage::rollouts::{
    ArtifactRow, Change, EventRow, FreezeRow, HostRow, RevisionRow, RolloutRow, Weights,
};
use serde_json::{Map, Value, json};

pub(super) fn stored(stored: &Stored) -> Value {
    let mut value = artifact(&stored.artifact);
    value["existed"] = stored.existed.into();
    value
}

pub(super) fn artifact(row: &ArtifactRow) -> Value {
    let names = row.migrations.as_array().into_iter().flatten();
    let names: Value = names.map(|one| one["name"].clone()).collect();
    json!({
        "digest": row.digest,
        "component": row.component,
        "version": row.version,
        "wasm_digest": row.wasm_digest,
        "size_bytes": row.size_bytes,
        "signature": { "state": row.signature, "key_id": row.key_id },
        "imports": row.imports,
        "exports": row.exports,
        "migrations": names,
        "has_fragment": row.fragment.is_some(),
        "created_at": text(row.created_at),
        "created_by": row.created_by,
    })
}

/// Without its fragment: a list would be long.
pub(super) fn revision(row: &RevisionRow) -> Value {
    json!({
        "component": row.component,
        "number": row.number,
        "artifact": row.artifact,
        "wasm_digest": row.wasm,
        "version": row.version,
        "origin": row.origin,
        "configuration": row.configuration,
        "created_at": text(row.created_at),
        "created_by": row.created_by,
        "note": row.note,
        "weight": row.weight,
    })
}

/// A rollout with the words of its plan.
pub(super) fn rollout(row: &RolloutRow) -> Value {
    let plan: Plan = serde_json::from_value(row.plan.clone()).unwrap_or_default();
    json!({
        "id": row.id,
        "component": row.component,
        "revision": row.revision,
        "from": row.baseline,
        "before": row.before.as_ref().map(weights),
        "kind": row.kind,
        "strategy": plan.name(),
        "state": row.state.as_str(),
        "onward": row.onward.map(|state| state.as_str()),
        "weight": row.weight,
        "steps": plan.steps,
        "step_seconds": plan.step_seconds,
        "gates": plan.gates,
        "step": row.step,
        "entered_at": text(row.entered_at),
        "settled_at": maybe(row.settled_at),
        "reason": row.reason,
        "note": row.note,
        "by": row.created_by,
        "created_at": text(row.created_at),
        "finished_at": maybe(row.finished_at),
    })
}

pub(super) fn event(row: &EventRow) -> Value {
    json!({
        "at": text(row.at),
        "state": row.state.as_str(),
        "weight": row.weight,
        "words": row.words,
        "by": row.by,
    })
}

pub(super) fn change(row: &Change) -> Value {
    json!({
        "sequence": row.sequence,
        "weights": weights(&row.weights),
        "rollout": row.rollout,
        "reason": row.reason,
        "at": text(row.changed_at),
        "by": row.changed_by,
    })
}

pub(super) fn freeze(row: &FreezeRow) -> Value {
    json!({
        "id": row.id,
        "component": row.component,
        "reason": row.reason,
        "by": row.created_by,
        "created_at": text(row.created_at),
    })
}

pub(super) fn host(row: &HostRow) -> Value {
    let failures = row.failures.iter();
    let failures: Vec<Value> = failures
        .map(|(component, reason)| json!({ "component": component, "reason": reason }))
        .collect();
    json!({
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "started_at": text(row.started_at),
        "heartbeat_at": text(row.heartbeat_at),
        "alive": row.is_alive,
        "generation": row.generation,
        "sequence": row.sequence,
        "failures": failures,
    })
}

pub(super) fn weights(weights: &Weights) -> Value {
    let entries = weights.iter().map(|(number, weight)| (number.to_string(), (*weight).into()));
    Value::Object(Map::from_iter(entries))
}
