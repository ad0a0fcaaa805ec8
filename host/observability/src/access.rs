//! The line of a request that is over: an event with the target `access`. There is one for each
//! request, so that where lines are JSON it is written at once, not by way of fields and spans.

use crate::TraceParent;
use crate::lines::{Line, write_text};
use crate::masks::masked;
use crate::server_span::{Ended, ServerSpan};
use crate::writer::Sink;
use std::sync::OnceLock;
use std::time::SystemTime;
use tracing::Level;

/// The target of these events.
pub(crate) const TARGET: &str = "access";

/// Where the lines of this process go, if they are JSON.
static LINES: OnceLock<Sink> = OnceLock::new();

/// From now on lines are written there.
pub(crate) fn write_to(lines: Sink) {
    // There is one log in a process, and whoever starts a second one is told so before.
    let _first = LINES.set(lines);
}

/// A request that is over, as its line tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access<'a> {
    pub(crate) at: SystemTime,
    /// The span's own.
    pub(crate) trace: &'a TraceParent,
    pub(crate) request_id: &'a str,
    /// Who answered; empty where nobody but the host did.
    pub(crate) component: &'a str,
    pub(crate) method: &'a str,
    pub(crate) ended: &'a Ended<'a>,
}

impl Access<'_> {
    /// Writes the line, unless the filter says otherwise.
    pub(crate) fn tell(&self, span: &ServerSpan) {
        match LINES.get() {
            Some(lines) if tracing::enabled!(target: TARGET, Level::INFO) => self.write(lines),
            Some(_) => {}
            None => span.in_scope(|| self.happen()),
        }
    }

    fn happen(&self) {
        tracing::info!(
            target: TARGET,
            request_id = self.request_id,
            component = self.component,
            method = self.method,
            path = self.ended.path,
            status = self.ended.status,
            duration_us = self.micros(),
            bytes = self.ended.bytes,
            whole = self.ended.whole,
        );
    }

    /// As [`Access::happen`] is told within the span.
    fn write(&self, lines: &Sink) {
        fn number(number: u64) -> impl FnOnce(&mut Vec<u8>) {
            move |out| {
                // Writing into memory does not fail.
                let _written = serde_json::to_writer(out, &number);
            }
        }
        lines.tell(self.at, |line| {
            line.put_known(",\"level\":\"info\",\"target\":\"access\"");
            let text = |line: &mut Line, name, text: &str| {
                if !text.is_empty() {
                    line.put_named(name, |out| write_text(out, &masked(text)));
                }
            };
            text(line, ",\"request_id\":", self.request_id);
            text(line, ",\"component\":", self.component);
            line.put_known(",\"trace_id\":\"");
            line.put_known(self.trace.trace_digits().as_str());
            line.put_known("\"");
            text(line, ",\"method\":", self.method);
            text(line, ",\"path\":", self.ended.path);
            line.put_named(",\"status\":", number(self.ended.status.into()));
            line.put_named(",\"duration_us\":", number(self.micros()));
            line.put_named(",\"bytes\":", number(self.ended.bytes));
            line.put_known(if self.ended.whole { ",\"whole\":true" } else { ",\"whole\":false" });
        });
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.ended.took.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::Page;
    use crate::{Format, Settings, subscriber};
    use serde_json::Value;
    use std::time::Duration;

    fn without_time(page: &Page, sink: &Sink) -> Value {
        sink.flush(Duration::from_secs(5));
        let mut line: Value = serde_json::from_str(&page.text()).unwrap();
        assert!(line.as_object_mut().unwrap().remove("time").is_some());
        line
    }

    #[test]
    fn a_line_that_is_written_at_once_is_that_of_the_event() {
        let trace = TraceParent::root();
        // A request for a tunnel has no path.
        for (component, path) in [("shop", "/a/\"quoted\""), ("", "")] {
            let event = Page::default();
            let sink = Sink::start(event.clone()).unwrap();
            let settings = Settings { format: Format::Json, filter: "info".into(), otlp: None };
            let subscriber = subscriber(&settings, false, sink.clone(), None).unwrap();
            let at_once = Page::default();
            let lines = Sink::start(at_once.clone()).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                let span = ServerSpan::begin(
                    "access-1".into(),
                    "GET",
                    trace,
                    None,
                    SystemTime::UNIX_EPOCH,
                );
                let ended = Ended {
                    path,
                    status: 404,
                    took: Duration::from_micros(1_234),
                    bytes: 5,
                    whole: true,
                };
                let access = Access {
                    at: SystemTime::UNIX_EPOCH,
                    trace: &trace,
                    request_id: "access-1",
                    component,
                    method: "GET",
                    ended: &ended,
                };
                span.in_scope(|| access.happen());
                access.write(&lines);
            });
            let told = without_time(&event, &sink);
            assert_eq!(told, without_time(&at_once, &lines));
            assert_eq!((&told["duration_us"], &told["whole"]), (&1_234.into(), &true.into()));
            assert_eq!(told.get("component").is_some(), !component.is_empty());
        }
    }
}
