//! What the host promises to every guest and every client, tried with real ones.
#![allow(clippy::unwrap_used)]

mod bodies;
mod hostile_clients;
mod hostile_guests;
mod measured_guests;
mod older_guests;
mod queue;
mod revisions;
mod sdk_bodies;
mod spin_guests;
mod table_bombs;
mod triggers;
