//! A film as `asset-pipeline` tells of it: what was uploaded, and how far it is. As far as pages
//! show it.

use crate::Listed;
use crate::prelude::*;
use nexus_sdk::prelude::*;

/// An asset.
#[derive(Debug, Clone, Deserialize)]
pub struct Film {
    pub id: Uuid,
    pub title: String,
    pub file_name: String,
    pub bytes: i64,
    /// `processing`, `ready`, `failed` or `deleted`.
    pub state: String,
    #[serde(default)]
    pub duration_ms: i64,
    #[serde(default)]
    pub facts: Option<serde_json::Value>,
    #[serde(default)]
    pub degraded: bool,
    #[serde(default)]
    pub failure: Option<Reason>,
    pub created_at: Time,
    #[serde(default)]
    pub playable_at: Option<Time>,
}

/// Why something did not come about.
#[derive(Debug, Clone, Deserialize)]
pub struct Reason {
    pub code: String,
    #[serde(default)]
    pub detail: String,
}

/// How far a film is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// 0 to 1.
    pub fraction: f64,
    pub steps: Vec<Step>,
}

/// One piece of the work on it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    pub name: String,
    pub lane: String,
    pub state: String,
    pub fraction: f64,
}

impl Progress {
    /// That step, once somebody was asked for it.
    pub fn step(&self, name: &str, lane: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name && step.lane == lane)
    }
}

impl Film {
    pub fn path(&self) -> String {
        format!("/creator/videos/{}", self.id)
    }

    pub fn is_processing(&self) -> bool {
        self.state == "processing"
    }

    pub fn is_failed(&self) -> bool {
        self.state == "failed"
    }

    /// Whether somebody could watch it now.
    pub fn is_playable(&self) -> bool {
        self.playable_at.is_some()
    }

    /// What stands on it in a list.
    pub fn badge(&self) -> Markup {
        match self.state.as_str() {
            "ready" if self.degraded => html! { span.badge.warn data-badge { "Ready, in part" } },
            "ready" => html! { span.badge.good data-badge { "Ready" } },
            "failed" => html! { span.badge.bad data-badge { "Failed" } },
            _ if self.is_playable() => {
                html! { span.badge.live data-badge { "Plays, gets better" } }
            }
            _ => html! { span.badge.live data-badge { "Processing" } },
        }
    }

    /// What stands for it: its poster, above a drawing where there is none yet.
    pub fn frame(&self, size: &str) -> Markup {
        html! {
            span.frame {
                (icon::film())
                @if self.is_playable() {
                    img src=(poster(self.id, size)) alt="" loading="lazy" width="480" height="270";
                }
                @if self.duration_ms > 0 {
                    span.length { (words::length(self.duration_ms)) }
                }
            }
        }
    }

    /// A bar that moves by itself while it is processed.
    pub fn bar(&self) -> Markup {
        html! {
            @if self.is_processing() {
                progress.bar max="1" aria-label={ "Processing of " (self.title) } data-bar {}
            }
        }
    }

    /// One card of a list.
    pub fn card(&self, now: Time) -> Markup {
        html! {
            li.video data-asset=(self.id) data-live[self.is_processing()] {
                a.video-link href=(self.path()) {
                    (self.frame("small"))
                    span.item-name { (self.title) }
                }
                p.item-more {
                    (words::bytes(self.bytes)) ", " (spoken::ago(now, self.created_at))
                }
                p.video-state { (self.badge()) }
                (self.bar())
            }
        }
    }
}

/// Where a film's poster is.
pub fn poster(id: Uuid, size: &str) -> String {
    format!("/creator/posters/{id}?size={size}")
}

/// The films of the visitor.
pub async fn list(visitor: &Visitor, query: &str) -> Result<Listed<Film>, Trouble> {
    visitor.need(call("asset-pipeline").get(format!("/api/asset-pipeline/v1/assets{query}"))).await
}

pub async fn find(visitor: &Visitor, id: Uuid) -> Result<Film, Trouble> {
    visitor.need(call("asset-pipeline").get(at(id, ""))).await
}

/// Where its service answers about a film.
pub fn at(id: Uuid, rest: &str) -> String {
    format!("/api/asset-pipeline/v1/assets/{id}{rest}")
}

/// The films that a title can show: a select's options, the chosen one among them.
pub fn options(films: &[Film]) -> Vec<(String, String)> {
    let mut options = vec![(String::new(), "None yet".to_owned())];
    options.extend(films.iter().filter(|film| !film.is_failed()).map(|film| {
        let state = if film.is_playable() { "" } else { " (being processed)" };
        (film.id.to_string(), format!("{}{state}", film.title))
    }));
    options
}
