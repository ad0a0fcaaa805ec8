//! `nexus push` and `nexus pull`: an artifact's file to a host or to somebody's registry, and back.

use super::Failure;
use super::host_api::{HostApi, MISSING};
use super::table::{cell, pairs, say, say_json};
use crate::config::{PullOptions, PushOptions};
use anyhow::{Context as _, Result};
use nexus_artifact::{
    ARCHIVE, ARCHIVE_BYTES_MAX, Artifact, Credentials, Error, Reference, Registry, RegistryConfig,
    SigningKey,
};
use serde_json::{Value, json};
use std::future::Future;
use std::path::{Path, PathBuf};

/// `nexus push`.
pub(super) fn push(options: &PushOptions) -> Result<(), Failure> {
    let mut artifact = read(&options.file)?;
    if let Some(key) = &options.sign {
        let key = SigningKey::read(key).map_err(wrong)?;
        artifact.attach(key.sign(artifact.manifest()));
    }
    let reference = options.reference.as_deref().map(str::parse::<Reference>);
    let reference = reference.transpose().map_err(wrong)?;
    let mut told = facts(&artifact);
    match (&reference, options.dry_run) {
        (_, true) => told["dry_run"] = true.into(),
        (Some(place), false) => {
            let pushed = at_registry(options.insecure, async |registry: Registry| {
                registry.push(place, &artifact).await
            })?;
            told["reference"] = pushed.to_string().into();
        }
        (None, false) => {
            let host = HostApi::new(&options.host)?;
            told = host.upload(&["artifacts"], &[], ARCHIVE, artifact.archive().into())?;
        }
    }
    tell(&told, options.host.json)
}

/// `nexus pull`.
pub(super) fn pull(options: &PullOptions) -> Result<(), Failure> {
    let artifact = if options.what.starts_with("sha256:") {
        let host = HostApi::new(&options.host)?;
        let archive = host.download(&["artifacts", &options.what, "archive"], &[])?;
        Artifact::read_archive(&archive).context("read what the host sends")?
    } else {
        let place: Reference = options.what.parse().map_err(wrong)?;
        at_registry(options.insecure, async |registry: Registry| registry.pull(&place).await)?
    };
    let file = match &options.output {
        Some(file) => file.clone(),
        None => PathBuf::from(format!("{}.oci.tar", artifact.component().unwrap_or("artifact"))),
    };
    write(&file, &artifact.archive())?;
    let mut told = facts(&artifact);
    told["file"] = file.display().to_string().into();
    tell(&told, options.host.json)
}

/// Reads an artifact's file.
pub(super) fn read(file: &Path) -> Result<Artifact, Failure> {
    let told = |error: std::io::Error| {
        let code =
            if error.kind() == std::io::ErrorKind::NotFound { MISSING } else { super::FAILED };
        Failure::Told { words: format!("{}: {error}", file.display()), code }
    };
    // Nobody reads a disk into memory by a wrong name.
    let size = std::fs::metadata(file).map_err(told)?.len();
    if size > ARCHIVE_BYTES_MAX {
        let words = format!("{} has {size} bytes: no artifact is that large", file.display());
        return Err(Failure::Setting(anyhow::anyhow!(words)));
    }
    let bytes = std::fs::read(file).map_err(told)?;
    let artifact = Artifact::read_archive(&bytes);
    artifact.with_context(|| format!("read {}", file.display())).map_err(Failure::Setting)
}

/// Writes an artifact's file, whole or not at all: somebody may be reading the one before.
pub(super) fn write(file: &Path, archive: &[u8]) -> Result<()> {
    let part = file.with_extension(format!("part{}", std::process::id()));
    std::fs::write(&part, archive).with_context(|| format!("write {}", part.display()))?;
    std::fs::rename(&part, file).with_context(|| format!("write {}", file.display()))
}

/// Does something at a registry, with this user's logins.
fn at_registry<T, F>(insecure: bool, work: impl FnOnce(Registry) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Error>>,
{
    let credentials = Credentials::of_user().map_err(wrong)?;
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let threads = threads.context("start a thread")?;
    let done = threads
        .block_on(async { work(Registry::new(RegistryConfig { credentials, insecure })).await });
    done.map_err(|error| match error {
        Error::NotFound(_) => Failure::Told { words: error.to_string(), code: MISSING },
        Error::Credentials { .. } => wrong(error),
        error => Failure::Other(error.into()),
    })
}

/// What was given is wrong: trying again does not help.
pub(super) fn wrong(error: Error) -> Failure {
    Failure::Setting(error.into())
}

fn facts(artifact: &Artifact) -> Value {
    let keys: Vec<_> = artifact.signatures().iter().map(|it| it.key_id.to_string()).collect();
    json!({
        "component": artifact.component(),
        "version": artifact.version(),
        "digest": artifact.digest(),
        "wasm_digest": artifact.wasm_digest(),
        "size_bytes": artifact.size_bytes(),
        "signed_by": keys,
    })
}

fn tell(told: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return say_json(told);
    }
    let mut lines = Vec::new();
    for name in ["reference", "file", "component", "version", "digest", "size_bytes"] {
        lines.push((name, cell(&told[name])));
    }
    let keys: Vec<_> = super::table::list_of(&told["signed_by"]).map(cell).collect();
    lines.push(("signed by", keys.join(", ")));
    lines.push(("signature", cell(&told["signature"]["state"])));
    if told["dry_run"] == true {
        lines.push(("sent", "nothing (--dry-run)".into()));
    }
    say(&pairs(&lines))
}
