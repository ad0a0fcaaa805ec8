//! A title as viewers see it in a row, in their language. Pure.

use crate::content::{self, Artwork, Kind, Localised, Maturity};
use media_contract::AssetId;
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

/// What the database says of a title that a viewer sees.
#[derive(Debug, Clone, Deserialize)]
pub struct CardRow {
    pub id: TitleId,
    pub slug: String,
    pub kind: Kind,
    pub name: String,
    pub synopsis: String,
    pub tagline: Option<String>,
    pub year: Option<i32>,
    pub maturity: Maturity,
    pub genres: Vec<String>,
    pub duration_ms: i64,
    pub artwork: Artwork,
    pub poster: Option<String>,
    pub backdrop: Option<String>,
    pub asset: Option<AssetId>,
    pub series: Option<TitleId>,
    pub season: Option<i32>,
    pub number: Option<i32>,
    pub localisations: BTreeMap<String, Localised>,
    pub listed_at: Option<Time>,
}

/// A title in a row.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Card {
    pub id: TitleId,
    pub slug: String,
    pub kind: Kind,
    pub name: String,
    pub synopsis: String,
    pub tagline: Option<String>,
    pub year: Option<i32>,
    pub maturity: Maturity,
    pub genres: Vec<String>,
    /// None of a series.
    pub duration_ms: Option<i64>,
    pub artwork: Artwork,
    /// What is played; none of a series.
    pub asset: Option<AssetId>,
    pub series: Option<TitleId>,
    pub season: Option<i32>,
    pub number: Option<i32>,
}

impl CardRow {
    /// In a language, where it is told in it.
    pub fn card(self, language: Option<&str>) -> Card {
        let told = language.and_then(|tag| content::localised(&self.localisations, tag));
        let (name, synopsis) = match told {
            Some(told) if told.synopsis.is_empty() => (told.name.clone(), self.synopsis),
            Some(told) => (told.name.clone(), told.synopsis.clone()),
            None => (self.name, self.synopsis),
        };
        Card {
            id: self.id,
            slug: self.slug,
            kind: self.kind,
            name,
            synopsis,
            tagline: self.tagline,
            year: self.year,
            maturity: self.maturity,
            genres: self.genres,
            duration_ms: Some(self.duration_ms).filter(|_| self.kind != Kind::Series),
            artwork: self.artwork.or(self.poster, self.backdrop),
            asset: self.asset,
            series: self.series,
            season: self.season,
            number: self.number,
        }
    }
}

/// A season with what a viewer may see of it.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct SeasonShown {
    pub number: i32,
    pub name: Option<String>,
    pub synopsis: String,
    pub episodes: Vec<Card>,
}

/// Episodes by season; seasons of which a viewer sees nothing are left out.
pub fn by_season(
    seasons: Vec<crate::store::seasons::Season>,
    episodes: Vec<Card>,
) -> Vec<SeasonShown> {
    let mut shown: Vec<SeasonShown> = Vec::new();
    for card in episodes {
        let number = card.season.unwrap_or(0);
        if let Some(season) = shown.iter_mut().find(|it| it.number == number) {
            season.episodes.push(card);
            continue;
        }
        let known = seasons.iter().find(|it| it.number == number);
        shown.push(SeasonShown {
            number,
            name: known.and_then(|it| it.name.clone()),
            synopsis: known.map(|it| it.synopsis.clone()).unwrap_or_default(),
            episodes: vec![card],
        });
    }
    shown.sort_by_key(|season| season.number);
    shown
}

/// The episode after one, in the order of seasons and numbers.
pub fn after(episodes: &[Card], id: TitleId) -> Option<Card> {
    let place = |card: &Card| (card.season, card.number);
    let own = episodes.iter().find(|card| card.id == id).map(place)?;
    let later = episodes.iter().filter(|card| place(card) > own);
    later.min_by_key(|card| place(card)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::seasons::Season;

    fn row(id: u128, season: i32, number: i32) -> CardRow {
        CardRow {
            id: Uuid::from_u128(id).into(),
            slug: format!("e{id}"),
            kind: Kind::Episode,
            name: "Pilot".into(),
            synopsis: "It begins".into(),
            tagline: None,
            year: None,
            maturity: Maturity::All,
            genres: Vec::new(),
            duration_ms: 1000,
            artwork: Artwork { poster: Some("/mine.jpg".into()), backdrop: None },
            poster: Some("/made.jpg".into()),
            backdrop: Some("/wide.jpg".into()),
            asset: None,
            series: Some(Uuid::from_u128(99).into()),
            season: Some(season),
            number: Some(number),
            localisations: BTreeMap::from([(
                "de".into(),
                Localised { name: "Anfang".into(), synopsis: String::new() },
            )]),
            listed_at: None,
        }
    }

    #[test]
    fn a_card_speaks_the_viewers_language_as_far_as_it_can() {
        let card = row(1, 1, 1).card(Some("de-AT"));
        assert_eq!((card.name.as_str(), card.synopsis.as_str()), ("Anfang", "It begins"));
        assert_eq!(row(1, 1, 1).card(Some("fr")).name, "Pilot");
        assert_eq!(row(1, 1, 1).card(None).name, "Pilot");
    }

    #[test]
    fn a_picture_that_somebody_chose_stands_before_the_one_that_was_made() {
        let artwork = row(1, 1, 1).card(None).artwork;
        assert_eq!(artwork.poster.as_deref(), Some("/mine.jpg"));
        assert_eq!(artwork.backdrop.as_deref(), Some("/wide.jpg"));
    }

    #[test]
    fn the_next_episode_is_that_of_the_next_season_where_one_ends() {
        let cards: Vec<Card> = [(1, 1, 1), (2, 1, 3), (3, 2, 1)]
            .map(|(id, season, number)| row(id, season, number).card(None))
            .to_vec();
        let next = |id: u128| {
            let id = Uuid::from_u128(id).into();
            after(&cards, id).map(|card| Uuid::from(card.id).as_u128())
        };
        assert_eq!((next(1), next(2), next(3), next(7)), (Some(2), Some(3), None, None));
        let named =
            Season { number: 2, name: Some("Two".into()), synopsis: "".into(), episodes: 1 };
        let seasons = by_season(vec![named], cards);
        assert_eq!(seasons.iter().map(|it| it.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((seasons[0].episodes.len(), seasons[1].name.as_deref()), (2, Some("Two")));
    }
}
