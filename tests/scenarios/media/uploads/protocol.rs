//! What a client of tus 1.0.0 may count on.

use super::ground::*;
use http::Method;
use nexus_harness::prelude::*;
use sha1::Digest as _;

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn anybody_learns_what_is_spoken_here() {
    let nexus = setup().start().await;
    let told = nexus.anonymous().request(Method::OPTIONS, FILES).send().await.no_content();
    assert_eq!(told.header("tus-version"), Some("1.0.0"));
    assert_eq!(told.header("tus-max-size"), Some("137438953472"));
    assert_eq!(told.header("tus-checksum-algorithm"), Some("sha1,sha256,crc32c"));
    let spoken = told.header("tus-extension").unwrap();
    for extension in ["creation", "creation-with-upload", "expiration", "concatenation"] {
        assert!(spoken.split(',').any(|said| said == extension), "{spoken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_in_pieces_arrives_whole_and_is_told_once() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(11 * MIB + 77, 1);
    let upload = begin(&ada, film.len()).await;
    let before = head(&ada, &upload).await.ok();
    assert_eq!(before.header("upload-length"), Some(film.len().to_string().as_str()));
    assert_eq!(before.header("cache-control"), Some("no-store"));
    assert!(before.header("upload-expires").is_some_and(|at| at.ends_with("GMT")), "{before:?}");
    assert!(before.header("upload-metadata").unwrap().starts_with("filename "), "{before:?}");
    assert_eq!(held(&ada).await, (0, film.len() as i64));
    for (start, end) in [(0, 100), (100, 100), (100, 6 * MIB), (6 * MIB, film.len())] {
        append(&ada, &upload, start, &film[start..end]).await;
        assert_eq!(offset(&ada, &upload).await, end);
    }
    let object = shown(&ada, &upload).await;
    assert_eq!(object["state"], "completed", "{object}");
    assert_eq!(object["sha256"], sha256(&film), "{object}");
    assert_eq!(object["media_type"], "video/mp4", "{object}");
    assert_eq!(object["scan"], "not_scanned", "{object}");
    assert_eq!(object["file_name"], "a film.mp4", "{object}");
    assert!(content(&ada, &upload).await == film, "the bytes are others");
    let told = told(&nexus, "media.upload.completed.v1", &upload).await;
    let [told] = &told[..] else { panic!("told {} times: {told:?}", told.len()) };
    assert_eq!(told["bytes"], film.len(), "{told}");
    assert_eq!(told["sha256"], sha256(&film), "{told}");
    let key = format!("uploads/{}", id_of(&upload));
    assert_eq!(told["object"], json!({ "bucket": "media", "key": key }), "{told}");
    assert_eq!(held(&ada).await, (film.len() as i64, 0));
    // Nothing at the end is what was asked for.
    append(&ada, &upload, film.len(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_come_along_with_its_creation() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(70_000, 2);
    let creation =
        creation(&ada, film.len()).header("content-type", "application/offset+octet-stream");
    let answer = creation.body(film[..50_000].to_vec()).send().await.status(201);
    assert_eq!(answer.header("upload-offset"), Some("50000"), "{answer:?}");
    let upload = answer.header("location").unwrap().to_owned();
    append(&ada, &upload, 50_000, &film[50_000..]).await;
    assert_eq!(shown(&ada, &upload).await["sha256"], sha256(&film));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_may_be_said_later_and_only_once() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(6 * MIB, 3);
    let creation = ada.request(Method::POST, FILES).header("upload-defer-length", "1");
    let upload = creation.send().await.created().url;
    append(&ada, &upload, 0, &film[..5 * MIB + 9]).await;
    let stands = head(&ada, &upload).await.ok();
    assert_eq!(stands.header("upload-defer-length"), Some("1"), "{stands:?}");
    assert_eq!(stands.header("upload-length"), None, "{stands:?}");
    assert_eq!(held(&ada).await, (0, 5 * MIB as i64 + 9));
    let rest = patch(&ada, &upload, 5 * MIB + 9, &film[5 * MIB + 9..6 * MIB - 1]);
    let length = film.len().to_string();
    rest.header("upload-length", &length).send().await.no_content();
    let last = patch(&ada, &upload, 6 * MIB - 1, &film[6 * MIB - 1..]);
    let other = last.header("upload-length", "9999999").send().await;
    other.problem(400, "length-fixed");
    append(&ada, &upload, 6 * MIB - 1, &film[6 * MIB - 1..]).await;
    assert_eq!(shown(&ada, &upload).await["sha256"], sha256(&film));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_chunk_that_is_not_the_one_meant_nothing_is_kept() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(12 * MIB, 4);
    let upload = begin(&ada, film.len()).await;
    append(&ada, &upload, 0, &film[..1000]).await;
    let chunk = &film[1000..11 * MIB];
    let sum = |bytes: &[u8]| base64(sha1::Sha1::digest(bytes));
    let wrong = format!("sha1 {}", sum(b"another chunk"));
    let refused = patch(&ada, &upload, 1000, chunk).header("upload-checksum", &wrong).send().await;
    refused.problem(460, "checksum-mismatch");
    assert_eq!(offset(&ada, &upload).await, 1000);
    let right = format!("sha1 {}", sum(chunk));
    let taken = patch(&ada, &upload, 1000, chunk).header("upload-checksum", &right).send().await;
    taken.no_content();
    let rest = &film[11 * MIB..];
    let sha256_of_rest = format!("sha256 {}", base64(sha2::Sha256::digest(rest)));
    let last = patch(&ada, &upload, 11 * MIB, rest).header("upload-checksum", &sha256_of_rest);
    last.send().await.no_content();
    assert_eq!(shown(&ada, &upload).await["sha256"], sha256(&film));
    for odd in ["md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha1", "sha1 ???"] {
        let upload = begin(&ada, 5).await;
        let refused = patch(&ada, &upload, 0, b"abcde").header("upload-checksum", odd).send().await;
        refused.problem(400, "checksum-malformed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_breaks_the_protocol_is_told_how() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let upload = begin(&ada, 5000).await;
    append(&ada, &upload, 0, &film(2000, 5)).await;
    let outdated = ada.request(Method::HEAD, &upload).header("tus-resumable", "0.2.2").send().await;
    assert_eq!(outdated.status, 412);
    assert_eq!(outdated.header("tus-version"), Some("1.0.0"), "{outdated:?}");
    let silent = creation(&ada, 5).without("tus-resumable").send().await;
    silent.problem(412, "protocol-version");
    patch(&ada, &upload, 1, b"x").send().await.problem(409, "offset-conflict");
    patch(&ada, &upload, 2000, b"x")
        .without("upload-offset")
        .send()
        .await
        .problem(400, "offset-missing");
    let plain = patch(&ada, &upload, 2000, b"x").header("content-type", "text/plain").send().await;
    plain.problem(415, "offset-type");
    patch(&ada, &upload, 2000, &[0; 3001]).send().await.problem(413, "upload-too-large");
    let endless = ada.request(Method::POST, FILES).header("upload-length", "999999999999999");
    endless.send().await.problem(413, "upload-too-large");
    let none = ada.request(Method::POST, FILES).send().await;
    none.problem(400, "length-missing");
    let odd = creation(&ada, 5).header("upload-metadata", "filename ???").send().await;
    odd.problem(400, "metadata-malformed");
    let nowhere = patch(&ada, "/files/01890a5d-ac96-774b-bcce-b302099a8057", 0, b"x").send().await;
    nowhere.problem(404, "not-found");
    assert_eq!(offset(&ada, &upload).await, 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_its_owners_affair() {
    let nexus = setup().start().await;
    let (ada, eve) = (creator(&nexus).await, creator(&nexus).await);
    let upload = begin(&ada, 5000).await;
    append(&ada, &upload, 0, &film(100, 6)).await;
    assert_eq!(head(&eve, &upload).await.status, 404);
    patch(&eve, &upload, 100, b"x").send().await.problem(404, "not-found");
    eve.delete(&upload).await.problem(404, "not-found");
    eve.get(&format!("{OBJECTS}/{}", id_of(&upload))).await.problem(404, "not-found");
    let stranger = nexus.member_with(["uploader:view"]).await.header("tus-resumable", "1.0.0");
    creation(&stranger, 5).send().await.problem(403, "forbidden");
    let keeper = nexus.member_with(["uploader:manage", "uploader:view"]).await;
    keeper.get(&format!("{OBJECTS}/{}", id_of(&upload))).await.ok();
    assert_eq!(offset(&ada, &upload).await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(6 * MIB, 7);
    let upload = begin(&ada, 9 * MIB).await;
    append(&ada, &upload, 0, &film).await;
    ada.delete(&upload).await.no_content();
    assert_eq!(head(&ada, &upload).await.status, 404);
    assert_eq!(held(&ada).await, (0, 0));
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let left = "select (select count(*) from uploader.part) + (select count(*) from uploader.tail)
                  + (select count(*) from uploader.removal)";
    let left: i64 = session.query(left, &[]).await.unwrap()[0].get(0);
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_only_gets_and_posts_can_upload_too() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(3000, 8);
    let upload = begin(&ada, film.len()).await;
    let post = ada.request(Method::POST, &upload).header("x-http-method-override", "PATCH");
    let post = post.header("content-type", "application/offset+octet-stream");
    post.header("upload-offset", "0").body(film.clone()).send().await.no_content();
    assert_eq!(shown(&ada, &upload).await["state"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_reads_how_far_its_upload_is() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let upload = begin(&ada, 5000).await;
    let page = ada.request(Method::HEAD, &upload).header("origin", "http://localhost:3000");
    let answer = page.send().await.ok();
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("upload-offset"), "{answer:?}");
}
