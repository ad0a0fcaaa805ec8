//! Calls between components, and back through the front door.

use crate::servers::*;
use bytes::Bytes;
use capability_outbound_http::{ComponentCall, Components, Config, FrontDoor, Origin};
use http::Response;
use http_body_util::BodyExt as _;
use nexus_runtime::{Call, CallError, DEFAULT_TENANT, PrincipalKind, full};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the called component was told.
#[derive(Default)]
struct Seen(Mutex<Vec<(String, http::request::Parts, Call)>>);

impl Seen {
    fn take(&self) -> (String, http::request::Parts, Call) {
        self.0.lock().expect("no call panicked").pop().expect("the component was called")
    }

    fn is_empty(&self) -> bool {
        self.0.lock().expect("no call panicked").is_empty()
    }
}

/// A host whose every component echoes.
fn echoing(seen: &Arc<Seen>) -> Arc<Components> {
    let seen = seen.clone();
    Arc::new(move |component, request, call| -> ComponentCall {
        let (head, body) = request.into_parts();
        seen.0.lock().expect("no call panicked").push((component.to_string(), head, call));
        Box::pin(async move { Ok(Response::new(body)) })
    })
}

fn failing(error: CallError) -> Arc<Components> {
    Arc::new(move |_component, _request, _call| -> ComponentCall {
        let error = error.clone();
        Box::pin(async move { Err(error) })
    })
}

const LINE: &str = "http://*.spin.internal";

const VISITOR: [(&str, &str); 2] =
    [("nexus-client-addr", "198.51.100.7:1"), ("nexus-client-agent", "Firefox")];

#[tokio::test]
async fn a_neighbour_sees_the_callers_principal_and_who_calls() {
    let seen = Arc::new(Seen::default());
    let mut origin = origin_with(&[LINE], "", echoing(&seen));
    let mut call = call("req-1");
    let above = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    call.trace.traceparent = Some(above.parse().expect("a value"));
    let call = Arc::new(call);
    origin.call = Some(call.clone());
    let mut request = post("http://user-profile.spin.internal/api/x?y=1", full("ping"));
    request.headers_mut().insert("nexus-principal", "e30".parse().expect("a value"));
    request.headers_mut().insert("nexus-caller", "bank".parse().expect("a value"));
    for (name, value) in VISITOR {
        request.headers_mut().insert(name, value.parse().expect("a value"));
    }
    request.headers_mut().insert("accept", "*/*".parse().expect("a value"));
    let sent = client(Config::default()).send(request, None, &origin).await;
    assert_eq!(text(sent.expect("granted")).await, "ping");
    let (component, head, onward) = seen.take();
    assert_eq!(component, "user-profile");
    assert_eq!(head.uri.path_and_query().expect("a path").as_str(), "/api/x?y=1");
    assert!(head.headers.contains_key("accept"));
    for (name, value) in VISITOR {
        assert_eq!(head.headers[name], value, "a front end tells services about its visitor");
    }
    let others = head.headers.keys().filter(|name| name.as_str().starts_with("nexus-"));
    assert_eq!(others.count(), VISITOR.len());
    assert_eq!(onward.principal_header, call.principal_header);
    let own = onward.trace.traceparent.as_ref().expect("it is traced").to_str().expect("ASCII");
    assert_eq!(own[..36], above[..36], "the same trace");
    assert_ne!(own[36..52], above[36..52], "a span of its own");
    assert_eq!(onward.caller.expect("the caller is named").as_str(), "shop");
    assert_eq!((&*onward.request_id, onward.depth), ("req-1", 1));
}

#[tokio::test]
async fn without_a_known_caller_nobodys_rights_are_used() {
    let seen = Arc::new(Seen::default());
    let origin = origin_with(&["http://bank.spin.internal"], "", echoing(&seen));
    let client = client(Config::default());
    client.send(get("http://bank.spin.internal/"), None, &origin).await.expect("granted");
    let (_, _, onward) = seen.take();
    assert_eq!(onward.principal.kind, PrincipalKind::Anonymous);
    assert_eq!(onward.principal.tenant, DEFAULT_TENANT);
    assert!(onward.principal.permissions.is_empty());
    assert_eq!(onward.caller.expect("the caller is named").as_str(), "shop");
    assert!(!onward.request_id.is_empty());
}

