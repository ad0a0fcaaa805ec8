//! What the OpenTelemetry variables come to, and which of them are refused.

use super::*;

const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
    Settings::read("1.2.3", |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

/// Where spans and where numbers go.
fn places(variables: &[(&str, &str)]) -> [Option<String>; 2] {
    let settings = read(variables).unwrap().unwrap_or_default();
    let [traces, metrics] =
        [settings.traces.map(|t| t.collector), settings.metrics.map(|m| m.collector)];
    [traces, metrics].map(|place| place.map(|collector| collector.endpoint.to_string()))
}

#[test]
fn nothing_is_exported_unless_an_endpoint_or_an_exporter_is_named() {
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[("OTEL_SDK_DISABLED", "true"), BASE]).unwrap().is_none());
    let neither = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"), BASE];
    assert!(read(&neither).unwrap().is_none());
}

#[test]
fn the_general_endpoint_is_a_base_and_the_one_of_a_signal_is_a_whole_url() {
    let [traces, metrics] = places(&[BASE]);
    assert_eq!(traces.as_deref(), Some("http://collector:4318/v1/traces"));
    assert_eq!(metrics.as_deref(), Some("http://collector:4318/v1/metrics"));
    let own = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/in")];
    assert_eq!(places(&own), [Some("http://collector:4318/in".into()), None]);
    let own = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://numbers/in"), BASE];
    assert_eq!(places(&own)[1].as_deref(), Some("http://numbers/in"));
}

#[test]
fn each_signal_is_exported_by_what_is_named_for_it() {
    let [traces, metrics] = places(&[("OTEL_METRICS_EXPORTER", "otlp")]);
    let nearby = "http://localhost:4318/v1/metrics";
    assert_eq!((traces, metrics.as_deref()), (None, Some(nearby)));
    let [traces, metrics] = places(&[("OTEL_METRICS_EXPORTER", "prometheus"), BASE]);
    assert_eq!((traces.is_some(), metrics), (true, None), "the page is there in any case");
    let both = [("OTEL_METRICS_EXPORTER", "otlp, prometheus"), BASE];
    assert!(places(&both)[1].is_some());
}

#[test]
fn headers_and_attributes_are_percent_decoded_and_the_service_has_a_name() {
    let settings = read(&[
        BASE,
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, x-scope = a"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-scope=numbers"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=staging"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1500"),
    ]);
    let settings = settings.unwrap().unwrap();
    let (traces, metrics) = (settings.traces.unwrap(), settings.metrics.unwrap());
    assert_eq!(traces.collector.headers[0].1, "Bearer x");
    assert_eq!(traces.collector.headers[1].0, "x-scope");
    assert_eq!(metrics.collector.headers.len(), 1, "a signal's own replace the general ones");
    assert_eq!(traces.ratio, 0.25);
    assert_eq!(metrics.interval, Duration::from_millis(1_500));
    assert_eq!(traces.collector.resource, metrics.collector.resource);
    let resource = traces.collector.resource;
    let has = |name: &str, value: &str| resource.iter().any(|(n, v)| n == name && v == value);
    assert!(has("deployment.environment", "staging"));
    assert!(has("service.name", "nexus"));
    assert!(has("service.version", "1.2.3"));
    assert!(resource.iter().any(|(name, _)| name == "service.instance.id"));
}

#[test]
fn what_we_do_not_speak_is_refused_by_name() {
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_METRICS_EXPORTER", "otlp,console"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "bad name=x"),
    ] {
        let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
        let error = read(&[(variable, value), BASE, ratio]);
        assert!(matches!(error, Err(Error::Otlp { variable: v, .. }) if v == variable));
    }
}
