//! Keys: made, shown, configured, rotated, disabled, destroyed. Every protocol's routes end in
//! these functions; the routes of this service's own are in `transit.rs`.

use crate::crypto::jwk::Jwk;
use crate::crypto::key_type::KeyType;
use crate::crypto::signing;
use crate::keyring::{KeyDisabled, VersionUnavailable};
use crate::place::Place;
use crate::policy::{self, Grant};
use crate::tenant_key::{About, TenantKey};
use crate::{random, rsa, store};
use nexus_sdk::prelude::*;
use platform_contract::kms::{self as facts, KeyId};
use zeroize::Zeroizing;

nexus_sdk::refusals! {
    KeyExists = 409, "there is a key of this name";
    KeyIsOfAnotherType = 409, "there is a key of this name and of another type";
    TooManyKeys = 409, "a tenant or a component has at most 10000 keys, a person 20";
    RotationPeriod = 422, "keys rotate every hour to every ten years; 0 is never";
    OnlyDerivesToEncrypt = 422, "only keys that encrypt are derived";
    VersionOrder = 422, "versions count from 1 to the latest, and what is available may decrypt";
    NotDeletable = 409, "this key may not be deleted: allow it in its configuration first";
    WaitingPeriod = 422, "a key is destroyed after 1 to 90 days of waiting"
}

const KEYS_MAX: i64 = 10_000;
const PERSONS_KEYS_MAX: i64 = 20;
const ROTATION_SECONDS: std::ops::RangeInclusive<i64> = 3_600..=315_360_000;
const WAITING_DAYS: std::ops::RangeInclusive<i32> = 1..=90;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Active,
    Disabled,
    /// Waits for its destruction, which can be called off.
    Destroying,
    Destroyed,
}

impl ToParam for KeyState {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Known, not used yet.
    PreActive,
    Active,
    /// Decrypts and verifies what it has made, and makes nothing new.
    Retiring,
    Disabled,
    Destroyed,
}

impl ToParam for VersionState {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub tenant_id: Uuid,
    pub id: KeyId,
    /// `tenant`, `service/<component>` or `user/<subject>`.
    pub owner: String,
    pub name: String,
    pub r#type: KeyType,
    pub state: KeyState,
    pub latest_version: i32,
    /// Versions below it neither decrypt nor verify.
    pub min_decryption_version: i32,
    /// Versions below it neither encrypt nor sign; 0 leaves only the latest.
    pub min_encryption_version: i32,
    /// Versions below it are gone.
    pub min_available_version: i32,
    pub derived: bool,
    pub exportable: bool,
    pub deletion_allowed: bool,
    pub auto_rotate_seconds: Option<i64>,
    pub rotate_at: Option<Time>,
    pub destroy_at: Option<Time>,
    pub policy: Vec<Grant>,
    pub revision: i64,
    pub created_at: Time,
    pub created_by: String,
    pub updated_at: Time,
}

/// A version without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeyVersion {
    pub version: i32,
    pub state: VersionState,
    /// The public half, of keys that sign.
    pub jwk: Option<Jwk>,
    /// Roughly how many messages it has encrypted.
    pub messages: i64,
    pub created_at: Time,
    /// When it takes over, where it waits.
    pub activates_at: Option<Time>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub key: Key,
    /// Oldest first.
    pub versions: Vec<KeyVersion>,
}

/// What a new key shall be.
#[derive(Debug, Clone)]
pub struct Spec {
    pub kind: KeyType,
    pub derived: bool,
    pub exportable: bool,
    pub auto_rotate_seconds: Option<i64>,
    pub policy: Vec<Grant>,
}

impl Spec {
    pub fn of(kind: KeyType) -> Spec {
        let (derived, exportable) = (false, false);
        Spec { kind, derived, exportable, auto_rotate_seconds: None, policy: Vec::new() }
    }

    fn check(&self) -> Result<(), Refusal> {
        check_rotation(self.auto_rotate_seconds)?;
        policy::check(&self.policy)?;
        match self.derived && !self.kind.encrypts() {
            true => Err(OnlyDerivesToEncrypt.at("derived")),
            false => Ok(()),
        }
    }
}

/// None and 0 are never.
pub fn check_rotation(seconds: Option<i64>) -> Result<(), Refusal> {
    match seconds.unwrap_or(0) {
        0 => Ok(()),
        some if ROTATION_SECONDS.contains(&some) => Ok(()),
        _ => Err(RotationPeriod),
    }
}

