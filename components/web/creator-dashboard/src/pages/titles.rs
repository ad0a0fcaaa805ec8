//! All titles of a creator, and the form by which one begins another.

use super::videos::{rest, tabs};
use crate::film;
use crate::prelude::*;
use crate::title::{self, Title};
use nexus_sdk::prelude::*;
use web_kit::return_to::with_query;

pub fn router() -> Router {
    Router::new()
        .route("/creator/titles", get(show).post(create))
        .route("/creator/titles/new", get(begin))
}

/// On one page.
const SHOWN: &str = "30";

const STATES: [(&str, &str); 7] = [
    ("", "All"),
    ("draft", "Drafts"),
    ("review", "In review"),
    ("scheduled", "Scheduled"),
    ("published", "Published"),
    ("unpublished", "Taken down"),
    ("archived", "Archive"),
];

const KINDS: [(&str, &str); 3] =
    [("film", "Film"), ("series", "Series with episodes"), ("clip", "Clip or trailer")];

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let known = STATES.iter().find(|(state, _)| *state == visitor.query("state"));
    let state = known.map_or("", |(state, _)| state);
    let (words, cursor) = (visitor.query("q"), visitor.query("cursor"));
    let mut pairs = vec![("limit", SHOWN)];
    let named = [("state", state), ("q", words), ("cursor", cursor)];
    pairs.extend(named.iter().filter(|(_, value)| !value.is_empty()));
    let asked = call("content-cms").get(with_query("/api/content-cms/v1/titles", &pairs));
    let listed: crate::Listed<Title> = visitor.need(asked).await?;
    let actions = html! {
        form.search role="search" action="/creator/titles" {
            label.away for="q" { "Search your titles" }
            input #q name="q" type="search" value=(words) placeholder="Search" maxlength="80";
        }
        a.button.primary href="/creator/titles/new" { (icon::plus()) "New title" }
    };
    let content = html! {
        (head("Titles", &actions))
        (tabs("/creator/titles", &STATES, state))
        @if listed.items.is_empty() {
            p.nothing {
                @if state.is_empty() && words.is_empty() {
                    "A title is what your audience sees. "
                    a href="/creator/titles/new" { "Make your first one" }
                } @else {
                    "Nothing was found."
                }
            }
        } @else {
            section.card {
                ul.list { @for title in &listed.items { (title.line(visitor.now())) } }
            }
        }
        (rest("/creator/titles", state, listed.next.as_deref()))
    };
    Ok(studio(&visitor, Menu::Titles, "Titles", &content))
}

/// What a new title begins with.
#[derive(Default)]
struct Beginning {
    name: String,
    kind: String,
    asset: String,
}

async fn form(visitor: &Visitor, typed: &Beginning, complaints: &Complaints) -> Answer {
    let films = film::list(visitor, "?limit=50").await?.items;
    let films = film::options(&films);
    let films: Vec<_> = films.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    let content = html! {
        p.crumbs { a href="/creator/titles" { "Titles" } }
        (head("New title", &html! {}))
        (complaints.summary())
        section.card {
            form.stack method="post" action="/creator/titles" {
                (Field::text("name", "Name").value(&typed.name).length_max(200).show(complaints))
                (Field::choice("kind", "What is it?", &KINDS).value(&typed.kind).show(complaints))
                (Field::choice("asset", "Which film does it show?", &films)
                    .hint("A series shows none itself; its episodes do.")
                    .value(&typed.asset).show(complaints))
                div.actions { (submit("Make the title")) }
            }
        }
    };
    Ok(with_form(visitor, Menu::Titles, "New title", &content, complaints))
}

async fn begin(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    form(&visitor, &Beginning::default(), &Complaints::none()).await
}

async fn create(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let text = |name| posted.text(name).to_owned();
    let typed = Beginning { name: text("name"), kind: text("kind"), asset: text("asset") };
    let asset = Some(&typed.asset).filter(|asset| !asset.is_empty() && typed.kind != "series");
    let draft = json!({ "name": typed.name, "kind": typed.kind, "asset": asset });
    let asked = call("content-cms").post("/api/content-cms/v1/titles").json(&draft);
    match visitor.ask::<title::Title>(asked).await? {
        Ok(made) => Ok(go(&notice::CREATED.on(&made.value.path()))),
        Err(refused) => form(&visitor, &typed, &Complaints::of(&refused)).await,
    }
}
