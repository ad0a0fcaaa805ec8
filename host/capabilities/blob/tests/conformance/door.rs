//! What the folder's door says over HTTP beyond what both backends do.

use crate::backend::*;
use capability_blob::*;
use std::time::Duration;

async fn url(store: &Backend, key: &str, permission: Permission) -> String {
    store.sign(&at(key), permission, Duration::from_secs(60)).await.unwrap().url
}

fn download() -> Permission {
    Permission::Download { file_name: None, content_type: None }
}

fn upload(size: Option<u64>) -> Permission {
    Permission::Upload { content_type: None, size }
}

fn problem(answer: &Answer) -> &str {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let text = std::str::from_utf8(&answer.body).unwrap();
    let (_, name) = text.split_once("/problems/host/").unwrap();
    name.split_once('"').unwrap().0
}

#[tokio::test]
async fn a_cached_download_is_not_sent_again() {
    let store = Backend::folder().await;
    let etag = format!("\"{}\"", store.put_text("k", "bytes").await.etag);
    let url = url(&store, "k", download()).await;
    let first = fetch("GET", &url, &[], "").await;
    let again = fetch("GET", &url, &[("if-none-match", &etag)], "").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), etag);
    let modified = first.header("last-modified");
    let since = fetch("GET", &url, &[("if-modified-since", modified)], "").await;
    assert_eq!(since.status, 304);
    let range = ("range", "bytes=1-2");
    let fresh = fetch("GET", &url, &[range, ("if-range", &etag)], "").await;
    assert_eq!((fresh.status, &fresh.body[..]), (206, &b"yt"[..]));
    let stale = fetch("GET", &url, &[range, ("if-range", "\"other\"")], "").await;
    assert_eq!((stale.status, &stale.body[..]), (200, &b"bytes"[..]));
    let failed = fetch("GET", &url, &[("if-match", "\"other\"")], "").await;
    assert_eq!((failed.status, problem(&failed)), (412, "precondition-failed"));
}

#[tokio::test]
async fn head_says_what_get_would_say() {
    let store = Backend::folder().await;
    store.put_text("k", "bytes").await;
    let url = url(&store, "k", download()).await;
    let (head, get) = (fetch("HEAD", &url, &[], "").await, fetch("GET", &url, &[], "").await);
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-length", "content-type", "etag", "last-modified", "accept-ranges"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    let ranged = fetch("HEAD", &url, &[("range", "bytes=0-0")], "").await;
    assert_eq!((ranged.status, ranged.header("content-length")), (200, "5"));
}

#[tokio::test]
async fn what_people_upload_cannot_act_in_our_name() {
    let store = Backend::folder().await;
    let put = Put { attributes: attributes("text/html", &[]), ..Put::default() };
    store.put(&at("k"), put, whole("<script>")).await.unwrap();
    let answer = fetch("GET", &url(&store, "k", download()).await, &[], "").await;
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("cache-control").starts_with("private, max-age="));
}

#[tokio::test]
async fn refusals_are_problems_with_the_right_status() {
    let store = Backend::folder().await;
    let missing = fetch("GET", &url(&store, "k", download()).await, &[], "").await;
    assert_eq!((missing.status, problem(&missing)), (404, "no-such-blob"));
    store.put_text("k", "bytes").await;
    let url = url(&store, "k", download()).await;
    let outside = fetch("GET", &url, &[("range", "bytes=5-")], "").await;
    assert_eq!((outside.status, problem(&outside)), (416, "range-not-satisfiable"));
    assert_eq!(outside.header("content-range"), "bytes */5");
    let method = fetch("DELETE", &url, &[], "").await;
    assert_eq!((method.status, problem(&method)), (405, "method-not-allowed"));
    assert_eq!(method.header("allow"), "GET, HEAD, PUT");
    let forged = fetch("GET", &format!("{url}&x=y"), &[], "").await;
    assert_eq!((forged.status, problem(&forged)), (403, "signed-url-refused"));
    let origin = url.split("/blobs/").next().unwrap();
    for path in
        ["/blobs/", "/blobs/media/", "/blobs/media", "/blobs/MEDIA/k?a=b", "/blobs/a/..%2fk"]
    {
        let answer = fetch("GET", &format!("{origin}{path}"), &[], "").await;
        assert_eq!((answer.status, problem(&answer)), (403, "signed-url-refused"), "{path}");
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_old_object() {
    let store = Backend::folder().await;
    store.put_text("k", "old").await;
    let url: url::Url = url(&store, "k", upload(None)).await.parse().unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let target = &url[url::Position::BeforePath..];
    let head = format!("PUT {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    // A chunked body whose second chunk never comes as announced.
    let torn = format!("{head}transfer-encoding: chunked\r\n\r\n3\r\nnew\r\nnonsense\r\n");
    assert_eq!(send_raw(address, &torn).await, 400);
    assert_eq!(store.read("k").await.unwrap(), b"old");
    assert_eq!(store.leftovers().len(), 0);
    let whole = format!("{head}transfer-encoding: chunked\r\n\r\n3\r\nnew\r\n0\r\n\r\n");
    assert_eq!(send_raw(address, &whole).await, 200);
    assert_eq!(store.read("k").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_chunked_upload_has_the_size_that_was_signed() {
    let store = Backend::folder().await;
    let url: url::Url = url(&store, "k", upload(Some(3))).await.parse().unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let target = &url[url::Position::BeforePath..];
    let put = |body: &str| {
        let length = body.len();
        format!(
            "PUT {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    assert_eq!(send_raw(address, &put("ab")).await, 400);
    assert_eq!(send_raw(address, &put("abcd")).await, 400);
    assert_eq!(store.keys().await, [""; 0]);
    assert_eq!(send_raw(address, &put("abc")).await, 200);
}
