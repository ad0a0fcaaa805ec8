//! One film: how it looks, how far it is, what is the matter with it, what belongs to it.

use crate::Listed;
use crate::film::{self, Film, Progress};
use crate::prelude::*;
use crate::title::{self, Title};
use nexus_sdk::prelude::*;
use web_kit::return_to::with_query;

pub fn router() -> Router {
    Router::new().route("/creator/videos/{id}", get(show))
}

/// A language of subtitles, as `asset-pipeline` tells.
#[derive(Debug, Deserialize)]
struct Subtitles {
    language: String,
    #[serde(default)]
    cues: i64,
}

/// The pictures that were made, as `thumbnailer` tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pictures {
    posters: Vec<Picture>,
    poster: usize,
}

#[derive(Debug, Deserialize)]
struct Picture {
    at_ms: i64,
}

/// What belongs to a film.
struct Around {
    progress: Progress,
    subtitles: Vec<Subtitles>,
    pictures: Pictures,
    titles: Vec<Title>,
}

impl Around {
    async fn read(visitor: &Visitor, film: &Film) -> Result<Around, Trouble> {
        let asked = call("asset-pipeline").get(film::at(film.id, "/progress/now"));
        let progress = visitor.want(asked).await?.unwrap_or_default();
        let asked = call("asset-pipeline").get(film::at(film.id, "/subtitles"));
        let subtitles: Option<Listed<Subtitles>> = visitor.want(asked).await?;
        let asked = call("thumbnailer").get(format!("/api/thumbnailer/v1/items/{}", film.id));
        let pictures = visitor.want(asked).await?.unwrap_or_default();
        let titles = title::list(visitor, &format!("?asset={}", film.id)).await?.items;
        let subtitles = subtitles.unwrap_or_default().items;
        Ok(Around { progress, subtitles, pictures, titles })
    }
}

async fn show(visitor: Visitor, Path(id): Path<Uuid>) -> Answer {
    visitor.signed_in()?;
    let film = film::find(&visitor, id).await?;
    shown(&visitor, &film, &Complaints::none()).await
}

/// The page, with what is wrong with the form that was sent.
pub async fn shown(visitor: &Visitor, film: &Film, complaints: &Complaints) -> Answer {
    let around = Around::read(visitor, film).await?;
    let actions = html! {
        @if film.is_playable() {
            a.button.second href=(preview(film)) { (icon::play()) "Play" }
        }
    };
    let content = html! {
        p.crumbs { a href="/creator/videos" { "Films" } }
        (head(&film.title, &actions))
        (complaints.summary())
        div.beside data-asset=(film.id) data-watch[film.is_processing()] {
            div.cards {
                (stage(film))
                (state(film, &around.progress))
                (titles(film, &around.titles, visitor.now()))
                (subtitles(film, &around.subtitles))
            }
            div.cards {
                (details(film, visitor.now()))
                (pictures(film, &around.pictures))
                (name(film, complaints))
                (leave(film))
            }
        }
    };
    Ok(with_form(visitor, Menu::Videos, &film.title, &content, complaints))
}

/// Where its owner plays it, and from where one comes back here.
fn preview(film: &Film) -> String {
    with_query("/watch/preview", &[("asset", &film.id.to_string()), ("back", &film.path())])
}

fn stage(film: &Film) -> Markup {
    html! {
        div.stage {
            @if film.is_playable() {
                a.stage-link href=(preview(film)) {
                    span.frame {
                        (icon::film())
                        img src=(film::poster(film.id, "large")) alt="" width="1280" height="720";
                    }
                    span.stage-play { (icon::play()) span.away { "Play " (film.title) } }
                }
            } @else {
                span.frame { (icon::film()) }
            }
        }
    }
}

/// The steps that a film goes through, in the order in which they are seen.
const STEPS: [(&str, &str); 5] = [
    ("probe", ""),
    ("transcode", "fast"),
    ("thumbnail", ""),
    ("transcode", "ladder"),
    ("metadata", ""),
];

