//! One rollout: how far it is, what its gates see, which hosts follow, what happened, and the
//! orders that are left. An order says why, since it stands in the journal.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::parts::{badge, clock, moment, ms, nothing, ordering, table, title, trouble, when};
use super::rollouts::{OVER, frozen, percent, stages};
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::{Value, json};

/// The gates of a plan as a row each: name of the figure, its label, what the gate says.
const GATES: [(&str, &str, &str); 5] = [
    ("calls", "Requests", "samples_min"),
    ("error_rate", "Failed", "error_rate_delta"),
    ("p50_seconds", "p50", ""),
    ("p99_seconds", "p99", "latency_ratio"),
    ("traps", "Traps", "traps_max"),
];

pub(super) async fn page(visit: &Visit<'_>, id: &str) -> Markup {
    let found = match visit.get(&format!("rollouts/{}", piece(id))).await {
        Ok(found) => found,
        Err(problem) => return html! { (title("Rollout", "", None)) (trouble(&problem)) },
    };
    let component = text(&found, "component");
    let freezes = visit.get("freezes").await;
    html! {
        p.crumb {
            a href="/rollouts" { "Rollouts" } " / "
            a href=(format!("/components/{}", piece(component))) { (component) }
        }
        (title(&format!("{component} to revision {}", cell(&found, "revision")), &about(&found),
            None))
        div #frozen data-live { (frozen(visit, &freezes, Some(component))) }
        section.card aria-label="How far it is" data-stream="rollouts,conditions,figures"
            data-component=(component) {
            div #progress data-live { (progress(&found)) }
        }
        div #watched data-live { (watched(&found)) }
        div #orders data-live { (orders(visit, &found)) }
        section.card aria-labelledby="events-title" {
            h2 #events-title { "What happened" }
            div #events data-live { (events(&found)) }
        }
    }
}

/// Who began it, how, and what they said of it.
fn about(found: &Value) -> String {
    let kind = match text(found, "kind") {
        "rollback" => "Put back",
        "configuration" => "Configured anew",
        _ => "Deployed",
    };
    let note = text(found, "note");
    let said = if note.is_empty() { String::new() } else { format!(": {note}") };
    format!("{kind} by {}{said}", text(found, "by"))
}

fn is_over(found: &Value) -> bool {
    OVER.contains(&text(found, "state"))
}

fn progress(found: &Value) -> Markup {
    let weight = found["weight"].as_u64().unwrap_or(0);
    html! {
        (ended(found))
        div.actions {
            (badge(text(found, "state")))
            @if !is_over(found) { strong { (percent(weight)) " of the calls" } }
            span.soft { "begun " (when(found, "created_at")) }
            @if is_over(found) { span.soft { "over " (when(found, "finished_at")) } }
        }
        (stages(found))
        @if !is_over(found) { p.small.soft { (waits(found)) } }
    }
}

/// How it ended, in words.
fn ended(found: &Value) -> Markup {
    let (revision, from) = (cell(found, "revision"), cell(found, "from"));
    let serves = match from.as_str() {
        "" => "Nothing serves in its place.".to_owned(),
        from => format!("Revision {from} serves every call."),
    };
    let (class, words) = match text(found, "state") {
        "done" => ("good", format!("Revision {revision} serves every call.")),
        "failed" => ("bad", format!("Revision {revision} never got a call. {serves}")),
        "rolled_back" => ("bad", format!("Revision {revision} was taken back. {serves}")),
        "aborted" => ("warn", format!("Revision {revision} was given up. {serves}")),
        _ => return html! {},
    };
    let reason = text(found, "reason");
    html! {
        div.notice.(class) {
            p { (words) }
            @if !reason.is_empty() { p { "Because: " (reason) } }
        }
    }
}

/// What the present state waits for.
fn waits(found: &Value) -> Markup {
    let least = found["step_seconds"].as_u64().unwrap_or(0);
    html! {
        @match text(found, "state") {
            "verifying" => { "Signature, imports and grants are judged." }
            "compiling" => { "Every host compiles it." }
            "migrating" => { "The database is made ready for it." }
            "probing" => { "Every host asks it whether it is well." }
            "staged" => { "It is there, without a share. Promote it to go on." }
            "stepping" => {
                @match moment(found, "settled_at") {
                    None => { "The hosts are taking this step over." }
                    Some(at) => {
                        "All hosts have had this step for " (at) ". It lasts at least " (least)
                        " s, and its gates must be open."
                    }
                }
            }
            "paused" => { "It stays at this step until somebody resumes it." }
            "promoting" => { "Every host is told to serve it alone." }
            "draining" => { "What it took over from finishes its calls." }
            "rolling_back" => { "Every host goes back to what served before." }
            _ => {}
        }
    }
}

/// Gates and hosts, while there is something to watch.
fn watched(found: &Value) -> Markup {
    if is_over(found) {
        return html! {};
    }
    html! {
        div.grid.wide-first {
            section.card aria-labelledby="gates-title" {
                h2 #gates-title { "Gates" }
                (gates(found))
            }
            section.card aria-labelledby="hosts-title" {
                h2 #hosts-title { "Hosts" }
                (hosts(found))
            }
        }
    }
}

fn gates(found: &Value) -> Markup {
    let figures = &found["figures"];
    if figures.is_null() {
        return nothing("There are figures as soon as it has a share of the calls.");
    }
    let verdict = match text(figures, "verdict") {
        "pass" => "open",
        "fail" => "closed",
        "too_few" => "counting",
        _ => "none",
    };
    let (revision, from) = (cell(found, "revision"), cell(found, "from"));
    let (new, before) = (format!("#Revision {revision}"), format!("#Revision {from}"));
    html! {
        div.actions { (badge(verdict)) span { (text(figures, "words")) } }
        (table("Figures", &["Figure", &new, &before], &html! {
            @for (name, label, gate) in GATES {
                tr data-key=(name) {
                    th scope="row" {
                        (label) " " span.small.soft { (asked(&found["gates"], gate)) }
                    }
                    td.n { (figure(&figures["new"], name)) }
                    td.n { (figure(&figures["baseline"], name)) }
                }
            }
        }))
        p.small.soft {
            "Revision " (revision) " since its step began, revision " (from)
            " since the first step, on all hosts."
        }
    }
}

