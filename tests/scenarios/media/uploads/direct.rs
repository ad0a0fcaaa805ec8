//! Uploads past us: by signed URLs.

use super::ground::*;
use http::Method;
use nexus_harness::prelude::*;

const PRESIGN: &str = "/api/uploader/v1/presign";
const MIB: usize = 1 << 20;

/// Sends bytes as a target of a presigned upload says.
async fn put(client: &Client, target: &Value, bytes: &[u8]) -> Answer {
    let url = target["url"].as_str().unwrap();
    let mut request = client.request(Method::PUT, url).without("authorization");
    for header in target["headers"].as_array().unwrap() {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        if !name.eq_ignore_ascii_case("content-length") {
            request = request.header(name, value);
        }
    }
    request.body(bytes.to_vec()).send().await
}

async fn complete(client: &Client, id: &Value) -> Answer {
    client.post(&format!("{PRESIGN}/{}/complete", id.as_str().unwrap()), json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_by_one_signed_url_is_looked_at_like_any_other() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(2 * MIB, 50);
    let order = json!({
        "bytes": film.len(), "sha256": sha256(&film), "media_type": "video/mp4",
        "file_name": "../a film.mp4",
    });
    let signed = ada.post(PRESIGN, order).await.created().json;
    let [target] = &signed["targets"].as_array().unwrap()[..] else { panic!("{signed}") };
    complete(&ada, &signed["id"]).await.problem(409, "direct-incomplete");
    put(&ada, target, &film[1..]).await.problem(403, "signed-url-refused");
    put(&ada, target, &film).await.ok();
    let done: Value = complete(&ada, &signed["id"]).await.ok().json();
    assert_eq!(done["state"], "completed", "{done}");
    assert_eq!(done["sha256"], sha256(&film), "{done}");
    assert_eq!(done["file_name"], "a film.mp4", "{done}");
    let upload = signed["id"].as_str().unwrap();
    assert_eq!(told(&nexus, "media.upload.completed.v1", upload).await.len(), 1);
    // What comes by the URL afterwards changes nothing.
    let other = super::ground::film(film.len(), 51);
    put(&ada, target, &other).await.ok();
    assert!(content(&ada, upload).await == film, "the bytes are others");
    assert_eq!(complete(&ada, &signed["id"]).await.ok().json::<Value>()["state"], "completed");
    assert_eq!(held(&ada).await, (film.len() as i64, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_by_a_url_for_each_part() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(65 * MIB, 52);
    let order = json!({ "bytes": film.len(), "media_type": "video/mp4", "file_name": "f.mp4" });
    let signed = ada.post(PRESIGN, order).await.created().json;
    let targets = signed["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 5, "{signed}");
    let mut start = 0;
    for target in targets {
        let bytes = target["bytes"].as_u64().unwrap() as usize;
        put(&ada, target, &film[start..start + bytes]).await.ok();
        start += bytes;
    }
    let done: Value = complete(&ada, &signed["id"]).await.ok().json();
    assert_eq!(done["state"], "completed", "{done}");
    assert_eq!(done["sha256"], sha256(&film), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_the_one_announced_is_refused() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(9_000, 53);
    for (sum, bytes, reason) in [
        (sha256(b"another"), film.clone(), "checksum"),
        (sha256(&[b' '; 9_000]), vec![b' '; 9_000], "media-type"),
    ] {
        let order = json!({
            "bytes": bytes.len(), "sha256": sum, "media_type": "video/mp4", "file_name": "f.mp4",
        });
        let signed = ada.post(PRESIGN, order).await.created().json;
        put(&ada, &signed["targets"][0], &bytes).await.ok();
        let done: Value = complete(&ada, &signed["id"]).await.ok().json();
        assert_eq!(done["state"], "rejected", "{done}");
        assert_eq!(done["reason"], reason, "{done}");
    }
    assert_eq!(held(&ada).await, (0, 0));
    let odd = json!({ "bytes": 5, "sha256": "ABC", "media_type": "video/mp4" });
    ada.post(PRESIGN, odd).await.problem(422, "sha256-malformed");
    let odd = json!({ "bytes": 5, "media_type": "video" });
    ada.post(PRESIGN, odd).await.problem(422, "media-type-malformed");
    let odd = json!({ "bytes": 5, "media_type": "video/mp4", "metadata": { "a": 1 } });
    ada.post(PRESIGN, odd).await.problem(422, "metadata-refused");
}
