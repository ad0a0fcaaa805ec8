//! Deploying a component: an artifact is chosen or sent, what it would change is shown with what
//! would keep it from going on, and then it is begun. The look at it is the API's own dry run.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::component::short;
use super::parts::{action, badge, list, more, nothing, passed, size, table, title, trouble, when};
use super::rollouts::{OVER, frozen, percent};
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::{Value, json};

/// What a difference has, in the order in which it matters.
const AREAS: [(&str, &str); 8] = [
    ("imports", "Imports"),
    ("grants", "Grants"),
    ("migrations", "Migrations"),
    ("routes", "Routes"),
    ("subscriptions", "Subscriptions"),
    ("schedules", "Schedules"),
    ("limits", "Limits"),
    ("exports", "Exports"),
];

/// Ways to bring it into service: the API's word or plan, a name, what it means.
const WAYS: [(&str, &str, &str); 4] = [
    ("\"canary\"", "Step by step", "1, 10, 50 and 100 % of the calls, a minute each, watched"),
    (
        r#"{"steps":[1000,5000,10000],"step_seconds":10,"gates":{}}"#,
        "Quickly, step by step",
        "10, 50 and 100 %, ten seconds each, watched",
    ),
    ("\"stage\"", "Staged", "there without a share, until it is promoted"),
    ("\"instant\"", "At once", "every call, and nothing watches it"),
];

pub(super) async fn page(visit: &Visit<'_>, name: &str) -> Markup {
    let component = format!("/components/{}", piece(name));
    let chosen = visit.asked("artifact");
    let words = match chosen {
        None => "Choose what is to serve. Nothing is done before you have seen what changes.",
        Some(_) => "What would change, and what would keep it from going on.",
    };
    html! {
        p.crumb { a href=(component) { (name) } }
        (title(&format!("Deploy {name}"), words, None))
        @if !visit.may(Role::Operator) {
            div.notice.warn role="alert" { p { "Deploying takes the role operator." } }
        } @else {
            (in_the_way(visit, name).await)
            @match chosen {
                Some(artifact) => { (planned(visit, name, artifact).await) }
                None => { (choose(visit, name).await) }
            }
        }
    }
}

/// A freeze, or a rollout that is under way.
async fn in_the_way(visit: &Visit<'_>, name: &str) -> Markup {
    let freezes = visit.get("freezes").await;
    let last = visit.get(&format!("rollouts?component={}&limit=1", piece(name))).await;
    let last = last.unwrap_or_default();
    let open = rows(&last, "rollouts").iter().find(|one| !OVER.contains(&text(one, "state")));
    html! {
        (frozen(visit, &freezes, Some(name)))
        @if let Some(open) = open {
            div.notice.warn {
                p {
                    "Revision " (cell(open, "revision")) " is being rolled out, "
                    (percent(open["weight"].as_u64().unwrap_or(0))) " of the calls are its. "
                    a href=(format!("/rollouts/{}", cell(open, "id"))) { "See to that one first" }
                    "."
                }
            }
        }
    }
}

