//! Keys wrapped by keys that their owner brings: AES-KW and AES-KWP.
//! Sources: RFC 3394, RFC 5649.

use aes_kw::{KekAes128, KekAes256};
use zeroize::Zeroizing;

/// Wraps a key of any length (RFC 5649) with 16 or 32 bytes.
pub fn wrap_padded(wrapping: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    match wrapping.len() {
        16 => KekAes128::try_from(wrapping).ok()?.wrap_with_padding_vec(key).ok(),
        32 => KekAes256::try_from(wrapping).ok()?.wrap_with_padding_vec(key).ok(),
        _ => None,
    }
}

/// What `wrap_padded` took.
pub fn unwrap_padded(wrapping: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // The crate takes these lengths for granted and panics at others.
    if wrapped.len() < 16 || !wrapped.len().is_multiple_of(8) {
        return None;
    }
    let key = match wrapping.len() {
        16 => KekAes128::try_from(wrapping).ok()?.unwrap_with_padding_vec(wrapped).ok(),
        32 => KekAes256::try_from(wrapping).ok()?.unwrap_with_padding_vec(wrapped).ok(),
        _ => None,
    };
    key.map(Zeroizing::new)
}

/// Wraps a key whose length is a multiple of 8 (RFC 3394): what padding is built on.
#[cfg(test)]
pub fn wrap(wrapping: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    match wrapping.len() {
        16 => KekAes128::try_from(wrapping).ok()?.wrap_vec(key).ok(),
        32 => KekAes256::try_from(wrapping).ok()?.wrap_vec(key).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::text::hex;

    /// RFC 3394 sections 4.1 and 4.6.
    #[test]
    fn wrapping_gives_the_vectors_of_the_rfc() {
        let kek: Vec<u8> = (0..32).collect();
        let key: Vec<u8> = (0..16).map(|at| at * 0x11).collect();
        let short = wrap(&kek[..16], &key).unwrap();
        assert_eq!(hex(&short), "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
        let long: Vec<u8> = key.iter().copied().chain(0..16).collect();
        assert_eq!(
            hex(&wrap(&kek, &long).unwrap()),
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
        );
    }

    #[test]
    fn what_was_wrapped_comes_back_under_its_key_only() {
        let wrapped = wrap_padded(&[1; 32], b"of any length").unwrap();
        assert_eq!(*unwrap_padded(&[1; 32], &wrapped).unwrap(), b"of any length");
        assert!(unwrap_padded(&[2; 32], &wrapped).is_none());
        assert!(unwrap_padded(&[1; 16], &wrapped).is_none());
        assert!(wrap_padded(&[1; 24], b"x").is_none());
    }
}
