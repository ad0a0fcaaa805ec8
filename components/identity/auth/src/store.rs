//! All SQL of this service, one statement per function, a file per resource.

pub mod clients;
pub mod codes;
pub mod consents;
pub mod devices;
pub mod families;
pub mod proofs;
pub mod requests;
pub mod sessions;
pub mod upstreams;
