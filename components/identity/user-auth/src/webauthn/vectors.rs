//! The relying party held to the test vectors of WebAuthn Level 3, §16 (W3C, editor's draft of July
//! 2026; `w3c-vectors.json` is generated from its text), and to what a hostile device could say.

use super::software::{self, Authenticator};
use super::*;
use serde_json::Value;

const ORIGIN: &str = "https://example.org";

pub fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn expected(challenge: &[u8]) -> Expected<'_> {
    Expected { challenge, origin: ORIGIN, rp_id: "example.org", user_verification: false }
}

struct Vector {
    registration: Value,
    authentication: Value,
}

impl Vector {
    fn of(name: &str) -> Vector {
        let all: Value = serde_json::from_str(include_str!("w3c-vectors.json")).unwrap();
        let one = &all[name];
        let (registration, authentication) =
            (one["registration"].clone(), one["authentication"].clone());
        Vector { registration, authentication }
    }

    fn registration_answer(&self) -> RegistrationAnswer {
        let field = |name: &str| Base64Url(bytes(self.registration[name].as_str().unwrap()));
        RegistrationAnswer {
            raw_id: field("credential_id"),
            r#type: "public-key".into(),
            response: Attested {
                client_data: field("clientDataJSON"),
                attestation_object: field("attestationObject"),
                transports: vec![],
            },
        }
    }

    fn login_answer(&self) -> LoginAnswer {
        let field = |name: &str| Base64Url(bytes(self.authentication[name].as_str().unwrap()));
        LoginAnswer {
            raw_id: Base64Url(bytes(self.registration["credential_id"].as_str().unwrap())),
            r#type: "public-key".into(),
            response: Asserted {
                client_data: field("clientDataJSON"),
                authenticator_data: field("authenticatorData"),
                signature: field("signature"),
                user_handle: None,
            },
        }
    }

    fn challenges(&self) -> (Vec<u8>, Vec<u8>) {
        let of = |part: &Value| bytes(part["challenge"].as_str().unwrap());
        (of(&self.registration), of(&self.authentication))
    }

    fn register(&self) -> Result<NewCredential, Flaw> {
        register(&expected(&self.challenges().0), &self.registration_answer())
    }
}

#[test]
fn the_vectors_of_the_formats_and_algorithms_we_take_verify() {
    for name in [
        "none-es256",
        "packed-self-es256",
        "none-es256-long-credential-id",
        "packed-es256",
        "packed-rs256",
        "packed-eddsa",
    ] {
        let vector = Vector::of(name);
        let made = vector.register().unwrap_or_else(|flaw| panic!("{name}: {flaw:?}"));
        let known = Known {
            public_key: &made.public_key,
            sign_count: made.sign_count,
            backup_eligible: made.backup_eligible,
        };
        let challenge = vector.challenges().1;
        let proof = assert(&expected(&challenge), &known, &vector.login_answer());
        let proof = proof.unwrap_or_else(|flaw| panic!("{name}: {flaw:?}"));
        // The vectors' authenticators do not count.
        assert!(!proof.suspect && proof.sign_count == 0, "{name}");
    }
}

#[test]
fn the_vectors_of_what_we_do_not_take_are_refused_and_say_why() {
    for (name, flaw) in [
        ("none-es256-crossOrigin", Flaw::Origin),
        ("none-es256-topOrigin", Flaw::Origin),
        ("packed-es384", Flaw::Algorithm),
        ("packed-es512", Flaw::Algorithm),
        ("packed-ed448", Flaw::Algorithm),
        ("tpm-es256", Flaw::Attestation),
        ("android-key-es256", Flaw::Attestation),
        ("apple-es256", Flaw::Attestation),
        ("fido-u2f-es256", Flaw::Attestation),
    ] {
        assert_eq!(Vector::of(name).register(), Err(flaw), "{name}");
    }
}

#[test]
fn any_bit_turned_in_a_vector_is_noticed() {
    for name in ["packed-self-es256", "packed-rs256", "packed-eddsa"] {
        let vector = Vector::of(name);
        let made = vector.register().unwrap();
        let known = Known {
            public_key: &made.public_key,
            sign_count: 0,
            backup_eligible: made.backup_eligible,
        };
        let challenge = vector.challenges().1;
        let expected = expected(&challenge);
        let lengths = vector.login_answer().response;
        for at in 0..lengths.authenticator_data.0.len() {
            let mut answer = vector.login_answer();
            answer.response.authenticator_data.0[at] ^= 1;
            assert!(assert(&expected, &known, &answer).is_err(), "{name}: says {at}");
        }
        // Every eighth byte of the long ones: RSA in a test profile takes its time.
        for at in (0..lengths.signature.0.len()).step_by(8) {
            let mut answer = vector.login_answer();
            answer.response.signature.0[at] ^= 1;
            assert!(assert(&expected, &known, &answer).is_err(), "{name}: signature {at}");
        }
        for at in (0..lengths.client_data.0.len()).step_by(8) {
            let mut answer = vector.login_answer();
            answer.response.client_data.0[at] ^= 1;
            assert!(assert(&expected, &known, &answer).is_err(), "{name}: client data {at}");
        }
    }
}

#[test]
fn a_self_attestation_that_is_wrong_is_refused_and_so_is_a_statement_where_none_belongs() {
    let vector = Vector::of("packed-self-es256");
    let mut answer = vector.registration_answer();
    let object = &mut answer.response.attestation_object.0;
    let sig = object.windows(3).position(|window| window == b"sig").unwrap();
    // Past the key, the head of the byte string and the DER head: into r.
    object[sig + 10] ^= 1;
    let challenge = vector.challenges().0;
    assert_eq!(register(&expected(&challenge), &answer), Err(Flaw::Attestation));
    let vector = Vector::of("none-es256");
    let mut answer = vector.registration_answer();
    let object = &mut answer.response.attestation_object.0;
    let empty = object.windows(8).position(|window| window == b"attStmt\xa0").unwrap() + 7;
    object.splice(empty..=empty, [0xa1, 0x61, b'a', 0x01]);
    let challenge = vector.challenges().0;
    assert_eq!(register(&expected(&challenge), &answer), Err(Flaw::Attestation));
}

