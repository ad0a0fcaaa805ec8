//! Unmodified clients of others against the real host: what they refuse, a user's client refuses.
//! The clients come from their registries, in pinned releases, into `.nexus/outside`; they speak
//! TLS under a CA of the test's own, at the public origin, as they would anywhere.
//!
//! Refuses to adapt a client: a script may only call it.
#![allow(clippy::unwrap_used)]

mod cinema;
mod commands;
mod dashboard;
mod deploy;
mod described;
mod identity;
mod openapi;
mod openbao;
mod playback;
mod player;
mod protection;
mod scim;
mod tools;
mod tutorial;
mod uploads;
mod vault;
