//! What `cargo xtask bench` gives to `wasmtime serve`: the handlers of `measured`, written with
//! `spin-sdk` and axum alone, because that host has none of the interfaces that our SDK imports.
//! The router is built once, which is the best that can be done for it.

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use spin_sdk::http::body::IncomingBodyExt as _;
use spin_sdk::http::{EmptyBody, Request, Response as Answer, send};
use spin_sdk::http_service;
use std::convert::Infallible;
use std::sync::OnceLock;
use std::task::Poll;
use tower_service::Service as _;

/// As in `measured`.
const PIECES: usize = 10;
const PIECE_BYTES: usize = 10 << 10;
const EVENTS: usize = 50;

static ROUTER: OnceLock<Router> = OnceLock::new();

#[http_service]
async fn serve(request: Request) -> Response<Body> {
    // Beside the router, so that building it costs an instance no more than its peers' does.
    match request.uri().path() {
        path if path.ends_with("/events") => return events().await.into_response(),
        "/chain" => return chain(request.uri().query()).await.into_response(),
        _ => {}
    }
    let mut router = ROUTER.get_or_init(router).clone();
    let answered = router.call(request.map(Body::new)).await;
    answered.unwrap_or_else(|never| match never {})
}

fn router() -> Router {
    handlers().nest("/{copy}", handlers())
}

fn handlers() -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/echo", post(echo))
        .route("/stream", get(stream))
}

#[derive(Deserialize, Serialize)]
struct Person {
    name: String,
    email: String,
    age: u32,
    tags: Vec<String>,
}

async fn echo(Json(person): Json<Person>) -> Json<Person> {
    Json(person)
}

async fn stream() -> Body {
    let piece = || Ok::<_, Infallible>(Bytes::from(vec![b'x'; PIECE_BYTES]));
    Body::from_stream(futures::stream::iter((0..PIECES).map(move |_| piece())))
}

async fn events() -> impl IntoResponse {
    let event = async |number| {
        later().await;
        Ok::<_, Infallible>(Bytes::from(format!("data: {{\"event\":{number}}}\n\n")))
    };
    let events = futures::stream::iter(0..EVENTS).then(event);
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events))
}

/// Lets everything else have a turn.
async fn later() {
    let mut had = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut had, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What another server says, asked over the network.
async fn chain(query: Option<&str>) -> Result<Bytes, StatusCode> {
    let host = query.and_then(|query| query.strip_prefix("host="));
    let uri = format!("http://{}/hello", host.ok_or(StatusCode::BAD_REQUEST)?);
    let asked = Request::builder().uri(uri);
    let asked = asked.body(EmptyBody::new()).map_err(|_malformed| StatusCode::BAD_REQUEST)?;
    let (_, body) = Answer::into_parts(send(asked).await.map_err(|_away| StatusCode::BAD_GATEWAY)?);
    body.bytes().await.map_err(|_away| StatusCode::BAD_GATEWAY)
}
