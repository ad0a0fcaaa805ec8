//! What other components ask: keys of their own, for all tenants or within one. A component names
//! its keys as it likes and can reach nobody else's.

use crate::crypto::digest::Hash;
use crate::crypto::key_type::KeyType;
use crate::crypto::signing::Marshaling;
use crate::keyring::Keyring;
use crate::keys::{self, Described, Spec};
use crate::operations::{self, Manner, Surroundings};
use crate::place::Place;
use crate::policy::Operation;
use crate::wire::Base64;
use crate::{store, usage};
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToSign {
    input: Base64,
    /// The input is a SHA-256 digest already (ecdsa-p256).
    #[serde(default)]
    prehashed: bool,
    /// The latest, where it is absent.
    #[serde(default)]
    version: Option<i32>,
    #[serde(default)]
    tenant: bool,
}

#[derive(Serialize, JsonSchema)]
struct Signed {
    /// `r || s` of ECDSA, as JOSE wants it; the bare bytes of the others.
    signature: Base64,
    version: i32,
}

/// Signatures are laid out for JOSE.
fn manner(prehashed: bool) -> Manner {
    Manner { prehashed, marshaling: Marshaling::Jws, ..Manner::default() }
}

async fn sign(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(asked): Json<ToSign>,
) -> Result<Json<Signed>> {
    let versions: Vec<i32> = asked.version.into_iter().collect();
    let place = place(&by, &name, asked.tenant);
    let ring = Keyring::open(&by, place, Operation::Sign, &versions).await?;
    let manner = manner(asked.prehashed);
    let (version, signature) =
        operations::sign(&ring, asked.version, manner, &asked.input).await?;
    usage::count(&by, &ring, Operation::Sign, 1).await?;
    Ok(Json(Signed { signature: signature.into(), version }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToVerify {
    input: Base64,
    signature: Base64,
    version: i32,
    #[serde(default)]
    prehashed: bool,
    #[serde(default)]
    tenant: bool,
}

#[derive(Serialize, JsonSchema)]
struct Verified {
    valid: bool,
}

async fn verify(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(asked): Json<ToVerify>,
) -> Result<Json<Verified>> {
    let place = place(&by, &name, asked.tenant);
    let ring = Keyring::open(&by, place, Operation::Verify, &vec![asked.version]).await?;
    let manner = manner(asked.prehashed);
    let (input, signature) = (&asked.input, &asked.signature);
    let valid = operations::verify(&ring, asked.version, manner, input, signature).await?;
    usage::count(&by, &ring, Operation::Verify, 1).await?;
    Ok(Json(Verified { valid }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToEncrypt {
    plaintext: Base64,
    /// What the message is about: it must be the same to decrypt.
    #[serde(default)]
    context: String,
    #[serde(default)]
    version: Option<i32>,
    #[serde(default)]
    tenant: bool,
}

#[derive(Serialize, JsonSchema)]
struct Encrypted {
    /// `vault:v1:…`
    ciphertext: String,
    version: i32,
}

async fn encrypt(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(asked): Json<ToEncrypt>,
) -> Result<Json<Encrypted>> {
    let versions: Vec<i32> = asked.version.into_iter().collect();
    let place = place(&by, &name, asked.tenant);
    let ring = Keyring::open(&by, place, Operation::Encrypt, &versions).await?;
    let about = about(&asked.context);
    let (version, ciphertext) =
        operations::encrypt(&ring, asked.version, &about, &asked.plaintext)?;
    usage::count_messages(&by, &ring, Operation::Encrypt, 1, version, 1).await?;
    Ok(Json(Encrypted { ciphertext, version }))
}

fn about(context: &str) -> Surroundings<'_> {
    Surroundings { context: context.as_bytes(), associated: &[] }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToDecrypt {
    ciphertext: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    tenant: bool,
}

#[derive(Serialize, JsonSchema)]
struct Decrypted {
    plaintext: Base64,
}

async fn decrypt(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(asked): Json<ToDecrypt>,
) -> Result<Secret<Json<Decrypted>>> {
    let version = operations::version_of(&asked.ciphertext)?;
    let place = place(&by, &name, asked.tenant);
    let ring = Keyring::open(&by, place, Operation::Decrypt, &vec![version]).await?;
    let plaintext = operations::decrypt(&ring, &asked.ciphertext, &about(&asked.context))?;
    usage::count(&by, &ring, Operation::Decrypt, 1).await?;
    Ok(Secret(Json(Decrypted { plaintext: plaintext.into() })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToMac {
    input: Base64,
    #[serde(default)]
    version: Option<i32>,
    #[serde(default)]
    tenant: bool,
}

#[derive(Serialize, JsonSchema)]
struct Mac {
    /// HMAC-SHA-256.
    hmac: Base64,
    version: i32,
}

async fn hmac(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(asked): Json<ToMac>,
) -> Result<Json<Mac>> {
    let versions: Vec<i32> = asked.version.into_iter().collect();
    let place = place(&by, &name, asked.tenant);
    let ring = Keyring::open(&by, place, Operation::Hmac, &versions).await?;
    let (version, mac) = operations::hmac(&ring, asked.version, Hash::Sha256, &asked.input)?;
    usage::count(&by, &ring, Operation::Hmac, 1).await?;
    Ok(Json(Mac { hmac: mac.into(), version }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToMake {
    /// 128, 256 or 512.
    #[serde(default = "bits")]
    bits: i32,
    #[serde(default)]
    context: String,
    #[serde(default)]
    tenant: bool,
}

fn bits() -> i32 {
    256
}

#[derive(Serialize, JsonSchema)]
struct Made {
    /// The key, for use at once: it is not kept anywhere.
    plaintext: Base64,
    /// The key encrypted, to be kept and decrypted here.
    ciphertext: String,
    version: i32,
}

async fn datakey(
    by: Called<Anyone>,
    Path(name): Path<String>,
    Json(asked): Json<ToMake>,
) -> Result<Secret<Json<Made>>> {
    let place = place(&by, &name, asked.tenant);
    let ring = Keyring::open(&by, place, Operation::Datakey, &Vec::new()).await?;
    let made = operations::datakey(&ring, None, asked.bits, &about(&asked.context))?;
    let version = made.version;
    usage::count_messages(&by, &ring, Operation::Datakey, 1, version, 1).await?;
    let (plaintext, ciphertext) = (made.plaintext.into(), made.ciphertext);
    Ok(Secret(Json(Made { plaintext, ciphertext, version })))
}
