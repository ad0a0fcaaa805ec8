//! The first page of the reference, and what a search has found.

use super::frame;
use crate::document::{Operation, title};
use crate::registry::State;
use crate::services::Entry;
use crate::store::Found;
use maud::{Markup, html};
use nexus_sdk::serde_json;

pub fn all(services: &[Entry], server: &str) -> Markup {
    let operations: i32 = services.iter().map(|service| service.operations).sum();
    let content = html! {
        section.hero {
            h1 { "Build on Nexus COS" }
            p.lead {
                "One origin, one way to sign in, " (operations) " operations of " (services.len())
                " services that run here."
            }
            dl.facts {
                div { dt { "Origin" } dd { code { (server) } } }
                div { dt { "Machine-readable" } dd { a href="/openapi.json" { "OpenAPI 3.1" } } }
                div {
                    dt { "Errors" }
                    dd { code { "application/problem+json" } " (RFC 9457)" }
                }
            }
        }
        section.start aria-labelledby="start" {
            h2 #start { "How to ask" }
            div.columns {
                div {
                    h3 { "Prove who you are" }
                    p {
                        "Make a key on " a href="/account/keys" { "your account" }
                        ", and send it with each request. Tokens of OAuth 2.1 clients go into the "
                        code { "authorization" } " field."
                    }
                    pre tabindex="0" {
                        code {
                            "curl " (server) "/api/users/v1/me \\\n  -H 'x-api-key: nx_live_…'"
                        }
                    }
                }
                div {
                    h3 { "Read on, send again" }
                    p {
                        "Lists take " code { "limit" } " and " code { "cursor" }
                        " and name the next page in " code { "next" }
                        ". A changing request with an "
                        code { "idempotency-key" } " can be sent again: it happens once. "
                        code { "if-match" } " changes only the version that you have seen."
                    }
                    pre tabindex="0" {
                        code { "GET …?limit=50&cursor=eyJ…\nlink: <…>; rel=\"next\"" }
                    }
                }
            }
        }
        @for (domain, services) in frame::by_domain(services) {
            section.group {
                h2 { (domain) }
                ul.cards {
                    @for service in services { (card(service)) }
                }
            }
        }
    };
    frame::page("API reference", services, None, "", &content)
}

fn card(service: &Entry) -> Markup {
    html! {
        li.card {
            h3 { a href={ "/docs/" (service.name) } { (service.name) } }
            p { (service.duty) }
            p.small {
                (count(service.operations as usize, "operation"))
                @if service.state == State::Failing { " · " span.badge.bad { "not answering" } }
            }
        }
    }
}

/// `1 operation`, `2 operations`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

pub fn found(services: &[Entry], query: &str, found: &[Found], max: usize) -> Markup {
    let more = found.len() > max;
    let shown = &found[..found.len().min(max)];
    let number = count(shown.len(), "operation");
    let content = html! {
        section.hero.slim {
            h1 { "“" (query) "”" }
            p.lead role="status" {
                @if shown.is_empty() { "No operation has all of these words." }
                @else if more { "The first " (number) "; another word makes it fewer." }
                @else { (number) }
            }
        }
        @if shown.is_empty() {
            p.hint {
                "Words may be parts of a path, of a permission, or of what a service is for: "
                a href="/docs?q=rotate" { "rotate" } ", "
                a href="/docs?q=users%3Amanage" { "users:manage" } ", "
                a href="/docs?q=post+session" { "post session" } "."
            }
        }
        @for group in shown.chunk_by(|a, b| a.service == b.service) {
            section.group {
                h2 { a href={ "/docs/" (group[0].service) } { (group[0].service) } }
                ul.results {
                    @for one in group { (result(one)) }
                }
            }
        }
    };
    frame::page(&format!("{query}: search"), services, None, query, &content)
}

fn result(found: &Found) -> Markup {
    let method = found.method.to_lowercase();
    let nothing = serde_json::Value::Null;
    let operation = Operation { method: &method, path: &found.path, value: &nothing };
    html! {
        li {
            a href={ "/docs/" (found.service) "#" (operation.anchor()) } {
                span class={ "method " (method) } { (found.method) }
                code { (found.path) }
            }
            span.what { (title(&found.operation_id)) }
            @if let Some(permission) = &found.permission { span.badge { (permission) } }
            @else if found.door == "signed-in" { span.badge { "signed in" } }
        }
    }
}
