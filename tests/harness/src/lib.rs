//! What a scenario needs: the real host in this process on a free port, a database of its own from
//! a template, members with any permissions, a small client with asserts that read like sentences.
//!
//! ```no_run
//! use nexus_harness::prelude::*;
//!
//! #[tokio::test(flavor = "multi_thread")]
//! async fn a_stranger_is_told_so() {
//!     let nexus = Nexus::start().await;
//!     nexus.anonymous().get("/api/catalog/v1/products").await.problem(401, "no-credential");
//! }
//! ```
//!
//! Refuses to imitate anything: every part behind the port is the one that ships.

mod answer;
mod client;
mod database;
mod journal;
mod log;
mod mail;
mod nexus;
mod raw;
mod redis;
mod staged;
mod streaming;
mod waiting;

pub use ::nexus::{Database as DatabaseChoice, Settings, Tls};
pub use answer::{Answer, Created, ProblemBody};
pub use client::{Client, RequestDraft};
pub use database::{Forward, TestDatabase, forward};
pub use journal::journal;
pub use mail::Mail;
pub use nexus::{Nexus, Setup};
pub use raw::Raw;
pub use redis::Redis;
pub use staged::{component, probe, repository};
pub use streaming::Streaming;
pub use waiting::{days, eventually, hours, minutes, seconds};

/// What a scenario imports.
pub mod prelude {
    pub use crate::{
        Answer, Client, Nexus, Redis, days, eventually, hours, minutes, probe, seconds,
    };
    pub use serde_json::{Value, json};
}
