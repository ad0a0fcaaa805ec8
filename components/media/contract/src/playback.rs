//! Playback tokens: short proofs that a viewer may have a package up to a height. `streaming` makes
//! them, `manifest-builder` reads them, and so does the host's origin for every segment
//! (`triggers/http/src/media/token.rs`), which must agree with this to the byte.
//!
//! Bytes, big-endian, as base64url without padding: version 1 (1), tenant (16), package (16),
//! playback (16), greatest height in lines (2), end in Unix seconds (4), and the first 16 bytes of
//! HMAC-SHA-256 (RFC 2104) over all before it under the playback key. 95 characters.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use nexus_sdk::uuid::Uuid;
use sha2::Sha256;

/// Of the key that signs playback tokens.
pub const KEY_BYTES: usize = 32;
/// The variable that holds it, as base64.
pub const KEY_VARIABLE: &str = "playback_key";

const VERSION: u8 = 1;
const SAID: usize = 1 + 16 + 16 + 16 + 2 + 4;
/// Half of the digest (RFC 2104 section 5).
const PROOF: usize = 16;

/// The key of all playback tokens; never shown.
#[derive(Clone)]
pub struct PlaybackKey([u8; KEY_BYTES]);

impl std::fmt::Debug for PlaybackKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlaybackKey(…)")
    }
}

impl PlaybackKey {
    /// The key that the variable says; none when that is no 32 bytes as base64.
    pub fn of_variable(value: &str) -> Option<PlaybackKey> {
        let bytes = STANDARD.decode(value.trim()).ok()?;
        bytes.try_into().ok().map(PlaybackKey)
    }

    fn mac(&self, said: &[u8]) -> Hmac<Sha256> {
        let mut mac: Hmac<Sha256> =
            Hmac::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(said);
        mac
    }
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playback {
    pub tenant: Uuid,
    pub package: Uuid,
    /// The playback that ends when somebody says so.
    pub session: Uuid,
    /// Lines; video tracks above it are refused.
    pub height_max: u16,
    /// Unix seconds from which on it is worth nothing.
    pub expires: u32,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was not made here, or was altered.
    Forged,
    Expired,
}

impl Playback {
    /// The token that says this.
    pub fn token(&self, key: &PlaybackKey) -> String {
        let said = self.said();
        let proof = key.mac(&said).finalize().into_bytes();
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

    /// What `token` says at `now` (Unix seconds). Compared in constant time.
    ///
    /// # Errors
    /// A token that was not made under `key`, or whose time is over.
    pub fn read(token: &str, key: &PlaybackKey, now: i64) -> Result<Playback, Refused> {
        let mut bytes = [0; SAID + PROOF];
        let length =
            URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).map_err(|_| Refused::Forged)?;
        if length != bytes.len() || bytes[0] != VERSION {
            return Err(Refused::Forged);
        }
        let (said, proof) = bytes.split_at(SAID);
        key.mac(said).verify_truncated_left(proof).map_err(|_| Refused::Forged)?;
        let id = |at: usize| Uuid::from_slice(&said[at..at + 16]).map_err(|_| Refused::Forged);
        let playback = Playback {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of [`playback`] under [`key`]. The origin's tests hold the same text: who changes one of
    /// them has changed the contract.
    const TOKEN: &str = "AQAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAACAAAAAAAAAAAAAAAAAAAAAwLQa0nSA\
                         KtiGxyuuUPZEh0INzGXL70";

    fn key() -> PlaybackKey {
        PlaybackKey([7; KEY_BYTES])
    }

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
    fn a_token_is_the_one_that_the_origin_reads() {
        assert_eq!(playback().token(&key()), TOKEN);
    }

    #[test]
    fn a_token_says_what_it_was_made_from_until_it_ends() {
        let read = |key: &PlaybackKey, now| Playback::read(TOKEN, key, now);
        assert_eq!(read(&key(), 1_799_999_999), Ok(playback()));
        assert_eq!(read(&key(), 1_800_000_000), Err(Refused::Expired));
        assert_eq!(read(&PlaybackKey([8; KEY_BYTES]), 0), Err(Refused::Forged));
    }

    #[test]
    fn a_key_is_32_bytes_and_is_not_shown() {
        let key = PlaybackKey::of_variable(&STANDARD.encode([7; 32])).unwrap();
        assert_eq!(playback().token(&key), TOKEN);
        assert_eq!(format!("{key:?}"), "PlaybackKey(…)");
        for wrong in ["", "x", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33])] {
            assert!(PlaybackKey::of_variable(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_token_survives_a_changed_bit(at in 0..(SAID + PROOF) * 8) {
            let mut bytes = URL_SAFE_NO_PAD.decode(TOKEN).unwrap();
            bytes[at / 8] ^= 1 << (at % 8);
            let altered = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(Playback::read(&altered, &key(), 0), Err(Refused::Forged));
        }

        #[test]
        fn what_was_never_a_token_is_none(text in ".{0,200}") {
            prop_assert_eq!(Playback::read(&text, &key(), 0), Err(Refused::Forged));
        }
    }
}
