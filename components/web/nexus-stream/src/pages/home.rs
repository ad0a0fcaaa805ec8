//! The first page: one title large, what somebody has begun, and rows of what there is.

use crate::card::{self, facts, picture, tile};
use crate::catalogue::{self, Card, Kind, Row};
use crate::household::Household;
use crate::prelude::*;
use crate::progress::{self, Progress};
use crate::scene;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/tv", get(show))
}

/// The title that is shown large: the first with a wide picture, otherwise the first.
fn lead(rows: &[Row]) -> Option<&Card> {
    let all = || rows.iter().flat_map(|row| &row.titles);
    all().find(|card| card.artwork.backdrop.is_some()).or_else(|| all().next())
}

fn hero(card: &Card) -> Markup {
    let words = card.tagline.as_deref().filter(|it| !it.is_empty()).unwrap_or(&card.synopsis);
    html! {
        section.lead aria-labelledby="lead-name" {
            div.lead-picture { (picture(card.artwork.backdrop.as_deref(), &card.name, true)) }
            div.lead-words {
                h1 #lead-name { (card.name) }
                (facts(card))
                @if !words.is_empty() { p.lead-line { (words) } }
                p.actions {
                    a.button.primary href={ "/watch/" (card.id) } { (icon::play()) "Play" }
                    a.button.second href={ "/tv/title/" (card.id) } { "More about it" }
                }
            }
        }
    }
}

/// What was begun, in the order in which it was seen last, as far as it is shown.
fn begun<'a>(progress: &'a [Progress], cards: &'a [Card]) -> Vec<(&'a Card, &'a Progress)> {
    let card = |it: &Progress| cards.iter().find(|card| card.asset == Some(it.asset_id));
    progress.iter().filter_map(|it| Some((card(it)?, it))).collect()
}

fn content(rows: &[Row], begun: &[(&Card, &Progress)], visitor: &Visitor) -> Markup {
    html! {
        @match lead(rows) {
            Some(card) => (hero(card)),
            None => (empty(visitor)),
        }
        div.shelves {
            @if !begun.is_empty() {
                (card::row("begun", "Continue watching", &html! {
                    @for (card, progress) in begun { (tile(card, Some(progress))) }
                }))
            }
            @for (at, row) in rows.iter().enumerate() {
                (card::row(&at.to_string(), &row.name, &html! {
                    @for card in &row.titles { (tile(card, None)) }
                }))
            }
        }
    }
}

fn empty(visitor: &Visitor) -> Markup {
    html! {
        section.tv-empty {
            (icon::film())
            h1 { "Nothing is on yet" }
            p {
                "As soon as somebody publishes a title that you may see, it is here. "
                "Creators upload and publish in the creator's dashboard."
            }
            p.actions {
                a.button.primary href="/creator" { "Upload something" }
                @if !visitor.is_signed_in() {
                    a.button.second href=(scene::sign_in(visitor)) { "Sign in" }
                }
            }
        }
    }
}

async fn show(visitor: Visitor) -> Answer {
    let household = match Household::known(&visitor).await? {
        Ok(household) => household,
        Err(ask) => return Ok(ask),
    };
    let rows = catalogue::home(&visitor, &household).await?;
    let progress = progress::list(&visitor).await?;
    let cards = cards(&visitor, &household, &rows, &progress).await?;
    let begun = begun(&progress, &cards);
    let shown = content(&rows, &begun, &visitor);
    Ok(page(StatusCode::OK, tv("Watch", Place::Home, (&visitor, &household), &shown)))
}

/// The titles of what was begun: those of the rows, and the rest asked for.
async fn cards(
    visitor: &Visitor,
    household: &Household,
    rows: &[Row],
    progress: &[Progress],
) -> Result<Vec<Card>, Trouble> {
    let wanted = |card: &&Card| progress.iter().any(|it| Some(it.asset_id) == card.asset);
    let all = rows.iter().flat_map(|row| &row.titles);
    let mut cards: Vec<Card> = all.filter(wanted).cloned().collect();
    let is_missing = |it: &&Progress| cards.iter().all(|card| card.asset != Some(it.asset_id));
    let missing: Vec<Uuid> = progress.iter().filter(is_missing).map(|it| it.asset_id).collect();
    if !missing.is_empty() {
        let found = catalogue::of_assets(visitor, household, &missing).await?;
        cards.extend(found.into_iter().filter(|card| card.kind != Kind::Series));
    }
    Ok(cards)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(n: u128, backdrop: Option<&str>) -> Card {
        let card = json!({
            "id": Uuid::from_u128(n), "kind": "film", "name": "F", "asset": Uuid::from_u128(n),
            "artwork": { "poster": null, "backdrop": backdrop },
        });
        serde_json::from_value(card).unwrap()
    }

    #[test]
    fn a_title_with_a_wide_picture_leads() {
        let titles = vec![card(1, None), card(2, Some("/b.jpg"))];
        let rows = [Row { name: "New".into(), titles }];
        assert_eq!(lead(&rows).unwrap().id, Uuid::from_u128(2));
        let bare = [Row { name: "A".into(), titles: vec![card(1, None)] }];
        assert_eq!(lead(&bare).unwrap().id, Uuid::from_u128(1));
        assert!(lead(&[]).is_none());
    }

    #[test]
    fn what_was_begun_stands_in_the_order_in_which_it_was_seen_and_only_if_it_is_shown() {
        let progress = [3, 1, 9].map(|n| Progress {
            asset_id: Uuid::from_u128(n),
            position_ms: 10_000,
            duration_ms: 100_000,
            is_finished: false,
        });
        let cards = [card(1, None), card(2, None), card(3, None)];
        let ids: Vec<u128> =
            begun(&progress, &cards).iter().map(|(card, _)| card.id.as_u128()).collect();
        assert_eq!(ids, [3, 1]);
    }
}
