//! All SQL, on this service's own schema: one statement per function.

pub mod assets;
pub mod entitlements;
pub mod progress;
pub mod protection;
pub mod sessions;
