//! What operators order: artifacts are stored, revisions rolled out, configured anew.
//! Refuses to know who may.

use crate::plan::{Plan, Strategy};
use crate::registrar::lead;
use crate::{Error, Rollout, verify};
use bytes::Bytes;
use nexus_artifact::{
    Artifact, Changes, Credentials, Description, Digest, Grants, Interface, Parts, Reference,
    Registry, RegistryConfig, State as Signed, diff,
};
use nexus_storage::rollouts::{
    ArtifactRow, NewArtifact, NewRevision, NewRollout, RevisionRow, RolloutError, RolloutRow,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// An artifact that is stored, and whether it was there before.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub artifact: ArtifactRow,
    pub existed: bool,
}

/// What is to be rolled out, and how.
#[derive(Debug, Clone, Default)]
pub struct Deploy {
    /// Its digest; either this or a revision.
    pub artifact: Option<String>,
    pub revision: Option<u32>,
    pub strategy: Strategy,
    pub note: String,
    pub dry_run: bool,
    pub despite_freeze: bool,
    pub by: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Deployed {
    Begun(Box<RolloutRow>),
    /// Nothing was done.
    Planned {
        plan: Plan,
        changes: Box<Changes>,
        /// Numbers of the configuration, before and after.
        configuration: (u64, u64),
        /// What would keep it from going on.
        objections: Vec<String>,
    },
}

impl Rollout {
    /// Stores an OCI archive.
    ///
    /// # Errors
    ///
    /// [`Error::Artifact`] for what is none; [`Error::Unfit`] when it does not say its component.
    pub async fn store(&self, archive: Bytes, by: &str) -> Result<Stored, Error> {
        let artifact = in_background(move || Artifact::read_archive(&archive)).await?;
        self.keep(artifact, by).await
    }

    /// Stores the bytes of a component that has neither fragment nor migrations: it takes those of
    /// the revision that it follows.
    ///
    /// # Errors
    ///
    /// As [`Rollout::store`].
    pub async fn store_wasm(
        &self,
        component: &str,
        wasm: Bytes,
        by: &str,
    ) -> Result<Stored, Error> {
        let name = component.to_owned();
        let build = move || {
            Artifact::build(Parts {
                component: &name,
                version: None,
                created: None,
                wasm,
                fragment: None,
                migrations: Vec::new(),
            })
        };
        let artifact = in_background(build).await?;
        self.keep(artifact, by).await
    }

    /// Stores what a registry has under a name; the name is resolved once.
    ///
    /// # Errors
    ///
    /// As [`Rollout::store`], and whatever the registry says.
    pub async fn pull(&self, reference: &str, insecure: bool, by: &str) -> Result<Stored, Error> {
        let reference: Reference = reference.parse()?;
        let credentials = Credentials::of_user()?;
        let registry = Registry::new(RegistryConfig { credentials, insecure });
        let artifact = registry.pull(&reference).await?;
        self.keep(artifact, by).await
    }

    async fn keep(&self, artifact: Artifact, by: &str) -> Result<Stored, Error> {
        let inner = &self.0;
        let component = artifact.component().map(str::to_owned);
        let component = component.ok_or_else(|| {
            Error::Unfit("the artifact does not say which component it is (image title)".into())
        })?;
        let verdict = inner.keys.judge(&artifact);
        let archive = in_background({
            let artifact = artifact.clone();
            move || Ok(artifact.archive())
        });
        let archive = archive.await?;
        let migrations = artifact.migrations().iter();
        let migrations: Value =
            migrations.map(|one| json!({ "name": one.name, "sql": one.sql })).collect();
        let interface = artifact.interface();
        let (digest, wasm) = (artifact.digest().to_string(), artifact.wasm_digest().to_string());
        let key_id = verdict.key_id.as_ref().map(ToString::to_string);
        let new = NewArtifact {
            digest: &digest,
            component: &component,
            version: artifact.version().unwrap_or_default(),
            wasm_digest: &wasm,
            wasm: artifact.wasm(),
            archive_digest: &Digest::of(&archive).to_string(),
            archive: &archive,
            fragment: artifact.fragment(),
            migrations: &migrations,
            signature: word(verdict.state),
            key_id: key_id.as_deref(),
            imports: &json!(interface.imports),
            exports: &json!(interface.exports),
            by,
        };
        let is_new = inner.rollouts.store_artifact(&new).await?;
        let row = inner.rollouts.artifact(&digest).await?;
        let artifact = row.ok_or(Error::NoArtifact(digest))?;
        Ok(Stored { artifact, existed: !is_new })
    }

