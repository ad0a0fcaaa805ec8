//! Secrets that mean nothing by themselves: refresh tokens and API keys. Knows how they are drawn,
//! written and digested; refuses to know whose they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use identity_contract::ApiKeyId;
use nexus_sdk::axum::http::Uri;
use nexus_sdk::spin_sdk::wasip3::random::random::get_random_bytes;
use nexus_sdk::uuid::Uuid;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// As many as a digest has: guessing one is as hard as guessing the other.
pub const SECRET_BYTES: usize = 32;
pub const REFRESH_PREFIX: &str = "nxr_";
pub const API_KEY_PREFIX: &str = "nx_";

/// Letters and digits only, so that a double click takes the whole of it: 43 of 62 are 256 bits.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const WORD_CHARS: usize = 43;

/// SHA-256 of the whole text: 32 random bytes need no slow hash.
pub fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}

pub fn draw() -> Vec<u8> {
    get_random_bytes(SECRET_BYTES as u64)
}

/// The first refresh token of a family.
pub fn refresh_token() -> String {
    format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(draw()))
}

/// The refresh token after `token`: made of it and a salt that only we know, so that whoever has
/// the one cannot make the next without us, and we can make it again only while it is shown to us.
pub fn successor(token: &str, salt: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes keys of any length");
    let next = mac.chain_update(token).finalize().into_bytes();
    format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(next))
}

/// `nx_<live|test>_<id>_<secret>`, and how it begins.
pub fn api_key(environment: &str, id: ApiKeyId) -> (String, String) {
    let id = Uuid::from(id).simple();
    let beginning = format!("{API_KEY_PREFIX}{environment}_{id}");
    (format!("{beginning}_{}", word(draws())), beginning)
}

/// Random bytes without end.
fn draws() -> impl Iterator<Item = u8> {
    std::iter::repeat_with(|| get_random_bytes(64)).flatten()
}

/// A word of the alphabet, every letter as likely as every other.
fn word(bytes: impl Iterator<Item = u8>) -> String {
    // 248 is the last multiple of 62: what is above would favour the first letters.
    let fair = bytes.filter(|byte| *byte < 248);
    fair.take(WORD_CHARS).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])).collect()
}

/// Whether keys of this installation are for trying things out: it is this machine's alone.
pub fn environment(public_url: &str) -> &'static str {
    let uri: Option<Uri> = public_url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match loopback || host == "localhost" || host.ends_with(".localhost") {
        true => "test",
        false => "live",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_follows_from_token_and_salt_and_from_nothing_less() {
        let one = successor("nxr_a", &[1; 32]);
        assert_eq!(one, successor("nxr_a", &[1; 32]));
        assert_ne!(one, successor("nxr_a", &[2; 32]));
        assert_ne!(one, successor("nxr_b", &[1; 32]));
        assert_eq!(one.len(), REFRESH_PREFIX.len() + 43);
    }

    #[test]
    fn a_word_takes_only_letters_and_digits_and_no_byte_that_would_favour_some() {
        let all = word((0..=255_u8).rev());
        assert_eq!(all.len(), WORD_CHARS);
        // 255 to 248 are passed over: the first letter is that of 247.
        assert!(all.starts_with('z'));
        assert!(all.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn only_keys_of_this_machine_are_for_trying_out() {
        for (url, expected) in [
            ("http://localhost:8080", "test"),
            ("http://127.0.0.1:8080", "test"),
            ("http://[::1]:8080", "test"),
            ("http://nexus.localhost", "test"),
            ("https://nexus.example", "live"),
            ("https://localhost.example", "live"),
            ("", "live"),
        ] {
            assert_eq!(environment(url), expected, "{url}");
        }
    }
}
