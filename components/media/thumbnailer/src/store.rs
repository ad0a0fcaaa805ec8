//! All SQL, on this service's own schema: one statement per function.

pub mod images;
pub mod items;
pub mod jobs;
