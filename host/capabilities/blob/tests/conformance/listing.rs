//! What a listing shows, in which order, and in how many pages.

use crate::backend::*;
use capability_blob::*;

/// No key here is the folder of another: that has a case of its own.
const KEYS: [&str; 11] =
    ["0", "Z/1", "a!/x", "a-/x", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b/c/d/e", "é"];

async fn filled(store: &Backend) {
    for key in KEYS {
        store.put_text(key, key).await;
    }
}

async fn list(store: &Backend, query: Query) -> (Vec<String>, Vec<String>) {
    let page = store.list(&bucket("media"), query).await.unwrap();
    assert_eq!(page.next, None);
    (page.entries.into_iter().map(|entry| entry.key).collect(), page.prefixes)
}

pub(crate) async fn keys_are_listed_in_the_order_of_their_bytes(store: Backend) {
    assert_eq!(list(&store, query("")).await.0, [""; 0]);
    filled(&store).await;
    let long = |tail: &str| format!("{}{tail}", "l".repeat(64));
    let mut keys: Vec<String> = KEYS.map(str::to_owned).into();
    // The folder cuts segments at 64 bytes, where their order must not break.
    for key in [long("!"), long("/0"), long("0"), long("z/a"), long(&"z".repeat(70)), long("~")] {
        store.put_text(&key, "x").await;
        keys.push(key);
    }
    keys.sort_unstable();
    assert_eq!(list(&store, query("")).await.0, keys);
}

pub(crate) async fn a_listing_says_what_head_says(store: Backend) {
    let stored = store.put_text("a/k", "bytes").await;
    let object = store.head(&at("a/k")).await.unwrap();
    let page = store.list(&bucket("media"), query("a/")).await.unwrap();
    let [entry] = &page.entries[..] else { panic!("{page:?}") };
    assert_eq!((entry.key.as_str(), entry.size), ("a/k", stored.size));
    let difference = match entry.modified.duration_since(object.modified) {
        Ok(later) => later,
        Err(earlier) => earlier.duration(),
    };
    assert!(difference.as_secs() < 1, "HTTP tells whole seconds");
    // s3s-fs lists no etags; S3 does.
    let etag = if store.is_s3s_fs() { "" } else { stored.etag.as_str() };
    assert_eq!(entry.etag, etag);
}

pub(crate) async fn a_prefix_need_not_end_at_a_slash(store: Backend) {
    filled(&store).await;
    for prefix in ["", "a", "a/", "a/2", "a/2/", "b/c/d/e", "b/c/x", "nothing", "é", "Z/1x"] {
        let expected: Vec<_> = KEYS.into_iter().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(list(&store, query(prefix)).await.0, expected, "{prefix}");
    }
}

pub(crate) async fn a_delimiter_rolls_up_what_is_below_it(store: Backend) {
    filled(&store).await;
    let with = |prefix: &str, delimiter: &str| Query {
        delimiter: Some(delimiter.into()),
        ..query(prefix)
    };
    let texts = |texts: &[&str]| -> Vec<String> { texts.iter().map(|t| (*t).into()).collect() };
    let (keys, prefixes) = list(&store, with("", "/")).await;
    assert_eq!(keys, texts(&["0", "a0", "é"]));
    assert_eq!(prefixes, texts(&["Z/", "a!/", "a-/", "a/", "b/"]));
    let (keys, prefixes) = list(&store, with("a/", "/")).await;
    assert_eq!((keys, prefixes), (texts(&["a/1", "a/3"]), texts(&["a/2/"])));
    let (keys, prefixes) = list(&store, with("a", "/")).await;
    assert_eq!((keys, prefixes), (texts(&["a0"]), texts(&["a!/", "a-/", "a/"])));
    let (keys, prefixes) = list(&store, with("b/", "/d/")).await;
    // s3s-fs cuts after the first byte of a delimiter; S3 takes all of it.
    let rolled_up = if store.is_s3s_fs() { "b/c/" } else { "b/c/d/" };
    assert_eq!((keys, prefixes), (texts(&[]), texts(&[rolled_up])));
    let (keys, prefixes) = list(&store, with("a/2", "2")).await;
    assert_eq!((keys, prefixes), (texts(&["a/2/x", "a/2/y"]), texts(&[])));
}

pub(crate) async fn pages_of_any_size_make_the_same_listing(store: Backend) {
    filled(&store).await;
    for delimiter in [None, Some("/".to_owned())] {
        let at_once = Query { delimiter: delimiter.clone(), ..query("") };
        let (keys, prefixes) = list(&store, at_once).await;
        for limit in 1..=12 {
            let (mut entries, mut rolled_up, mut cursor) = (Vec::new(), Vec::new(), None);
            loop {
                let next = Query { delimiter: delimiter.clone(), cursor, limit, ..query("") };
                let page = store.list(&bucket("media"), next).await.unwrap();
                let count = page.entries.len() + page.prefixes.len();
                assert!(count == limit || page.next.is_none(), "{count} of {limit}");
                if page.next.is_some() {
                    // A key that arrives behind the cursor is for the next listing.
                    assert_eq!(count, limit);
                }
                entries.extend(page.entries.into_iter().map(|entry| entry.key));
                rolled_up.extend(page.prefixes);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!((&entries, &rolled_up), (&keys, &prefixes), "{limit} at a time");
        }
    }
}

pub(crate) async fn a_listing_against_the_rules_is_refused(store: Backend) {
    for wrong in [
        Query { limit: 0, ..query("") },
        Query { limit: 1001, ..query("") },
        Query { delimiter: Some(String::new()), ..query("") },
        Query { delimiter: Some("x".repeat(17)), ..query("") },
        query("/a"),
        query("a\0"),
        query(&"x".repeat(961)),
    ] {
        let refused = store.list(&bucket("media"), wrong.clone()).await;
        assert!(matches!(refused, Err(BlobError::Invalid(_))), "{wrong:?}: {refused:?}");
    }
    let foreign = Query { cursor: Some("no cursor".into()), ..query("") };
    let refused = store.list(&bucket("media"), foreign).await;
    // s3s-fs takes any text for a key to go on from; S3 refuses it.
    assert_eq!(refused.is_ok(), store.is_s3s_fs(), "{refused:?}");
}