/// A secret and its public half, before they are wrapped.
pub type Material = (Zeroizing<Vec<u8>>, Option<Jwk>);

/// Makes a key with its first version.
pub async fn create(by: &Ctx, place: &Place, spec: Spec) -> Result<Described> {
    place.check()?;
    spec.check()?;
    let material = generate(spec.kind).await?;
    create_of(by, place, spec, material).await
}

/// Makes a key of material that exists already.
pub async fn create_of(
    by: &Ctx,
    place: &Place,
    spec: Spec,
    material: Material,
) -> Result<Described> {
    place.check()?;
    let period = spec.auto_rotate_seconds.filter(|seconds| *seconds > 0);
    let key = Key {
        tenant_id: place.tenant,
        id: by.new_id(),
        owner: place.owner.clone(),
        name: place.name.clone(),
        r#type: spec.kind,
        state: KeyState::Active,
        latest_version: 1,
        min_decryption_version: 1,
        min_encryption_version: 0,
        min_available_version: 0,
        derived: spec.derived,
        exportable: spec.exportable,
        deletion_allowed: false,
        auto_rotate_seconds: period,
        rotate_at: next_rotation(by.now(), period),
        destroy_at: None,
        policy: spec.policy,
        revision: 1,
        created_at: by.now(),
        created_by: by.principal().subject.clone(),
        updated_at: by.now(),
    };
    let (version, wrapped) = wrapped(by, &key, 1, None, material).await?;
    let keys_max = if place.is_persons() { PERSONS_KEYS_MAX } else { KEYS_MAX };
    let insert = store::keys::insert(&key, keys_max).or_refuse(TooManyKeys);
    let insert = insert.on_conflict_refuse("key_name", KeyExists);
    by.commit([insert, store::keys::insert_version(&key, &version, &wrapped)]).await?;
    Ok(Described { key, versions: vec![version] })
}

/// The key at a place, made when there is none.
pub async fn ensure(by: &Ctx, place: &Place, spec: Spec) -> Result<Described> {
    let kind = spec.kind;
    if let Some(key) = store::keys::find_if_any(by.db(), place).await? {
        return of_type(by, key, kind).await;
    }
    match create(by, place, spec).await {
        // Somebody else was faster.
        Err(error) if error.is(&KeyExists) => {
            of_type(by, store::keys::find(by.db(), place).await?, kind).await
        }
        made => made,
    }
}

async fn of_type(by: &Ctx, key: Key, kind: KeyType) -> Result<Described> {
    match key.r#type == kind {
        true => describe(by, key).await,
        false => Err(KeyIsOfAnotherType.into()),
    }
}

pub async fn describe(by: &Ctx, key: Key) -> Result<Described> {
    let versions = store::keys::versions(by.db(), &key).await?;
    Ok(Described { key, versions })
}

/// Gives a key a new version: at once, or one that is known before it is used.
pub async fn rotate(by: &Ctx, mut key: Key, activates_at: Option<Time>) -> Result<Described> {
    if key.state != KeyState::Active {
        return Err(KeyDisabled.into());
    }
    let versions = store::keys::versions(by.db(), &key).await?;
    let waiting = versions.iter().find(|version| version.state == VersionState::PreActive);
    if let Some(waiting) = waiting {
        // It was made to take over; now it does.
        let version = waiting.version;
        return activate(by, key, version).await;
    }
    let number = key.latest_version + 1;
    let material = generate(key.r#type).await?;
    let (version, wrapped) = wrapped(by, &key, number, activates_at, material).await?;
    let seen = key.revision;
    let before = key.latest_version;
    if activates_at.is_none() {
        key.latest_version = number;
    }
    key.rotate_at = next_rotation(activates_at.unwrap_or(by.now()), key.auto_rotate_seconds);
    touch(by, &mut key);
    let mut writes = vec![
        store::keys::update(&key, seen),
        store::keys::insert_version(&key, &version, &wrapped),
        emit(rotated(&key, number, activates_at)),
    ];
    if activates_at.is_none() {
        writes.push(store::keys::retire(&key, before));
    }
    by.commit(writes).await?;
    describe(by, key).await
}

/// Lets a version that waits take over.
pub async fn activate(by: &Ctx, mut key: Key, version: i32) -> Result<Described> {
    let (seen, before) = (key.revision, key.latest_version);
    key.latest_version = version;
    touch(by, &mut key);
    by.commit([
        store::keys::update(&key, seen),
        store::keys::move_version(&key, version, VersionState::PreActive, VersionState::Active),
        store::keys::retire(&key, before),
        emit(rotated(&key, version, None)),
    ])
    .await?;
    describe(by, key).await
}

/// What may change about a key; what is absent stays.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    pub min_decryption_version: Option<i32>,
    /// 0 leaves only the latest version to encrypt and sign.
    pub min_encryption_version: Option<i32>,
    pub deletion_allowed: Option<bool>,
    /// 0 is never.
    pub auto_rotate_seconds: Option<i64>,
    pub policy: Option<Vec<Grant>>,
}

