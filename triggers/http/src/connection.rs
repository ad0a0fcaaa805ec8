//! One connection from accept to close: TLS, which protocol, serving, draining, the last word.

use crate::backend::Backend;
use crate::config::HttpLimits;
use crate::door::{Door, address_value};
use crate::exchanges::Exchanges;
use crate::head_guard::{HeadGuard, Verdict};
use crate::last_word;
use crate::metrics::Open;
use crate::peers::Place;
use crate::shard::Shard;
use crate::wire::Wire;
use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

/// How an HTTP/2 client begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// First read: most heads fit.
const FIRST_READ: usize = 2 << 10;
/// What hyper may buffer for one HTTP/1 connection; above the largest head we accept.
const H1_BUFFER_MAX: usize = 64 << 10;
/// What h2 decodes at most of one header list. More than we accept, so that a head somewhat too
/// large gets a problem and only an absurd one h2's bare 431.
const H2_HEADERS_MAX: u32 = 64 << 10;
/// Unsent response bytes per HTTP/2 stream.
const H2_SEND_BUFFER_MAX: usize = 64 << 10;
/// Streams that were reset before we took them up; more is the rapid reset attack
/// (CVE-2023-44487).
const H2_PENDING_RESETS_MAX: usize = 20;
/// Streams that we reset for the client's errors, per connection.
const H2_ERROR_RESETS_MAX: usize = 256;

/// An accepted socket with everything that counts it.
pub(crate) struct Accepted {
    pub(crate) socket: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) place: Place,
    pub(crate) open: Open,
}

/// Serves a connection until it ends.
pub(crate) async fn serve<B: Backend>(shard: Arc<Shard<B>>, accepted: Accepted) {
    let Accepted { socket, peer, tls, place, open } = accepted;
    let _counted = (place, open);
    let served = match tls {
        None => plain(shard, socket, peer).await,
        Some(acceptor) => secure(shard, socket, peer, acceptor).await,
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "the connection ended");
    }
}

async fn plain<B: Backend>(
    shard: Arc<Shard<B>>,
    mut socket: TcpStream,
    peer: SocketAddr,
) -> io::Result<()> {
    let limits = &shard.plane.limits;
    let first = tokio::select! {
        first = timeout(limits.head_timeout, first_bytes(&mut socket)) => first,
        () = shard.left() => return Ok(()),
    };
    // A silent client is let go silently; one that sent half a preface is no client.
    let Ok(first) = first else { return Ok(()) };
    let first = first?;
    if first.is_empty() {
        return Ok(());
    }
    let is_h2 = first.starts_with(PREFACE);
    let wire = Wire::new(socket, first, limits.write_stall);
    let door = door(shard, peer, false);
    if is_h2 { serve_h2(door, wire).await } else { serve_h1(door, wire).await }
}

/// Enough bytes to tell HTTP/2 from HTTP/1; none when the client hung up.
async fn first_bytes(socket: &mut TcpStream) -> io::Result<Bytes> {
    let mut first = BytesMut::with_capacity(FIRST_READ);
    while socket.read_buf(&mut first).await? > 0 {
        let seen = first.len().min(PREFACE.len());
        if seen == PREFACE.len() || first[..seen] != PREFACE[..seen] {
            break;
        }
    }
    Ok(first.freeze())
}

async fn secure<B: Backend>(
    shard: Arc<Shard<B>>,
    socket: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
) -> io::Result<()> {
    let limits = &shard.plane.limits;
    let shaken = tokio::select! {
        shaken = timeout(limits.handshake_timeout, acceptor.accept(socket)) => shaken,
        () = shard.left() => return Ok(()),
    };
    let stream = match shaken.map_err(io::Error::from).and_then(|result| result) {
        Ok(stream) => stream,
        Err(error) => {
            shard.metrics.tls_errors.fetch_add(1, Relaxed);
            return Err(error);
        }
    };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let wire = Wire::new(stream, Bytes::new(), limits.write_stall);
    let door = door(shard, peer, true);
    if is_h2 { serve_h2(door, wire).await } else { serve_h1(door, wire).await }
}

