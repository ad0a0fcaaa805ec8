//! The protocol between the real host, with the real PostgreSQL behind it, and this crate's worker:
//! each side is the other's test.

mod bed;
mod calls;
mod loops;