    /// Begins to roll a revision out, or says what that would change.
    ///
    /// # Errors
    ///
    /// [`Error::Unfit`] for an order that makes no sense, [`Error::NoArtifact`],
    /// [`Error::Rollout`] when it is frozen or another is under way.
    pub async fn deploy(&self, component: &str, order: &Deploy) -> Result<Deployed, Error> {
        let plan = Plan::of(&order.strategy).map_err(Error::Unfit)?;
        let rollouts = &self.0.rollouts;
        let number = match (&order.artifact, order.revision) {
            (None, Some(number)) => number,
            (Some(digest), None) => {
                let artifact = rollouts.artifact(digest).await?;
                let artifact = artifact.ok_or_else(|| Error::NoArtifact(digest.clone()))?;
                if artifact.component != component {
                    let reason = format!("{digest} is {}, not {component}", artifact.component);
                    return Err(Error::Unfit(reason));
                }
                if order.dry_run {
                    return self.plan(component, &artifact, plan).await;
                }
                self.revise(component, &artifact, order).await?
            }
            _ => return Err(Error::Unfit("say either `artifact` or `revision`".into())),
        };
        if order.dry_run {
            let missing = || RolloutError::NoRevision { component: component.into(), number };
            let row = rollouts.revision(component, number).await?.ok_or_else(missing)?;
            return self.plan_again(&row, plan).await;
        }
        let id = self.begin(component, number, &plan, "deploy", order).await?;
        Ok(Deployed::Begun(Box::new(self.rollout(id).await?)))
    }

    async fn begin(
        &self,
        component: &str,
        revision: u32,
        plan: &Plan,
        kind: &str,
        order: &Deploy,
    ) -> Result<Uuid, Error> {
        let plan = serde_json::to_value(plan).unwrap_or_default();
        let new = NewRollout {
            component,
            revision,
            plan: &plan,
            kind,
            note: &order.note,
            by: &order.by,
            despite_freeze: order.despite_freeze,
        };
        let id = self.0.rollouts.begin(&new).await?;
        self.stir();
        Ok(id)
    }

    /// An artifact as a revision, under the newest configuration.
    async fn revise(
        &self,
        component: &str,
        artifact: &ArtifactRow,
        order: &Deploy,
    ) -> Result<u32, Error> {
        let rollouts = &self.0.rollouts;
        let fragment = self.fragment(component, artifact.fragment.as_deref()).await?;
        let configuration = rollouts.configurations(&[component]).await?;
        let new = NewRevision {
            component,
            artifact: Some(&artifact.digest),
            wasm: &artifact.wasm_digest,
            fragment: &fragment,
            configuration: configuration.first().copied().unwrap_or_default(),
            version: &artifact.version,
            origin: "push",
            note: &order.note,
            by: &order.by,
        };
        Ok(rollouts.make_revision(&new).await?.number)
    }

    /// An artifact's own fragment, or that of what serves now.
    async fn fragment(&self, component: &str, own: Option<&str>) -> Result<String, Error> {
        if let Some(own) = own {
            return Ok(own.to_owned());
        }
        let serving = self.serving(component).await?;
        serving.map(|row| row.fragment).ok_or_else(|| {
            Error::Unfit(format!("the artifact has no fragment, and {component} has none here"))
        })
    }

    /// The revision that serves most of a component's calls.
    async fn serving(&self, component: &str) -> Result<Option<RevisionRow>, Error> {
        let desired = self.0.rollouts.traffic(component).await?;
        let Some(number) = desired.and_then(|desired| lead(&desired.weights)) else {
            return Ok(None);
        };
        Ok(self.0.rollouts.revision(component, number).await?)
    }

