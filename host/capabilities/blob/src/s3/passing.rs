//! A body on its way to S3 that is too large to keep: it can be sent only once. Knows no request.

use crate::checksum::Hasher;
use crate::store::{BlobError, Body};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// What passed, once it has; or why it did not.
pub(super) type Seen = Arc<Mutex<Result<Hasher, BlobError>>>;

/// A body that passes through once: counted, hashed, not kept.
pub(super) struct Passing {
    body: Mutex<Body>,
    /// Bytes that S3 has not been given yet.
    left: u64,
    /// The last chunk, withheld until the body has ended well.
    last: Option<Bytes>,
    hasher: Hasher,
    seen: Seen,
}

impl Passing {
    /// `body` must have `size` bytes or end with an error.
    pub(super) fn new(body: Body, size: u64) -> (Self, Seen) {
        let seen = Arc::new(Mutex::new(Err(BlobError::Incomplete)));
        let hasher = Hasher::default();
        let passing =
            Self { body: Mutex::new(body), left: size, last: None, hasher, seen: seen.clone() };
        (passing, seen)
    }

    pub(super) fn into_stream(self) -> ByteStream {
        ByteStream::new(SdkBody::from_body_1_x(self))
    }

    fn tell(&self, seen: Result<Hasher, BlobError>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn give(&mut self, chunk: Bytes) -> Poll<Option<Result<Frame<Bytes>, BlobError>>> {
        self.left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = BlobError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BlobError>>> {
        loop {
            let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
            match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => {
                    self.hasher.update(&chunk);
                    if chunk.len() as u64 == self.left {
                        self.last = Some(chunk);
                        continue;
                    }
                    return self.give(chunk);
                }
                Some(Err(error)) => {
                    self.tell(Err(error.clone()));
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.tell(Ok(self.hasher.clone()));
                    return match self.last.take() {
                        Some(last) => self.give(last),
                        None => Poll::Ready(None),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
