//! Reads a page of the Prometheus text format, strictly: what tests and dashboards check our pages
//! with. Refuses what Prometheus would refuse, and series without a TYPE line, which it would not.

use crate::exposition::{is_label_name, is_metric_name};
use std::collections::{BTreeMap, BTreeSet};

/// One series of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A page, read.
#[derive(Debug, Default)]
pub struct Scrape {
    kinds: BTreeMap<String, String>,
    series: Vec<Series>,
}

#[derive(Debug, thiserror::Error)]
#[error("line {line} of the metrics page: {reason}: {text:?}")]
pub struct ScrapeError {
    pub line: usize,
    pub reason: &'static str,
    pub text: String,
}

impl Scrape {
    /// Reads a page; the error names the first line that breaks the format.
    pub fn read(page: &str) -> Result<Self, ScrapeError> {
        let mut scrape = Self::default();
        let mut seen = BTreeSet::new();
        for (index, text) in page.lines().enumerate() {
            let fail = |reason| ScrapeError { line: index + 1, reason, text: text.to_owned() };
            if let Some(rest) = text.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').ok_or_else(|| fail("no type"))?;
                let known = scrape.kinds.insert(name.to_owned(), kind.to_owned());
                if known.is_some() {
                    return Err(fail("the family stands here a second time"));
                }
            } else if !text.starts_with('#') && !text.is_empty() {
                let series = series(text).map_err(fail)?;
                if scrape.family(&series.name).is_none() {
                    return Err(fail("a series without a type"));
                }
                if !seen.insert((series.name.clone(), series.labels.clone())) {
                    return Err(fail("the series stands here a second time"));
                }
                scrape.series.push(series);
            }
        }
        Ok(scrape)
    }

    /// The value of the series with exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let same = |series: &&Series| {
            series.name == name
                && series.labels.len() == labels.len()
                && labels.iter().all(|(n, v)| series.labels.get(*n).is_some_and(|has| has == v))
        };
        self.series.iter().find(same).map(|series| series.value)
    }

    /// `counter`, `gauge` or `histogram`.
    pub fn kind(&self, family: &str) -> Option<&str> {
        self.kinds.get(family).map(String::as_str)
    }

    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    pub fn series(&self) -> &[Series] {
        &self.series
    }

    fn family(&self, name: &str) -> Option<&str> {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let family = name.strip_suffix(suffix)?;
            (self.kind(family)? == "histogram").then_some("histogram")
        });
        of_histogram.or_else(|| self.kind(name))
    }
}

fn series(text: &str) -> Result<Series, &'static str> {
    let end = text.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = text.split_at(end);
    if !is_metric_name(name) {
        return Err("not a metric name");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number => number.parse().map_err(|_| "not a number")?,
    };
    Ok(Series { name: name.to_owned(), labels, value })
}

/// Reads after `{` up to `}`; returns what follows.
fn labels(mut text: &str) -> Result<(BTreeMap<String, String>, &str), &'static str> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once("=\"").ok_or("a label without a value")?;
        if !is_label_name(name) {
            return Err("not a label name");
        }
        let (value, rest) = quoted(rest)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err("the label stands here a second time");
        }
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// Reads after the opening quote up to the closing one.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, c @ ('\\' | '"'))) => c,
                _ => return Err("an unknown escape"),
            }),
            other => value.push(other),
        }
    }
    Err("a quote that does not close")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_break_the_format_are_refused_with_the_line() {
        for (page, line) in [
            ("nexus_x 1\n", 1),
            ("# TYPE nexus_x gauge\nnexus_x one\n", 2),
            ("# TYPE nexus_x gauge\nnexus_x{a=\"b} 1\n", 2),
            ("# TYPE nexus_x gauge\nnexus_x{a-b=\"c\"} 1\n", 2),
            ("# TYPE nexus_x gauge\nnexus_x 1\nnexus_x 2\n", 3),
            ("# TYPE nexus_x gauge\n# TYPE nexus_x gauge\n", 2),
            ("# TYPE 1x gauge\n1x 1\n", 2),
        ] {
            assert_eq!(Scrape::read(page).unwrap_err().line, line, "{page}");
        }
    }
}
