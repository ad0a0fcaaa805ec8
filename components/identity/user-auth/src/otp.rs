//! One-time codes from a shared secret: RFC 4226 (HOTP) under RFC 6238 (TOTP), with the parameters
//! that every app knows: SHA-1, six digits, thirty seconds. SHA-1's collisions do not matter inside
//! HMAC. Pure.

use hmac::{Hmac, Mac};
use nexus_sdk::prelude::*;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// RFC 4226 §4 R6 recommends 160 bits.
pub const SECRET_BYTES: usize = 20;
const DIGITS: u32 = 6;
const STEP_SECONDS: i64 = 30;
/// Clocks are wrong and fingers slow: RFC 6238 §5.2 recommends one step.
const STEPS_AROUND: i64 = 1;

/// The time step whose code this is, among the present one and its neighbours. Steps up to
/// `used` are spent. All of them are compared, in constant time each.
pub fn step_of(secret: &[u8], code: &str, now: Time, used: i64) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != DIGITS as usize {
        return None;
    }
    let present = now.timestamp().div_euclid(STEP_SECONDS);
    let mut found = i64::MIN;
    for step in present - STEPS_AROUND..=present + STEPS_AROUND {
        let right = code_of(secret, step, DIGITS).as_bytes().ct_eq(code.as_bytes());
        let fresh = Choice::from(u8::from(step > used));
        found.conditional_assign(&step, right & fresh);
    }
    (found != i64::MIN).then_some(found)
}

/// The code of a counter (RFC 4226 §5.3).
fn code_of(secret: &[u8], counter: i64, digits: u32) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&counter.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let at = usize::from(tag[19] & 0xf);
    let word = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
    let width = digits as usize;
    format!("{:0width$}", word % 10_u32.pow(digits))
}

/// RFC 4648 §6 without padding, as apps let people type it.
pub fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let letters = (chunk.len() * 8).div_ceil(5);
        for n in 0..letters {
            text.push(char::from(LETTERS[(bits >> (35 - 5 * n) & 31) as usize]));
        }
    }
    text
}

/// What the QR code says (the key URI format that all apps read).
pub fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1\
         &digits={DIGITS}&period={STEP_SECONDS}",
        base32(secret),
        issuer = escape(issuer),
        account = escape(account),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::chrono::DateTime;

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Time {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_codes_of_rfc_4226_appendix_d_come_out() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(code_of(SECRET, counter, 6), code);
        }
    }

    #[test]
    fn the_codes_of_rfc_6238_appendix_b_come_out() {
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let step = at(seconds).timestamp() / STEP_SECONDS;
            assert_eq!(code_of(SECRET, step, 8), code);
            // The six digits of an app are the last six of the eight.
            assert_eq!(step_of(SECRET, &code[2..], at(seconds), 0), Some(step));
        }
    }

    #[test]
    fn a_code_holds_one_step_before_and_after_and_no_longer() {
        let now = at(1_234_567_890);
        let step = now.timestamp() / STEP_SECONDS;
        for (off, holds) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let found = step_of(SECRET, &code_of(SECRET, step + off, 6), now, 0);
            assert_eq!(found, holds.then_some(step + off), "{off}");
        }
    }

    #[test]
    fn a_step_that_was_used_and_all_before_it_are_spent() {
        let now = at(1_234_567_890);
        let step = now.timestamp() / STEP_SECONDS;
        let code = code_of(SECRET, step, 6);
        assert_eq!(step_of(SECRET, &code, now, step - 1), Some(step));
        assert_eq!(step_of(SECRET, &code, now, step), None);
        assert_eq!(step_of(SECRET, &code, now, step + 1), None);
    }

    #[test]
    fn only_six_digits_are_a_code_and_spaces_do_not_matter() {
        let now = at(1_111_111_109);
        assert!(step_of(SECRET, "081 804", now, 0).is_some());
        for wrong in ["", "81804", "0081804", "081805", "０８１８０４"] {
            assert_eq!(step_of(SECRET, wrong, now, 0), None, "{wrong}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_4648_are_spelled_alike() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_uri_names_issuer_and_account_and_escapes_both() {
        assert_eq!(
            uri(SECRET, "Nexus COS", "a:b@c.example"),
            "otpauth://totp/Nexus%20COS:a%3Ab%40c%2Eexample?secret=\
             GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Nexus%20COS&algorithm=SHA1&digits=6&period=30"
        );
    }
}