#[tokio::test]
async fn a_neighbour_that_is_not_granted_is_not_called() {
    let seen = Arc::new(Seen::default());
    let script = loopback();
    let client = client(Config { resolver: script.clone(), ..Config::default() });
    for line in ["*://*:*", "http://bank.spin.internal", "https://*.spin.internal"] {
        let origin = origin_with(&[line], "", echoing(&seen));
        let sent = client.send(get("http://shop-admin.spin.internal/"), None, &origin).await;
        assert_eq!(refusal(sent), "HttpRequestDenied", "{line}");
    }
    let origin = origin_with(&[LINE, "*://*:*"], "", echoing(&seen));
    for uri in [
        "https://bank.spin.internal/",
        "http://bank.spin.internal:81/",
        "http://a.b.spin.internal/",
        "http://spin.internal/",
    ] {
        let sent = client.send(get(uri), None, &origin).await;
        assert_eq!(refusal(sent), "HttpRequestUriInvalid", "{uri}");
    }
    assert!(seen.is_empty());
    assert_eq!(script.asked(), 0, "an inside name was asked of a name server");
}

#[tokio::test]
async fn a_failed_call_is_the_problem_a_client_would_see() {
    let limit = Duration::from_secs(30);
    for (error, status, name) in [
        (CallError::WallTimeout { limit }, 504, "wall-timeout"),
        (CallError::TooDeep(16), 508, "call-loop"),
        (CallError::ShuttingDown, 503, "shutting-down"),
    ] {
        let mut origin = origin_with(&[LINE], "", failing(error));
        origin.call = Some(Arc::new(call("req-9")));
        let client = client(Config::default());
        let sent = client.send(get("http://bank.spin.internal/"), None, &origin).await;
        let response = sent.expect("a problem is a response");
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = text(response).await;
        assert!(body.contains(&format!("/problems/host/{name}")), "{body}");
        assert!(body.contains("req-9"), "{body}");
    }
}

#[tokio::test]
async fn calls_between_components_count_as_outbound_requests() {
    let seen = Arc::new(Seen::default());
    let mut origin = origin_with(&[LINE], "outbound_max = 1", echoing(&seen));
    origin.call = Some(Arc::new(call("req-2")));
    let client = client(Config::default());
    client.send(get("http://bank.spin.internal/"), None, &origin).await.expect("the first");
    let sent = client.send(get("http://bank.spin.internal/"), None, &origin).await;
    assert_eq!(refusal(sent), "ConnectionLimitReached");
}

#[tokio::test]
async fn bodies_between_components_stream() {
    use futures::stream;
    use http_body::Frame;
    let seen = Arc::new(Seen::default());
    let origin = origin_with(&[LINE], "", echoing(&seen));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, wasmtime_wasi_http::Error>(Frame::data(piece)), receiver))
    });
    let body = http_body_util::StreamBody::new(pieces).boxed_unsync();
    let request = post("http://bank.spin.internal/", body);
    let sent = client(Config::default()).send(request, None, &origin).await;
    let mut echoed = sent.expect("granted").into_body();
    for turn in 0..10 {
        let piece = Bytes::from(format!("piece {turn}"));
        sender.send(piece.clone()).await.expect("the body takes it");
        let back = echoed.frame().await.expect("there is more").expect("it arrives");
        assert_eq!(back.into_data().expect("data"), piece);
    }
}

#[tokio::test]
async fn a_callers_patience_holds_for_neighbours_too() {
    let never: Arc<Components> = Arc::new(|_, _, _| Box::pin(std::future::pending()));
    let origin = origin_with(&[LINE], "", never);
    let client = client(Config::default());
    let soon = options(None, Some(30), None);
    let sent = client.send(get("http://bank.spin.internal/"), soon, &origin).await;
    assert_eq!(refusal(sent), "ConnectionReadTimeout");
    let stuck: Arc<Components> = Arc::new(|_, _, _| {
        let body = http_body_util::StreamBody::new(futures::stream::pending()).boxed_unsync();
        Box::pin(async move { Ok(Response::new(body)) })
    });
    let origin = origin_with(&[LINE], "", stuck);
    let soon = options(None, None, Some(30));
    let sent = client.send(get("http://bank.spin.internal/"), soon, &origin).await;
    let error = sent.expect("the head comes").into_body().collect().await;
    let error = error.expect_err("nothing follows");
    assert!(matches!(error, wasmtime_wasi_http::Error::ConnectionReadTimeout), "{error:?}");
}

#[tokio::test]
async fn self_requests_go_through_the_front_door_as_any_client() {
    let door = Server::start(mirror).await;
    let front_door = FrontDoor::default();
    let client = client(Config { front_door: front_door.clone(), ..Config::default() });
    let mut granted: Origin = origin(&["http://self"]);
    granted.call = Some(Arc::new(call("req-3")));
    let sent = client.send(get("http://self.alt/api"), None, &granted).await;
    assert_eq!(refusal(sent), "DestinationUnavailable", "the front door is not open yet");
    front_door.opened_at(([0, 0, 0, 0], door.address.port()).into());
    let mut request = get("https://self.alt/api/x?y");
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "nexus-principal"] {
        request.headers_mut().insert(name, "10.0.0.1".parse().expect("a value"));
    }
    let seen = text(client.send(request, None, &granted).await.expect("granted")).await;
    assert!(seen.starts_with("GET /api/x?y HTTP/1.1\n"), "{seen}");
    assert!(seen.contains(&format!("host: {}\n", door.address)), "{seen}");
    assert!(!seen.contains("10.0.0.1"), "{seen}");
    let sent = client.send(get("http://self.alt/"), None, &origin(&["http://a.example"])).await;
    assert_eq!(refusal(sent), "HttpRequestDenied");
    // The grant is for the front door, not for the address behind it.
    let sent = client.send(get(&door.url("/")), None, &granted).await;
    assert_eq!(refusal(sent), "HttpRequestDenied");
}

