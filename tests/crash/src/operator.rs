//! An operator who deploys the probe, again and again, through whichever host answers.

use crate::client::Client;
use crate::ground::{eventually, repository};
use crate::host::HostProcess;
use crate::journal::SERVICE;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use nexus_artifact::{Artifact, Parts};
use serde_json::{Value, json};
use std::time::Duration;

/// A rollout on a busy machine whose controller was killed.
const ROLLOUT_MAX: Duration = Duration::from_secs(120);

/// States that a rollout does not leave.
const LAST: [&str; 4] = ["done", "failed", "rolled_back", "aborted"];

/// The component's own lines, and its bytes.
pub struct Operator {
    client: Client,
    lines: String,
    wasm: Bytes,
    releases: u32,
}

impl Operator {
    /// With the lines of the probe's table in the manifest.
    ///
    /// # Errors
    ///
    /// When the probe is not staged.
    pub fn new(lines: &str) -> Result<Self> {
        let wasm = std::fs::read(repository().join(".nexus/probes/journal.wasm"));
        let wasm = wasm.context("the probe is missing: run cargo xtask build --probes")?;
        let (client, lines) = (Client::default(), lines.to_owned());
        Ok(Self { client, lines, wasm: wasm.into(), releases: 0 })
    }

    /// A release that differs from all before in what its manifest says; with `bytes`, also in what
    /// it is compiled from.
    ///
    /// # Errors
    ///
    /// When it is no artifact.
    pub fn release(&mut self, bytes: bool) -> Result<Artifact> {
        self.releases += 1;
        let fragment = format!(
            "[[trigger.http]]\nroute = \"/api/{SERVICE}/...\"\ncomponent = \"{SERVICE}\"\n\
             [component.{SERVICE}]\nsource = \"journal.wasm\"\n\
             variables = {{ pg_url = \"{{{{ pg_url }}}}\" }}\nkey_value_stores = [\"default\"]\n\
             environment = {{ RELEASE = \"{}\" }}\n[component.{SERVICE}.tool.nexus]\n{}\n",
            self.releases, self.lines
        );
        let mut wasm = self.wasm.to_vec();
        if bytes {
            // A custom section (core specification, 5.5.3): one byte of name, then what differs.
            wasm.extend([0, 6, 1, b'n']);
            wasm.extend(self.releases.to_le_bytes());
        }
        let version = self.releases.to_string();
        let artifact = Artifact::build(Parts {
            component: SERVICE,
            version: Some(&version),
            created: None,
            wasm: wasm.into(),
            fragment: Some(&fragment),
            migrations: Vec::new(),
        });
        Ok(artifact?)
    }

    /// Pushes a release to a host and begins to roll it out; the rollout's id.
    ///
    /// # Errors
    ///
    /// When the host refuses, or does not answer.
    pub async fn deploy(
        &self,
        host: &HostProcess,
        release: &Artifact,
        strategy: Value,
    ) -> Result<String> {
        let (to, token) = (host.operators(), host.secret("admin-token")?);
        let stored = self.client.push(to, &token, release.archive().into()).await?;
        ensure!(stored.status < 300, "the push: {} {}", stored.status, stored.text());
        let order = json!({ "artifact": stored.json()?["digest"], "strategy": strategy });
        let path = format!("/api/v1/components/{SERVICE}/deploy");
        let begun = self.client.post(to, &path, &token, &order).await?;
        ensure!(begun.status == 202, "the deploy: {} {}", begun.status, begun.text());
        let id = begun.json()?["rollout"]["id"].as_str().map(str::to_owned);
        id.context("a rollout has an id")
    }

    /// What became of a rollout, read from a host.
    ///
    /// # Errors
    ///
    /// When the host does not answer.
    pub async fn rollout(&self, host: &HostProcess, id: &str) -> Result<Value> {
        let token = host.secret("admin-token")?;
        let path = format!("/api/v1/rollouts/{id}");
        self.client.get(host.operators(), &path, &token).await?.json()
    }

    /// Waits until a rollout has ended, and says how.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub async fn ended(&self, host: &HostProcess, id: &str) -> Value {
        let mut last = Value::Null;
        eventually("the rollout ends", ROLLOUT_MAX, async || {
            if let Ok(rollout) = self.rollout(host, id).await {
                last = rollout;
            }
            last["state"].as_str().is_some_and(|state| LAST.contains(&state))
        })
        .await;
        last
    }
}
