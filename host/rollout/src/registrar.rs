//! The components of a host's manifest as revisions, and which of them take calls when it starts.
//!
//! What was deployed wins over the manifest, unless the host is told otherwise. Among what came
//! with releases, the manifest at hand wins: always where no other host lives, and where others do,
//! only forward, or old and new hosts would take the calls from one another.

use crate::Inner;
use crate::error::Error;
use crate::load::Registered;
use nexus_runtime::{ComponentManifest, Manifest, Runtime, WEIGHT_WHOLE};
use nexus_storage::rollouts::{Desired, Made, NewRevision, RevisionRow, RolloutError, Weights};
use std::collections::HashMap;
use std::sync::Arc;

/// Who did it, in the history.
const BY: &str = "manifest";

pub(crate) async fn register(
    inner: &Inner,
    runtime: &Runtime,
    manifest: &Manifest,
) -> Result<Vec<Registered>, Error> {
    let mut found = loaded(runtime, manifest);
    let fragments: Vec<String> = found.iter().map(|one| one.fragment(&manifest.routes)).collect();
    configure(inner, &mut found, &fragments).await?;
    let revisions = found.iter().zip(&fragments).map(|(one, fragment)| NewRevision {
        component: one.component.id.as_str(),
        artifact: None,
        wasm: &one.wasm,
        fragment,
        configuration: one.component.configuration,
        version: &manifest.version,
        origin: "manifest",
        note: "",
        by: BY,
    });
    let made = inner.rollouts.make_revisions(&revisions.collect::<Vec<_>>()).await?;
    let active = runtime.active();
    for (one, made) in found.iter_mut().zip(&made) {
        one.number = made.number;
        if let Some(Ok(fleet)) = active.components.get(&one.component.id)
            // Loaded with what a revision was configured with, it would be another one.
            && fleet.lead().manifest.configuration == one.component.configuration
        {
            fleet.lead().number_as(made.number);
        }
    }
    decide(inner, &found, &made).await?;
    Ok(found)
}

/// Says with which configuration each of them is a revision: with the newest, but what serves keeps
/// its own. What is set is in force when it is applied, and what was rolled back stays so, however
/// often a host starts in between.
async fn configure(
    inner: &Inner,
    found: &mut [Registered],
    fragments: &[String],
) -> Result<(), Error> {
    let names: Vec<&str> = found.iter().map(|one| one.component.id.as_str()).collect();
    let newest = inner.rollouts.configurations(&names).await?;
    let serving = inner.rollouts.leads().await?;
    let serving: HashMap<&str, &RevisionRow> =
        serving.iter().map(|row| (row.component.as_str(), row)).collect();
    for ((one, fragment), newest) in found.iter_mut().zip(fragments).zip(newest) {
        let lead = serving.get(one.component.id.as_str());
        let same = lead.filter(|lead| {
            lead.artifact.is_none() && lead.wasm == one.wasm && lead.fragment == *fragment
        });
        let mut component = ComponentManifest::clone(&one.component);
        component.configuration = same.map_or(newest, |lead| lead.configuration);
        one.component = Arc::new(component);
    }
    Ok(())
}

/// What the runtime has loaded of the manifest, without numbers yet.
fn loaded(runtime: &Runtime, manifest: &Manifest) -> Vec<Registered> {
    let active = runtime.active();
    let one = |component: &Arc<ComponentManifest>| {
        let fleet = active.components.get(&component.id)?.as_ref().ok()?;
        let wasm = format!("sha256:{}", fleet.lead().digest);
        Some(Registered { number: 0, component: component.clone(), wasm })
    };
    manifest.components.iter().filter_map(one).collect()
}

async fn decide(inner: &Inner, found: &[Registered], made: &[Made]) -> Result<(), Error> {
    let desired: HashMap<String, Desired> = inner
        .rollouts
        .desired()
        .await?
        .into_iter()
        .map(|desired| (desired.component.clone(), desired))
        .collect();
    let mut first = Vec::new();
    let has_others = inner.rollouts.has_others(inner.id).await?;
    for (one, made) in found.iter().zip(made) {
        let component = one.component.id.as_str();
        let alone = Weights::from([(one.number, WEIGHT_WHOLE)]);
        match desired.get(component) {
            None => first.push((component, one.number)),
            Some(desired) if desired.weights == alone => {}
            Some(desired) => {
                let forward = made.is_new || !has_others;
                if takes_over(inner, one, desired, forward).await? {
                    take_over(inner, one, &alone, has_others).await?;
                }
            }
        }
    }
    inner.rollouts.begin_traffic(&first, BY).await?;
    Ok(())
}

async fn takes_over(
    inner: &Inner,
    one: &Registered,
    desired: &Desired,
    forward: bool,
) -> Result<bool, Error> {
    if inner.from_manifest {
        return Ok(true);
    }
    let component = one.component.id.as_str();
    let Some(lead) = lead(&desired.weights) else { return Ok(true) };
    let lead = inner.rollouts.revision(component, lead).await?;
    // One without an artifact came with a release, whatever was configured for it since.
    let of_a_release = lead.is_none_or(|lead| lead.artifact.is_none());
    Ok(of_a_release && forward && !desired.weights.contains_key(&one.number))
}

/// The revision with the greatest share.
pub(crate) fn lead(weights: &Weights) -> Option<u32> {
    let heaviest = weights.iter().max_by_key(|(number, weight)| (**weight, u32::MAX - **number));
    heaviest.map(|(number, _)| *number)
}

async fn take_over(
    inner: &Inner,
    one: &Registered,
    weights: &Weights,
    has_others: bool,
) -> Result<(), Error> {
    let component = one.component.id.as_str();
    if has_others && !inner.rollouts.has_blob(&one.wasm).await? {
        let path = &one.component.source;
        let failed = |source| Error::File { path: path.clone(), source };
        let bytes = tokio::fs::read(path).await.map_err(failed)?;
        inner.rollouts.store_blob(&one.wasm, &bytes).await?;
    }
    let reason = "the manifest of a host that started";
    match inner.rollouts.set_traffic(component, weights, reason, BY).await {
        Ok(_) => Ok(()),
        // A rollout under way decides.
        Err(RolloutError::Busy { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
