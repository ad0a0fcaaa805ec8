//! The episodes of a series, in their seasons, and the form that adds one.

use super::title::shown;
use crate::Listed;
use crate::film::{self, Film};
use crate::prelude::*;
use crate::title::draft::Draft;
use crate::title::{self, Title};
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

pub fn router() -> Router {
    Router::new().route("/creator/titles/{id}/episodes", post(create))
}

/// The seasons of a series, as part of its page.
pub async fn section(
    visitor: &Visitor,
    series: &Title,
    films: &[Film],
    complaints: &Complaints,
) -> Result<Markup, Trouble> {
    let asked = call("content-cms").get(title::at(series.id, "/episodes"));
    let all: Option<Listed<Title>> = visitor.want(asked).await?;
    let mut seasons: BTreeMap<i32, Vec<Title>> = BTreeMap::new();
    for episode in all.unwrap_or_default().items {
        seasons.entry(episode.season.unwrap_or(1)).or_default().push(episode);
    }
    Ok(html! {
        section.card {
            h2 { "Episodes" }
            @if seasons.is_empty() { p { "None yet. Add the first one below." } }
            @for (season, episodes) in &seasons {
                h3.season { "Season " (season) }
                ul.list { @for episode in episodes { (episode.line(visitor.now())) } }
            }
            (adding(series, films, complaints))
        }
    })
}

fn adding(series: &Title, films: &[Film], complaints: &Complaints) -> Markup {
    let options = film::options(films);
    let options: Vec<_> = options.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    html! {
        details.more {
            summary { "Add an episode" }
            form.stack method="post" action={ (series.path()) "/episodes" } {
                (Field::text("episode_name", "Name of the episode").length_max(200)
                    .show(complaints))
                (Field::choice("episode_asset", "Film of the episode", &options)
                    .show(complaints))
                div.pair {
                    (Field::number("episode_season", "Season").value("1").show(complaints))
                    (Field::number("episode_number", "Number").optional()
                        .hint("Empty is the next one.").show(complaints))
                }
                div.actions { button.second type="submit" { (icon::plus()) "Add the episode" } }
            }
        }
    }
}

async fn create(visitor: Visitor, Path(id): Path<Uuid>, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let number = |name| posted.optional(name).and_then(|text| text.parse::<i32>().ok());
    let mut draft = json!({ "name": posted.text("episode_name") });
    let fields = draft.as_object_mut().ok_or(Trouble::Malformed)?;
    for (field, value) in [
        ("asset", posted.optional("episode_asset").map(|asset| json!(asset))),
        ("season", number("episode_season").map(|season| json!(season))),
        ("number", number("episode_number").map(|number| json!(number))),
    ] {
        if let Some(value) = value {
            fields.insert(field.to_owned(), value);
        }
    }
    let asked = call("content-cms").post(title::at(id, "/episodes")).json(&draft);
    match visitor.ask::<Title>(asked).await? {
        Ok(_) => Ok(go(&notice::EPISODE_ADDED.on(&format!("/creator/titles/{id}")))),
        Err(refused) => {
            let series = title::find(&visitor, id).await?;
            let complaints = Complaints::about(refused.detail.clone());
            shown(&visitor, &series, &Draft::from(&series), &complaints).await
        }
    }
}
