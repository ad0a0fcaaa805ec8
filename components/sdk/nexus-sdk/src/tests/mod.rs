//! The SDK at work: a small service, called as the host calls it, on a real PostgreSQL.

mod catalog;
mod changes;
mod cluster;
mod documents;
mod doors;
mod lists;
mod tables;

pub(crate) use cluster::url as cluster_url;
