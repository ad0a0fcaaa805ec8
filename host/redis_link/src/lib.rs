//! One connection to a Redis server, shared by the whole process: multiplexed, reconnecting, with
//! a limit on every wait. Knows the wire and its failures; refuses to know what the keys mean.
//!
//! It stands under `key_value` and `redis`, which may not depend on each other.

mod address;
mod dial;
mod link;
mod reply;
mod subscription;

pub use address::{Address, Endpoint};
pub use dial::Reach;
pub use link::{Link, Repeat};
pub use reply::Reply;

use std::time::Duration;

/// From the first packet to an authenticated connection. A server further away than two seconds
/// would not be used as a cache.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// For the answer to one command. Redis answers in microseconds; five seconds is a stall.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The text is not an address this host understands; it does not repeat the password.
    #[error("not a Redis address: {0}")]
    Address(String),
    /// No connection, or it broke; whether the command ran is unknown.
    #[error("Redis at {server} is unavailable: {reason}")]
    Unavailable { server: String, reason: String },
    /// The server said no: its own error code and words.
    #[error("{code} {text}")]
    Refused { code: String, text: String },
    /// The server answered something that Redis 7 does not answer.
    #[error("Redis at {server} answered out of protocol: {reason}")]
    Protocol { server: String, reason: String },
}
