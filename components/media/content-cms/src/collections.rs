//! Collections: titles in an order that somebody has chosen, a row of a page.

use crate::content::{self, Kind, Localised};
use crate::workflow::State;
use crate::{Curate, store};
use media_contract::content_cms::{CollectionId, TitleId};
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

nexus_sdk::refusals! {
    CollectionForm = 422, "a collection has a name of 1 to 200 and a synopsis of at most 5,000 \
                           characters, and the same in at most 60 languages";
    EntriesMax = 422, "a collection has at most 200 titles, each once";
    TitleUnknown = 422, "there is no title with one of these ids"
}

const ENTRIES_MAX: usize = 200;

pub fn router() -> Router {
    Router::new()
        .route("/collections", get(list).post(create))
        .route("/collections/{id}", get(show).patch(edit).delete(remove))
        .route("/collections/{id}/entries", put(fill))
}

/// A row of a page.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Collection {
    pub id: CollectionId,
    pub name: String,
    pub synopsis: String,
    /// By language, BCP 47.
    pub localisations: BTreeMap<String, Localised>,
    /// How many titles it has.
    pub size: i64,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A title of a collection, whether viewers see it or not.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    pub title: TitleId,
    pub name: String,
    pub kind: Kind,
    pub state: State,
}

/// A collection with its titles, in order.
#[derive(Serialize, JsonSchema)]
struct Whole {
    #[serde(flatten)]
    collection: Collection,
    entries: Vec<Entry>,
}

/// What is said of a collection; in a change, what is absent stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    name: Option<String>,
    synopsis: Option<String>,
    localisations: Option<BTreeMap<String, Localised>>,
}

impl Said {
    fn onto(self, collection: Collection) -> Result<Collection, Refusal> {
        let name = self.name.unwrap_or(collection.name);
        let name = content::line(&name, 200).ok_or_else(|| CollectionForm.at("name"))?;
        let synopsis = self.synopsis.unwrap_or(collection.synopsis);
        let localisations = self.localisations.unwrap_or(collection.localisations);
        let fits = |(tag, it): (&String, &Localised)| {
            content::is_language(tag)
                && content::line(&it.name, 200).is_some()
                && content::is_text(&it.synopsis)
        };
        if !content::is_text(&synopsis) {
            return Err(CollectionForm.at("synopsis"));
        }
        if localisations.len() > 60 || !localisations.iter().all(fits) {
            return Err(CollectionForm.at("localisations"));
        }
        Ok(Collection { name, synopsis, localisations, ..collection })
    }
}

async fn list(by: Allowed<Curate>, cursor: Cursor) -> Result<Page<Collection>> {
    store::collections::list(by.db(), &cursor).await
}

async fn create(by: Allowed<Curate>, Json(said): Json<Said>) -> Result<Created<Collection>> {
    let empty = Collection {
        id: by.new_id(),
        name: String::new(),
        synopsis: String::new(),
        localisations: BTreeMap::new(),
        size: 0,
        version: 1,
        created_at: by.now(),
        updated_at: by.now(),
    };
    let collection = said.onto(empty)?;
    by.commit(store::collections::insert(&collection)).await?;
    Ok(Created(collection))
}

async fn show(by: Allowed<Curate>, Path(id): Path<CollectionId>) -> Result<Tagged<Json<Whole>>> {
    let collection = store::collections::find(by.db(), id).await?;
    let entries = store::collections::entries(by.db(), id).await?;
    let tag = Etag::of_version(collection.version);
    Ok(Tagged(tag, Json(Whole { collection, entries })))
}

async fn edit(
    by: Allowed<Curate>,
    Path(id): Path<CollectionId>,
    version: IfMatch,
    Json(said): Json<Said>,
) -> Result<NoContent> {
    let before = store::collections::find(by.db(), id).await?;
    version.allow(&Etag::of_version(before.version))?;
    let after = said.onto(before)?;
    by.commit(store::collections::save(&after, by.now())).await
}

async fn remove(by: Allowed<Curate>, Path(id): Path<CollectionId>) -> Result<NoContent> {
    store::collections::find(by.db(), id).await?;
    by.commit([store::collections::delete(id), store::collections::empty(id)]).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// All of them, first to last.
    titles: Vec<TitleId>,
}

async fn fill(
    by: Allowed<Curate>,
    Path(id): Path<CollectionId>,
    version: Option<IfMatch>,
    Json(order): Json<Order>,
) -> Result<NoContent> {
    let collection = store::collections::find(by.db(), id).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(collection.version))?;
    }
    let mut once = order.titles.clone();
    once.sort();
    once.dedup();
    if once.len() != order.titles.len() || once.len() > ENTRIES_MAX {
        return Err(EntriesMax.at("titles").into());
    }
    by.commit([
        store::collections::save(&collection, by.now()),
        store::collections::empty(id),
        store::collections::fill(id, &order.titles).or_refuse(TitleUnknown.at("titles")),
    ])
    .await
}
