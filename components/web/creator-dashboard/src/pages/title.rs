//! One title: what viewers see of it, in a form; where it is on its way to them; what happened.

use super::title_form::form;
use super::{episodes, steps};
use crate::Listed;
use crate::film::{self, Film};
use crate::prelude::*;
use crate::title::draft::Draft;
use crate::title::{self, Title};
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/creator/titles/{id}", get(show).post(save))
        .route("/creator/titles/{id}/delete", post(remove))
}

/// As many lines of the history as one looks at.
const HISTORY_SHOWN: usize = 12;

/// Something that happened to a title.
#[derive(Debug, Deserialize)]
struct Entry {
    at: Time,
    action: String,
    #[serde(default)]
    note: Option<String>,
}

async fn show(visitor: Visitor, Path(id): Path<Uuid>) -> Answer {
    visitor.signed_in()?;
    let title = title::find(&visitor, id).await?;
    shown(&visitor, &title, &Draft::from(&title), &Complaints::none()).await
}

/// The page with what stands in the form, and what is wrong with it.
pub async fn shown(
    visitor: &Visitor,
    title: &Title,
    draft: &Draft,
    complaints: &Complaints,
) -> Answer {
    let films = film::list(visitor, "?limit=100").await?.items;
    let asked = call("content-cms").get(title::at(title.id, "/history"));
    let history: Option<Listed<Entry>> = visitor.want(asked).await?;
    let episodes = match title.is_series() {
        true => episodes::section(visitor, title, &films, complaints).await?,
        false => html! {},
    };
    let film = films.iter().find(|film| Some(film.id) == title.asset);
    let content = html! {
        (crumbs(title))
        (head(&title.called(), &watch(title)))
        (complaints.summary())
        div.beside {
            div.cards {
                (episodes)
                (form(title, draft, &films, complaints))
            }
            div.cards {
                (picture(title, film))
                (steps::card(visitor, title, complaints))
                (happened(&history.unwrap_or_default().items, visitor.now()))
                (leave(title))
            }
        }
    };
    Ok(with_form(visitor, Menu::Titles, &title.name, &content, complaints))
}

fn crumbs(title: &Title) -> Markup {
    html! {
        p.crumbs {
            a href="/creator/titles" { "Titles" }
            @if let Some(series) = title.series {
                " / " a href={ "/creator/titles/" (series) } { "Series" }
            }
        }
    }
}

fn watch(title: &Title) -> Markup {
    html! {
        @if title.live {
            @if title.is_series() {
                a.button.second href={ "/tv/title/" (title.id) } { (icon::eye()) "See it" }
            } @else {
                a.button.second href={ "/watch/" (title.id) } { (icon::play()) "Watch" }
            }
        }
    }
}

fn picture(title: &Title, film: Option<&Film>) -> Markup {
    html! {
        div.stage {
            (title.frame())
            @if let Some(film) = film {
                p.item-more.stage-words {
                    "Shows " a href=(film.path()) { (film.title) } ", "
                    @if film.is_playable() {
                        (words::length(film.duration_ms))
                    } @else {
                        "which cannot be played yet"
                    }
                }
            } @else if !title.is_series() {
                p.item-more.stage-words { "No film yet: choose one below." }
            }
        }
    }
}

/// What a step of the history is called.
fn happening(action: &str) -> &str {
    match action {
        "create" | "created" => "Made",
        "edit" | "edited" => "Changed",
        "submit" => "Sent to review",
        "approve" => "Approved",
        "send-back" | "send_back" => "Sent back",
        "schedule" => "Scheduled",
        "publish" => "Published",
        "unpublish" => "Taken down",
        "archive" => "Archived",
        "restore" => "Restored",
        other => other,
    }
}

fn happened(entries: &[Entry], now: Time) -> Markup {
    html! {
        @if !entries.is_empty() {
            details.card {
                summary { "What happened" }
                ol.history {
                    @for entry in entries.iter().take(HISTORY_SHOWN) {
                        li {
                            span.item-name { (happening(&entry.action)) }
                            span.item-more { (spoken::ago(now, entry.at)) }
                            @if let Some(note) = &entry.note { p { (note) } }
                        }
                    }
                }
            }
        }
    }
}

fn leave(title: &Title) -> Markup {
    let is_on_its_way = matches!(title.state.as_str(), "published" | "scheduled" | "review");
    html! {
        details.card {
            summary { "Delete this title" }
            @if is_on_its_way {
                p { "Take it down first; then it can be deleted. The film itself stays." }
            } @else {
                p { "Its words and its history are removed. The film itself stays." }
                form.stack method="post" action={ (title.path()) "/delete" } {
                    div.actions {
                        button.danger type="submit" { (icon::bin()) "Delete the title" }
                    }
                }
            }
        }
    }
}

async fn save(visitor: Visitor, Path(id): Path<Uuid>, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let title = title::find(&visitor, id).await?;
    let draft = Draft::posted(&posted);
    let patch = match draft.patch(&title) {
        Ok(patch) => patch,
        Err(wrong) => return shown(&visitor, &title, &draft, &wrong).await,
    };
    let version = HeaderValue::try_from(format!("\"{}\"", draft.version));
    let version = version.map_err(|_| Trouble::Malformed)?;
    let asked = call("content-cms").patch(title::at(id, "")).header(header::IF_MATCH, version);
    match visitor.ask::<Title>(asked.json(&patch)).await? {
        Ok(_) => Ok(go(&notice::SAVED.on(&title.path()))),
        Err(refused) if refused.status == 412 => {
            // What was typed stays, on top of what is there now: sending it again overwrites.
            let draft = Draft { version: title.version.to_string(), ..draft };
            let words = "Somebody has changed this title while you wrote. Your words are still \
                         in the form; saving again puts them in place of theirs.";
            shown(&visitor, &title, &draft, &Complaints::about(words)).await
        }
        Err(refused) => shown(&visitor, &title, &draft, &Complaints::of(&refused)).await,
    }
}

async fn remove(visitor: Visitor, Path(id): Path<Uuid>, _form: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("content-cms").delete(title::at(id, ""));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(go(&notice::TITLE_DELETED.on("/creator/titles"))),
        Err(refused) => {
            let title = title::find(&visitor, id).await?;
            let draft = Draft::from(&title);
            shown(&visitor, &title, &draft, &Complaints::of(&refused)).await
        }
    }
}
