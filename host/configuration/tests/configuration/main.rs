//! What is configured, on a real PostgreSQL: who may set what, what is shown, what a revision gets,
//! how a new root key and a changed file come in.
#![allow(clippy::unwrap_used)]

mod ground;
mod setting;
mod turning;
