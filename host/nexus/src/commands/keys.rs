//! `nexus keys`: the keys that artifacts are signed with, made, shown and used on this machine.
//! Refuses to send a private key anywhere.

use super::Failure;
use super::host_api::REFUSED;
use super::push::{read, write, wrong};
use super::table::{say, say_json};
use crate::config::{KeysCommand, KeysOptions};
use anyhow::{Context as _, Result};
use nexus_artifact::{KeyRing, Policy, PublicKey, Signature, SigningKey, State};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

pub(super) fn run(options: &KeysOptions) -> Result<(), Failure> {
    match &options.command {
        KeysCommand::New { file } => new(file, options.json),
        KeysCommand::Public { key } => {
            let key = public(key)?;
            match options.json {
                true => say_json(&json!({ "key_id": key.id(), "public_key": key.to_pem() })),
                false => say(&key.to_pem()),
            }
        }
        KeysCommand::Sign { file, key, signature } => {
            sign(file, key, signature.as_deref(), options.json)
        }
        KeysCommand::Verify { file, keys } => verify(file, keys, options.json),
        KeysCommand::Bytes { file } => {
            let mut out = std::io::stdout().lock();
            let written = out.write_all(read(file)?.manifest()).and_then(|()| out.flush());
            Ok(written.context("write the manifest")?)
        }
    }
}

fn new(file: &Path, json: bool) -> Result<(), Failure> {
    let key = SigningKey::generate();
    let beside = file.with_extension("pub");
    create(file, 0o600, &key.to_pem())?;
    create(&beside, 0o644, &key.public().to_pem())?;
    let id = key.public().id();
    match json {
        true => say_json(&json!({ "key_id": id, "private": file, "public": beside })),
        false => say(&format!(
            "{id}  private: {} (keep it), public: {} (for NEXUS_SIGNATURE_KEYS)\n",
            file.display(),
            beside.display()
        )),
    }
}

/// A key that is overwritten is gone for good.
fn create(file: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let opened = opened.with_context(|| format!("make {}", file.display()));
    let mut opened = opened.map_err(Failure::Setting)?;
    let written = opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all());
    Ok(written.with_context(|| format!("write {}", file.display()))?)
}

fn public(file: &Path) -> Result<PublicKey, Failure> {
    let text = std::fs::read_to_string(file);
    let text =
        text.with_context(|| format!("read {}", file.display())).map_err(Failure::Setting)?;
    PublicKey::from_pem(&file.display().to_string(), &text).map_err(wrong)
}

fn sign(file: &Path, key: &Path, made: Option<&Path>, json: bool) -> Result<(), Failure> {
    let mut artifact = read(file)?;
    let signature = match made {
        None => SigningKey::read(key).map_err(wrong)?.sign(artifact.manifest()),
        Some(made) => {
            let bytes = std::fs::read(made).with_context(|| format!("read {}", made.display()));
            let key = public(key)?;
            let bytes = bytes.map_err(Failure::Setting)?;
            let signature = Signature::new(key.id(), &bytes).map_err(wrong)?;
            if !signature.is_by(&key, artifact.manifest()) {
                let words = format!(
                    "{} is not the signature of {} by that key over its manifest (`nexus keys \
                     bytes` prints what has to be signed)",
                    made.display(),
                    artifact.digest()
                );
                return Err(Failure::Told { words, code: REFUSED });
            }
            signature
        }
    };
    let id = signature.key_id.clone();
    if artifact.attach(signature) {
        write(file, &artifact.archive())?;
    }
    let digest = artifact.digest();
    match json {
        true => say_json(&json!({ "digest": digest, "key_id": id, "file": file })),
        false => say(&format!("{digest}  signed by {id}\n")),
    }
}

fn verify(file: &Path, keys: &Path, json: bool) -> Result<(), Failure> {
    let artifact = read(file)?;
    let ring = KeyRing::read(Policy::Required, Some(keys)).map_err(wrong)?;
    let verdict = ring.judge(&artifact);
    let digest = artifact.digest();
    if json {
        say_json(&json!({ "digest": digest, "signature": verdict }))?;
    }
    match verdict.state {
        State::Valid if json => Ok(()),
        State::Valid => say(&format!("{digest}  {}\n", verdict.words())),
        _ => {
            let words = format!("{digest} is {}", verdict.words());
            Err(Failure::Told { words, code: REFUSED })
        }
    }
}
