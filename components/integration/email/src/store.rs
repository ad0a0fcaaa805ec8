//! All SQL, on this service's own schema: one statement per function.

pub mod messages;
pub mod senders;
pub mod suppressions;
pub mod templates;
