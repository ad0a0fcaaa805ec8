//! Values that nobody can guess, and how they are known again: by their SHA-256 digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use nexus_sdk::spin_sdk::wasip3::random::random::get_random_bytes;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const BYTES: u64 = 32;

/// A new value with a prefix that says what it is.
pub fn fresh(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(get_random_bytes(BYTES)))
}

/// Letters that cannot be taken for one another and make no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// What a person types at another device: `BCDF-GHJK`, 34 bits.
pub fn user_code() -> String {
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        for byte in get_random_bytes(16) {
            // 240 is the largest multiple of 20 in a byte: beyond it some letters were likelier.
            if byte < 240 && code.len() < 9 {
                if code.len() == 4 {
                    code.push('-');
                }
                code.push(char::from(LETTERS[usize::from(byte % 20)]));
            }
        }
    }
    code
}

/// A code as it is kept, however it was typed.
pub fn user_code_typed(typed: &str) -> Option<String> {
    let letters: String =
        typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    let right = letters.len() == 8 && letters.bytes().all(|letter| LETTERS.contains(&letter));
    right.then(|| format!("{}-{}", &letters[..4], &letters[4..]))
}

pub fn digest(value: &str) -> Vec<u8> {
    Sha256::digest(value.as_bytes()).to_vec()
}

/// Whether a value has this digest; takes the same time for every value.
pub fn is(value: &str, digest_kept: &[u8]) -> bool {
    digest(value).ct_eq(digest_kept).into()
}

/// Whether a verifier belongs to a challenge (RFC 7636 §4.6, S256), and is one at all.
pub fn verifies(verifier: &str, challenge: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
    well_formed && challenge_of(verifier).as_bytes().ct_eq(challenge.as_bytes()).into()
}

/// What follows from a secret for one purpose and one occasion, and cannot be told without it: 43
/// characters of base64url, as a verifier needs them (RFC 7636 §4.1).
pub fn derived(secret: &str, purpose: &str, occasion: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let mac = mac.expect("HMAC takes keys of any length");
    let mac = mac.chain_update(purpose).chain_update([0]).chain_update(occasion);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// The challenge of a verifier (RFC 7636 §4.2, S256).
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(verifier))
}

/// `at_hash` of an ID token (OpenID Connect Core §3.1.3.6): the left half of the digest.
pub fn half_digest(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(token)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_of_rfc_7636_appendix_b_belongs_to_its_challenge() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge_of(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(verifies(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert!(!verifies(&format!("{verifier}x"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        let short = "short";
        assert!(!verifies(short, &challenge_of(short)), "43 characters are the least");
    }

    #[test]
    fn what_is_derived_differs_by_secret_purpose_and_occasion() {
        let one = derived("s", "verifier", "o");
        assert!(verifies(&one, &challenge_of(&one)));
        for other in [derived("t", "verifier", "o"), derived("s", "nonce", "o")] {
            assert_ne!(one, other);
        }
        assert_ne!(derived("s", "a", "bc"), derived("s", "ab", "c"));
        assert_eq!(one, derived("s", "verifier", "o"));
    }

    #[test]
    fn a_user_code_is_known_however_it_is_typed() {
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk "] {
            assert_eq!(user_code_typed(typed).as_deref(), Some("BCDF-GHJK"), "{typed}");
        }
        for wrong in ["", "BCDF-GHJ", "ABCD-EFGH", "BCDF-GHJKL", "BCDF-GHJ\u{e9}"] {
            assert_eq!(user_code_typed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_value_is_known_by_its_digest_alone() {
        assert!(is("secret", &digest("secret")));
        assert!(!is("secret", &digest("Secret")));
        assert!(!is("secret", b""));
    }
}
