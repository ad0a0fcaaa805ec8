//! What must hold of a revision before any host compiles it, and what the database needs before it
//! runs: signature, grants, migrations that the revision before survives.

use crate::expand::breaches;
use crate::{Error, Inner};
use nexus_artifact::{Artifact, Grants, check};
use nexus_storage::Migrations;
use nexus_storage::rollouts::{ArtifactRow, RevisionRow, RolloutRow};
use serde_json::Value;

/// What is right, or what is wrong, in words.
type Verdict = Result<String, String>;

/// Signature and grants.
pub(crate) async fn verify(inner: &Inner, rollout: &RolloutRow) -> Result<Verdict, Error> {
    let revision = revision(inner, rollout).await?;
    let Some(artifact) = artifact(inner, &revision).await? else {
        return Ok(Ok("it came with a release".into()));
    };
    let archive = inner.rollouts.blob(&artifact.archive_digest).await?;
    let archive = archive.ok_or_else(|| Error::NoArtifact(artifact.digest.clone()))?;
    Ok(of_artifact(inner, &Artifact::read_archive(&archive)?, &revision.fragment))
}

fn of_artifact(inner: &Inner, artifact: &Artifact, fragment: &str) -> Verdict {
    let verdict = inner.keys.judge(artifact);
    inner.keys.admit(&verdict).map_err(|error| error.to_string())?;
    if let Some(warning) = inner.keys.warning(&verdict) {
        tracing::warn!(component = artifact.component(), "{warning}");
    }
    let grants = Grants::read(fragment, None).map_err(|error| error.to_string())?;
    let differences = check(artifact.interface(), &grants);
    if differences.is_empty() {
        return Ok(verdict.words());
    }
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(lines.join("; "))
}

/// Everything that would keep an artifact from being rolled out, for whoever only asks.
pub(crate) async fn objections(
    inner: &Inner,
    artifact: &Artifact,
    component: &str,
    fragment: &str,
) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    all.extend(of_artifact(inner, artifact, fragment).err());
    let files = artifact.migrations().iter().map(|one| (one.name.as_str(), one.sql.as_str()));
    match Migrations::of_service(component, files) {
        Ok(migrations) => match migrations.missing(inner.rollouts.database()).await {
            Ok(missing) => {
                let found = missing.iter().flat_map(|(file, sql)| breaches(file, sql));
                all.extend(found.map(|breach| breach.to_string()));
            }
            Err(error) if error.is_unavailable() => return Err(error.into()),
            Err(error) => all.push(error.to_string()),
        },
        Err(error) => all.push(error.to_string()),
    }
    Ok(all)
}

/// Makes the database ready. What was applied stays, however the rollout ends: it is legal for the
/// revision before, which is what is checked here.
pub(crate) async fn migrate(inner: &Inner, rollout: &RolloutRow) -> Result<Verdict, Error> {
    let revision = revision(inner, rollout).await?;
    let component = rollout.component.as_str();
    let artifact = artifact(inner, &revision).await?;
    let files: Vec<(String, String)> = artifact.map(|it| files(&it.migrations)).unwrap_or_default();
    if files.is_empty() && rollout.before.is_some() {
        return Ok(Ok("there is nothing to migrate".into()));
    }
    let files = files.iter().map(|(name, sql)| (name.as_str(), sql.as_str()));
    let migrations = match Migrations::of_service(component, files) {
        Ok(migrations) => migrations,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let database = inner.rollouts.database();
    let applied = async {
        let missing = migrations.missing(database).await?;
        // A component that is new has nobody before it.
        let found: Vec<_> = match rollout.before {
            Some(_) => missing.iter().flat_map(|(file, sql)| breaches(file, sql)).collect(),
            None => Vec::new(),
        };
        match found.is_empty() {
            true => migrations.apply(database).await.map(Ok),
            false => Ok(Err(found)),
        }
    };
    match applied.await {
        Ok(Ok(applied)) if applied.files.is_empty() => Ok(Ok("the database is as it needs".into())),
        Ok(Ok(applied)) => Ok(Ok(format!("applied {}", applied.files.join(", ")))),
        Ok(Err(found)) => {
            let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
            Ok(Err(lines.join("; ")))
        }
        // Tried again when it is back.
        Err(error) if error.is_unavailable() => Err(error.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// `[{name, sql}]`.
fn files(migrations: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().map(str::to_owned);
    let all = migrations.as_array().into_iter().flatten();
    all.filter_map(|one| Some((text(one, "name")?, text(one, "sql")?))).collect()
}

async fn revision(inner: &Inner, rollout: &RolloutRow) -> Result<RevisionRow, Error> {
    let found = inner.rollouts.revision(&rollout.component, rollout.revision).await?;
    let (component, number) = (rollout.component.clone(), rollout.revision);
    let missing = nexus_storage::rollouts::RolloutError::NoRevision { component, number };
    Ok(found.ok_or(missing)?)
}

async fn artifact(inner: &Inner, revision: &RevisionRow) -> Result<Option<ArtifactRow>, Error> {
    let Some(digest) = &revision.artifact else { return Ok(None) };
    let found = inner.rollouts.artifact(digest).await?;
    Ok(Some(found.ok_or_else(|| Error::NoArtifact(digest.clone()))?))
}
