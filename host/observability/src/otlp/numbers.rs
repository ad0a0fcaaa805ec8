//! The part of `opentelemetry/proto/{collector/metrics,metrics}/v1` that we write, and how a page
//! of numbers becomes it. Field numbers are those of opentelemetry-proto 1.x, where they are
//! frozen.
//!
//! What the semantic conventions have a name for is told under it (see `conventions.rs`), and all
//! else under that of `/metrics`. All is cumulative since the process began.

use super::Collector;
use super::conventions::{CONVENTIONS, Convention};
use super::proto::{KeyValue, Resource, Scope, nanoseconds, resource, text};
use crate::exposition::{Exposition, Kind, Metric as Family, Reading, Sample};
use std::time::SystemTime;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportMetricsServiceRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeMetrics {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metric {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
    #[prost(string, tag = "3")]
    pub(super) unit: String,
    #[prost(oneof = "metric::Points", tags = "5, 7, 9")]
    pub(super) points: Option<metric::Points>,
}

pub(super) mod metric {
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(in crate::otlp) enum Points {
        #[prost(message, tag = "5")]
        Gauge(super::Gauge),
        #[prost(message, tag = "7")]
        Sum(super::Sum),
        #[prost(message, tag = "9")]
        Histogram(super::Histogram),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Gauge {
    #[prost(message, repeated, tag = "1")]
    pub(super) data_points: Vec<NumberPoint>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sum {
    #[prost(message, repeated, tag = "1")]
    pub(super) data_points: Vec<NumberPoint>,
    #[prost(int32, tag = "2")]
    pub(super) aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub(super) is_monotonic: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Histogram {
    #[prost(message, repeated, tag = "1")]
    pub(super) data_points: Vec<HistogramPoint>,
    #[prost(int32, tag = "2")]
    pub(super) aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NumberPoint {
    #[prost(fixed64, tag = "2")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) time_unix_nano: u64,
    /// In a oneof there, which is the same on the wire.
    #[prost(double, optional, tag = "4")]
    pub(super) as_double: Option<f64>,
    #[prost(message, repeated, tag = "7")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HistogramPoint {
    #[prost(fixed64, tag = "2")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) count: u64,
    #[prost(double, optional, tag = "5")]
    pub(super) sum: Option<f64>,
    /// One more than there are bounds.
    #[prost(fixed64, repeated, tag = "6")]
    pub(super) bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub(super) explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<KeyValue>,
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: i32 = 2;

/// A page as it is `now`, of what was counted since `began`.
pub(super) fn request(
    collector: &Collector,
    page: Exposition,
    began: SystemTime,
    now: SystemTime,
) -> ExportMetricsServiceRequest {
    let times = (nanoseconds(began), nanoseconds(now));
    let metrics = page.complete().into_iter().filter(|family| !family.series.is_empty());
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource(collector)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(Scope { name: "nexus".into() }),
                metrics: metrics.flat_map(|family| told(&family, times)).collect(),
            }],
        }],
    }
}

/// A family under its name, or under those that the conventions have for parts of it.
fn told(family: &Family, times: (u64, u64)) -> Vec<Metric> {
    let conventions = CONVENTIONS.iter().filter(|one| one.family == family.name);
    let told: Vec<Metric> =
        conventions.map(|convention| metric(family, Some(convention), times)).collect();
    if told.is_empty() { vec![metric(family, None, times)] } else { told }
}

fn metric(family: &Family, convention: Option<&Convention>, times: (u64, u64)) -> Metric {
    let meant = |series: &&Sample| convention.is_none_or(|one| one.means(&series.labels));
    let series = || family.series.iter().filter(meant);
    let numbers = || series().filter_map(|series| number(series, convention, times)).collect();
    let sum = |is_monotonic| {
        metric::Points::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic,
        })
    };
    let points = match (family.kind, convention) {
        // What goes up and down is an UpDownCounter wherever the conventions name it.
        (Kind::Gauge, Some(_)) => sum(false),
        (Kind::Gauge, None) => metric::Points::Gauge(Gauge { data_points: numbers() }),
        (Kind::Counter, _) => sum(true),
        (Kind::Histogram, _) => metric::Points::Histogram(Histogram {
            data_points: series().filter_map(|s| histogram(s, convention, times)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    let (name, unit) = match convention {
        Some(convention) => (convention.name, convention.unit),
        None => (family.name.as_str(), unit(&family.name)),
    };
    let description = family.help.clone();
    Metric { name: name.into(), description, unit: unit.into(), points: Some(points) }
}

fn number(
    series: &Sample,
    convention: Option<&Convention>,
    (began, now): (u64, u64),
) -> Option<NumberPoint> {
    let Reading::Number(value) = series.value else { return None };
    Some(NumberPoint {
        start_time_unix_nano: began,
        time_unix_nano: now,
        as_double: Some(value),
        attributes: attributes(series, convention),
    })
}

fn histogram(
    series: &Sample,
    convention: Option<&Convention>,
    (began, now): (u64, u64),
) -> Option<HistogramPoint> {
    let Reading::Observations { buckets, over, sum } = &series.value else { return None };
    let counts = buckets.iter().map(|(_, count)| *count).chain([*over]);
    Some(HistogramPoint {
        start_time_unix_nano: began,
        time_unix_nano: now,
        count: counts.clone().sum(),
        sum: Some(*sum),
        bucket_counts: counts.collect(),
        explicit_bounds: buckets.iter().map(|(bound, _)| *bound).collect(),
        attributes: attributes(series, convention),
    })
}

fn attributes(series: &Sample, convention: Option<&Convention>) -> Vec<KeyValue> {
    let labels = series.labels.iter().filter_map(|(name, value)| {
        let name = convention.map_or(Some(name.as_str()), |one| one.label(name))?;
        Some(text(name, value))
    });
    let fixed = convention.map(|one| one.fixed).unwrap_or_default();
    labels.chain(fixed.iter().map(|(name, value)| text(name, value))).collect()
}

/// The unit that a name ends in, as UCUM writes it.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit_once('_') {
        Some((_, "seconds")) => "s",
        Some((_, "bytes")) => "By",
        Some((_, "ratio")) => "1",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(page: Exposition) -> Vec<Metric> {
        let settings = super::super::Settings::read("1", |name| {
            (name == "OTEL_METRICS_EXPORTER").then(|| "otlp".into())
        });
        let collector = settings.unwrap().unwrap().metrics.unwrap().collector;
        let began = SystemTime::UNIX_EPOCH;
        let now = began + std::time::Duration::from_secs(5);
        let mut request = request(&collector, page, began, now);
        std::mem::take(&mut request.resource_metrics[0].scope_metrics[0].metrics)
    }

    fn sum<'a>(metrics: &'a [Metric], name: &str) -> &'a Sum {
        let found = metrics.iter().find(|metric| metric.name == name);
        match found.and_then(|metric| metric.points.as_ref()) {
            Some(metric::Points::Sum(sum)) => sum,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn the_numbers_of_a_page_are_sent_as_they_are_with_their_bounds() {
        let mut page = Exposition::new();
        let hello = [("component", "hello")];
        page.counter("nexus_told_total", "Told.").sample(&hello, 3.0);
        page.gauge("nexus_room_bytes", "Room.").sample(&[], 7.0);
        page.gauge("nexus_nothing", "No series yet.");
        let took = &[(0.1, 2), (0.5, 3)];
        page.histogram("nexus_took_seconds", "Times.").observations(&hello, took, 4, 7.5);
        let metrics = request_of(page);
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        let cut = "nexus_metrics_series_cut";
        assert_eq!(names, ["nexus_told_total", "nexus_room_bytes", "nexus_took_seconds", cut]);
        let units: Vec<_> = metrics.iter().map(|metric| metric.unit.as_str()).collect();
        assert_eq!(units, ["", "By", "s", ""]);
        let calls = sum(&metrics, "nexus_told_total");
        assert!(calls.is_monotonic && calls.aggregation_temporality == CUMULATIVE);
        assert_eq!(calls.data_points[0].as_double, Some(3.0));
        assert_eq!(calls.data_points[0].attributes, [text("component", "hello")]);
        assert_eq!(calls.data_points[0].time_unix_nano, 5_000_000_000);
        assert!(matches!(metrics[1].points, Some(metric::Points::Gauge(_))));
        let Some(metric::Points::Histogram(took)) = &metrics[2].points else {
            panic!("{metrics:?}")
        };
        let took = &took.data_points[0];
        assert_eq!((took.count, took.sum), (9, Some(7.5)));
        assert_eq!(took.bucket_counts, [2, 3, 4], "each bucket alone, as OTLP has it");
        assert_eq!(took.explicit_bounds, [0.1, 0.5]);
    }

    #[test]
    fn what_the_conventions_have_a_name_for_is_sent_under_it() {
        let mut page = Exposition::new();
        let failed = |kind| [("component", "hello"), ("kind", kind)];
        page.counter("nexus_component_failures_total", "Failures.")
            .sample(&failed("trap"), 2.0)
            .sample(&failed("timeout"), 3.0);
        page.gauge("nexus_process_threads", "Threads.").sample(&[], 9.0);
        let claimed = [("service", "billing"), ("queue", "a.b.v1")];
        page.counter("nexus_queue_claimed_total", "Claims.").sample(&claimed, 1.0);
        let hello = [("component", "hello")];
        page.histogram("nexus_http_request_duration_seconds", "Times.").observations(
            &hello,
            &[(0.1, 2)],
            0,
            0.1,
        );
        let metrics = request_of(page);
        let told: Vec<_> =
            metrics.iter().map(|metric| (&*metric.name, &*metric.unit)).take(5).collect();
        let expected = [
            ("faas.errors", "{error}"),
            ("faas.timeouts", "{timeout}"),
            ("process.thread.count", "{thread}"),
            ("messaging.client.consumed.messages", "{message}"),
            ("http.server.request.duration", "s"),
        ];
        assert_eq!(told, expected);
        let hello = text("faas.name", "hello");
        let errors = &sum(&metrics, "faas.errors").data_points;
        assert_eq!(errors.len(), 1, "a timeout is told apart");
        assert_eq!(errors[0].attributes, [hello.clone(), text("error.type", "trap")]);
        let timeouts = &sum(&metrics, "faas.timeouts").data_points;
        assert_eq!((timeouts.len(), timeouts[0].as_double), (1, Some(3.0)));
        assert_eq!(timeouts[0].attributes, [hello]);
        assert!(!sum(&metrics, "process.thread.count").is_monotonic);
        let consumed = sum(&metrics, "messaging.client.consumed.messages");
        let attributes = [
            text("messaging.consumer.group.name", "billing"),
            text("messaging.destination.subscription.name", "a.b.v1"),
            text("messaging.system", "nexus"),
            text("messaging.operation.name", "process"),
        ];
        assert_eq!(consumed.data_points[0].attributes, attributes);
    }
}
