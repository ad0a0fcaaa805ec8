//! The document around every page: head, menu, what happened last, the list of keys.

use super::Visit;
use super::parts::action;
use maud::{DOCTYPE, Markup, html};
use nexus_storage::audit::Role;
use serde_json::json;

/// One line of the menu.
struct Entry {
    path: &'static str,
    label: &'static str,
    /// Pressed after `g`.
    key: &'static str,
    role: Role,
}

const fn entry(path: &'static str, label: &'static str, key: &'static str) -> Entry {
    Entry { path, label, key, role: Role::Viewer }
}

const MENU: [Entry; 13] = [
    entry("/", "Overview", "o"),
    entry("/rollouts", "Rollouts", "r"),
    entry("/queues", "Queues", "q"),
    entry("/dead-letters", "Dead letters", "d"),
    entry("/schedules", "Schedules", "s"),
    entry("/jobs", "Jobs", "j"),
    entry("/invocations", "Calls", "c"),
    entry("/logs", "Logs", "l"),
    entry("/configuration", "Configuration", "v"),
    entry("/health-matrix", "Health", "h"),
    entry("/hosts", "Hosts", "m"),
    entry("/audit", "Journal", "a"),
    Entry { path: "/operators", label: "Operators", key: "p", role: Role::Admin },
];

/// The head that all documents have.
fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            title { (title) " · Nexus COS" }
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)";
            meta name="theme-color" content="#121a2e" media="(prefers-color-scheme: dark)";
            link rel="icon" type="image/svg+xml" href="/assets/mark.svg";
            link rel="preload" as="font" type="font/woff2" href="/assets/inter-latin.woff2"
                crossorigin="anonymous";
            link rel="stylesheet" href="/assets/style.css";
            script type="module" src="/assets/app.js" {}
        }
    }
}

/// A page without a menu: there is nobody yet.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body.door data-page="login" { (body) p.away #status role="status" {} }
        }
    }
}

/// A whole page for somebody.
pub(super) fn show(visit: &Visit<'_>, title: &str, body: &Markup) -> Markup {
    let section = visit.path.split('/').nth(1).unwrap_or_default();
    let current = |entry: &Entry| entry.path.trim_start_matches('/') == section;
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body data-page=(section) {
                a.skip href="#main" { "Skip to content" }
                header.top {
                    a.brand href="/" {
                        img src="/assets/mark.svg" alt="" width="30" height="30";
                        "Nexus COS"
                    }
                    div.who {
                        span.stale-note { "not live" }
                        span { (visit.actor.name) " · " (visit.actor.role.as_str()) }
                        button.quiet type="button" data-opens="keys" { "Keys" }
                        form method="post" action="/logout" {
                            input type="hidden" name="csrf" value=(visit.seat.csrf);
                            button.quiet type="submit" { "Sign out" }
                        }
                    }
                }
                div.frame {
                    nav.menu aria-label="Operate" {
                        ul {
                            @for entry in MENU.iter().filter(|entry| visit.may(entry.role)) {
                                li {
                                    a href=(entry.path) data-presses=(entry.key)
                                        aria-current=[current(entry).then_some("page")] {
                                        (entry.label)
                                    }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" {
                        @if let Some(flash) = &visit.flash {
                            div.notice.(if flash.good { "good" } else { "bad" })
                                role=(if flash.good { "status" } else { "alert" }) {
                                p { (flash.words) }
                            }
                        }
                        (body)
                    }
                }
                p.away #status role="status" {}
                (keys(visit))
            }
        }
    }
}

fn keys(visit: &Visit<'_>) -> Markup {
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl {
                dt { kbd { "?" } } dd { "These keys" }
                dt { kbd { "/" } } dd { "Filter the rows of this page" }
                dt { kbd { "r" } } dd { "Look again, now" }
                @for entry in MENU.iter().filter(|entry| visit.may(entry.role)) {
                    dt { kbd { "g" } " " kbd { (entry.key) } } dd { (entry.label) }
                }
            }
            form method="dialog" { button.primary type="submit" { "Close" } }
        }
    }
}

/// A button that orders something without a word more.
pub(super) fn button(visit: &Visit<'_>, call: &str, label: &str, class: &str) -> Markup {
    action(visit, call, &json!({}), html! { button class=(class) type="submit" { (label) } })
}
