//! The part of `opentelemetry/proto/{collector/metrics,metrics}/v1` that we write, and how a page
//! of numbers becomes it. Field numbers are those of opentelemetry-proto 1.x, where they are
//! frozen.
//!
//! Names and labels are those of `/metrics`, so that a dashboard is right whichever way the numbers
//! came. All is cumulative since the process began.

use super::Collector;
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
                metrics: metrics.map(|family| metric(family, times)).collect(),
            }],
        }],
    }
}

fn metric(family: Family, times: (u64, u64)) -> Metric {
    let numbers = || family.series.iter().filter_map(|series| number(series, times)).collect();
    let points = match family.kind {
        Kind::Gauge => metric::Points::Gauge(Gauge { data_points: numbers() }),
        Kind::Counter => metric::Points::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        Kind::Histogram => metric::Points::Histogram(Histogram {
            data_points: family.series.iter().filter_map(|s| histogram(s, times)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    let unit = unit(&family.name).into();
    Metric { name: family.name, description: family.help, unit, points: Some(points) }
}

fn number(series: &Sample, (began, now): (u64, u64)) -> Option<NumberPoint> {
    let Reading::Number(value) = series.value else { return None };
    Some(NumberPoint {
        start_time_unix_nano: began,
        time_unix_nano: now,
        as_double: Some(value),
        attributes: attributes(series),
    })
}

fn histogram(series: &Sample, (began, now): (u64, u64)) -> Option<HistogramPoint> {
    let Reading::Observations { buckets, over, sum } = &series.value else { return None };
    let counts = buckets.iter().map(|(_, count)| *count).chain([*over]);
    Some(HistogramPoint {
        start_time_unix_nano: began,
        time_unix_nano: now,
        count: counts.clone().sum(),
        sum: Some(*sum),
        bucket_counts: counts.collect(),
        explicit_bounds: buckets.iter().map(|(bound, _)| *bound).collect(),
        attributes: attributes(series),
    })
}

fn attributes(series: &Sample) -> Vec<KeyValue> {
    series.labels.iter().map(|(name, value)| text(name, value)).collect()
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

    #[test]
    fn the_numbers_of_a_page_are_sent_as_they_are_with_their_bounds() {
        let mut page = Exposition::new();
        let hello = [("component", "hello")];
        page.counter("nexus_calls_total", "Calls.").sample(&hello, 3.0);
        page.gauge("nexus_process_resident_memory_bytes", "RAM.").sample(&[], 7.0);
        page.gauge("nexus_nothing", "No series yet.");
        let took = &[(0.1, 2), (0.5, 3)];
        page.histogram("nexus_took_seconds", "Times.").observations(&hello, took, 4, 7.5);
        let settings = super::super::Settings::read("1", |name| {
            (name == "OTEL_METRICS_EXPORTER").then(|| "otlp".into())
        });
        let collector = settings.unwrap().unwrap().metrics.unwrap().collector;
        let began = SystemTime::UNIX_EPOCH;
        let now = began + std::time::Duration::from_secs(5);
        let request = request(&collector, page, began, now);
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        let memory = "nexus_process_resident_memory_bytes";
        let cut = "nexus_metrics_series_cut";
        assert_eq!(names, ["nexus_calls_total", memory, "nexus_took_seconds", cut]);
        let units: Vec<_> = metrics.iter().map(|metric| metric.unit.as_str()).collect();
        assert_eq!(units, ["", "By", "s", ""]);
        let Some(metric::Points::Sum(calls)) = &metrics[0].points else { panic!("{metrics:?}") };
        assert!(calls.is_monotonic && calls.aggregation_temporality == CUMULATIVE);
        assert_eq!(calls.data_points[0].as_double, Some(3.0));
        assert_eq!(calls.data_points[0].attributes, [text("component", "hello")]);
        assert_eq!(calls.data_points[0].time_unix_nano, 5_000_000_000);
        let Some(metric::Points::Histogram(took)) = &metrics[2].points else {
            panic!("{metrics:?}")
        };
        let took = &took.data_points[0];
        assert_eq!((took.count, took.sum), (9, Some(7.5)));
        assert_eq!(took.bucket_counts, [2, 3, 4], "each bucket alone, as OTLP has it");
        assert_eq!(took.explicit_bounds, [0.1, 0.5]);
    }
}
