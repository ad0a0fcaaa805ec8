//! Keys that people own: an artist's or a creator's signing identity. Its owner signs with it and
//! nobody else does, the installation's operators included, as far as this service goes. It leaves
//! only wrapped by a key that its owner brings, or in shares of which several make it whole again.

use crate::crypto::key_type::KeyType;
use crate::crypto::key_wrap;
use crate::crypto::signing;
use crate::keyring::{KeyCannot, Keyring};
use crate::keys::{self, Described, Key, Spec};
use crate::place::Place;
use crate::policy::Operation;
use crate::recovery::{self, Recovered};
use crate::transit::NewKey;
use crate::wire::Base64;
use crate::{random, store, usage, work};
use nexus_sdk::prelude::*;
use zeroize::Zeroizing;

nexus_sdk::refusals! {
    PersonsKeyType = 422, "people's keys are ed25519 or ecdsa-p256";
    WrappingKey = 422, "a wrapping key has 16 or 32 bytes";
    WrappedKey = 422, "this does not unwrap to an ed25519 or ecdsa-p256 key in PKCS#8";
    ShareCount = 422, "2 to 16 shares are made, and 2 of them or more, up to all, are needed"
}

const SHARES: std::ops::RangeInclusive<u8> = 2..=16;

/// What must not be done with a session that somebody has left open.
const RECENT_MINUTES: i32 = 10;