fn options(challenge: &[u8]) -> Value {
    json!({
        "challenge": URL_SAFE_NO_PAD.encode(challenge), "rpId": "example.org",
        "user": { "id": URL_SAFE_NO_PAD.encode([7; 16]) },
    })
}

fn device() -> Authenticator {
    Authenticator::new([7; 32], ORIGIN, "example.org")
}

fn registered(device: &mut Authenticator) -> Result<NewCredential, Flaw> {
    let answer = serde_json::from_value(device.create(&options(&[1; 32]))).unwrap();
    register(&expected(&[1; 32]), &answer)
}

fn asserted(device: &mut Authenticator, known: &Known<'_>, strict: bool) -> Result<Proof, Flaw> {
    let answer = serde_json::from_value(device.get(&options(&[2; 32]))).unwrap();
    let expected = Expected { user_verification: strict, ..expected(&[2; 32]) };
    assert(&expected, known, &answer)
}

#[test]
fn who_asked_whom_and_for_what_must_be_as_it_was() {
    let answer = |device: &mut Authenticator, challenge| {
        let answer = serde_json::from_value(device.create(&options(challenge))).unwrap();
        register(&expected(&[1; 32]), &answer)
    };
    assert!(answer(&mut device(), &[1; 32]).is_ok());
    assert_eq!(answer(&mut device(), &[3; 32]), Err(Flaw::Challenge));
    assert_eq!(answer(&mut device(), &[]), Err(Flaw::Challenge));
    for origin in ["https://example.org:8443", "http://example.org", "https://example.org.evil"] {
        let mut there = Authenticator::new([7; 32], origin, "example.org");
        assert_eq!(answer(&mut there, &[1; 32]), Err(Flaw::Origin), "{origin}");
    }
    let mut elsewhere = Authenticator::new([7; 32], ORIGIN, "evil.example");
    assert_eq!(answer(&mut elsewhere, &[1; 32]), Err(Flaw::Party));
    // An assertion is no registration, and the id outside must be the one inside.
    let mut both = device();
    let mut mixed = both.create(&options(&[1; 32]));
    mixed["response"]["clientDataJSON"] =
        both.get(&options(&[1; 32]))["response"]["clientDataJSON"].clone();
    let mixed = serde_json::from_value(mixed).unwrap();
    assert_eq!(register(&expected(&[1; 32]), &mixed), Err(Flaw::Kind));
    let mut renamed: RegistrationAnswer =
        serde_json::from_value(both.create(&options(&[1; 32]))).unwrap();
    renamed.raw_id.0[0] ^= 1;
    assert_eq!(register(&expected(&[1; 32]), &renamed), Err(Flaw::Credential));
}

#[test]
fn presence_is_always_needed_and_verification_where_it_was_asked_for() {
    let mut device = device();
    let made = registered(&mut device).unwrap();
    let known = Known { public_key: &made.public_key, sign_count: 1, backup_eligible: false };
    assert!(asserted(&mut device, &known, true).unwrap().user_verified);
    device.flags = software::PRESENT;
    assert!(!asserted(&mut device, &known, false).unwrap().user_verified);
    assert_eq!(asserted(&mut device, &known, true), Err(Flaw::UserUnverified));
    device.flags = software::VERIFIED;
    assert_eq!(asserted(&mut device, &known, false), Err(Flaw::UserAbsent));
}

#[test]
fn a_counter_that_does_not_go_up_is_suspect() {
    let mut device = device();
    let made = registered(&mut device).unwrap();
    let known =
        |sign_count| Known { public_key: &made.public_key, sign_count, backup_eligible: false };
    assert!(!asserted(&mut device, &known(1), false).unwrap().suspect);
    let again = device.sign_count + 1;
    assert!(asserted(&mut device, &known(again), false).unwrap().suspect);
    device.sign_count = 3;
    assert!(asserted(&mut device, &known(9), false).unwrap().suspect);
}

#[test]
fn what_cannot_be_copied_does_not_become_what_can() {
    let mut device = device();
    let made = registered(&mut device).unwrap();
    assert!(!made.backup_eligible);
    let known = Known { public_key: &made.public_key, sign_count: 0, backup_eligible: false };
    device.flags |= software::BACKUP_ELIGIBLE;
    assert_eq!(asserted(&mut device, &known, false), Err(Flaw::Backup));
    device.flags = software::PRESENT | software::BACKED_UP;
    assert_eq!(asserted(&mut device, &known, false), Err(Flaw::Backup));
    let mut synced = Authenticator::new([9; 32], ORIGIN, "example.org");
    synced.flags |= software::BACKUP_ELIGIBLE | software::BACKED_UP;
    let made = registered(&mut synced).unwrap();
    assert!(made.backup_eligible && made.backed_up);
}

#[test]
fn a_key_verifies_only_its_own_signatures() {
    let mut device = device();
    let mut other = Authenticator::new([8; 32], ORIGIN, "example.org");
    registered(&mut device).unwrap();
    let made = registered(&mut other).unwrap();
    let known = Known { public_key: &made.public_key, sign_count: 0, backup_eligible: false };
    assert_eq!(asserted(&mut device, &known, false), Err(Flaw::Signature));
}
