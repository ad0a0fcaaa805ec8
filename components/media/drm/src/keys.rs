//! Content keys. Made and wrapped by `kms`, kept wrapped, and open for as long as a piece of work
//! lasts. Knows kms' internal routes.

use crate::cenc::BLOCK;
use crate::domain::Class;
use crate::store::packages::Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media_contract::PackageId;
use nexus_sdk::Reply;
use nexus_sdk::prelude::*;
use nexus_sdk::serde::de::DeserializeOwned;
use nexus_sdk::serde_json::Value;
use zeroize::Zeroizing;

/// The key of this service in kms, one for each tenant, that wraps all content keys.
const WRAPPING: &str = "/api/kms/v1/internal/keys/content";

/// A content key, open; wiped when it is dropped, and never shown.
pub struct Open {
    pub class: Class,
    pub key_id: Uuid,
    pub key: Zeroizing<[u8; BLOCK]>,
}

#[derive(Deserialize)]
struct Made {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Unwrapped {
    plaintext: String,
}

/// New keys for a package, one of each class, wrapped.
///
/// # Errors
/// 503 while kms is away.
pub async fn make(package: PackageId) -> Result<Vec<Key>> {
    let mut keys = Vec::new();
    for class in Class::ALL {
        // Players see the id, and nothing can be guessed by it.
        let key_id: Uuid = Uuid::from_bytes(random());
        let context = context(package, class, key_id);
        let asked = json!({ "bits": 8 * BLOCK, "context": context, "tenant": true });
        let made: Made = ask("datakey", &asked).await?;
        keys.push(Key { class, key_id, wrapped: made.ciphertext });
    }
    Ok(keys)
}

/// # Errors
/// 503 while kms is away.
pub async fn open(package: PackageId, key: &Key) -> Result<Open> {
    let Key { class, key_id, wrapped } = key;
    let context = context(package, *class, *key_id);
    let asked = json!({ "ciphertext": wrapped, "context": context, "tenant": true });
    let unwrapped: Unwrapped = ask("decrypt", &asked).await?;
    let plaintext = Zeroizing::new(unwrapped.plaintext);
    let bytes = STANDARD.decode(plaintext.as_bytes()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| Failure::msg("read a content key"))?;
    let key: [u8; BLOCK] = bytes.as_slice().try_into().map_err(Failure::new)?;
    Ok(Open { class: *class, key_id: *key_id, key: Zeroizing::new(key) })
}

/// What a wrapped key is bound to: in another place it does not open.
fn context(package: PackageId, class: Class, key_id: Uuid) -> String {
    format!("{package}/{}/{key_id}", class.name())
}

/// A number that nobody can foresee.
pub fn random() -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    getrandom::fill(&mut bytes)
        .expect("the host and every machine that runs tests give random bytes");
    bytes
}

async fn ask<T: DeserializeOwned>(operation: &str, asked: &Value) -> Result<T> {
    let send =
        async || call("kms").post(format!("{WRAPPING}/{operation}")).json(asked).send().await;
    let mut reply = send().await?;
    if reply.status == StatusCode::NOT_FOUND {
        let kind = json!({ "type": "aes256-gcm96", "tenant": true });
        let made = call("kms").post(WRAPPING).json(&kind).send().await?;
        done(&made)?;
        reply = send().await?;
    }
    done(&reply)?;
    // What could not be read is not repeated: it may hold a key.
    let value = serde_json::from_slice(&reply.body);
    Ok(value.map_err(|_| Failure::msg("read the answer of kms"))?)
}

fn done(reply: &Reply) -> Result<()> {
    if reply.status.is_success() {
        return Ok(());
    }
    let kind = reply.problem().map(|problem| problem.r#type).unwrap_or_default();
    let failure = Failure::msg(format!("kms answered {} {kind}", reply.status));
    match reply.status.as_u16() {
        502..=504 => Err(Error::unavailable(failure)),
        _ => Err(failure.into()),
    }
}
