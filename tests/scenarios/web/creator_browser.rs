//! The studio in a real browser: a film is uploaded over a line that breaks, paused, taken up after
//! the page was loaded again, watched while it is processed, and published. The person at it is
//! `browser/creator.mjs`.

use super::browser::{accompany, behind, free_port};
use super::creator;
use super::visitor;
use crate::media::stage::film;
use nexus_harness::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// The id of the built-in role (`migrations/users/0001_account.sql`).
const CREATOR: &str = "01890000-0000-7000-8000-00000000a003";

/// More than the browser and the system keep for a line that is slow.
const PADDING_BYTES: usize = 40 << 20;

async fn make_creator(nexus: &Nexus, email: &str) {
    let administrator = nexus.member_with(["*"]).await;
    let query = format!("/api/users/v1/users?q={}", email.replace('@', "%40"));
    let found: Value = administrator.get(&query).await.ok().json();
    let user = &found["items"][0]["id"];
    let draft = json!({ "user_id": user, "role_id": CREATOR });
    administrator.post("/api/users/v1/bindings", draft).await.status(201);
}

/// A film with room behind it that no player reads (ISO/IEC 14496-12, 8.1.2): as long to upload as
/// a large one, and as quick to process as a small one.
fn padded(mut film: Vec<u8>) -> Vec<u8> {
    film.extend(u32::try_from(PADDING_BYTES).unwrap().to_be_bytes());
    film.extend(b"free");
    // Not all the same, or a byte in the wrong place would not be seen.
    film.extend((0..PADDING_BYTES - 8).map(|at| u8::try_from(at * 31 % 251).unwrap()));
    film
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_uploaded_over_a_broken_line_and_published_from_a_browser() {
    let services: BTreeSet<_> =
        creator::SERVICES.iter().chain(&visitor::SERVICES).copied().collect();
    let services: Vec<_> = services.into_iter().collect();
    // The person's line, which breaks, is a program between the browser and the host.
    let (port, line) = (free_port(), free_port());
    let origin = format!("http://localhost:{line}");
    let nexus = behind(&services, port, &origin).await;
    // A body that ends with the line.
    nexus.expects_log("hyper error");
    let folder = tempfile::tempdir().unwrap();
    let sea = folder.path().join("The sea.mp4");
    let bytes = padded(film(8, "640x360"));
    std::fs::write(&sea, &bytes).unwrap();
    let broken = folder.path().join("Broken.mp4");
    std::fs::write(&broken, &bytes[..600]).unwrap();
    let files = [&sea, &broken].map(|path| path.to_str().unwrap());
    let more = [files[0], files[1], &port.to_string()];
    accompany("creator.mjs", &origin, &more, async |asked| {
        if let Some(address) = asked["mail"].as_str() {
            return Some(json!(nexus.mail(address).await.link()));
        }
        make_creator(&nexus, asked["creator"].as_str()?).await;
        Some(json!(true))
    })
    .await;
    // One upload, however often the line broke, and every byte of it.
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let sql = "select state, sha256 from uploader.upload where file_name = 'The sea.mp4'";
    let rows = session.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 1, "the film was begun {} times", rows.len());
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let kept: String = rows[0].get(1);
    assert_eq!(kept, digest);
}
