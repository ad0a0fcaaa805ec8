//! Opening what `email` has sealed: ChaCha20-Poly1305 (RFC 8439) with a key that seals once, a zero
//! nonce, and the message's id as associated text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("the key is not 32 bytes of base64")]
    Key,
    #[error("the sealed message does not open with its key")]
    Broken,
}

pub(crate) fn open(key: &str, id: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let key: [u8; 32] =
        STANDARD.decode(key).ok().and_then(|key| key.try_into().ok()).ok_or(SealError::Key)?;
    let payload = Payload { msg: sealed, aad: id.as_bytes() };
    let cipher = ChaCha20Poly1305::new(&Key::from(key));
    cipher.decrypt(&Nonce::default(), payload).map_err(|_| SealError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_message_opens_as_itself_alone() {
        let key = [7; 32];
        let payload = Payload { msg: b"hello", aad: b"a" };
        let cipher = ChaCha20Poly1305::new(&Key::from(key));
        let sealed = cipher.encrypt(&Nonce::default(), payload).unwrap();
        let text = STANDARD.encode(key);
        assert_eq!(open(&text, "a", &sealed), Ok(b"hello".to_vec()));
        assert_eq!(open(&text, "b", &sealed), Err(SealError::Broken));
        assert_eq!(open(&STANDARD.encode([8; 32]), "a", &sealed), Err(SealError::Broken));
        assert_eq!(open("short", "a", &sealed), Err(SealError::Key));
    }
}
