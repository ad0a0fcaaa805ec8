//! Keys: `/v1/transit/keys`, `/v1/transit/export`.

use super::{Answer, Period, told};
use crate::crypto::key_type::KeyType;
use crate::crypto::signing;
use crate::crypto::text::base64;
use crate::keyring::{Keyring, NotExportable};
use crate::keys::{self, Configuration, Described, KeyVersion, NotDeletable, Spec, VersionState};
use crate::place::Place;
use crate::policy::Operation;
use crate::pv;
use crate::{Manage, View, store, usage};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

nexus_sdk::refusals! {
    Convergent = 422, "equal plaintexts never give equal ciphertexts here";
    ExportKind = 422, "an export is of type encryption-key, signing-key or hmac-key, as the key is"
}

/// More than Vault's own lists are comfortable with.
const NAMES_MAX: i64 = 10_000;

pub fn router() -> Router {
    Router::new()
        .route("/v1/transit/keys", get(list))
        .route("/v1/transit/keys/{name}", get(show).post(create).put(create).delete(destroy))
        .route("/v1/transit/keys/{name}/config", post(configure).put(configure))
        .route("/v1/transit/keys/{name}/rotate", post(rotate).put(rotate))
        .route("/v1/transit/keys/{name}/trim", post(trim).put(trim))
        .route("/v1/transit/export/{kind}/{name}", get(export_all))
        .route("/v1/transit/export/{kind}/{name}/{version}", get(export_one))
}

async fn list(by: Allowed<View>) -> Result<Answer> {
    let names = store::keys::names(by.db(), "tenant", NAMES_MAX).await?;
    match names.is_empty() {
        true => told(Err(standard::NotFound.into())),
        false => Ok(Answer::Data(json!({ "keys": names }))),
    }
}

async fn find(by: &Ctx, name: &str) -> Result<keys::Key> {
    store::keys::find(by.db(), &Place::of_tenant(by, name)).await
}

async fn show(by: Allowed<View>, Path(name): Path<String>) -> Result<Answer> {
    let shown = async {
        let described = keys::describe(&by, find(&by, &name).await?).await?;
        Ok(Answer::Data(spelled(&described)))
    };
    told(shown.await)
}

#[derive(Deserialize, JsonSchema)]
struct Draft {
    #[serde(default = "usual")]
    r#type: KeyType,
    #[serde(default)]
    derived: bool,
    #[serde(default)]
    convergent_encryption: bool,
    #[serde(default)]
    exportable: bool,
    #[serde(default)]
    auto_rotate_period: Option<Period>,
}

fn usual() -> KeyType {
    KeyType::Aes256Gcm96
}

