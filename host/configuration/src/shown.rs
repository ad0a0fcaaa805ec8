//! A component's configuration as operators see it: each name with where its value comes from, and
//! the value unless it is a secret.

use std::time::SystemTime;

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