pub async fn configure(by: &Ctx, mut key: Key, change: Configuration) -> Result<Key> {
    let seen = key.revision;
    apply(&mut key, change, by.now())?;
    touch(by, &mut key);
    by.commit(store::keys::update(&key, seen)).await?;
    Ok(key)
}

fn apply(key: &mut Key, change: Configuration, now: Time) -> Result<(), Refusal> {
    if let Some(version) = change.min_decryption_version {
        let least = key.min_available_version.max(1);
        if !(least..=key.latest_version).contains(&version) {
            return Err(VersionOrder.at("min_decryption_version"));
        }
        key.min_decryption_version = version;
    }
    if let Some(version) = change.min_encryption_version {
        if !(0..=key.latest_version).contains(&version) {
            return Err(VersionOrder.at("min_encryption_version"));
        }
        key.min_encryption_version = version;
    }
    let least = key.min_encryption_version;
    if least != 0 && least < key.min_decryption_version {
        return Err(VersionOrder.at("min_encryption_version"));
    }
    if let Some(allowed) = change.deletion_allowed {
        key.deletion_allowed = allowed;
    }
    if let Some(period) = change.auto_rotate_seconds {
        check_rotation(Some(period)).map_err(|refusal| refusal.at("auto_rotate_seconds"))?;
        key.auto_rotate_seconds = Some(period).filter(|period| *period > 0);
        key.rotate_at = next_rotation(now, key.auto_rotate_seconds);
    }
    if let Some(policy) = change.policy {
        policy::check(&policy)?;
        key.policy = policy;
    }
    Ok(())
}

/// Disables a key, or lets it be used again.
pub async fn switch(by: &Ctx, mut key: Key, enabled: bool) -> Result<Key> {
    let (from, to) = match enabled {
        true => (KeyState::Disabled, KeyState::Active),
        false => (KeyState::Active, KeyState::Disabled),
    };
    if key.state == to {
        return Ok(key);
    }
    if key.state != from {
        return Err(KeyDisabled.into());
    }
    let seen = key.revision;
    key.state = to;
    touch(by, &mut key);
    let mut writes = vec![store::keys::update(&key, seen)];
    if !enabled {
        writes.push(emit(disabled(&key, None)));
    }
    by.commit(writes).await?;
    Ok(key)
}

/// Disables one version, or lets it undo again what it has made.
pub async fn switch_version(by: &Ctx, key: Key, version: i32, enabled: bool) -> Result<Described> {
    let held = store::keys::versions(by.db(), &key).await?;
    let held = held.into_iter().find(|held| held.version == version);
    let held = held.ok_or(standard::NotFound)?;
    let usual = match version == key.latest_version {
        true => VersionState::Active,
        false => VersionState::Retiring,
    };
    let (from, to) = match enabled {
        true => (VersionState::Disabled, usual),
        false => (usual, VersionState::Disabled),
    };
    if held.state != to {
        let write = store::keys::move_version(&key, version, from, to);
        let mut writes = vec![write.or_refuse(VersionUnavailable)];
        if !enabled {
            writes.push(emit(disabled(&key, Some(version))));
        }
        by.commit(writes).await?;
    }
    describe(by, key).await
}

/// Sets the day of a key's destruction.
pub async fn schedule_destruction(by: &Ctx, mut key: Key, waiting_days: i32) -> Result<Key> {
    if !WAITING_DAYS.contains(&waiting_days) {
        return Err(WaitingPeriod.at("waiting_days").into());
    }
    if !key.deletion_allowed {
        return Err(NotDeletable.into());
    }
    if key.state == KeyState::Destroying {
        return Err(KeyDisabled.into());
    }
    let seen = key.revision;
    key.state = KeyState::Destroying;
    key.destroy_at = Some(by.now() + days(waiting_days));
    touch(by, &mut key);
    by.commit([store::keys::update(&key, seen), emit(disabled(&key, None))]).await?;
    Ok(key)
}

