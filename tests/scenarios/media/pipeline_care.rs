//! What is looked after while nobody asks: orders that nobody took, assets of people who are gone.

use super::stage::{ASSETS, PATIENCE, asset_of, count, creator, film, told, upload, url_of};
use nexus_harness::prelude::*;

const ORDERS: &str = "media.step.requested.v1";

/// A host without the services that do steps.
async fn alone() -> Nexus {
    Nexus::setup().services(&["uploader", "users", "asset-pipeline"]).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_took_is_told_again_and_is_the_same_order() {
    let nexus = alone().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "waiting.mp4", film(1, "64x64")).await;
    let asset = asset_of(&by, &upload).await;
    assert_eq!(told(&nexus, ORDERS).await.len(), 1);
    nexus.advance(minutes(6)).await;
    eventually("it is told again", PATIENCE, async || told(&nexus, ORDERS).await.len() == 2).await;
    let orders = told(&nexus, ORDERS).await;
    assert_eq!(orders[0], orders[1]);
    let now: Value = by.get(&url_of(&asset)).await.ok().json();
    assert_eq!(now["state"], "processing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belonged_to_somebody_who_is_erased_goes_with_them() {
    let nexus = alone().await;
    let (by, other) = (creator(&nexus).await, creator(&nexus).await);
    let mut owner = Value::Null;
    for name in ["one.mp4", "two.mp4"] {
        let upload = upload(&by, name, film(1, "64x64")).await;
        owner = asset_of(&by, &upload).await["owner_id"].clone();
    }
    // Somebody else's stays.
    let kept = upload(&other, "mine.mp4", film(2, "64x64")).await;
    let kept = asset_of(&other, &kept).await;
    let owner = owner.as_str().unwrap();
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let erased = format!(
        "do $$ begin perform platform.event_publish('identity.user.erased.v1', platform.new_id(),
           'users', '{owner}', tenant_id, jsonb_build_object('id', '{owner}'), null, null,
           0::smallint, null) from asset_pipeline.asset limit 1; end $$"
    );
    session.batch(&erased).await.unwrap();
    let left = "select count(*) from asset_pipeline.asset where state <> 'deleted'";
    eventually("theirs are gone", PATIENCE, async || count(&nexus, left).await == 1).await;
    assert_eq!(told(&nexus, "media.asset.deleted.v1").await.len(), 2);
    assert_eq!(told(&nexus, "media.step.withdrawn.v1").await.len(), 2);
    let theirs: Value = by.get(ASSETS).await.ok().json();
    assert_eq!(theirs["items"], json!([]));
    other.get(&url_of(&kept)).await.ok();
}
