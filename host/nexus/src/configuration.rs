//! The configuration of this host: put together from the settings, and handed to the components'
//! variables. Refuses to know what is configured.

use crate::development::is_development;
use crate::secret;
use crate::settings::Settings;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capability_variables::{Provider, Values, Variables};
use http::Uri;
use nexus_configuration::{Configuration, Keyring, Parts, Revise, Revised, Sources};
use nexus_rollout::{Declare, Rollout};
use nexus_runtime::ComponentId;
use nexus_storage::Database;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The first wins, as it does for the components.
const PREFIXES: [&str; 2] = ["NEXUS_VARIABLE_", "SPIN_VARIABLE_"];

/// The configuration of a host whose own variables are in the settings' environment already. Reads
/// files and Vault once; what cannot be read is a warning, and looked at again while it runs.
///
/// Fails when a source or the root key makes no sense.
pub(crate) async fn open(
    settings: &Settings,
    public_url: &Uri,
    home: &Path,
    database: Option<Database>,
) -> Result<Configuration> {
    let environment = &settings.environment;
    let set = |name: &str| {
        let found = environment.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    let configuration = Configuration::new(Parts {
        database,
        keys: keys(settings, public_url, home).context("use the root key")?,
        sources: Sources::read(set).context("read where configuration comes from")?,
        environment: variables(environment),
    })?;
    configuration.declare_all(&settings.manifest);
    if let Err(error) = configuration.look().await {
        tracing::warn!(%error, "a part of the configuration is not read yet");
    }
    Ok(configuration)
}

/// What the variables of components ask besides the environment.
pub(crate) fn provider(configuration: Configuration) -> Arc<dyn Provider> {
    Arc::new(Provided { configuration, threads: Handle::current() })
}

/// Makes the variables known that a revision declares: the store may then hold them, and the
/// component is told of them.
pub(crate) fn declare(configuration: &Configuration, variables: &Variables) -> Declare {
    let (configuration, variables) = (configuration.clone(), variables.clone());
    Arc::new(move |fragment| {
        variables.declare(&fragment.variables).map_err(|error| error.to_string())?;
        configuration.declare(&fragment.component, &fragment.variables);
        Ok(())
    })
}

struct Provided {
    configuration: Configuration,
    threads: Handle,
}

impl Provider for Provided {
    /// Components are prepared on threads that may block.
    fn values(&self, component: &ComponentId, configuration: u64) -> Result<Values, String> {
        let values = self.configuration.values(component.as_str(), configuration);
        self.threads.block_on(values).map_err(|error| error.to_string())
    }

    fn at_hand(&self, component: &ComponentId, name: &str) -> Option<String> {
        self.configuration.at_hand(component.as_str(), name)
    }
}

/// Makes revisions of what is served, and rolls them out.
pub(crate) fn revisions(rollout: Rollout) -> Arc<dyn Revise> {
    Arc::new(Revisions(rollout))
}

struct Revisions(Rollout);

#[async_trait::async_trait]
impl Revise for Revisions {
    async fn revise(
        &self,
        component: &str,
        configuration: u64,
        by: &str,
        reason: &str,
    ) -> Result<Revised, String> {
        let made = self.0.reconfigure(component, configuration, reason, by).await;
        let (revision, row) = made.map_err(|error| error.to_string())?;
        Ok(Revised { revision, rollout: row.map(|row| row.id.to_string()) })
    }
}

/// The variables of the application in an environment, by lower-case name.
fn variables(environment: &[(String, String)]) -> HashMap<String, String> {
    let mut set = HashMap::new();
    for prefix in PREFIXES.into_iter().rev() {
        let named = environment.iter().filter_map(|(key, value)| {
            Some((key.strip_prefix(prefix)?.to_ascii_lowercase(), value.clone()))
        });
        set.extend(named);
    }
    set
}

/// The root key that the operator has given, or that the host has made for itself while only this
/// machine knows it; None elsewhere.
fn keys(settings: &Settings, public_url: &Uri, home: &Path) -> Result<Option<Keyring>> {
    let set = variables(&settings.environment);
    let root = match (&settings.root_key, set.get("root_key")) {
        (Some(given), _) | (None, Some(given)) => given.clone(),
        (None, None) if is_development(public_url) => {
            STANDARD.encode(secret::kept_in(&home.join("dev-root-key"))?)
        }
        (None, None) => return Ok(None),
    };
    let former = set.get("root_key_previous").filter(|key| !key.is_empty());
    Ok(Some(Keyring::new(&root, former.map(String::as_str))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_prefix_wins_over_spins_whatever_comes_first() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let ours = pair("NEXUS_VARIABLE_GREETING", "moin");
        let spins = pair("SPIN_VARIABLE_GREETING", "servus");
        for environment in [vec![ours.clone(), spins.clone()], vec![spins, ours]] {
            assert_eq!(variables(&environment)["greeting"], "moin");
        }
    }
}
