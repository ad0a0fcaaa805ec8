//! Pages of numbers, written in the Prometheus text format, version 0.0.4, or sent by OTLP (see
//! `otlp/numbers.rs`). A page is built from snapshots when somebody asks for it, so nothing is
//! counted twice and nothing is kept here.
//! Source: Prometheus documentation, "Exposition formats", text-based format.
//!
//! Names start with `nexus_`, use base units (`_seconds`, `_bytes`) and, for counters, `_total`.
//! Labels are bounded sets (component, kind of failure), never user or message ids.

use std::fmt::Write as _;

/// `Content-Type` of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Series of one family on one page; more means that a label is not bounded, and the rest is cut
/// so that a mistake costs a graph and not the monitoring of everything.
const SERIES_MAX: usize = 5_000;

/// A page under construction.
#[derive(Debug, Default)]
pub struct Exposition {
    metrics: Vec<Metric>,
    cut: u64,
}

/// All series of one name.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) kind: Kind,
    pub(crate) series: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One series, as it is now.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: Reading,
}

#[derive(Debug)]
pub(crate) enum Reading {
    Number(f64),
    /// Pairs of upper bound and observations in that bucket alone, ascending; those over the last
    /// bound; and the sum of all that was observed.
    Observations {
        buckets: Vec<(f64, u64)>,
        over: u64,
        sum: f64,
    },
}

/// One metric of a page; takes its samples.
#[derive(Debug)]
pub struct Family<'page> {
    metric: &'page mut Metric,
    cut: &'page mut u64,
}

impl Exposition {
    pub fn new() -> Self {
        Self::default()
    }

    /// A number that only grows; `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name} is a counter and must end in _total");
        self.family(name, help, Kind::Counter)
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        debug_assert!(!name.ends_with("_total"), "{name} is a gauge and must not end in _total");
        self.family(name, help, Kind::Gauge)
    }

    /// Counted observations.
    pub fn histogram(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, help, Kind::Histogram)
    }

    fn family(&mut self, name: &str, help: &str, kind: Kind) -> Family<'_> {
        debug_assert!(is_metric_name(name), "{name} is not a metric name");
        let is_there = self.metrics.iter().any(|known| known.name == name);
        debug_assert!(!is_there, "{name} is on the page twice");
        let metric = Metric { name: name.into(), help: help.into(), kind, series: Vec::new() };
        self.metrics.push(metric);
        let metric = self.metrics.last_mut().expect("one was pushed");
        Family { metric, cut: &mut self.cut }
    }

    /// All that is on the page, in the order in which it was added.
    pub(crate) fn complete(mut self) -> Vec<Metric> {
        let cut = self.cut;
        let help = "Series left out of this page because a label has too many values.";
        self.gauge("nexus_metrics_series_cut", help).sample(&[], cut as f64);
        self.metrics
    }

    /// The finished page.
    pub fn finish(self) -> String {
        let mut page = String::new();
        for metric in self.complete() {
            metric.write(&mut page).expect("writing to a string cannot fail");
        }
        page
    }
}

impl Family<'_> {
    /// One series with its value.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.take(labels, || Reading::Number(value))
    }

    /// One histogram series: `buckets` are pairs of upper bound and number of observations in
    /// that bucket alone (not cumulated), in ascending order; `over` counts those above the last.
    pub fn observations(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        over: u64,
        sum: f64,
    ) -> &mut Self {
        self.take(labels, || Reading::Observations { buckets: buckets.to_vec(), over, sum })
    }

    fn take(&mut self, labels: &[(&str, &str)], value: impl FnOnce() -> Reading) -> &mut Self {
        if self.metric.series.len() >= SERIES_MAX {
            *self.cut += 1;
            return self;
        }
        let unnamed = labels.iter().find(|(name, _)| !is_label_name(name));
        debug_assert!(unnamed.is_none(), "{unnamed:?} is not a label name");
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.metric.series.push(Sample { labels: labels.collect(), value: value() });
        self
    }
}

impl Metric {
    fn write(&self, page: &mut String) -> std::fmt::Result {
        let (name, help) = (&self.name, self.help.replace('\\', "\\\\").replace('\n', "\\n"));
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n")?;
        for Sample { labels, value } in &self.series {
            let (buckets, over, sum) = match value {
                Reading::Number(value) => {
                    line(page, (name, ""), labels, None, *value)?;
                    continue;
                }
                Reading::Observations { buckets, over, sum } => (buckets, over, sum),
            };
            let mut count = 0;
            for (bound, observed) in buckets {
                count += observed;
                line(page, (name, "_bucket"), labels, Some(*bound), count as f64)?;
            }
            count += over;
            line(page, (name, "_bucket"), labels, Some(f64::INFINITY), count as f64)?;
            line(page, (name, "_sum"), labels, None, *sum)?;
            line(page, (name, "_count"), labels, None, count as f64)?;
        }
        Ok(())
    }
}

