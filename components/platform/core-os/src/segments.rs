//! Segments: named audiences that flags' rules refer to.

use crate::evaluation::{Condition, FlagKey, is_key};
use crate::{Configure, View, store};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    SegmentConditions = 422, "a segment takes 1 to 20 conditions, on attributes alone";
    SegmentInUse = 409, "a flag's rule refers to this segment"
}

pub fn router() -> Router {
    Router::new()
        .route("/segments", get(list))
        .route("/segments/{key}", get(show).put(set).delete(remove))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    pub key: String,
    pub description: String,
    pub conditions: Vec<Condition>,
    pub version: i64,
    pub updated_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default)]
    description: String,
    conditions: Vec<Condition>,
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Segment>> {
    store::segments(by.db(), &cursor).await
}

async fn show(by: Allowed<View>, Path(key): Path<String>) -> Result<Json<Segment>> {
    store::segment(by.db(), &key).await.map(Json)
}

async fn set(
    by: Allowed<Configure>,
    Path(key): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<Json<Segment>> {
    if !is_key(&key) {
        return Err(FlagKey.into());
    }
    let attributes = draft.conditions.iter().all(|c| matches!(c, Condition::Attribute { .. }));
    if !attributes || !(1..=20).contains(&draft.conditions.len()) {
        return Err(SegmentConditions.at("conditions").into());
    }
    by.commit(store::put_segment(&key, &draft.description, draft.conditions, by.now())).await?;
    store::segment(by.db(), &key).await.map(Json)
}

async fn remove(by: Allowed<Configure>, Path(key): Path<String>) -> Result<NoContent> {
    let flags = store::live_flags(by.db()).await?;
    let refers = |condition: &Condition| matches!(condition, Condition::Segment(k) if *k == key);
    if flags.iter().flat_map(|flag| &flag.rules).any(|rule| rule.when.iter().any(refers)) {
        return Err(SegmentInUse.into());
    }
    by.commit(store::remove_segment(&key).or_refuse(standard::NotFound)).await
}
