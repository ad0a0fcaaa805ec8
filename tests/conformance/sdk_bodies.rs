//! Bodies of every kind to and from a service of the SDK, which is handed whole requests in one
//! piece and hands back whole answers likewise; see also `bodies`, of guests that are not.

use crate::bodies::{come_back, ends_with_its_client, is_asked_for, stay_apart};
use nexus_harness::prelude::*;

const BODIES: &str = "/api/probe-journal/v1/bodies";

async fn host() -> Nexus {
    Nexus::with_components(&[probe("journal")]).await
}

/// All that a client is sent on a connection that asks for one answer.
async fn all_of(nexus: &Nexus, method: &str, kind: &str) -> String {
    let mut raw = nexus.connect().await;
    let head = format!("{method} {BODIES}/{kind} HTTP/1.1\r\nhost: x\r\n");
    assert!(raw.send(format!("{head}te: trailers\r\nconnection: close\r\n\r\n")).await);
    raw.read_to_end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_comes_back_as_it_went_on_both_sides_of_every_bound() {
    // What is handed over in one piece, and what of an answer is gathered.
    let bounds = [64 << 10, 256 << 10];
    come_back(&host().await, "/api/probe-journal/v1/bodies/mirror", &bounds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_reads_all_of_a_body_of_any_size() {
    let nexus = host().await;
    let client = nexus.anonymous();
    for bytes in [0, 1, 64 << 10, (64 << 10) + 1, 1_200_000] {
        let count = client.request(http::Method::POST, &format!("{BODIES}/count"));
        let counted = count.body(vec![1; bytes]).send().await.ok();
        assert_eq!(counted.text(), bytes.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bodies_at_once_are_not_mixed_up() {
    stay_apart(&host().await, "/api/probe-journal/v1/bodies/mirror", 4_999).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_flows_through_with_its_trailers() {
    let nexus = host().await;
    let mut raw = nexus.connect().await;
    let head = format!(
        "POST {BODIES}/mirror HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
    );
    assert!(raw.send(format!("{head}5\r\nhello\r\n")).await);
    assert!(raw.send("7\r\n, world\r\n0\r\nx-sum: 42\r\n\r\n").await);
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("hello") && answer.contains(", world"), "{answer}");
    assert!(answer.ends_with("0\r\nx-sum: 42\r\n\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_follow_what_is_ready_and_what_is_not() {
    let nexus = host().await;
    for kind in ["ready-with-trailers", "dripping-with-trailers"] {
        let answer = all_of(&nexus, "GET", kind).await;
        assert!(answer.ends_with("5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n"), "{kind}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ready_is_sent_before_the_rest() {
    let nexus = host().await;
    let client = nexus.anonymous();
    let dripping = client.request(http::Method::GET, &format!("{BODIES}/dripping"));
    let mut body = dripping.stream().await.status(200);
    for wanted in ["one ", "two ", "three"] {
        assert_eq!(body.next().await.unwrap().unwrap(), wanted);
    }
    assert!(body.next().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_known_is_said_also_of_a_body_that_flows() {
    let nexus = host().await;
    let large = nexus.anonymous().get(&format!("{BODIES}/large")).await.ok();
    assert_eq!(large.headers["content-length"], (300 << 10).to_string());
    assert_eq!(large.body.len(), 300 << 10);
    let head = all_of(&nexus, "HEAD", "large").await;
    assert!(head.contains("content-length: 307200\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_does_not_look_whole() {
    let nexus = host().await;
    nexus.expects_log("broke off");
    for kind in ["breaks-at-once", "breaks-later"] {
        let answer = all_of(&nexus, "GET", kind).await;
        assert!(!answer.contains("\r\n0\r\n"), "{kind}: {answer}");
    }
    assert_eq!(nexus.anonymous().get(&format!("{BODIES}/dripping")).await.ok().text().len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_a_problem_of_its_component() {
    let nexus = host().await;
    for kind in ["says-another-length", "says-the-hosts-field"] {
        let answer = nexus.anonymous().get(&format!("{BODIES}/{kind}")).await.status(502);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{kind}");
    }
    nexus.anonymous().get(&format!("{BODIES}/nothing-of-the-kind")).await.status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_body_that_is_wanted_is_asked_for() {
    is_asked_for(&host().await, &format!("{BODIES}/count")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_writes_more_than_its_client_takes_waits_and_stops_with_it() {
    ends_with_its_client(&host().await, &format!("{BODIES}/endless"), "journal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_in_one_piece_up_to_what_the_host_holds_for_one_answer() {
    let nexus = host().await;
    nexus.expects_log("16777216 bytes");
    let client = nexus.anonymous();
    let read = async |rows: u32| client.get(&format!("/api/probe-journal/v1/rows/{rows}")).await;
    assert_eq!(read(0).await.ok().text(), "0");
    assert_eq!(read(8).await.ok().text(), (8 << 20).to_string());
    read(17).await.status(500);
    assert_eq!(read(1).await.ok().text(), (1 << 20).to_string());
}
