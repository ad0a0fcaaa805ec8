//! What keys do: one thing, or a batch of them.

use super::{Answer, told};
use crate::Use;
use crate::crypto::digest::Hash;
use crate::crypto::key_type::KeyType;
use crate::crypto::signing::Marshaling;
use crate::crypto::text::{base64, base64url, split, unbase64, unbase64url, versioned};
use crate::keyring::Keyring;
use crate::operations::{self, Manner, SignatureForm, Surroundings};
use crate::place::Place;
use crate::policy::Operation;
use crate::usage;
use crate::wire::Base64;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

nexus_sdk::refusals! {
    BatchSize = 422, "a batch takes 1 to 250 items";
    Missing = 422, "a field is missing that this needs";
    HashAlgorithm = 422, "hashes are sha2-224, sha2-256, sha2-384 and sha2-512";
    SignatureAlgorithm = 422, "RSA signs by pss or pkcs1v15";
    MarshalingAlgorithm = 422, "signatures are marshaled by asn1 or jws";
    DatakeyForm = 422, "a data key is given as plaintext or as wrapped"
}

const BATCH_MAX: usize = 250;

pub fn router() -> Router {
    Router::new()
        .route("/v1/transit/encrypt/{name}", post(encrypt).put(encrypt))
        .route("/v1/transit/decrypt/{name}", post(decrypt).put(decrypt))
        .route("/v1/transit/rewrap/{name}", post(rewrap).put(rewrap))
        .route("/v1/transit/datakey/{form}/{name}", post(datakey).put(datakey))
        .route("/v1/transit/sign/{name}", post(sign).put(sign))
        .route("/v1/transit/sign/{name}/{algorithm}", post(sign_by).put(sign_by))
        .route("/v1/transit/verify/{name}", post(verify).put(verify))
        .route("/v1/transit/verify/{name}/{algorithm}", post(verify_by).put(verify_by))
        .route("/v1/transit/hmac/{name}", post(hmac).put(hmac))
        .route("/v1/transit/hmac/{name}/{algorithm}", post(hmac_by).put(hmac_by))
}

