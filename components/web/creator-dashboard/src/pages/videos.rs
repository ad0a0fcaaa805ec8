//! All films of a creator, newest first.

use crate::film;
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::with_query;

pub fn router() -> Router {
    Router::new().route("/creator/videos", get(show))
}

/// On one page.
const SHOWN: &str = "24";

/// A word of the query, and what it is called.
const STATES: [(&str, &str); 4] =
    [("", "All"), ("processing", "Being processed"), ("ready", "Ready"), ("failed", "Failed")];

/// Links that narrow a list, the chosen one marked.
pub fn tabs(path: &str, states: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        nav.tabs aria-label="Which ones" {
            ul {
                @for (state, label) in states {
                    li {
                        a href=(if state.is_empty() { path.to_owned() } else {
                            with_query(path, &[("state", state)])
                        }) aria-current=[(*state == chosen).then_some("page")] { (label) }
                    }
                }
            }
        }
    }
}

/// The way to the rest of a list.
pub fn rest(path: &str, state: &str, next: Option<&str>) -> Markup {
    html! {
        @if let Some(next) = next {
            p.rest {
                a.button.second href=(with_query(path, &[("state", state), ("cursor", next)])) {
                    "Show more"
                }
            }
        }
    }
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let known = STATES.iter().find(|(state, _)| *state == visitor.query("state"));
    let state = known.map_or("", |(state, _)| state);
    let mut pairs = vec![("limit", SHOWN)];
    let cursor = visitor.query("cursor");
    pairs.extend([("state", state), ("cursor", cursor)].iter().filter(|(_, it)| !it.is_empty()));
    let listed = film::list(&visitor, &with_query("", &pairs)).await?;
    let actions = html! {
        a.button.primary href="/creator/upload" { (icon::upload()) "Upload" }
    };
    let content = html! {
        (head("Films", &actions))
        (tabs("/creator/videos", &STATES, state))
        @if listed.items.is_empty() {
            p.nothing {
                @if state.is_empty() {
                    "Nothing here yet. " a href="/creator/upload" { "Upload your first film" }
                } @else {
                    "None of your films is in this state."
                }
            }
        } @else {
            ul.videos { @for film in &listed.items { (film.card(visitor.now())) } }
        }
        (rest("/creator/videos", state, listed.next.as_deref()))
    };
    Ok(studio(&visitor, Menu::Videos, "Films", &content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_list_is_marked() {
        let shown = tabs("/creator/videos", &STATES, "failed").into_string();
        assert_eq!(shown.matches("aria-current").count(), 1, "{shown}");
        let failed = "href=\"/creator/videos?state=failed\" aria-current=\"page\"";
        assert!(shown.contains(failed), "{shown}");
    }
}
