//! What a title says, and what of that can be true. Pure.

use crate::rights::{self, Right};
use crate::slug;
use media_contract::AssetId;
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};
use std::collections::BTreeMap;

nexus_sdk::refusals! {
    NameLength = 422, "a name takes 1 to 200 characters on one line";
    SynopsisLength = 422, "a synopsis takes at most 5,000 characters, a tagline at most 200";
    SlugForm = 422, "a slug takes 1 to 80 of a-z and 0-9 in words joined by dashes";
    YearRange = 422, "a year lies between 1850 and 2200";
    LanguageTag = 422, "a language is a tag such as de or pt-BR";
    GenreForm = 422, "there are at most 10 genres and 30 tags of 1 to 40 characters, each once";
    CreditForm = 422, "there are at most 200 credits, each with a role and a person";
    LocalisationForm = 422, "there are at most 60 languages, each with a name and a synopsis";
    ArtworkForm = 422, "a picture is a path of this origin or an https address";
    CueForm = 422, "there are at most 50 cues, and each ends after it begins";
    EpisodePlace = 422, "an episode has a series, a season from 0 and a number from 1; nothing \
                         else has any of them";
    AssetUnwanted = 422, "a series is played by its episodes"
}

const TEXT_MAX: usize = 5_000;
const LINE_MAX: usize = 200;
const YEARS: std::ops::RangeInclusive<i32> = 1850..=2200;
const GENRES_MAX: usize = 10;
const TAGS_MAX: usize = 30;
const CREDITS_MAX: usize = 200;
const LANGUAGES_MAX: usize = 60;
const CUES_MAX: usize = 50;
const ADDRESS_MAX: usize = 2_000;
/// Of what a search looks at.
const WORDS_MAX: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Film,
    Episode,
    Clip,
    Series,
}

/// Years of age that something is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Maturity {
    #[default]
    #[serde(rename = "all")]
    All,
    #[serde(rename = "7")]
    Seven,
    #[serde(rename = "12")]
    Twelve,
    #[serde(rename = "16")]
    Sixteen,
    #[serde(rename = "18")]
    Eighteen,
}

impl Maturity {
    pub fn years(self) -> i32 {
        match self {
            Maturity::All => 0,
            Maturity::Seven => 7,
            Maturity::Twelve => 12,
            Maturity::Sixteen => 16,
            Maturity::Eighteen => 18,
        }
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Film => "film",
            Kind::Episode => "episode",
            Kind::Clip => "clip",
            Kind::Series => "series",
        }
    }
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl ToParam for $kind {
            fn to_param(&self) -> Param {
                word(self)
            }
        }
    )*};
}

words! { Kind, Maturity }

/// Who did what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    pub role: String,
    pub person: String,
}

/// A title in another language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Localised {
    pub name: String,
    #[serde(default)]
    pub synopsis: String,
}

/// Addresses of pictures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Artwork {
    pub poster: Option<String>,
    pub backdrop: Option<String>,
}

impl Artwork {
    /// Where nobody has chosen a picture, the asset's own.
    pub fn or(self, poster: Option<String>, backdrop: Option<String>) -> Artwork {
        Artwork { poster: self.poster.or(poster), backdrop: self.backdrop.or(backdrop) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CueKind {
    Intro,
    Recap,
    Credits,
}

/// Something that a viewer may skip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cue {
    pub kind: CueKind,
    pub start_ms: i64,
    pub end_ms: i64,
}

/// All that its creator says of a title. What is absent is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Content {
    /// Its name in addresses; made of its name where nobody gave one.
    pub slug: String,
    pub name: String,
    pub synopsis: String,
    pub tagline: Option<String>,
    pub year: Option<i32>,
    /// BCP 47.
    pub language: String,
    pub maturity: Maturity,
    pub genres: Vec<String>,
    pub tags: Vec<String>,
    pub credits: Vec<Credit>,
    /// What is played.
    pub asset: Option<AssetId>,
    /// Of an episode only, as season and number.
    pub series: Option<TitleId>,
    pub season: Option<i32>,
    pub number: Option<i32>,
    /// Where and when it may be shown; everywhere and always where there is none.
    pub rights: Vec<Right>,
    /// By language, BCP 47.
    pub localisations: BTreeMap<String, Localised>,
    pub artwork: Artwork,
    pub cues: Vec<Cue>,
}

impl Default for Content {
    fn default() -> Content {
        Content {
            slug: String::new(),
            name: String::new(),
            synopsis: String::new(),
            tagline: None,
            year: None,
            language: "en".into(),
            maturity: Maturity::All,
            genres: Vec::new(),
            tags: Vec::new(),
            credits: Vec::new(),
            asset: None,
            series: None,
            season: None,
            number: None,
            rights: Vec::new(),
            localisations: BTreeMap::new(),
            artwork: Artwork::default(),
            cues: Vec::new(),
        }
    }
}

impl Content {
    /// As it is kept: trimmed, and nothing in it that could not be true.
    ///
    /// # Errors
    /// 422 by the name of what is wrong.
    pub fn checked(mut self, kind: Kind) -> Result<Content, Refusal> {
        self.name = line(&self.name, LINE_MAX).ok_or_else(|| NameLength.at("name"))?;
        if self.slug.is_empty() {
            self.slug = slug::slug_of(&self.name);
        }
        if !slug::is_slug(&self.slug) {
            return Err(SlugForm.at("slug"));
        }
        if !is_text(&self.synopsis) {
            return Err(SynopsisLength.at("synopsis"));
        }
        self.tagline = match self.tagline.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(told) => Some(line(told, LINE_MAX).ok_or_else(|| SynopsisLength.at("tagline"))?),
        };
        if self.year.is_some_and(|year| !YEARS.contains(&year)) {
            return Err(YearRange.at("year"));
        }
        if !is_language(&self.language) {
            return Err(LanguageTag.at("language"));
        }
        self.genres = labels(self.genres, GENRES_MAX).ok_or_else(|| GenreForm.at("genres"))?;
        self.tags = labels(self.tags, TAGS_MAX).ok_or_else(|| GenreForm.at("tags"))?;
        self.check_lists()?;
        rights::check(&self.rights)?;
        self.check_place(kind)?;
        Ok(self)
    }

