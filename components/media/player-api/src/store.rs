//! All SQL, on this service's own schema: one statement per function.

pub mod beacons;
pub mod devices;
pub mod qoe;
