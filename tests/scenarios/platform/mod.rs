//! Stories of the platform context.

mod branding;
mod configuration;
mod flags;
mod incidents;
mod names;
mod outage;
mod scheduler;
mod scheduler_queues;
mod scheduler_receiver;
