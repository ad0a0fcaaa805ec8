//! Stories of the platform context.

mod branding;
mod configuration;
mod flags;
mod incidents;
mod names;
mod outage;
