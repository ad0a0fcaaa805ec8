//! One key opened for one operation: what it is, which of its versions may do what, and their
//! material, unwrapped for as long as the request lasts.

use crate::crypto::jwk::Jwk;
use crate::crypto::key_type::KeyType;
use crate::crypto::seal;
use crate::keys::{KeyState, VersionState};
use crate::place::Place;
use crate::policy::{self, Grant, Operation};
use crate::store;
use crate::tenant_key::{self, About, TenantKey};
use crate::usage::{MESSAGES_MAX, hour_of};
use nexus_sdk::prelude::*;
use platform_contract::kms::KeyId;
use zeroize::Zeroizing;

nexus_sdk::refusals! {
    KeyCannot = 422, "a key of this type does not do that";
    KeyDisabled = 409, "this key is disabled, or waits for its destruction";
    VersionUnavailable = 422, "this version of the key does not exist, or may not be used for that";
    KeyExhausted = 409, "this version has encrypted as much as is safe: rotate the key";
    ContextRequired = 422, "keys of this key are derived from a context: send one";
    NotExportable = 403, "this key was made never to leave"
}

/// As the database gives it: one for each version.
#[derive(Deserialize)]
pub struct HeldRow {
    id: KeyId,
    r#type: KeyType,
    state: KeyState,
    latest_version: i32,
    min_decryption_version: i32,
    min_encryption_version: i32,
    derived: bool,
    exportable: bool,
    policy: Vec<Grant>,
    version: i32,
    version_state: VersionState,
    wrapped: Option<Vec<u8>>,
    jwk: Option<Jwk>,
    messages: i64,
    tenant_key: Vec<u8>,
    root: Vec<u8>,
    uses: i64,
}

/// A version of an opened key.
pub struct Held {
    pub version: i32,
    pub state: VersionState,
    pub jwk: Option<Jwk>,
    wrapped: Option<Vec<u8>>,
    messages: i64,
}

pub struct Keyring {
    pub place: Place,
    pub id: KeyId,
    pub kind: KeyType,
    pub latest: i32,
    pub derived: bool,
    pub exportable: bool,
    /// Who is counted for what is done.
    pub actor: String,
    pub uses: i64,
    min_decryption: i32,
    min_encryption: i32,
    versions: Vec<Held>,
    tenant_key: TenantKey,
}

impl Keyring {
    /// Opens a key for an operation on its latest version and on those asked for.
    ///
    /// # Errors
    /// 404 when there is no such key, and a refusal when it may not be used so.
    pub async fn open(
        by: &Ctx,
        place: Place,
        operation: Operation,
        versions: &Vec<i32>,
    ) -> Result<Keyring> {
        let actor = match place.service() {
            Some(_) => place.owner.clone(),
            None => by.principal().subject.clone(),
        };
        let hour = hour_of(by.now());
        let rows = store::keys::open(by.db(), &place, versions, hour, operation, &actor).await?;
        let first = rows.first().ok_or(standard::NotFound)?;
        policy::allow(&first.policy, by.principal(), operation)?;
        if first.state != KeyState::Active {
            return Err(KeyDisabled.into());
        }
        if !first.r#type.can(operation) {
            return Err(KeyCannot.into());
        }
        let root = tenant_key::root(by).await?;
        let tenant_key = TenantKey::unwrap(&root, place.tenant, &first.root, &first.tenant_key)?;
        Ok(Keyring {
            id: first.id,
            kind: first.r#type,
            latest: first.latest_version,
            derived: first.derived,
            exportable: first.exportable,
            actor,
            uses: first.uses,
            min_decryption: first.min_decryption_version,
            min_encryption: first.min_encryption_version,
            versions: rows.into_iter().map(Held::from).collect(),
            place,
            tenant_key,
        })
    }

    /// The version that makes something new: the latest, or one asked for that still may.
    pub fn fresh(&self, asked: Option<i32>) -> Result<&Held, Refusal> {
        let version = asked.filter(|version| *version != 0).unwrap_or(self.latest);
        let held = self.held(version)?;
        let allowed =
            version == self.latest || (self.min_encryption > 0 && version >= self.min_encryption);
        let usable = matches!(held.state, VersionState::Active | VersionState::Retiring);
        // A component says itself which of its keys is known to those who verify.
        let own = self.place.service().is_some() && version >= self.min_decryption;
        let early = own && held.state == VersionState::PreActive;
        match (allowed || own) && (usable || early) {
            true => Ok(held),
            false => Err(VersionUnavailable),
        }
    }

    /// As `fresh`, for a key that counts its messages.
    pub fn fresh_for_message(&self, asked: Option<i32>) -> Result<&Held, Refusal> {
        let held = self.fresh(asked)?;
        if held.messages >= MESSAGES_MAX { Err(KeyExhausted) } else { Ok(held) }
    }

    /// The version that undoes, or proves, what it has made.
    pub fn past(&self, version: i32) -> Result<&Held, Refusal> {
        let held = self.held(version)?;
        let usable = matches!(held.state, VersionState::Active | VersionState::Retiring);
        let allowed = version >= self.min_decryption;
        if allowed && usable { Ok(held) } else { Err(VersionUnavailable) }
    }

    fn held(&self, version: i32) -> Result<&Held, Refusal> {
        self.versions.iter().find(|held| held.version == version).ok_or(VersionUnavailable)
    }

    /// Messages that a version has encrypted, roughly.
    pub fn messages(&self, version: i32) -> i64 {
        self.held(version).map_or(0, |held| held.messages)
    }

    /// The secret of a version. Whoever holds it holds the key: it must not outlive the request.
    pub fn material(&self, held: &Held) -> Result<Zeroizing<Vec<u8>>> {
        let wrapped = held.wrapped.as_ref().ok_or(VersionUnavailable)?;
        self.tenant_key.unwrap_material(&self.about(held.version), wrapped)
    }

    /// The secret that encrypts messages in a context: the version's own, or one derived from it.
    ///
    /// # Errors
    /// 422 `context-required` when keys are derived and there is no context.
    pub fn material_in(&self, held: &Held, context: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let material = self.material(held)?;
        if !self.derived {
            return Ok(material);
        }
        if context.is_empty() {
            return Err(ContextRequired.into());
        }
        let derived = seal::derive(&material, &[b"nexus-kms/derived/v1", context]);
        Ok(Zeroizing::new(derived.to_vec()))
    }

    fn about(&self, version: i32) -> About {
        About { id: self.id.into(), kind: Some(self.kind), version }
    }
}

impl From<HeldRow> for Held {
    fn from(row: HeldRow) -> Self {
        Self {
            version: row.version,
            state: row.version_state,
            jwk: row.jwk,
            wrapped: row.wrapped,
            messages: row.messages,
        }
    }
}
