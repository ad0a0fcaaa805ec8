//! A `wasi:http/proxy@0.2` guest runs too, with a fresh instance for each request.

use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_older_guest_never_sees_the_instance_of_another_request() {
    let nexus = Nexus::setup().components(&[probe("proxy")]).without_database().start().await;
    let client = nexus.anonymous();
    for _ in 0..5 {
        let text = client.get("/path?query").await.ok().text();
        assert_eq!(text, "request 1 of this instance: /path?query");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_older_guests_run_at_once() {
    let nexus = Nexus::setup().components(&[probe("proxy")]).without_database().start().await;
    let client = nexus.anonymous();
    let asked = (0..200).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.get("/").await.ok() })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap().text(), "request 1 of this instance: /");
    }
}
