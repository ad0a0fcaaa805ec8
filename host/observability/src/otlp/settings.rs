//! The OpenTelemetry variables that we honour, read strictly: a variable that asks for something
//! we do not do is an error, because traces that silently go nowhere are worse.

use crate::Error;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use url::Url;

/// What an exporter here can do, for those who asked for something else. TLS and gRPC are the
/// business of a collector beside the host: its own exporters have both, with their credentials.
const SPOKEN: &str = "only OTLP as http/protobuf over http://: for https or gRPC, run a collector \
                      beside the host and name that one";

/// Where spans go, and which.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The full URL that batches are posted to.
    pub endpoint: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Attributes of the resource: this host.
    pub resource: Vec<(String, String)>,
    /// Share of the traces begun here that are recorded, 0 to 1. Traces begun elsewhere are
    /// recorded when their `traceparent` says so.
    pub ratio: f64,
    /// Bound of one export.
    pub timeout: Duration,
    /// Longest wait of a finished span for its batch.
    pub delay: Duration,
}

impl Settings {
    /// Reads the variables through `look_up`; None when no endpoint is named or
    /// `OTEL_SDK_DISABLED` is `true`. `version` becomes `service.version`.
    pub fn read(
        version: &str,
        look_up: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        let set = |name: &str| look_up(name).filter(|value| !value.trim().is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let Some(endpoint) = endpoint(&set)? else {
            return Ok(None);
        };
        protocol(&set)?;
        Ok(Some(Self {
            endpoint,
            headers: headers(&set)?,
            resource: resource(version, &set),
            ratio: ratio(&set)?,
            timeout: milliseconds(&set, "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000)?,
            delay: milliseconds(&set, "OTEL_BSP_SCHEDULE_DELAY", 5_000)?,
        }))
    }
}

fn refuse<T>(variable: &'static str, reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Otlp { variable, reason: reason.into() })
}

/// The variable for traces is a full URL; the general one is a base (OTLP exporter, "Endpoint
/// URLs for OTLP/HTTP").
fn endpoint(set: &impl Fn(&str) -> Option<String>) -> Result<Option<Url>, Error> {
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let (variable, text) = match (set(TRACES), set(BASE)) {
        (Some(full), _) => (TRACES, full),
        (None, Some(base)) => (BASE, format!("{}/v1/traces", base.trim_end_matches('/'))),
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

fn protocol(set: &impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    for variable in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        match set(variable).as_deref() {
            None => {}
            Some("http/protobuf") => return Ok(()),
            Some(other) => {
                return refuse(variable, format!("{other} is not spoken here, {SPOKEN}"));
            }
        }
    }
    Ok(())
}

fn headers(set: &impl Fn(&str) -> Option<String>) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let text = set(VARIABLE).unwrap_or_default();
    let pairs = pairs(&text).into_iter().map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    match pairs.collect::<Option<Vec<_>>>() {
        Some(headers) => Ok(headers),
        // The value is not repeated: it usually is a credential.
        None => refuse(VARIABLE, "it is not a list of name=value with names and values of HTTP"),
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
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
        Settings::read("1.2.3", |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_named() {
        assert!(read(&[]).unwrap().is_none());
        let off = [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ];
        assert!(read(&off).unwrap().is_none());
    }

    #[test]
    fn the_general_endpoint_is_a_base_and_the_one_for_traces_is_a_whole_url() {
        let base = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")]);
        assert_eq!(base.unwrap().unwrap().endpoint.as_str(), "http://collector:4318/v1/traces");
        let full = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/in")]);
        assert_eq!(full.unwrap().unwrap().endpoint.path(), "/in");
    }

    #[test]
    fn headers_and_attributes_are_percent_decoded_and_the_service_has_a_name() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, x-scope = a"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=staging"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.headers[0].1, "Bearer x");
        assert_eq!(settings.headers[1].0, "x-scope");
        assert_eq!(settings.ratio, 0.25);
        let has = |name: &str, value: &str| {
            settings.resource.iter().any(|(n, v)| n == name && v == value)
        };
        assert!(has("deployment.environment", "staging"));
        assert!(has("service.name", "nexus"));
        assert!(has("service.version", "1.2.3"));
    }

    #[test]
    fn what_we_do_not_speak_is_refused_by_name() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "bad name=x"),
        ] {
            let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
            let error = read(&[(variable, value), endpoint, ratio]);
            assert!(matches!(error, Err(Error::Otlp { variable: v, .. }) if v == variable));
        }
    }
}
