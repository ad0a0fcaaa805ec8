//! Uploads in parts.

use crate::backend::*;
use bytes::Bytes;
use capability_blob::*;

const FIVE: usize = 5 << 20;

async fn open(store: &Backend, key: &str) -> Upload {
    let with = attributes("video/mp4", &[("a", "1")]);
    let id = store.create_upload(&at(key), with).await.unwrap();
    Upload { place: at(key), id }
}

fn sized(number: u32, bytes: &Bytes) -> PartPut {
    PartPut { number, size: Some(bytes.len() as u64), expected: checksums(bytes) }
}

fn unsized_part(number: u32) -> PartPut {
    PartPut { number, size: None, expected: Checksums::default() }
}

async fn send(store: &Backend, upload: &Upload, number: u32, bytes: &Bytes) -> NamedPart {
    let part = sized(number, bytes);
    let stored = store.upload_part(upload, part, chunked(bytes, 100_000)).await.unwrap();
    assert_eq!(stored.size, bytes.len() as u64);
    assert_eq!(stored.checksums, checksums(bytes));
    NamedPart { number, etag: stored.etag }
}

/// What is said of an upload that is not there: s3s-fs calls it denied, S3 has a word for it.
fn assert_gone<T: std::fmt::Debug>(store: &Backend, result: Result<T, BlobError>) {
    match result {
        Err(BlobError::NoSuchUpload) => assert!(!store.is_s3s_fs()),
        Err(BlobError::AccessDenied(_)) => assert!(store.is_s3s_fs()),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn parts_become_one_object(store: Backend) {
    let upload = open(&store, "clip.mp4").await;
    let (one, two, three) = (noise(FIVE, 21), noise(FIVE + 1, 22), noise(10, 23));
    let third = send(&store, &upload, 3, &three).await;
    let first = send(&store, &upload, 1, &one).await;
    let second = send(&store, &upload, 2, &two).await;
    assert_eq!(store.keys().await, [""; 0], "nothing is visible before the end");
    let parts = vec![first, second, third];
    let stored = store.complete_upload(&upload, parts, None).await.unwrap();
    let whole = [one, two, three].concat();
    assert_eq!(stored.size, whole.len() as u64);
    let object = store.head(&at("clip.mp4")).await.unwrap();
    assert_eq!((object.size, &object.etag), (stored.size, &stored.etag));
    assert_eq!(object.attributes, attributes("video/mp4", &[("a", "1")]));
    assert_eq!(object.checksums.sha256, None, "nobody has seen the bytes in a row");
    let crc32c = checksums(&whole).crc32c.filter(|_| !store.is_s3s_fs());
    assert_eq!(object.checksums.crc32c, crc32c);
    assert!(store.read("clip.mp4").await.unwrap() == whole);
    assert_eq!(store.leftovers().len(), 0);
}

pub(crate) async fn a_part_may_be_sent_again(store: Backend) {
    let upload = open(&store, "k").await;
    let (old, new) = (noise(100, 24), noise(200, 25));
    let replaced = send(&store, &upload, 1, &old).await;
    let part = send(&store, &upload, 1, &new).await;
    assert_ne!(replaced.etag, part.etag);
    let arrived = store.list_parts(&upload, 0).await.unwrap().parts;
    assert_eq!(arrived.iter().map(|part| part.size).collect::<Vec<_>>(), [200]);
    store.complete_upload(&upload, vec![part], None).await.unwrap();
    assert_eq!(store.read("k").await.unwrap(), new);
}

pub(crate) async fn parts_are_listed_by_number(store: Backend) {
    let upload = open(&store, "k").await;
    assert_eq!(store.list_parts(&upload, 0).await.unwrap(), PartPage::default());
    let mut sent = Vec::new();
    for number in [7, 10_000, 2, 30] {
        sent.push(send(&store, &upload, number, &noise(number as usize, 26)).await);
    }
    let page = store.list_parts(&upload, 0).await.unwrap();
    let sizes: Vec<_> = page.parts.iter().map(|part| (part.number, part.size)).collect();
    assert_eq!(sizes, [(2, 2), (7, 7), (30, 30), (10_000, 10_000)]);
    assert_eq!(page.next, None);
    // s3s-fs lists no etags; S3 does.
    let etag = if store.is_s3s_fs() { "" } else { sent[0].etag.as_str() };
    assert_eq!(page.parts[1].etag, etag);
    let later = store.list_parts(&upload, 7).await.unwrap().parts;
    assert_eq!(later.iter().map(|part| part.number).collect::<Vec<_>>(), [30, 10_000]);
}

pub(crate) async fn an_upload_is_completed_with_the_parts_that_arrived(store: Backend) {
    let upload = open(&store, "k").await;
    let first = send(&store, &upload, 1, &noise(FIVE, 27)).await;
    let second = send(&store, &upload, 2, &noise(10, 28)).await;
    let complete = async |parts: &[&NamedPart]| {
        let parts = parts.iter().map(|part| (*part).clone()).collect();
        store.complete_upload(&upload, parts, None).await
    };
    for parts in [vec![], vec![&second, &first], vec![&first, &first]] {
        let refused = complete(&parts).await;
        assert!(matches!(refused, Err(BlobError::Invalid(_))), "{refused:?}");
    }
    if !store.is_s3s_fs() {
        // s3s-fs looks at no etag, forgets the upload when a part is missing, and wants part
        // numbers without gaps; S3 does none of that.
        let stranger = NamedPart { number: 2, etag: "0".into() };
        let missing = NamedPart { number: 3, etag: second.etag.clone() };
        for parts in [vec![&first, &stranger], vec![&first, &second, &missing]] {
            let refused = complete(&parts).await;
            assert!(matches!(refused, Err(BlobError::Invalid(_))), "{refused:?}");
        }
        assert_eq!(complete(&[&second]).await.unwrap().size, 10);
    } else {
        assert_eq!(complete(&[&first, &second]).await.unwrap().size, FIVE as u64 + 10);
    }
}

pub(crate) async fn only_the_last_part_may_be_small(store: Backend) {
    let upload = open(&store, "k").await;
    let first = send(&store, &upload, 1, &noise(FIVE - 1, 29)).await;
    let second = send(&store, &upload, 2, &noise(10, 30)).await;
    let refused = store.complete_upload(&upload, vec![first, second], None).await;
    assert!(matches!(refused, Err(BlobError::Invalid(_))), "{refused:?}");
    assert_eq!(store.keys().await, [""; 0]);
}

pub(crate) async fn a_completed_or_aborted_upload_is_gone(store: Backend) {
    let upload = open(&store, "k").await;
    let part = send(&store, &upload, 1, &noise(10, 31)).await;
    store.abort_upload(&upload).await.unwrap();
    assert_gone(&store, store.abort_upload(&upload).await);
    let body = whole("more");
    assert_gone(&store, store.upload_part(&upload, unsized_part(2), body).await);
    assert_gone(&store, store.complete_upload(&upload, vec![part], None).await);
    assert_eq!(store.keys().await, [""; 0]);
    let upload = open(&store, "k").await;
    let part = send(&store, &upload, 1, &noise(10, 31)).await;
    store.complete_upload(&upload, vec![part], None).await.unwrap();
    assert_gone(&store, store.upload_part(&upload, unsized_part(2), whole("more")).await);
    assert_eq!(store.leftovers().len(), 0);
}

pub(crate) async fn an_upload_belongs_to_its_key(store: Backend) {
    let upload = open(&store, "k").await;
    let thief = Upload { place: at("other"), id: upload.id.clone() };
    let stolen = store.upload_part(&thief, unsized_part(1), whole("x")).await;
    if store.is_s3s_fs() {
        // s3s-fs does not keep the key of an upload; S3 does.
        assert!(stolen.is_ok());
        return;
    }
    assert_eq!(stolen, Err(BlobError::NoSuchUpload));
    assert_eq!(store.abort_upload(&thief).await, Err(BlobError::NoSuchUpload));
    for id in ["", "..", "../..", "x", "00000000-0000-0000-0000-000000000000"] {
        let upload = Upload { place: at("k"), id: id.into() };
        let refused = store.list_parts(&upload, 0).await;
        assert_eq!(refused, Err(BlobError::NoSuchUpload), "{id}");
    }
}

pub(crate) async fn a_condition_decides_whether_an_upload_becomes_visible(store: Backend) {
    let upload = open(&store, "k").await;
    let part = send(&store, &upload, 1, &noise(10, 32)).await;
    let old = store.put_text("k", "by someone else").await.etag;
    let complete =
        async |condition| store.complete_upload(&upload, vec![part.clone()], Some(condition)).await;
    assert_eq!(complete(Condition::Absent).await, Err(BlobError::PreconditionFailed));
    let stale = Condition::Matches("0".into());
    assert_eq!(complete(stale).await, Err(BlobError::PreconditionFailed));
    assert_eq!(store.read("k").await.unwrap(), b"by someone else");
    complete(Condition::Matches(old)).await.unwrap();
    let read = store.read("k").await;
    if store.is_s3s_fs() {
        // s3s-fs leaves the old object's checksum beside one made of parts; S3 does not.
        assert_eq!(read, Err(BlobError::ChecksumMismatch));
    } else {
        assert_eq!(read.unwrap(), noise(10, 32));
    }
}

pub(crate) async fn a_part_of_unknown_size_has_a_limit_and_one_of_known_size_another(
    store: Backend,
) {
    let upload = open(&store, "k").await;
    let limit = UNSIZED_PART_BYTES_MAX as usize;
    let (fits, large) = (noise(limit, 33), noise(limit + 1, 34));
    let stored = store.upload_part(&upload, unsized_part(1), chunked(&fits, 1 << 20)).await;
    let first = NamedPart { number: 1, etag: stored.unwrap().etag };
    let refused = store.upload_part(&upload, unsized_part(2), chunked(&large, 1 << 20)).await;
    assert_eq!(refused, Err(BlobError::TooLarge { limit: UNSIZED_PART_BYTES_MAX }));
    let second = send(&store, &upload, 2, &large).await;
    store.complete_upload(&upload, vec![first, second], None).await.unwrap();
    assert!(store.read("k").await.unwrap() == [fits, large].concat());
}

pub(crate) async fn a_part_that_does_not_match_what_was_said_is_refused(store: Backend) {
    let upload = open(&store, "k").await;
    for length in [100, (UNSIZED_PART_BYTES_MAX + 100) as usize] {
        let bytes = noise(length, 35);
        let wrong = PartPut { expected: checksums(b"others"), ..sized(1, &bytes) };
        let refused = store.upload_part(&upload, wrong, chunked(&bytes, 1 << 20)).await;
        assert_eq!(refused, Err(BlobError::ChecksumMismatch), "{length}");
        for size in [length as u64 + 1, length as u64 - 1] {
            let part = PartPut { size: Some(size), ..sized(2, &bytes) };
            let refused = store.upload_part(&upload, part, chunked(&bytes, 1 << 20)).await;
            assert_eq!(refused, Err(BlobError::Incomplete), "{length} declared as {size}");
        }
        let broken = store.upload_part(&upload, sized(3, &bytes), broken(&bytes)).await;
        assert_eq!(broken, Err(BlobError::Incomplete), "{length}");
    }
    for number in [0, 10_001] {
        let refused = store.upload_part(&upload, unsized_part(number), whole("x")).await;
        assert!(matches!(refused, Err(BlobError::Invalid(_))), "{refused:?}");
    }
    let huge = PartPut { size: Some(PART_BYTES_MAX + 1), ..unsized_part(1) };
    let refused = store.upload_part(&upload, huge, whole("x")).await;
    assert_eq!(refused, Err(BlobError::TooLarge { limit: PART_BYTES_MAX }));
}
