//! What people and components ask of a key over JSON: the same questions and answers for both.

use crate::crypto::digest::Hash;
use crate::crypto::signing::Marshaling;
use crate::keyring::Keyring;
use crate::operations::{self, Manner, Surroundings};
use crate::place::Place;
use crate::policy::Operation;
use crate::usage;
use crate::wire::Base64;
use nexus_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToSign {
    input: Base64,
    /// The input is a SHA-256 digest already (ecdsa-p256).
    #[serde(default)]
    prehashed: bool,
    /// The latest, where it is absent.
    #[serde(default)]
    version: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
pub struct Signed {
    /// `r || s` of ECDSA, as JOSE wants it; the bare bytes of the others.
    signature: Base64,
    version: i32,
}

/// Signatures are laid out for JOSE.
fn manner(prehashed: bool) -> Manner {
    Manner { prehashed, marshaling: Marshaling::Jws, ..Manner::default() }
}

pub async fn sign(by: &Ctx, place: Place, asked: ToSign) -> Result<Json<Signed>> {
    let versions: Vec<i32> = asked.version.into_iter().collect();
    let ring = Keyring::open(by, place, Operation::Sign, &versions).await?;
    let manner = manner(asked.prehashed);
    let (version, signature) = operations::sign(&ring, asked.version, manner, &asked.input).await?;
    usage::count(by, &ring, Operation::Sign, 1).await?;
    Ok(Json(Signed { signature: signature.into(), version }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToVerify {
    input: Base64,
    signature: Base64,
    version: i32,
    #[serde(default)]
    prehashed: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Verified {
    valid: bool,
}

pub async fn verify(by: &Ctx, place: Place, asked: ToVerify) -> Result<Json<Verified>> {
    let ring = Keyring::open(by, place, Operation::Verify, &vec![asked.version]).await?;
    let manner = manner(asked.prehashed);
    let (input, signature) = (&asked.input, &asked.signature);
    let valid = operations::verify(&ring, asked.version, manner, input, signature).await?;
    usage::count(by, &ring, Operation::Verify, 1).await?;
    Ok(Json(Verified { valid }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToEncrypt {
    plaintext: Base64,
    /// What the message is about: it must be the same to decrypt.
    #[serde(default)]
    context: String,
    #[serde(default)]
    version: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
pub struct Encrypted {
    /// `vault:v1:…`
    ciphertext: String,
    version: i32,
}

pub async fn encrypt(by: &Ctx, place: Place, asked: ToEncrypt) -> Result<Json<Encrypted>> {
    let versions: Vec<i32> = asked.version.into_iter().collect();
    let ring = Keyring::open(by, place, Operation::Encrypt, &versions).await?;
    let about = about(&asked.context);
    let (version, ciphertext) =
        operations::encrypt(&ring, asked.version, &about, &asked.plaintext)?;
    usage::count_messages(by, &ring, Operation::Encrypt, 1, version, 1).await?;
    Ok(Json(Encrypted { ciphertext, version }))
}

fn about(context: &str) -> Surroundings<'_> {
    Surroundings { context: context.as_bytes(), associated: &[] }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToDecrypt {
    ciphertext: String,
    #[serde(default)]
    context: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Decrypted {
    plaintext: Base64,
}

pub async fn decrypt(by: &Ctx, place: Place, asked: ToDecrypt) -> Result<Secret<Json<Decrypted>>> {
    let version = operations::version_of(&asked.ciphertext)?;
    let ring = Keyring::open(by, place, Operation::Decrypt, &vec![version]).await?;
    let plaintext = operations::decrypt(&ring, &asked.ciphertext, &about(&asked.context))?;
    usage::count(by, &ring, Operation::Decrypt, 1).await?;
    Ok(Secret(Json(Decrypted { plaintext: plaintext.into() })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToMac {
    input: Base64,
    #[serde(default)]
    version: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
pub struct Mac {
    /// HMAC-SHA-256.
    hmac: Base64,
    version: i32,
}

pub async fn hmac(by: &Ctx, place: Place, asked: ToMac) -> Result<Json<Mac>> {
    let versions: Vec<i32> = asked.version.into_iter().collect();
    let ring = Keyring::open(by, place, Operation::Hmac, &versions).await?;
    let (version, mac) = operations::hmac(&ring, asked.version, Hash::Sha256, &asked.input)?;
    usage::count(by, &ring, Operation::Hmac, 1).await?;
    Ok(Json(Mac { hmac: mac.into(), version }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToMake {
    /// 128, 256 or 512.
    #[serde(default = "bits")]
    bits: i32,
    #[serde(default)]
    context: String,
}

fn bits() -> i32 {
    256
}

#[derive(Serialize, JsonSchema)]
pub struct Made {
    /// The key, for use at once: it is not kept anywhere.
    plaintext: Base64,
    /// The key encrypted, to be kept and decrypted here.
    ciphertext: String,
    version: i32,
}

pub async fn datakey(by: &Ctx, place: Place, asked: ToMake) -> Result<Secret<Json<Made>>> {
    let ring = Keyring::open(by, place, Operation::Datakey, &Vec::new()).await?;
    let made = operations::datakey(&ring, None, asked.bits, &about(&asked.context))?;
    let version = made.version;
    usage::count_messages(by, &ring, Operation::Datakey, 1, version, 1).await?;
    let (plaintext, ciphertext) = (made.plaintext.into(), made.ciphertext);
    Ok(Secret(Json(Made { plaintext, ciphertext, version })))
}
