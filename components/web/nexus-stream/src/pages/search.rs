//! Titles by words, genre or kind.

use crate::card::{capital, escaped, tile};
use crate::catalogue::{self, Card, Listed, Search};
use crate::household::Household;
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::with_query;

/// Longer words nobody looks for.
const WORDS_MAX: usize = 100;

pub fn router() -> Router {
    Router::new().route("/tv/search", get(show))
}

fn heading(search: &Search<'_>) -> String {
    match (search.words, search.genre, search.kind) {
        ("", "", "film") => "Films".into(),
        ("", "", "series") => "Series".into(),
        ("", "", _) => "Everything".into(),
        ("", genre, _) => capital(genre),
        (words, _, _) => format!("“{words}”"),
    }
}

fn genre_links(genres: &[String], search: &Search<'_>) -> Markup {
    html! {
        @if !genres.is_empty() {
            nav.genres aria-label="Genres" {
                ul {
                    @for genre in genres {
                        li {
                            a href={ "/tv/search?genre=" (escaped(genre)) }
                                aria-current=[(genre == search.genre).then_some("true")] {
                                (capital(genre))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn content(search: &Search<'_>, found: &Listed<Card>, genres: &[String]) -> Markup {
    html! {
        div.found {
            h1 { (heading(search)) }
            (genre_links(genres, search))
            @if found.items.is_empty() {
                div.tv-empty {
                    (icon::film())
                    h2 { "Nothing was found" }
                    p { "Try another word, or look through what is on." }
                    p.actions { a.button.primary href="/tv" { "To the first page" } }
                }
            } @else {
                ul.grid { @for card in &found.items { (tile(card, None)) } }
            }
            @if let Some(next) = &found.next {
                p.actions { a.button.second href=(more(search, next)) { "More" } }
            }
        }
    }
}

fn more(search: &Search<'_>, cursor: &str) -> String {
    let pairs =
        [("q", search.words), ("genre", search.genre), ("kind", search.kind), ("cursor", cursor)];
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    with_query("/tv/search", &pairs)
}

async fn show(visitor: Visitor) -> Answer {
    let household = match Household::known(&visitor).await? {
        Ok(household) => household,
        Err(ask) => return Ok(ask),
    };
    let words: String = visitor.query("q").trim().chars().take(WORDS_MAX).collect();
    let kind = match visitor.query("kind") {
        kind @ ("film" | "series" | "clip" | "episode") => kind,
        _ => "",
    };
    let search = Search {
        words: &words,
        genre: visitor.query("genre"),
        kind,
        cursor: visitor.query("cursor"),
    };
    let found = catalogue::search(&visitor, &household, search).await?;
    let genres = catalogue::genres(&visitor, &household).await?;
    let place = match (search.words, search.genre, kind) {
        ("", "", "film") => Place::Films,
        ("", "", "series") => Place::Series,
        _ => Place::Elsewhere,
    };
    let shown = content(&search, &found, &genres);
    let title = heading(&search);
    Ok(page(StatusCode::OK, tv(&title, place, (&visitor, &household), &shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_for_is_said_as_text() {
        let search = Search { words: "<script>", ..Search::default() };
        let nothing = Listed { items: Vec::new(), next: Some("a b".into()) };
        let shown = content(&search, &nothing, &[]).into_string();
        assert!(!shown.contains("<script>") && shown.contains("Nothing was found"), "{shown}");
        assert!(shown.contains("cursor=a+b"), "{shown}");
    }
}
