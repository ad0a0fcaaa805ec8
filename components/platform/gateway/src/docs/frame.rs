//! What stands around every page of the reference: head, search, list of services, foot.

use super::assets;
use crate::services::Entry;
use maud::{DOCTYPE, Markup, html};

/// The contexts in the words of people, in the order of the list.
const DOMAINS: [(&str, &str); 15] = [
    ("platform", "Platform"),
    ("identity", "Identity"),
    ("media", "Media"),
    ("vsuite", "V-Suite"),
    ("social", "Social"),
    ("commerce", "Commerce"),
    ("finance", "Finance"),
    ("logistics", "Logistics"),
    ("integration", "Integration"),
    ("insight", "Insight"),
    ("ai", "AI"),
    ("play", "Play"),
    ("chain", "Chain"),
    ("realtime", "Realtime"),
    ("web", "Web"),
];

/// Services by context, in the order in which people look for them.
pub fn by_domain(services: &[Entry]) -> Vec<(&str, Vec<&Entry>)> {
    let known = DOMAINS.iter().map(|(domain, title)| (*domain, *title));
    let mut groups: Vec<(&str, Vec<&Entry>)> = known
        .map(|(domain, title)| {
            (title, services.iter().filter(|service| service.domain == domain).collect())
        })
        .collect();
    let named = |service: &&Entry| !DOMAINS.iter().any(|(domain, _)| *domain == service.domain);
    groups.push(("More", services.iter().filter(named).collect()));
    groups.retain(|(_, services)| !services.is_empty());
    groups
}

/// A whole page; `here` is the service that it is about.
pub fn page(
    title: &str,
    services: &[Entry],
    here: Option<&str>,
    query: &str,
    content: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) " · Nexus COS API" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="preload" as="font" type="font/woff2" href=(assets::typeface())
                    crossorigin="anonymous";
                link rel="stylesheet" href="/api/core-os/v1/branding/tokens.css";
                link rel="stylesheet" href=(assets::style());
            }
            body {
                a.skip href="#main" { "Skip to content" }
                (top(query))
                div.frame {
                    nav.wide aria-label="Services" { (list(services, here)) }
                    main #main tabindex="-1" {
                        details.narrow {
                            summary { "Services" }
                            nav aria-label="Services, folded" { (list(services, here)) }
                        }
                        (content)
                    }
                }
                (foot())
            }
        }
    }
}

fn top(query: &str) -> Markup {
    html! {
        header.top {
            a.logo href="/" {
                img src="/api/core-os/v1/branding/logo.svg" width="165" height="36"
                    alt="Nexus COS, to the first page";
            }
            a.title href="/docs" { "API reference" }
            form.search role="search" method="get" action="/docs" {
                label.away for="q" { "Search the API" }
                svg.glass viewBox="0 0 20 20" aria-hidden="true" {
                    circle cx="9" cy="9" r="5.5" {}
                    path d="m13.2 13.2 4.3 4.3" {}
                }
                input #q name="q" type="search" value=(query) maxlength="100" autocomplete="off"
                    placeholder="Search operations, paths, permissions";
                button type="submit" { "Search" }
            }
        }
    }
}

fn list(services: &[Entry], here: Option<&str>) -> Markup {
    html! {
        @for (domain, services) in by_domain(services) {
            p.domain { (domain) }
            ul {
                @for service in services {
                    @let current = here == Some(service.name.as_str());
                    li {
                        a href={ "/docs/" (service.name) }
                            aria-current=[current.then_some("page")] {
                            (service.name)
                        }
                    }
                }
            }
        }
    }
}

fn foot() -> Markup {
    html! {
        footer.foot {
            p { "Nexus COS, the creative operating system" }
            nav aria-label="Further pages" {
                a href="/openapi.json" { "OpenAPI document" }
                a href="/services" { "Services as JSON" }
                a href="/account" { "Your account" }
            }
        }
    }
}
