//! The rows that all viewers see on their first page: made, and put in order.

use crate::Listed;
use crate::prelude::*;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

pub fn router() -> Router {
    Router::new()
        .route("/creator/rows", get(show).post(create))
        .route("/creator/rows/order", post(order))
}

pub const COLLECTIONS: &str = "/api/content-cms/v1/collections";
const PAGE: &str = "/api/content-cms/v1/pages/home";

/// A row of titles that somebody has put together.
#[derive(Debug, Clone, Deserialize)]
pub struct Collection {
    pub id: Uuid,
    pub name: String,
    #[serde(default)]
    pub synopsis: String,
    #[serde(default)]
    pub size: i64,
    #[serde(default)]
    pub version: i64,
    #[serde(default)]
    pub entries: Vec<Member>,
}

/// A title of a row.
#[derive(Debug, Clone, Deserialize)]
pub struct Member {
    pub title: Uuid,
    pub name: String,
    #[serde(default)]
    pub state: String,
}

impl Member {
    pub fn called(&self) -> String {
        match self.state.as_str() {
            "published" | "" => self.name.clone(),
            _ => format!("{} (not published)", self.name),
        }
    }
}

/// A page of viewers.
#[derive(Debug, Clone, Default, Deserialize)]
struct Shown {
    rows: Vec<Line>,
}

/// What stands on it, as the service takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Collection { collection: Uuid },
    Newest,
    Genre { genre: String },
}

impl Line {
    fn called(&self, collections: &[Collection]) -> String {
        match self {
            Line::Collection { collection } => {
                let found = collections.iter().find(|known| known.id == *collection);
                found.map_or_else(|| "A row that is gone".to_owned(), |known| known.name.clone())
            }
            Line::Newest => "Newest".to_owned(),
            Line::Genre { genre } => format!("Genre: {genre}"),
        }
    }
}

async fn show(visitor: Visitor) -> Answer {
    shown(&visitor, "", &Complaints::none()).await
}

async fn read(visitor: &Visitor) -> Result<(Vec<Collection>, Vec<Line>), Trouble> {
    let all: Listed<Collection> = visitor.need(call("content-cms").get(COLLECTIONS)).await?;
    // Nobody has arranged it yet, when there is none.
    let page: Option<Shown> = visitor.want(call("content-cms").get(PAGE)).await?;
    Ok((all.items, page.unwrap_or_default().rows))
}

async fn shown(visitor: &Visitor, typed: &str, complaints: &Complaints) -> Answer {
    visitor.signed_in()?;
    let (collections, lines) = read(visitor).await?;
    let content = html! {
        (head("Rows", &html! {}))
        (complaints.summary())
        div.beside {
            div.cards { (first_page(&collections, &lines)) (all(&collections)) }
            div.cards {
                section.card {
                    h2 { "New row" }
                    p { "Titles that belong together, in an order that you choose." }
                    form.stack method="post" action="/creator/rows" {
                        (Field::text("name", "Name").value(typed).length_max(200)
                            .show(complaints))
                        div.actions { (submit("Make the row")) }
                    }
                }
            }
        }
    };
    Ok(with_form(visitor, Menu::Rows, "Rows", &content, complaints))
}

