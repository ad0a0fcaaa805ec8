//! A title as a picture in a row, and what is said of it in a line.

use crate::catalogue::{Card, Kind};
use crate::progress::Progress;
use maud::{Markup, html};
use web_kit::icon;

/// `2026`, `12`, `1 h 32 min`, `Drama`.
pub fn facts(card: &Card) -> Markup {
    html! {
        ul.facts {
            @if let Some(year) = card.year { li { (year) } }
            @if !card.maturity.is_empty() { li { (maturity(&card.maturity)) } }
            @if card.kind == Kind::Series { li { "Series" } }
            @if let Some(length) = card.duration_ms.filter(|it| *it > 0) { li { (long(length)) } }
            @for genre in card.genres.iter().take(3) {
                li { a href={ "/tv/search?genre=" (escaped(genre)) } { (capital(genre)) } }
            }
        }
    }
}

/// From which age on.
pub fn maturity(limit: &str) -> Markup {
    html! {
        @if limit == "all" {
            span.age title="For all ages" { "All" span.away { " ages" } }
        } @else {
            span.age title={ "For " (limit) " years and older" } {
                (limit) "+" span.away { " years" }
            }
        }
    }
}

/// `48 s`, `12 min`, `1 h 32 min`.
pub fn long(ms: i64) -> String {
    let seconds = (ms + 500) / 1000;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |it| it.to_uppercase().chain(letters).collect())
}

/// A word within a query.
pub fn escaped(word: &str) -> String {
    let query = web_kit::return_to::with_query("", &[("", word)]);
    query.trim_start_matches("?=").to_owned()
}

/// The picture of a title, or its name where there is none. One beside its name says nothing.
pub fn picture(address: Option<&str>, name: &str, eager: bool) -> Markup {
    html! {
        @match address {
            Some(address) => img src=(address) alt="" width="640" height="360"
                loading=(if eager { "eager" } else { "lazy" }) decoding="async";,
            None => span.unseen aria-hidden="true" { (icon::film()) span { (name) } },
        }
    }
}

/// A title in a row: leads to its page, or on with it where somebody has begun.
pub fn tile(card: &Card, begun: Option<&Progress>) -> Markup {
    let path = match begun {
        Some(_) => format!("/watch/{}", card.id),
        None => format!("/tv/title/{}", card.id),
    };
    html! {
        li {
            a.tile href=(path) {
                span.tile-picture {
                    (picture(card.artwork.poster.as_deref(), &card.name, false))
                    @if let Some(begun) = begun {
                        span.tile-play aria-hidden="true" { (icon::play()) }
                        (share(begun))
                    }
                }
                span.tile-name { (card.name) }
                span.tile-more {
                    @if let Some(begun) = begun {
                        (begun.minutes_left()) " min left"
                    } @else {
                        @if let Some(year) = card.year { (year) " · " }
                        @if card.kind == Kind::Series { "Series" }
                        @else if let Some(ms) = card.duration_ms.filter(|it| *it > 0) {
                            (long(ms))
                        } @else { "Film" }
                    }
                }
            }
        }
    }
}

/// How much was seen, as a bar.
pub fn share(begun: &Progress) -> Markup {
    let percent = begun.percent();
    html! {
        progress.seen max="100" value=(percent) aria-label={ (percent) " percent seen" } {}
    }
}

/// A row with its name.
pub fn row(id: &str, name: &str, tiles: &Markup) -> Markup {
    html! {
        section.shelf aria-labelledby={ "row-" (id) } {
            h2 id={ "row-" (id) } { (name) }
            ul.shelf-tiles { (tiles) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::prelude::*;

    #[test]
    fn lengths_are_said_in_the_largest_units() {
        for (ms, words) in
            [(9_000, "9 s"), (720_000, "12 min"), (5_520_000, "1 h 32 min"), (7_200_000, "2 h")]
        {
            assert_eq!(long(ms), words);
        }
    }

    #[test]
    fn a_name_is_text_and_a_genre_is_one_parameter() {
        let card = json!({
            "id": Uuid::nil(), "kind": "film", "name": "<b>", "genres": ["a&b=c"],
            "artwork": { "poster": "\"><script>" },
        });
        let card: Card = serde_json::from_value(card).unwrap();
        let shown = html! { (tile(&card, None)) (facts(&card)) }.into_string();
        assert!(!shown.contains("<b>") && !shown.contains("<script>"), "{shown}");
        assert!(shown.contains("genre=a%26b%3Dc"), "{shown}");
    }
}
