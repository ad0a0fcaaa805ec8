//! DRM: packages of films that are worth nothing without a key, and who gets one.

pub mod cenc;