async fn choose(visit: &Visit<'_>, name: &str) -> Markup {
    let query = passed(visit, &[], 50);
    let found = visit.get(&format!("artifacts?component={}&{query}", piece(name))).await;
    html! {
        section.card aria-labelledby="send-title" {
            h2 #send-title { "From your machine" }
            form.row data-sends=(format!("/api/v1/artifacts?component={}", piece(name)))
                data-csrf=(visit.seat.csrf) {
                div.field {
                    label for="file" { "Component or archive" }
                    input #file type="file" required accept=".wasm,.tar"
                        aria-describedby="file-hint";
                }
                button.primary type="submit" { "Send it" }
                progress #sent max="1" value="0" aria-label="Sent" hidden {}
            }
            p.hint #file-hint {
                "A " code { ".wasm" } " takes the grants and migrations of what serves now; an \
                archive of " code { "nexus build" } " (" code { ".tar" } ") brings its own. It is \
                stored, not served."
            }
            div.notice.bad #send-trouble role="alert" hidden {}
            noscript { p { "Sending takes script. " code { "nexus push" } " does the same." } }
        }
        section.card aria-labelledby="known-title" {
            h2 #known-title { "Known here" }
            (list(&found, |found| known(name, found)))
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

fn known(name: &str, found: &Value) -> Markup {
    let all = rows(found, "artifacts");
    if all.is_empty() {
        return nothing("No artifact of it was stored yet.");
    }
    let head = ["Artifact", "Version", "Stored", "By", "#Size", "Signature", "#Migrations"];
    table(
        "Artifacts",
        &head,
        &html! {
            @for one in all {
                @let digest = text(one, "digest");
                tr {
                    th scope="row" {
                        a href=(format!("/components/{}/deploy?artifact={}", piece(name),
                            piece(digest))) { code { (short(digest)) } }
                    }
                    td { (text(one, "version")) }
                    td.tight { (when(one, "created_at")) }
                    td { (text(one, "created_by")) }
                    td.n { (size(one["size_bytes"].as_u64().unwrap_or(0))) }
                    td { (badge(text(&one["signature"], "state"))) }
                    td.n { (rows(one, "migrations").len()) }
                }
            }
        },
    )
}

async fn planned(visit: &Visit<'_>, name: &str, artifact: &str) -> Markup {
    let path = format!("components/{}/deploy", piece(name));
    let trial = visit.trial(&path, &json!({ "artifact": artifact, "dry_run": true })).await;
    let plan = match trial {
        Ok(plan) => plan,
        Err(problem) => return trouble(&problem),
    };
    let objections = rows(&plan, "objections");
    html! {
        p.chosen { code { (artifact) } " "
            a href=(format!("/components/{}/deploy", piece(name))) { "Choose another" } }
        @if !objections.is_empty() {
            div.notice.bad role="alert" {
                p { "It would not go on:" }
                ul { @for words in objections { li { (words.as_str().unwrap_or_default()) } } }
            }
        }
        section.card aria-labelledby="changes-title" {
            h2 #changes-title { "What changes" }
            (difference(&plan["diff"]))
        }
        @if objections.is_empty() {
            section.card aria-labelledby="begin-title" {
                h2 #begin-title { "How it comes into service" }
                (action(visit, &format!("POST {path}"), &json!({ "artifact": artifact }), begin()))
            }
        }
    }
}

/// Every area that changes, line by line, and the others by name.
pub(super) fn difference(diff: &Value) -> Markup {
    let (changed, same): (Vec<_>, Vec<_>) =
        AREAS.iter().partition(|(area, _)| !rows(diff, area).is_empty());
    let (from, to) = (&diff["configuration"]["from"], &diff["configuration"]["to"]);
    html! {
        @for (area, label) in changed {
            h3 { (label) }
            ul.changes { @for one in rows(diff, area) { (change(one)) } }
        }
        @if from != to {
            h3 { "Configuration" }
            ul.changes { li.changed {
                span.sign aria-hidden="true" { "~" } span.away { "changed: " }
                span {
                    "version " (from) span.away { " becomes " }
                    span.soft aria-hidden="true" { " → " } (to)
                }
            } }
        }
        @if !same.is_empty() {
            p.small.soft {
                "Nothing changes in: "
                (same.iter().map(|(_, label)| label.to_lowercase()).collect::<Vec<_>>().join(", "))
                @if from == to { ", configuration" } "."
            }
        }
    }
}

fn change(one: &Value) -> Markup {
    let kind = text(one, "change");
    let (sign, word) = match kind {
        "added" => ("+", "added: "),
        "removed" => ("−", "removed: "),
        _ => ("~", "changed: "),
    };
    html! {
        li.(kind) {
            span.sign aria-hidden="true" { (sign) }
            span.away { (word) }
            span {
                code { (text(one, "name")) }
                @if let Some(from) = one["from"].as_str() { " " span.from { (from) } }
                @if let Some(to) = one["to"].as_str() {
                    span.soft aria-hidden="true" { " → " } span.away { " becomes " }
                    span.to { (to) }
                }
            }
        }
    }
}

fn begin() -> Markup {
    html! {
        div.stack {
            fieldset.ways {
                legend.away { "How it comes into service" }
                @for (index, (value, label, words)) in WAYS.iter().enumerate() {
                    label.way {
                        input type="radio" name="json.strategy" value=(value) checked[index == 0];
                        span { strong { (label) } span.small.soft { (words) } }
                    }
                }
            }
            div.field {
                label for="note" { "Reason" }
                input #note name="set.note" required maxlength="200" autocomplete="off"
                    placeholder="It stands in the journal";
            }
            div.actions { button.primary type="submit" { "Deploy" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_says_what_comes_goes_and_becomes_something_else() {
        let diff = json!({
            "imports": [{ "change": "added", "name": "nexus:blob/objects@0.1.0",
                "from": null, "to": null }],
            "limits": [{ "change": "changed", "name": "wall_ms", "from": "100", "to": "<200>" }],
            "routes": [{ "change": "removed", "name": "/api/old/...", "from": null, "to": null }],
            "configuration": { "from": 3, "to": 4 },
        });
        let drawn = difference(&diff).into_string();
        for words in ["added: ", "changed: ", "removed: ", "wall_ms", "&lt;200&gt;", "version 3"] {
            assert!(drawn.contains(words), "{words} in {drawn}");
        }
        assert!(drawn.contains("Nothing changes in: grants, migrations"), "{drawn}");
        let same = difference(&json!({ "configuration": { "from": 1, "to": 1 } })).into_string();
        assert!(!same.contains("<ul") && same.contains("configuration."), "{same}");
    }

    #[test]
    fn every_way_is_json_that_the_api_takes() {
        for (value, label, _) in WAYS {
            let strategy = serde_json::from_str(value).unwrap();
            assert!(nexus_rollout::Plan::of(&strategy).is_ok(), "{label}");
        }
    }
}
