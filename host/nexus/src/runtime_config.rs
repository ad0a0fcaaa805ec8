//! Spin's runtime configuration file, as far as this host can honour it; what it cannot is an
//! error, because an application would otherwise run on other stores than its operator named.
//! Source: Spin documentation, "Dynamic and Runtime Application Configuration".

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What the file asks of us.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// As `SPIN_VARIABLE_<NAME>`, in the order of the file; later ones win.
    pub variables: Vec<(String, String)>,
    /// `[key_value_store.default]` of type `redis`.
    pub redis_url: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default, alias = "config_provider", alias = "variable_provider")]
    variables_provider: Vec<Provider>,
    #[serde(default)]
    key_value_store: BTreeMap<String, Store>,
    #[serde(flatten)]
    others: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Provider {
    /// Values in the file itself.
    Static { values: BTreeMap<String, String> },
    /// Variables of the process, which are read in any case; with another prefix they are not.
    Env {
        #[serde(default)]
        prefix: Option<String>,
    },
}

#[derive(Deserialize)]
struct Store {
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
}

impl RuntimeConfig {
    /// Reads the file.
    ///
    /// Fails when it is missing, is no TOML, or asks for a provider or store we do not have.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("read {}", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        let mut asked = Self::default();
        for provider in file.variables_provider {
            match provider {
                Provider::Static { values } => {
                    let named = |(name, value): (String, String)| {
                        (format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase()), value)
                    };
                    asked.variables.extend(values.into_iter().map(named));
                }
                Provider::Env { prefix: None } => {}
                Provider::Env { prefix: Some(prefix) } if prefix == "SPIN_VARIABLE" => {}
                Provider::Env { prefix: Some(prefix) } => {
                    bail!("variables with the prefix {prefix} are not read, SPIN_VARIABLE is");
                }
            }
        }
        for (name, store) in file.key_value_store {
            match (store.kind.as_str(), name.as_str()) {
                ("spin", _) => {}
                ("redis", "default") => asked.redis_url = store.url,
                (kind, _) => bail!(
                    "key_value_store.{name} of type {kind}: this host keeps all labels in one \
                     place, REDIS_URL or its own store"
                ),
            }
        }
        if let Some(name) = file.others.keys().next() {
            bail!("[{name}] is not something this host has");
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_asks_for_nothing() {
        assert_eq!(RuntimeConfig::parse("").unwrap(), RuntimeConfig::default());
    }

    #[test]
    fn static_variables_and_a_default_redis_are_honoured() {
        let asked = RuntimeConfig::parse(
            "[[variables_provider]]\ntype = \"static\"\nvalues = { api_key = \"x\" }\n\
             [[config_provider]]\ntype = \"env\"\n",
        );
        assert!(asked.is_err(), "one list under two names is one too many");
        let asked = RuntimeConfig::parse(
            "[[variables_provider]]\ntype = \"static\"\nvalues = { api_key = \"x\" }\n\
             [key_value_store.default]\ntype = \"redis\"\nurl = \"redis://cache:6379\"\n",
        );
        let asked = asked.unwrap();
        assert_eq!(asked.variables, [("SPIN_VARIABLE_API_KEY".into(), "x".into())]);
        assert_eq!(asked.redis_url.as_deref(), Some("redis://cache:6379"));
    }

    #[test]
    fn what_this_host_does_not_have_is_refused() {
        for text in [
            "[[variables_provider]]\ntype = \"vault\"\nurl = \"http://vault\"\n",
            "[[variables_provider]]\ntype = \"env\"\nprefix = \"APP\"\n",
            "[key_value_store.cache]\ntype = \"redis\"\nurl = \"redis://cache\"\n",
            "[key_value_store.default]\ntype = \"azure_cosmos\"\n",
            "[sqlite_database.default]\ntype = \"spin\"\n",
            "[llm_compute]\ntype = \"spin\"\n",
            "not toml",
        ] {
            assert!(RuntimeConfig::parse(text).is_err(), "{text}");
        }
    }
}
