//! What is asked of revisions, traffic, rollouts, freezes and hosts.

use super::{
    Asked, NO_REVISION, NO_ROLLOUT, NO_TRAFFIC, broken, cursor, failed, figures, ok, page, shape,
};
use crate::problems;
use nexus_runtime::{Problem, Response};
use nexus_storage::rollouts::State;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Changes of traffic that are shown with it.
const CHANGES_SHOWN: u32 = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
    cursor: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    component: Option<String>,
    state: Option<String>,
    limit: Option<u32>,
    cursor: Option<Uuid>,
}

impl Asked<'_> {
    pub(super) async fn revisions(&self, component: &str) -> Result<Response, Problem> {
        let Page { limit, cursor: before } = self.call.query()?;
        let limit = page(limit)?;
        let found = self.rollout.rollouts().revisions(component, before, limit).await;
        let found = found.map_err(broken)?;
        let last = || found.last().map(|row| row.number.to_string()).unwrap_or_default();
        let revisions: Vec<Value> = found.iter().map(shape::revision).collect();
        let next = cursor(found.len(), limit, last);
        Ok(ok(&json!({ "revisions": revisions, "cursor": next })))
    }

    pub(super) async fn revision(
        &self,
        component: &str,
        number: &str,
    ) -> Result<Response, Problem> {
        let number = number.parse().map_err(|_| NO_REVISION)?;
        let found = self.rollout.rollouts().revision(component, number).await.map_err(broken)?;
        let found = found.ok_or(NO_REVISION)?;
        let mut value = shape::revision(&found);
        value["fragment"] = found.fragment.into();
        Ok(ok(&value))
    }

    pub(super) async fn traffic(&self, component: &str) -> Result<Response, Problem> {
        let store = self.rollout.rollouts();
        let found = store.traffic(component).await.map_err(broken)?.ok_or(NO_TRAFFIC)?;
        let changes = store.changes(component, CHANGES_SHOWN).await.map_err(broken)?;
        let changes: Vec<Value> = changes.iter().map(shape::change).collect();
        Ok(ok(&json!({
            "component": component,
            "sequence": found.sequence,
            "weights": shape::weights(&found.weights),
            "changes": changes,
        })))
    }

    pub(super) async fn rollouts(&self) -> Result<Response, Problem> {
        let Filter { component, state, limit, cursor: after } = self.call.query()?;
        let state = match state.as_deref() {
            None => None,
            Some(word) => Some(State::of(word).ok_or(problems::QUERY.detail("no such state"))?),
        };
        let limit = page(limit)?;
        let found = self.rollout.rollouts().list(component.as_deref(), state, after, limit).await;
        let found = found.map_err(broken)?;
        let last = || found.last().map(|row| row.id.to_string()).unwrap_or_default();
        let rollouts: Vec<Value> = found.iter().map(shape::rollout).collect();
        let next = cursor(found.len(), limit, last);
        Ok(ok(&json!({ "rollouts": rollouts, "cursor": next })))
    }

    pub(super) async fn show(&self, id: &str) -> Result<Response, Problem> {
        let id: Uuid = id.parse().map_err(|_| NO_ROLLOUT)?;
        let store = self.rollout.rollouts();
        let found = store.rollout(id).await.map_err(broken)?.ok_or(NO_ROLLOUT)?;
        let events = store.events(id).await.map_err(broken)?;
        let mut value = shape::rollout(&found);
        value["events"] = events.iter().map(shape::event).collect();
        if !found.state.is_final() {
            value["figures"] = figures::of(store, &found).await.map_err(broken)?;
            value["hosts"] = figures::hosts(store, &found).await.map_err(broken)?;
        }
        Ok(ok(&value))
    }

    pub(super) async fn freezes(&self) -> Result<Response, Problem> {
        let found = self.rollout.rollouts().freezes().await.map_err(broken)?;
        let freezes: Vec<Value> = found.iter().map(shape::freeze).collect();
        Ok(ok(&json!({ "freezes": freezes, "cursor": Value::Null })))
    }

    pub(super) async fn hosts(&self) -> Result<Response, Problem> {
        let found = self.rollout.rollouts().hosts().await.map_err(failed)?;
        let hosts: Vec<Value> = found.iter().map(shape::host).collect();
        Ok(ok(&json!({ "hosts": hosts, "cursor": Value::Null })))
    }
}
