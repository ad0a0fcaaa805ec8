//! All SQL of the uploader, one statement per function, a file per resource.

pub mod accounts;
pub mod contents;
pub mod removals;
pub mod uploads;
pub mod writing;
