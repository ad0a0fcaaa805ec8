//! Secrets: JSON documents in versions. Whoever manages writes them and need not be able to read
//! them; reading takes a permission of its own, and every reading is told.

use crate::place::is_name;
use crate::tenant_key::{About, TenantKey};
use crate::{Manage, Reveal, View, store};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;
use platform_contract::kms::{SecretId, SecretRevealed, SecretWritten};
use zeroize::Zeroizing;

nexus_sdk::refusals! {
    SecretName = 422, "a secret's name takes 1 to 128 letters, digits, `.`, `_` and `-`, and \
                       begins with a letter or digit";
    SecretTooLong = 413, "a secret takes at most 64 KiB of JSON";
    SecretsTooMany = 409, "a tenant has at most 10000 secrets";
    CheckAndSet = 409, "the latest version is not the one you have seen";
    CheckAndSetRequired = 422, "write this secret by saying which version you have seen";
    VersionGone = 404, "this version is deleted or destroyed";
    VersionsMax = 422, "1 to 100 versions are kept"
}

const SECRET_BYTES_MAX: usize = 64 * 1024;
const SECRETS_MAX: i64 = 10_000;
const VERSIONS_MAX_DEFAULT: i32 = 10;

pub fn router() -> Router {
    Router::new()
        .route("/secrets", get(list))
        .route("/secrets/{name}", get(show).put(write).patch(configure).delete(remove))
        .route("/secrets/{name}/value", get(reveal))
        .route("/secrets/{name}/versions/{version}", delete(conceal))
        .route("/secrets/{name}/versions/{version}/restore", post(restore))
        .route("/secrets/{name}/versions/{version}/destroy", post(destroy))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecretDocument {
    pub id: SecretId,
    pub name: String,
    pub latest_version: i32,
    pub versions_max: i32,
    pub check_and_set: bool,
    pub created_at: Time,
    pub created_by: String,
    pub updated_at: Time,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecretVersion {
    pub version: i32,
    pub created_at: Time,
    pub created_by: String,
    pub deleted_at: Option<Time>,
    pub destroyed_at: Option<Time>,
}

#[derive(Serialize, JsonSchema)]
struct Described {
    #[serde(flatten)]
    secret: SecretDocument,
    /// Newest first.
    versions: Vec<SecretVersion>,
}

#[derive(Deserialize, JsonSchema)]
struct Filter {
    /// Only names that begin so.
    #[serde(default)]
    prefix: String,
}

async fn list(
    by: Allowed<View>,
    Query(filter): Query<Filter>,
    cursor: Cursor,
) -> Result<Page<SecretDocument>> {
    store::secrets::list(by.db(), &filter.prefix, &cursor).await
}

async fn show(by: Allowed<View>, Path(name): Path<String>) -> Result<Json<Described>> {
    let secret = store::secrets::find(by.db(), &name).await?;
    let versions = store::secrets::versions(by.db(), secret.id).await?;
    Ok(Json(Described { secret, versions }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    data: Value,
    /// Write only when this is the latest version; 0 when there is none.
    #[serde(default)]
    seen_version: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
struct Written {
    name: String,
    version: i32,
}

async fn write(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<Json<Written>> {
    let json = Zeroizing::new(serde_json::to_vec(&draft.data).context("write a secret")?);
    if json.len() > SECRET_BYTES_MAX {
        return Err(SecretTooLong.into());
    }
    let found = store::secrets::find_if_any(by.db(), &name).await?;
    let latest = found.as_ref().map_or(0, |secret| secret.latest_version);
    match draft.seen_version {
        Some(seen) if seen != latest => return Err(CheckAndSet.into()),
        None if found.as_ref().is_some_and(|secret| secret.check_and_set) => {
            return Err(CheckAndSetRequired.at("seen_version").into());
        }
        _ => {}
    }
    let secret = match found {
        Some(secret) => secret,
        None => new_secret(&by, &name)?,
    };
    let version = latest + 1;
    let tenant_key = TenantKey::ensure(&by, by.tenant().into()).await?;
    let about = About { id: secret.id.into(), kind: None, version };
    let wrapped = tenant_key.wrap(&about, &json);
    let place = match latest {
        0 => store::secrets::insert(&secret, SECRETS_MAX)
            .or_refuse(SecretsTooMany)
            .on_conflict_refuse("secret_name", CheckAndSet),
        _ => store::secrets::advance(secret.id, latest, by.now()).or_refuse(CheckAndSet),
    };
    by.commit([
        place,
        store::secrets::insert_version(secret.id, version, &wrapped, &by),
        store::secrets::destroy_up_to(secret.id, version - secret.versions_max, by.now()),
        emit(SecretWritten { id: secret.id, name: name.clone(), version }),
    ])
    .await?;
    Ok(Json(Written { name, version }))
}

fn new_secret(by: &Ctx, name: &str) -> Result<SecretDocument> {
    if !is_name(name) {
        return Err(SecretName.into());
    }
    Ok(SecretDocument {
        id: by.new_id(),
        name: name.into(),
        latest_version: 1,
        versions_max: VERSIONS_MAX_DEFAULT,
        check_and_set: false,
        created_at: by.now(),
        created_by: by.principal().subject.clone(),
        updated_at: by.now(),
    })
}

#[derive(Deserialize, JsonSchema)]
struct Wanted {
    /// The latest, where it is absent.
    version: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
struct Revealed {
    name: String,
    version: i32,
    data: Value,
}

async fn reveal(
    by: Allowed<Reveal>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Secret<Json<Revealed>>> {
    let secret = store::secrets::find(by.db(), &name).await?;
    let version = wanted.version.unwrap_or(secret.latest_version);
    let wrapped = store::secrets::wrapped(by.db(), secret.id, version).await?;
    let tenant_key = TenantKey::ensure(&by, by.tenant().into()).await?;
    let about = About { id: secret.id.into(), kind: None, version };
    let json = tenant_key.unwrap_material(&about, &wrapped)?;
    let data = serde_json::from_slice(&json).context("read a secret")?;
    by.commit(emit(SecretRevealed {
        id: secret.id,
        name: name.clone(),
        version,
        subject: by.principal().subject.clone(),
    }))
    .await?;
    Ok(Secret(Json(Revealed { name, version, data })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Configuration {
    versions_max: Option<i32>,
    /// Whether a writer must say which version it has seen.
    check_and_set: Option<bool>,
}

async fn configure(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(change): Json<Configuration>,
) -> Result<Json<SecretDocument>> {
    let mut secret = store::secrets::find(by.db(), &name).await?;
    secret.versions_max = change.versions_max.unwrap_or(secret.versions_max);
    secret.check_and_set = change.check_and_set.unwrap_or(secret.check_and_set);
    if !(1..=100).contains(&secret.versions_max) {
        return Err(VersionsMax.at("versions_max").into());
    }
    secret.updated_at = by.now();
    by.commit(store::secrets::configure(&secret)).await?;
    Ok(Json(secret))
}

/// With all its versions, for good.
async fn remove(by: Allowed<Manage>, Path(name): Path<String>) -> Result<NoContent> {
    by.commit(store::secrets::remove(&name).or_refuse(standard::NotFound)).await
}

async fn conceal(
    by: Allowed<Manage>,
    Path((name, version)): Path<(String, i32)>,
) -> Result<NoContent> {
    let secret = store::secrets::find(by.db(), &name).await?;
    let write = store::secrets::conceal(secret.id, version, Some(by.now()));
    by.commit(write.or_refuse(VersionGone)).await
}

async fn restore(
    by: Allowed<Manage>,
    Path((name, version)): Path<(String, i32)>,
) -> Result<NoContent> {
    let secret = store::secrets::find(by.db(), &name).await?;
    let write = store::secrets::conceal(secret.id, version, None);
    by.commit(write.or_refuse(VersionGone)).await
}

async fn destroy(
    by: Allowed<Manage>,
    Path((name, version)): Path<(String, i32)>,
) -> Result<NoContent> {
    let secret = store::secrets::find(by.db(), &name).await?;
    let write = store::secrets::destroy(secret.id, version, by.now());
    by.commit(write.or_refuse(VersionGone)).await
}
