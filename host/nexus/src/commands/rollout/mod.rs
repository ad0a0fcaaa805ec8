//! Rollouts of a running host: what each command orders, and what people are told of it. Knows the
//! resource's fields; refuses to know when a rollout is good (the host's controller does).

mod deploy;
mod follow;
mod list;
mod traffic;

use super::Failure;
use super::host_api::{HostApi, MISSING};
use super::table::{cell, say, say_json};
use crate::config::{
    DeployOptions, FreezeOptions, HostOptions, PromoteOptions, RollbackOptions, RolloutCommand,
    RolloutOptions, TrafficOptions, UnfreezeOptions, VersionsOptions, WaitOptions,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) use list::{share, state_of};
pub(super) use traffic::whose;

pub(super) fn deploy(options: &DeployOptions) -> Result<(), Failure> {
    deploy::run(&Host::new(&options.host)?, options)
}

pub(super) fn promote(options: &PromoteOptions) -> Result<(), Failure> {
    let host = Host::new(&options.host)?;
    let id = host.under_way(&options.what)?;
    if options.dry_run {
        let rollout = host.api.get(&["rollouts", &id], &[])?;
        return host.describe(&rollout);
    }
    host.order(&id, "promote", "", options.wait)
}

pub(super) fn rollback(options: &RollbackOptions) -> Result<(), Failure> {
    let host = Host::new(&options.host)?;
    let order = json!({ "to": options.to, "reason": options.reason, "by": host.by,
        "dry_run": options.dry_run });
    let answer = host.api.post(&["components", &options.component, "rollback"], &order)?;
    match options.dry_run {
        false => host.ordered(&answer, options.wait),
        true if host.json => say_json(&answer),
        true => say(&deploy::plan_back(&options.component, &answer)),
    }
}

/// Follows rollouts to their ends, for so many seconds in all. What is answered is the caller's.
pub(super) fn follow<'a>(
    options: &HostOptions,
    rollouts: impl Iterator<Item = &'a str>,
    seconds: u32,
) -> Result<(), Failure> {
    let mut host = Host::new(options)?;
    host.is_quiet = true;
    let until = follow::Until::after(seconds);
    for id in rollouts {
        follow::until_over(&host, id, until)?;
    }
    Ok(())
}

pub(super) fn run(options: &RolloutOptions) -> Result<(), Failure> {
    let host = Host::new(&options.host)?;
    match &options.command {
        RolloutCommand::Ls { component, page } => list::rollouts(&host, component.clone(), page),
        RolloutCommand::Show { id, wait } if wait.wait => {
            follow::until_over(&host, &id.to_string(), follow::Until::after(wait.timeout))
        }
        RolloutCommand::Show { id, .. } => {
            host.describe(&host.api.get(&["rollouts", &id.to_string()], &[])?)
        }
        RolloutCommand::Pause { id, reason } => {
            host.order(&id.to_string(), "pause", reason, NO_WAIT)
        }
        RolloutCommand::Resume { id } => host.order(&id.to_string(), "resume", "", NO_WAIT),
        RolloutCommand::Abort { id, reason, wait } => {
            host.order(&id.to_string(), "abort", reason, *wait)
        }
    }
}

pub(super) fn versions(options: &VersionsOptions) -> Result<(), Failure> {
    let page =
        [("limit", Some(options.page.limit.to_string())), ("cursor", options.page.cursor.clone())];
    list::versions(&Host::new(&options.host)?, &options.component, &page)
}

pub(super) fn traffic(options: &TrafficOptions) -> Result<(), Failure> {
    traffic::run(&Host::new(&options.host)?, options)
}

pub(super) fn freeze(options: &FreezeOptions) -> Result<(), Failure> {
    traffic::freeze(&Host::new(&options.host)?, options)
}

pub(super) fn unfreeze(options: &UnfreezeOptions) -> Result<(), Failure> {
    traffic::unfreeze(&Host::new(&options.host)?, options)
}

const NO_WAIT: WaitOptions = WaitOptions { wait: false, timeout: 0 };

