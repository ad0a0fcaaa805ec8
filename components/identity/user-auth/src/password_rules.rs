//! Which passwords are taken: NIST SP 800-63B-4 §3.1.1.2. Length, no rules of composition, nothing
//! that everybody tries first. Pure.

use crate::email_address::Email;
use nexus_sdk::prelude::*;
use sha2::{Digest, Sha256};

nexus_sdk::refusals! {
    PasswordLength = 422, "a password takes 8 to 256 characters";
    PasswordCommon = 422, "this password is among those that are tried first; choose another";
    PasswordIsAddress = 422, "a password is something that others do not know; this is the address"
}

const CHARS: std::ops::RangeInclusive<usize> = 8..=256;
/// What `nexus:password` takes.
const BYTES_MAX: usize = 1024;
const PREFIX_BYTES: usize = 4;

/// The first four bytes of the SHA-256 digests, sorted, of the 11,611 passwords of at least eight
/// characters among the 30,000 most frequent ones that zxcvbn (MIT licence) lists, in lower case.
/// One in 370,000 other passwords is refused with them, and no list has to be carried about.
static COMMON: &[u8] = include_bytes!("common-passwords.bin");

/// # Errors
/// Says what is wrong with it, at `field` of the body.
pub fn check(password: &str, email: &Email, field: &str) -> Result<(), Refusal> {
    if !CHARS.contains(&password.chars().count()) || password.len() > BYTES_MAX {
        return Err(PasswordLength.at(field));
    }
    let lower = password.to_lowercase();
    if lower == email.as_str() || lower == email.local() {
        return Err(PasswordIsAddress.at(field));
    }
    if is_common(&lower) || is_monotonous(&lower) {
        return Err(PasswordCommon.at(field));
    }
    Ok(())
}

/// A password that was never taken cannot be right: what is longer is not hashed.
pub fn could_be(password: &str) -> bool {
    password.len() <= BYTES_MAX
}

fn is_common(lower: &str) -> bool {
    let digest = Sha256::digest(lower);
    let (prefixes, _) = COMMON.as_chunks::<PREFIX_BYTES>();
    prefixes.binary_search_by(|prefix| prefix.as_slice().cmp(&digest[..PREFIX_BYTES])).is_ok()
}

/// One or two characters all over, or a run of neighbours: `aaaaaaaa`, `12345678`.
fn is_monotonous(lower: &str) -> bool {
    let letters: Vec<u32> = lower.chars().map(u32::from).collect();
    let mut distinct = letters.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let step =
        |by: i64| letters.windows(2).all(|pair| i64::from(pair[1]) - i64::from(pair[0]) == by);
    distinct.len() <= 2 || step(1) || step(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(password: &str) -> Option<&'static str> {
        let email = Email::read("ada.lovelace@example.org").unwrap();
        check(password, &email, "password").err().map(|refusal| refusal.name)
    }

    #[test]
    fn length_counts_and_composition_does_not() {
        assert_eq!(refused("1234567"), Some("PasswordLength"));
        assert_eq!(refused(&"ab1".repeat(86)), Some("PasswordLength"));
        assert_eq!(refused("correct horse battery staple"), None);
        assert_eq!(refused("tr0ub4dor and three"), None);
        assert_eq!(refused(&"ab1".repeat(85)), None);
        assert_eq!(refused("pässwörter sind länger"), None);
        // 256 characters of four bytes are the 1,024 bytes that are hashed, and no more.
        let wide: String = (0..256).map(|n| char::from_u32(0x1_f300 + n).unwrap()).collect();
        assert_eq!(wide.len(), BYTES_MAX);
        assert_ne!(refused(&wide), Some("PasswordLength"));
    }

    #[test]
    fn what_everybody_tries_first_is_refused_in_any_case() {
        for common in ["password", "PassWord", "password1", "iloveyou", "sunshine", "trustno1"] {
            assert_eq!(refused(common), Some("PasswordCommon"), "{common}");
        }
        for dull in ["aaaaaaaaaa", "abababababab", "23456789", "hgfedcba"] {
            assert_eq!(refused(dull), Some("PasswordCommon"), "{dull}");
        }
    }

    #[test]
    fn the_address_is_no_password() {
        assert_eq!(refused("ada.lovelace@example.org"), Some("PasswordIsAddress"));
        assert_eq!(refused("Ada.Lovelace"), Some("PasswordIsAddress"));
    }

    #[test]
    fn the_list_is_whole_sorted_and_of_a_kind() {
        let (prefixes, rest) = COMMON.as_chunks::<PREFIX_BYTES>();
        assert!(rest.is_empty());
        assert_eq!(prefixes.len(), 11_611);
        assert!(prefixes.is_sorted());
    }
}
