//! The health matrix: every name that the suite goes by, and whether what it names runs. Asking all
//! of them takes a while, so the page comes first.

use super::super::Visit;
use super::super::parts::{rows, text};
use super::parts::{badge, filter, nothing, table, title, trouble};
use crate::live::matrix;
use maud::{Markup, html};
use serde_json::Value;

const KINDS: [(&str, &str); 4] = [
    ("service", "Services"),
    ("module", "Modules"),
    ("front end", "Front ends"),
    ("alias", "Other names"),
];

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let now = visit.asked("now").is_some();
    html! {
        (title("Health", "Every name of the suite, asked at its own door.", Some(filter("matrix"))))
        div #matrix data-later=[(!now).then_some("/health-matrix?now=1")]
            aria-busy=[(!now).then_some("true")] {
            @if now {
                @match matrix::matrix(visit.facts()).await {
                    Ok(found) => { (shown(&found)) }
                    Err(problem) => { (trouble(&problem)) }
                }
            } @else {
                (nothing("Every name is being asked; this takes some seconds."))
                noscript { p { a.button href="/health-matrix?now=1" { "Ask them" } } }
            }
        }
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "names");
    html! {
        @for (kind, label) in KINDS {
            @let of: Vec<&Value> = all.iter().filter(|one| text(one, "kind") == kind).collect();
            @let well = of.iter().filter(|one| one["healthy"] == true).count();
            section.card aria-label=(label) {
                div.head { h2 { (label) } span.soft { (well) " of " (of.len()) " run" } }
                @if of.is_empty() { (nothing("None.")) } @else {
                    (table(label, &["Name", "State", "What is missing", "About"], &html! {
                        @for one in of { (row(one)) }
                    }))
                }
            }
        }
    }
}

fn row(one: &Value) -> Markup {
    let healthy = one["healthy"] == true;
    let missing = one["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<&str> = missing.collect();
    html! {
        tr data-row {
            th scope="row" { (text(one, "name")) }
            td { (badge(if healthy { "healthy" } else { "missing" })) }
            td.words {
                @if !healthy {
                    @if missing.is_empty() { (text(one, "detail")) }
                    @else { (missing.join(", ")) }
                }
            }
            td.words.soft { (text(one, "title")) }
        }
    }
}
