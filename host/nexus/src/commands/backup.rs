//! `nexus backup` and `nexus backup verify`: what they say, and their exit codes.

use super::table::{pairs, say, say_json};
use super::{FAILED, Failure, IN_USE, MISUSED, is_in_use};
use crate::backup::{self, Checked, NotEmpty, Refusal, Taken, Taking};
use crate::config::{BackupCommand, BackupOptions, BackupVerifyOptions, KeyOptions};
use crate::manifest;
use anyhow::Context as _;

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
    let Some(to) = options.to else {
        return Err(Failure::Setting(anyhow::anyhow!("say with --to where the backup goes")));
    };
    let taking = Taking {
        installation: options.places.installation(options.home.home, root_key),
        manifest,
        manifest_file,
        to,
        given,
        with_root_key: options.with_root_key,
    };
    let threads = tokio::runtime::Runtime::new().context("start threads")?;
    let taken = threads.block_on(backup::take(&taking)).map_err(told)?;
    if options.json { say_json(&json(&taken)?) } else { say(&described(&taken)) }
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
        ("seconds", format!("{:.1}", taken.seconds)),
    ])
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
