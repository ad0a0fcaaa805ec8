//! Who may write when: one at a time, over all hosts, and nobody for ever.

use super::ground::*;
use nexus_harness::prelude::*;
use nexus_harness::{DatabaseChoice, Raw, TestDatabase};

const MIB: usize = 1 << 20;

/// A PATCH that has begun and does not end: so many of `announced` bytes.
async fn half_sent(
    nexus: &Nexus,
    token: &str,
    upload: &str,
    offset: usize,
    announced: usize,
    bytes: &[u8],
) -> Raw {
    let mut raw = nexus.connect().await;
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         tus-resumable: 1.0.0\r\ncontent-type: application/offset+octet-stream\r\n\
         upload-offset: {offset}\r\ncontent-length: {announced}\r\n\r\n",
        nexus.address()
    );
    assert!(raw.send(head).await && raw.send(bytes).await);
    raw
}

/// One who may do everything, as a token and as a client of each host.
fn keeper(nexus: &Nexus) -> (String, Client) {
    let token = nexus.operator_token();
    let client = nexus.anonymous().bearer(&token).header("tus-resumable", "1.0.0");
    (token, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sent_before_its_line_broke_is_kept() {
    let nexus = setup().start().await;
    nexus.expects_log("hyper error");
    let (token, ada) = keeper(&nexus);
    let film = film(9 * MIB, 60);
    let upload = begin(&ada, film.len()).await;
    let sent = 7 * MIB + 123;
    let raw = half_sent(&nexus, &token, &upload, 0, film.len(), &film[..sent]).await;
    drop(raw);
    // A client asks how far it came, and goes on there.
    eventually("all that came is safe", seconds(30), async || offset(&ada, &upload).await == sent)
        .await;
    append(&ada, &upload, sent, &film[sent..]).await;
    assert_eq!(shown(&ada, &upload).await["sha256"], sha256(&film));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_writes_another_waits_and_who_is_silent_gives_way() {
    let nexus = setup().start().await;
    nexus.expects_log("hyper error");
    let (token, ada) = keeper(&nexus);
    let film = film(9_000, 61);
    let upload = begin(&ada, film.len()).await;
    let silent = half_sent(&nexus, &token, &upload, 0, film.len(), &film[..4_000]).await;
    // Only looked at: a PATCH that asked in its place might come first, and be the one who writes.
    let session = nexus.host().database().unwrap().host().await.unwrap();
    eventually("the first writes", seconds(30), async || {
        let held = "select from uploader.upload where holder is not null";
        session.query(held, &[]).await.unwrap().len() == 1
    })
    .await;
    patch(&ada, &upload, 0, &film).send().await.problem(423, "upload-held");
    // Asking how far it is makes the silent one give way, with all that it sent.
    eventually("the silent one gives way", seconds(30), async || {
        offset(&ada, &upload).await == 4_000
            && patch(&ada, &upload, 4_000, &film[4_000..]).send().await.status == 204
    })
    .await;
    assert_eq!(shown(&ada, &upload).await["sha256"], sha256(&film));
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_goes_on_where_one_was_cut_off() {
    let database = TestDatabase::create().await;
    let choice = |database: &TestDatabase| {
        let database = database.database().clone();
        move |settings: &mut nexus_harness::Settings| {
            settings.database = DatabaseChoice::Open(database);
        }
    };
    let one = setup().settings(choice(&database)).start().await;
    let two = setup().settings(choice(&database)).start().await;
    let token = one.operator_token();
    let here = one.anonymous().bearer(&token).header("tus-resumable", "1.0.0");
    let film = film(9_000, 62);
    let upload = begin(&here, film.len()).await;
    append(&here, &upload, 0, &film[..2_000]).await;
    // The other host has its own key in this test; whose upload it is says the row.
    let session = database.database().host().await.unwrap();
    let other_token = two.operator_token();
    let there = two.anonymous().bearer(&other_token).header("tus-resumable", "1.0.0");
    let own: Value = there.get("/api/uploader/v1/quota").await.ok().json();
    let given = format!(
        "update uploader.upload set owner_id = '{}'; update uploader.account set owner_id = '{}'
         where owner_id <> uploader.everybody()",
        own["owner"].as_str().unwrap(),
        own["owner"].as_str().unwrap()
    );
    session.batch(&given).await.unwrap();
    // A writer that says nothing any more, as a host that was killed.
    let died = "update uploader.upload set holder = gen_random_uuid(),
                  held_until = clock_timestamp() + interval '3 seconds'";
    session.batch(died).await.unwrap();
    patch(&there, &upload, 2_000, &film[2_000..]).send().await.problem(423, "upload-held");
    eventually("the dead one's turn is over", seconds(30), async || {
        patch(&there, &upload, 2_000, &film[2_000..]).send().await.status == 204
    })
    .await;
    assert_eq!(shown(&there, &upload).await["sha256"], sha256(&film));
    assert_eq!(told(&two, "media.upload.completed.v1", &upload).await.len(), 1);
}
