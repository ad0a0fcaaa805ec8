//! The job protocol: how a native worker gets work from the host, keeps it, and lets go of it; and
//! the loop in which every worker of this repository runs. Knows leases, objects' URLs and outside
//! programs. Refuses to know what any job means.
//!
//! # The protocol
//!
//! Whoever speaks this over HTTP/1.1 is a worker, in any language. All calls are `POST` to the
//! host's operators' address, with `authorization: Bearer <worker token>`
//! (`NEXUS_WORKER_TOKEN`; otherwise the host keeps one in `worker-token` of its home), a JSON body
//! and a JSON answer. Errors are problems (RFC 9457). Times are milliseconds from now, because
//! clocks differ. The bodies are the types in [`wire`].
//!
//! | call | body | answer |
//! |---|---|---|
//! | `/worker/v1/claim` | [`wire::ClaimRequest`] | [`wire::ClaimReply`] |
//! | `/worker/v1/jobs/{id}/heartbeat` | [`wire::HeartbeatRequest`] | [`wire::HeartbeatReply`] |
//! | `/worker/v1/jobs/{id}/checkpoint` | [`wire::CheckpointRequest`] | 204 |
//! | `/worker/v1/jobs/{id}/urls` | [`wire::UrlsRequest`] | [`wire::UrlsReply`] |
//! | `/worker/v1/jobs/{id}/finish` | [`wire::FinishRequest`] | 204 |
//!
//! 1. **Claim** asks for jobs of some kinds, and waits for one at the host as long as it says. It
//!    gets only jobs whose requirements its offers meet: a number is a least amount, a text or a
//!    list of texts must be among the worker's words, `true` must be `true`. Each claim counts as
//!    an attempt and comes with a lease.
//!    The job's `traceparent` is that of this attempt: whoever sends it along as a header with the
//!    calls about the job finds the attempt among the spans of its trace.
//! 2. **The lease** is an opaque text that every further call about the job carries. A call with a
//!    lease that has lapsed, or was given to another, gets **409**, changes nothing, and tells the
//!    worker to drop the work: another may have it. A worker that hears nothing from its host
//!    assumes the same once the lease's time is over.
//! 3. **Heartbeat** tells progress and extends the lease; send it every third of `lease_ms`, or
//!    more often to hear of a cancellation sooner (this crate: every five seconds). The answer may
//!    ask to stop: end the work and finish with `release` when `cancelled`, with `retry` when the
//!    `deadline` is over. Success that comes first is still success.
//! 4. **Objects** are named in the job's arguments and never sent. `urls` turns names into URLs
//!    that are good for a few minutes; only the buckets granted to the job's service are open. An
//!    object to be written becomes visible whole or not at all.
//! 5. **Checkpoint** names an object with whatever lets a later attempt go on; that attempt is
//!    handed the name when it claims.
//! 6. **Finish** is one of four: `ack` with the output, `retry`, `release` (no attempt is charged:
//!    shutting down, out of space), `reject` (it can never succeed). How the job ended is told to
//!    the services by an event in the same transaction. A worker that gets no answer repeats the
//!    call; 409 then means that it had arrived, or that the lease is lost.
//!
//! Everything is at least once: a worker whose lease lapsed may still be writing when the next one
//! begins, so outputs go to names that depend on the job and its arguments alone, or on the
//! attempt.
//!
//! # A worker here
//!
//! A type with a kind, typed arguments and output and one function ([`Worker`]); [`Crew`] runs
//! them: a private folder for each job, heartbeats, signals, retries of calls while the host is
//! away.

mod client;
mod confine;
mod context;
mod crew;
mod errand;
mod error;
mod http;
mod program;
mod scratch;
mod spent;
pub mod wire;
mod worker;

pub use client::{Client, Token};
pub use context::{Context, Fetched, Outgoing};
pub use crew::{Crew, Settings};
pub use error::Error;
pub use program::{Ended, Program, ProgramError};
pub use scratch::Scratch;
pub use worker::{Failure, Job, Worker};
