//! The end of an HTTP/1 connection that hyper has left: a problem for a request that hyper never
//! saw, and a close that does not destroy what was said.

use crate::backend::Backend;
use crate::door::Door;
use crate::identity;
use crate::outbound;
use http_body_util::BodyExt as _;
use nexus_runtime::Problem;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Answers a head that was refused on the wire; the connection ends after it.
pub(crate) async fn say<B: Backend>(
    door: &Door<B>,
    wire: &mut (impl AsyncWrite + Unpin),
    problem: Problem,
) -> io::Result<()> {
    let began = Instant::now();
    let request_id = identity::new_request_id();
    let status = problem.status;
    let mut response = problem.into_response(&request_id);
    let hsts = door.shard.plane.hsts.as_ref().filter(|_| door.tls);
    outbound::harden(response.headers_mut());
    outbound::sign(response.headers_mut(), &request_id, hsts);
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| io::Error::other(format!("{error:?}")))?;
    let body = body.to_bytes();
    let mut text = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &parts.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    let rest =
        format!("date: {date}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    text.extend_from_slice(rest.as_bytes());
    text.extend_from_slice(&body);
    if status == http::StatusCode::REQUEST_TIMEOUT {
        door.shard.metrics.timeouts.fetch_add(1, Relaxed);
    }
    door.shard.host_traffic.count(status.as_u16(), began.elapsed(), body.len() as u64, true);
    tracing::info!(
        target: "access",
        request_id = &*request_id,
        // Nothing of a refused head is worth believing.
        method = "-",
        path = "-",
        status = status.as_u16(),
        bytes = body.len(),
    );
    wire.write_all(&text).await?;
    wire.flush().await
}

/// Closes our side; reads on for `linger`, because closing with unread bytes resets the connection
/// and may take the answer with it (RFC 9112 section 9.6): many clients send all they have before
/// they look.
pub(crate) async fn hang_up(
    mut wire: impl AsyncRead + AsyncWrite + Unpin,
    linger: Duration,
) -> io::Result<()> {
    wire.shutdown().await?;
    if !linger.is_zero() {
        // Whether the client hangs up, is cut off or talks for too long: we are done.
        let _done = timeout(linger, tokio::io::copy(&mut wire, &mut tokio::io::sink())).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    /// More than the buffers of both ends.
    const BODY: usize = 32 << 20;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    #[tokio::test]
    async fn a_client_that_sends_all_before_it_looks_has_its_answer() {
        let (mut client, mut server) = pair().await;
        let asks = async {
            client.write_all(&vec![0; BODY]).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            drop(client);
            answer
        };
        let refuses = async {
            server.write_all(b"refused").await.unwrap();
            hang_up(server, Duration::from_secs(60)).await.unwrap();
        };
        assert_eq!(tokio::join!(asks, refuses).0, "refused");
    }

    #[tokio::test]
    async fn a_client_that_never_ends_is_not_waited_for() {
        let (_client, server) = pair().await;
        hang_up(server, Duration::from_millis(10)).await.unwrap();
    }
}
