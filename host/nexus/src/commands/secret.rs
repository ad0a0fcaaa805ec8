//! `nexus secret`: what components keep from everybody. Reads a secret from a file or from standard
//! input, and prints none.

use super::Failure;
use super::config::{Host, Put, place};
use super::table::{Table, age, cell, list_of, say, say_json, say_list};
use crate::config::{SecretCommand, SecretOptions};
use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

/// As much as the host takes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

pub(super) fn run(options: &SecretOptions) -> Result<(), Failure> {
    let host = Host::new(&options.host)?;
    match &options.command {
        SecretCommand::Set { component, name, file, why, force } => {
            let secret = read(file.as_deref())?;
            host.set(component, name, Put { value: &secret, secret: true, why, force: *force })
        }
        SecretCommand::Ls { component } => list(&host, component),
        SecretCommand::Rotate => rotate(&host),
        SecretCommand::Unset { component, name } => host.unset(component, name),
    }
}

fn list(host: &Host, component: &str) -> Result<(), Failure> {
    let answer = host.names(component)?;
    let secrets = list_of(&answer["names"]).filter(|name| name["secret"] == true);
    if host.json {
        let secrets: Vec<&Value> = secrets.collect();
        return say_json(&json!({ "secrets": secrets }));
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "STATE", "FROM", "#VERSION", "WHEN"]);
    for secret in secrets {
        let state = if secret["origin"] == "missing" { "missing" } else { "set" };
        table.row(vec![
            cell(&secret["name"]),
            state.into(),
            place(secret),
            cell(&secret["version"]),
            age(&secret["at"], now),
        ]);
    }
    say_list(&table, "it has no secrets", &Value::Null)
}

fn rotate(host: &Host) -> Result<(), Failure> {
    let answer = host.api.post(&["configuration", "_", "rotate"], &json!({}))?;
    match host.json {
        true => say_json(&answer),
        false => say(&format!("{} secrets were put under the current key\n", answer["rotated"])),
    }
}

/// The secret, without the end of its last line.
fn read(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = match file {
        Some(file) => std::fs::File::open(file)
            .and_then(|opened| opened.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes))
            .with_context(|| format!("read {}", file.display())),
        None => {
            let stdin = std::io::stdin().lock();
            if stdin.is_terminal() {
                eprintln!("the secret, then Ctrl-D:");
            }
            let read = stdin.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes);
            read.context("read standard input")
        }
    };
    read.map_err(Failure::Setting)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        let words = anyhow!("a secret takes at most {SECRET_BYTES_MAX} bytes");
        return Err(Failure::Setting(words));
    }
    let text = std::str::from_utf8(&bytes).context("read the secret as UTF-8");
    let text = text.map_err(Failure::Setting)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::Setting(anyhow!("there is no secret to set")));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_a_file_has_no_line_end_and_is_never_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        for (text, secret) in [("s3cret\r\n", "s3cret"), ("two\nlines", "two\nlines")] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read(Some(&file)).unwrap().as_str(), secret);
        }
        for wrong in [b"\n".to_vec(), Vec::new(), vec![b'x'; 65_537], vec![0xff, 0xfe]] {
            std::fs::write(&file, wrong).unwrap();
            assert!(read(Some(&file)).is_err());
        }
        assert!(read(Some(&folder.path().join("none"))).is_err());
    }
}
