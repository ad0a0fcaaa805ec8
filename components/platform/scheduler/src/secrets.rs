//! Signing secrets: made, shown once, exchanged without a gap, and listed by all but their keys.

use crate::signature::{self, KEY_BYTES};
use crate::{Operate, store};
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::wasip3::random::random::get_random_bytes;
use platform_contract::SigningSecretId;

nexus_sdk::refusals! {
    SigningSecretMissing = 409,
        "calls are signed: make a signing secret first, at /api/scheduler/v1/signing-secrets";
    SigningSecretRace = 409, "somebody else is making a signing secret at this moment";
    SigningSecretOverlap = 422, "an earlier secret may sign for 0 to 168 hours more"
}

const OVERLAP_HOURS: std::ops::RangeInclusive<i32> = 0..=168;

pub fn router() -> Router {
    Router::new().route("/signing-secrets", get(list).post(create))
}

/// A secret without its key.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SigningSecret {
    pub id: SigningSecretId,
    pub created_at: Time,
    pub created_by: String,
    /// Until then it signs beside a newer one; the newest has no end.
    pub expires_at: Option<Time>,
}

#[derive(Serialize, JsonSchema)]
struct NewSecret {
    id: SigningSecretId,
    /// `whsec_…`. It is not shown again.
    secret: String,
    created_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Draft {
    /// How long the secret before this one signs, too.
    overlap_hours: i32,
}

impl Default for Draft {
    fn default() -> Self {
        Self { overlap_hours: 24 }
    }
}

async fn list(by: Allowed<Operate>, cursor: Cursor) -> Result<Page<SigningSecret>> {
    store::secrets::list(by.db(), &cursor).await
}

/// The first secret, or one that takes over. Of those before it the last signs on for a while, so
/// that receivers can learn the new key before the old one ends.
async fn create(by: Allowed<Operate>, Json(draft): Json<Draft>) -> Result<Created<NewSecret>> {
    if !OVERLAP_HOURS.contains(&draft.overlap_hours) {
        return Err(SigningSecretOverlap.at("overlap_hours").into());
    }
    let key = get_random_bytes(KEY_BYTES as u64);
    let made =
        NewSecret { id: by.new_id(), secret: signature::spelled(&key), created_at: by.now() };
    let until = by.now() + hours(draft.overlap_hours);
    let insert = store::secrets::insert(made.id, &key, &by.principal().subject, by.now());
    by.commit([
        store::secrets::end_expiring(by.now()),
        store::secrets::expire_newest(until),
        insert.on_conflict_refuse("signing_secret_newest", SigningSecretRace),
    ])
    .await?;
    Ok(Created(made))
}

/// Refuses what could only send unsigned calls.
pub async fn require(by: &Ctx) -> Result<()> {
    match store::secrets::active(by.db(), by.now()).await?.is_empty() {
        true => Err(SigningSecretMissing.into()),
        false => Ok(()),
    }
}
