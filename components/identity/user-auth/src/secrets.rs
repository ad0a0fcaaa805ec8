//! Random secrets and the digests under which they are kept. A digest needs no slow hash: nobody
//! guesses 80 random bits or more.

use crate::otp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_sdk::spin_sdk::wasip3::random::random::get_random_bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const SECRET_BYTES: u64 = 32;
/// Ten codes are a column on a slip of paper.
pub const RECOVERY_CODES: usize = 10;
const RECOVERY_BYTES: u64 = 10;

/// From the host's own source (`wasi:random`).
pub fn random(bytes: u64) -> Vec<u8> {
    get_random_bytes(bytes)
}

/// 32 random bytes for a link or a flow, with a prefix by which a scanner for leaked secrets knows
/// it.
pub fn draw(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random(SECRET_BYTES)))
}

/// Under which something random is kept.
pub fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

/// Compares in constant time.
pub fn is(secret: &str, kept: &[u8]) -> bool {
    digest(secret).ct_eq(kept).into()
}

/// Ten fresh codes, `abcd-efgh-ijkl-mnop`.
pub fn recovery_codes() -> Vec<String> {
    (0..RECOVERY_CODES).map(|_| spelled(&random(RECOVERY_BYTES))).collect()
}

fn spelled(bytes: &[u8]) -> String {
    let letters = otp::base32(bytes).to_lowercase();
    let groups: Vec<&str> = (0..letters.len()).step_by(4).map(|at| &letters[at..at + 4]).collect();
    groups.join("-")
}

/// Under which a recovery code is kept, however it is typed.
pub fn recovery_digest(code: &str) -> Vec<u8> {
    let letters: String = code.chars().filter(|c| c.is_alphanumeric()).collect();
    digest(&letters.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_is_four_groups_and_found_however_it_is_typed() {
        let code = spelled(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(code.len(), 19);
        let kept = recovery_digest(&code);
        assert_eq!(kept, recovery_digest(&code.to_uppercase()));
        assert_eq!(kept, recovery_digest(&code.replace('-', " ")));
        assert_ne!(kept, recovery_digest(&code[1..]));
    }

    #[test]
    fn a_secret_is_known_by_its_digest_and_no_other() {
        let kept = digest("nxf_a");
        assert!(is("nxf_a", &kept));
        assert!(!is("nxf_b", &kept) && !is("", &kept));
        assert!(!is("nxf_a", &kept[..31]));
    }
}
