//! How bytes are written: base64, and Vault's `vault:v<version>:<base64>`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unbase64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const PREFIX: &str = "vault:v";

/// `vault:v3:<text>`.
pub fn versioned(version: i32, text: &str) -> String {
    format!("{PREFIX}{version}:{text}")
}

/// The version and the text behind it.
pub fn split(versioned: &str) -> Option<(i32, &str)> {
    let (version, text) = versioned.strip_prefix(PREFIX)?.split_once(':')?;
    let digits = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    let version = version.parse().ok().filter(|version| digits && *version >= 1)?;
    Some((version, text))
}

#[test]
fn a_version_stands_before_what_it_made() {
    assert_eq!(split(&versioned(3, "AAEC")), Some((3, "AAEC")));
    for odd in
        ["", "vault:v:AA", "vault:v0:AA", "vault:v-1:AA", "vault:v+1:AA", "v1:AA", "vault:v1"]
    {
        assert_eq!(split(odd), None, "{odd}");
    }
}
