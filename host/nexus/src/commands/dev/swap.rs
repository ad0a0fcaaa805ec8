//! Bringing a build to the host: its archive is stored and becomes a revision that has all calls at
//! once. What is under way ends on the revision before.

use super::build::Built;
use crate::commands::Failure;
use crate::commands::host_api::HostApi;
use crate::commands::rollout::{end_of, rollout_in};
use crate::commands::table::cell;
use crate::config::HostOptions;
use anyhow::{Context as _, anyhow};
use serde_json::json;
use std::time::{Duration, Instant};

const ARCHIVE: &str = "application/vnd.oci.image.layout.v1.tar";
/// A developer waits.
const LOOK_EVERY: Duration = Duration::from_millis(25);
const SWAP_MAX: Duration = Duration::from_secs(120);

/// Returns when the host serves the build; says which revision it became.
///
/// # Errors
///
/// When the host refuses it or rolls it back; what it served, it serves still.
pub(super) fn swap(host: &HostOptions, built: &Built) -> Result<u64, Failure> {
    let api = HostApi::new(host)?;
    let shown = built.file.display();
    let bytes = std::fs::read(&built.file).with_context(|| format!("read {shown}"))?;
    let component = Some(built.component.clone());
    let stored = api.upload(&["artifacts"], &[("component", component)], ARCHIVE, bytes.into())?;
    let order = json!({ "artifact": stored["digest"], "strategy": "instant",
        "note": "nexus dev", "dry_run": false });
    let answer = api.post(&["components", &built.component, "deploy"], &order)?;
    let id = cell(&rollout_in(&answer)["id"]);
    let end = Instant::now() + SWAP_MAX;
    loop {
        let rollout = api.get(&["rollouts", &id], &[])?;
        // Every host serves it; what it replaced finishes its calls, which may be streams.
        if rollout["state"] == "draining" {
            return Ok(rollout["revision"].as_u64().unwrap_or_default());
        }
        match end_of(&rollout) {
            Some(Ok(())) => return Ok(rollout["revision"].as_u64().unwrap_or_default()),
            Some(Err(sentence)) => return Err(Failure::Other(anyhow!("{sentence}"))),
            None if Instant::now() > end => {
                return Err(Failure::Other(anyhow!("rollout {id} does not come to an end")));
            }
            None => std::thread::sleep(LOOK_EVERY),
        }
    }
}
