//! How a sample is told: one JSON object a line.

use serde_json::json;

/// Which way is better, for ratios: they are what a later run is compared with.
#[derive(Debug, Clone, Copy)]
pub enum Better {
    More,
    Less,
}

/// A figure as it is.
pub fn sample(metric: &str, unit: &str, value: f64) {
    println!("{}", json!({ "metric": metric, "unit": unit, "value": value }));
}

/// `one / other`, both of the same round.
pub fn ratio(metric: &str, one: f64, other: f64, better: Better) {
    let better = match better {
        Better::More => "more",
        Better::Less => "less",
    };
    let value = one / other;
    println!("{}", json!({ "metric": metric, "unit": "x", "value": value, "better": better }));
}

/// Somebody is missing, or something; for people.
pub fn word(text: &str) {
    eprintln!("    {text}");
}
