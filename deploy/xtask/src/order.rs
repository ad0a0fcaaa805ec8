//! `cargo xtask order`: which functions services call most. Has the probe `measured` count its own
//! while it is asked for what services are asked for, and writes the list by which `nexus-layout`
//! puts functions in order. Refuses to know how calls are counted.

use crate::doctor::{self, Purpose};
use crate::stage::{self, Wanted};
use crate::workspace::{Workspace, write_if_changed};
use crate::{guests, progress, shell};
use anyhow::{Context as _, Result, ensure};

/// It does a bit of all that services do.
const COUNTED: &str = "probe-measured";

const LIST: &str = "host/layout/src/function-order.txt";

/// # Errors
/// When something cannot be built, started or asked.
pub fn run(ws: &Workspace) -> Result<()> {
    doctor::ensure(ws, Purpose::Run)?;
    stage::build(ws, &Wanted { name: Some("nexus".into()), ..Wanted::default() })?;
    let probe = ws.guests().into_iter().find(|guest| guest.name == COUNTED);
    let probe = probe.with_context(|| format!("there is no guest {COUNTED}"))?;
    let built = guests::build(ws, &[probe])?.remove(COUNTED).context("the guest was built")?;
    let mut peers = shell::cargo(&ws.root);
    peers.args(["run", "-q", "-p", "peers", "--bin", "peers", "order", "--guest"]).arg(built);
    let list = progress::stage("count calls", || shell::capture(&mut peers))?;
    let names = list.lines().count();
    ensure!(names > 0, "no function was called");
    let changed = write_if_changed(&ws.root.join(LIST), list.as_bytes())?;
    eprintln!("    {LIST}: {names} names{}", if changed { "" } else { ", as before" });
    Ok(())
}
