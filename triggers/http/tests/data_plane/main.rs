//! The data plane over real sockets. What answers behind it is a small backend of its own: it
//! echoes, streams, waits and fails on request; the components themselves are tested elsewhere.
//! What it knows of identity stands in a real PostgreSQL, written as the services write it.

mod answers;
mod api_keys;
mod clients;
mod cors_and_rates;
mod cross_site;
mod drain;
mod echo;
mod followed;
mod following;
mod host;
mod http2;
mod identity;
mod limits;
mod own_paths;
mod platform;
mod sessions;
mod shared_rates;
mod smuggling;
mod streaming;
mod tenants;
mod tls;
mod tokens;