/// Calls a destruction off; the key stays disabled until somebody enables it.
pub async fn cancel_destruction(by: &Ctx, mut key: Key) -> Result<Key> {
    if key.state != KeyState::Destroying {
        return Err(standard::Conflict.into());
    }
    let seen = key.revision;
    key.state = KeyState::Disabled;
    key.destroy_at = None;
    touch(by, &mut key);
    by.commit(store::keys::update(&key, seen)).await?;
    Ok(key)
}

/// The writes that destroy a key for good. Its row stays, so that what happened can be told.
pub fn destruction(by: &Ctx, mut key: Key) -> Vec<Write> {
    let seen = key.revision;
    key.state = KeyState::Destroyed;
    key.destroy_at = None;
    key.rotate_at = None;
    touch(by, &mut key);
    vec![
        store::keys::destroy_versions_below(&key, i32::MAX),
        store::keys::update(&key, seen),
        emit(destroyed(&key, None)),
    ]
}

/// Forgets the versions below one for good.
pub async fn trim(by: &Ctx, mut key: Key, version: i32) -> Result<Described> {
    let newest = match key.min_encryption_version {
        0 => key.latest_version,
        least => least,
    };
    let bounds = key.min_available_version.max(1)..=newest.min(key.min_decryption_version);
    if !bounds.contains(&version) {
        return Err(VersionOrder.at("min_available_version").into());
    }
    let seen = key.revision;
    key.min_available_version = version;
    touch(by, &mut key);
    by.commit([
        store::keys::update(&key, seen),
        store::keys::destroy_versions_below(&key, version),
        emit(destroyed(&key, Some(version - 1))),
    ])
    .await?;
    describe(by, key).await
}

fn touch(by: &Ctx, key: &mut Key) {
    key.revision += 1;
    key.updated_at = by.now();
}

fn next_rotation(from: Time, period: Option<i64>) -> Option<Time> {
    period.map(|seconds| from + nexus_sdk::chrono::TimeDelta::seconds(seconds))
}

/// A version and its material, wrapped: the material itself goes no further.
async fn wrapped(
    by: &Ctx,
    key: &Key,
    number: i32,
    activates_at: Option<Time>,
    (material, jwk): Material,
) -> Result<(KeyVersion, Vec<u8>)> {
    let tenant_key = TenantKey::ensure(by, key.tenant_id).await?;
    let about = About { id: key.id.into(), kind: Some(key.r#type), version: number };
    let wrapped = tenant_key.wrap(&about, &material);
    let state = match activates_at {
        Some(_) => VersionState::PreActive,
        None => VersionState::Active,
    };
    let created_at = by.now();
    let version = KeyVersion { version: number, state, jwk, messages: 0, created_at, activates_at };
    Ok((version, wrapped))
}

async fn generate(kind: KeyType) -> Result<Material> {
    if let Some(bits) = kind.rsa_bits() {
        let (secret, jwk) = rsa::generate(bits).await?;
        return Ok((secret, Some(jwk)));
    }
    let mut secret = random::secret(32);
    if kind == KeyType::EcdsaP256 {
        // One in 2^32 draws is not below the order.
        while !signing::is_p256_secret(&secret) {
            secret = random::secret(32);
        }
    }
    let jwk = public_of(kind, &secret);
    Ok((secret, jwk))
}

/// The public half of a secret that is not RSA's.
pub fn public_of(kind: KeyType, secret: &[u8]) -> Option<Jwk> {
    match kind {
        KeyType::EcdsaP256 => signing::p256_public(secret),
        KeyType::Ed25519 => signing::ed25519_public(secret),
        _ => None,
    }
}

fn rotated(key: &Key, version: i32, activates_at: Option<Time>) -> facts::KeyRotated {
    let (id, name, owner) = (key.id, key.name.clone(), key.owner.clone());
    facts::KeyRotated { id, name, owner, version, activates_at }
}

fn disabled(key: &Key, version: Option<i32>) -> facts::KeyDisabled {
    facts::KeyDisabled { id: key.id, name: key.name.clone(), owner: key.owner.clone(), version }
}

fn destroyed(key: &Key, version: Option<i32>) -> facts::KeyDestroyed {
    facts::KeyDestroyed { id: key.id, name: key.name.clone(), owner: key.owner.clone(), version }
}