    fn check_lists(&self) -> Result<(), Refusal> {
        let credited =
            |it: &Credit| line(&it.role, 80).is_some() && line(&it.person, LINE_MAX).is_some();
        if self.credits.len() > CREDITS_MAX || !self.credits.iter().all(credited) {
            return Err(CreditForm.at("credits"));
        }
        for (tag, it) in &self.localisations {
            let fits = line(&it.name, LINE_MAX).is_some() && is_text(&it.synopsis);
            if !is_language(tag) || !fits {
                return Err(LocalisationForm.at(format!("localisations/{tag}")));
            }
        }
        if self.localisations.len() > LANGUAGES_MAX {
            return Err(LocalisationForm.at("localisations"));
        }
        for (field, it) in [("poster", &self.artwork.poster), ("backdrop", &self.artwork.backdrop)]
        {
            if it.as_deref().is_some_and(|address| !is_address(address)) {
                return Err(ArtworkForm.at(format!("artwork/{field}")));
            }
        }
        let lasts = |cue: &Cue| cue.start_ms >= 0 && cue.start_ms < cue.end_ms;
        if self.cues.len() > CUES_MAX || !self.cues.iter().all(lasts) {
            return Err(CueForm.at("cues"));
        }
        Ok(())
    }

    fn check_place(&self, kind: Kind) -> Result<(), Refusal> {
        let fits = match (kind, self.series, self.season, self.number) {
            (Kind::Episode, Some(_), Some(season), Some(number)) => {
                (0..=1_000).contains(&season) && (1..=10_000).contains(&number)
            }
            (Kind::Episode, ..) => false,
            (_, None, None, None) => true,
            _ => false,
        };
        if !fits {
            return Err(EpisodePlace.at("series"));
        }
        match (kind, self.asset) {
            (Kind::Series, Some(_)) => Err(AssetUnwanted.at("asset")),
            _ => Ok(()),
        }
    }

    /// Names of the fields in which two differ.
    pub fn changed(&self, other: &Content) -> Vec<String> {
        let fields = |content: &Content| match serde_json::to_value(content) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let (before, after) = (fields(self), fields(other));
        after.into_iter().filter(|(name, it)| before.get(name) != Some(it)).map(|it| it.0).collect()
    }

    /// What a search looks at, in lower case.
    pub fn words(&self) -> String {
        let localised = self.localisations.values().map(|it| it.name.as_str());
        let all = [self.name.as_str(), self.tagline.as_deref().unwrap_or_default()].into_iter();
        let all = all.chain(localised);
        let all = all.chain(self.genres.iter().chain(&self.tags).map(String::as_str));
        let all = all.chain(self.credits.iter().map(|it| it.person.as_str()));
        let all: Vec<&str> = all.chain([self.synopsis.as_str()]).collect();
        all.join("\n").to_lowercase().chars().take(WORDS_MAX).collect()
    }
}

/// A text on one line, trimmed.
pub fn line(told: &str, most: usize) -> Option<String> {
    let told = told.trim();
    let fits = (1..=most).contains(&told.chars().count());
    (fits && !told.chars().any(char::is_control)).then(|| told.to_owned())
}

pub fn is_text(told: &str) -> bool {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    told.chars().count() <= TEXT_MAX && told.chars().all(plain)
}

/// As far as the form goes: subtags of letters and digits, the first one of letters.
pub fn is_language(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let primary = subtags.next().unwrap_or_default();
    let alphanumeric = |it: &str| it.bytes().all(|byte| byte.is_ascii_alphanumeric());
    tag.len() <= 35
        && (2..=8).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|it| (1..=8).contains(&it.len()) && alphanumeric(it))
}

/// Words in lower case, each once.
fn labels(told: Vec<String>, most: usize) -> Option<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for label in told {
        let label = line(&label, 40)?.to_lowercase();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    (labels.len() <= most).then_some(labels)
}

/// A path of our own, or an address that is safe on a page of ours.
fn is_address(address: &str) -> bool {
    let own = address.starts_with('/') && !address.starts_with("//");
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '\\');
    let host = address.strip_prefix("https://").is_some_and(|rest| !rest.starts_with('/'));
    (own || (host && address.len() > 8))
        && address.len() <= ADDRESS_MAX
        && address.chars().all(plain)
}

/// The entry for a language, or for what it is a variety of.
pub fn localised<'a>(
    localisations: &'a BTreeMap<String, Localised>,
    language: &str,
) -> Option<&'a Localised> {
    let same = |tag: &str| localisations.iter().find(|(it, _)| it.eq_ignore_ascii_case(tag));
    let mut tag = language;
    loop {
        if let Some((_, found)) = same(tag) {
            return Some(found);
        }
        tag = tag.rsplit_once('-')?.0;
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
