//! What is deployed: a component's bytes with its fragment and its migrations, under one digest,
//! signed, carried as an OCI artifact that other people's registries and tools take. Knows the
//! formats and the judgements over them (signature, grants, difference); refuses to know the
//! engine, the database and who may deploy.
//!
//! An artifact is read whole, into memory, within bounds that each have a name: whatever a file or
//! a registry says about itself is checked before it is believed.

mod artifact;
mod check;
mod difference;
mod digest;
mod error;
mod grants;
mod interface;
mod keyring;
mod keys;
mod layout;
mod migrations;
mod oci;
mod registry;
mod signature;
mod tarball;

pub use artifact::{Artifact, FRAGMENT_BYTES_MAX, Parts, SIGNATURES_MAX, WASM_BYTES_MAX};
pub use check::{Difference, check};
pub use difference::{Change, Changes, Description, Kind, diff};
pub use digest::Digest;
pub use error::Error;
pub use grants::Grants;
pub use interface::Interface;
pub use keyring::{KeyRing, Policy, State, Verdict};
pub use keys::{KeyId, PublicKey, SigningKey};
pub use layout::{ARCHIVE, ARCHIVE_BYTES_MAX};
pub use migrations::Migration;
pub use oci::{Descriptor, FRAGMENT, MIGRATIONS, Platform, SIGNATURE};
pub use registry::{Credentials, Reference, Registry, RegistryConfig};
pub use signature::{Referrer, Signature};
