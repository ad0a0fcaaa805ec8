//! One row: its name, its titles and their order.

use super::rows::{COLLECTIONS, Collection, Move, movable};
use crate::Listed;
use crate::prelude::*;
use crate::title::Title;
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

pub fn router() -> Router {
    Router::new()
        .route("/creator/rows/{id}", get(show).post(rename))
        .route("/creator/rows/{id}/entries", post(order))
        .route("/creator/rows/{id}/delete", post(remove))
}

fn at(id: Uuid, rest: &str) -> String {
    format!("{COLLECTIONS}/{id}{rest}")
}

async fn find(visitor: &Visitor, id: Uuid) -> Result<Collection, Trouble> {
    visitor.need(call("content-cms").get(at(id, ""))).await
}

async fn show(visitor: Visitor, Path(id): Path<Uuid>) -> Answer {
    visitor.signed_in()?;
    let row = find(&visitor, id).await?;
    shown(&visitor, &row, &Complaints::none()).await
}

async fn shown(visitor: &Visitor, row: &Collection, complaints: &Complaints) -> Answer {
    // Only what is published is seen in a row; what will be may stand there already.
    let asked = call("content-cms").get("/api/content-cms/v1/titles?limit=100");
    let titles: Option<Listed<Title>> = visitor.want(asked).await?;
    let titles: Vec<_> = titles.unwrap_or_default().items;
    let free = titles.iter().filter(|title| {
        title.kind != "episode" && !row.entries.iter().any(|entry| entry.title == title.id)
    });
    let path = format!("/creator/rows/{}", row.id);
    let last = row.entries.len().saturating_sub(1);
    let content = html! {
        p.crumbs { a href="/creator/rows" { "Rows" } }
        (head(&row.name, &html! {}))
        (complaints.summary())
        div.beside {
            section.card {
                h2 { "Titles, in their order" }
                @if row.entries.is_empty() { p.nothing.spaced { "None yet." } }
                form method="post" action={ (path) "/entries" } {
                    ol.list.ordered {
                        @for (at, entry) in row.entries.iter().enumerate() {
                            (movable(&entry.called(), at, last))
                        }
                    }
                }
                form.stack method="post" action={ (path) "/entries" } {
                    div.field {
                        label for="title" { "Put a title into it" }
                        select #title name="title" {
                            @for title in free {
                                option value=(title.id) {
                                    (title.name) " (" (title.kind_word()) ")"
                                }
                            }
                        }
                    }
                    div.actions {
                        button.second type="submit" name="do" value="add title" {
                            (icon::plus()) "Put it in"
                        }
                    }
                }
            }
            div.cards {
                section.card {
                    h2 { "The row" }
                    form.stack method="post" action=(path) {
                        (hidden("version", &row.version.to_string()))
                        (Field::text("name", "Name").value(&row.name).length_max(200)
                            .show(complaints))
                        (Field::area("synopsis", "A few words about it", 3)
                            .value(&row.synopsis).optional().show(complaints))
                        div.actions { (submit("Save")) }
                    }
                }
                details.card {
                    summary { "Delete this row" }
                    p { "Its titles stay." }
                    form.stack method="post" action={ (path) "/delete" } {
                        div.actions {
                            button.danger type="submit" { (icon::bin()) "Delete the row" }
                        }
                    }
                }
            }
        }
    };
    Ok(with_form(visitor, Menu::Rows, &row.name, &content, complaints))
}

async fn rename(visitor: Visitor, Path(id): Path<Uuid>, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let version = HeaderValue::try_from(format!("\"{}\"", posted.text("version")));
    let version = version.map_err(|_| Trouble::Malformed)?;
    let (name, synopsis) = (posted.text("name"), posted.text("synopsis"));
    let asked = call("content-cms").patch(at(id, "")).header(header::IF_MATCH, version);
    let asked = asked.json(&json!({ "name": name, "synopsis": synopsis }));
    match visitor.ask::<Value>(asked).await? {
        Ok(_) => Ok(go(&notice::SAVED.on(&format!("/creator/rows/{id}")))),
        Err(refused) => {
            let row = find(&visitor, id).await?;
            let typed = Collection { name: name.into(), synopsis: synopsis.into(), ..row };
            shown(&visitor, &typed, &Complaints::of(&refused)).await
        }
    }
}

async fn order(visitor: Visitor, Path(id): Path<Uuid>, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let Some(change) = Move::read(posted.text("do")) else {
        return Err(Trouble::Malformed);
    };
    let row = find(&visitor, id).await?;
    let mut titles: Vec<Uuid> = row.entries.iter().map(|entry| entry.title).collect();
    change.apply(&mut titles, |_| posted.text("title").parse().ok());
    let asked = call("content-cms").put(at(id, "/entries")).json(&json!({ "titles": titles }));
    match visitor.ask::<Value>(asked).await? {
        Ok(_) => Ok(go(&notice::SAVED.on(&format!("/creator/rows/{id}")))),
        Err(refused) => shown(&visitor, &row, &Complaints::of(&refused)).await,
    }
}

async fn remove(visitor: Visitor, Path(id): Path<Uuid>, _form: Posted) -> Answer {
    visitor.signed_in()?;
    match visitor.ask::<Value>(call("content-cms").delete(at(id, ""))).await? {
        Ok(_) => Ok(go(&notice::ROW_DELETED.on("/creator/rows"))),
        Err(refused) => {
            let row = find(&visitor, id).await?;
            shown(&visitor, &row, &Complaints::of(&refused)).await
        }
    }
}
