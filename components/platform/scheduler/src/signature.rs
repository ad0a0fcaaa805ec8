//! Standard Webhooks: the three headers by which a receiver knows that a callback is ours, recent,
//! and which one it is. Pure; knows keys only as bytes.
//! Source: the Standard Webhooks specification, version 1.0.0, symmetric signatures (`v1`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use nexus_sdk::prelude::*;
use sha2::Sha256;

/// What the specification asks of a key: 24 to 64 bytes.
pub const KEY_BYTES: usize = 32;

/// A key as it is shown, once: `whsec_` and its base64.
pub fn spelled(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

/// The value of `webhook-signature`: one signature for each active key, newest first.
pub fn sign(keys: &[Vec<u8>], id: &str, sent_at: Time, body: &[u8]) -> String {
    let one = |key: &Vec<u8>| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{}.", sent_at.timestamp()).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    let signatures: Vec<String> = keys.iter().map(one).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn sent_at() -> Time {
        "2021-02-25T15:02:10Z".parse().unwrap()
    }

    #[test]
    fn the_vector_of_the_specification_is_signed_as_published() {
        assert_eq!(sent_at().timestamp(), 1_614_265_330);
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            sign(std::slice::from_ref(&key), ID, sent_at(), BODY),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(spelled(&key), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn while_keys_are_exchanged_both_sign() {
        let keys = [vec![1; KEY_BYTES], vec![2; KEY_BYTES]];
        let both = sign(&keys, ID, sent_at(), BODY);
        let (new, old) = both.split_once(' ').unwrap();
        assert_eq!(new, sign(&keys[..1], ID, sent_at(), BODY));
        assert_eq!(old, sign(&keys[1..], ID, sent_at(), BODY));
        assert_ne!(new, old);
    }

    #[test]
    fn id_instant_and_body_all_count() {
        let keys = [vec![1; KEY_BYTES]];
        let one = sign(&keys, ID, sent_at(), BODY);
        assert_ne!(one, sign(&keys, "msg_other", sent_at(), BODY));
        assert_ne!(one, sign(&keys, ID, sent_at() + seconds(1), BODY));
        assert_ne!(one, sign(&keys, ID, sent_at(), b"{}"));
    }
}
