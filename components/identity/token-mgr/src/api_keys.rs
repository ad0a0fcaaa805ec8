//! API keys: made by people for their programs, shown once, limited, exchanged without a gap, and
//! ended. `GET` shows everything about a key but the key.

use crate::limits::{API_KEY_DAYS, API_KEY_DAYS_MAX, API_KEYS_MAX, PROVEN_MINUTES};
use crate::{Manage, networks, opaque, scope, store, subject};
use identity_contract::token_mgr::{ApiKeyCreated, ApiKeyRevoked};
use identity_contract::{ApiKeyId, OrganisationId};
use nexus_sdk::prelude::*;
use std::ops::RangeInclusive;

nexus_sdk::refusals! {
    ApiKeyName = 422, "a name takes 1 to 120 characters";
    ApiKeyExpiry = 422, "a key ends within a year from now";
    ApiKeyPermissions = 422, "a key takes 1 to 100 permissions, or none to have all of its owner's";
    ApiKeyTooMuch = 403, "a key may do nothing that its owner may not";
    ApiKeyOverlap = 422, "an exchanged key is good for 0 to 168 hours more";
    ApiKeyExchanged = 409, "this key was exchanged for another";
    TooManyApiKeys = 409, "a person has at most 50 keys: revoke some"
}

const PERMISSIONS_MAX: usize = 100;
const OVERLAP_HOURS: RangeInclusive<i32> = 0..=168;

pub fn router() -> Router {
    Router::new()
        .route("/apikeys", get(list).post(create))
        .route("/apikeys/{id}", get(show).patch(rename).delete(revoke))
        .route("/apikeys/{id}/rotate", post(rotate))
        .route("/users/{subject}/apikeys", get(list_of))
        .route("/users/{subject}/apikeys/{id}", delete(revoke_of))
        .route("/organisations/{id}/apikeys", get(list_of_organisation))
}

/// A key as it is kept: all but the key itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    pub id: ApiKeyId,
    pub subject: String,
    pub organisation: Option<String>,
    pub name: String,
    pub digest: Vec<u8>,
    pub beginning: String,
    pub permissions: Option<Vec<String>>,
    pub networks: Option<Vec<String>>,
    pub created_at: Time,
    pub expires_at: Time,
}

/// A key as it is shown.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub subject: String,
    /// For which it acts.
    pub organisation: Option<String>,
    pub name: String,
    /// How it begins: enough to find it, not enough to use it.
    pub beginning: String,
    /// What it may do at most; null is all that its owner may.
    pub permissions: Option<Vec<String>>,
    /// From where it may be used; null is anywhere.
    pub networks: Option<Vec<String>>,
    pub created_at: Time,
    pub expires_at: Time,
    /// The key that took over from it.
    pub replaced_by: Option<ApiKeyId>,
    pub revoked_at: Option<Time>,
    /// Last use, to the minute; null before the first.
    pub seen_at: Option<Time>,
}

/// A key, this once with the key itself.
#[derive(Serialize, JsonSchema)]
struct NewKey {
    id: ApiKeyId,
    /// `nx_<live|test>_<id>_<secret>`. It is not shown again.
    key: String,
    name: String,
    organisation: Option<String>,
    permissions: Option<Vec<String>>,
    networks: Option<Vec<String>>,
    created_at: Time,
    expires_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    /// Each must be covered by what its owner may do.
    #[serde(default)]
    permissions: Option<Vec<String>>,
    #[serde(default)]
    organisation: Option<String>,
    /// Addresses or networks (CIDR).
    #[serde(default)]
    networks: Option<Vec<String>>,
    /// Without it, 90 days from now.
    #[serde(default)]
    expires_at: Option<Time>,
}

fn name(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    match (1..=120).contains(&name.chars().count()) {
        true => Ok(name.to_owned()),
        false => Err(ApiKeyName.at("name")),
    }
}

fn end_of(wish: Option<Time>, now: Time) -> Result<Time, Refusal> {
    let end = wish.unwrap_or_else(|| now + days(API_KEY_DAYS));
    match end > now && end <= now + days(API_KEY_DAYS_MAX) {
        true => Ok(end),
        false => Err(ApiKeyExpiry.at("expires_at")),
    }
}

