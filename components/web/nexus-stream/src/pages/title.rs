//! A title's own page: what it is, and for a series its seasons and episodes.

use crate::card::{self, facts, long, picture};
use crate::catalogue::{self, Card, Credit, Kind, Season, Whole};
use crate::household::Household;
use crate::prelude::*;
use crate::progress::{self, Known};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/tv/title/{id}", get(show))
}

/// What is played from here, and what the button says.
fn play(whole: &Whole, known: &Known) -> Option<(Uuid, String)> {
    let card = match whole.card.kind {
        Kind::Series => known.next(&episodes(whole))?,
        _ => &whole.card,
    };
    card.asset?;
    let begun = known.of(card).filter(|it| !it.is_finished);
    let verb = if begun.is_some() { "Resume" } else { "Play" };
    let words = match (whole.card.kind, card.season, card.number) {
        (Kind::Series, Some(season), Some(number)) => format!("{verb} S{season} E{number}"),
        _ => verb.to_owned(),
    };
    Some((card.id, words))
}

fn episodes(whole: &Whole) -> Vec<&Card> {
    whole.seasons.iter().flat_map(|season| &season.episodes).collect()
}

fn head(whole: &Whole, known: &Known) -> Markup {
    let card = &whole.card;
    // A series without a picture of its own has those of its episodes.
    let mut all = std::iter::once(card).chain(episodes(whole));
    let wide = all.find_map(|it| it.artwork.backdrop.as_deref());
    html! {
        section.lead.about aria-labelledby="lead-name" {
            div.lead-picture { (picture(wide, &card.name, true)) }
            div.lead-words {
                @if let Some(series) = &whole.series_card {
                    p.kicker { a href={ "/tv/title/" (series.id) } { (series.name) } }
                }
                h1 #lead-name { (card.name) }
                (facts(card))
                @if let Some(line) = card.tagline.as_deref().filter(|it| !it.is_empty()) {
                    p.lead-line { (line) }
                }
                p.actions {
                    @if let Some((id, words)) = play(whole, known) {
                        a.button.primary href={ "/watch/" (id) } { (icon::play()) (words) }
                    } @else { span.badge.warn { "Not to be played yet" } }
                }
                @if let Some(begun) = known.of(card) { (card::share(begun)) }
            }
        }
    }
}

fn credits(credits: &[Credit]) -> Markup {
    html! {
        @if !credits.is_empty() {
            section.credits aria-labelledby="credits" {
                h2 #credits { "Made by" }
                dl {
                    @for credit in credits {
                        div { dt { (card::capital(&credit.role)) } dd { (credit.person) } }
                    }
                }
            }
        }
    }
}

fn season_name(season: &Season) -> String {
    match season.name.as_deref().filter(|it| !it.is_empty()) {
        Some(name) => name.to_owned(),
        None => format!("Season {}", season.number),
    }
}

/// One season at a time; the others are a link away.
fn seasons(whole: &Whole, wanted: &str, known: &Known) -> Markup {
    let all = &whole.seasons;
    let named = all.iter().find(|it| it.number.to_string() == wanted);
    let Some(season) = named.or_else(|| all.first()) else { return html! {} };
    html! {
        section.season aria-labelledby="season" {
            div.season-head {
                h2 #season { "Episodes" }
                @if all.len() > 1 {
                    nav aria-label="Seasons" {
                        ul.genres {
                            @for it in all {
                                li {
                                    a href={ "?season=" (it.number) "#season" }
                                        aria-current=[(it.number == season.number)
                                            .then_some("true")] { (season_name(it)) }
                                }
                            }
                        }
                    }
                }
            }
            ol.episodes { @for card in &season.episodes { (episode(card, known)) } }
        }
    }
}

fn episode(card: &Card, known: &Known) -> Markup {
    html! {
        li {
            a.episode href={ "/watch/" (card.id) } {
                span.tile-picture {
                    (picture(card.artwork.poster.as_deref(), &card.name, false))
                    span.tile-play aria-hidden="true" { (icon::play()) }
                    @if let Some(begun) = known.of(card) { (card::share(begun)) }
                }
                span.episode-words {
                    span.episode-name {
                        @if let Some(number) = card.number { (number) ". " }
                        (card.name)
                    }
                    @if let Some(ms) = card.duration_ms.filter(|it| *it > 0) {
                        span.tile-more { (long(ms)) }
                    }
                    @if !card.synopsis.is_empty() { span.episode-line { (card.synopsis) } }
                }
            }
        }
    }
}

fn content(whole: &Whole, wanted: &str, known: &Known) -> Markup {
    html! {
        (head(whole, known))
        div.more {
            @if !whole.card.synopsis.is_empty() {
                p.synopsis { (whole.card.synopsis) }
            }
            (seasons(whole, wanted, known))
            (credits(&whole.credits))
        }
    }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let household = match Household::known(&visitor).await? {
        Ok(household) => household,
        Err(ask) => return Ok(ask),
    };
    let whole = catalogue::title(&visitor, &household, &id).await?;
    let cards = match whole.card.kind {
        Kind::Series => episodes(&whole),
        _ => vec![&whole.card],
    };
    let known = progress::of(&visitor, &cards).await?;
    let shown = content(&whole, visitor.query("season"), &known);
    let name = &whole.card.name;
    Ok(page(StatusCode::OK, tv(name, Place::Elsewhere, (&visitor, &household), &shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Whole {
        let episode = |n: u128| {
            json!({
                "id": Uuid::from_u128(n), "kind": "episode", "name": format!("E{n}"),
                "asset": Uuid::from_u128(n), "season": 1, "number": n,
            })
        };
        let said = json!({
            "id": Uuid::from_u128(9), "kind": "series", "name": "The Sea",
            "seasons": [
                { "number": 1, "name": null, "episodes": [episode(1), episode(2)] },
                { "number": 2, "name": "The end", "episodes": [] },
            ],
        });
        serde_json::from_value(said).unwrap()
    }

    #[test]
    fn a_series_plays_its_first_episode_to_who_has_seen_none() {
        let (id, words) = play(&series(), &Known::default()).unwrap();
        assert_eq!((id, words.as_str()), (Uuid::from_u128(1), "Play S1 E1"));
    }

    #[test]
    fn a_season_that_is_not_there_is_the_first_one() {
        let shown = |wanted| seasons(&series(), wanted, &Known::default()).into_string();
        assert!(shown("7").contains("/watch/00000000-0000-0000-0000-000000000001"));
        assert!(!shown("2").contains("/watch/"));
        assert!(shown("2").contains("The end") && shown("2").contains("Season 1"));
    }
}
