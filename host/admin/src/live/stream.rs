//! Server-sent events: calls, lines, rollouts with their figures, and conditions, as they happen.
//! A reader who comes back with `Last-Event-ID` gets what the ring still has of the time in
//! between, and is told how much it has not. Nothing is done for streams while nobody reads one.

use super::happened::{self, call, line};
use super::rollouts::{Figures, Told};
use crate::operate::Asked;
use crate::{Condition, Facts, problems};
use bytes::Bytes;
use futures::stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use nexus_observability::{Happened, LineFilter, recent};
use nexus_runtime::{Problem, Response, Shutdown};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Browsers and terminals of a few operators.
const STREAMS_MAX: usize = 64;
/// Between two looks at the ring: at once, for a person.
const LOOK: Duration = Duration::from_millis(250);
/// Between two comments on a stream where nothing happens, so that no proxy thinks it dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

const TOPICS: [&str; 5] = ["invocations", "logs", "rollouts", "conditions", "figures"];
/// Figures are looked up in the database each second, so only for those who name them.
const TOLD_UNASKED: usize = 4;

/// Those that are open; clones share the bound.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    topics: Option<String>,
    component: Option<String>,
    level: Option<String>,
}

pub(super) fn open(
    facts: &Facts,
    streams: &Streams,
    ending: Option<Shutdown>,
    asked: &Asked,
    last_event: Option<&HeaderValue>,
) -> Result<Response, Problem> {
    let query: Query = asked.query()?;
    let topics: Vec<String> = match &query.topics {
        None => TOPICS[..TOLD_UNASKED].iter().map(|topic| (*topic).to_owned()).collect(),
        Some(words) => words.split(',').map(|word| word.trim().to_owned()).collect(),
    };
    if !topics.iter().all(|topic| TOPICS.contains(&topic.as_str())) {
        let detail = format!("topics are {}, with commas between", TOPICS.join(", "));
        return Err(problems::QUERY.detail(detail));
    }
    let permit = streams.0.clone().try_acquire_owned();
    let permit = permit.map_err(|_| problems::STREAMS.retry_after(5))?;
    let last = last_event.and_then(|value| value.to_str().ok()?.parse().ok());
    let reader = Reader {
        facts: facts.clone(),
        topics,
        component: query.component.clone(),
        lines: LineFilter {
            component: query.component,
            level: happened::level(query.level)?,
            ..LineFilter::default()
        },
        // Numbers begin again with the process: one from before is as good as none.
        last: last.filter(|last| *last <= recent().last()).unwrap_or_else(|| recent().last()),
        conditions: BTreeMap::new(),
        rollouts: Told::default(),
        figures: Figures::default(),
        ending,
        spoke: Instant::now(),
        greeted: false,
        _permit: permit,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let text = reader.next().await?;
        Some((Ok::<_, wasmtime_wasi_http::Error>(Frame::data(Bytes::from(text))), reader))
    });
    let mut response = Response::new(StreamBody::new(events).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One open stream.
struct Reader {
    facts: Facts,
    topics: Vec<String>,
    component: Option<String>,
    lines: LineFilter,
    last: u64,
    conditions: BTreeMap<&'static str, Condition>,
    rollouts: Told,
    figures: Figures,
    ending: Option<Shutdown>,
    spoke: Instant,
    greeted: bool,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// The next piece of the stream; None when the host goes down.
    async fn next(&mut self) -> Option<String> {
        loop {
            let mut text = String::new();
            if !self.greeted {
                self.greeted = true;
                text.push_str("retry: 2000\n: the events of this host\n\n");
            }
            self.ring(&mut text);
            self.conditions(&mut text);
            if self.wants("rollouts") {
                for told in self.rollouts.news(&self.facts).await {
                    if self.component.is_none()
                        || self.component.as_deref() == told["component"].as_str()
                    {
                        event(&mut text, None, "rollout", &told);
                    }
                }
            }
            if self.wants("figures") {
                for told in self.figures.news(&self.facts, self.component.as_deref()).await {
                    event(&mut text, None, "figures", &told);
                }
            }
            if text.is_empty() && self.spoke.elapsed() >= HEARTBEAT {
                text.push_str(": still here\n\n");
            }
            if !text.is_empty() {
                self.spoke = Instant::now();
                return Some(text);
            }
            match &mut self.ending {
                None => tokio::time::sleep(LOOK).await,
                Some(ending) => tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = ending.requested() => return None,
                },
            }
        }
    }

    fn wants(&self, topic: &str) -> bool {
        self.topics.iter().any(|wanted| wanted == topic)
    }

    fn ring(&mut self, text: &mut String) {
        let (calls, lines) = (self.wants("invocations"), self.wants("logs"));
        if !calls && !lines {
            return;
        }
        let since = recent().since(self.last);
        self.last = since.last;
        if since.missed > 0 {
            event(text, Some(since.last), "dropped", &json!({ "missed": since.missed }));
        }
        for happened in &since.all {
            match happened {
                Happened::Invocation(found) if found.is_quiet() => {}
                Happened::Invocation(found)
                    if calls && self.is_mine(found.component.as_deref()) =>
                {
                    event(text, Some(found.number), "invocation", &call(found));
                }
                Happened::Line(found) if lines && self.lines.fits(found) => {
                    event(text, Some(found.number), "log", &line(found));
                }
                _ => {}
            }
        }
    }

    fn is_mine(&self, component: Option<&str>) -> bool {
        self.component.is_none() || self.component.as_deref() == component
    }

    /// Each condition once, and again when it changes.
    fn conditions(&mut self, text: &mut String) {
        if !self.wants("conditions") {
            return;
        }
        let now = self.facts.0.conditions.all();
        for (name, condition) in &now {
            if self.conditions.get(name) != Some(condition) {
                event(text, None, "condition", &told(name, condition));
            }
        }
        self.conditions = now;
    }
}

fn told(name: &str, condition: &Condition) -> Value {
    let (met, words) = match condition {
        Condition::Met(words) => (true, words),
        Condition::Waiting(words) => (false, words),
    };
    json!({ "at": crate::access::now(), "name": name, "met": met, "detail": words })
}

/// JSON has no line breaks of its own, so one `data` line holds it.
fn event(text: &mut String, id: Option<u64>, kind: &str, body: &Value) {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    write!(text, "{id}event: {kind}\ndata: {body}\n\n").expect("a string takes what is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_block_whatever_is_said_in_it() {
        let mut text = String::new();
        event(&mut text, Some(7), "log", &json!({ "message": "two\nlines\r\n\ndata: x" }));
        assert_eq!(text.matches("\n\n").count(), 1);
        assert!(text.starts_with("id: 7\nevent: log\ndata: {"));
        assert_eq!(text.lines().count(), 4);
    }
}