    async fn plan(
        &self,
        component: &str,
        artifact: &ArtifactRow,
        plan: Plan,
    ) -> Result<Deployed, Error> {
        let fragment = self.fragment(component, artifact.fragment.as_deref()).await?;
        let archive = self.0.rollouts.blob(&artifact.archive_digest).await?;
        let archive = archive.ok_or_else(|| Error::NoArtifact(artifact.digest.clone()))?;
        let read = in_background(move || Artifact::read_archive(&archive)).await?;
        let objections = verify::objections(&self.0, &read, component, &fragment).await?;
        let new = read.describe(Some(&fragment))?;
        let newest = self.0.rollouts.configurations(&[component]).await?;
        self.planned(component, &new, newest.first().copied().unwrap_or_default(), plan, objections)
            .await
    }

    pub(crate) async fn plan_again(
        &self,
        row: &RevisionRow,
        plan: Plan,
    ) -> Result<Deployed, Error> {
        let new = self.describe(row).await?;
        self.planned(&row.component, &new, row.configuration, plan, Vec::new()).await
    }

    async fn planned(
        &self,
        component: &str,
        new: &Description,
        configuration: u64,
        plan: Plan,
        objections: Vec<String>,
    ) -> Result<Deployed, Error> {
        let serving = self.serving(component).await?;
        let old = match &serving {
            Some(row) => Some(self.describe(row).await?),
            None => None,
        };
        let changes = Box::new(diff(old.as_ref(), new));
        let before = serving.map(|row| row.configuration).unwrap_or_default();
        let configuration = (before, configuration);
        Ok(Deployed::Planned { plan, changes, configuration, objections })
    }

    /// What a revision asks for. The imports of one whose bytes are not at hand are unknown.
    async fn describe(&self, row: &RevisionRow) -> Result<Description, Error> {
        let (mut interface, mut migrations) = (Interface::default(), Vec::new());
        if let Some(digest) = &row.artifact
            && let Some(artifact) = self.0.rollouts.artifact(digest).await?
        {
            interface.imports = texts(&artifact.imports);
            interface.exports = texts(&artifact.exports);
            let names = artifact.migrations.as_array().into_iter().flatten();
            let names = names.filter_map(|one| one["name"].as_str().map(str::to_owned));
            migrations = names.collect();
        } else if let Some(running) = self.0.running.get()
            && let Some(own) = running.shelf.registered(&row.component)
            && own.wasm == row.wasm
        {
            let path = own.component.source.clone();
            let failed = |source| Error::File { path: path.clone(), source };
            let wasm = tokio::fs::read(&path).await.map_err(failed)?;
            interface = in_background(move || Interface::read(&wasm)).await?;
        }
        let grants = Grants::read(&row.fragment, None)?;
        Ok(Description { interface, grants, migrations })
    }

    /// A revision of what serves now under another configuration, at once. Its number and its
    /// rollout are the answer; there is none where that is what serves.
    ///
    /// # Errors
    ///
    /// As [`Rollout::deploy`].
    pub async fn reconfigure(
        &self,
        component: &str,
        configuration: u64,
        reason: &str,
        by: &str,
    ) -> Result<(u32, Option<RolloutRow>), Error> {
        let serving = self.serving(component).await?;
        let serving = serving.ok_or_else(|| Error::NoComponent(component.into()))?;
        let new = NewRevision {
            component,
            artifact: serving.artifact.as_deref(),
            wasm: &serving.wasm,
            fragment: &serving.fragment,
            configuration,
            version: &serving.version,
            origin: "configuration",
            note: reason,
            by,
        };
        let made = self.0.rollouts.make_revision(&new).await?;
        if made.number == serving.number {
            return Ok((made.number, None));
        }
        let order = Deploy { note: reason.into(), by: by.into(), ..Deploy::default() };
        let plan = Plan::instant();
        let id = self.begin(component, made.number, &plan, "configuration", &order).await?;
        Ok((made.number, Some(self.rollout(id).await?)))
    }

    pub(crate) async fn rollout(&self, id: Uuid) -> Result<RolloutRow, Error> {
        Ok(self.0.rollouts.rollout(id).await?.ok_or(RolloutError::Unknown(id))?)
    }
}

fn word(state: Signed) -> &'static str {
    match state {
        Signed::Valid => "valid",
        Signed::Unsigned => "unsigned",
        Signed::Untrusted => "untrusted",
        Signed::Invalid => "invalid",
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Reading megabytes that somebody sent takes a while.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, nexus_artifact::Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Error::Unfit(format!("it cannot be read: {error}"))),
    }
}
