//! All SQL, on this service's own schema: one statement per function.

pub mod assets;
pub mod runs;
pub mod steps;
pub mod subtitles;