/// Each of the permissions must be one that the owner holds, or a part of one.
fn limit(wish: &Option<Vec<String>>, held: &[String]) -> Result<(), Refusal> {
    let Some(wish) = wish else {
        return Ok(());
    };
    if !(1..=PERMISSIONS_MAX).contains(&wish.len()) {
        return Err(ApiKeyPermissions.at("permissions"));
    }
    for (at, permission) in wish.iter().enumerate() {
        if !scope::is_pattern(permission) {
            return Err(ApiKeyPermissions.at(format!("permissions/{at}")));
        }
        if !scope::covers(held, permission) {
            return Err(ApiKeyTooMuch.at(format!("permissions/{at}")));
        }
    }
    Ok(())
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<ApiKey>> {
    let subject = by.in_person()?;
    store::api_keys::list(by.db(), subject, &cursor).await
}

async fn create(by: SignedIn, Json(draft): Json<Draft>) -> Result<Secret<Created<NewKey>>> {
    subject::session_of(&by)?;
    by.recently(minutes(PROVEN_MINUTES))?;
    let owner = by.principal().subject.clone();
    let held = subject::held(&by, &owner, draft.organisation.as_deref()).await?;
    limit(&draft.permissions, &held)?;
    let networks = draft.networks.filter(|networks| !networks.is_empty());
    networks::check(networks.as_deref().unwrap_or_default())?;
    let key = Key {
        id: by.new_id(),
        subject: owner,
        organisation: draft.organisation,
        name: name(&draft.name)?,
        digest: Vec::new(),
        beginning: String::new(),
        permissions: draft.permissions,
        networks,
        created_at: by.now(),
        expires_at: end_of(draft.expires_at, by.now())?,
    };
    keep(&by, key, Vec::new()).await
}

/// Draws the key and writes it down, with whatever else belongs to it.
async fn keep(by: &Ctx, key: Key, more: Vec<Write>) -> Result<Secret<Created<NewKey>>> {
    let environment = opaque::environment(&by.variable("public_url").await?);
    let (text, beginning) = opaque::api_key(environment, key.id);
    let key = Key { digest: opaque::digest(&text), beginning, ..key };
    let insert = store::api_keys::insert(&key, &by.principal().subject, API_KEYS_MAX);
    let mut writes = vec![store::subjects::take_turn(&key.subject, by.now())];
    // What ends first makes room.
    writes.extend(more);
    writes.push(insert.or_refuse(TooManyApiKeys));
    writes.push(store::api_keys::put_credential(&key));
    let (id, subject, name) = (key.id, key.subject.clone(), key.name.clone());
    writes.push(emit(ApiKeyCreated { id, subject, name }));
    by.commit(writes).await?;
    Ok(Secret(Created(NewKey {
        id: key.id,
        key: text,
        name: key.name,
        organisation: key.organisation,
        permissions: key.permissions,
        networks: key.networks,
        created_at: key.created_at,
        expires_at: key.expires_at,
    })))
}

/// A good key of whoever asks.
async fn own(by: &Ctx, id: ApiKeyId) -> Result<Key> {
    let subject = by.in_person()?;
    let key = store::api_keys::find(by.db(), id, by.now()).await?;
    let own = key.filter(|key| key.subject == subject);
    Ok(own.ok_or(standard::NotFound)?)
}

async fn show(by: SignedIn, Path(id): Path<ApiKeyId>) -> Result<Json<ApiKey>> {
    let key = own(&by, id).await?;
    Ok(Json(ApiKey {
        id: key.id,
        subject: key.subject,
        organisation: key.organisation,
        name: key.name,
        beginning: key.beginning,
        permissions: key.permissions,
        networks: key.networks,
        created_at: key.created_at,
        expires_at: key.expires_at,
        replaced_by: None,
        revoked_at: None,
        seen_at: None,
    }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Renamed {
    name: String,
}

async fn rename(
    by: SignedIn,
    Path(id): Path<ApiKeyId>,
    Json(renamed): Json<Renamed>,
) -> Result<NoContent> {
    let key = own(&by, id).await?;
    by.commit(store::api_keys::rename(key.id, &name(&renamed.name)?)).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Exchange {
    /// How long the key before is good, too.
    overlap_hours: i32,
}

impl Default for Exchange {
    fn default() -> Self {
        Self { overlap_hours: 24 }
    }
}

/// Another key that may do the same for as long, so that programs can learn it before the one
/// before ends.
async fn rotate(
    by: SignedIn,
    Path(id): Path<ApiKeyId>,
    Json(exchange): Json<Exchange>,
) -> Result<Secret<Created<NewKey>>> {
    subject::session_of(&by)?;
    by.recently(minutes(PROVEN_MINUTES))?;
    if !OVERLAP_HOURS.contains(&exchange.overlap_hours) {
        return Err(ApiKeyOverlap.at("overlap_hours").into());
    }
    let before = own(&by, id).await?;
    let held = subject::held(&by, &before.subject, before.organisation.as_deref()).await?;
    limit(&before.permissions, &held)?;
    let lifetime = before.expires_at - before.created_at;
    let end = before.expires_at.min(by.now() + hours(exchange.overlap_hours));
    let next = Key {
        id: by.new_id(),
        created_at: by.now(),
        expires_at: by.now() + lifetime,
        ..before.clone()
    };
    let hand_over = store::api_keys::hand_over(id, next.id, end).or_refuse(ApiKeyExchanged);
    let ending = Key { expires_at: end, ..before };
    let credential = match end > by.now() {
        true => store::api_keys::put_credential(&ending),
        false => store::api_keys::revoke_credential(id),
    };
    keep(&by, next, vec![hand_over, credential]).await
}

/// What ends a key, here and on every host.
pub fn ending(key: &Key, now: Time) -> [Write; 3] {
    [
        store::api_keys::revoke(key.id, now),
        store::api_keys::revoke_credential(key.id),
        emit(ApiKeyRevoked { id: key.id, subject: key.subject.clone() }),
    ]
}

/// Ends a key; one that somebody ends at the same moment has ended.
pub async fn end(by: &Ctx, key: &Key) -> Result<NoContent> {
    match by.commit(ending(key, by.now())).await {
        Err(error) if error.is(&standard::Conflict) => Ok(NoContent),
        ended => ended,
    }
}

async fn revoke(by: SignedIn, Path(id): Path<ApiKeyId>) -> Result<NoContent> {
    let key = own(&by, id).await?;
    end(&by, &key).await
}

async fn list_of(
    by: Allowed<Manage>,
    Path(subject): Path<String>,
    cursor: Cursor,
) -> Result<Page<ApiKey>> {
    store::api_keys::list(by.db(), &subject, &cursor).await
}

async fn revoke_of(
    by: Allowed<Manage>,
    Path((subject, id)): Path<(String, ApiKeyId)>,
) -> Result<NoContent> {
    let key = store::api_keys::find(by.db(), id, by.now()).await?;
    let key = key.filter(|key| key.subject == subject).ok_or(standard::NotFound)?;
    end(&by, &key).await
}

async fn list_of_organisation(
    by: Allowed<Manage>,
    Path(id): Path<OrganisationId>,
    cursor: Cursor,
) -> Result<Page<ApiKey>> {
    store::api_keys::of_organisation(by.db(), &id.to_string(), &cursor).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn a_key_is_limited_to_parts_of_what_its_owner_may() {
        let held = words(&["catalog:*", "orders:view"]).unwrap();
        let limited = |wish| limit(&wish, &held).map_err(|refusal| refusal.name);
        assert_eq!(limited(None), Ok(()));
        assert_eq!(limited(words(&["catalog:view", "catalog:*", "orders:view"])), Ok(()));
        for wish in [&["orders:edit"], &["orders:*"], &["*"], &["catalogue:view"]] {
            assert_eq!(limited(words(wish)), Err("ApiKeyTooMuch"), "{wish:?}");
        }
        for wish in [&[] as &[&str], &["openid"], &["catalog"], &["catalog:view "]] {
            assert_eq!(limited(words(wish)), Err("ApiKeyPermissions"), "{wish:?}");
        }
        assert_eq!(limited(Some(vec!["catalog:view".into(); 101])), Err("ApiKeyPermissions"));
        assert_eq!(limit(&words(&["catalog:view"]), &[]), Err(ApiKeyTooMuch.at("permissions/0")));
    }

    #[test]
    fn a_key_ends_within_a_year_and_after_a_season_if_nobody_says_more() {
        let now = Time::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(end_of(None, now), Ok(now + days(90)));
        assert_eq!(end_of(Some(now + days(366)), now), Ok(now + days(366)));
        for odd in [now, now - days(1), now + days(366) + seconds(1)] {
            assert_eq!(end_of(Some(odd), now), Err(ApiKeyExpiry.at("expires_at")));
        }
    }
}