fn state(film: &Film, progress: &Progress) -> Markup {
    html! {
        section.card {
            div.card-head {
                h2 { "Processing" }
                p data-state { (film.badge()) }
            }
            @if let Some(reason) = film.failure.as_ref().filter(|_| film.is_failed()) {
                @let (matter, advice) = words::reason(reason);
                div.complaints {
                    p { (matter) }
                    p.plain { (advice) }
                    @if !reason.detail.is_empty() {
                        details { summary { "What was said" } code { (reason.detail) } }
                    }
                }
            }
            @if film.is_processing() {
                progress.bar max="1" value=(progress.fraction) data-bar
                    aria-label={ "Processing of " (film.title) } {}
            }
            ol.steps {
                @for (name, lane) in STEPS {
                    @let known = progress.step(name, lane);
                    @if known.is_some() || film.is_processing() {
                        (step(name, lane, known))
                    }
                }
            }
            (orders(film))
            p.away role="status" data-told {}
        }
    }
}

fn step(name: &str, lane: &str, known: Option<&film::Step>) -> Markup {
    let state = known.map_or("waiting", |step| step.state.as_str());
    let done = known.map_or(0.0, |step| step.fraction);
    html! {
        li.step data-step={ (name) " " (lane) } data-now=(state) {
            span.step-dot aria-hidden="true" { (icon::check()) }
            span.step-name { (words::step(name, lane)) }
            span.step-words data-step-words { (step_words(state, done)) }
        }
    }
}

/// How far a step is; the script says the same while one looks.
fn step_words(state: &str, fraction: f64) -> String {
    match state {
        "succeeded" => "Done".into(),
        "failed" => "Failed".into(),
        "cancelled" => "Stopped".into(),
        "running" => format!("{:.0} %", fraction * 100.0),
        _ => "Waiting".into(),
    }
}

fn orders(film: &Film) -> Markup {
    let path = film.path();
    html! {
        div.actions {
            @if film.is_processing() {
                form method="post" action={ (path) "/stop" } {
                    button.second.small type="submit" { (icon::cross()) "Stop" }
                }
            } @else {
                @if film.is_failed() || film.degraded {
                    form method="post" action={ (path) "/retry" } {
                        button.primary.small type="submit" { (icon::again()) "Try again" }
                    }
                }
                form method="post" action={ (path) "/process" } {
                    button.second.small type="submit" { (icon::again()) "Process anew" }
                }
            }
        }
    }
}

fn titles(film: &Film, titles: &[Title], now: Time) -> Markup {
    html! {
        section.card {
            h2 { "What your audience sees" }
            @if titles.is_empty() {
                p {
                    "This film is nowhere yet. Make a title of it: a name, a few words, for whom "
                    "and from when."
                }
                form.stack method="post" action={ (film.path()) "/title" } {
                    div.actions { button.primary type="submit" { (icon::plus()) "Make a title" } }
                }
            } @else {
                ul.list { @for title in titles { (title.line(now)) } }
            }
        }
    }
}

fn subtitles(film: &Film, all: &[Subtitles]) -> Markup {
    html! {
        section.card {
            h2 { "Subtitles" }
            @if all.is_empty() {
                p { "None yet." }
            } @else {
                ul.list {
                    @for one in all {
                        li {
                            div.item {
                                (icon::captions())
                                div {
                                    p.item-name { (one.language) }
                                    p.item-more { (spoken::count(one.cues, "line")) }
                                }
                            }
                            form method="post" action={ (film.path()) "/subtitles/remove" } {
                                (hidden("language", &one.language))
                                button.quiet.small type="submit" {
                                    (icon::bin()) "Remove"
                                    span.away { " " (one.language) }
                                }
                            }
                        }
                    }
                }
            }
            noscript { p.hint { "Adding subtitles needs JavaScript in your browser." } }
            form.stack.needs-script data-subtitles=(film::at(film.id, "/subtitles")) hidden {
                div.pair {
                    div.field {
                        label for="subtitles-language" { "Language" }
                        input #subtitles-language name="language" type="text" required
                            maxlength="35" placeholder="en" autocomplete="off";
                    }
                    div.field {
                        label for="subtitles-file" { "SRT or WebVTT file" }
                        input #subtitles-file name="file" type="file" required
                            accept=".srt,.vtt,text/vtt,application/x-subrip";
                    }
                }
                div.complaints role="alert" data-wrong hidden {}
                div.actions { button.second type="submit" { (icon::plus()) "Add subtitles" } }
            }
        }
    }
}

