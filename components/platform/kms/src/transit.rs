//! The tenant's keys over JSON: made, looked after, and put to work.

use crate::crypto::key_type::KeyType;
use crate::keys::{self, Configuration, Described, Key, KeyVersion, Spec};
use crate::place::Place;
use crate::policy::Grant;
use crate::store::usage::Used;
use crate::{Manage, Use, View, store, work};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/transit/keys", get(list).post(create))
        .route("/transit/keys/{name}", get(show).patch(configure))
        .route("/transit/keys/{name}/rotate", post(rotate))
        .route("/transit/keys/{name}/enable", post(enable))
        .route("/transit/keys/{name}/disable", post(disable))
        .route("/transit/keys/{name}/trim", post(trim))
        .route("/transit/keys/{name}/destruction", post(destroy).delete(spare))
        .route("/transit/keys/{name}/usage", get(usage))
        .route("/transit/keys/{name}/versions/{version}/enable", post(enable_version))
        .route("/transit/keys/{name}/versions/{version}/disable", post(disable_version))
        .route("/transit/sign/{name}", post(sign))
        .route("/transit/verify/{name}", post(verify))
        .route("/transit/encrypt/{name}", post(encrypt))
        .route("/transit/decrypt/{name}", post(decrypt))
        .route("/transit/hmac/{name}", post(hmac))
        .route("/transit/datakey/{name}", post(datakey))
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Key>> {
    store::keys::list(by.db(), "tenant", &cursor).await
}

async fn find(by: &Ctx, name: &str) -> Result<Key> {
    store::keys::find(by.db(), &Place::of_tenant(by, name)).await
}

async fn show(by: Allowed<View>, Path(name): Path<String>) -> Result<Tagged<Json<Described>>> {
    let key = find(&by, &name).await?;
    tagged(keys::describe(&by, key).await?)
}

fn tagged(described: Described) -> Result<Tagged<Json<Described>>> {
    Ok(Tagged(Etag::of_version(described.key.revision), Json(described)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    r#type: KeyType,
    /// Every context has a key of its own.
    #[serde(default)]
    derived: bool,
    /// It may leave, by whoever manages keys. It cannot be changed.
    #[serde(default)]
    exportable: bool,
    #[serde(default)]
    auto_rotate_seconds: Option<i64>,
    #[serde(default)]
    policy: Vec<Grant>,
}

/// A key by the name that was chosen for it.
#[derive(Serialize, JsonSchema)]
pub struct NewKey {
    pub key: String,
    pub r#type: KeyType,
    pub versions: Vec<KeyVersion>,
}

impl From<Described> for NewKey {
    fn from(described: Described) -> Self {
        let Described { key, versions } = described;
        Self { key: key.name, r#type: key.r#type, versions }
    }
}

async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<NewKey>> {
    let spec = Spec {
        kind: draft.r#type,
        derived: draft.derived,
        exportable: draft.exportable,
        auto_rotate_seconds: draft.auto_rotate_seconds,
        policy: draft.policy,
    };
    let made = keys::create(&by, &Place::of_tenant(&by, &draft.name), spec).await?;
    Ok(Created(made.into()))
}

async fn configure(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    version: Option<IfMatch>,
    Json(change): Json<Configuration>,
) -> Result<Json<Key>> {
    let key = find(&by, &name).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(key.revision))?;
    }
    keys::configure(&by, key, change).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// The new version is known for so long before it is used.
    #[serde(default)]
    activate_after_seconds: Option<i32>,
}

async fn rotate(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(rotation): Json<Rotation>,
) -> Result<Json<Described>> {
    let key = find(&by, &name).await?;
    let after = rotation.activate_after_seconds.filter(|seconds| *seconds > 0);
    keys::rotate(&by, key, after.map(|after| by.now() + seconds(after))).await.map(Json)
}

async fn enable(by: Allowed<Manage>, Path(name): Path<String>) -> Result<Json<Key>> {
    keys::switch(&by, find(&by, &name).await?, true).await.map(Json)
}

async fn disable(by: Allowed<Manage>, Path(name): Path<String>) -> Result<Json<Key>> {
    keys::switch(&by, find(&by, &name).await?, false).await.map(Json)
}

async fn enable_version(
    by: Allowed<Manage>,
    Path((name, version)): Path<(String, i32)>,
) -> Result<Json<Described>> {
    keys::switch_version(&by, find(&by, &name).await?, version, true).await.map(Json)
}

async fn disable_version(
    by: Allowed<Manage>,
    Path((name, version)): Path<(String, i32)>,
) -> Result<Json<Described>> {
    keys::switch_version(&by, find(&by, &name).await?, version, false).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Trim {
    /// Versions below it are destroyed.
    min_available_version: i32,
}

async fn trim(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(trim): Json<Trim>,
) -> Result<Json<Described>> {
    keys::trim(&by, find(&by, &name).await?, trim.min_available_version).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Destruction {
    /// How long it can be called off.
    #[serde(default = "month")]
    waiting_days: i32,
}

fn month() -> i32 {
    30
}

async fn destroy(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(destruction): Json<Destruction>,
) -> Result<Json<Key>> {
    let key = find(&by, &name).await?;
    keys::schedule_destruction(&by, key, destruction.waiting_days).await.map(Json)
}

async fn spare(by: Allowed<Manage>, Path(name): Path<String>) -> Result<Json<Key>> {
    keys::cancel_destruction(&by, find(&by, &name).await?).await.map(Json)
}

async fn usage(by: Allowed<View>, Path(name): Path<String>, cursor: Cursor) -> Result<Page<Used>> {
    let key = find(&by, &name).await?;
    store::usage::of_key(by.db(), key.id, &cursor).await
}

macro_rules! operations {
    ($($operation:ident($asked:ident) -> $answer:ty),* $(,)?) => {$(
        async fn $operation(
            by: Allowed<Use>,
            Path(name): Path<String>,
            Json(asked): Json<work::$asked>,
        ) -> Result<$answer> {
            work::$operation(&by, Place::of_tenant(&by, &name), asked).await
        }
    )*};
}

operations! {
    sign(ToSign) -> Json<work::Signed>,
    verify(ToVerify) -> Json<work::Verified>,
    encrypt(ToEncrypt) -> Json<work::Encrypted>,
    decrypt(ToDecrypt) -> Secret<Json<work::Decrypted>>,
    hmac(ToMac) -> Json<work::Mac>,
    datakey(ToMake) -> Secret<Json<work::Made>>,
}
