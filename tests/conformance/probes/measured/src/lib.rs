//! What `cargo xtask bench` measures of ours: the handlers of `tests/peers/src/twin`, written with
//! our SDK. Their paths stand at the root, and below any one word, so that copies of this guest
//! can live side by side. Refuses to be cleverer than a service would be.

use futures::StreamExt as _;
use nexus_sdk::prelude::*;
use std::convert::Infallible;
use std::task::Poll;

/// A large answer in pieces: 100 KiB.
const PIECES: usize = 10;
const PIECE_BYTES: usize = 10 << 10;

/// Of a stream, each of which is ready some time after the one before.
const STREAMED: usize = 50;

nexus_sdk::id! { EntryId }

nexus_sdk::event! {
    /// An entry was written.
    "probe.measure.taken.v1" => Taken { id: EntryId, title: String }
}

nexus_sdk::service! {
    http: router,
    root: bare,
}

fn router() -> Router {
    Router::new().route("/entries", post(write)).route("/entries/{id}", get(show))
}

fn bare() -> Router {
    let one = Router::new().merge(handlers()).route("/chain", get(chain));
    one.nest("/{copy}", handlers())
}

fn handlers() -> Router {
    Router::new()
        .route("/hello", get(hello))
        .route("/echo", post(echo))
        .route("/stream", get(stream))
        .route("/events", get(events))
}

async fn hello() -> Response {
    "hello".into_response()
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Person {
    name: String,
    email: String,
    age: u32,
    tags: Vec<String>,
}

async fn echo(Json(person): Json<Person>) -> Json<Person> {
    Json(person)
}

async fn stream() -> Response {
    let piece = || Ok::<_, Infallible>(Bytes::from(vec![b'x'; PIECE_BYTES]));
    Body::from_stream(futures::stream::iter((0..PIECES).map(move |_| piece()))).into_response()
}

async fn events() -> Response {
    let event = async |number| {
        later().await;
        Ok::<_, Infallible>(Bytes::from(format!("data: {{\"event\":{number}}}\n\n")))
    };
    let events = futures::stream::iter(0..STREAMED).then(event);
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
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

/// What another service says.
async fn chain() -> Result<Response> {
    let said = call("second").get("/second/hello").send().await?;
    Ok(said.body.into_response())
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Entry {
    id: EntryId,
    title: String,
}

#[derive(Deserialize, JsonSchema)]
struct Draft {
    title: String,
}

async fn write(by: Public, Json(draft): Json<Draft>) -> Result<Created<Entry>> {
    let entry = Entry { id: by.new_id(), title: draft.title };
    let (id, title) = (entry.id, entry.title.clone());
    let insert = sql!(
        "insert into probe_measured.entry (tenant_id, id, title) values ({tenant}, {id}, {title})"
    );
    by.commit([insert, emit(Taken { id, title: entry.title.clone() })]).await?;
    Ok(Created(entry))
}

async fn show(by: Public, Path(id): Path<EntryId>) -> Result<Json<Entry>> {
    let entry =
        sql!("select id, title from probe_measured.entry where tenant_id = {tenant} and id = {id}");
    by.db().one(entry).await.map(Json)
}
