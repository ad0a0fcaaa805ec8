//! What other components ask: keys of their own, for all tenants or within one. A component names
//! its keys as it likes and can reach nobody else's.

use crate::crypto::key_type::KeyType;
use crate::keys::{self, Described, Spec};
use crate::place::Place;
use crate::{store, work};
use nexus_sdk::prelude::*;

nexus_sdk::callers! { Anyone = ["*"] }

pub fn router() -> Router {
    Router::new()
        .route("/internal/keys/{name}", post(ensure).get(show))
        .route("/internal/keys/{name}/rotate", post(rotate))
        .route("/internal/keys/{name}/sign", post(sign))
        .route("/internal/keys/{name}/verify", post(verify))
        .route("/internal/keys/{name}/encrypt", post(encrypt))
        .route("/internal/keys/{name}/decrypt", post(decrypt))
        .route("/internal/keys/{name}/hmac", post(hmac))
        .route("/internal/keys/{name}/datakey", post(datakey))
}

fn place(by: &Called<Anyone>, name: &str, within_tenant: bool) -> Place {
    Place::of_service(by, by.caller(), within_tenant, name)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    r#type: KeyType,
    #[serde(default)]
    rotate_seconds: Option<i64>,
    /// A key of its own for the tenant of the call.
    #[serde(default)]
    tenant: bool,
}

/// The key, made when there is none.
async fn ensure(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Described>> {
    let spec = Spec { auto_rotate_seconds: wanted.rotate_seconds, ..Spec::of(wanted.r#type) };
    keys::ensure(&by, &place(&by, &name, wanted.tenant), spec).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
struct Within {
    #[serde(default)]
    tenant: bool,
}

async fn show(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Query(within): Query<Within>,
) -> Result<Json<Described>> {
    let key = store::keys::find(by.db(), &place(&by, &name, within.tenant)).await?;
    keys::describe(&by, key).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// The new version is known for so long before it is used.
    #[serde(default)]
    activate_after_seconds: Option<i32>,
    #[serde(default)]
    tenant: bool,
}

async fn rotate(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(rotation): Json<Rotation>,
) -> Result<Json<Described>> {
    let key = store::keys::find(by.db(), &place(&by, &name, rotation.tenant)).await?;
    let after = rotation.activate_after_seconds.filter(|seconds| *seconds > 0);
    let activates_at = after.map(|after| by.now() + seconds(after));
    keys::rotate(&by, key, activates_at).await.map(Json)
}

/// A question about a key of the component's own.
#[derive(Deserialize, JsonSchema)]
struct Asked<T> {
    /// The key that it has for the tenant of the call.
    #[serde(default)]
    tenant: bool,
    #[serde(flatten)]
    what: T,
}

macro_rules! operations {
    ($($operation:ident($asked:ident) -> $answer:ty),* $(,)?) => {$(
        async fn $operation(
            by: Called<Anyone>,
            Path(name): Path<String>,
            Json(asked): Json<Asked<work::$asked>>,
        ) -> Result<$answer> {
            work::$operation(&by, place(&by, &name, asked.tenant), asked.what).await
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
