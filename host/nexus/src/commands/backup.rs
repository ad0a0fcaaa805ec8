//! `nexus backup` and `nexus backup verify`: what they say, and their exit codes.

use super::table::{pairs, say, say_json};
use super::{FAILED, Failure, IN_USE, MISUSED, is_in_use};
use crate::backup::{self, Checked, NotEmpty, Pruned, Record, Refusal, Taken, Taking};
use crate::config::{BackupCommand, BackupOptions, BackupVerifyOptions, KeyOptions};
use crate::manifest;
use anyhow::Context as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// The backup is not to be trusted, or not to be opened.
const REFUSED: u8 = 4;

pub(super) fn run(options: BackupOptions) -> Result<(), Failure> {
    if let Some(BackupCommand::Verify(verify)) = &options.command {
        return check(verify, &options.key, options.json);
    }
    let given = options.key.given().map_err(Failure::Setting)?;
    let root_key = options.root_key().map_err(Failure::Setting)?;
    let manifest_file = manifest::file(&options.application).map_err(Failure::Setting)?;
    let manifest = manifest::read(&manifest_file, &[]).map_err(Failure::Setting)?;
    let to = place(&options)?;
    let keep = options.keep();
    let archive = match options.places.database_url {
        Some(_) => None,
        None => options.archive.archive(&given),
    };
    let home = options.home.home.clone();
    let taking = Taking {
        installation: options.places.installation(options.home.home, root_key),
        manifest,
        manifest_file,
        to,
        given,
        with_root_key: options.with_root_key,
        archive,
    };
    let threads = tokio::runtime::Runtime::new().context("start threads")?;
    let taken = threads.block_on(backup::take(&taking)).map_err(told)?;
    Record::of(&taken).keep(&home)?;
    let pruned = match keep {
        None => None,
        Some(keep) => {
            let archive = taking.archive.as_ref();
            let pruned = backup::prune(&taking.to, keep, archive, &taking.given);
            Some(pruned.context("the backup is made; remove older ones")?)
        }
    };
    if options.json {
        let mut answer = json(&taken)?;
        if let Some(pruned) = &pruned {
            answer["pruned"] = json(pruned)?;
        }
        say_json(&answer)
    } else {
        say(&described(&taken))?;
        pruned.map_or(Ok(()), |pruned| say(&pruned_in_words(&pruned)))
    }
}

/// Where this backup goes; the folder of all of them is made if need be.
fn place(options: &BackupOptions) -> Result<PathBuf, Failure> {
    match (&options.to, &options.into) {
        (Some(to), _) => Ok(to.clone()),
        (None, Some(folder)) => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.with_context(|| format!("make {}", folder.display()))?;
            Ok(folder.join(backup::name(jiff::Timestamp::now())))
        }
        (None, None) => Err(Failure::Setting(anyhow::anyhow!(
            "say with --to where the backup goes, or with --in the folder of all backups"
        ))),
    }
}

fn pruned_in_words(pruned: &Pruned) -> String {
    pairs(&[
        ("removed", pruned.backups.join(" ")),
        ("log removed", format!("{} parts", pruned.log_parts)),
    ])
}

fn check(
    options: &BackupVerifyOptions,
    key: &KeyOptions,
    json_wanted: bool,
) -> Result<(), Failure> {
    let given = key.given().map_err(Failure::Setting)?;
    let checked = Checked::of(&options.from, &given).map_err(|refusal| told(refusal.into()))?;
    if json_wanted { say_json(&json(&checked)?) } else { say(&checked_in_words(&checked)) }
}

pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<serde_json::Value> {
    serde_json::to_value(value).context("print the answer as JSON")
}

/// With the exit code that the help names.
pub(super) fn told(error: anyhow::Error) -> Failure {
    let is = |test: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(test);
    let code = if is(|cause| matches!(cause.downcast_ref(), Some(Refusal::Io { .. }))) {
        FAILED
    } else if is(|cause| matches!(cause.downcast_ref(), Some(Refusal::OtherKind(_)))) {
        MISUSED
    } else if is(|cause| cause.is::<Refusal>()) {
        REFUSED
    } else if is(|cause| cause.is::<NotEmpty>()) || is_in_use(&error) {
        IN_USE
    } else {
        FAILED
    };
    Failure::Told { words: format!("{error:#}"), code }
}

fn described(taken: &Taken) -> String {
    let number = |number: usize| number.to_string();
    let root_key = match (&taken.root_key, taken.root_key_included) {
        (None, _) => "none was in use, or it was not given".to_owned(),
        (Some(key), true) => format!("{key}, included"),
        (Some(key), false) => format!("{key}, not included: keep it elsewhere"),
    };
    let gone = if taken.gone == 0 { String::new() } else { number(taken.gone) };
    pairs(&[
        ("backup", taken.to.clone()),
        ("bytes", taken.bytes.to_string()),
        ("tables", format!("{} with {} rows", taken.tables, taken.rows)),
        ("objects", format!("{} with {} bytes", taken.objects, taken.object_bytes)),
        ("deleted meanwhile", gone),
        ("key-value files", number(taken.key_value_files)),
        ("root key", root_key),
        ("point in time", instants(taken)),
        ("seconds", format!("{:.1}", taken.seconds)),
    ])
}

/// To which other instants it leads.
fn instants(taken: &Taken) -> String {
    match (&taken.leads_on_from, taken.server_archives) {
        (Some(from), _) => format!("every one from {from} on, with the archived log"),
        (None, true) => "by the archive of the server itself, with its own tools".into(),
        (None, false) => "none but this backup's: the server's log is not archived".into(),
    }
}

pub(super) fn checked_in_words(checked: &Checked) -> String {
    pairs(&[
        ("made at", checked.made_at.clone()),
        ("made by", format!("nexus {}", checked.made_by)),
        (
            "bytes",
            format!("{} in {} packs, all as they were written", checked.bytes, checked.packs),
        ),
        ("tables", format!("{} with {} rows", checked.tables, checked.rows)),
        ("objects", format!("{} with {} bytes", checked.objects, checked.object_bytes)),
        ("root key", checked.root_key.clone().unwrap_or_default()),
    ])
}
