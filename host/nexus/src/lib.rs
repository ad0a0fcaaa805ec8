//! The host as a library: what `nexus up` runs, for the binary and for tests that want the real
//! thing in their own process. Knows every part by name ([`assembly`] lists them); refuses to
//! contain any of their rules.

mod assembly;
mod background;
pub mod backup;
mod boot;
pub mod commands;
pub mod config;
mod configuration;
pub mod dev_tokens;
mod development;
mod doctor;
mod front;
mod home;
mod host;
mod manifest;
mod object_urls;
mod postgres;
mod runtime_config;
mod secret;
mod settings;
mod setup;
mod sockets;
mod sources;
pub mod takeover;
mod workers;

pub use home::{Home, HomeError};
pub use host::{Host, QuickStop};
pub use settings::{Database, Objects, Settings, Tls, Tokens};

/// The version of this host.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
