//! Answers with bodies of every kind, for the tests of what the SDK and the host make of them.

use futures::stream::{self, StreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::wasip3::clocks::monotonic_clock::wait_for;

const KIB: usize = 1 << 10;

/// So that what follows is no longer part of what was ready.
const PAUSE_NANOS: u64 = 20_000_000;

/// Gives the body back as it comes, with its trailers.
pub(crate) async fn mirror(body: Body) -> Response {
    ([(header::TRAILER, "x-sum")], body).into_response()
}

/// How many bytes there were.
pub(crate) async fn count(body: Bytes) -> Json<usize> {
    Json(body.len())
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// Reads so many rows of a MiB each; how many bytes there were.
pub(crate) async fn read(by: Public, Path(rows): Path<i32>) -> Result<Json<usize>> {
    let texts = sql!("select repeat('x', 1048576) as text from generate_series(1, {rows})");
    let texts: Vec<Text> = by.db().all(texts.across_tenants()).await?;
    Ok(Json(texts.iter().map(|row| row.text.len()).sum()))
}

pub(crate) async fn give(Path(kind): Path<String>) -> Result<Response> {
    let data = |text: &'static str| Ok(Frame::data(Bytes::from(text)));
    let trailers = || {
        let sum = [("x-sum", "42")].map(|(name, value)| (name.parse(), value.parse()));
        let pairs = sum.into_iter().filter_map(|(name, value)| Some((name.ok()?, value.ok()?)));
        Ok(Frame::trailers(HeaderMap::from_iter(pairs)))
    };
    let broken = || Err(std::io::Error::other("asked for"));
    let frames = match kind.as_str() {
        "dripping" => vec![data("one "), data("two "), data("three")],
        "ready-with-trailers" | "dripping-with-trailers" => vec![data("hello"), trailers()],
        "breaks-at-once" | "breaks-later" => vec![data("begun"), broken()],
        "large" => return Ok(vec![b'x'; 300 * KIB].into_response()),
        "endless" => {
            let piece = || Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 10 * KIB]));
            return Ok(Body::from_stream(stream::repeat_with(piece)).into_response());
        }
        "says-another-length" => {
            return Ok(([(header::CONTENT_LENGTH, "10")], "hello").into_response());
        }
        "says-the-hosts-field" => {
            return Ok(([(header::CONNECTION, "close")], "hello").into_response());
        }
        _ => return Err(standard::NotFound.into()),
    };
    let waits = !matches!(kind.as_str(), "ready-with-trailers" | "breaks-at-once");
    let frames = stream::iter(frames).enumerate().then(move |(number, frame)| async move {
        if waits && number > 0 {
            wait_for(PAUSE_NANOS).await;
        }
        frame
    });
    let body = Body::new(StreamBody::new(frames));
    Ok(([(header::TRAILER, "x-sum")], body).into_response())
}
