//! Encrypting a message with a random nonce: AES-256-GCM and ChaCha20-Poly1305.
//! Sources: NIST SP 800-38D, RFC 8439.

use crate::crypto::key_type::KeyType;
use crate::crypto::seal::NONCE_BYTES;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::ChaCha20Poly1305;
use nexus_sdk::Failure;
use zeroize::Zeroizing;

/// `nonce || ciphertext || tag`, as Vault lays it out.
///
/// # Errors
/// A failure when the key does not encrypt: the caller has looked before.
pub fn encrypt(
    kind: KeyType,
    key: &[u8],
    nonce: [u8; NONCE_BYTES],
    about: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, Failure> {
    let payload = Payload { msg: message, aad: about };
    let at = GenericArray::from_slice(&nonce);
    let sealed = match kind {
        KeyType::Aes256Gcm96 => Aes256Gcm::new_from_slice(key).map(|c| c.encrypt(at, payload)),
        KeyType::Chacha20Poly1305 => {
            ChaCha20Poly1305::new_from_slice(key).map(|c| c.encrypt(at, payload))
        }
        other => return Err(Failure::msg(format!("a {other:?} key does not encrypt"))),
    };
    match sealed {
        Ok(Ok(sealed)) => Ok([&nonce[..], &sealed].concat()),
        _ => Err(Failure::msg("encrypt: the key or the message has an odd length")),
    }
}

/// What `encrypt` took; nothing when anything differs.
pub fn decrypt(
    kind: KeyType,
    key: &[u8],
    about: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: sealed, aad: about };
    let at = GenericArray::from_slice(nonce);
    let opened = match kind {
        KeyType::Aes256Gcm96 => Aes256Gcm::new_from_slice(key).ok()?.decrypt(at, payload),
        KeyType::Chacha20Poly1305 => {
            ChaCha20Poly1305::new_from_slice(key).ok()?.decrypt(at, payload)
        }
        _ => return None,
    };
    opened.ok().map(Zeroizing::new)
}

#[test]
fn a_message_opens_under_its_key_about_its_context_only() {
    for kind in [KeyType::Aes256Gcm96, KeyType::Chacha20Poly1305] {
        let sealed = encrypt(kind, &[1; 32], [2; 12], b"context", b"message").unwrap();
        assert_eq!(*decrypt(kind, &[1; 32], b"context", &sealed).unwrap(), b"message");
        assert!(decrypt(kind, &[1; 32], b"other", &sealed).is_none());
        assert!(decrypt(kind, &[3; 32], b"context", &sealed).is_none());
        assert!(decrypt(kind, &[1; 32], b"context", &sealed[..12]).is_none());
    }
    assert!(encrypt(KeyType::Ed25519, &[1; 32], [2; 12], b"", b"").is_err());
}
