//! Requests that another site makes a browser send: every method with every word that browsers say
//! about the page behind it.

use crate::clients::{ask, send};
use crate::platform::Platform;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use http::{Method, Request};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;

const UNSAFE: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

fn from(method: &Method, secret: &str, fields: &[(&str, &str)]) -> http::request::Builder {
    let request = Request::builder().method(method).uri("/echo/x").header("host", "nexus.example");
    let request = request.header("cookie", format!("nexus-session={secret}"));
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_pages_act_with_a_cookie() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, secret) = platform.session("u-1").await;
    let (_, other) = platform.session("u-1").await;
    let host = platform.host_with(|config| {
        config.cors.origins = HashSet::from(["https://app.example".to_owned()]);
    });
    let host = host.await;
    let token = |secret: &str| {
        let digest = Sha256::digest(secret);
        let mac = Hmac::<Sha256>::new_from_slice(&digest).unwrap().chain_update("nexus-csrf");
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    };
    let (own, foreign) = (token(&secret), token(&other));
    let site = |word: &'static str| ("sec-fetch-site", word);
    for (fields, passes) in [
        (&[site("same-origin")][..], true),
        (&[site("none")], true),
        (&[("origin", "http://nexus.example")], true),
        (&[("origin", "http://localhost:8080")], true),
        (&[], false),
        (&[site("cross-site")], false),
        (&[site("same-site")], false),
        (&[site("cross-site"), ("origin", "http://nexus.example")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "https://app.example")], false),
        (&[("origin", "null")], false),
        (&[("referer", "http://nexus.example/")], false),
        (&[site("cross-site"), ("origin", "https://app.example"), ("x-csrf-token", &own)], true),
        (&[("x-csrf-token", &own)], true),
        (&[("x-csrf-token", &foreign)], false),
        (&[("x-csrf-token", "")], false),
    ] {
        for method in &UNSAFE {
            let answer = send(host.address(), from(method, &secret, fields), "").await;
            match passes {
                true => assert_eq!(answer.status, 200, "{method} {fields:?}"),
                false => answer.is_problem(403, "cross-site"),
            }
        }
        let looked = ask(host.address(), from(&Method::GET, &secret, fields)).await;
        assert_eq!(looked.json()["principal"]["subject"], "u-1", "{fields:?}");
    }
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_be_opened_with_a_cookie() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, secret) = platform.session("u-1").await;
    let host = platform.host().await;
    let mut raw = crate::clients::Raw::open(host.address()).await;
    raw.say(format!(
        "GET /echo/events HTTP/1.1\r\nhost: nexus.example\r\naccept: text/event-stream\r\n\
         cookie: nexus-session={secret}\r\n\r\n"
    ))
    .await;
    let (status, fields) = raw.head().await.unwrap();
    assert_eq!(
        (status.as_u16(), &fields["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    drop(raw);
    host.stop().await;
    platform.end().await;
}