/// One line of a series whose name has two parts.
fn line(
    page: &mut String,
    (name, suffix): (&str, &str),
    labels: &[(String, String)],
    bound: Option<f64>,
    value: f64,
) -> std::fmt::Result {
    write!(page, "{name}{suffix}")?;
    let bound = bound.map(number);
    let given = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut separator = '{';
    for (name, value) in given.chain(bound.as_deref().map(|bound| ("le", bound))) {
        write!(page, "{separator}{name}=\"{}\"", escaped(value))?;
        separator = ',';
    }
    let end = if separator == ',' { "}" } else { "" };
    writeln!(page, "{end} {}", number(value))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// As Go's `strconv.ParseFloat` reads it, which is what Prometheus uses.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.to_string()
    }
}

pub(crate) fn is_metric_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

pub(crate) fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scrape;

    #[test]
    fn a_page_reads_back_as_it_was_written() {
        let mut page = Exposition::new();
        page.counter("nexus_calls_total", "Calls.")
            .sample(&[("component", "hello")], 3.0)
            .sample(&[("component", "world")], 0.0);
        page.gauge("nexus_ratio", "A ratio.").sample(&[], 0.25);
        let scrape = Scrape::read(&page.finish()).unwrap();
        assert_eq!(scrape.value("nexus_calls_total", &[("component", "hello")]), Some(3.0));
        assert_eq!(scrape.value("nexus_calls_total", &[("component", "world")]), Some(0.0));
        assert_eq!(scrape.value("nexus_ratio", &[]), Some(0.25));
        assert_eq!(scrape.value("nexus_calls_total", &[("component", "nobody")]), None);
        assert_eq!(scrape.kind("nexus_calls_total"), Some("counter"));
    }

    #[test]
    fn hostile_label_values_stay_inside_their_quotes() {
        let hostile = "a\"} 1\nnexus_fake 2\\";
        let mut page = Exposition::new();
        page.gauge("nexus_x", "Two\nlines \\ here.").sample(&[("name", hostile)], 1.0);
        let scrape = Scrape::read(&page.finish()).unwrap();
        assert_eq!(scrape.value("nexus_x", &[("name", hostile)]), Some(1.0));
        assert_eq!(scrape.value("nexus_fake", &[]), None);
    }

    #[test]
    fn buckets_are_cumulated_and_end_with_infinity() {
        let mut page = Exposition::new();
        let labels = [("component", "hello")];
        page.histogram("nexus_seconds", "Times.").observations(
            &labels,
            &[(0.1, 2), (0.5, 3)],
            4,
            7.5,
        );
        let scrape = Scrape::read(&page.finish()).unwrap();
        let bucket =
            |le: &str| scrape.value("nexus_seconds_bucket", &[("component", "hello"), ("le", le)]);
        assert_eq!(bucket("0.1"), Some(2.0));
        assert_eq!(bucket("0.5"), Some(5.0));
        assert_eq!(bucket("+Inf"), Some(9.0));
        assert_eq!(scrape.value("nexus_seconds_count", &labels), Some(9.0));
        assert_eq!(scrape.value("nexus_seconds_sum", &labels), Some(7.5));
    }

    #[test]
    fn numbers_that_are_not_finite_are_written_as_prometheus_reads_them() {
        let mut page = Exposition::new();
        page.gauge("nexus_nan", "No number.").sample(&[], f64::NAN);
        page.gauge("nexus_low", "Low.").sample(&[], f64::NEG_INFINITY);
        let text = page.finish();
        assert!(text.contains("nexus_nan NaN\n") && text.contains("nexus_low -Inf\n"));
        assert!(Scrape::read(&text).unwrap().value("nexus_nan", &[]).unwrap().is_nan());
    }

    #[test]
    fn a_label_without_bound_costs_its_own_series_only() {
        let mut page = Exposition::new();
        let mut family = page.gauge("nexus_unbounded", "Too many.");
        for n in 0..SERIES_MAX + 10 {
            family.sample(&[("id", &n.to_string())], 1.0);
        }
        page.gauge("nexus_other", "Still here.").sample(&[], 1.0);
        let scrape = Scrape::read(&page.finish()).unwrap();
        assert_eq!(scrape.value("nexus_metrics_series_cut", &[]), Some(10.0));
        assert_eq!(scrape.value("nexus_other", &[]), Some(1.0));
    }
}