fn all(collections: &[Collection]) -> Markup {
    html! {
        section.card {
            h2 { "All rows" }
            @if collections.is_empty() { p.nothing.spaced { "No row yet." } }
            ul.list {
                @for row in collections {
                    li {
                        div.item {
                            (icon::rows())
                            div {
                                p.item-name {
                                    a href={ "/creator/rows/" (row.id) } { (row.name) }
                                }
                                p.item-more { (spoken::count(row.size, "title")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The first page of viewers: its rows in their order, and what can still be put there.
fn first_page(collections: &[Collection], lines: &[Line]) -> Markup {
    let last = lines.len().saturating_sub(1);
    let is_there = |line: &Line| lines.contains(line);
    html! {
        section.card {
            h2 { "What viewers see first" }
            @if lines.is_empty() {
                p {
                    "Nobody has arranged it yet: the newest titles, and a row for each genre. "
                    "Put a row here to arrange it yourself."
                }
            }
            form method="post" action="/creator/rows/order" {
                ol.list.ordered {
                    @for (at, line) in lines.iter().enumerate() {
                        (movable(&line.called(collections), at, last))
                    }
                }
                div.actions.steps-now {
                    @for row in collections {
                        @if !is_there(&Line::Collection { collection: row.id }) {
                            button.second.small type="submit" name="do" value={ "add " (row.id) } {
                                (icon::plus()) (row.name)
                            }
                        }
                    }
                    @if !is_there(&Line::Newest) {
                        button.second.small type="submit" name="do" value="add newest" {
                            (icon::plus()) "Newest"
                        }
                    }
                }
            }
        }
    }
}

/// A line that can be moved and taken away; the buttons say so for this place.
pub fn movable(name: &str, at: usize, last: usize) -> Markup {
    html! {
        li {
            p.item-name { (name) }
            div.actions {
                button.quiet.small type="submit" name="do" value={ "up " (at) }
                    disabled[at == 0] { (icon::up()) span.away { "Move up: " (name) } }
                button.quiet.small type="submit" name="do" value={ "down " (at) }
                    disabled[at == last] { (icon::down()) span.away { "Move down: " (name) } }
                button.quiet.small type="submit" name="do" value={ "remove " (at) } {
                    (icon::cross()) span.away { "Take out: " (name) }
                }
            }
        }
    }
}

/// What a button of a list says.
#[derive(Debug, PartialEq, Eq)]
pub enum Move {
    Up(usize),
    Down(usize),
    Remove(usize),
    Add(String),
}

impl Move {
    pub fn read(said: &str) -> Option<Move> {
        let (verb, object) = said.split_once(' ')?;
        Some(match verb {
            "up" => Move::Up(object.parse().ok()?),
            "down" => Move::Down(object.parse().ok()?),
            "remove" => Move::Remove(object.parse().ok()?),
            "add" => Move::Add(object.to_owned()),
            _ => return None,
        })
    }

    /// The list after it. A place that is no longer there changes nothing.
    pub fn apply<T>(&self, list: &mut Vec<T>, made: impl FnOnce(&str) -> Option<T>) {
        match self {
            Move::Up(at) if *at > 0 && *at < list.len() => list.swap(*at, at - 1),
            Move::Down(at) if at + 1 < list.len() => list.swap(*at, at + 1),
            Move::Remove(at) if *at < list.len() => drop(list.remove(*at)),
            Move::Add(what) => list.extend(made(what)),
            _ => {}
        }
    }
}

async fn create(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let name = posted.text("name");
    let asked = call("content-cms").post(COLLECTIONS).json(&json!({ "name": name }));
    match visitor.ask::<Collection>(asked).await? {
        Ok(made) => {
            let path = format!("/creator/rows/{}", made.value.id);
            Ok(go(&notice::ROW_CREATED.on(&path)))
        }
        Err(refused) => shown(&visitor, name, &Complaints::of(&refused)).await,
    }
}

async fn order(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let Some(change) = Move::read(posted.text("do")) else {
        return Err(Trouble::Malformed);
    };
    let (_, mut lines) = read(&visitor).await?;
    change.apply(&mut lines, |what| match what {
        "newest" => Some(Line::Newest),
        id => id.parse().ok().map(|collection| Line::Collection { collection }),
    });
    let asked = call("content-cms").put(PAGE).json(&json!({ "rows": lines }));
    // A page without rows is one that nobody has arranged.
    let asked = if lines.is_empty() { call("content-cms").delete(PAGE) } else { asked };
    match visitor.ask::<Value>(asked).await? {
        Ok(_) => Ok(go(&notice::SAVED.on("/creator/rows"))),
        Err(refused) => shown(&visitor, "", &Complaints::of(&refused)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(said: &str) -> String {
        let mut list: Vec<char> = "abc".chars().collect();
        let change = Move::read(said).unwrap();
        change.apply(&mut list, |what| what.chars().next());
        list.into_iter().collect()
    }

    #[test]
    fn a_line_moves_by_one_place_and_never_out_of_the_list() {
        for (said, then) in [
            ("up 1", "bac"),
            ("up 0", "abc"),
            ("up 9", "abc"),
            ("down 1", "acb"),
            ("down 2", "abc"),
            ("remove 1", "ac"),
            ("remove 9", "abc"),
            ("add d", "abcd"),
        ] {
            assert_eq!(after(said), then, "{said}");
        }
        for odd in ["", "up", "up x", "fly 1", "up -1"] {
            assert_eq!(Move::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_page_is_written_as_it_was_read() {
        let told = json!([
            { "kind": "collection", "collection": Uuid::nil() },
            { "kind": "newest" },
            { "kind": "genre", "genre": "drama" },
        ]);
        let lines: Vec<Line> = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(serde_json::to_value(&lines).unwrap(), told);
    }
}