pub fn router() -> Router {
    Router::new()
        .route("/pv/keys", get(list).post(create))
        .route("/pv/keys/{name}", get(show).delete(destroy))
        .route("/pv/keys/{name}/rotate", post(rotate))
        .route("/pv/keys/{name}/sign", post(sign))
        .route("/pv/keys/{name}/export", post(export))
        .route("/pv/keys/{name}/shares", post(share))
        .route("/pv/imports", post(import))
        .route("/pv/recoveries", post(recover))
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Key>> {
    let owner = Place::of_person(&by, "").owner;
    store::keys::list(by.db(), &owner, &cursor).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    /// `ed25519` or `ecdsa-p256`.
    r#type: KeyType,
}

async fn create(by: SignedIn, Json(draft): Json<Draft>) -> Result<Created<NewKey>> {
    if !matches!(draft.r#type, KeyType::Ed25519 | KeyType::EcdsaP256) {
        return Err(PersonsKeyType.at("type").into());
    }
    let place = Place::of_person(&by, &draft.name);
    let made = keys::create(&by, &place, Spec::of(draft.r#type)).await?;
    Ok(Created(made.into()))
}

async fn find(by: &Ctx, name: &str) -> Result<Key> {
    store::keys::find(by.db(), &Place::of_person(by, name)).await
}

async fn show(by: SignedIn, Path(name): Path<String>) -> Result<Json<Described>> {
    keys::describe(&by, find(&by, &name).await?).await.map(Json)
}

async fn rotate(by: SignedIn, Path(name): Path<String>) -> Result<Json<Described>> {
    keys::rotate(&by, find(&by, &name).await?, None).await.map(Json)
}

/// At once and for good: its owner has said so, not long after proving who that is.
async fn destroy(by: SignedIn, Path(name): Path<String>) -> Result<NoContent> {
    by.recently(minutes(RECENT_MINUTES))?;
    let key = find(&by, &name).await?;
    by.commit(keys::destruction(&by, key)).await
}

async fn sign(
    by: SignedIn,
    Path(name): Path<String>,
    Json(asked): Json<work::ToSign>,
) -> Result<Json<work::Signed>> {
    work::sign(&by, Place::of_person(&by, &name), asked).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToExport {
    /// An AES key of 128 or 256 bits.
    wrapping_key: Base64,
    #[serde(default)]
    version: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
struct Exported {
    version: i32,
    r#type: KeyType,
    /// PKCS#8, wrapped with padding (RFC 5649).
    wrapped: Base64,
}

async fn export(
    by: SignedIn,
    Path(name): Path<String>,
    Json(asked): Json<ToExport>,
) -> Result<Secret<Json<Exported>>> {
    by.recently(minutes(RECENT_MINUTES))?;
    let versions: Vec<i32> = asked.version.into_iter().collect();
    let place = Place::of_person(&by, &name);
    let ring = Keyring::open(&by, place, Operation::Export, &versions).await?;
    let held = ring.past(asked.version.unwrap_or(ring.latest))?;
    let pkcs8 = pkcs8(ring.kind, &ring.material(held)?)?;
    let wrapped = key_wrap::wrap_padded(&asked.wrapping_key, &pkcs8);
    let wrapped = wrapped.ok_or(WrappingKey.at("wrapping_key"))?;
    usage::count(&by, &ring, Operation::Export, 1).await?;
    let (version, kind) = (held.version, ring.kind);
    Ok(Secret(Json(Exported { version, r#type: kind, wrapped: wrapped.into() })))
}

/// PKCS#8, DER.
pub fn pkcs8(kind: KeyType, material: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    match kind {
        KeyType::Ed25519 => Ok(signing::ed25519_pkcs8(material)),
        KeyType::EcdsaP256 => {
            let der = signing::p256_pkcs8(material);
            Ok(der.ok_or_else(|| Failure::msg("export: the key is damaged"))?)
        }
        _ => Err(KeyCannot.into()),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    name: String,
    wrapping_key: Base64,
    /// As an export gives it.
    wrapped: Base64,
}

/// A key that its owner has from elsewhere, or has taken along before.
async fn import(by: SignedIn, Json(asked): Json<Import>) -> Result<Created<NewKey>> {
    let pkcs8 = key_wrap::unwrap_padded(&asked.wrapping_key, &asked.wrapped);
    let key = pkcs8.and_then(|pkcs8| signing::secret_of_pkcs8(&pkcs8));
    let (kind, material) = key.ok_or(WrappedKey.at("wrapped"))?;
    let jwk = keys::public_of(kind, &material);
    let place = Place::of_person(&by, &asked.name);
    let made = keys::create_of(&by, &place, Spec::of(kind), (material, jwk)).await?;
    Ok(Created(made.into()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToShare {
    /// How many are made.
    shares: u8,
    /// How many make the key whole again.
    threshold: u8,
}

#[derive(Serialize, JsonSchema)]
struct Shares {
    version: i32,
    threshold: u8,
    /// Each for somebody else to keep. They are not shown again.
    shares: Vec<String>,
}

async fn share(
    by: SignedIn,
    Path(name): Path<String>,
    Json(asked): Json<ToShare>,
) -> Result<Secret<Json<Shares>>> {
    by.recently(minutes(RECENT_MINUTES))?;
    let ToShare { shares, threshold } = asked;
    if !SHARES.contains(&shares) || !(2..=shares).contains(&threshold) {
        return Err(ShareCount.into());
    }
    let place = Place::of_person(&by, &name);
    let ring = Keyring::open(&by, place, Operation::Export, &Vec::new()).await?;
    let held = ring.past(ring.latest)?;
    let material = ring.material(held)?;
    let random = random::secret(recovery::random_bytes(&material, threshold));
    let made = recovery::split(ring.id.into(), ring.kind, &material, shares, threshold, &random);
    let shares = made.ok_or(KeyCannot)?;
    usage::count(&by, &ring, Operation::Export, 1).await?;
    Ok(Secret(Json(Shares { version: held.version, threshold, shares })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recovery {
    /// What the recovered key is called from now on.
    name: String,
    shares: Vec<String>,
}

/// The key behind the shares becomes a key of whoever brings them: holding enough of them is owning
/// it.
async fn recover(by: SignedIn, Json(asked): Json<Recovery>) -> Result<Created<NewKey>> {
    by.recently(minutes(RECENT_MINUTES))?;
    let Recovered { kind, material } = recovery::combine(&asked.shares)?;
    let jwk = keys::public_of(kind, &material);
    let place = Place::of_person(&by, &asked.name);
    let made = keys::create_of(&by, &place, Spec::of(kind), (material, jwk)).await?;
    Ok(Created(made.into()))
}
