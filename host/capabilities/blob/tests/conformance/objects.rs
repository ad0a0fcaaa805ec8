//! Put, get, head, copy and delete of whole objects.

use crate::backend::*;
use capability_blob::*;
use futures::StreamExt as _;
use std::time::{Duration, SystemTime};

pub(crate) async fn an_object_comes_back_as_it_was_put(store: Backend) {
    for (key, length) in [("a/0", 0), ("a/1", 1), ("a/64k.mp4", 65_537), ("a/13m", 13 << 20)] {
        let bytes = noise(length, 1);
        let with = attributes("video/mp4", &[("camera", "A 7"), ("take", "3")]);
        let put = Put {
            attributes: with.clone(),
            size: Some(length as u64),
            expected: checksums(&bytes),
            condition: None,
        };
        let before = SystemTime::now() - Duration::from_secs(2);
        let stored = store.put(&at(key), put, chunked(&bytes, 100_000)).await.unwrap();
        assert_eq!((stored.size, stored.checksums), (length as u64, checksums(&bytes)));
        let object = store.head(&at(key)).await.unwrap();
        assert_eq!(object.key.as_str(), key);
        assert_eq!((object.size, &object.etag), (length as u64, &stored.etag));
        assert_eq!(object.attributes, with);
        assert!(object.modified > before && object.modified <= SystemTime::now());
        assert_eq!(object.checksums.sha256, checksums(&bytes).sha256);
        // s3s-fs keeps no checksum of what travels in parts; S3 does.
        let forgotten = store.is_s3s_fs() && length > 6 << 20;
        let crc32c = checksums(&bytes).crc32c.filter(|_| !forgotten);
        assert_eq!(object.checksums.crc32c, crc32c);
        let download = store.get(&at(key), Get::default()).await.unwrap();
        assert_eq!((download.range, &download.object), (0..length as u64, &object));
        assert_eq!(collect(download.body).await.unwrap(), bytes);
    }
    assert_eq!(store.leftovers(), [""; 0].map(std::path::PathBuf::from));
}

pub(crate) async fn an_object_keeps_only_what_was_put_last(store: Backend) {
    let put = Put { attributes: attributes("text/html", &[("a", "1")]), ..Put::default() };
    let first = store.put(&at("k"), put, whole("first, and longer")).await.unwrap();
    let second = store.put_text("k", "second").await;
    assert_ne!(first.etag, second.etag);
    assert_eq!(store.read("k").await.unwrap(), b"second");
    let object = store.head(&at("k")).await.unwrap();
    assert_eq!(object.etag, second.etag);
    assert_eq!(object.attributes.metadata.len(), 0);
    assert_ne!(object.attributes.content_type.as_deref(), Some("text/html"));
    let again = store.put_text("k", "second").await;
    assert_eq!(again.etag, second.etag, "an etag tells the bytes apart, nothing else");
}

pub(crate) async fn what_was_never_put_is_no_such_key(store: Backend) {
    store.put_text("a/b", "x").await;
    for key in ["b", "a/c", "a/b/c"] {
        assert_eq!(store.head(&at(key)).await, Err(BlobError::NoSuchKey), "{key}");
        assert_eq!(store.read(key).await, Err(BlobError::NoSuchKey), "{key}");
    }
    let folder = store.head(&at("a")).await;
    if store.is_s3s_fs() {
        // s3s-fs takes its own folders for objects and fails to read them; S3 has no folders.
        assert!(matches!(folder, Err(BlobError::Unavailable(_))), "{folder:?}");
    } else {
        assert_eq!(folder, Err(BlobError::NoSuchKey));
    }
}

