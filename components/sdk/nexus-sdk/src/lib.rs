//! What every service of the suite is written with; a service needs `nexus_sdk::prelude::*`
//! and nothing else of it.
//!
//! Read in this order: `tables.rs` (the macros a service starts with), `ctx.rs` (the doors a
//! request passes), `sql.rs` and `commit.rs` (how anything changes), `problem.rs` (how
//! anything is refused), `service.rs` (the way of one request).
//!
//! It knows HTTP, problems, SQL statements as values and the `platform` schema's functions.
//! It refuses to know any service, and keeps no state but what stays true for
//! as long as an instance lives: its router, and where its database is.
//!
//! A service also compiles natively, so that `cargo test -p <service>` runs its unit tests;
//! only what calls the host (the database, variables, key-value, other services) panics
//! there.

// The macros write `::nexus_sdk::…`, also when this crate uses them itself.
extern crate self as nexus_sdk;

mod beside;
mod call;
mod cell;
mod commit;
mod ctx;
mod db;
mod doors;
mod etag;
mod event;
mod extract;
mod field;
#[cfg(target_arch = "wasm32")]
mod front;
mod id;
mod idempotency;
#[cfg(any(test, target_arch = "wasm32"))]
mod memory;
mod openapi;
mod outcome;
mod outside;
mod page;
mod param;
mod parts;
mod patience;
mod piece;
mod principal;
mod problem;
mod respond;
mod router;
mod row;
mod service;
// This crate's own tests have no host; there a session is a plain connection to PostgreSQL.
#[cfg_attr(test, path = "tests/session.rs")]
mod session;
mod sql;
mod tables;
#[cfg(test)]
mod tests;
mod time;
mod triggers;
#[cfg(any(test, target_arch = "wasm32"))]
mod whole;

pub use call::{Peer, Question, Reply, call};
pub use commit::Writes;
pub use ctx::{Allowed, Ctx, Public, System};
pub use db::Db;
pub use doors::{Called, Callers, SignedIn};
pub use etag::{Etag, IfMatch, Tagged};
pub use event::{Delivery, Event, Heard, Tick, emit, is_topic};
pub use extract::{Form, Json, Path, Query};
pub use id::{Id, TenantId};
pub use nexus_sdk_macros::sql;
pub use openapi::{Input, Operation, Output};
pub use outside::{Echo, Letter, Unanswered, letter};
pub use page::{Cursor, Page, Sort, ascending, descending};
pub use param::{Param, ToParam, word};
pub use patience::{release_after, retry_after};
pub use principal::{Kind, Permission, Principal, belongs_to, covers};
pub use problem::{Error, Failure, FieldError, OrLog, Problem, Refusal, Result, standard};
pub use respond::{Accepted, Created, NoContent, Secret};
pub use router::{Door, Endpoint, Methods, Route, Router, delete, get, options, patch, post, put};
pub use service::{Facts, Service};
#[cfg(target_arch = "wasm32")]
pub use service::{serve, serve_whole};
pub use sql::{Bind, Statement, Write};
pub use time::{Date, Time, days, hours, minutes, seconds};
#[doc(hidden)]
pub use triggers::{Outcome, outcome};
#[cfg(target_arch = "wasm32")]
pub use triggers::{bindings, concurrently, delivery, tick};
#[cfg(target_arch = "wasm32")]
pub use whole::bindings as whole_bindings;

pub use spin_sdk::{key_value, redis, variables};
pub use {anyhow, axum, chrono, schemars, serde, serde_json, spin_sdk, uuid};

/// A topic or schedule that the host names and the service does not have.
#[doc(hidden)]
pub fn unknown(kind: &str, name: &str) -> Error {
    Failure::msg(format!("this service has no {kind} {name:?}")).into()
}

/// Everything a service needs, and nothing it has to spell out.
pub mod prelude {
    pub use crate::{
        Accepted, Allowed, Called, Created, Ctx, Cursor, Date, Db, Error, Etag, Failure, Form, Id,
        IfMatch, Json, Methods, NoContent, OrLog, Page, Param, Path, Public, Query, Refusal,
        Result, Router, Secret, SignedIn, Statement, System, Tagged, TenantId, Time, ToParam,
        Write, ascending, call, days, delete, descending, emit, get, hours, minutes, patch, post,
        put, seconds, sql, standard, word,
    };
    pub use anyhow::Context;
    pub use axum::body::{Body, Bytes};
    pub use axum::http::{HeaderMap, StatusCode, header};
    pub use axum::response::{Html, IntoResponse, Redirect, Response};
    pub use schemars::{self, JsonSchema};
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{self, json};
    pub use uuid::Uuid;
}
