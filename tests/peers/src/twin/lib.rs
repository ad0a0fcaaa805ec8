//! The native twin's routes: what the guest `measured` does, as an axum program would do it. Knows
//! nothing of Nexus. The rows it reads and writes are its own, in the same server.

#[cfg(feature = "sqlx")]
pub mod over_sqlx;
mod pool;

use anyhow::{Context as _, Result};
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
pub use pool::Pool;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio_postgres::types::Json as Jsonb;
use uuid::Uuid;

/// As in the guest.
const PIECES: usize = 10;
const PIECE_BYTES: usize = 10 << 10;
const EVENTS: usize = 50;

type Asker = Client<HttpConnector, Body>;

/// The routes without a database.
pub fn router() -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/echo", post(echo))
        .route("/stream", get(stream))
        .route("/events", get(events))
        .route("/chain", get(chain).with_state(Client::builder(TokioExecutor::new()).build_http()))
}

/// The routes of rows: one is read by its key; one is written with its event, in one transaction.
pub fn rows(pool: Pool) -> Router {
    Router::new().route("/entries", post(write)).route("/entries/{id}", get(show)).with_state(pool)
}

/// Answers whoever connects, as `axum::serve` does, with HTTP/1.1 or HTTP/2.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: TcpListener, routes: Router) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("accept a connection")?;
        stream.set_nodelay(true).context("send at once")?;
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            // A client that goes away is no concern of others.
            let _gone = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
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
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Bytes::from(format!("data: {{\"event\":{number}}}\n\n")))
    };
    let events = futures::stream::iter(0..EVENTS).then(event);
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events))
}

#[derive(Deserialize)]
struct Whom {
    host: String,
}

/// What another server says, asked over the network.
async fn chain(State(asker): State<Asker>, Query(whom): Query<Whom>) -> Result<Body, Failed> {
    let said = asker.get(format!("http://{}/hello", whom.host).parse()?).await?;
    Ok(Body::new(said.into_body()))
}

#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    id: Uuid,
    title: String,
}

#[derive(Deserialize)]
struct Draft {
    title: String,
}

/// What goes wrong with the database is nobody's fault but ours.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        eprintln!("{:#}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

async fn show(State(pool): State<Pool>, Path(id): Path<Uuid>) -> Result<Response, Failed> {
    let session = pool.take().await?;
    let row = session.client.query_opt(&session.show, &[&Uuid::nil(), &id]).await?;
    let Some(row) = row else { return Ok(StatusCode::NOT_FOUND.into_response()) };
    let entry = Entry { id: row.try_get(0)?, title: row.try_get(1)? };
    Ok(Json(entry).into_response())
}

async fn write(State(pool): State<Pool>, Json(draft): Json<Draft>) -> Result<Response, Failed> {
    let mut session = pool.take().await?;
    let entry = Entry { id: Uuid::now_v7(), title: draft.title };
    let session = &mut *session;
    let transaction = session.client.transaction().await?;
    let of = [&Uuid::nil() as _, &entry.id as _, &entry.title as _];
    transaction.execute(&session.insert, &of).await?;
    let payload = Jsonb(&entry);
    let of = [&Uuid::now_v7() as _, &"probe.measure.taken.v1" as _, &payload as _];
    transaction.execute(&session.tell, &of).await?;
    transaction.commit().await?;
    let place = format!("/entries/{}", entry.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(entry)).into_response())
}
