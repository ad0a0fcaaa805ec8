//! Everything that can be wrong with an artifact, a signature, or a registry, in words that name
//! the part.

use crate::digest::Digest;
use crate::registry::Reference;
use std::path::PathBuf;

/// Why an artifact was not made, read, signed, judged, or carried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} has {bytes} bytes; at most {bytes_max} are taken")]
    TooLarge { what: String, bytes: u64, bytes_max: u64 },
    #[error("{what} is not what its digest says: {expected} was named, {found} was found")]
    Tampered { what: String, expected: Digest, found: Digest },
    #[error("{what} has {found} bytes where {expected} were announced")]
    Size { what: String, expected: u64, found: u64 },
    #[error("{0:?} is not a digest: sha256: and 64 lower-case hexadecimal digits")]
    Digest(String),
    #[error("the archive cannot be read: {0}")]
    Archive(String),
    #[error("the manifest cannot be used: {0}")]
    Manifest(String),
    #[error("{0:?} is not a component's name: use lower-case letters, digits and single dashes")]
    Component(String),
    #[error("the wasm cannot be used: {0}")]
    Wasm(String),
    #[error("the fragment cannot be used: {0}")]
    Fragment(String),
    #[error("the migrations cannot be used: {0}")]
    Migrations(String),
    #[error("the key {place} cannot be used: {reason}")]
    Key { place: String, reason: String },
    #[error("the signature cannot be used: {0}")]
    Signature(String),
    #[error("signatures are required, and this artifact is {0}")]
    NotSigned(String),
    #[error("cannot read {path}: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{0:?} is no reference: write registry.example:5000/repository:tag or …@sha256:…")]
    Reference(String),
    #[error("{reference}: {reason}")]
    Registry { reference: Reference, reason: String },
    #[error("{0} is not there")]
    NotFound(Reference),
    #[error("{reference} moved while it was being read: {resolved} was resolved, {found} was sent")]
    Moved { reference: Reference, resolved: Digest, found: Digest },
    #[error("the credentials for {host} cannot be used: {reason}")]
    Credentials { host: String, reason: String },
}
