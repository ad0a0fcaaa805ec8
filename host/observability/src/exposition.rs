//! Pages of numbers in the Prometheus text format, version 0.0.4. A page is built from snapshots
//! when somebody asks for it, so nothing is counted twice and nothing is kept here.
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
    page: String,
    names: Vec<String>,
    cut: u64,
}

/// One metric of a page; takes its samples.
#[derive(Debug)]
pub struct Family<'page> {
    exposition: &'page mut Exposition,
    name: String,
    series: usize,
}

impl Exposition {
    pub fn new() -> Self {
        Self::default()
    }

    /// A number that only grows; `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name} is a counter and must end in _total");
        self.family(name, help, "counter")
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        debug_assert!(!name.ends_with("_total"), "{name} is a gauge and must not end in _total");
        self.family(name, help, "gauge")
    }

    /// Counted observations.
    pub fn histogram(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, help, "histogram")
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) -> Family<'_> {
        debug_assert!(is_metric_name(name), "{name} is not a metric name");
        debug_assert!(!self.names.iter().any(|known| known == name), "{name} is on the page twice");
        self.names.push(name.to_owned());
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { exposition: self, name: name.to_owned(), series: 0 }
    }

    /// The finished page.
    pub fn finish(mut self) -> String {
        let cut = self.cut;
        let help = "Series left out of this page because a label has too many values.";
        self.gauge("nexus_metrics_series_cut", help).sample(&[], cut as f64);
        self.page
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.page.write_fmt(text).expect("writing to a string cannot fail");
    }
}

impl Family<'_> {
    /// One series with its value.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        if self.admits() {
            self.line("", labels, None, value);
        }
        self
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
        if !self.admits() {
            return self;
        }
        let mut count = 0;
        for (bound, observed) in buckets {
            count += observed;
            self.line("_bucket", labels, Some(*bound), count as f64);
        }
        count += over;
        self.line("_bucket", labels, Some(f64::INFINITY), count as f64);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count as f64);
        self
    }

    fn admits(&mut self) -> bool {
        self.series += 1;
        if self.series > SERIES_MAX {
            self.exposition.cut += 1;
        }
        self.series <= SERIES_MAX
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<f64>, value: f64) {
        let page = &mut *self.exposition;
        page.push(format_args!("{}{suffix}", self.name));
        let bound = bound.map(|bound| ("le", number(bound)));
        let given = labels.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let mut separator = '{';
        for (name, value) in given.chain(bound) {
            debug_assert!(is_label_name(name), "{name} is not a label name");
            page.push(format_args!("{separator}{name}=\"{}\"", escaped(&value)));
            separator = ',';
        }
        let end = if separator == ',' { "}" } else { "" };
        page.push(format_args!("{end} {}\n", number(value)));
    }
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
