//! An answer whose body is still coming.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::time::Duration;

/// A pause in a stream that no scenario expects.
const PIECE_MAX: Duration = Duration::from_secs(30);

/// The head, and the body piece by piece.
pub struct Streaming {
    asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    read: Vec<u8>,
}

impl Streaming {
    pub(crate) fn new(asked: String, response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self { asked, status: head.status, headers: head.headers, body, read: Vec::new() }
    }

    /// Claims a status.
    #[track_caller]
    pub fn status(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.asked);
        self
    }

    /// The next piece; None at a proper end.
    ///
    /// # Errors
    ///
    /// When the stream breaks off.
    ///
    /// # Panics
    ///
    /// When it stalls.
    pub async fn next(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        if !self.read.is_empty() {
            return Ok(Some(std::mem::take(&mut self.read).into()));
        }
        loop {
            let frame = tokio::time::timeout(PIECE_MAX, self.body.frame()).await;
            match frame.unwrap_or_else(|_| panic!("{}: the stream stalls", self.asked)) {
                None => return Ok(None),
                Some(frame) => match frame?.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    // Trailers are no piece of the body.
                    Err(_) => continue,
                },
            }
        }
    }

    /// The next line, without its end; None at a proper end. For event streams.
    ///
    /// # Errors
    ///
    /// When the stream breaks off.
    ///
    /// # Panics
    ///
    /// When it stalls.
    pub async fn line(&mut self) -> Result<Option<String>, hyper::Error> {
        let mut line = std::mem::take(&mut self.read);
        loop {
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                self.read = line.split_off(end + 1);
                line.truncate(end);
                let text = String::from_utf8_lossy(&line);
                return Ok(Some(text.trim_end_matches('\r').to_owned()));
            }
            match self.next().await? {
                Some(more) => line.extend_from_slice(&more),
                None if line.is_empty() => return Ok(None),
                None => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            }
        }
    }

    /// Everything up to the proper end.
    ///
    /// # Errors
    ///
    /// When the stream breaks off.
    pub async fn rest(mut self) -> Result<Bytes, hyper::Error> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }
}
