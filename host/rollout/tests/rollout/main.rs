//! Rollouts on real hosts: runtimes with real guests, one database, controllers that die.

mod bad;
mod bed;
mod good;
mod killed;
mod manifest;
mod operators;
