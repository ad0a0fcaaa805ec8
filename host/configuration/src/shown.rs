//! A component's configuration as operators see it: each name with where its value comes from, and
//! the value unless it is a secret.

use crate::Error;
use crate::configuration::Configuration;
use crate::layers::Layers;
use nexus_runtime::VariableDeclaration;
use nexus_storage::configuration::{Kept, Setting};
use std::collections::HashMap;
use std::time::SystemTime;

/// What every component has whatever is declared: the host answers it.
const DATABASE: &str = "pg_url";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Environment,
    /// A file, a folder or Vault.
    Outside {
        place: String,
    },
    /// What operators have set: in which scope, by which change, who and when.
    Set {
        scope: String,
        version: u64,
        by: String,
        at: SystemTime,
    },
    Default,
    /// The host answers it for each component.
    Host,
    Missing,
}

impl Origin {
    /// The word on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Outside { .. } => "outside",
            Self::Set { .. } => "set",
            Self::Default => "default",
            Self::Host => "host",
            Self::Missing => "missing",
        }
    }
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub name: String,
    pub secret: bool,
    pub required: bool,
    pub description: Option<String>,
    pub origin: Origin,
    /// None for a secret, and where there is none.
    pub value: Option<String>,
}

impl Configuration {
    /// Every name of a component with where its value comes from, as it would be if it were applied
    /// now; of `_` every name there is.
    ///
    /// # Errors
    ///
    /// [`Error::NoComponent`], or of the database.
    pub async fn show(&self, component: &str) -> Result<Vec<Shown>, Error> {
        let settings = match &self.0.store {
            Some(store) => store.at(component, u64::MAX).await?,
            None => Vec::new(),
        };
        let settings: HashMap<&str, &Setting> =
            settings.iter().map(|setting| (&*setting.name, setting)).collect();
        let (declared, layers) = (self.declared(), self.layers());
        let names = declared.names(component)?;
        Ok(names
            .into_iter()
            .map(|name| {
                let said = &declared.variables[name];
                let (origin, value, sealed) =
                    self.traced(&layers, component, name, said, settings.get(name).copied());
                let secret = said.secret || sealed;
                Shown {
                    name: name.to_owned(),
                    secret,
                    required: said.required,
                    description: said.description.clone(),
                    origin,
                    value: value.filter(|_| !secret),
                }
            })
            .collect())
    }

    /// Where the value of a name comes from, what it says unless it is sealed, and whether it is.
    fn traced(
        &self,
        layers: &Layers,
        component: &str,
        name: &str,
        said: &VariableDeclaration,
        setting: Option<&Setting>,
    ) -> (Origin, Option<String>, bool) {
        if let Some(value) = self.0.environment.get(name) {
            return (Origin::Environment, Some(value.clone()), false);
        }
        if let Some((value, place)) = layers.get(component, name) {
            return (Origin::Outside { place: place.to_owned() }, Some(value.to_owned()), false);
        }
        if let Some(setting) = setting {
            let origin = Origin::Set {
                scope: setting.scope.clone(),
                version: setting.version,
                by: setting.changed_by.clone(),
                at: setting.changed_at,
            };
            return match &setting.kept {
                Kept::Value(value) => (origin, Some(value.clone()), false),
                Kept::Secret(_) | Kept::Unset => (origin, None, true),
            };
        }
        match &said.default {
            Some(value) => (Origin::Default, Some(value.clone()), false),
            None if name == DATABASE => (Origin::Host, None, false),
            None => (Origin::Missing, None, false),
        }
    }
}
