//! The studio at a glance: what is on its way, what is there, how much room is left.

use crate::film::{self, Film};
use crate::prelude::*;
use crate::scene::UPLOAD;
use crate::title::{self, Title};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/creator", get(show))
}

/// As many as one looks at.
const FILMS_SHOWN: usize = 8;
const TITLES_SHOWN: usize = 6;

/// How much somebody may keep, as `uploader` tells. Bytes.
#[derive(Debug, Clone, Deserialize)]
struct Quota {
    bytes_max: i64,
    used: i64,
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let films = film::list(&visitor, &format!("?limit={FILMS_SHOWN}")).await?.items;
    let titles = title::list(&visitor, &format!("?limit={TITLES_SHOWN}")).await?.items;
    let may_upload = visitor.principal().may(UPLOAD);
    let quota: Option<Quota> = match may_upload {
        true => visitor.want(call("uploader").get("/api/uploader/v1/quota")).await?,
        false => None,
    };
    let actions = html! {
        @if may_upload {
            a.button.primary href="/creator/upload" { (icon::upload()) "Upload" }
        }
    };
    let content = html! {
        (head("Studio", &actions))
        @if !may_upload { (closed()) }
        @if films.is_empty() && titles.is_empty() {
            @if may_upload { (welcome()) }
        } @else {
            (counts(&films, &titles, quota.as_ref()))
            (shelf(&films, visitor.now()))
            (shown_titles(&titles, visitor.now()))
        }
    };
    Ok(studio(&visitor, Menu::Overview, "Studio", &content))
}

/// For those who are no creators here.
fn closed() -> Markup {
    html! {
        div.caution {
            (icon::lock())
            p {
                "Your account may not upload here yet. An administrator can give you the role "
                strong { "creator" } "; then this is your studio."
            }
        }
    }
}

fn welcome() -> Markup {
    let steps: [(fn() -> Markup, &str, &str); 3] = [
        (
            icon::upload,
            "Upload",
            "Drop a film here. If the line breaks, it goes on where it stopped.",
        ),
        (
            icon::bolt,
            "It is made ready",
            "A first version can be watched within moments; every size and its pictures follow.",
        ),
        (
            icon::stream,
            "Publish",
            "Say what it is, for whom and from when. Then your audience finds it.",
        ),
    ];
    html! {
        section.welcome {
            h2 { "Bring your first film" }
            p { "Three steps, and it can be watched." }
            ol.features {
                @for (icon, name, words) in steps {
                    li.feature { (icon()) h3 { (name) } p { (words) } }
                }
            }
            p.actions {
                a.button.primary href="/creator/upload" { (icon::upload()) "Upload a film" }
            }
        }
    }
}

fn counts(films: &[Film], titles: &[Title], quota: Option<&Quota>) -> Markup {
    let processing = films.iter().filter(|film| film.is_processing()).count();
    let failed = films.iter().filter(|film| film.is_failed()).count();
    let published = titles.iter().filter(|title| title.state == "published").count();
    let drafts = titles.iter().filter(|title| title.state == "draft").count();
    html! {
        ul.tiles {
            (tile("/creator/videos?state=processing", processing, "being processed"))
            (tile("/creator/titles?state=published", published, "published lately"))
            (tile("/creator/titles?state=draft", drafts, "in draft"))
            @if failed > 0 { (tile("/creator/videos?state=failed", failed, "failed")) }
            @if let Some(quota) = quota {
                li.tile {
                    strong { (words::bytes(quota.used)) }
                    span { "of " (words::bytes(quota.bytes_max)) " used" }
                    meter min="0" max=(quota.bytes_max) value=(quota.used)
                        aria-label="Room that is used" {}
                }
            }
        }
    }
}

fn tile(path: &str, count: usize, words: &str) -> Markup {
    html! {
        li.tile { a href=(path) { strong { (count) } span { (words) } } }
    }
}

fn shelf(films: &[Film], now: Time) -> Markup {
    html! {
        section.section-plain {
            div.card-head { h2 { "Latest films" } a href="/creator/videos" { "All films" } }
            @if films.is_empty() {
                p.nothing { "No film yet." }
            } @else {
                ul.videos { @for film in films { (film.card(now)) } }
            }
        }
    }
}

fn shown_titles(titles: &[Title], now: Time) -> Markup {
    html! {
        section.card {
            div.card-head {
                h2 { "Titles you worked on" }
                a href="/creator/titles" { "All titles" }
            }
            @if titles.is_empty() {
                p.nothing.spaced {
                    "A title is what your audience sees: a name, a few words, and a film. "
                    a href="/creator/titles/new" { "Make one" }
                }
            } @else {
                ul.list { @for title in titles { (title.line(now)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_upload_is_told_who_can_change_that() {
        assert!(closed().into_string().contains("administrator"));
    }

    #[test]
    fn room_is_shown_where_it_is_known() {
        let quota = Quota { bytes_max: 1000, used: 250 };
        assert!(counts(&[], &[], Some(&quota)).into_string().contains("value=\"250\""));
        assert!(!counts(&[], &[], None).into_string().contains("meter"));
    }
}
