//! A title as `content-cms` tells of it: what viewers see, and where it is on its way to them. As
//! far as pages show it.

pub mod draft;
pub mod lists;

use crate::prelude::*;
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

/// A title.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Title {
    pub id: Uuid,
    pub kind: String,
    pub slug: String,
    pub name: String,
    pub synopsis: String,
    pub tagline: Option<String>,
    pub year: Option<i32>,
    pub language: String,
    pub maturity: String,
    pub genres: Vec<String>,
    pub tags: Vec<String>,
    pub credits: Vec<Credit>,
    pub asset: Option<Uuid>,
    pub series: Option<Uuid>,
    pub season: Option<i32>,
    pub number: Option<i32>,
    pub state: String,
    pub publish_at: Option<Time>,
    pub unpublish_at: Option<Time>,
    pub rights: Vec<Right>,
    pub localisations: BTreeMap<String, Words>,
    pub artwork: Artwork,
    pub cues: Vec<Cue>,
    pub live: bool,
    pub playable: bool,
    pub version: i64,
    pub updated_at: Option<Time>,
}

/// Who did what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Credit {
    pub role: String,
    pub person: String,
}

/// Where and when it may be shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Right {
    pub territories: Vec<String>,
    #[serde(default)]
    pub from: Option<Time>,
    #[serde(default)]
    pub until: Option<Time>,
}

/// Its words in another language.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    pub name: String,
    pub synopsis: String,
}

/// Its pictures.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Artwork {
    pub poster: Option<String>,
    pub backdrop: Option<String>,
}

/// A piece that players offer to skip.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cue {
    pub kind: String,
    pub start_ms: i64,
    pub end_ms: i64,
}

impl Title {
    pub fn path(&self) -> String {
        format!("/creator/titles/{}", self.id)
    }

    pub fn is_series(&self) -> bool {
        self.kind == "series"
    }

    /// What it is, in a word.
    pub fn kind_word(&self) -> &'static str {
        match self.kind.as_str() {
            "series" => "Series",
            "episode" => "Episode",
            "clip" => "Clip",
            _ => "Film",
        }
    }

    /// Where it is on its way.
    pub fn badge(&self) -> Markup {
        let (class, word) = match self.state.as_str() {
            "published" if self.live => ("badge good", "Published"),
            "published" => ("badge warn", "Published, not shown now"),
            "scheduled" => ("badge live", "Scheduled"),
            "review" => ("badge live", "In review"),
            "unpublished" => ("badge", "Not published"),
            "archived" => ("badge", "Archived"),
            _ => ("badge", "Draft"),
        };
        html! { span class=(class) { (word) } }
    }

    /// What stands for it.
    pub fn frame(&self) -> Markup {
        html! {
            span.frame {
                @if self.is_series() { (icon::rows()) } @else { (icon::film()) }
                @if let Some(poster) = self.own_poster() {
                    img src=(poster) alt="" loading="lazy" width="480" height="270";
                }
            }
        }
    }

    /// Its poster, where it stands on our own origin: the policy of our pages allows no other.
    fn own_poster(&self) -> Option<&str> {
        let poster = self.artwork.poster.as_deref()?;
        (poster.starts_with('/') && !poster.starts_with("//")).then_some(poster)
    }

    /// One line of a list.
    pub fn line(&self, now: Time) -> Markup {
        html! {
            li.title-line {
                a.title-link href=(self.path()) {
                    (self.frame())
                    span.title-words {
                        span.item-name { (self.called()) }
                        span.item-more {
                            (self.kind_word())
                            @if let Some(year) = self.year { ", " (year) }
                            @if let Some(at) = self.updated_at {
                                ", changed " (spoken::ago(now, at))
                            }
                        }
                    }
                }
                (self.badge())
            }
        }
    }

    /// Its name; of an episode with its place.
    pub fn called(&self) -> String {
        match (self.season, self.number) {
            (Some(season), Some(number)) => format!("S{season} E{number}, {}", self.name),
            _ => self.name.clone(),
        }
    }
}

/// Where its service answers about a title.
pub fn at(id: Uuid, rest: &str) -> String {
    format!("/api/content-cms/v1/titles/{id}{rest}")
}

pub async fn find(visitor: &Visitor, id: Uuid) -> Result<Title, Trouble> {
    visitor.need(call("content-cms").get(at(id, ""))).await
}

/// The titles of the visitor; none while the service is away.
pub async fn list(visitor: &Visitor, query: &str) -> Result<crate::Listed<Title>, Trouble> {
    let asked = call("content-cms").get(format!("/api/content-cms/v1/titles{query}"));
    Ok(visitor.want(asked).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_another_site_is_not_shown() {
        let with = |poster: &str| Title {
            artwork: Artwork { poster: Some(poster.into()), backdrop: None },
            ..Title::default()
        };
        assert_eq!(with("/api/x.jpg").own_poster(), Some("/api/x.jpg"));
        for other in ["//evil.example/x.jpg", "https://evil.example/x.jpg", "x.jpg"] {
            assert_eq!(with(other).own_poster(), None, "{other}");
        }
    }

    #[test]
    fn a_title_of_a_service_that_says_more_is_read() {
        let told = json!({
            "id": "01890000-0000-7000-8000-000000000001", "name": "The Sea", "kind": "film",
            "state": "draft", "version": 3, "something": "new", "rights": [{"territories": ["*"]}],
        });
        let title: Title = serde_json::from_value(told).unwrap();
        assert_eq!((title.name.as_str(), title.version), ("The Sea", 3));
        assert_eq!(title.rights[0].territories, ["*"]);
    }
}
