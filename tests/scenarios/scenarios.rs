//! The suite as its users meet it: one story per file, in the words of its context.
#![allow(clippy::unwrap_used)]

mod identity;
mod integration;
mod media;
mod platform;
mod web;
