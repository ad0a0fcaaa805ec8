//! One SQL statement per function. Reads run now; writes are values that `commit` runs together.
//!
//! A key stands at a `Place`, whose tenant may be the platform itself: that is why statements bind
//! the place's tenant and say that they do not bind the caller's.

pub mod keys;
pub mod secrets;
pub mod tenant_keys;
pub mod usage;
