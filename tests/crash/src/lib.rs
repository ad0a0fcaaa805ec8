//! What the crash tests and the queue's bench stand on: a PostgreSQL of their own that writes as in
//! earnest, the host's real program, clients that write to it, and the books that must balance.
//!
//! Refuses to reach into the host: it is a process that is started, asked over HTTP, and killed.

pub mod books;
pub mod client;
pub mod dice;
pub mod ground;
pub mod host;
pub mod journal;
pub mod load;
pub mod operator;
pub mod steady;
