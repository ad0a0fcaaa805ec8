//! Sealing: what a message says leaves this component only as ciphertext. Pure.
//!
//! Each message has a key of its own, which seals it once and is erased with it. The ciphertext
//! lies in an object store, the key in the database: whoever has a copy of one of them has nothing.
//! `media-native/mail` opens what was sealed here.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use nexus_sdk::prelude::*;

pub const KEY_BYTES: usize = 32;

/// ChaCha20-Poly1305 (RFC 8439), bound to `id`: a sealed message opens as no other.
///
/// The nonce is zero: a key never seals twice.
pub fn seal(key: &[u8; KEY_BYTES], id: &str, message: &[u8]) -> Result<Vec<u8>> {
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    let payload = Payload { msg: message, aad: id.as_bytes() };
    let sealed = cipher.encrypt(&Nonce::default(), payload);
    sealed.map_err(|_| Failure::msg("seal the message").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_own_key_and_name_alone() {
        let key = [7; KEY_BYTES];
        let sealed = seal(&key, "a", b"a secret link").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        let open = |key: [u8; KEY_BYTES], id: &str| {
            let payload = Payload { msg: &sealed, aad: id.as_bytes() };
            ChaCha20Poly1305::new(&Key::from(key)).decrypt(&Nonce::default(), payload).ok()
        };
        assert_eq!(open(key, "a").as_deref(), Some(b"a secret link".as_slice()));
        assert_eq!(open(key, "b"), None);
        assert_eq!(open([8; KEY_BYTES], "a"), None);
    }
}
