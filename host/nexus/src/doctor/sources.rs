//! Where configuration comes from: files, folders, Vault.

use super::{Check, Finding, Ground};
use nexus_configuration::{Configuration, Layer, Parts, Sources};
use std::collections::HashMap;

pub(super) const CHECKS: &[Check] = &[
    Check::plain("configuration", "file", |ground| match sources(ground) {
        Ok(Sources { file: Some(file), .. }) => read(Layer::of_file(&file)),
        Ok(_) => Finding::skip("NEXUS_CONFIGURATION_FILE is not set"),
        Err(found) => found,
    }),
    Check::plain("configuration", "folders", |ground| match sources(ground) {
        Ok(Sources { folders, .. }) if folders.is_empty() => {
            Finding::skip("NEXUS_CONFIGURATION_FOLDERS is not set")
        }
        Ok(Sources { folders, .. }) => {
            let read = folders.iter().map(|folder| read(Layer::of_folder(folder)));
            let read: Vec<Finding> = read.collect();
            let worst = read.into_iter().max_by_key(|found| found.outcome);
            worst.unwrap_or_else(|| Finding::skip("there are none"))
        }
        Err(found) => found,
    }),
    Check::asking("configuration", "Vault", |ground| Box::pin(vault(ground))),
];

fn sources(ground: &Ground) -> Result<Sources, Finding> {
    let sources = Sources::read(|name| ground.set(name).map(str::to_owned));
    sources.map_err(|error| Finding::fail(error.to_string(), "correct the variable it names"))
}

fn read(layer: Result<Layer, nexus_configuration::Error>) -> Finding {
    match layer {
        Ok(layer) => Finding::ok(format!("{} has {} values", layer.place, layer.iter().count())),
        Err(error) => Finding::fail(error.to_string(), "correct the file, or who may read it"),
    }
}

async fn vault(ground: &Ground) -> Finding {
    let vault = match sources(ground) {
        Ok(Sources { vault: None, .. }) => return Finding::skip("VAULT_ADDR is not set"),
        Ok(Sources { vault, .. }) => vault,
        Err(found) => return found,
    };
    let sources = Sources { vault, ..Sources::default() };
    let parts = Parts { database: None, keys: None, sources, environment: HashMap::new() };
    let looked = match Configuration::new(parts) {
        Ok(configuration) => configuration.look().await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(()) => Finding::ok("it answers"),
        Err(error) => Finding::fail(
            error.to_string(),
            "see VAULT_ADDR, and whether the token may read and list the path",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped};
    use super::*;

    #[tokio::test]
    async fn each_source_is_read_or_said_to_be_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::bare(folder.path());
        for check in CHECKS {
            assert_eq!(check.run(&ground).await.outcome, Skipped, "{}", check.name);
        }
        let file = folder.path().join("nexus.toml");
        let set = |name: &str, value: &std::path::Path| {
            (name.to_owned(), value.to_str().unwrap().to_owned())
        };
        ground.environment = vec![
            set("NEXUS_CONFIGURATION_FILE", &file),
            set("NEXUS_CONFIGURATION_FOLDERS", &folder.path().join("secrets")),
            ("VAULT_ADDR".into(), "http://127.0.0.1:9".into()),
            ("VAULT_TOKEN".into(), "t".into()),
        ];
        for check in CHECKS {
            assert_eq!(check.run(&ground).await.outcome, Fail, "{}", check.name);
        }
        std::fs::write(&file, "greeting = \"hello\"\n").unwrap();
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        for check in &CHECKS[..2] {
            assert_eq!(check.run(&ground).await.outcome, Ok, "{}", check.name);
        }
    }
}
