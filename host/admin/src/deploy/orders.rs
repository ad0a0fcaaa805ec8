//! What is ordered: rollouts begin, go on, stop and go back; traffic is set; changes are frozen.

use super::{Asked, NO_FREEZE, NO_ROLLOUT, accepted, broken, failed, failure, ok, reason, shape};
use crate::problems;
use nexus_rollout::{Deploy, Deployed, Strategy};
use nexus_runtime::{Problem, Response};
use nexus_storage::rollouts::{Verb, Weights};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeployOrder {
    artifact: Option<String>,
    revision: Option<u32>,
    strategy: Option<Value>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    override_freeze: bool,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    to: Option<u32>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shares {
    weights: BTreeMap<String, u16>,
    reason: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: Option<String>,
    #[serde(default)]
    override_freeze: bool,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreezeOrder {
    component: Option<String>,
    reason: String,
    by: Option<String>,
}

impl Asked<'_> {
    pub(super) async fn deploy(&self, component: &str) -> Result<Response, Problem> {
        let order: DeployOrder = self.call.order()?;
        let by = self.call.actor.by(order.by.as_deref())?;
        let strategy = match order.strategy {
            None | Some(Value::Null) => Strategy::default(),
            Some(strategy) => serde_json::from_value(strategy).map_err(|_| {
                problems::BODY.detail(
                    "strategy is \"instant\", \"stage\", \"canary\" or \
                     {steps, step_seconds, gates}",
                )
            })?,
        };
        let deploy = Deploy {
            artifact: order.artifact,
            revision: order.revision,
            strategy,
            note: reason(Some(&order.note))?.to_owned(),
            dry_run: order.dry_run,
            despite_freeze: order.override_freeze,
            by,
        };
        match self.rollout.deploy(component, &deploy).await.map_err(failure)? {
            Deployed::Begun(row) => {
                let (by, revision) = (&row.created_by, row.revision);
                tracing::info!(by, component, revision, "a rollout began");
                Ok(accepted(&json!({ "rollout": shape::rollout(&row) })))
            }
            planned @ Deployed::Planned { .. } => Ok(ok(&planned_as_json(planned))),
        }
    }

    pub(super) async fn roll_back(&self, component: &str) -> Result<Response, Problem> {
        let Back { to, reason: why, dry_run, by } = self.call.order()?;
        let by = self.call.actor.by(by.as_deref())?;
        if dry_run {
            let planned = self.rollout.plan_back(component, to).await.map_err(failure)?;
            let mut shown = planned_as_json(planned.1);
            shown["revision"] = planned.0.into();
            return Ok(ok(&shown));
        }
        let why = reason(why.as_deref())?;
        let row = self.rollout.roll_back(component, to, why, &by).await.map_err(failure)?;
        tracing::info!(by, component, revision = row.revision, "a component goes back");
        Ok(accepted(&json!({ "rollout": shape::rollout(&row) })))
    }

    pub(super) async fn set_traffic(&self, component: &str) -> Result<Response, Problem> {
        let Shares { weights, reason: why, by } = self.call.order()?;
        let by = self.call.actor.by(by.as_deref())?;
        let weights =
            weights.into_iter().map(|(number, weight)| Some((number.parse().ok()?, weight)));
        let weights: Option<Weights> = weights.collect();
        let weights = weights.ok_or(problems::BODY.detail("revisions are named by number"))?;
        let store = self.rollout.rollouts();
        if let Some(frozen) = store.frozen(component).await.map_err(broken)? {
            return Err(super::FROZEN.detail(frozen.reason));
        }
        let set = store.set_traffic(component, &weights, reason(why.as_deref())?, &by).await;
        let sequence = set.map_err(failed)?;
        self.rollout.stir();
        tracing::info!(by, component, ?weights, "traffic was set");
        let weights = shape::weights(&weights);
        Ok(ok(&json!({ "component": component, "sequence": sequence, "weights": weights })))
    }

    pub(super) async fn order_about(&self, id: &str, verb: &str) -> Result<Response, Problem> {
        let id: Uuid = id.parse().map_err(|_| NO_ROLLOUT)?;
        let verb = match verb {
            "promote" => Verb::Promote,
            "pause" => Verb::Pause,
            "resume" => Verb::Resume,
            "abort" => Verb::Abort,
            _ => return Err(problems::NOT_FOUND),
        };
        let Why { reason: why, override_freeze, by } = self.call.order()?;
        let by = self.call.actor.by(by.as_deref())?;
        let why = reason(why.as_deref())?;
        let ordered = self.rollout.rollouts().order(id, verb, &by, why, override_freeze).await;
        let row = ordered.map_err(failed)?;
        self.rollout.stir();
        tracing::info!(by, rollout = %id, verb = verb.as_str(), "a rollout was ordered about");
        Ok(accepted(&json!({ "rollout": shape::rollout(&row) })))
    }

    pub(super) async fn freeze(&self) -> Result<Response, Problem> {
        let FreezeOrder { component, reason: why, by } = self.call.order()?;
        let by = self.call.actor.by(by.as_deref())?;
        let store = self.rollout.rollouts();
        let frozen = store.freeze(component.as_deref(), reason(Some(&why))?, &by).await;
        let frozen = frozen.map_err(broken)?;
        tracing::info!(by, component, reason = why, "changes are frozen");
        Ok(ok(&shape::freeze(&frozen)))
    }

    pub(super) async fn thaw(&self, id: &str) -> Result<Response, Problem> {
        let id: Uuid = id.parse().map_err(|_| NO_FREEZE)?;
        let by = self.call.actor.by(None)?;
        match self.rollout.rollouts().thaw(id, &by).await.map_err(broken)? {
            true => Ok(ok(&json!({ "id": id, "lifted": true }))),
            false => Err(NO_FREEZE),
        }
    }
}

/// What would be done.
fn planned_as_json(planned: Deployed) -> Value {
    let Deployed::Planned { plan, changes, configuration, objections } = planned else {
        return Value::Null;
    };
    let mut diff = serde_json::to_value(&*changes).unwrap_or_default();
    diff["configuration"] = json!({ "from": configuration.0, "to": configuration.1 });
    diff["text"] = changes.to_string().into();
    let strategy = plan.name();
    json!({ "plan": plan, "strategy": strategy, "diff": diff, "objections": objections })
}
