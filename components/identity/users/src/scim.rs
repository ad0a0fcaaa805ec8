//! SCIM 2.0 (RFC 7643, RFC 7644): a directory provisions accounts and groups. Knows the protocol:
//! resources, searches, patches, bulks, errors in its own form. What an account is, and what it may
//! do, is decided where it always is.

mod answer;
mod bulk;
mod directory;
mod discovery;
mod filter;
mod grammar;
mod groups;
mod patch;
mod schema;
mod search;
mod users;

pub use schema::Kind;
pub use search::{Document, Found};

use crate::Directory;
use answer::{Body, Scim, told};
use nexus_sdk::prelude::*;
use search::{Asked, Search};

pub fn router() -> Router {
    Router::new()
        .nest("/scim/v2", resources().merge(discovery::router()))
        .route("/scim/v2/.search", post(search_all))
        .route("/scim/v2/Bulk", post(bulk))
        .route("/scim/v2/{*rest}", get(nothing))
}

fn resources() -> Router {
    let users = Router::new()
        .route("/", get(list_users).post(create_user))
        .route("/.search", post(search_users))
        .route("/{id}", get(show_user).put(replace_user).patch(patch_user).delete(remove_user));
    let groups = Router::new()
        .route("/", get(list_groups).post(create_group))
        .route("/.search", post(search_groups))
        .route("/{id}", get(show_group).put(replace_group).patch(patch_group).delete(remove_group));
    Router::new().nest("/Users", users).nest("/Groups", groups)
}

type By = Allowed<Directory>;

async fn list_users(by: By, Query(asked): Query<Asked>) -> Result<Scim> {
    told(async { search::list(&by, Kind::User, &asked.search()?).await }.await)
}

async fn search_users(by: By, body: Body) -> Result<Scim> {
    told(async { search::list(&by, Kind::User, &Search::of_body(&body.read()?)?).await }.await)
}

async fn create_user(by: By, body: Body) -> Result<Scim> {
    told(async { users::create(&by, &body.read()?).await }.await)
}

async fn show_user(by: By, Path(id): Path<String>, Query(asked): Query<Asked>) -> Result<Scim> {
    told(async { users::show(&by, &id, &asked.search()?).await }.await)
}

async fn replace_user(
    by: By,
    Path(id): Path<String>,
    version: Option<IfMatch>,
    body: Body,
) -> Result<Scim> {
    told(async { users::replace(&by, &id, version, &body.read()?).await }.await)
}

async fn patch_user(
    by: By,
    Path(id): Path<String>,
    version: Option<IfMatch>,
    body: Body,
) -> Result<Scim> {
    told(async { users::modify(&by, &id, version, &body.read()?).await }.await)
}

async fn remove_user(by: By, Path(id): Path<String>, version: Option<IfMatch>) -> Result<Scim> {
    told(users::remove(&by, &id, version).await)
}

async fn list_groups(by: By, Query(asked): Query<Asked>) -> Result<Scim> {
    told(async { search::list(&by, Kind::Group, &asked.search()?).await }.await)
}

async fn search_groups(by: By, body: Body) -> Result<Scim> {
    told(async { search::list(&by, Kind::Group, &Search::of_body(&body.read()?)?).await }.await)
}

async fn create_group(by: By, body: Body) -> Result<Scim> {
    told(async { groups::create(&by, &body.read()?).await }.await)
}

async fn show_group(by: By, Path(id): Path<String>, Query(asked): Query<Asked>) -> Result<Scim> {
    told(async { groups::show(&by, &id, &asked.search()?).await }.await)
}

async fn replace_group(
    by: By,
    Path(id): Path<String>,
    version: Option<IfMatch>,
    body: Body,
) -> Result<Scim> {
    told(async { groups::replace(&by, &id, version, &body.read()?).await }.await)
}

async fn patch_group(
    by: By,
    Path(id): Path<String>,
    version: Option<IfMatch>,
    body: Body,
) -> Result<Scim> {
    told(async { groups::modify(&by, &id, version, &body.read()?).await }.await)
}

async fn remove_group(by: By, Path(id): Path<String>, version: Option<IfMatch>) -> Result<Scim> {
    told(groups::remove(&by, &id, version).await)
}

/// Any other path, told in the protocol's form.
async fn nothing(_by: By) -> Result<Scim> {
    told(Err(standard::NotFound.into()))
}

/// Over all kinds of resources.
async fn search_all(by: By, body: Body) -> Result<Scim> {
    told(async { search::list_all(&by, &Search::of_body(&body.read()?)?).await }.await)
}

async fn bulk(by: By, body: Body) -> Result<Scim> {
    told(async { bulk::run(&by, &body.read()?).await }.await)
}
