//! What a component may use and how much of it, as people read it.

use super::parts::{ms, nothing, rows, size};
use maud::{Markup, html};
use serde_json::Value;

const GRANTS: [(&str, &str); 4] = [
    ("allowed_outbound_hosts", "Calls"),
    ("key_value_stores", "Key-value stores"),
    ("buckets", "Buckets"),
    ("variables", "Variables"),
];

pub(super) fn grants(one: &Value) -> Markup {
    let grants = &one["grants"];
    if grants.is_null() {
        return nothing("Its manifest is not at hand.");
    }
    let isolation = match grants["isolation"].as_str() {
        Some("fresh") => "a new one for each call",
        _ => "one for many calls",
    };
    html! {
        dl.facts {
            @for (name, label) in GRANTS {
                dt { (label) }
                dd { (names(rows(grants, name))) }
            }
            dt { "Routes" } dd { (names(rows(one, "routes"))) }
            dt { "Instances" } dd { (isolation) }
        }
    }
}

fn names(all: &[Value]) -> Markup {
    html! {
        @if all.is_empty() { span.soft { "none" } } @else {
            ul.chips { @for name in all { li { code { (name.as_str().unwrap_or_default()) } } } }
        }
    }
}

pub(super) fn limits(one: &Value) -> Markup {
    let Some(all) = one["limits"].as_object() else {
        return nothing("Its manifest is not at hand.");
    };
    html! {
        dl.facts.limits {
            @for (name, value) in all {
                @let (label, amount) = limit(name, value);
                dt { (label) } dd { (amount) }
            }
        }
    }
}

/// A limit's name without its unit, and the amount with it.
fn limit(name: &str, value: &Value) -> (String, String) {
    let amount = value.as_u64().unwrap_or(0);
    let (bare, amount) = if let Some(bare) = name.strip_suffix("_ms") {
        (bare, ms(Some(amount as f64)))
    } else if let Some(bare) = name.strip_suffix("_bytes") {
        (bare, size(amount))
    } else if let Some(bare) = name.strip_suffix("_mib") {
        (bare, size(amount << 20))
    } else {
        (name, value.to_string())
    };
    (bare.replace('_', " "), amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_limit_is_said_with_its_unit_and_not_twice() {
        for (name, value, label, amount) in [
            ("wall_ms", 30_000, "wall", "30.0 s"),
            ("cpu_ms", 250, "cpu", "250 ms"),
            ("memory_mib", 64, "memory", "64.0 MiB"),
            ("body_in_bytes", 1 << 20, "body in", "1.0 MiB"),
            ("inflight_max", 64, "inflight max", "64"),
        ] {
            assert_eq!(limit(name, &json!(value)), (label.into(), amount.into()));
        }
    }

    #[test]
    fn what_is_not_granted_is_said_to_be_none() {
        let drawn = grants(&json!({ "grants": { "variables": ["pg_url"] } })).into_string();
        assert_eq!(drawn.matches("none").count(), 4, "{drawn}");
        assert!(drawn.contains("pg_url"));
    }
}
