//! What the host promises about its database, shown on a real PostgreSQL.

mod audit;
mod cluster;
mod configuration;
mod identity;
mod isolation;
mod jobs;
mod migrations;
mod platform;
mod pool;
mod queue;
mod queue_bed;
mod queue_events;
mod queue_frontier;
mod queue_model;
mod queue_operators;
mod queue_rings;
mod rollouts;
mod schedules;
mod schedules_of_services;
mod server;
mod session;
mod tls;
mod together;
