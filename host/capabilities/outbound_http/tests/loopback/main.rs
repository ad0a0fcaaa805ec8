//! Outbound requests against real servers on loopback. One binary: linking is slow.

mod grants;
mod headers;
mod in_process;
mod limits;
mod pooling;
mod servers;
mod ssrf;
mod streaming;
mod timeouts;
mod tls;
