//! A client that forgives nothing: what a host may not do to anybody while it changes in good
//! order.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A client that keeps its connection until it is told that it ends, as RFC 9112 section 9.6 has
/// it, and repeats nothing.
pub struct Steady {
    to: SocketAddr,
    connection: Option<TcpStream>,
}

impl Steady {
    /// Not connected yet.
    pub fn to(to: SocketAddr) -> Self {
        Self { to, connection: None }
    }

    /// The body of an answer of 200.
    ///
    /// # Errors
    ///
    /// Whatever else happens.
    pub async fn get(&mut self, path: &str) -> io::Result<String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => TcpStream::connect(self.to).await?,
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut read = Vec::new();
        loop {
            if connection.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&read).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let Some(body) = whole(&head, body) else { continue };
            if !head.contains("connection: close") {
                self.connection = Some(connection);
            }
            return match head.starts_with("http/1.1 200") {
                true => Ok(body),
                false => Err(io::Error::other(format!("{head}\n{body}"))),
            };
        }
    }
}

/// A body that has come to its end, as RFC 9112 section 6 delimits it; `head` is in lower case.
fn whole(head: &str, body: &str) -> Option<String> {
    if !head.contains("transfer-encoding: chunked") {
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        return (body.len() >= length).then(|| body.to_owned());
    }
    let (mut rest, mut text) = (body, String::new());
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return after.ends_with("\r\n").then_some(text);
        }
        text.push_str(after.get(..size)?);
        rest = after.get(size + 2..)?;
    }
}
