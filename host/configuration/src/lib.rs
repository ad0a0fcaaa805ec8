//! Configuration: what the variables of components are, and where their values come from.
//!
//! # Sources, in this order
//!
//! 1. the host's environment: `NEXUS_VARIABLE_<NAME>`, then `SPIN_VARIABLE_<NAME>`;
//! 2. a file, `NEXUS_CONFIGURATION_FILE`: TOML, names at the top for all components, and a table
//!    for each component that has its own;
//! 3. folders, `NEXUS_CONFIGURATION_FOLDERS` (a later one wins): a file for each name, and a folder
//!    for each component that has its own; the way in which Kubernetes mounts secrets and maps;
//! 4. Vault's KV engine, version 2: `VAULT_ADDR` with `VAULT_TOKEN`, or as a Kubernetes workload;
//! 5. what operators have set (`nexus config`, `nexus secret`), in the database, by number;
//! 6. the default of the manifest.
//!
//! Inside each of them a component's own value comes before that of all.
//!
//! # Numbers
//!
//! Every change in the database has a number, and the number of a revision says which it sees, so
//! that to roll back also restores what was configured. What stands in files and in Vault has no
//! history: when it changes, the history takes a note, affected components get a new revision, and
//! a host that starts later reads what is there then. An instance keeps its values to its end.
//!
//! # Secrets
//!
//! They are written and never shown: at rest under AES-256-GCM with a key of their own each,
//! wrapped under one that follows from the root key; in log lines and spans their values are
//! replaced by their name. Refuses to know any component, and how a revision is made ([`Revise`]).

mod configuration;
mod declared;
mod difference;
mod keys;
mod layers;
mod rotation;
mod settings;
mod shown;
mod vault;
mod watch;

pub use configuration::{Applied, Configuration, Order, Parts, Revise, Revised};
pub use difference::{Change, Difference};
pub use keys::{Keyring, Place};
pub use layers::{Layer, Layers};
pub use nexus_storage::configuration::{ALL, ChangeRow};
pub use settings::Sources;
pub use shown::{Origin, Shown};
pub use vault::{Auth, VaultSettings};

use nexus_storage::configuration::WriteError;

/// What can go wrong; no variant carries a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] nexus_storage::Error),
    #[error("this host has no root key to keep secrets under: set NEXUS_ROOT_KEY_FILE")]
    NoKey,
    #[error("the root key {0}")]
    Key(&'static str),
    #[error(
        "the secret {name} of {scope} is sealed under key {key_id}, which this host does not have: \
         give it back its root key, or the former one as NEXUS_VARIABLE_ROOT_KEY_PREVIOUS"
    )]
    OtherKey { scope: String, name: String, key_id: String },
    #[error("the secret {name} of {scope} was changed where it is kept")]
    Forged { scope: String, name: String },
    #[error("there is no component {0}")]
    NoComponent(String),
    #[error("{name:?} is not a variable of {scope}: {known}")]
    Undeclared { scope: String, name: String, known: String },
    #[error("{0} is declared as a secret: set it with `nexus secret set`, or `secret: true`")]
    Secret(String),
    #[error("a value takes at most {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error(
        "{component} cannot be configured so: {names} would have no value; set it, or give it a \
         default in [variables]"
    )]
    Missing { component: String, names: String },
    #[error("{place}: {reason}")]
    Source { place: String, reason: String },
    #[error("a revision of {component} with this configuration cannot be made: {reason}")]
    Revision { component: String, reason: String },
    #[error("this host does not make revisions: the change takes effect when it starts again")]
    NoRevisions,
}

impl From<WriteError<Error>> for Error {
    fn from(error: WriteError<Error>) -> Self {
        match error {
            WriteError::Storage(error) => Self::Storage(error),
            WriteError::Sealing(error) => error,
        }
    }
}
