//! Files that are not taken, and room that is not there.

use super::ground::*;
use http::Method;
use nexus_harness::prelude::*;

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_what_its_bytes_say_and_not_its_name() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    for (bytes, what) in [
        (&b"<!doctype html><script>alert(document.cookie)</script>"[..], "a page"),
        (b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>", "a drawing"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0", "a program"),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0", "another program"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture, for a film"),
    ] {
        let upload = begin(&ada, bytes.len()).await;
        let refused = patch(&ada, &upload, 0, bytes).send().await;
        refused.problem(422, "media-refused");
        let object = shown(&ada, &upload).await;
        assert_eq!(object["state"], "rejected", "{what}: {object}");
        assert_eq!(object["reason"], "media-type", "{what}: {object}");
        assert_eq!(head(&ada, &upload).await.status, 410, "{what}");
        let told = told(&nexus, "media.upload.rejected.v1", &upload).await;
        assert_eq!(told.len(), 1, "{what}");
        assert_eq!(told[0]["reason"], "media-type", "{what}");
        assert!(super::ground::told(&nexus, "media.upload.completed.v1", &upload).await.is_empty());
    }
    assert_eq!(held(&ada).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_refused_before_the_rest_of_it_has_come() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let mut page = b"<!doctype html>".to_vec();
    page.resize(6 * MIB, b' ');
    let upload = begin(&ada, 40 * MIB).await;
    patch(&ada, &upload, 0, &page).send().await.problem(422, "media-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_no_film() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    creation(&ada, 0).send().await.problem(422, "media-refused");
    let list: Value = ada.get(OBJECTS).await.ok().json();
    assert_eq!(list["items"][0]["reason"], "empty", "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_purpose_takes_what_serves_it() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on";
    let vtt = b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n";
    for (purpose, bytes, taken) in [
        ("avatar", &png[..], true),
        ("subtitle", &vtt[..], true),
        ("avatar", &vtt[..], false),
        ("subtitle", &png[..], false),
    ] {
        let metadata = format!("purpose {}", base64(purpose));
        let draft = creation(&ada, bytes.len()).header("upload-metadata", &metadata);
        let upload = draft.send().await.created().url;
        let answer = patch(&ada, &upload, 0, bytes).send().await;
        assert_eq!(answer.status.as_u16(), if taken { 204 } else { 422 }, "{purpose}: {answer:?}");
    }
    let odd = format!("purpose {}", base64("world domination"));
    let refused = creation(&ada, 5).header("upload-metadata", &odd).send().await;
    refused.problem(422, "purpose-unknown");
    let avatar = format!("purpose {}", base64("avatar"));
    let large = creation(&ada, 17 * MIB).header("upload-metadata", &avatar).send().await;
    large.problem(413, "upload-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_promised_once_and_given_back() {
    let nexus = setup().start().await;
    let (ada, bob) = (creator(&nexus).await, creator(&nexus).await);
    let keeper = nexus.member_with(["uploader:manage"]).await;
    let quota: Value = ada.get("/api/uploader/v1/quota").await.ok().json();
    let path = format!("/api/uploader/v1/quota/{}", quota["owner"].as_str().unwrap());
    keeper.put(&path, json!({ "bytes_max": 10_000 })).await.no_content();
    let first = begin(&ada, 6_000).await;
    creation(&ada, 6_000).send().await.problem(413, "quota-reached");
    begin(&bob, 6_000).await;
    ada.delete(&first).await.no_content();
    let second = uploaded(&ada, &film(6_000, 20)).await;
    assert_eq!(held(&ada).await, (6_000, 0));
    creation(&ada, 6_000).send().await.problem(413, "quota-reached");
    // One that says no length is counted as it comes.
    let creation = ada.request(Method::POST, FILES).header("upload-defer-length", "1");
    let open = creation.send().await.created().url;
    patch(&ada, &open, 0, &film(5_000, 21)).send().await.problem(413, "quota-reached");
    ada.delete(&format!("{OBJECTS}/{}", id_of(&second))).await.no_content();
    append(&ada, &open, 0, &film(5_000, 21)).await;
    keeper.delete(&path).await.no_content();
    begin(&ada, 6_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_holds_no_more_than_users_allows() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let bound = "insert into users.quota (tenant_id, name, amount, updated_at, updated_by)
                 select id, 'storage_bytes', 5000, now(), 'test' from users.tenant";
    session.batch(bound).await.unwrap();
    creation(&ada, 6_000).send().await.problem(413, "quota-reached");
    begin(&ada, 5_000).await;
}
