//! One file of several uploads, side by side.

use super::ground::*;
use http::Method;
use nexus_harness::prelude::*;

const MIB: usize = 1 << 20;

async fn partial(client: &Client, bytes: &[u8]) -> String {
    let draft = creation(client, bytes.len()).header("upload-concat", "partial");
    let upload = draft.send().await.created().url;
    append(client, &upload, 0, bytes).await;
    upload
}

async fn joined(client: &Client, pieces: &[&str]) -> Answer {
    let draft = client.request(Method::POST, FILES);
    draft.header("upload-concat", &format!("final;{}", pieces.join(" "))).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_came_side_by_side_are_one_file() {
    let nexus = setup().start().await;
    let ada = creator(&nexus).await;
    let film = film(13 * MIB + 5, 40);
    let (a, b, c) = (&film[..6 * MIB + 1], &film[6 * MIB + 1..7 * MIB], &film[7 * MIB..]);
    let (a, b, c) = tokio::join!(partial(&ada, a), partial(&ada, b), partial(&ada, c));
    assert_eq!(head(&ada, &b).await.ok().header("upload-concat"), Some("partial"));
    assert_eq!(held(&ada).await, (0, film.len() as i64));
    let whole = joined(&ada, &[&a, &b, &c]).await.created().url;
    let stands = head(&ada, &whole).await.ok();
    assert_eq!(stands.header("upload-offset"), Some(film.len().to_string().as_str()));
    assert!(stands.header("upload-concat").unwrap().starts_with("final;/files/"), "{stands:?}");
    let object = shown(&ada, &whole).await;
    assert_eq!(object["sha256"], sha256(&film), "{object}");
    assert!(content(&ada, &whole).await == film, "the bytes are others");
    assert_eq!(held(&ada).await, (film.len() as i64, 0));
    for piece in [&a, &b, &c] {
        assert_eq!(head(&ada, piece).await.status, 404, "{piece}");
        assert!(told(&nexus, "media.upload.completed.v1", piece).await.is_empty(), "{piece}");
    }
    assert_eq!(told(&nexus, "media.upload.completed.v1", &whole).await.len(), 1);
    patch(&ada, &whole, film.len(), b"x").send().await.problem(403, "upload-of-parts");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_ones_own_finished_pieces_are_joined() {
    let nexus = setup().start().await;
    let (ada, eve) = (creator(&nexus).await, creator(&nexus).await);
    let mine = partial(&ada, &film(3_000, 41)).await;
    let theirs = partial(&eve, &film(3_000, 42)).await;
    let whole = uploaded(&ada, &film(3_000, 43)).await;
    let draft = creation(&ada, 3_000).header("upload-concat", "partial");
    let unfinished = draft.send().await.created().url;
    joined(&ada, &[&mine, &theirs]).await.problem(400, "partial-unknown");
    joined(&ada, &[&mine, &whole]).await.problem(400, "partial-unknown");
    joined(&ada, &[&mine, &mine]).await.problem(400, "partial-unknown");
    joined(&ada, &[&mine, &unfinished]).await.problem(409, "partial-unfinished");
    joined(&ada, &[]).await.problem(400, "partial-unknown");
    assert_eq!(head(&ada, &mine).await.status, 200);
}
