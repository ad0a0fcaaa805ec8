//! The hierarchy of keys: the root key wraps a tenant's key, the tenant's key wraps everything
//! else. Each wrapping uses a key of its own, derived for that purpose, and is bound to what it
//! is about.
//! Sources: RFC 5869 (HKDF), NIST SP 800-38D (GCM).

use crate::crypto::bound::bound;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use nexus_sdk::Failure;
use sha2::Sha256;
use zeroize::Zeroizing;

/// 256 bits that are wiped when they are dropped.
pub type Key = Zeroizing<[u8; 32]>;

/// Of a GCM nonce (SP 800-38D section 8.2.2: random, 96 bits).
pub const NONCE_BYTES: usize = 12;

/// Says which root key wraps something, and nothing else about it.
pub const PRINT_BYTES: usize = 8;

/// A key for one purpose.
pub fn derive(secret: &[u8], purpose: &[&[u8]]) -> Key {
    let mut key = Key::default();
    Hkdf::<Sha256>::new(None, secret)
        .expand(&bound(purpose), &mut *key)
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    key
}

/// `nonce || ciphertext || tag`.
pub fn seal(key: &Key, nonce: [u8; NONCE_BYTES], about: &[u8], secret: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new((&**key).into());
    let payload = Payload { msg: secret, aad: about };
    let sealed = cipher.encrypt(Nonce::from_slice(&nonce), payload);
    let sealed = sealed.expect("GCM takes messages up to 64 GiB, and a key is shorter");
    [&nonce[..], &sealed].concat()
}

/// What `seal` took; nothing when the key, the bytes or what they are about is another.
pub fn unseal(key: &Key, about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: sealed, aad: about };
    let opened = Aes256Gcm::new((&**key).into()).decrypt(Nonce::from_slice(nonce), payload);
    opened.ok().map(Zeroizing::new)
}

/// The operator's root key, and the one before it while both are in use.
pub struct Root {
    current: Key,
    previous: Option<Key>,
}

impl Root {
    /// From variables: base64 of 32 bytes; the second may be empty.
    ///
    /// # Errors
    /// A failure that never says what stood there.
    pub fn of_variables(current: &str, previous: &str) -> Result<Root, Failure> {
        let current = read(current).ok_or_else(|| Failure::msg("read the root key"))?;
        let previous = match previous.trim() {
            "" => None,
            text => Some(read(text).ok_or_else(|| Failure::msg("read the previous root key"))?),
        };
        Ok(Root { current, previous })
    }

    /// The fingerprint of the current root key.
    pub fn print(&self) -> [u8; PRINT_BYTES] {
        print(&self.current)
    }

    /// Wraps a tenant's key.
    pub fn wrap(&self, nonce: [u8; NONCE_BYTES], tenant: &[u8], key: &Key) -> Vec<u8> {
        seal(&derive(&*self.current, &[WRAP_TENANT_KEY]), nonce, &about_tenant(tenant), &**key)
    }

    /// A tenant's key, wrapped by the root key with that fingerprint.
    ///
    /// # Errors
    /// A failure when neither root key has that fingerprint, or the bytes are not what was wrapped.
    pub fn unwrap(&self, print_of: &[u8], tenant: &[u8], wrapped: &[u8]) -> Result<Key, Failure> {
        let known = [Some(&self.current), self.previous.as_ref()];
        let root = known.into_iter().flatten().find(|root| print(root)[..] == *print_of);
        let root = root.ok_or_else(|| {
            Failure::msg(
                "unwrap the tenant's key: it is wrapped by another root key; give that one as \
                 root_key_previous",
            )
        })?;
        let key = unseal(&derive(&**root, &[WRAP_TENANT_KEY]), &about_tenant(tenant), wrapped);
        let key = key.ok_or_else(|| Failure::msg("unwrap the tenant's key: it is damaged"))?;
        let key = <[u8; 32]>::try_from(&key[..]).map(Zeroizing::new);
        key.map_err(|_| Failure::msg("unwrap the tenant's key: it is no key"))
    }
}

const WRAP_TENANT_KEY: &[u8] = b"nexus-kms/wrap-tenant-key/v1";

fn about_tenant(tenant: &[u8]) -> Vec<u8> {
    bound(&[b"nexus-kms/tenant-key/v1", tenant])
}

fn print(root: &Key) -> [u8; PRINT_BYTES] {
    let whole = derive(&**root, &[b"nexus-kms/fingerprint/v1"]);
    let mut print = [0; PRINT_BYTES];
    print.copy_from_slice(&whole[..PRINT_BYTES]);
    print
}

fn read(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(super::text::unbase64(text.trim())?);
    <[u8; 32]>::try_from(&bytes[..]).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::text::base64;

    fn root(current: u8, previous: Option<u8>) -> Root {
        let previous = previous.map(|byte| base64(&[byte; 32])).unwrap_or_default();
        Root::of_variables(&base64(&[current; 32]), &previous).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_about_the_same_thing_only() {
        let key = derive(b"a secret", &[b"wrap"]);
        let sealed = seal(&key, [7; 12], b"a lamp", b"plain");
        assert_eq!(*unseal(&key, b"a lamp", &sealed).unwrap(), b"plain");
        assert!(unseal(&key, b"a chair", &sealed).is_none());
        assert!(unseal(&derive(b"a secret", &[b"other"]), b"a lamp", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(unseal(&key, b"a lamp", &damaged).is_none(), "byte {at}");
        }
        assert!(unseal(&key, b"a lamp", &sealed[..11]).is_none());
    }

    #[test]
    fn a_tenants_key_belongs_to_its_tenant_and_its_root_key() {
        let key = Key::new([9; 32]);
        let wrapped = root(1, None).wrap([3; 12], b"ada", &key);
        let print = root(1, None).print();
        assert_eq!(*root(1, None).unwrap(&print, b"ada", &wrapped).unwrap(), *key);
        assert!(root(1, None).unwrap(&print, b"bob", &wrapped).is_err());
        assert!(root(2, None).unwrap(&print, b"ada", &wrapped).is_err());
        // A new root key still opens what the one before it has wrapped.
        assert_eq!(*root(2, Some(1)).unwrap(&print, b"ada", &wrapped).unwrap(), *key);
    }

    #[test]
    fn a_root_key_is_thirty_two_bytes_and_an_error_does_not_show_it() {
        for bad in ["", "no base64!", "c2hvcnQ="] {
            let refused = Root::of_variables(bad, "").err().unwrap().to_string();
            assert_eq!(refused, "read the root key");
        }
        assert!(Root::of_variables(&base64(&[1; 32]), "c2hvcnQ=").is_err());
    }

    /// RFC 5869, test case 1, through the same crate.
    #[test]
    fn hkdf_gives_the_vector_of_the_rfc() {
        let salt: Vec<u8> = (0..13).collect();
        let info: Vec<u8> = (0xf0..0xfa).collect();
        let mut okm = [0; 42];
        Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut okm).unwrap();
        let hex: String = okm.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }
}
