//! What `cargo xtask bench` gives to `wasmtime serve`: the handlers of `measured`, written with
//! `spin-sdk` and axum alone, because that host has none of the interfaces that our SDK imports.
//! The router is built once, which is the best that can be done for it.

use axum::body::{Body, Bytes};
use axum::http::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use spin_sdk::http::Request;
use spin_sdk::http_service;
use std::convert::Infallible;
use std::sync::OnceLock;
use tower_service::Service as _;

/// As in `measured`.
const PIECES: usize = 10;
const PIECE_BYTES: usize = 10 << 10;

static ROUTER: OnceLock<Router> = OnceLock::new();

#[http_service]
async fn serve(request: Request) -> Response<Body> {
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