/// The host that is asked, and how its answers are shown.
struct Host {
    api: HostApi,
    json: bool,
    /// Says nothing of a good end.
    is_quiet: bool,
    by: String,
}

impl Host {
    fn new(options: &HostOptions) -> Result<Self, Failure> {
        let (api, by) = (HostApi::new(options)?, options.by.clone());
        Ok(Self { api, json: options.json, is_quiet: false, by })
    }

    /// Says a word to a rollout.
    fn order(&self, id: &str, verb: &str, reason: &str, wait: WaitOptions) -> Result<(), Failure> {
        let order = json!({ "reason": reason, "by": self.by });
        let answer = self.api.post(&["rollouts", id, verb], &order)?;
        self.ordered(&answer, wait)
    }

    /// What was ordered: shown, or followed to its end.
    fn ordered(&self, answer: &Value, wait: WaitOptions) -> Result<(), Failure> {
        let rollout = rollout_in(answer);
        let Some(id) = rollout["id"].as_str() else { return say_json(answer) };
        if wait.wait {
            return follow::until_over(self, id, follow::Until::after(wait.timeout));
        }
        self.describe(rollout)?;
        if !self.json && !is_over(rollout) {
            eprintln!("`nexus rollout show {id} --wait` follows it");
        }
        Ok(())
    }

    fn describe(&self, rollout: &Value) -> Result<(), Failure> {
        match self.json {
            true => say_json(rollout),
            false => list::describe(rollout),
        }
    }

    /// The rollout that a component or an id means.
    fn under_way(&self, what: &str) -> Result<String, Failure> {
        if what.parse::<Uuid>().is_ok() {
            return Ok(what.to_owned());
        }
        let query = [("component", Some(what.to_owned())), ("limit", Some("20".into()))];
        let answer = self.api.get(&["rollouts"], &query)?;
        let mut all = answer["rollouts"].as_array().into_iter().flatten();
        let found = all.find(|rollout| !is_over(rollout) || waits_staged(rollout));
        found.map(|rollout| cell(&rollout["id"])).ok_or_else(|| Failure::Told {
            words: format!(
                "no rollout of {what} is under way; `nexus versions {what}` lists its revisions, \
                 `nexus traffic {what} NUMBER=100` gives one of them all calls"
            ),
            code: MISSING,
        })
    }
}

/// How a rollout has ended: well, or otherwise in a sentence. None while it is under way.
pub(super) fn end_of(rollout: &Value) -> Option<Result<(), String>> {
    let end = || if is_good(rollout) { Ok(()) } else { Err(list::sentence(rollout)) };
    is_over(rollout).then(end)
}

/// An answer holds the rollout, or is it.
pub(super) fn rollout_in(answer: &Value) -> &Value {
    if answer["rollout"].is_object() { &answer["rollout"] } else { answer }
}

/// Whether nothing more happens to it by itself.
fn is_over(rollout: &Value) -> bool {
    let state = rollout["state"].as_str().unwrap_or_default();
    matches!(state, "done" | "rolled_back" | "failed" | "aborted") || waits_staged(rollout)
}

/// Staged, and nobody but an operator moves it on.
fn waits_staged(rollout: &Value) -> bool {
    rollout["state"] == "staged" && rollout["strategy"] == "stage"
}

/// Whether it has ended as its author wished.
fn is_good(rollout: &Value) -> bool {
    rollout["state"] == "done" || waits_staged(rollout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_revision_is_over_only_where_nothing_else_was_asked_for() {
        let rollout =
            |state: &str, strategy: Value| json!({ "state": state, "strategy": strategy });
        assert!(is_over(&rollout("staged", "stage".into())));
        assert!(is_good(&rollout("staged", "stage".into())));
        assert!(!is_over(&rollout("staged", json!({ "steps": [100, 10_000] }))));
        assert!(is_over(&rollout("rolled_back", "instant".into())));
        assert!(!is_good(&rollout("rolled_back", "instant".into())));
        assert!(!is_over(&rollout("paused", "instant".into())));
    }
}
