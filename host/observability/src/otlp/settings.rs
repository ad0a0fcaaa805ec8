//! The OpenTelemetry variables that we honour, read strictly: a variable that asks for something
//! we do not do is an error, because traces that silently go nowhere are worse.

use crate::Error;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// What an exporter here can do, for those who asked for something else. TLS and gRPC are the
/// business of a collector beside the host: its own exporters have both, with their credentials.
const SPOKEN: &str = "only OTLP as http/protobuf over http://: for https or gRPC, run a collector \
                      beside the host and name that one";

/// What is exported, and where to; one of both at least.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub traces: Option<Traces>,
    pub metrics: Option<Metrics>,
}

/// Which spans go, and when.
#[derive(Debug, Clone)]
pub struct Traces {
    pub collector: Collector,
    /// Share of the traces begun here that are recorded, 0 to 1. Traces begun elsewhere are
    /// recorded when their `traceparent` says so.
    pub ratio: f64,
    /// Longest wait of a finished span for its batch.
    pub delay: Duration,
}

/// When numbers go.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub collector: Collector,
    /// From one reading to the next.
    pub interval: Duration,
    /// Bound of one reading's way to the collector, all tries together.
    pub patience: Duration,
}

/// Where something goes.
#[derive(Debug, Clone)]
pub struct Collector {
    /// The full URL that is posted to.
    pub endpoint: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Attributes of the resource: this host.
    pub resource: Vec<(String, String)>,
    /// Bound of one try.
    pub timeout: Duration,
}

impl Settings {
    /// Reads the variables through `look_up`; None when they ask for no export, or when
    /// `OTEL_SDK_DISABLED` is `true`. `version` becomes `service.version`.
    ///
    /// # Errors
    /// [`Error::Otlp`] with the variable that asks for what is not done here.
    pub fn read(
        version: &str,
        look_up: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        let set = |name: &str| look_up(name).filter(|value| !value.trim().is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let resource = resource(version, &set);
        let traces = match collector(&TRACES, &resource, &set)? {
            None => None,
            Some(collector) => Some(Traces {
                collector,
                ratio: ratio(&set)?,
                delay: milliseconds(&set, "OTEL_BSP_SCHEDULE_DELAY", 5_000)?,
            }),
        };
        let metrics = match collector(&METRICS, &resource, &set)? {
            None => None,
            Some(collector) => Some(metrics(collector, &set)?),
        };
        let any = traces.is_some() || metrics.is_some();
        Ok(any.then_some(Self { traces, metrics }))
    }
}

/// The names of one signal's variables; each is asked before the general one.
struct Signal {
    exporter: &'static str,
    /// What else than OTLP may stand there, because it is so anyway.
    besides: &'static [&'static str],
    endpoint: &'static str,
    path: &'static str,
    protocol: &'static str,
    headers: &'static str,
    timeout: &'static str,
}

const TRACES: Signal = Signal {
    exporter: "OTEL_TRACES_EXPORTER",
    besides: &[],
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    path: "v1/traces",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    headers: "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    timeout: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
};

const METRICS: Signal = Signal {
    exporter: "OTEL_METRICS_EXPORTER",
    // `/metrics` is always there.
    besides: &["prometheus"],
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    path: "v1/metrics",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    headers: "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    timeout: "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
};

/// The specification's default, for those who name the exporter and no place.
const NEARBY: &str = "http://localhost:4318";

fn collector(
    signal: &Signal,
    resource: &[(String, String)],
    set: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Collector>, Error> {
    let asked = set(signal.exporter);
    if let Some(words) = &asked {
        let words: Vec<_> = words.split(',').map(str::trim).collect();
        let known = |word: &&&str| matches!(**word, "otlp" | "none" | "");
        let unknown = words.iter().find(|word| !known(word) && !signal.besides.contains(word));
        if let Some(unknown) = unknown {
            return refuse(signal.exporter, format!("there is no exporter {unknown} here"));
        }
        if !words.contains(&"otlp") {
            return Ok(None);
        }
    }
    let Some(endpoint) = endpoint(signal, asked.is_some(), set)? else {
        return Ok(None);
    };
    protocol(signal, set)?;
    let timeout = first(set, signal.timeout, "OTEL_EXPORTER_OTLP_TIMEOUT");
    Ok(Some(Collector {
        endpoint,
        headers: headers(signal, set)?,
        resource: resource.to_vec(),
        timeout: milliseconds(set, timeout, 10_000)?,
    }))
}

/// The first of two variables that is set; the second where none is.
fn first(
    set: &impl Fn(&str) -> Option<String>,
    special: &'static str,
    general: &'static str,
) -> &'static str {
    if set(special).is_some() { special } else { general }
}

