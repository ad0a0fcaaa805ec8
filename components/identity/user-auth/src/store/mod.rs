//! One SQL statement per function, on the schema `user_auth` and on the two functions of the
//! platform that are for this service.

pub mod attempts;
pub mod erasure;
pub mod factors;
pub mod flows;
pub mod orders;
pub mod passkeys;
pub mod passwords;
pub mod registrations;
pub mod throttle;