pub(crate) async fn buckets_do_not_see_each_other(store: Backend) {
    store.put_text("k", "mine").await;
    let other = Place { bucket: bucket("other"), ..at("k") };
    assert_eq!(store.head(&other).await, Err(BlobError::NoSuchKey));
    store.put(&other, Put::default(), whole("theirs")).await.unwrap();
    assert_eq!(store.read("k").await.unwrap(), b"mine");
    let page = store.list(&bucket("other"), query("")).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].size, 6);
    let none = store.list(&bucket("othe"), query("")).await.unwrap();
    assert_eq!(none, Page::default());
    store.delete(&other).await.unwrap();
    assert_eq!(store.keys().await, ["k"]);
}

pub(crate) async fn a_condition_decides_whether_a_put_happens(store: Backend) {
    for length in [10, 7 << 20] {
        let bytes = noise(length, 2);
        let put = async |condition| {
            let put = Put { condition: Some(condition), ..Put::default() };
            store.put(&at("k"), put, chunked(&bytes, 1 << 20)).await
        };
        let failed = Err(BlobError::PreconditionFailed);
        assert_eq!(put(Condition::Matches("0".into())).await, failed, "there is nothing to match");
        let first = put(Condition::Absent).await.unwrap();
        assert_eq!(put(Condition::Absent).await, failed);
        let second = store.put_text("k", "by someone else").await;
        assert_eq!(put(Condition::Matches(first.etag)).await, failed);
        assert_eq!(store.read("k").await.unwrap(), b"by someone else");
        put(Condition::Matches(second.etag)).await.unwrap();
        let read = store.read("k").await;
        if store.is_s3s_fs() && length > 6 << 20 {
            // s3s-fs leaves the old object's checksum beside one made of parts; S3 does not.
            assert_eq!(read, Err(BlobError::ChecksumMismatch));
        } else {
            assert_eq!(read.unwrap(), bytes);
        }
        store.delete(&at("k")).await.unwrap();
    }
    assert_eq!(store.leftovers().len(), 0);
}

pub(crate) async fn of_many_puts_if_absent_one_wins(store: Backend) {
    let racers = (0..16).map(|racer| {
        let put = Put { condition: Some(Condition::Absent), ..Put::default() };
        let store = &store;
        async move { store.put(&at("k"), put, whole(format!("racer {racer}"))).await }
    });
    let outcomes = futures::future::join_all(racers).await;
    let won: Vec<_> = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_ok()).collect();
    for outcome in outcomes.iter().filter(|outcome| outcome.is_err()) {
        assert_eq!(*outcome, Err(BlobError::PreconditionFailed));
    }
    if store.is_s3s_fs() {
        // s3s-fs looks first and writes then, without a lock; S3 decides atomically.
        assert!(!won.is_empty());
    } else {
        let [(winner, _)] = won[..] else { panic!("{} won", won.len()) };
        assert_eq!(store.read("k").await.unwrap(), format!("racer {winner}").as_bytes());
    }
}

pub(crate) async fn bytes_that_do_not_match_their_checksum_are_not_stored(store: Backend) {
    store.put_text("k", "old").await;
    for length in [100, 7 << 20] {
        let (bytes, others) = (noise(length, 3), checksums(b"others"));
        for expected in [
            Checksums { crc32c: others.crc32c, sha256: None },
            Checksums { crc32c: None, sha256: others.sha256 },
            Checksums { sha256: others.sha256, ..checksums(&bytes) },
        ] {
            let put = Put { expected, ..Put::default() };
            let stored = store.put(&at("k"), put, chunked(&bytes, 1 << 20)).await;
            assert_eq!(stored, Err(BlobError::ChecksumMismatch));
        }
        assert_eq!(store.read("k").await.unwrap(), b"old");
    }
    assert_nothing_is_left(&store).await;
}

pub(crate) async fn a_body_of_another_size_than_declared_is_not_stored(store: Backend) {
    for (length, declared) in [(100, 101), (100, 99), (7 << 20, 8 << 20), (7 << 20, 1), (0, 1)] {
        let put = Put { size: Some(declared), ..Put::default() };
        let stored = store.put(&at("k"), put, chunked(&noise(length, 4), 1 << 20)).await;
        assert_eq!(stored, Err(BlobError::Incomplete), "{length} bytes declared as {declared}");
    }
    assert_eq!(store.keys().await, [""; 0]);
    assert_nothing_is_left(&store).await;
}

