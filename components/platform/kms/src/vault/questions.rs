//! What needs no key: random bytes and hashes.

use super::{Answer, told};
use crate::Use;
use crate::crypto::digest::Hash;
use crate::crypto::text::{base64, hex};
use crate::random;
use crate::wire::Base64;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    RandomBytes = 422, "1 to 65536 random bytes are given at once";
    HashName = 422, "hashes are sha2-224, sha2-256, sha2-384 and sha2-512"
}

const BYTES_MAX: usize = 65_536;

pub fn router() -> Router {
    Router::new()
        .route("/v1/transit/random", post(some).put(some))
        .route("/v1/transit/random/{bytes}", post(many).put(many))
        .route("/v1/transit/hash", post(hash).put(hash))
        .route("/v1/transit/hash/{algorithm}", post(hash_by).put(hash_by))
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Base64,
    Hex,
}

impl Format {
    fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => base64(bytes),
            Self::Hex => hex(bytes),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct Wanted {
    #[serde(default)]
    format: Format,
    #[serde(default)]
    bytes: Option<usize>,
}

async fn some(by: Allowed<Use>, Json(wanted): Json<Wanted>) -> Result<Answer> {
    told(drawn(&by, wanted.bytes.unwrap_or(32), wanted.format))
}

/// Vault also names a source here; there is one.
async fn many(
    by: Allowed<Use>,
    Path(bytes): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Answer> {
    let bytes = match bytes.parse() {
        Ok(bytes) => bytes,
        Err(_) => wanted.bytes.unwrap_or(32),
    };
    told(drawn(&by, bytes, wanted.format))
}

fn drawn(_by: &Ctx, bytes: usize, format: Format) -> Result<Answer> {
    if !(1..=BYTES_MAX).contains(&bytes) {
        return Err(RandomBytes.into());
    }
    let drawn = random::secret(bytes);
    Ok(Answer::Data(json!({ "random_bytes": format.write(&drawn) })))
}

#[derive(Deserialize, JsonSchema)]
struct ToHash {
    input: Base64,
    /// Hexadecimal, unless said otherwise.
    #[serde(default = "as_hex")]
    format: Format,
    #[serde(default)]
    algorithm: Option<String>,
}

fn as_hex() -> Format {
    Format::Hex
}

async fn hash(_by: Allowed<Use>, Json(asked): Json<ToHash>) -> Result<Answer> {
    let name = asked.algorithm.clone().unwrap_or_else(|| "sha2-256".into());
    told(hashed(&name, &asked))
}

async fn hash_by(
    _by: Allowed<Use>,
    Path(algorithm): Path<String>,
    Json(asked): Json<ToHash>,
) -> Result<Answer> {
    told(hashed(&algorithm, &asked))
}

fn hashed(name: &str, asked: &ToHash) -> Result<Answer> {
    let hash = Hash::named(name).ok_or(HashName)?;
    let sum = asked.format.write(&hash.of(&asked.input));
    Ok(Answer::Data(json!({ "sum": sum })))
}
