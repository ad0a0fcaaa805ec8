//! Stories of the platform context.

mod branding;
mod configuration;
mod flags;
mod gateway;
mod incidents;
mod kms_people;
mod kms_secrets;
mod kms_transit;
mod kms_vault;
mod names;
mod outage;
mod scheduler;
mod scheduler_queues;
mod scheduler_receiver;
