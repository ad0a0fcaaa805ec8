//! Playback tokens: short proofs that a viewer may have a package up to a height, made by the
//! service that decides so and checked here for every segment, without asking anybody.
//!
//! Bytes, big-endian, as base64url without padding: version 1 (1), tenant (16), package (16),
//! playback session (16), greatest height in lines (2), end in Unix seconds (4), and the first 16
//! bytes of HMAC-SHA-256 (RFC 2104) over all before it under the playback key. 95 characters.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

/// Of the key that signs playback tokens.
pub const KEY_BYTES: usize = 32;

const VERSION: u8 = 1;
const SAID: usize = 1 + 16 + 16 + 16 + 2 + 4;
/// Half of the digest (RFC 2104 section 5).
const PROOF: usize = 16;

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playback {
    pub tenant: Uuid,
    pub package: Uuid,
    pub session: Uuid,
    /// Lines; video tracks above it are refused.
    pub height_max: u16,
    /// Unix seconds from which on it is worth nothing.
    pub expires: u32,
}

/// Why a token opens nothing here; the words go into the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is no playback token (`?t=`)")]
    Missing,
    #[error("the playback token is none of this installation's")]
    Forged,
    #[error("the playback token has expired: ask for another")]
    Expired,
    #[error("the playback token is for another package")]
    Package,
    #[error("the playback token does not cover this height")]
    Height,
    #[error("the playback has been ended")]
    Ended,
}

impl Playback {
    /// The token that says this, under `key`.
    pub fn token(&self, key: &[u8; KEY_BYTES]) -> String {
        let said = self.said();
        let mut mac = keyed(key);
        mac.update(&said);
        let proof = mac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&said, &proof[..PROOF]].concat())
    }

    fn said(&self) -> Vec<u8> {
        [
            &[VERSION][..],
            self.tenant.as_bytes(),
            self.package.as_bytes(),
            self.session.as_bytes(),
            &self.height_max.to_be_bytes(),
            &self.expires.to_be_bytes(),
        ]
        .concat()
    }

    /// What `token` says at `now` (Unix seconds), if it was made under `key`.
    pub(super) fn read(token: &str, key: &Key, now: i64) -> Result<Self, Refused> {
        let mut bytes = [0; SAID + PROOF];
        let length =
            URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).map_err(|_| Refused::Forged)?;
        if length != bytes.len() || bytes[0] != VERSION {
            return Err(Refused::Forged);
        }
        let (said, proof) = bytes.split_at(SAID);
        let mut mac = key.0.clone();
        mac.update(said);
        mac.verify_truncated_left(proof).map_err(|_| Refused::Forged)?;
        let id = |at: usize| Uuid::from_slice(&said[at..at + 16]).map_err(|_| Refused::Forged);
        let playback = Self {
            tenant: id(1)?,
            package: id(17)?,
            session: id(33)?,
            height_max: u16::from_be_bytes([said[49], said[50]]),
            expires: u32::from_be_bytes([said[51], said[52], said[53], said[54]]),
        };
        match now < i64::from(playback.expires) {
            true => Ok(playback),
            false => Err(Refused::Expired),
        }
    }
}

fn keyed(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The key of all tokens, with what follows from it alone worked out.
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(keyed(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];

    fn playback() -> Playback {
        Playback {
            tenant: Uuid::from_u128(1),
            package: Uuid::from_u128(2),
            session: Uuid::from_u128(3),
            height_max: 720,
            expires: 1_800_000_000,
        }
    }

    #[test]
    fn a_token_says_what_it_was_made_from_until_it_ends() {
        let token = playback().token(&KEY);
        assert_eq!(token.len(), 95);
        let (key, other) = (Key::new(&KEY), Key::new(&[8; KEY_BYTES]));
        assert_eq!(Playback::read(&token, &key, 1_799_999_999), Ok(playback()));
        assert_eq!(Playback::read(&token, &key, 1_800_000_000), Err(Refused::Expired));
        assert_eq!(Playback::read(&token, &other, 0), Err(Refused::Forged));
    }

    #[test]
    fn a_token_is_the_one_that_services_make() {
        // The text of `media-contract`'s tests: who changes one of them has changed the contract.
        let token = "AQAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAACAAAAAAAAAAAAAAAAAAAAAwLQa0nSA\
                     KtiGxyuuUPZEh0INzGXL70";
        assert_eq!(playback().token(&KEY), token);
    }

    proptest! {
        #[test]
        fn no_token_survives_a_changed_bit(at in 0..(SAID + PROOF) * 8) {
            let mut bytes = URL_SAFE_NO_PAD.decode(playback().token(&KEY)).unwrap();
            bytes[at / 8] ^= 1 << (at % 8);
            let altered = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(Playback::read(&altered, &Key::new(&KEY), 0), Err(Refused::Forged));
        }

        #[test]
        fn what_was_never_a_token_is_none(text in ".{0,200}") {
            prop_assert_eq!(Playback::read(&text, &Key::new(&KEY), 0), Err(Refused::Forged));
        }
    }
}
