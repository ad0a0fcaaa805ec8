//! The journal: who ordered what, how it ended, and whether anybody touched it since.

use super::super::Visit;
use super::super::parts::{cell, rows, text};
use super::invocations::choice;
use super::parts::{badge, filter, list, more, nothing, passed, table, title, when};
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::Value;

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["actor", "action", "subject", "outcome"], 100);
    let found = visit.get(&format!("audit?{query}")).await;
    let verified = match visit.asked("verify") {
        Some(_) => Some(visit.get("audit/verify").await),
        None => None,
    };
    html! {
        (title("Journal", "Who ordered what, and how it ended. Nothing in it can be changed \
            without showing.", Some(filter("entries"))))
        @if let Some(verified) = &verified { (list(verified, verdict)) }
        form.row method="get" action="/audit" {
            @for (name, label) in [("actor", "Who"), ("subject", "What it was done to")] {
                div.field {
                    label for=(name) { (label) }
                    input id=(name) name=(name) value=(visit.asked(name).unwrap_or_default())
                        autocomplete="off";
                }
            }
            (choice(visit, "outcome", "Outcome", &["begun", "done", "refused", "failed"]))
            button type="submit" { "Look" }
            a.button href="/audit?verify=1" { "Verify all of it" }
            @if visit.may(Role::Admin) {
                a.button href="/api/v1/audit/export" download="nexus-audit.jsonl" { "Export" }
            }
        }
        section.card aria-label="Entries" {
            div #entries data-live { (list(&found, shown)) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

fn verdict(found: &Value) -> Markup {
    html! {
        @if found["whole"] == true {
            div.notice.good role="status" {
                p { "The journal is whole: " (cell(found, "entries")) " entries." }
                p { "Its last hash is " code { (text(found, "hash")) } }
            }
        } @else {
            div.notice.bad role="alert" {
                p { "The journal was touched at entry " (cell(found, "broken_at")) ": "
                    (text(found, "why")) "." }
            }
        }
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "entries");
    if all.is_empty() {
        return nothing("Nobody has ordered anything.");
    }
    let head = ["#Entry", "When", "Who", "From", "What", "To what", "Outcome", "Reason"];
    table(
        "Entries",
        &head,
        &html! {
            @for one in all {
                tr data-row data-key=(cell(one, "position")) {
                    th.n scope="row" { (cell(one, "position")) }
                    td.tight { (when(one, "at")) }
                    td { (text(one, "actor")) div.small.soft { (text(one, "role")) } }
                    td.tight { (text(one, "address")) }
                    td { code { (text(one, "action")) } }
                    td { (text(one, "subject")) }
                    td { (badge(text(one, "outcome"))) }
                    td.words { (text(one, "reason")) }
                }
            }
        },
    )
}
