//! The data plane over real sockets. What answers behind it is a small backend of its own: it
//! echoes, streams, waits and fails on request; the components themselves are tested elsewhere.

mod answers;
mod clients;
mod cors_and_rates;
mod drain;
mod echo;
mod host;
mod http2;
mod identity;
mod limits;
mod own_paths;
mod smuggling;
mod streaming;
mod tls;
