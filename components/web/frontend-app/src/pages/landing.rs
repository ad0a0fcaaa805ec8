//! The first page: what Nexus COS is. It says what the platform is made for and what this
//! installation does; no customers and no numbers that nobody has counted.

use crate::prelude::*;
use crate::scene::site;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/", get(show))
}

/// The picture beside the first words: a window of the platform, drawn.
const PICTURE: &str = include_str!("../../assets/hero.svg");

struct Feature {
    icon: fn() -> Markup,
    title: &'static str,
    /// What can be said of it today; nothing where that needs no saying.
    state: &'static str,
    words: &'static str,
}

const TODAY: &str = "Here today";
const COMING: &str = "In the making";

/// What the platform is made for.
const WORLD: [Feature; 6] = [
    Feature {
        icon: icon::film,
        title: "Create",
        state: COMING,
        words: "Upload, edit and produce: media library, virtual production, prompting and \
                multi-camera stages in one workspace.",
    },
    Feature {
        icon: icon::stream,
        title: "Stream",
        state: COMING,
        words: "Live and on demand, from ingest to the player, with adaptive quality and your \
                own channel.",
    },
    Feature {
        icon: icon::coins,
        title: "Sell",
        state: COMING,
        words: "Shops, subscriptions, tickets and licences, on a ledger in which every amount \
                has two sides.",
    },
    Feature {
        icon: icon::people,
        title: "Grow",
        state: COMING,
        words: "Communities, promotions and analytics that belong to you and to nobody else.",
    },
    Feature {
        icon: icon::route,
        title: "Deliver",
        state: COMING,
        words: "Orders, routes and fleets for what does not fit through a wire.",
    },
    Feature {
        icon: icon::shield,
        title: "Trust",
        state: TODAY,
        words: "One account with passkeys and two-step sign-in, every device in view, and keys \
                with limits for your programs.",
    },
];

/// How it is built, for those who run it.
const MAKING: [Feature; 3] = [
    Feature {
        icon: icon::layers,
        title: "Small parts",
        state: "",
        words: "Every service is a WebAssembly component with its own tables and only the rights \
                that its manifest grants.",
    },
    Feature {
        icon: icon::bolt,
        title: "One host",
        state: "",
        words: "A single native host runs them all: on one machine with nothing to configure, or \
                on many.",
    },
    Feature {
        icon: icon::code,
        title: "Open interfaces",
        state: "",
        words: "Everything a page does is an HTTP API with a description; your programs may do it \
                with a key.",
    },
];

fn features(features: &[Feature]) -> Markup {
    html! {
        div.features {
            @for feature in features {
                section.feature {
                    ((feature.icon)())
                    h3 {
                        (feature.title)
                        @if !feature.state.is_empty() {
                            span.badge.good[feature.state == TODAY] { (feature.state) }
                        }
                    }
                    p { (feature.words) }
                }
            }
        }
    }
}

fn content(signed_in: bool) -> Markup {
    html! {
        section.hero {
            div.hero-words {
                p.kicker { "The creative operating system" }
                h1 { "Everything a creator runs on, in one place." }
                p {
                    "Nexus COS is built to bring studio, streaming, shop, community and finance \
                     together, on one platform that you can run yourself."
                }
                p.actions {
                    @if signed_in {
                        a.button.primary href="/account" { "Go to your account" (icon::forward()) }
                    } @else {
                        a.button.primary href="/account/register" {
                            "Create account" (icon::forward())
                        }
                        a.button.second href="/account/sign-in" { "Sign in" }
                    }
                }
            }
            (PreEscaped(PICTURE))
        }
        section.section {
            h2 { "Made for the whole way of a work" }
            p { "From the first take to the last invoice, without a tool for every step." }
            (features(&WORLD))
        }
        section.section {
            h2 { "Built to be yours" }
            p { "You can read it, run it and take it apart." }
            (features(&MAKING))
        }
        @if !signed_in {
            section.call {
                h2 { "Start with an account" }
                p {
                    "This platform is growing service by service. Your account, its security, \
                     your organisations and your API keys are here today."
                }
                a.button href="/account/register" { "Create account" }
            }
        }
    }
}

async fn show(visitor: Visitor) -> Answer {
    let signed_in = visitor.is_signed_in();
    let title = "The creative operating system";
    let shown = site(title, signed_in, notice::of(&visitor), &content(signed_in));
    Ok(page(StatusCode::OK, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_signed_in_is_not_asked_to_make_an_account() {
        assert!(!content(true).into_string().contains("/account/register"));
        assert!(content(false).into_string().contains("/account/register"));
    }
}
