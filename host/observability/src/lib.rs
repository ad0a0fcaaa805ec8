//! What the host says about itself: log lines, spans, numbers. Started first, imported by all.
//!
//! Three conventions tie them together, and everybody else only has to keep them:
//! - An event with the target `guest` is a line that a guest printed (`component`, `request_id`,
//!   `stream`).
//! - An event with the target `access` says of a request what its span says, too.
//! - A [`ServerSpan`] or a span made by [`call_span`] names one call; whatever is logged inside it
//!   carries the call's `request_id`, `component` and `trace_id`, and is exported over OTLP when
//!   that is configured.
//!
//! Refuses to know components, triggers and stores: numbers are read from their snapshots by
//! whoever renders a page with [`Exposition`].

mod access;
mod exposition;
mod fields;
mod lines;
pub mod masks;
pub mod otlp;
mod process;
mod ring;
mod scrape;
mod server_span;
mod span;
mod trace;
mod witness;
pub mod work;
mod writer;

pub use exposition::{CONTENT_TYPE, Exposition, Family};
pub use process::ProcessSample;
pub use ring::{
    Happened, Invocation, InvocationFilter, Line, LineFilter, Ring, Since, keep_apart, recent,
};
pub use scrape::{Scrape, ScrapeError, Series};
pub use server_span::{Ended, Scope, ServerSpan, Within};
pub use span::call_span;
pub use trace::TraceParent;
pub use witness::Witness;

use std::io::IsTerminal as _;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, for machines.
    Json,
    /// Aligned words, coloured where a person looks at a terminal.
    Pretty,
}

impl Format {
    /// [`Format::Pretty`] where stderr is a terminal, otherwise [`Format::Json`].
    pub fn fitting() -> Self {
        if std::io::stderr().is_terminal() { Self::Pretty } else { Self::Json }
    }
}

/// What [`init`] needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    pub format: Format,
    /// Directives of `tracing_subscriber::EnvFilter`, such as `info,guest=warn`.
    pub filter: String,
    /// Where spans and numbers go; nowhere if None.
    pub otlp: Option<otlp::Settings>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log filter {filter:?} is not understood: {reason}")]
    Filter { filter: String, reason: String },
    #[error("logging was started before")]
    AlreadyStarted,
    #[error("the thread {name} could not be started: {source}")]
    Thread { name: &'static str, source: std::io::Error },
    #[error("{variable}: {reason}")]
    Otlp { variable: &'static str, reason: String },
}

/// Keeps logging alive; writes what is still queued when it goes.
#[must_use = "dropping the guard ends the export of spans"]
pub struct Guard {
    lines: writer::Sink,
    spans: Option<otlp::Exporter>,
}

/// Longest wait for queued lines and spans at the end: a collector that is away must not keep the
/// host from exiting.
const FLUSH_MAX: Duration = Duration::from_secs(2);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(spans) = self.spans.take() {
            spans.flush(FLUSH_MAX);
        }
        self.lines.flush(FLUSH_MAX);
    }
}

/// Starts logging for the whole process; lines go to stderr.
///
/// Fails when the filter is not understood, when a thread cannot start, or on a second call.
pub fn init(settings: &Settings) -> Result<Guard, Error> {
    start(settings, None)
}

/// As [`init`], and every warning and error of the process is told to `witness`, too.
pub fn init_before(witness: Witness, settings: &Settings) -> Result<Guard, Error> {
    start(settings, Some(witness))
}

fn start(settings: &Settings, witness: Option<Witness>) -> Result<Guard, Error> {
    let ansi = settings.format == Format::Pretty && std::io::stderr().is_terminal();
    let sink = writer::Sink::start(std::io::stderr())?;
    let traces = settings.otlp.as_ref().and_then(|otlp| otlp.traces.as_ref());
    let spans = traces.map(otlp::Exporter::start).transpose()?;
    let subscriber = subscriber(settings, ansi, sink.clone(), spans.as_ref())?;
    let subscriber = subscriber.with(witness);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::AlreadyStarted)?;
    if settings.format == Format::Json {
        access::write_to(sink.clone());
    }
    trace::sample_roots(traces.map_or(0.0, |traces| traces.ratio));
    if let Some(spans) = &spans {
        otlp::export_by(spans.queue());
    }
    if let Some(metrics) = settings.otlp.as_ref().and_then(|otlp| otlp.metrics.as_ref()) {
        otlp::push(metrics)?;
    }
    Ok(Guard { lines: sink, spans })
}

fn subscriber(
    settings: &Settings,
    ansi: bool,
    sink: writer::Sink,
    spans: Option<&otlp::Exporter>,
) -> Result<impl Subscriber + Send + Sync + use<>, Error> {
    let filter = filter(&settings.filter)?;
    let spans = span::Spans::new(spans.map(otlp::Exporter::queue));
    let registry = tracing_subscriber::registry().with(filter).with(spans);
    Ok(registry.with(lines(settings.format, ansi, sink)))
}

/// `EnvFilter` takes a lock whenever a span is entered or left, for directives that name spans;
/// where there are none, the plain filter does.
fn filter(directives: &str) -> Result<Box<dyn Layer<Registry> + Send + Sync>, Error> {
    // Spans of calls exist whatever the filter says: lines and traces are found by their ids.
    let all = format!("error,{directives},call=info");
    if let Ok(targets) = all.parse::<Targets>() {
        return Ok(Box::new(targets));
    }
    match EnvFilter::try_new(all) {
        Ok(filter) => {
            server_span::show();
            Ok(Box::new(filter))
        }
        Err(error) => {
            Err(Error::Filter { filter: directives.to_owned(), reason: error.to_string() })
        }
    }
}

fn lines<S>(format: Format, ansi: bool, sink: writer::Sink) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    match format {
        Format::Json => Box::new(lines::JsonLines::new(sink)),
        Format::Pretty => {
            server_span::show();
            let words = tracing_subscriber::fmt::layer().compact().with_ansi(ansi);
            Box::new(ring::Watch.and_then(words.with_writer(sink)))
        }
    }
}

/// Makes every panic an ERROR line with its place; panics of tasks would otherwise go unread.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let words = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let words = words.or_else(|| payload.downcast_ref::<String>().cloned());
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(
            target: "panic",
            place,
            %backtrace,
            "{}",
            words.as_deref().unwrap_or("a panic without words")
        );
    }));
}
