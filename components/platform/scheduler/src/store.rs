//! All SQL of the scheduler, one statement per function, a file per resource.

pub mod jobs;
pub mod queues;
pub mod schedules;
pub mod secrets;
