//! What becomes of an upload until it can be played.

use super::stage::{
    ASSETS, PATIENCE, asset_of, becomes, count, creator, film, steps, studio, told, tone, upload,
    url_of,
};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_be_played_soon_and_is_ready_when_all_of_it_is_made() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "My_Holiday.mp4", film(6, "640x360")).await;
    let asset = asset_of(&by, &upload).await;
    assert_eq!(asset["title"], "My Holiday");
    let ready = becomes(&by, &asset, "ready").await;
    assert_eq!(ready["degraded"], false, "{ready:#}");
    let (playable, whole) = (ready["playable_at"].as_str(), ready["ready_at"].as_str());
    assert!(playable.is_some() && playable < whole, "{ready:#}");
    assert_eq!(ready["facts"]["video"]["shown_height"], 360);
    assert_eq!(ready["facts"]["audio"][0]["codec"], "aac");
    assert!((5900..=6100).contains(&ready["duration_ms"].as_i64().unwrap()), "{ready:#}");
    let steps = steps(&by, &ready).await;
    for step in ["probe", "metadata", "thumbnail", "transcode fast", "transcode ladder"] {
        assert!(steps.contains(&format!("{step}: succeeded")), "{step}: {steps:?}");
    }
    // The first tracks were there to be early: in the end others are played.
    let first = told(&nexus, "media.asset.playable.v1").await;
    assert_eq!(first[0]["tracks"], json!(["f360", "a0"]));
    let last = told(&nexus, "media.asset.ready.v1").await;
    assert_eq!(last[0]["tracks"], json!(["a0", "v234", "v360"]));
    let used = told(&nexus, "media.usage.recorded.v1").await;
    assert_eq!(used.len(), 2);
    assert!(used.iter().all(|used| used["cpu_seconds"].as_f64() > Some(0.0)), "{used:?}");
    // Where it was recorded is kept nowhere.
    let item = format!("/api/media-metadata/v1/items/{}", ready["id"].as_str().unwrap());
    let item: Value = by.get(&item).await.ok().json();
    assert_eq!(item["tags"], json!({ "title": "A test" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone_is_ready_without_pictures() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "song.flac", tone(5)).await;
    let ready = becomes(&by, &asset_of(&by, &upload).await, "ready").await;
    assert!(ready["facts"]["video"].is_null());
    let steps = steps(&by, &ready).await;
    assert_eq!(steps.len(), 3, "{steps:?}");
    assert_eq!(told(&nexus, "media.asset.ready.v1").await[0]["tracks"], json!(["a0"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_film_fails_with_a_reason_that_programs_can_read() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    // It begins like a film, so that it passes for one at the door.
    let mut bytes = film(1, "64x64");
    let half = bytes.len() / 2;
    bytes.truncate(48);
    bytes.resize(half.max(4096), 0x55);
    let upload = upload(&by, "broken.mp4", bytes).await;
    let asset = asset_of(&by, &upload).await;
    let failed = becomes(&by, &asset, "failed").await;
    let code = failed["failure"]["code"].as_str().unwrap();
    assert!(["unreadable", "no-media-streams", "truncated"].contains(&code), "{failed:#}");
    assert!(failed["package_id"].is_null());
    assert_eq!(steps(&by, &failed).await, ["probe: failed"]);
    let told = told(&nexus, "media.asset.failed.v1").await;
    assert_eq!((told.len(), &told[0]["reason"]["code"]), (1, &json!(code)));
    // Only what failed is tried again.
    by.post(&format!("{}/retry", url_of(&asset)), json!({})).await.status(202);
    let again = becomes(&by, &asset, "failed").await;
    assert_eq!(again["run_id"], failed["run_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_twice_is_done_once() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "twice.mp4", film(2, "160x120")).await;
    let asset = asset_of(&by, &upload).await;
    let ready = becomes(&by, &asset, "ready").await;
    // Every fact that the pipeline and the steps' services heard, once more under new ids.
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let again = "select platform.event_publish(e.topic, platform.new_id(), e.source, e.subject,
          e.tenant_id, e.payload, e.trace, null, 0::smallint, null)
        from platform.event e
        where e.topic in ('media.upload.completed.v1', 'media.step.requested.v1',
          'media.step.started.v1', 'media.step.done.v1', 'media.probe_job.settled.v1',
          'media.transcode_job.settled.v1', 'media.thumbnail_job.settled.v1')";
    session
        .batch(&format!("do $$ begin perform count(*) from ({again}) told; end $$"))
        .await
        .unwrap();
    let waiting = "select count(*) from platform.queue_ready";
    eventually("all of it is heard", PATIENCE, async || {
        let leased = count(&nexus, "select count(*) from platform.queue_lease").await;
        leased == 0 && count(&nexus, waiting).await == 0
    })
    .await;
    let now: Value = by.get(&url_of(&asset)).await.ok().json();
    assert_eq!(now["updated_at"], ready["updated_at"]);
    assert_eq!(count(&nexus, "select count(*) from asset_pipeline.asset").await, 1);
    assert_eq!(count(&nexus, "select count(*) from asset_pipeline.run").await, 1);
    assert_eq!(told(&nexus, "media.asset.ready.v1").await.len(), 1);
    // A probe, two lanes and the pictures.
    assert_eq!(count(&nexus, "select count(*) from platform.job").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_is_deleted_is_gone_with_all_that_was_made_of_it() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "gone.mp4", film(2, "160x120")).await;
    let asset = asset_of(&by, &upload).await;
    let ready = becomes(&by, &asset, "ready").await;
    let package = ready["package_id"].as_str().unwrap().to_owned();
    assert!(objects(&nexus, &package) > 0);
    // Nobody else sees it, nor can they delete it.
    let other = creator(&nexus).await;
    other.get(&url_of(&asset)).await.problem(404, "not-found");
    other.delete(&url_of(&asset)).await.problem(404, "not-found");
    by.delete(&url_of(&asset)).await.no_content();
    by.get(&url_of(&asset)).await.problem(404, "not-found");
    let told = told(&nexus, "media.asset.deleted.v1").await;
    assert_eq!(told[0]["packages"], json!([package]));
    nexus.advance(minutes(2)).await;
    eventually("its objects are collected", PATIENCE, async || objects(&nexus, &package) == 0)
        .await;
    eventually("nothing is known of it", PATIENCE, async || {
        let items = "select (select count(*) from media_metadata.item)
          + (select count(*) from thumbnailer.item)";
        count(&nexus, items).await == 0
    })
    .await;
}

/// Files of the host's object folder whose path names a package.
fn objects(nexus: &Nexus, package: &str) -> usize {
    fn count(folder: &std::path::Path, package: &str) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| match entry.path() {
                path if path.is_dir() => count(&path, package),
                path => usize::from(path.to_string_lossy().contains(package)),
            })
            .sum()
    }
    count(&nexus.host().home().join("blobs"), package)
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_stopped_ends_and_can_be_taken_up_again() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "long.mp4", film(20, "640x360")).await;
    let asset = asset_of(&by, &upload).await;
    let running = "select count(*) from transcoder.job where state = 'running'";
    eventually("something is made of it", PATIENCE, async || count(&nexus, running).await > 0)
        .await;
    by.post(&format!("{}/cancel", url_of(&asset)), json!({})).await.no_content();
    by.post(&format!("{}/cancel", url_of(&asset)), json!({})).await.problem(409, "nothing-runs");
    let now: Value = by.get(&url_of(&asset)).await.ok().json();
    assert_eq!(now["failure"]["code"], "cancelled");
    eventually("the workers stop", PATIENCE, async || {
        count(&nexus, "select count(*) from platform.job where finished_at is null").await == 0
    })
    .await;
    by.post(&format!("{}/retry", url_of(&asset)), json!({})).await.status(202);
    let ready = becomes(&by, &asset, "ready").await;
    assert_eq!((&ready["failure"], &ready["degraded"]), (&Value::Null, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_anew_makes_another_package_and_the_old_one_is_played_until_then() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "again.mp4", film(2, "160x120")).await;
    let made = asset_of(&by, &upload).await;
    // An upload is an asset once, also for whoever asks for it; and nobody else's.
    let order = json!({ "upload_id": upload, "title": "Again" });
    let same: Value = by.post(ASSETS, &order).await.status(201).json();
    assert_eq!(made["id"], same["id"]);
    let stranger = creator(&nexus).await;
    stranger.post(ASSETS, &order).await.problem(422, "upload-unknown");
    let first = becomes(&by, &made, "ready").await;
    let process = format!("{}/process", url_of(&made));
    let begun: Value = by.post(&process, json!({})).await.status(202).json();
    assert_eq!(begun["package_id"], first["package_id"]);
    let second = becomes(&by, &made, "ready").await;
    assert_ne!(second["package_id"], first["package_id"]);
    let old = first["package_id"].as_str().unwrap();
    nexus.advance(days(2)).await;
    eventually("the old package is collected", PATIENCE, async || objects(&nexus, old) == 0).await;
    assert!(objects(&nexus, second["package_id"].as_str().unwrap()) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_sees_work_move_until_it_is_over() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "watched.mp4", film(4, "320x240")).await;
    let asset = asset_of(&by, &upload).await;
    let url = format!("{}/progress", url_of(&asset));
    let mut events = by.request("GET".parse().unwrap(), &url).stream().await.status(200);
    assert_eq!(events.headers["content-type"], "text/event-stream");
    let mut fractions = Vec::new();
    let mut last = String::new();
    while let Some(line) = events.line().await.unwrap() {
        if let Some(name) = line.strip_prefix("event: ") {
            last = name.to_owned();
        }
        if let Some(data) = line.strip_prefix("data: ") {
            let progress: Value = serde_json::from_str(data).unwrap();
            fractions.push(progress["fraction"].as_f64().unwrap());
        }
    }
    assert_eq!((last.as_str(), fractions.last()), ("end", Some(&1.0)));
    assert!(fractions.is_sorted(), "{fractions:?}");
}