fn door<B: Backend>(shard: Arc<Shard<B>>, peer: SocketAddr, tls: bool) -> Arc<Door<B>> {
    let trusted = shard.plane.peers.is_trusted(peer.ip());
    let exchanges = Exchanges::new(shard.plane.limits.resets_max);
    Arc::new(Door { shard, peer, peer_value: address_value(peer), trusted, tls, exchanges })
}

async fn serve_h1<B, S>(door: Arc<Door<B>>, wire: Wire<S>) -> io::Result<()>
where
    B: Backend,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let plane = door.shard.plane.clone();
    let guard = HeadGuard::new(wire, &plane.limits, door.exchanges.clone());
    let service = {
        let door = door.clone();
        service_fn(move |request: Request<Incoming>| {
            let door = door.clone();
            async move { Ok::<_, Infallible>(door.exchange(request).await) }
        })
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The guard times heads, and silences apart from them.
        .header_read_timeout(None)
        .max_headers(plane.limits.headers_max)
        .max_buf_size(H1_BUFFER_MAX.max(plane.limits.head_bytes_max))
        .serve_connection(TokioIo::new(guard), service);
    let served = tokio::select! {
        served = &mut connection => served,
        () = door.shard.left() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let guard = connection.into_parts().io.into_inner();
    let (verdict, unread, refused) =
        (guard.verdict().cloned(), guard.has_unread_input(), guard.has_refused());
    let mut wire = guard.into_wire();
    match (verdict, served) {
        (Some(Verdict::Refused(problem)), _) => last_word::say(&door, &mut wire, problem).await?,
        (Some(Verdict::HeadTimeout), _) => {
            last_word::say(&door, &mut wire, crate::problems::HEAD_TIMEOUT).await?;
        }
        // A response that broke off must not end like a whole one: no orderly close.
        (None, Err(error)) if !refused => return Err(io::Error::other(error)),
        _ => {}
    }
    let linger = if unread { plane.limits.linger } else { Duration::ZERO };
    last_word::hang_up(wire, linger).await
}

async fn serve_h2<B, S>(door: Arc<Door<B>>, wire: Wire<S>) -> io::Result<()>
where
    B: Backend,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (shard, exchanges) = (door.shard.clone(), door.exchanges.clone());
    let limits = &shard.plane.limits;
    let service = service_fn(move |request: Request<Incoming>| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.exchange(request).await) }
    });
    let connection = h2_builder(limits).serve_connection(TokioIo::new(wire), service);
    let mut connection = pin!(connection);
    let mut leaving = false;
    let mut look = Instant::now() + limits.keep_alive;
    loop {
        tokio::select! {
            served = connection.as_mut() => return served.map_err(io::Error::other),
            () = shard.drain.cancelled(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = exchanges.flooded() => {
                shard.metrics.floods.fetch_add(1, Relaxed);
                return Err(io::Error::other("the client abandons too many requests"));
            }
            () = tokio::time::sleep_until(look) => {
                let idle_until = exchanges.idle_since().map(|since| since + limits.keep_alive);
                match idle_until {
                    // It was told to go and has nothing in progress: it had its time.
                    Some(until) if until <= look && leaving => return Ok(()),
                    Some(until) if until <= look => {
                        leaving = true;
                        connection.as_mut().graceful_shutdown();
                        look = Instant::now() + limits.head_timeout;
                    }
                    Some(until) => look = until,
                    None => look = Instant::now() + limits.keep_alive,
                }
            }
        }
    }
}

fn h2_builder(limits: &HttpLimits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(H2_HEADERS_MAX)
        .max_send_buf_size(H2_SEND_BUFFER_MAX)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(H2_ERROR_RESETS_MAX)
        .keep_alive_interval(limits.ping_every)
        .keep_alive_timeout(limits.ping_every);
    builder
}