/// One thing to do; which fields it needs is up to what is done.
#[derive(Default, Deserialize, JsonSchema)]
struct Item {
    plaintext: Option<Base64>,
    ciphertext: Option<String>,
    context: Option<Base64>,
    associated_data: Option<Base64>,
    key_version: Option<i32>,
    input: Option<Base64>,
    signature: Option<String>,
    hmac: Option<String>,
    /// Given back with the answer.
    reference: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Body {
    #[serde(flatten)]
    item: Item,
    batch_input: Option<Vec<Item>>,
    /// What a batch is answered with when a part of it went wrong.
    partial_failure_response_code: Option<u16>,
    hash_algorithm: Option<String>,
    /// Vault's older name for it.
    algorithm: Option<String>,
    signature_algorithm: Option<String>,
    marshaling_algorithm: Option<String>,
    #[serde(default)]
    prehashed: bool,
    bits: Option<i32>,
}

macro_rules! plain {
    ($($name:ident $by:ident $operation:ident),*) => {$(
        async fn $name(
            by: Allowed<Use>,
            Path(name): Path<String>,
            Json(body): Json<Body>,
        ) -> Result<Answer> {
            told(run(&by, &name, Operation::$operation, None, body).await)
        }

        plain!(@by $by $operation);
    )*};
    (@by none $operation:ident) => {};
    (@by $by:ident $operation:ident) => {
        async fn $by(
            by: Allowed<Use>,
            Path((name, algorithm)): Path<(String, String)>,
            Json(body): Json<Body>,
        ) -> Result<Answer> {
            told(run(&by, &name, Operation::$operation, Some(algorithm), body).await)
        }
    };
}

plain! {
    encrypt none Encrypt,
    decrypt none Decrypt,
    rewrap none Rewrap,
    sign sign_by Sign,
    verify verify_by Verify,
    hmac hmac_by Hmac
}

async fn datakey(
    by: Allowed<Use>,
    Path((form, name)): Path<(String, String)>,
    Json(body): Json<Body>,
) -> Result<Answer> {
    let made = async {
        let place = Place::of_tenant(&by, &name);
        let ring = Keyring::open(&by, place, Operation::Datakey, &Vec::new()).await?;
        let about = about(&body.item);
        let made = operations::datakey(&ring, None, body.bits.unwrap_or(256), &about)?;
        usage::count_messages(&by, &ring, Operation::Datakey, 1, made.version, 1).await?;
        let mut data = json!({ "ciphertext": made.ciphertext, "key_version": made.version });
        match form.as_str() {
            "plaintext" => data["plaintext"] = base64(&made.plaintext).into(),
            "wrapped" => {}
            _ => return Err(DatakeyForm.into()),
        }
        Ok(Answer::Data(data))
    };
    told(made.await)
}

/// Does one thing, or each of a batch, with one key.
async fn run(
    by: &Ctx,
    name: &str,
    operation: Operation,
    algorithm: Option<String>,
    body: Body,
) -> Result<Answer> {
    let batch = body.batch_input.is_some();
    let failed_status = match body.partial_failure_response_code {
        Some(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
        None => StatusCode::BAD_REQUEST,
    };
    let hash = algorithm.or(body.hash_algorithm).or(body.algorithm);
    let items = body.batch_input.unwrap_or_else(|| vec![body.item]);
    if !(1..=BATCH_MAX).contains(&items.len()) {
        return Err(BatchSize.at("batch_input").into());
    }
    let versions: Vec<i32> = items.iter().flat_map(versions_of).collect();
    let ring = Keyring::open(by, Place::of_tenant(by, name), operation, &versions).await?;
    let manner = manner(
        ring.kind,
        hash.as_deref(),
        body.signature_algorithm.as_deref(),
        body.marshaling_algorithm.as_deref(),
        body.prehashed,
    )?;
    let (mut results, mut failed) = (Vec::with_capacity(items.len()), false);
    let mut encrypted: Option<i32> = None;
    for item in &items {
        let done = one(&ring, operation, manner, item).await;
        let mut result = match done {
            Ok(Done { data, encrypted_by }) => {
                encrypted = encrypted_by.or(encrypted);
                data
            }
            Err(Error::Refused(refusal)) if batch => {
                failed = true;
                json!({ "error": Error::from(refusal).to_string() })
            }
            Err(other) => return Err(other),
        };
        if let Some(reference) = &item.reference {
            result["reference"] = reference.as_str().into();
        }
        results.push(result);
    }
    let messages = if encrypted.is_some() { items.len() } else { 0 };
    let version = encrypted.unwrap_or(ring.latest);
    usage::count_messages(by, &ring, operation, items.len(), version, messages).await?;
    Ok(match (batch, failed) {
        (false, _) => Answer::Data(results.pop().unwrap_or_default()),
        (true, false) => Answer::Data(json!({ "batch_results": results })),
        (true, true) => Answer::Partly(failed_status, json!({ "batch_results": results })),
    })
}

/// The versions that an item names, by itself and in what it brings.
fn versions_of(item: &Item) -> impl Iterator<Item = i32> {
    let texts = [&item.ciphertext, &item.signature, &item.hmac];
    let named = texts.into_iter().flatten().filter_map(|text| split(text));
    named.map(|(version, _)| version).chain(item.key_version)
}

struct Done {
    data: Value,
    /// The version that has encrypted one more message.
    encrypted_by: Option<i32>,
}

impl From<Value> for Done {
    fn from(data: Value) -> Self {
        Self { data, encrypted_by: None }
    }
}

async fn one(ring: &Keyring, operation: Operation, manner: Manner, item: &Item) -> Result<Done> {
    let about = about(item);
    let version = item.key_version;
    match operation {
        Operation::Encrypt => {
            encrypted(operations::encrypt(ring, version, &about, needed(&item.plaintext)?)?)
        }
        Operation::Decrypt => {
            let plaintext = operations::decrypt(ring, needed(&item.ciphertext)?, &about)?;
            Ok(json!({ "plaintext": base64(&plaintext) }).into())
        }
        Operation::Rewrap => {
            let plaintext = operations::decrypt(ring, needed(&item.ciphertext)?, &about)?;
            encrypted(operations::encrypt(ring, version, &about, &plaintext)?)
        }
        Operation::Sign => {
            let input = needed(&item.input)?;
            let (version, signature) = operations::sign(ring, version, manner, input).await?;
            let signature = match manner.marshaling {
                Marshaling::Asn1 => base64(&signature),
                Marshaling::Jws => base64url(&signature),
            };
            let signature = versioned(version, &signature);
            Ok(json!({ "signature": signature, "key_version": version }).into())
        }
        Operation::Verify => Ok(json!({ "valid": verified(ring, manner, item).await? }).into()),
        Operation::Hmac => {
            let (_, mac) = operations::hmac(ring, version, manner.hash, needed(&item.input)?)
                .map(|(version, mac)| (version, versioned(version, &base64(&mac))))?;
            Ok(json!({ "hmac": mac }).into())
        }
        Operation::Datakey | Operation::Export => Err(Failure::msg("not done by item").into()),
    }
}

fn encrypted((version, ciphertext): (i32, String)) -> Result<Done> {
    let data = json!({ "ciphertext": ciphertext, "key_version": version });
    Ok(Done { data, encrypted_by: Some(version) })
}

/// Whether a signature or an HMAC is right. What cannot be read is an error, what is wrong is not.
async fn verified(ring: &Keyring, manner: Manner, item: &Item) -> Result<bool> {
    let input = needed(&item.input)?;
    if let Some(mac) = &item.hmac {
        let (version, mac) = split(mac).ok_or(SignatureForm)?;
        let mac = unbase64(mac).ok_or(SignatureForm)?;
        return operations::verify_hmac(ring, version, manner.hash, input, &mac);
    }
    let (version, signature) = split(needed(&item.signature)?).ok_or(SignatureForm)?;
    let signature = match manner.marshaling {
        Marshaling::Asn1 => unbase64(signature),
        Marshaling::Jws => unbase64url(signature),
    };
    let signature = signature.ok_or(SignatureForm)?;
    operations::verify(ring, version, manner, input, &signature).await
}

fn needed<T>(field: &Option<T>) -> Result<&T, Refusal> {
    field.as_ref().ok_or(Missing)
}

fn about(item: &Item) -> Surroundings<'_> {
    Surroundings {
        context: item.context.as_deref().unwrap_or_default(),
        associated: item.associated_data.as_deref().unwrap_or_default(),
    }
}

fn manner(
    kind: KeyType,
    hash: Option<&str>,
    signature: Option<&str>,
    marshaling: Option<&str>,
    prehashed: bool,
) -> Result<Manner, Refusal> {
    let hash = match hash {
        None | Some("") => Hash::default(),
        Some(name) => Hash::named(name).ok_or(HashAlgorithm)?,
    };
    let pss = match signature {
        // Vault's own choice for RSA.
        None | Some("" | "pss") => kind.rsa_bits().is_some(),
        Some("pkcs1v15") => false,
        Some(_) => return Err(SignatureAlgorithm),
    };
    let marshaling = match marshaling {
        None | Some("" | "asn1") => Marshaling::Asn1,
        Some("jws") if kind == KeyType::EcdsaP256 => Marshaling::Jws,
        Some(_) => return Err(MarshalingAlgorithm),
    };
    Ok(Manner { hash, prehashed, marshaling, pss })
}
