//! Cryptography as functions of their arguments: no clock, no database, no randomness of its own.
//! Knows algorithms; refuses to know owners, names and policies.

pub mod aead;
pub mod bound;
pub mod digest;
pub mod jwk;
pub mod key_type;
pub mod key_wrap;
pub mod seal;
pub mod shamir;
pub mod signing;
pub mod text;
#[cfg(test)]
mod vectors;
