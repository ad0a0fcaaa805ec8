//! URLs that carry a permission, used as any HTTP client uses them.

use crate::backend::*;
use capability_blob::*;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn download() -> Permission {
    Permission::Download { file_name: None, content_type: None }
}

async fn signed(store: &Backend, key: &str, permission: Permission) -> SignedUrl {
    let signed = store.sign(&at(key), permission, MINUTE).await.unwrap();
    let left = signed.expires.duration_since(std::time::SystemTime::now()).unwrap();
    assert!(left <= MINUTE && left > MINUTE - Duration::from_secs(10));
    signed
}

/// Sends what the URL asks for, but for what the client itself sends.
async fn use_it(signed: &SignedUrl, body: &[u8]) -> Answer {
    let headers = signed.headers.iter().filter(|(name, _)| name != "content-length");
    let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fetch(signed.method, &signed.url, &headers, body.to_vec()).await
}

pub(crate) async fn a_signed_url_downloads_also_in_pieces(store: Backend) {
    let bytes = noise(700_000, 41);
    let put = Put { attributes: attributes("video/mp4", &[]), ..Put::default() };
    let key = "Ünïcode/a b+c%2e?&#=.mp4";
    let stored = store.put(&at(key), put, chunked(&bytes, 65_536)).await.unwrap();
    let signed = signed(&store, key, download()).await;
    assert_eq!((signed.method, signed.headers.len()), ("GET", 0));
    let whole = fetch("GET", &signed.url, &[], "").await;
    assert_eq!((whole.status, whole.body == bytes), (200, true));
    assert_eq!(whole.header("content-type"), "video/mp4");
    assert_eq!(whole.header("etag"), format!("\"{}\"", stored.etag));
    assert_eq!(whole.header("content-length"), "700000");
    let piece = fetch("GET", &signed.url, &[("range", "bytes=100000-399999")], "").await;
    assert_eq!((piece.status, piece.body == bytes[100_000..400_000]), (206, true));
    assert_eq!(piece.header("content-range"), "bytes 100000-399999/700000");
    let outside = fetch("GET", &signed.url, &[("range", "bytes=700000-")], "").await;
    assert_eq!(outside.status, 416);
}

pub(crate) async fn a_signed_url_names_the_file(store: Backend) {
    store.put_text("k", "bytes").await;
    let permission = Permission::Download {
        file_name: Some("Übersicht 1.csv".into()),
        content_type: Some("text/csv".into()),
    };
    let answer = use_it(&signed(&store, "k", permission).await, b"").await;
    assert_eq!(answer.status, 200);
    let disposition = answer.header("content-disposition");
    assert_eq!(disposition, "attachment; filename*=UTF-8''%C3%9Cbersicht%201.csv");
    assert_eq!(answer.header("content-type"), "text/csv");
}

pub(crate) async fn a_signed_url_uploads_what_was_agreed(store: Backend) {
    let permission = Permission::Upload { content_type: Some("image/png".into()), size: Some(5) };
    let signed = signed(&store, "k", permission).await;
    assert_eq!(signed.method, "PUT");
    let agreed = ["content-length", "content-type"];
    let mut named: Vec<_> = signed.headers.iter().map(|(name, _)| name.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, agreed);
    for (content_type, body) in [("text/html", "12345"), ("image/png", "1234"), ("image/png", "")] {
        let headers = [("content-type", content_type)];
        let refused = fetch("PUT", &signed.url, &headers, body).await;
        assert!(matches!(refused.status, 400 | 403), "{content_type} {body}: {}", refused.status);
    }
    assert_eq!(fetch("GET", &signed.url, &[], "").await.status, 403);
    assert_eq!(store.keys().await, [""; 0]);
    let done = use_it(&signed, b"12345").await;
    assert_eq!(done.status, 200);
    let object = store.head(&at("k")).await.unwrap();
    assert_eq!(done.header("etag"), format!("\"{}\"", object.etag));
    assert_eq!(object.attributes.content_type.as_deref(), Some("image/png"));
    assert_eq!(store.read("k").await.unwrap(), b"12345");
}

pub(crate) async fn a_signed_url_uploads_parts(store: Backend) {
    let id = store.create_upload(&at("k"), Attributes::default()).await.unwrap();
    let upload = Upload { place: at("k"), id: id.clone() };
    let bytes = [noise(5 << 20, 42), noise(1000, 43)];
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip(&bytes) {
        let size = Some(bytes.len() as u64);
        let permission = Permission::Part { upload_id: id.clone(), number, size };
        let signed = signed(&store, "k", permission).await;
        let answer = use_it(&signed, bytes).await;
        assert_eq!(answer.status, 200);
        let etag = answer.header("etag").trim_matches('"').to_owned();
        parts.push(NamedPart { number, etag });
    }
    let stored = store.complete_upload(&upload, parts, None).await.unwrap();
    assert_eq!(stored.size, (5 << 20) + 1000);
    assert!(store.read("k").await.unwrap() == bytes.concat());
}

pub(crate) async fn a_changed_url_opens_nothing(store: Backend) {
    store.put_text("k", "bytes").await;
    store.put_text("l", "other bytes").await;
    let signed = signed(&store, "k", download()).await;
    let (path, query) = signed.url.split_once('?').unwrap();
    let other_key = format!("{}l?{query}", path.strip_suffix('k').unwrap());
    assert_eq!(fetch("GET", &other_key, &[], "").await.status, 403);
    assert_eq!(fetch("PUT", &signed.url, &[], "mine").await.status, 403);
    // Both kinds of URL name it so, and write it in letters that include these digits.
    let (before, signature) = signed.url.split_once("ignature=").unwrap();
    let digit = if signature.starts_with('0') { '1' } else { '0' };
    let flipped = format!("{before}ignature={digit}{}", &signature[1..]);
    assert_eq!(fetch("GET", &flipped, &[], "").await.status, 403);
    assert!(matches!(fetch("GET", path, &[], "").await.status, 400..=403));
    assert_eq!(fetch("GET", &signed.url, &[], "").await.status, 200);
}

pub(crate) async fn an_expired_url_opens_nothing(store: Backend) {
    store.put_text("k", "bytes").await;
    let signed = store.sign(&at("k"), download(), Duration::from_secs(1)).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while fetch("GET", &signed.url, &[], "").await.status == 200 {
        assert!(std::time::Instant::now() < deadline, "it should have expired long ago");
    }
    assert_eq!(fetch("GET", &signed.url, &[], "").await.status, 403);
}

pub(crate) async fn a_url_lives_at_most_a_week(store: Backend) {
    let week = Duration::from_secs(SIGNED_SECONDS_MAX.into());
    assert!(store.sign(&at("k"), download(), week).await.is_ok());
    for lifetime in [Duration::ZERO, week + Duration::from_secs(1)] {
        let refused = store.sign(&at("k"), download(), lifetime).await;
        assert!(matches!(refused, Err(BlobError::Invalid(_))), "{refused:?}");
    }
    for wrong in [
        Permission::Upload { content_type: Some("a\nb".into()), size: None },
        Permission::Part { upload_id: "x".into(), number: 0, size: None },
        Permission::Download { file_name: Some(String::new()), content_type: None },
    ] {
        let refused = store.sign(&at("k"), wrong.clone(), MINUTE).await;
        assert!(matches!(refused, Err(BlobError::Invalid(_))), "{wrong:?}: {refused:?}");
    }
}
