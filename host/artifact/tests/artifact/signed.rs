//! What signatures are worth, and where they travel.

use crate::catalog;
use nexus_artifact::{Artifact, KeyRing, Policy, Signature, SigningKey, State};

#[test]
fn each_verdict_is_given_for_its_reason() {
    let (ours, theirs) = (SigningKey::generate(), SigningKey::generate());
    let ring = KeyRing::new(Policy::Required, [ours.public()]);
    let plain = catalog("one");
    let with = |signatures: &[Signature]| {
        let mut artifact = plain.clone();
        signatures.iter().for_each(|it| assert!(artifact.attach(it.clone())));
        Artifact::read_archive(&artifact.archive()).unwrap()
    };
    let good = ours.sign(plain.manifest());
    let strange = theirs.sign(plain.manifest());
    // What was signed is another artifact.
    let false_one = ours.sign(catalog("two").manifest());
    for (signatures, state) in [
        (vec![], State::Unsigned),
        (vec![strange.clone()], State::Untrusted),
        (vec![false_one.clone()], State::Invalid),
        (vec![false_one.clone(), strange.clone()], State::Invalid),
        (vec![good.clone()], State::Valid),
        (vec![strange, false_one, good], State::Valid),
    ] {
        let verdict = ring.judge(&with(&signatures));
        assert_eq!(verdict.state, state, "{signatures:?}");
        assert_eq!(verdict.key_id.is_none(), state == State::Unsigned);
        assert_eq!(ring.admit(&verdict).is_ok(), state == State::Valid);
    }
    let json = serde_json::to_value(ring.judge(&plain)).unwrap();
    assert_eq!(json, serde_json::json!({ "state": "unsigned", "key_id": null }));
}

#[test]
fn a_policy_that_only_warns_lets_in_and_says_so() {
    let verdict = |ring: &KeyRing| ring.judge(&catalog("one"));
    let warns = KeyRing::new(Policy::Warn, []);
    assert!(warns.admit(&verdict(&warns)).is_ok());
    assert_eq!(warns.warning(&verdict(&warns)).unwrap(), "the artifact is not signed");
    let off = KeyRing::new(Policy::Off, []);
    assert!(off.admit(&verdict(&off)).is_ok() && off.warning(&verdict(&off)).is_none());
    let refused = KeyRing::read(Policy::Required, None).unwrap_err().to_string();
    assert!(refused.contains("no key to check them with"), "{refused}");
}
