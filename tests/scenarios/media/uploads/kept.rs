//! What is kept, how often, and for how long.

use super::ground::*;
use nexus_harness::prelude::*;

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_of_one_owner_are_kept_once() {
    let nexus = setup().start().await;
    let (ada, bob) = (creator(&nexus).await, creator(&nexus).await);
    let film = film(6 * MIB, 30);
    let first = uploaded(&ada, &film).await;
    let second = uploaded(&ada, &film).await;
    let others = uploaded(&bob, &film).await;
    assert_eq!(shown(&ada, &first).await["same_as"], Value::Null);
    assert_eq!(shown(&ada, &second).await["same_as"], id_of(&first));
    assert_eq!(shown(&bob, &others).await["same_as"], Value::Null);
    assert_eq!(held(&ada).await, (film.len() as i64, 0));
    let told = told(&nexus, "media.upload.completed.v1", &second).await;
    assert_eq!(told[0]["object"]["key"], format!("uploads/{}", id_of(&first)));
    // The first goes, its bytes stay for the second.
    ada.delete(&format!("{OBJECTS}/{}", id_of(&first))).await.no_content();
    ada.get(&format!("{OBJECTS}/{}", id_of(&first))).await.problem(404, "not-found");
    assert!(content(&ada, &second).await == film, "the bytes are others");
    assert_eq!(held(&ada).await, (film.len() as i64, 0));
    let path = format!("{OBJECTS}/{}/content", id_of(&second));
    let link = ada.get(&path).await.status(307).header("location").unwrap().to_owned();
    ada.delete(&format!("{OBJECTS}/{}", id_of(&second))).await.no_content();
    ada.get(&link).await.problem(404, "no-such-blob");
    assert_eq!(held(&ada).await, (0, 0));
    assert!(content(&bob, &others).await == film, "the bytes are others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_the_latest_first_and_only_ones_own() {
    let nexus = setup().start().await;
    let (ada, bob) = (creator(&nexus).await, creator(&nexus).await);
    let first = uploaded(&ada, &film(2_000, 31)).await;
    let second = begin(&ada, 9_000).await;
    uploaded(&bob, &film(2_000, 32)).await;
    let list: Value = ada.get(OBJECTS).await.ok().json();
    let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [id_of(&second), id_of(&first)], "{list}");
    let other = shown(&bob, &uploaded(&bob, &film(2_100, 33)).await).await;
    let theirs = format!("{OBJECTS}?owner={}", other["owner"].as_str().unwrap());
    ada.get(&theirs).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_goes_on_with_is_forgotten() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(6 * MIB, 34);
    let upload = begin(&ada, 9 * MIB).await;
    append(&ada, &upload, 0, &film).await;
    nexus.advance(hours(25)).await;
    assert_eq!(head(&ada, &upload).await.status, 410);
    patch(&ada, &upload, film.len(), b"x").send().await.problem(410, "upload-gone");
    eventually("the upload is gone", seconds(60), async || head(&ada, &upload).await.status == 404)
        .await;
    assert_eq!(held(&ada).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_finishing_was_cut_off_is_finished_by_itself() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(2_000, 35);
    let upload = begin(&ada, film.len()).await;
    append(&ada, &upload, 0, &film[..1_999]).await;
    // As a host leaves it that dies after the bytes were safe and before anything else.
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let id = id_of(&upload);
    let died = format!(
        "insert into uploader.tail (tenant_id, upload_id, starts, bytes)
           select tenant_id, id, 1999, '\\x{last:02x}' from uploader.upload where id = '{id}';
         update uploader.upload set state = 'received', received = 2000, sha256 = '{digest}',
           media_type = 'video/mp4', holder = gen_random_uuid(),
           held_until = clock_timestamp() + interval '1 second' where id = '{id}'",
        last = film[1_999],
        digest = sha256(&film),
    );
    session.batch(&died).await.unwrap();
    eventually("the upload is completed", seconds(90), async || {
        shown(&ada, &upload).await["state"] == "completed"
    })
    .await;
    assert!(content(&ada, &upload).await == film, "the bytes are others");
    assert_eq!(told(&nexus, "media.upload.completed.v1", &upload).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_somebody_who_is_erased() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let whole = uploaded(&ada, &film(6 * MIB, 36)).await;
    let partly = begin(&ada, 9_000).await;
    append(&ada, &partly, 0, &film(500, 37)).await;
    let owner = shown(&ada, &whole).await["owner"].as_str().unwrap().to_owned();
    let users = nexus.host().database().unwrap().service("users").await.unwrap();
    let tell = "select platform.publish('identity.user.erased.v1', gen_random_uuid(), $1,
                  (select id from users.tenant), jsonb_build_object('id', $1::text), null)";
    users.execute(tell, &[&owner]).await.unwrap();
    eventually("the uploads are gone", seconds(60), async || {
        let list: Value = ada.get(OBJECTS).await.ok().json();
        list["items"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    assert_eq!(held(&ada).await, (0, 0));
}
