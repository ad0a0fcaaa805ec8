//! Storage: how the host reaches PostgreSQL. A private cluster when no `DATABASE_URL` is set, one
//! bound over all server connections, one login role per service, forward-only migrations.
//!
//! Knows the server, its roles and its folders of SQL. Refuses to know what any service keeps in
//! its tables, and which interface a guest uses to ask for them.

mod address;
pub mod audit;
pub mod backup;
pub mod cluster;
pub mod configuration;
mod database;
mod endpoint;
mod error;
pub mod identity;
pub mod jobs;
mod migrations;
mod pool;
mod prepared;
pub mod private_file;
pub mod queue;
mod roles;
pub mod rollouts;
mod rows;
pub mod schedules;
mod session;
mod socket;
mod statement;
mod tls;
mod together;
mod wire;
mod work;

pub use database::{Database, Limits, Server};
pub use endpoint::{Allowed, Endpoint};
pub use error::Error;
pub use migrations::{Applied, Migrations};
pub use pool::{Pool, PoolLimits, PoolStats, Reading, Target};
pub use roles::role_of;
pub use rows::{Answer, Rows};
pub use session::{Param, Session};
pub use statement::Rules;
pub use work::{Listening, Signal, Work};

pub use tokio_postgres;
