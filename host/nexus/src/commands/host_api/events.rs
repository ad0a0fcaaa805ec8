//! A stream of events (Server-Sent Events, WHATWG HTML §9.2) of the operators' API, read as it
//! comes. Knows the form of the stream; refuses to know what an event says.

use super::{Asked, answer, connect, request, unreachable_at};
use crate::commands::Failure;
use anyhow::anyhow;
use http::Method;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;
use serde_json::Value;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// The host says something at least every 15 s, if only a comment.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// An event is an entry of a list; what is larger is none.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// One event.
#[derive(Debug, PartialEq)]
pub(in crate::commands) struct Event {
    /// Its kind; `message` where the stream names none.
    pub(in crate::commands) kind: String,
    pub(in crate::commands) body: Value,
}

/// Asks for a stream and hands over its events.
///
/// # Errors
/// Where no host answers, the host refuses, or it falls silent.
pub(super) async fn follow(
    url: &Url,
    token: &str,
    each: &mut dyn FnMut(Event) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let asked = Asked::json(Method::GET, url, Bytes::new());
    let away = |error: anyhow::Error| unreachable_at(url, &error);
    let (mut sender, _driver) = connect(url).await.map_err(away)?;
    let sent = sender.send_request(request(&asked, token)?);
    let response = timeout(SILENCE_MAX, sent).await;
    let response = response.map_err(|_| away(anyhow!("its answer does not come")))?;
    let (head, mut body) = response.map_err(|error| away(error.into()))?.into_parts();
    if !head.status.is_success() {
        let read = Limited::new(body, EVENT_BYTES_MAX).collect().await;
        let bytes = read.map_err(|error| away(anyhow!(error)))?.to_bytes();
        return answer(url, head.status, &bytes).map(|_| ());
    }
    let mut lines = Lines::default();
    loop {
        let frame = timeout(SILENCE_MAX, body.frame()).await;
        let frame = frame.map_err(|_| away(anyhow!("it has fallen silent")))?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|error| away(error.into()))?;
        let Some(bytes) = frame.data_ref() else { continue };
        for event in lines.take(bytes)? {
            if each(event)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// What of a stream has come, up to the event that is not whole yet.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    kind: String,
    data: String,
}

impl Lines {
    /// Takes bytes in; gives the events that they end.
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Failure> {
        if self.rest.len() + self.data.len() + bytes.len() > EVENT_BYTES_MAX {
            return Err(Failure::Other(anyhow!("the host sends an event without an end")));
        }
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            let line = line.trim_end_matches('\r');
            match line.split_once(':').unwrap_or((line, "")) {
                ("", "") if line.is_empty() => events.extend(self.end()),
                ("event", kind) => kind.trim_start().clone_into(&mut self.kind),
                ("data", text) => {
                    let text = text.strip_prefix(' ').unwrap_or(text);
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(text);
                }
                // Comments that keep the connection alive, ids, and what comes later.
                _ => {}
            }
        }
        Ok(events)
    }

    /// The event that an empty line ends; one without data is none. What is no JSON is text.
    fn end(&mut self) -> Option<Event> {
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        let body = || serde_json::from_str(&data).unwrap_or_else(|_| Value::from(&*data));
        (!data.is_empty()).then(|| Event { kind, body: body() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_the_same_wherever_the_network_cuts_them() {
        let stream = ": hello\n\nevent: log\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n\
                      data: plain \u{e9}\n\nevent: log\n\n";
        let event = |kind: &str, body| Event { kind: kind.into(), body };
        let wanted = [event("log", json!({ "a": 1 })), event("message", "plain \u{e9}".into())];
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let pieces = stream.as_bytes().chunks(size);
            let events: Vec<_> = pieces.flat_map(|piece| lines.take(piece).unwrap()).collect();
            assert_eq!(events, wanted, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_given_up() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2];
        assert!(lines.take(&piece).is_ok());
        assert!(lines.take(&piece).is_ok());
        assert!(lines.take(&piece).is_err());
    }
}
