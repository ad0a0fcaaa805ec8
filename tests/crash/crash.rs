//! What is killed here is killed for real: processes of the host, of PostgreSQL and of workers, at
//! random moments, while clients write. Afterwards the books must balance.
//!
//! The default run kills a hundred or so; `NEXUS_LONG=1` ten times as many. `NEXUS_SEED` repeats
//! the choices of a run.
#![allow(clippy::unwrap_used)]

mod hosts;
mod ledger;
mod rollouts;
mod schedules;
mod servers;
mod story;
mod takeover;
mod workers;
mod zombies;
