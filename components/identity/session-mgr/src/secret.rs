//! A session's secret, the digest by which it is known, and the CSRF token that follows from it.
//! Pure but for the drawing of the secret; refuses to keep any of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use nexus_sdk::spin_sdk::wasip3::random::random::get_random_bytes;
use sha2::{Digest, Sha256};

/// What tells a session's secret from every other credential.
const PREFIX: &str = "nxs_";
/// As many as a digest has: guessing one is as hard as guessing the other.
const SECRET_BYTES: u64 = 32;
/// What is signed; a key that signs one fixed message needs no more.
const CSRF_WORDS: &[u8] = b"nexus-csrf";

/// A secret that only its owner's browser will know: the cookie's value as it is.
pub struct CookieSecret(String);

impl CookieSecret {
    pub fn draw() -> CookieSecret {
        CookieSecret(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(get_random_bytes(SECRET_BYTES))))
    }

    /// SHA-256 of the whole cookie value: 32 random bytes need no slow hash.
    pub fn digest(&self) -> Vec<u8> {
        digest(&self.0)
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

pub fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

/// HMAC-SHA256 under the digest, base64url: the hosts compute the same from the cookie they see.
pub fn csrf_token(digest: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(digest).expect("HMAC takes keys of any length");
    URL_SAFE_NO_PAD.encode(mac.chain_update(CSRF_WORDS).finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csrf_token_follows_from_the_digest_alone_and_differs_with_it() {
        let one = csrf_token(&digest("nxs_a"));
        assert_eq!(one, csrf_token(&digest("nxs_a")));
        assert_ne!(one, csrf_token(&digest("nxs_b")));
        assert_eq!(one.len(), 43);
    }

    /// Computed beside it with OpenSSL: `openssl dgst -sha256 -mac HMAC -macopt hexkey:<digest>`.
    #[test]
    fn the_digest_and_the_token_are_those_that_other_programs_compute() {
        let hex: String = digest("nxs_test").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, DIGEST_HEX);
        assert_eq!(csrf_token(&digest("nxs_test")), CSRF);
    }
    const DIGEST_HEX: &str = "8528adcc8081d11f35e5b09e7d9a4905a0f8ec23e64815084e14284bbf2fe144";
    const CSRF: &str = "cd9SjIcHhWsNRRQfaJIo800_bWwk8jZXA-wWUwyFF0A";
}
