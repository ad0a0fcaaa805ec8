//! The pages for people: rendered here, kept live by a small script, usable without it. A page is a
//! reader of the API like any other: it asks in this process, as the operator who looks at it, so
//! it shows nothing that the API would not, and what its buttons order goes through the same door
//! and into the same journal.
//!
//! Refuses to know any store, and to show a value that is secret.

mod assets;
mod document;
mod door;
mod pages;
mod parts;

use crate::access::{Actor, Flash, Seat, is_question, table};
use crate::routes::{API, Surface};
use crate::{body, problems};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use maud::Markup;
use nexus_runtime::{Problem, Response, full};
use nexus_storage::audit::Role;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;

/// Of one answer of the API; a page of a thousand rows is smaller.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const FORM_BYTES_MAX: usize = 64 << 10;

/// Somebody who looks at a page.
pub(crate) struct Visit<'a> {
    surface: &'a Surface,
    actor: Actor,
    seat: Seat,
    peer: IpAddr,
    id: &'a str,
    path: String,
    query: BTreeMap<String, String>,
    flash: Option<Flash>,
}

impl Visit<'_> {
    /// What the API answers to a question of this operator.
    ///
    /// # Errors
    ///
    /// The API's own problem.
    async fn get(&self, path_and_query: &str) -> Result<Value, Problem> {
        let uri: Uri = format!("{API}{path_and_query}").parse().map_err(|_| problems::NOT_FOUND)?;
        let path = uri.path().strip_prefix(API).unwrap_or_default();
        let route = table::find("GET", path).map_err(|_| problems::NOT_FOUND)?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri.clone();
        let (surface, actor) = (self.surface, &self.actor);
        let answer = surface.ordered(actor, request, route, self.peer, self.id).await?;
        whole(answer).await
    }

    /// What the API answers to an order that changes nothing, such as a deploy's dry run.
    ///
    /// # Errors
    ///
    /// The API's own problem.
    async fn trial(&self, path: &str, body: &Value) -> Result<Value, Problem> {
        Box::pin(order(self.surface, &self.actor, ("POST", path), body, (self.peer, self.id))).await
    }

    /// Whether buttons of a role are worth showing.
    fn may(&self, role: Role) -> bool {
        self.actor.role >= role
    }

    /// What a query says, if anything.
    fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn facts(&self) -> &crate::Facts {
        &self.surface.facts
    }
}

/// The JSON of an answer.
async fn whole(answer: Response) -> Result<Value, Problem> {
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| problems::OPERATION_FAILED.detail(error.to_string()))?;
    Ok(serde_json::from_slice(&body.to_bytes()).unwrap_or_default())
}

/// Answers whatever is no API: pages, what they are made of, and their forms.
pub(crate) async fn answer<B>(
    surface: &Surface,
    request: Request<B>,
    peer: IpAddr,
    id: &str,
) -> Result<Response, Problem>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if let Some(name) = path.strip_prefix("/assets/") {
        return assets::answer(name);
    }
    let seat = surface.access.seat(&head.headers);
    if !is_question(&head.method) {
        let form = body::bytes(body, FORM_BYTES_MAX).await?;
        let form: BTreeMap<String, String> =
            serde_urlencoded::from_bytes(&form).map_err(|_| problems::FORM)?;
        return match (path.as_str(), seat) {
            ("/login", _) => door::enter(surface, &form, &head.headers).await,
            ("/logout", Some(seat)) => door::leave(surface, &seat, &form),
            ("/act", Some(seat)) => door::act(surface, &seat, &form, peer, id).await,
            ("/logout" | "/act", None) => Ok(go("/login")),
            _ => Err(problems::METHOD),
        };
    }
    let query = head.uri.query().unwrap_or_default();
    let query: BTreeMap<String, String> = serde_urlencoded::from_str(query).unwrap_or_default();
    if path == "/login" {
        return Ok(page(StatusCode::OK, &door::login(query.get("next"), None)));
    }
    let Some(seat) = seat else { return Ok(to_login(&head.uri)) };
    let actor = match surface.access.seated(&seat).await {
        Ok(actor) => actor,
        // The operator was shut out since.
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
            surface.access.sessions.end(&seat);
            return Ok(to_login(&head.uri));
        }
        Err(problem) => return Err(problem),
    };
    let flash = surface.access.sessions.told(&seat);
    let visit = Visit { surface, actor, seat, peer, id, path, query, flash };
    let (status, markup) = Box::pin(pages::show(&visit)).await;
    Ok(page(status, &markup))
}

/// An order of a page, as the API takes it.
async fn order(
    surface: &Surface,
    actor: &Actor,
    call: (&str, &str),
    body: &Value,
    (peer, id): (IpAddr, &str),
) -> Result<Value, Problem> {
    let (method, path) = call;
    let uri: Uri = format!("{API}{path}").parse().map_err(|_| problems::NOT_FOUND)?;
    let below = uri.path().strip_prefix(API).unwrap_or_default();
    let route = table::find(method, below).map_err(|_| problems::NOT_FOUND)?;
    let mut request = Request::new(Bytes::from(body.to_string()));
    *request.method_mut() = method.parse().map_err(|_| problems::METHOD)?;
    *request.uri_mut() = uri.clone();
    whole(surface.ordered(actor, request, route, peer, id).await?).await
}

fn page(status: StatusCode, markup: &Markup) -> Response {
    let mut response = Response::new(full(markup.0.clone()));
    *response.status_mut() = status;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

/// Somewhere else on this surface.
fn go(path: &str) -> Response {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, path);
    response
}

fn to_login(wanted: &Uri) -> Response {
    let wanted = wanted.path_and_query().map_or("/", |wanted| wanted.as_str());
    let query = serde_urlencoded::to_string([("next", wanted)]).unwrap_or_default();
    go(&format!("/login?{query}"))
}