/// Of a key that is there already, as Vault has it, nothing changes.
async fn create(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<Answer> {
    if draft.convergent_encryption {
        return told(Err(Convergent.into()));
    }
    let spec = Spec {
        derived: draft.derived,
        exportable: draft.exportable,
        auto_rotate_seconds: draft.auto_rotate_period.map(|period| period.0),
        ..Spec::of(draft.r#type)
    };
    let made = keys::ensure(&by, &Place::of_tenant(&by, &name), spec).await;
    told(made.map(|described| Answer::Data(spelled(&described))))
}

#[derive(Deserialize, JsonSchema)]
struct Config {
    min_decryption_version: Option<i32>,
    min_encryption_version: Option<i32>,
    deletion_allowed: Option<bool>,
    auto_rotate_period: Option<Period>,
}

async fn configure(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(config): Json<Config>,
) -> Result<Answer> {
    let configured = async {
        let change = Configuration {
            min_decryption_version: config.min_decryption_version.map(|least| least.max(1)),
            min_encryption_version: config.min_encryption_version,
            deletion_allowed: config.deletion_allowed,
            auto_rotate_seconds: config.auto_rotate_period.map(|period| period.0),
            policy: None,
        };
        let key = keys::configure(&by, find(&by, &name).await?, change).await?;
        Ok(Answer::Data(spelled(&keys::describe(&by, key).await?)))
    };
    told(configured.await)
}

async fn rotate(by: Allowed<Manage>, Path(name): Path<String>) -> Result<Answer> {
    let rotated = async {
        let described = keys::rotate(&by, find(&by, &name).await?, None).await?;
        Ok(Answer::Data(spelled(&described)))
    };
    told(rotated.await)
}

#[derive(Deserialize, JsonSchema)]
struct Trim {
    min_available_version: i32,
}

async fn trim(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(trim): Json<Trim>,
) -> Result<Answer> {
    let trimmed = async {
        keys::trim(&by, find(&by, &name).await?, trim.min_available_version).await?;
        Ok(Answer::Nothing)
    };
    told(trimmed.await)
}

/// At once, as Vault has it: that deletion was allowed before is all the warning there is.
async fn destroy(by: Allowed<Manage>, Path(name): Path<String>) -> Result<Answer> {
    let destroyed = async {
        let key = find(&by, &name).await?;
        if !key.deletion_allowed {
            return Err(NotDeletable.into());
        }
        by.commit(keys::destruction(&by, key)).await?;
        Ok(Answer::Nothing)
    };
    told(destroyed.await)
}

async fn export_all(
    by: Allowed<Manage>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Answer> {
    told(export(&by, &kind, &name, None).await)
}

async fn export_one(
    by: Allowed<Manage>,
    Path((kind, name, version)): Path<(String, String, String)>,
) -> Result<Answer> {
    told(export(&by, &kind, &name, Some(&version)).await)
}

async fn export(by: &Ctx, kind: &str, name: &str, version: Option<&str>) -> Result<Answer> {
    let described = keys::describe(by, find(by, name).await?).await?;
    let wanted = match version {
        None | Some("latest") => None,
        Some(version) => Some(version.parse::<i32>().map_err(|_| standard::NotFound)?),
    };
    let all = described.versions.iter().filter(|held| {
        let least = described.key.min_decryption_version;
        let usable = matches!(held.state, VersionState::Active | VersionState::Retiring);
        usable && held.version >= least
    });
    let latest = version.map(|_| wanted.unwrap_or(described.key.latest_version));
    let numbers: Vec<i32> = all
        .map(|held| held.version)
        .filter(|version| latest.is_none_or(|latest| *version == latest))
        .collect();
    let place = Place::of_tenant(by, name);
    let ring = Keyring::open(by, place, Operation::Export, &numbers).await?;
    if !ring.exportable {
        return Err(NotExportable.into());
    }
    let mut exported = Map::new();
    for number in &numbers {
        let held = ring.past(*number)?;
        exported.insert(number.to_string(), export_of(&ring, kind, &ring.material(held)?)?.into());
    }
    usage::count(by, &ring, Operation::Export, numbers.len()).await?;
    let kind = described.key.r#type;
    Ok(Answer::Data(json!({ "name": name, "type": kind, "keys": exported })))
}

fn export_of(ring: &Keyring, kind: &str, material: &[u8]) -> Result<String> {
    let fits = match kind {
        "encryption-key" => ring.kind.encrypts(),
        "signing-key" => ring.kind.signs(),
        "hmac-key" => ring.kind == KeyType::Hmac,
        _ => false,
    };
    if !fits {
        return Err(ExportKind.into());
    }
    match ring.kind {
        KeyType::EcdsaP256 => {
            let pem = signing::p256_pem(material);
            Ok(pem.ok_or_else(|| Failure::msg("export: the key is damaged"))?.to_string())
        }
        KeyType::Ed25519 => Ok(base64(&pv::pkcs8(ring.kind, material)?)),
        _ => Ok(base64(material)),
    }
}

/// A key as Vault shows it.
fn spelled(described: &Described) -> Value {
    let Described { key, versions } = described;
    let usable = versions.iter().filter(|version| version.state != VersionState::Destroyed);
    let versions: Map<String, Value> =
        usable.map(|version| (version.version.to_string(), version_spelled(version))).collect();
    json!({
        "name": key.name,
        "type": key.r#type,
        "keys": versions,
        "latest_version": key.latest_version,
        "min_available_version": key.min_available_version,
        "min_decryption_version": key.min_decryption_version,
        "min_encryption_version": key.min_encryption_version,
        "auto_rotate_period": key.auto_rotate_seconds.unwrap_or(0),
        "deletion_allowed": key.deletion_allowed,
        "derived": key.derived,
        "exportable": key.exportable,
        "allow_plaintext_backup": false,
        "imported_key": false,
        "supports_encryption": key.r#type.encrypts(),
        "supports_decryption": key.r#type.encrypts(),
        "supports_derivation": key.r#type.encrypts(),
        "supports_signing": key.r#type.signs(),
    })
}

fn version_spelled(version: &KeyVersion) -> Value {
    let Some(jwk) = &version.jwk else {
        return version.created_at.timestamp().into();
    };
    let name = match jwk.kty.as_str() {
        "EC" => "P-256",
        "OKP" => "ed25519",
        _ => "rsa",
    };
    json!({
        "creation_time": version.created_at.to_rfc3339(),
        "name": name, "public_key": jwk.vault(),
    })
}
