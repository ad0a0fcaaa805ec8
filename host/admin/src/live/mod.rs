//! What happens on this host, as it happens: the last calls and lines, a stream of them, and calls
//! that an operator makes by hand. Reads the ring of `nexus_observability` and the runtime; refuses
//! to keep anything itself.
//!
//! | path under `/api/v1/` | what it does |
//! |---|---|
//! | `invocations`, `invocations/{id}` | `?component=&trigger=&outcome=&limit=&cursor=`; a trace |
//! | `logs` | `?component=&level=&since=&request_id=&trace_id=&limit=&cursor=` |
//! | `stream` | `?topics=invocations,logs,rollouts,conditions,figures`: server-sent events |
//! | `POST components/{id}/invoke` | `{method, path, headers, body, body_base64, revision}` |
//! | `health-matrix` | every name of the suite, and how it is |

mod happened;
mod invoke;
pub(crate) mod matrix;
mod rollouts;
mod stream;

pub(crate) use stream::Streams;

use crate::operate::Asked;
use crate::{Facts, problems};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use nexus_runtime::{Problem, Response, Shutdown};

const PREFIX: &str = "/api/v1/";

/// Whether a path belongs here.
pub(crate) fn is_for(path: &str) -> bool {
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    let mut pieces = rest.split('/');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some("components"), Some(_), Some("invoke")) => true,
        (Some("invocations"), _, None) => true,
        (Some("logs" | "stream" | "health-matrix"), None, None) => true,
        _ => false,
    }
}

/// Answers one call of an operator who was let in.
pub(crate) async fn answer(
    facts: &Facts,
    streams: &Streams,
    ending: Option<Shutdown>,
    request: Request<Full<Bytes>>,
) -> Result<Response, Problem> {
    let last_event = request.headers().get("last-event-id").cloned();
    let asked = Asked::read(request, PREFIX).await?;
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    match &segments[..] {
        ["invocations"] => happened::invocations(&asked),
        ["invocations", id] => happened::invocation(id),
        ["logs"] => happened::lines(&asked),
        ["stream"] => stream::open(facts, streams, ending, &asked, last_event.as_ref()),
        ["health-matrix"] => matrix::answer(facts).await,
        ["components", component, "invoke"] => invoke::answer(facts, component, &asked).await,
        _ => Err(problems::NOT_FOUND),
    }
}