pub(crate) async fn a_body_that_breaks_off_stores_nothing(store: Backend) {
    for length in [0, 100, 20 << 20] {
        let body = broken(&noise(length, 5));
        let stored = store.put(&at("k"), Put::default(), body).await;
        assert_eq!(stored, Err(BlobError::Incomplete));
    }
    assert_eq!(store.keys().await, [""; 0]);
    assert_nothing_is_left(&store).await;
}

pub(crate) async fn a_put_that_is_cancelled_stores_nothing(store: Backend) {
    for length in [100, 20 << 20] {
        // All bytes come, the end does not.
        let (told, arrived) = tokio::sync::oneshot::channel();
        let end = futures::stream::once(async move {
            told.send(()).unwrap();
            std::future::pending().await
        });
        let body = chunked(&noise(length, 6), 65_536).chain(end).boxed();
        let place = at("k");
        let put = store.put(&place, Put::default(), body);
        tokio::select! {
            _ = put => panic!("the body has no end"),
            arrived = arrived => arrived.unwrap(),
        }
    }
    assert_eq!(store.keys().await, [""; 0]);
    assert_nothing_is_left(&store).await;
}

/// Aborts are sent after the caller has its answer.
async fn assert_nothing_is_left(store: &Backend) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !store.leftovers().is_empty() {
        let late = tokio::time::Instant::now() > deadline;
        assert!(!late, "{:?}", store.leftovers());
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_put_beyond_the_limit_is_too_large(store: Backend) {
    let put = Put { size: Some(OBJECT_BYTES_MAX + 1), ..Put::default() };
    let stored = store.put(&at("k"), put, whole("")).await;
    assert_eq!(stored, Err(BlobError::TooLarge { limit: OBJECT_BYTES_MAX }));
    assert_eq!(store.keys().await, [""; 0]);
}

pub(crate) async fn attributes_against_the_rules_are_refused(store: Backend) {
    let too_many: Vec<_> = (0..33).map(|i| format!("m{i}")).collect();
    let too_many: Vec<_> = too_many.iter().map(|name| (name.as_str(), "")).collect();
    for with in [
        attributes("text/plain\r\nx: y", &[]),
        attributes("", &[]),
        attributes("text/plain", &[("Name", "v")]),
        attributes("text/plain", &[("nexus-sha256", "v")]),
        attributes("text/plain", &[("name", "ü")]),
        attributes("text/plain", &[("name", &"v".repeat(2048))]),
        attributes("text/plain", &too_many),
    ] {
        let put = Put { attributes: with.clone(), ..Put::default() };
        let stored = store.put(&at("k"), put, whole("x")).await;
        assert!(matches!(stored, Err(BlobError::Invalid(_))), "{with:?}: {stored:?}");
        let opened = store.create_upload(&at("k"), with.clone()).await;
        assert!(matches!(opened, Err(BlobError::Invalid(_))), "{with:?}: {opened:?}");
    }
    assert_eq!(store.keys().await, [""; 0]);
}

pub(crate) async fn keys_of_every_shape_are_kept_apart(store: Backend) {
    let mut keys = [
        "A",
        "a",
        "a b",
        "a+b",
        "a%20b",
        "a%2fb",
        "ä",
        "a\u{308}",
        "鍵",
        "🎬",
        "~!$&'()*,;=:@[]",
        "x.obj",
        "x=",
        "x@/y",
        "x+",
        "x\\y",
        "..x",
        "x..",
        ".hidden",
        "-",
        "\"<>#?",
        "x/y/z/1",
    ];
    keys.sort_unstable();
    for key in keys {
        store.put_text(key, key).await;
    }
    assert_eq!(store.keys().await, keys);
    for key in keys {
        assert_eq!(store.read(key).await.unwrap(), key.as_bytes());
    }
    let (gone, kept) = keys.split_at(10);
    for key in gone {
        store.delete(&at(key)).await.unwrap();
    }
    assert_eq!(store.keys().await, kept);
}

pub(crate) async fn the_longest_key_is_as_good_as_any(store: Backend) {
    let segments = ["deep/".repeat(190), "x".repeat(10)].concat();
    let keys = [segments, "K".repeat(KEY_BYTES_MAX), "é".repeat(KEY_BYTES_MAX / 2)];
    for key in keys {
        let stored = store.put(&at(&key), Put::default(), whole("x")).await;
        if store.is_s3s_fs() {
            // s3s-fs makes one file name of a whole key; S3 takes 1,024 bytes.
            assert!(stored.is_err(), "{stored:?}");
            continue;
        }
        stored.unwrap();
        assert_eq!(store.keys().await, [&*key]);
        let copied = store.copy(&at(&key), &at("short"), Copying::default()).await;
        assert_eq!(copied.unwrap().size, 1);
        store.delete(&at(&key)).await.unwrap();
        store.delete(&at("short")).await.unwrap();
    }
}

pub(crate) async fn a_key_may_also_be_the_folder_of_another(store: Backend) {
    store.put_text("a", "1").await;
    let below = store.put(&at("a/b"), Put::default(), whole("2")).await;
    if store.is_s3s_fs() {
        // Its keys are paths, and a file is no folder; S3 has neither.
        assert!(below.is_err());
        return;
    }
    below.unwrap();
    assert_eq!(store.keys().await, ["a", "a/b"]);
    store.delete(&at("a")).await.unwrap();
    assert_eq!(store.read("a/b").await.unwrap(), b"2");
    store.put_text("a", "3").await;
    store.delete(&at("a/b")).await.unwrap();
    assert_eq!(store.read("a").await.unwrap(), b"3");
}

pub(crate) async fn damaged_bytes_are_never_passed_off_as_the_object(store: Backend) {
    let bytes = noise(300_000, 7);
    store.put(&at("k"), Put::default(), chunked(&bytes, 65_536)).await.unwrap();
    let file = store.file_with(&bytes[..100]);
    let mut damaged = std::fs::read(&file).unwrap();
    damaged[150_000] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    assert_eq!(store.read("k").await, Err(BlobError::ChecksumMismatch));
    let untouched = ByteRange::Slice { offset: 0, length: 1000 };
    let get = Get { range: Some(untouched), if_match: None };
    assert_eq!(store.read_with("k", get).await.unwrap(), bytes[..1000]);
}

pub(crate) async fn a_reading_goes_on_after_the_object_was_replaced(store: Backend) {
    let bytes = noise(8 << 20, 8);
    store.put(&at("k"), Put::default(), chunked(&bytes, 1 << 20)).await.unwrap();
    let mut download = store.get(&at("k"), Get::default()).await.unwrap();
    let first = download.body.next().await.unwrap().unwrap();
    store.put_text("k", "new").await;
    let rest = collect(download.body).await.unwrap();
    assert_eq!([first.to_vec(), rest].concat(), bytes);
    assert_eq!(store.read("k").await.unwrap(), b"new");
}

pub(crate) async fn a_copy_has_the_bytes_and_its_own_life(store: Backend) {
    let with = attributes("image/png", &[("a", "1")]);
    let put = Put { attributes: with.clone(), ..Put::default() };
    let stored = store.put(&at("from me"), put, whole("bytes")).await.unwrap();
    let to = Place { bucket: bucket("other"), key: Key::new("to/me ü").unwrap() };
    let copied = store.copy(&at("from me"), &to, Copying::default()).await.unwrap();
    assert_eq!(copied, stored);
    store.delete(&at("from me")).await.unwrap();
    let object = store.head(&to).await.unwrap();
    assert_eq!((object.attributes, object.etag), (with, stored.etag));
    assert_eq!(object.checksums, stored.checksums);
    let body = store.get(&to, Get::default()).await.unwrap().body;
    assert_eq!(collect(body).await.unwrap(), b"bytes");
    let missing = store.copy(&at("from me"), &to, Copying::default()).await;
    assert_eq!(missing, Err(BlobError::NoSuchKey));
}

pub(crate) async fn a_copy_may_change_its_attributes(store: Backend) {
    let put = Put { attributes: attributes("image/png", &[("a", "1")]), ..Put::default() };
    let stored = store.put(&at("k"), put, whole("bytes")).await.unwrap();
    let with = attributes("image/webp", &[("b", "2")]);
    let copying = Copying { attributes: Some(with.clone()), if_match: None };
    for to in ["other", "k"] {
        store.copy(&at("k"), &at(to), copying.clone()).await.unwrap();
        let object = store.head(&at(to)).await.unwrap();
        assert_eq!(object.attributes, with, "{to}");
        assert_eq!(object.checksums, stored.checksums, "{to}");
        assert_eq!(store.read(to).await.unwrap(), b"bytes", "{to}");
    }
    let same = store.copy(&at("k"), &at("k"), Copying::default()).await.unwrap();
    assert_eq!(same.size, 5);
    assert_eq!(store.head(&at("k")).await.unwrap().attributes, with);
}

pub(crate) async fn a_copy_of_what_has_changed_is_refused(store: Backend) {
    let old = store.put_text("k", "old").await.etag;
    let new = store.put_text("k", "new").await.etag;
    let copying = |etag| Copying { attributes: None, if_match: Some(etag) };
    let refused = store.copy(&at("k"), &at("to"), copying(old)).await;
    assert_eq!(refused, Err(BlobError::PreconditionFailed));
    assert_eq!(store.keys().await, ["k"]);
    store.copy(&at("k"), &at("to"), copying(new)).await.unwrap();
}

pub(crate) async fn a_copy_too_large_for_one_request_is_made_of_parts(store: Backend) {
    let bytes = noise(30 << 20, 9);
    let put = Put { attributes: attributes("video/mp4", &[("a", "1")]), ..Put::default() };
    store.put(&at("k"), put, chunked(&bytes, 1 << 20)).await.unwrap();
    let copied = store.copy(&at("k"), &at("to"), Copying::default()).await.unwrap();
    assert_eq!(copied.size, 30 << 20);
    assert!(store.read("to").await.unwrap() == bytes);
    let object = store.head(&at("to")).await.unwrap();
    assert_eq!(object.attributes, attributes("video/mp4", &[("a", "1")]));
    assert_nothing_is_left(&store).await;
}

pub(crate) async fn deleting_removes_and_only_that(store: Backend) {
    for key in ["a/1", "a/2", "a/b/3", "c"] {
        store.put_text(key, "x").await;
    }
    store.delete(&at("a/1")).await.unwrap();
    store.delete(&at("a/1")).await.unwrap();
    let keys = ["a/b/3", "a/nothing", "c"].map(|key| Key::new(key).unwrap());
    let stayed = store.delete_many(&bucket("media"), keys.into()).await.unwrap();
    assert_eq!(stayed, []);
    assert_eq!(store.keys().await, ["a/2"]);
    assert_eq!(store.delete_many(&bucket("media"), Vec::new()).await.unwrap(), []);
    let too_many = (0..1001).map(|i| Key::new(&i.to_string()).unwrap()).collect();
    let refused = store.delete_many(&bucket("media"), too_many).await;
    assert!(matches!(refused, Err(BlobError::Invalid(_))), "{refused:?}");
    store.delete(&at("a/2")).await.unwrap();
    assert_eq!(store.keys().await, [""; 0]);
}
