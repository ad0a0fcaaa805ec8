//! All SQL, on this service's own schema: one statement per function.

pub mod jobs;
pub mod profiles;