fn details(film: &Film, now: Time) -> Markup {
    let video = film.facts.as_ref().and_then(|facts| facts.get("video"));
    let number = |name: &str| video.and_then(|video| video.get(name)?.as_i64());
    let size = number("shown_width").zip(number("shown_height"));
    html! {
        section.card {
            h2 { "The file" }
            dl.facts {
                dt { "Name" } dd { (film.file_name) }
                dt { "Size" } dd { (words::bytes(film.bytes)) }
                @if film.duration_ms > 0 {
                    dt { "Length" } dd { (words::length(film.duration_ms)) }
                }
                @if let Some((width, height)) = size {
                    dt { "Picture" } dd { (width) " × " (height) }
                }
                dt { "Uploaded" } dd { (spoken::ago(now, film.created_at)) }
                @if let Some(at) = film.playable_at {
                    @let seconds = (at - film.created_at).num_seconds().max(1);
                    dt { "To watch after" } dd { (spoken::duration(seconds)) }
                }
            }
        }
    }
}

fn pictures(film: &Film, pictures: &Pictures) -> Markup {
    html! {
        @if pictures.posters.len() > 1 {
            section.card {
                h2 { "Poster" }
                p { "The moment that stands for the film." }
                form.stack method="post" action={ (film.path()) "/poster" } {
                    div.moments {
                        @for (at, picture) in pictures.posters.iter().enumerate() {
                            button.second.small type="submit" name="poster" value=(at)
                                aria-pressed=(at == pictures.poster) {
                                (words::length(picture.at_ms))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn name(film: &Film, complaints: &Complaints) -> Markup {
    html! {
        section.card {
            h2 { "Name in the studio" }
            form.stack method="post" action={ (film.path()) "/rename" } {
                (Field::text("title", "Name").value(&film.title).length_max(200).show(complaints))
                div.actions { button.second type="submit" { "Save" } }
            }
        }
    }
}

fn leave(film: &Film) -> Markup {
    html! {
        details.card {
            summary { "Delete this film" }
            p {
                "It stops playing at once, its pictures and sizes are removed, and titles that "
                "show it are taken down. This cannot be undone."
            }
            form.stack method="post" action={ (film.path()) "/delete" } {
                div.actions { button.danger type="submit" { (icon::bin()) "Delete the film" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(told: serde_json::Value) -> Film {
        let mut whole = json!({
            "id": Uuid::nil(), "title": "The <Sea>", "file_name": "sea.mp4", "bytes": 24_000_000,
            "state": "processing", "created_at": "2026-03-12T10:00:00Z",
        });
        whole.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_failure_says_what_to_do_and_what_was_said() {
        let reason = json!({ "code": "unreadable", "detail": "moov atom <not found>" });
        let film = film(json!({ "state": "failed", "failure": reason }));
        let shown = state(&film, &Progress::default()).into_string();
        assert!(shown.contains("We could not read it."), "{shown}");
        assert!(shown.contains("moov atom &lt;not found&gt;"), "{shown}");
        assert!(shown.contains("Try again") && !shown.contains(">Stop<"), "{shown}");
    }

    #[test]
    fn what_is_under_way_shows_every_step_and_can_be_stopped() {
        let running = film::Step {
            name: "transcode".into(),
            lane: "fast".into(),
            state: "running".into(),
            fraction: 0.42,
        };
        let progress = Progress { fraction: 0.2, steps: vec![running] };
        let shown = state(&film(json!({})), &progress).into_string();
        assert_eq!(shown.matches("data-step=").count(), STEPS.len(), "{shown}");
        assert!(shown.contains("42 %") && shown.contains("Stop"), "{shown}");
    }

    #[test]
    fn nothing_is_offered_to_play_before_there_is_something() {
        assert!(!stage(&film(json!({}))).into_string().contains("/watch"));
        let playable = film(json!({ "playable_at": "2026-03-12T10:00:09Z" }));
        assert!(stage(&playable).into_string().contains("/watch/preview?asset="));
    }
}