fn metrics(collector: Collector, set: &impl Fn(&str) -> Option<String>) -> Result<Metrics, Error> {
    const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let temporality = set(TEMPORALITY).unwrap_or_else(|| "cumulative".into());
    if !temporality.eq_ignore_ascii_case("cumulative") {
        return refuse(TEMPORALITY, format!("numbers are cumulative here, not {temporality}"));
    }
    Ok(Metrics {
        collector,
        interval: milliseconds(set, "OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
        patience: milliseconds(set, "OTEL_METRIC_EXPORT_TIMEOUT", 30_000)?,
    })
}

fn refuse<T>(variable: &'static str, reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Otlp { variable, reason: reason.into() })
}

/// The variable of a signal is a full URL; the general one is a base (OTLP exporter, "Endpoint
/// URLs for OTLP/HTTP").
fn endpoint(
    signal: &Signal,
    is_asked: bool,
    set: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Url>, Error> {
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let below = |base: &str| format!("{}/{}", base.trim_end_matches('/'), signal.path);
    let (variable, text) = match (set(signal.endpoint), set(BASE)) {
        (Some(full), _) => (signal.endpoint, full),
        (None, Some(base)) => (BASE, below(&base)),
        (None, None) if is_asked => (BASE, below(NEARBY)),
        (None, None) => return Ok(None),
    };
    match Url::parse(&text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(Some(url)),
        Ok(url) if url.scheme() == "https" => {
            refuse(variable, format!("https is not spoken here, {SPOKEN}"))
        }
        _ => refuse(variable, format!("{text} is not an http:// URL; {SPOKEN}")),
    }
}

fn protocol(signal: &Signal, set: &impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    let variable = first(set, signal.protocol, "OTEL_EXPORTER_OTLP_PROTOCOL");
    match set(variable).as_deref() {
        None | Some("http/protobuf") => Ok(()),
        Some(other) => refuse(variable, format!("{other} is not spoken here, {SPOKEN}")),
    }
}

fn headers(
    signal: &Signal,
    set: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let variable = first(set, signal.headers, "OTEL_EXPORTER_OTLP_HEADERS");
    let text = set(variable).unwrap_or_default();
    let pairs = pairs(&text).into_iter().map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    match pairs.collect::<Option<Vec<_>>>() {
        Some(headers) => Ok(headers),
        // The value is not repeated: it usually is a credential.
        None => refuse(variable, "it is not a list of name=value with names and values of HTTP"),
    }
}

fn resource(version: &str, set: &impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut attributes = pairs(&set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    let mut put = |name: &str, value: String, overrides: bool| match attributes
        .iter_mut()
        .find(|(known, _)| known == name)
    {
        Some(known) if overrides => known.1 = value,
        Some(_) => {}
        None => attributes.push((name.into(), value)),
    };
    match set("OTEL_SERVICE_NAME") {
        Some(name) => put("service.name", name, true),
        None => put("service.name", "nexus".into(), false),
    }
    put("service.version", version.into(), false);
    // Which of several hosts: what is counted is counted by each for itself.
    put("service.instance.id", Uuid::new_v4().to_string(), false);
    put("process.pid", std::process::id().to_string(), false);
    attributes
}

fn ratio(set: &impl Fn(&str) -> Option<String>) -> Result<f64, Error> {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let sampler = set("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".into());
    match sampler.trim_start_matches("parentbased_") {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => {
            let text = set(ARGUMENT).unwrap_or_else(|| "1".into());
            match text.trim().parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
                _ => refuse(ARGUMENT, format!("{text} is not a number from 0 to 1")),
            }
        }
        _ => refuse("OTEL_TRACES_SAMPLER", format!("the sampler {sampler} is not known here")),
    }
}

fn milliseconds(
    set: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
    default: u64,
) -> Result<Duration, Error> {
    match set(variable).map(|text| text.trim().parse::<u64>()) {
        None => Ok(Duration::from_millis(default)),
        Some(Ok(ms)) if ms > 0 => Ok(Duration::from_millis(ms)),
        Some(_) => refuse(variable, "it is not a number of milliseconds above zero"),
    }
}

/// `a=1,b=x%20y`, as W3C Baggage writes it; what has no `=` is skipped.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let decode = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    pairs.map(|(name, value)| (name.trim().to_owned(), decode(value))).collect()
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
