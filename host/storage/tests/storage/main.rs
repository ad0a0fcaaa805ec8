//! What the host promises about its database, shown on a real PostgreSQL.

mod cluster;
mod isolation;
mod jobs;
mod migrations;
mod platform;
mod pool;
mod server;
mod session;
mod tls;
