//! The installation's signing keys: made with the first token, published to hosts and to everybody,
//! exchanged every thirty days, and withdrawn at once in an emergency. They are of no tenant, so
//! only the default tenant's operators touch them.

use crate::kms::Algorithm;
use crate::rotation::{self, SigningKey};
use crate::{Operate, kms, store};
use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::refusals! {
    KeyWithdrawn = 409, "this key is withdrawn already"
}

/// Hosts and clients keep the set so long: shorter than a key is known before it signs, by far, and
/// as long as an emergency may take to reach those who do not ask us.
const KEPT_SECONDS: u32 = 300;

/// The tenant that every installation has.
const DEFAULT_TENANT: &str = "01890000-0000-7000-8000-000000000001";

pub fn router() -> Router {
    Router::new()
        .route("/jwks", get(jwks))
        .route("/keys", get(list))
        .route("/keys/rotate", post(rotate_by_hand))
        .route("/keys/{kid}/withdraw", post(withdraw))
}

/// A key with what becomes of it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    pub kid: String,
    /// `ES256`, or `RS256` for the ID tokens of clients that ask for it.
    pub algorithm: String,
    pub version: i32,
    pub published_at: Time,
    /// It signs from then on, until a newer one does.
    pub active_at: Time,
    /// What it signed is believed until then.
    pub expires_at: Option<Time>,
    pub withdrawn_at: Option<Time>,
}

/// The key that signs now. The first token of an installation makes it.
///
/// # Errors
/// 503 when kms is away.
pub async fn signer(by: &Ctx, algorithm: Algorithm) -> Result<SigningKey> {
    if let Some(signer) = ready(by, algorithm).await? {
        return Ok(signer);
    }
    settle(by, algorithm).await?;
    if let Some(signer) = ready(by, algorithm).await? {
        return Ok(signer);
    }
    // All were withdrawn.
    kms::rotate(algorithm).await?;
    settle(by, algorithm).await?;
    let signer = ready(by, algorithm).await?;
    signer.ok_or_else(|| Error::unavailable(Failure::msg("find a key that signs: kms has none")))
}

async fn ready(by: &Ctx, algorithm: Algorithm) -> Result<Option<SigningKey>> {
    let keys = store::keys::good(by.db(), algorithm).await?;
    Ok(rotation::signer(&keys, by.now()).cloned())
}

/// Makes known what kms has, and ends what was taken over from.
async fn settle(by: &Ctx, algorithm: Algorithm) -> Result<()> {
    let now = by.now();
    let known = store::keys::versions(by.db(), algorithm).await?;
    let mut keys = store::keys::good(by.db(), algorithm).await?;
    let mut writes = Vec::new();
    for version in kms::versions(algorithm).await? {
        if known.contains(&version.version) || !version.may_sign() {
            continue;
        }
        let kid = version.kid().context("read a key of kms: it has no kid")?.to_owned();
        let active_at = rotation::active_at(&keys, now);
        let key = SigningKey { kid, version: version.version, active_at, expires_at: None };
        writes.push(store::keys::insert(algorithm, &key, &version.jwk, now));
        writes.push(store::keys::publish(&key.kid));
        keys.push(key);
    }
    for (key, end) in rotation::retired(&keys, now) {
        writes.push(store::keys::expire(&key.kid, end));
        writes.push(store::keys::publish(&key.kid));
    }
    match writes.is_empty() {
        true => Ok(()),
        false => by.commit(writes).await.map(drop),
    }
}

/// Asks kms for the next keys when it is time, and makes them known. Of an algorithm that nobody
/// has asked for yet there is none.
async fn rotate(by: &Ctx, whether_due_or_not: bool) -> Result<()> {
    for algorithm in Algorithm::ALL {
        if algorithm != Algorithm::Es256
            && store::keys::versions(by.db(), algorithm).await?.is_empty()
        {
            continue;
        }
        settle(by, algorithm).await?;
        let keys = store::keys::good(by.db(), algorithm).await?;
        if whether_due_or_not || rotation::is_due(&keys, by.now()) {
            kms::rotate(algorithm).await?;
            settle(by, algorithm).await?;
        }
    }
    Ok(())
}

pub async fn rotate_keys(system: System) -> Result<NoContent> {
    rotate(&system.in_tenant(Uuid::nil().into()), false).await?;
    Ok(NoContent)
}

/// kms has made another version, by its own clock or by somebody's hand.
pub async fn on_rotated(ctx: &Ctx, algorithm: Algorithm) -> Result<()> {
    // An event is handled by one commit, and whether there is anything to commit is not known: what
    // is written here may be written twice.
    settle(&ctx.aside(), algorithm).await
}

fn only_the_installations(by: &Ctx) -> Result<(), Refusal> {
    match by.tenant().to_string() == DEFAULT_TENANT {
        true => Ok(()),
        false => Err(standard::NotFound),
    }
}

async fn list(by: Allowed<Operate>, cursor: Cursor) -> Result<Page<Kept>> {
    only_the_installations(&by)?;
    store::keys::list(by.db(), &cursor).await
}

/// The next key, now: it signs from tomorrow on.
async fn rotate_by_hand(by: Allowed<Operate>) -> Result<NoContent> {
    only_the_installations(&by)?;
    rotate(&by, true).await?;
    Ok(NoContent)
}

/// Somebody else may have it: nothing that it signed is believed from now on, on any host.
/// Everybody signed in by tokens alone refreshes them and goes on with the next key, which signs at
/// once.
async fn withdraw(by: Allowed<Operate>, Path(kid): Path<String>) -> Result<NoContent> {
    only_the_installations(&by)?;
    let algorithm = store::keys::algorithm(by.db(), &kid).await?;
    let algorithm = algorithm.as_deref().and_then(Algorithm::named).ok_or(standard::NotFound)?;
    let withdraw = store::keys::withdraw(&kid, by.now()).or_refuse(KeyWithdrawn);
    by.commit([withdraw, store::keys::unpublish(&kid)]).await?;
    // The key is withdrawn, and that is the answer. Where the next one cannot be made now, the next
    // token makes it.
    signer(&by, algorithm).await.or_log("have the next key sign");
    Ok(NoContent)
}

/// All keys whose tokens are believed, and those that will sign (RFC 7517 §5).
pub async fn jwks(by: Public) -> Result<Response> {
    signer(&by, Algorithm::Es256).await?;
    let keys: Vec<Value> = store::keys::public(by.db(), by.now()).await?;
    let set = json!({ "keys": keys }).to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json".to_owned()),
        (header::CACHE_CONTROL, format!("public, max-age={KEPT_SECONDS}")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    Ok(Tagged(Etag::of_bytes(set.as_bytes()), (headers, set)).into_response())
}
