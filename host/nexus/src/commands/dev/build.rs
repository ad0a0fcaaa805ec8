//! Building a changed component: `nexus build` as a process of its own, so that a stop ends the
//! compiler with it and its words reach the terminal untouched.

use super::project::Source;
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// What a build has made.
#[derive(Debug, Deserialize)]
pub(super) struct Built {
    pub(super) component: String,
    /// The artifact's archive.
    pub(super) file: PathBuf,
    /// The component's bytes.
    pub(super) wasm: PathBuf,
}

/// Builds one component. None when it does not build: the compiler has said why.
///
/// # Errors
///
/// When the build cannot be started or says something else than it should.
pub(super) async fn build(source: &Source, target: Option<&Path>) -> Result<Option<Built>> {
    let program = std::env::current_exe().context("find this program")?;
    let mut command = Command::new(program);
    command.arg("build").arg(&source.folder).arg("--json");
    if let Some(target) = target {
        command.arg("--target-dir").arg(target);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = Group(command.spawn().context("start `nexus build`")?);
    let mut said = String::new();
    if let Some(mut output) = child.0.stdout.take() {
        output.read_to_string(&mut said).await.context("read what `nexus build` says")?;
    }
    let status = child.0.wait().await.context("wait for `nexus build`")?;
    if !status.success() {
        return Ok(None);
    }
    let built = serde_json::from_str(&said);
    Ok(Some(built.with_context(|| format!("read what `nexus build` says: {said}"))?))
}

/// A build with all the processes it has started; they end when it is dropped before its end.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Already waited for: then there is no number any more that could be another's.
        let number = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = number.and_then(Pid::from_raw) {
            // Gone at this very moment is as good.
            let _gone = kill_process_group(group, Signal::TERM);
        }
    }
}
