//! What the stories of titles begin with: a host with `content-cms` alone, creators, and assets of
//! which it only hears.

use crate::media::stage::PATIENCE;
use nexus_harness::prelude::*;
use nexus_runtime::DEFAULT_TENANT;
use uuid::Uuid;

pub const TITLES: &str = "/api/content-cms/v1/titles";
pub const BROWSE: &str = "/api/content-cms/v1/browse";

pub async fn desk() -> Nexus {
    Nexus::setup().services(&["content-cms", "profiles", "users"]).start().await
}

/// Somebody who may make titles, and sees their own only.
pub async fn creator(nexus: &Nexus) -> Client {
    nexus.member_with(["content-cms:create"]).await
}

/// Who a creator is: the owner of a title that is made for it.
pub async fn subject(by: &Client) -> String {
    let draft = json!({ "kind": "series", "name": format!("Who {}", Uuid::now_v7()) });
    let made = by.post(TITLES, &draft).await.created();
    by.delete(&made.url).await.no_content();
    made.json["owner"].as_str().unwrap().to_owned()
}

/// A fact of another service, as the queue has it.
pub async fn tell(nexus: &Nexus, topic: &str, source: &str, subject: &str, payload: &Value) {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let fact = format!(
        "do $$ begin perform platform.event_publish('{topic}', platform.new_id(), '{source}',
           '{subject}', '{DEFAULT_TENANT}', '{payload}'::jsonb, null, null, 0::smallint, null);
         end $$"
    );
    session.batch(&fact).await.unwrap();
}

/// An asset that is being processed.
pub async fn uploaded(nexus: &Nexus, owner: &str) -> String {
    let asset = Uuid::now_v7().to_string();
    let payload =
        json!({ "asset": asset, "owner": owner, "upload": Uuid::now_v7(), "title": "A file" });
    tell(nexus, "media.asset.created.v1", "asset-pipeline", &asset, &payload).await;
    let known = format!("select count(*) from content_cms.asset where id = '{asset}'");
    eventually("the asset is known", PATIENCE, async || count(nexus, &known).await == 1).await;
    asset
}

/// Tells that an asset can be played.
pub async fn processed(nexus: &Nexus, owner: &str, asset: &str) {
    let payload = json!({ "asset": asset, "owner": owner, "package": Uuid::now_v7(),
        "duration_ms": 9_000, "tracks": ["v720", "a0"] });
    tell(nexus, "media.asset.playable.v1", "asset-pipeline", asset, &payload).await;
    let known =
        format!("select count(*) from content_cms.asset where id = '{asset}' and is_playable");
    eventually("the asset can be played", PATIENCE, async || count(nexus, &known).await == 1).await;
}

pub async fn deleted(nexus: &Nexus, owner: &str, asset: &str) {
    let payload =
        json!({ "asset": asset, "owner": owner, "upload": Uuid::now_v7(), "packages": [] });
    tell(nexus, "media.asset.deleted.v1", "asset-pipeline", asset, &payload).await;
}

/// An asset that can be played.
pub async fn playable(nexus: &Nexus, owner: &str) -> String {
    let asset = uploaded(nexus, owner).await;
    processed(nexus, owner, &asset).await;
    asset
}

pub async fn count(nexus: &Nexus, sql: &str) -> i64 {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    session.query(sql, &[]).await.unwrap()[0].get(0)
}

/// A film of an asset, not shown to anybody yet.
pub async fn film(by: &Client, name: &str, asset: &str) -> String {
    by.post(TITLES, json!({ "name": name, "asset": asset })).await.created().url
}

/// A film that viewers see.
pub async fn shown(by: &Client, name: &str, asset: &str) -> String {
    let url = film(by, name, asset).await;
    step(by, &url, "publish", json!({})).await;
    url
}

/// Takes a step that is allowed, and gives the title after it.
pub async fn step(by: &Client, url: &str, step: &str, said: Value) -> Value {
    by.post(&format!("{url}/{step}"), said).await.ok().json()
}

pub async fn title(by: &Client, url: &str) -> Value {
    by.get(url).await.ok().json()
}

/// The title once it is in a state.
pub async fn becomes(by: &Client, url: &str, state: &str) -> Value {
    let mut now = Value::Null;
    eventually(&format!("the title is {state}"), PATIENCE, async || {
        now = title(by, url).await;
        now["state"] == state
    })
    .await;
    now
}

/// Names of what a viewer finds at an address, in order.
pub async fn names(by: &Client, address: &str) -> Vec<String> {
    let found: Value = by.get(address).await.ok().json();
    let items = found["items"].as_array().unwrap().iter();
    items.map(|card| card["name"].as_str().unwrap().to_owned()).collect()
}

/// Rows of a page: their ids, and names of what is in them.
pub async fn rows(by: &Client, address: &str) -> Vec<(String, Vec<String>)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let page: Value = by.get(address).await.ok().json();
    let rows = page["rows"].as_array().unwrap().iter();
    rows.map(|row| {
        let titles = row["titles"].as_array().unwrap().iter();
        (word(&row["id"]), titles.map(|card| word(&card["name"])).collect())
    })
    .collect()
}

pub fn id_of(url: &str) -> String {
    url.rsplit('/').next().unwrap().to_owned()
}
