//! What is around these pages: a bar with the places there are, search, and who is watching.

use crate::assets;
use crate::household::Household;
use maud::{Markup, html};
use web_kit::document::{self, Document};
use web_kit::prelude::*;

/// Where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Home,
    Films,
    Series,
    Elsewhere,
}

const PLACES: [(Place, &str, &str); 3] = [
    (Place::Home, "/tv", "Home"),
    (Place::Films, "/tv/search?kind=film", "Films"),
    (Place::Series, "/tv/search?kind=series", "Series"),
];

/// A page of this front end.
pub fn tv(
    title: &str,
    place: Place,
    (visitor, household): (&Visitor, &Household),
    content: &Markup,
) -> Markup {
    let body = html! {
        header.tv-top {
            (document::logo())
            nav.tv-places aria-label="Places" {
                ul {
                    @for (it, path, label) in PLACES {
                        li {
                            a href=(path) aria-current=[(it == place).then_some("page")] {
                                (label)
                            }
                        }
                    }
                }
            }
            form.tv-search action="/tv/search" role="search" {
                label.away for="q" { "Search titles" }
                (glass())
                input #q name="q" type="search" placeholder="Search" maxlength="100"
                    value=(visitor.query("q")) autocomplete="off";
            }
            (who(visitor, household))
        }
        main #main tabindex="-1" { (content) }
        (document::footer())
    };
    Document::new(title, "tv").style(assets::STYLE.path()).script(assets::REMOTE.path()).show(&body)
}

fn who(visitor: &Visitor, household: &Household) -> Markup {
    html! {
        nav.tv-who aria-label="Account" {
            @if let Some(watching) = &household.watching {
                a.face-link href="/tv/profiles" title="Who is watching?" {
                    (face(&watching.name, &watching.picture))
                    span { (watching.name) }
                }
            } @else if visitor.is_signed_in() {
                a.button.quiet.small href="/tv/profiles" { (icon::people()) span { "Profiles" } }
            } @else {
                a.button.primary.small href=(sign_in(visitor)) { "Sign in" }
            }
        }
    }
}

/// Where one signs in to come back here.
pub fn sign_in(visitor: &Visitor) -> String {
    web_kit::return_to::with_wish("/account/sign-in", visitor.back())
}

/// Somebody's picture: a colour of their own, and their first letter.
pub fn face(name: &str, picture: &str) -> Markup {
    // Five colours, each with enough contrast to white.
    let hue =
        picture.bytes().chain(name.bytes()).fold(0_usize, |sum, byte| sum + usize::from(byte));
    let first: String = name.chars().take(1).flat_map(char::to_uppercase).collect();
    html! { span class={ "face face-" (hue % 5) } aria-hidden="true" { (first) } }
}

fn glass() -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.9"
            stroke-linecap="round" aria-hidden="true" focusable="false" {
            circle cx="11" cy="11" r="6.5" {}
            path d="m16 16 4.5 4.5" {}
        }
    }
}