/// A question that is all there.
fn question(uri: &str, body: &'static str) -> http::Request<Bytes> {
    http::Request::post(uri).body(Bytes::from(body)).expect("a request")
}

#[tokio::test]
async fn a_neighbour_that_is_asked_in_one_call_is_told_the_same() {
    let seen = Arc::new(Seen::default());
    let mut origin = origin_with(&[LINE], "", echoing(&seen));
    let call = Arc::new(call("req-3"));
    origin.call = Some(call.clone());
    let mut question = question("/api/x?y=1", "ping");
    question.headers_mut().insert("nexus-principal", "e30".parse().expect("a value"));
    for (name, value) in VISITOR {
        question.headers_mut().insert(name, value.parse().expect("a value"));
    }
    let reply = client(Config::default()).ask("user-profile", question, &origin).await;
    assert_eq!(reply.expect("granted").into_body(), "ping");
    let (component, head, onward) = seen.take();
    assert_eq!(component, "user-profile");
    assert_eq!(head.uri.to_string(), "http://user-profile.spin.internal/api/x?y=1");
    assert_eq!(head.headers["content-length"], "4");
    let ours = head.headers.keys().filter(|name| name.as_str().starts_with("nexus-"));
    assert_eq!(ours.count(), VISITOR.len());
    assert_eq!(onward.principal_header, call.principal_header);
    assert_eq!(onward.caller.expect("the caller is named").as_str(), "shop");
    assert_eq!((&*onward.request_id, onward.depth), ("req-3", 1));
    assert!(onward.body_is_whole);
}

#[tokio::test]
async fn what_may_not_be_asked_is_not_asked_in_one_call() {
    let seen = Arc::new(Seen::default());
    let mut origin =
        origin_with(&["http://bank.spin.internal"], "outbound_max = 3", echoing(&seen));
    origin.call = Some(Arc::new(call("req-4")));
    let client = client(Config::default());
    for (name, code) in [("shop-admin", "HttpRequestDenied"), ("no_name", "HttpRequestUriInvalid")]
    {
        let refused = client.ask(name, question("/", ""), &origin).await;
        assert_eq!(format!("{:?}", refused.expect_err(name)), code);
    }
    client.ask("bank", question("/", ""), &origin).await.expect("the third");
    seen.take();
    let refused = client.ask("bank", question("/", ""), &origin).await;
    assert_eq!(format!("{:?}", refused.expect_err("one more")), "ConnectionLimitReached");
    assert!(seen.is_empty());
}

#[tokio::test]
async fn a_reply_in_one_piece_is_whole_and_has_room() {
    use futures::stream;
    use http_body::Frame;
    use wasmtime_wasi_http::Error;
    let replying = |pieces: Vec<Result<&'static str, Error>>| -> Arc<Components> {
        let pieces = Mutex::new(Some(pieces));
        Arc::new(move |_component, _request, _call| -> ComponentCall {
            let pieces = pieces.lock().expect("no call panicked").take().expect("asked once");
            let frames = pieces.into_iter().map(|piece| piece.map(|p| Frame::data(Bytes::from(p))));
            let body = http_body_util::StreamBody::new(stream::iter(frames)).boxed_unsync();
            Box::pin(async move { Ok(Response::new(body)) })
        })
    };
    let mut config = Config::default();
    config.bounds.reply_bytes_max = 8;
    let client = client(config);
    let ask = async |pieces| {
        let origin = origin_with(&[LINE], "", replying(pieces));
        let reply = client.ask("bank", question("/", ""), &origin).await;
        reply.map(Response::into_body).map_err(|why| format!("{why:?}"))
    };
    assert_eq!(ask(vec![]).await, Ok(Bytes::new()));
    assert_eq!(ask(vec![Ok("four"), Ok("more")]).await, Ok(Bytes::from("fourmore")));
    let large = ask(vec![Ok("four"), Ok("more"), Ok("!")]).await;
    assert_eq!(large, Err("HttpResponseBodySize(Some(9))".to_owned()));
    let broken = ask(vec![Ok("four"), Err(Error::HttpResponseIncomplete)]).await;
    assert_eq!(broken, Err("HttpResponseIncomplete".to_owned()));
}
