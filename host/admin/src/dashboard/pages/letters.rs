//! Dead letters: what died of what, and sending it back to work: first what that would reach, then
//! the button that does it.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::parts::{
    action, asking, badge, code, filter, list, more, nothing, passed, table, title, trouble, when,
};
use crate::{operate, problems};
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::{Value, json};

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["service", "queue", "topic", "reason"], 100);
    let found = visit.get(&format!("dead-letters?{query}")).await;
    html! {
        (title("Dead letters", "What failed for good. Nothing is lost: it can be sent back.",
            Some(filter("letters"))))
        form.row method="get" action="/dead-letters" {
            @for (name, label) in
                [("service", "Service"), ("topic", "Topic or pattern"), ("reason", "Reason")] {
                div.field {
                    label for=(name) { (label) }
                    input id=(name) name=(name) value=(visit.asked(name).unwrap_or_default())
                        autocomplete="off";
                }
            }
            button type="submit" { "Look" }
        }
        section.card aria-label="Dead letters" {
            div #letters data-live { (list(&found, shown)) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "dead_letters");
    if all.is_empty() {
        return nothing("No letter is dead.");
    }
    let head = ["Queue", "Topic", "Died", "Reason", "#Attempts", "Last error", "Message"];
    table(
        "Dead letters",
        &head,
        &html! {
            @for one in all {
                @let (service, queue) = (text(one, "service"), text(one, "queue"));
                tr data-row data-key=(text(one, "id")) {
                    th scope="row" {
                        a href=(format!("/queues/{}/{}?state=dead", piece(service), piece(queue))) {
                            (service) " / " (queue)
                        }
                    }
                    td { (text(one, "topic")) }
                    td.tight { (when(one, "died_at")) }
                    td { (badge(text(one, "reason"))) }
                    td.n { (cell(one, "attempts")) }
                    td.words { (last_error(one)) }
                    td { details { summary { "Show" } (code(one)) } }
                }
            }
        },
    )
}

/// What went wrong at the last attempt.
pub(super) fn last_error(one: &Value) -> String {
    let last = one["errors"].as_array().and_then(|errors| errors.last());
    let Some(last) = last else { return String::new() };
    let said = ["reason", "error", "message"].iter().find_map(|name| last[*name].as_str());
    said.map_or_else(|| last.to_string(), str::to_owned).chars().take(300).collect()
}

/// Sending the dead letters of a queue back, in two steps.
pub(super) async fn redrive(
    visit: &Visit<'_>,
    service: &str,
    queue: &str,
    found: &Value,
) -> Markup {
    let dead = found["dead"].as_u64().unwrap_or(0);
    if dead == 0 || !visit.may(Role::Operator) {
        return html! {};
    }
    let path = format!("queues/{}/{}", piece(service), piece(queue));
    let all = json!({ "filter": { "all": true } });
    html! {
        section.card aria-labelledby="redrive-title" {
            h2 #redrive-title { "Dead letters" }
            @if visit.asked("redrive").is_some() {
                (confirm(visit, &path, service, queue).await)
            } @else {
                div.actions {
                    a.button href="?state=dead&redrive=1" { "Send them back to work…" }
                    @if visit.may(Role::Admin) {
                        (asking(visit, &format!("POST {path}/purge"), &all,
                            Some("Throw all dead letters of this queue away? They are gone then."),
                            html! { button.danger type="submit" { "Throw them away" } }))
                    }
                }
            }
        }
    }
}

/// What it would reach, and the button.
async fn confirm(visit: &Visit<'_>, path: &str, service: &str, queue: &str) -> Markup {
    let all = json!({ "filter": { "all": true } });
    let Some(stores) = visit.facts().operated() else {
        return trouble(&problems::DATABASE_AWAY);
    };
    match operate::would_redrive(stores, service, queue).await {
        Ok(messages) => html! {
            p { "This would send " strong { (messages) } " messages back to work." }
            (action(visit, &format!("POST {path}/redrive"), &all, html! {
                button.primary type="submit" { "Send " (messages) " back" }
                a.button href="?state=dead" { "Leave them" }
            }))
        },
        Err(problem) => trouble(&problem),
    }
}