fn figure(tally: &Value, name: &str) -> String {
    match name {
        "error_rate" => match tally[name].as_f64() {
            None => "–".into(),
            Some(share) => format!("{:.2} %", share * 100.0),
        },
        "p50_seconds" | "p99_seconds" => ms(tally[name].as_f64().map(|s| s * 1e3)),
        _ => cell(tally, name),
    }
}

/// What a gate asks for, in words.
fn asked(gates: &Value, name: &str) -> String {
    let Some(value) = gates[name].as_f64() else { return String::new() };
    match name {
        "samples_min" => format!("at least {value}"),
        "error_rate_delta" => format!("at most {} % more", value * 100.0),
        "latency_ratio" => format!("at most {value} times"),
        _ => format!("at most {value}"),
    }
}

fn hosts(found: &Value) -> Markup {
    let all = rows(found, "hosts");
    if all.is_empty() {
        return nothing("No host is alive.");
    }
    let asked = found["step"].as_i64().unwrap_or(-1) >= 0;
    html! {
        ul.listed {
            @for host in all {
                li data-key=(text(host, "name")) {
                    div.actions {
                        strong.break { (text(host, "name")) }
                        @if host["failure"].is_string() { (badge("failed")) }
                        @else if host["applied"] == true { (badge("applied")) }
                        @else if asked { (badge("behind")) }
                        @else { (badge("not asked yet")) }
                        @if let Some(draining @ 1..) = host["draining"].as_u64() {
                            span.soft { (draining) " draining" }
                        }
                    }
                    @if let Some(failure) = host["failure"].as_str() { p.small { (failure) } }
                }
            }
        }
    }
}

/// What may still be ordered, with one reason for whichever it is. The harmless one comes first:
/// it is what the return key presses.
fn orders(visit: &Visit<'_>, found: &Value) -> Markup {
    if !visit.may(Role::Operator) {
        return html! {};
    }
    let rollout = format!("POST rollouts/{}", cell(found, "id"));
    let component = text(found, "component");
    let back = format!("POST components/{}/rollback", piece(component));
    let freeze = format!("POST freezes {}", json!({ "component": component }));
    let state = text(found, "state");
    let open = !is_over(found);
    html! {
        section.card aria-labelledby="orders-title" {
            h2 #orders-title { "What is to be done" }
            (ordering(visit, "reason", html! {
                @if open && state == "paused" {
                    button name="call" value=(format!("{rollout}/resume")) { "Resume" }
                } @else if open {
                    button name="call" value=(format!("{rollout}/pause")) { "Pause" }
                }
                @if open && state != "rolling_back" {
                    button.primary name="call" value=(format!("{rollout}/promote")) { "Promote" }
                    button.danger name="call" value=(format!("{rollout}/abort")) { "Abort" }
                }
                @if open || state == "done" {
                    button.danger name="call" value=(back) { "Roll back" }
                }
                button name="call" value=(freeze) { "Freeze" }
            }))
            @if open {
                p.hint {
                    "Promote serves revision " (cell(found, "revision")) " alone, without waiting. \
                    Abort and Roll back go back to what served before. Freeze keeps every rollout \
                    of " (component) " from going on."
                }
            }
        }
    }
}

fn events(found: &Value) -> Markup {
    let all = rows(found, "events");
    if all.is_empty() {
        return nothing("Nothing yet.");
    }
    table(
        "Events",
        &["At (UTC)", "What", "State", "#Share", "By"],
        &html! {
            @for event in all {
                tr {
                    td.tight { (clock(text(event, "at"))) }
                    td.words { (text(event, "words")) }
                    td { (badge(text(event, "state"))) }
                    td.n { (percent(event["weight"].as_u64().unwrap_or(0))) }
                    td { (text(event, "by")) }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_rollout_ended_is_said_with_its_reason() {
        for (state, words) in [
            ("failed", "Revision 3 never got a call. Revision 2 serves every call."),
            ("rolled_back", "Revision 3 was taken back. Revision 2 serves every call."),
            ("aborted", "Revision 3 was given up."),
        ] {
            let found = json!({ "state": state, "revision": 3, "from": 2, "reason": "4 traps" });
            let drawn = ended(&found).into_string();
            assert!(drawn.contains(words) && drawn.contains("Because: 4 traps"), "{drawn}");
        }
        let first = json!({ "state": "failed", "revision": 1, "from": null, "reason": "x" });
        assert!(ended(&first).into_string().contains("Nothing serves in its place."));
        assert!(ended(&json!({ "state": "stepping" })).into_string().is_empty());
    }

    #[test]
    fn a_gate_without_calls_shows_no_figure_and_says_what_it_asks_for() {
        let gates = json!({ "error_rate_delta": 0.01, "latency_ratio": 2.0, "traps_max": 3,
            "samples_min": 100, "probes": true });
        assert_eq!(asked(&gates, "error_rate_delta"), "at most 1 % more");
        assert_eq!(asked(&gates, "samples_min"), "at least 100");
        assert_eq!(asked(&gates, ""), "");
        assert_eq!(figure(&json!({ "error_rate": null }), "error_rate"), "–");
        assert_eq!(figure(&json!({ "error_rate": 0.005 }), "error_rate"), "0.50 %");
    }
}
