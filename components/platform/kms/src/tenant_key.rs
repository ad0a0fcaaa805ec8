//! A tenant's key in use: it wraps and unwraps what belongs to that tenant. Unwrapped anew for each
//! request and wiped after it; nothing of it is kept.

use crate::crypto::bound::bound;
use crate::crypto::key_type::KeyType;
use crate::crypto::seal::{self, Key, NONCE_BYTES, Root};
use crate::{random, store};
use nexus_sdk::prelude::*;
use zeroize::Zeroizing;

/// What wrapped material is about.
#[derive(Debug, Clone, Copy)]
pub struct About {
    pub id: Uuid,
    /// What it may be used for: an unwrapped AES key never becomes a signing key.
    pub kind: Option<KeyType>,
    pub version: i32,
}

pub struct TenantKey {
    tenant: Uuid,
    key: Key,
}

/// The root keys, from the variables of the component.
pub async fn root(by: &Ctx) -> Result<Root> {
    let current = Zeroizing::new(by.variable("root_key").await?);
    let previous = Zeroizing::new(by.variable("root_key_previous").await?);
    Ok(Root::of_variables(&current, &previous)?)
}

impl TenantKey {
    /// Unwraps what a row holds.
    pub fn unwrap(root: &Root, tenant: Uuid, print: &[u8], wrapped: &[u8]) -> Result<TenantKey> {
        let key = root.unwrap(print, tenant.as_bytes(), wrapped)?;
        Ok(TenantKey { tenant, key })
    }

    /// The key of a tenant, made when it has none.
    pub async fn ensure(by: &Ctx, tenant: Uuid) -> Result<TenantKey> {
        let root = root(by).await?;
        if let Some(row) = store::tenant_keys::find(by.db(), tenant).await? {
            return TenantKey::unwrap(&root, tenant, &row.root, &row.wrapped);
        }
        let new = TenantKey { tenant, key: Key::new(random::array()) };
        let wrapped = new.wrapped_by(&root, random::array());
        let insert = store::tenant_keys::insert(tenant, &wrapped, &root.print(), by.now());
        by.aside().commit(insert).await?;
        // Somebody else may have been faster.
        let row = store::tenant_keys::find(by.db(), tenant).await?;
        let row = row.ok_or_else(|| Failure::msg("make the tenant's key: it is not there"))?;
        TenantKey::unwrap(&root, tenant, &row.root, &row.wrapped)
    }

    /// The key itself, wrapped by the current root key.
    pub fn wrapped_by(&self, root: &Root, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        root.wrap(nonce, self.tenant.as_bytes(), &self.key)
    }

    pub fn wrap(&self, about: &About, material: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random::array();
        seal::seal(&self.wrapping(about), nonce, &self.bound(about), material)
    }

    pub fn unwrap_material(&self, about: &About, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let material = seal::unseal(&self.wrapping(about), &self.bound(about), wrapped);
        let failure = || Failure::msg(format!("unwrap version {} of {}", about.version, about.id));
        Ok(material.ok_or_else(failure)?)
    }

    /// Keys and secrets are wrapped by different keys.
    fn wrapping(&self, about: &About) -> Key {
        let purpose: &[u8] = match about.kind {
            Some(_) => b"nexus-kms/wrap-key/v1",
            None => b"nexus-kms/wrap-secret/v1",
        };
        seal::derive(&*self.key, &[purpose])
    }

    fn bound(&self, about: &About) -> Vec<u8> {
        let kind = about.kind.map(|kind| format!("{kind:?}")).unwrap_or_default();
        let (id, version) = (about.id.as_bytes(), about.version.to_be_bytes());
        bound(&[b"nexus-kms/material/v1", self.tenant.as_bytes(), id, kind.as_bytes(), &version])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(version: i32) -> About {
        About { id: Uuid::from_u128(1), kind: Some(KeyType::Aes256Gcm96), version }
    }

    fn tenant_key(tenant: u128) -> TenantKey {
        TenantKey { tenant: Uuid::from_u128(tenant), key: Key::new([5; 32]) }
    }

    #[test]
    fn material_is_bound_to_tenant_key_purpose_and_version() {
        let wrapped = tenant_key(1).wrap(&about(1), b"material");
        let unwraps = |tenant: u128, about: About| {
            tenant_key(tenant).unwrap_material(&about, &wrapped).is_ok()
        };
        assert!(unwraps(1, about(1)));
        assert!(!unwraps(2, about(1)));
        assert!(!unwraps(1, about(2)));
        assert!(!unwraps(1, About { id: Uuid::from_u128(2), ..about(1) }));
        assert!(!unwraps(1, About { kind: Some(KeyType::Ed25519), ..about(1) }));
        assert!(!unwraps(1, About { kind: None, ..about(1) }));
    }
}
