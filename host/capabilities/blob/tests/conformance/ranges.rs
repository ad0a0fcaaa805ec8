//! Parts of objects.

use crate::backend::*;
use capability_blob::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const SIZE: usize = 600_000;

async fn stored(store: &Backend) -> (bytes::Bytes, Stored) {
    let bytes = noise(SIZE, 11);
    let stored = store.put(&at("k"), Put::default(), chunked(&bytes, 65_536)).await.unwrap();
    (bytes, stored)
}

async fn check(store: &Backend, bytes: &[u8], range: ByteRange) {
    let get = Get { range: Some(range), if_match: None };
    let expected = range.within(bytes.len() as u64);
    match store.get(&at("k"), get).await {
        Ok(download) => {
            let expected = expected.unwrap();
            assert_eq!(download.range, expected, "{range:?}");
            assert_eq!(download.object.size, bytes.len() as u64);
            let slice = &bytes[expected.start as usize..expected.end as usize];
            assert!(collect(download.body).await.unwrap() == slice, "{range:?}");
        }
        Err(error) => assert_eq!(expected, Err(error), "{range:?}"),
    }
}

pub(crate) async fn a_range_is_the_slice_it_names(store: Backend) {
    let (bytes, _) = stored(&store).await;
    let size = SIZE as u64;
    let slice = |offset, length| ByteRange::Slice { offset, length };
    for range in [
        slice(0, 1),
        slice(0, size),
        slice(0, size + 1),
        slice(size - 1, 1),
        slice(size - 1, u64::MAX / 2),
        slice(262_143, 2),
        slice(262_144, 262_144),
        ByteRange::From(0),
        ByteRange::From(size - 1),
        ByteRange::Last(1),
        ByteRange::Last(size),
    ] {
        check(&store, &bytes, range).await;
    }
    let get = Get { range: Some(ByteRange::Last(size + 1)), if_match: None };
    let more = store.read_with("k", get).await;
    if store.is_s3s_fs() {
        // It seeks before the start of the file; S3 gives the whole object.
        assert!(more.is_err(), "{:?}", more.map(|bytes| bytes.len()));
    } else {
        assert!(more.unwrap() == bytes);
    }
}

pub(crate) async fn random_ranges_equal_the_slice(store: Backend) {
    let (bytes, _) = stored(&store).await;
    let size = SIZE as u64;
    let range = prop_oneof![
        (0..size + 10, 0..size).prop_map(|(offset, length)| ByteRange::Slice { offset, length }),
        (0..size + 10).prop_map(ByteRange::From),
        (0..=size).prop_map(ByteRange::Last),
    ];
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    let home = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(config);
        let outcome = runner.run(&range, |range| {
            home.block_on(check(&store, &bytes, range));
            Ok(())
        });
        outcome.unwrap();
    });
}

pub(crate) async fn a_range_outside_is_not_satisfiable(store: Backend) {
    store.put_text("k", "0123456789").await;
    store.put_text("empty", "").await;
    let read = async |key, range| store.read_with(key, Get { range, if_match: None }).await;
    let outside = Err(BlobError::RangeNotSatisfiable);
    for range in [
        ByteRange::From(10),
        ByteRange::Slice { offset: 10, length: 1 },
        ByteRange::Slice { offset: 3, length: 0 },
        ByteRange::Last(0),
    ] {
        assert_eq!(read("k", Some(range)).await, outside, "{range:?}");
    }
    assert_eq!(read("empty", Some(ByteRange::From(0))).await, outside);
    assert_eq!(read("empty", None).await.unwrap(), b"");
}

pub(crate) async fn pieces_of_one_etag_belong_together(store: Backend) {
    let old = store.put_text("k", "old bytes").await.etag;
    let range = Some(ByteRange::Slice { offset: 0, length: 3 });
    let read = async |if_match| store.read_with("k", Get { range, if_match }).await;
    assert_eq!(read(Some(old.clone())).await.unwrap(), b"old");
    let new = store.put_text("k", "new bytes").await.etag;
    let changed = read(Some(old)).await;
    if store.is_s3s_fs() {
        // It does not look at If-Match of a GET; S3 answers 412.
        assert_eq!(changed.unwrap(), b"new");
    } else {
        assert_eq!(changed, Err(BlobError::PreconditionFailed));
    }
    assert_eq!(read(Some(new)).await.unwrap(), b"new");
}
