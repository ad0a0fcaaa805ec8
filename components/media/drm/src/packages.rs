//! Protected packages as their owners see them, and their keys replaced.

use crate::Manage;
use crate::domain::{Class, Package, State};
use crate::flow::{self, Cause};
use crate::{cpix, keys, store};
use media_contract::drm::{KeysExported, Protection};
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;
use nexus_sdk::{Allowed, Operation, Output};

nexus_sdk::refusals! {
    NotNewest = 409, "another package has taken its place already"
}

pub fn router() -> Router {
    Router::new()
        .route("/packages", get(list))
        .route("/packages/{id}", get(show))
        .route("/packages/{id}/rotate", post(rotate))
        .route("/packages/{id}/cpix", get(export))
}

/// A protected package.
#[derive(Debug, Serialize, JsonSchema)]
struct Shown {
    id: PackageId,
    asset_id: AssetId,
    /// The package that it is made of.
    clear_id: PackageId,
    scheme: Protection,
    state: State,
    /// Why it cannot be made.
    failure: Option<String>,
    created_at: Time,
    /// When it became what it is.
    changed_at: Time,
    /// From when on no new player gets it.
    retired_at: Option<Time>,
    /// From when on no player gets keys of it.
    withdrawn_at: Option<Time>,
}

impl From<Package> for Shown {
    fn from(package: Package) -> Shown {
        Shown {
            id: package.id,
            asset_id: package.asset_id,
            clear_id: package.clear_id,
            scheme: package.scheme,
            state: package.state,
            failure: package.failure,
            created_at: package.created_at,
            changed_at: package.changed_at,
            retired_at: package.retired_at,
            withdrawn_at: package.withdrawn_at,
        }
    }
}

/// With what it consists of.
#[derive(Debug, Serialize, JsonSchema)]
struct Whole {
    #[serde(flatten)]
    package: Shown,
    keys: Vec<ShownKey>,
    tracks: Vec<ShownTrack>,
}

/// A key by its name; what it is nobody sees here.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownKey {
    class: Class,
    /// 32 hexadecimal digits.
    key_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ShownTrack {
    name: String,
    class: Class,
    /// Segments that are encrypted.
    segments: i32,
    done_at: Option<Time>,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    asset: Option<AssetId>,
}

/// Newest first.
async fn list(by: SignedIn, cursor: Cursor, Query(search): Query<Search>) -> Result<Page<Shown>> {
    let owner = crate::seen_by(&by)?;
    let page = store::packages::list(by.db(), search.asset, owner, &cursor).await?;
    Ok(Page { items: page.items.into_iter().map(Shown::from).collect(), next: page.next })
}

async fn show(by: SignedIn, Path(id): Path<PackageId>) -> Result<Json<Whole>> {
    let package = store::packages::of(by.db(), id, crate::seen_by(&by)?).await?;
    let keys = store::packages::keys(by.db(), id).await?;
    let tracks = store::tracks::of(by.db(), id).await?;
    let key = |key: store::packages::Key| ShownKey {
        class: key.class,
        key_id: key.key_id.simple().to_string(),
    };
    let track = |track: crate::domain::Track| ShownTrack {
        class: Class::of(&track.name),
        name: track.name,
        segments: track.next,
        done_at: track.done_at,
    };
    Ok(Json(Whole {
        package: package.into(),
        keys: keys.into_iter().map(key).collect(),
        tracks: tracks.into_iter().map(track).collect(),
    }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// The keys have become known: who plays with them is stopped, and nothing plays until the new
    /// package is there. Otherwise players go on to their end.
    #[serde(default)]
    at_once: bool,
}

/// Another package with other keys takes the place of the newest one; also of one that failed.
async fn rotate(
    by: SignedIn,
    Path(id): Path<PackageId>,
    Json(rotation): Json<Rotation>,
) -> Result<NoContent> {
    let package = store::packages::of(by.db(), id, crate::changed_by(&by)?).await?;
    let newest = store::packages::newest(by.db(), package.asset_id).await?;
    if newest.is_none_or(|newest| newest.id != id) {
        return Err(NotNewest.into());
    }
    let now = by.now();
    let besides = || match rotation.at_once {
        true => flow::withdrawn(&package, now).into(),
        false => Vec::new(),
    };
    let cause = Cause { done: None, renews: Some(id) };
    flow::turn(&by, package.asset_id, cause, &besides, &|_| {}).await
}

/// A CPIX document.
struct Cpix(String);

impl IntoResponse for Cpix {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, cpix::MEDIA_TYPE)], self.0).into_response()
    }
}

impl Output for Cpix {
    fn describe(operation: &mut Operation) {
        let text = json!({ "type": "string" });
        operation.response(StatusCode::OK, cpix::MEDIA_TYPE, text);
    }
}

/// The keys of a package for packagers and licence servers of others, in the clear: who takes them
/// is told to everybody who listens.
async fn export(by: Allowed<Manage>, Path(id): Path<PackageId>) -> Result<Secret<Cpix>> {
    let package = store::packages::of(by.db(), id, None).await?;
    let mut open = Vec::new();
    for key in store::packages::keys(by.db(), id).await? {
        open.push(keys::open(id, &key).await?);
    }
    let subject = by.principal().subject.clone();
    by.commit(emit(KeysExported { package: id, asset: package.asset_id, subject })).await?;
    Ok(Secret(Cpix(cpix::document(id, &open))))
}
