//! Sizes and counts.

use crate::servers::*;
use bytes::Bytes;
use capability_outbound_http::{Bounds, Config, Origin};
use http::{HeaderName, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use nexus_runtime::full;
use std::sync::Arc;
use wasmtime_wasi_http::Error;

#[tokio::test]
async fn a_call_makes_only_so_many_requests() {
    let server = Server::start(hello).await;
    let client = client(Config::default());
    let mut origin = origin_with(&[&server.url("")], "outbound_max = 3", nobody());
    origin.call = Some(Arc::new(call("first")));
    for _request in 0..3 {
        client.send(get(&server.url("/")), None, &origin).await.expect("within the limit");
    }
    let sent = client.send(get(&server.url("/")), None, &origin).await;
    assert_eq!(refusal(sent), "ConnectionLimitReached");
    let next = Origin { call: Some(Arc::new(call("second"))), ..origin };
    client.send(get(&server.url("/")), None, &next).await.expect("another call has its own count");
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn refused_requests_count_too() {
    let client = client(Config::default());
    let mut origin = origin_with(&[], "outbound_max = 2", nobody());
    origin.call = Some(Arc::new(call("probing")));
    let mut answers = Vec::new();
    for _request in 0..3 {
        answers.push(refusal(client.send(get("http://a.example/"), None, &origin).await));
    }
    assert_eq!(answers, ["HttpRequestDenied", "HttpRequestDenied", "ConnectionLimitReached"]);
}

#[tokio::test]
async fn a_request_head_has_a_largest_size() {
    let server = Server::start(hello).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let long = server.url(&format!("/{}", "x".repeat(17 << 10)));
    let sent = client.send(get(&long), None, &origin).await;
    assert_eq!(refusal(sent), "HttpRequestUriTooLong");
    let mut wide = get(&server.url("/"));
    let value = HeaderValue::from_str(&"x".repeat(65 << 10)).expect("visible ASCII");
    wide.headers_mut().insert("x-wide", value);
    let sent = client.send(wide, None, &origin).await;
    assert!(refusal(sent).starts_with("HttpRequestHeaderSectionSize"));
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_response_head_has_a_largest_size() {
    let server = Server::start(|request| async move {
        let mut response = Response::new(full("x"));
        let (count, size) = match request.uri().path() {
            "/wide" => (1, 80 << 10),
            "/many" => (200, 10),
            _ => (60, 1 << 10),
        };
        for field in 0..count {
            let name: HeaderName = format!("x-{field}").parse().expect("a field name");
            let value = HeaderValue::from_str(&"x".repeat(size)).expect("visible ASCII");
            response.headers_mut().insert(name, value);
        }
        response
    })
    .await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    for path in ["/wide", "/many"] {
        let sent = client.send(get(&server.url(path)), None, &origin).await;
        let refusal = refusal(sent);
        assert!(refusal.starts_with("HttpResponseHeaderSectionSize"), "{path}: {refusal}");
    }
    client.send(get(&server.url("/fits")), None, &origin).await.expect("60 KiB of fields fit");
}

#[tokio::test]
async fn a_response_body_has_a_largest_size_announced_or_not() {
    let server = Server::start(|request| async move {
        let piece = || Ok::<_, Error>(Frame::data(Bytes::from(vec![b'x'; 1000])));
        match request.uri().path() {
            "/announced" => Response::new(full(vec![b'x'; 4001])),
            "/exact" => Response::new(full(vec![b'x'; 4000])),
            _ => {
                let endless = futures::stream::repeat_with(piece);
                Response::new(StreamBody::new(endless).boxed_unsync())
            }
        }
    })
    .await;
    let client = bounded(Bounds { response_body_bytes_max: 4000, ..Bounds::default() });
    let origin = origin(&[&server.url("")]);
    let sent = client.send(get(&server.url("/announced")), None, &origin).await;
    assert_eq!(refusal(sent), "HttpResponseBodySize(Some(4001))");
    let exact = client.send(get(&server.url("/exact")), None, &origin).await.expect("it fits");
    assert_eq!(text(exact).await.len(), 4000);
    let endless = client.send(get(&server.url("/endless")), None, &origin).await.expect("a head");
    let error = endless.into_body().collect().await.expect_err("it does not end");
    assert!(matches!(error, Error::HttpResponseBodySize(Some(4000))), "{error:?}");
    // HEAD answers announce a length and have no body.
    let mut head = get(&server.url("/announced"));
    *head.method_mut() = http::Method::HEAD;
    let response = client.send(head, None, &origin).await.expect("nothing is transferred");
    assert_eq!(response.headers()["content-length"], "4001");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_protocol_error() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::raw(|mut stream, _counted| async move {
        let mut request = [0; 1024];
        let read = stream.read(&mut request).await.expect("a request arrives");
        assert!(read > 0, "the client closed");
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").await.expect("the client reads");
    })
    .await;
    let origin = origin(&[&server.url("")]);
    let sent = client(Config::default()).send(get(&server.url("/")), None, &origin).await;
    assert_eq!(refusal(sent), "HttpProtocolError");
}

#[tokio::test]
async fn a_response_cut_short_is_incomplete() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::raw(|mut stream, _counted| async move {
        let mut request = [0; 1024];
        let read = stream.read(&mut request).await.expect("a request arrives");
        assert!(read > 0, "the client closed");
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        stream.write_all(head).await.expect("the client reads");
    })
    .await;
    let origin = origin(&[&server.url("")]);
    let sent = client(Config::default()).send(get(&server.url("/")), None, &origin).await;
    let error = sent.expect("the head is whole").into_body().collect().await;
    let error = error.expect_err("six bytes are missing");
    assert!(matches!(error, Error::HttpResponseIncomplete), "{error:?}");
}
