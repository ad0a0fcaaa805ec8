//! Shares of a person's key as text that people can keep: each says of which key it is and how many
//! are needed, and carries a check of its own, so that a slip of the pen is not taken for a key.

use crate::crypto::key_type::KeyType;
use crate::crypto::shamir::{self, Share};
use crate::crypto::text::{base64url, unbase64url};
use nexus_sdk::prelude::*;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

nexus_sdk::refusals! {
    ShareForm = 422, "this is no share of a key, or a part of it was changed";
    SharesDiffer = 422, "these are not different shares of one key, made at the same time";
    SharesTooFew = 422, "these are fewer shares than the key needs"
}

const PREFIX: &str = "nxshare1_";
/// Kind, threshold, point, 16 bytes of the key's id, 8 of the set's own mark.
const HEAD_BYTES: usize = 27;
const MARK_BYTES: usize = 8;
const CHECK_BYTES: usize = 4;
/// Tells a wrong secret from the right one: shares cannot be proven one by one.
const PROOF_BYTES: usize = 8;

pub struct Recovered {
    pub kind: KeyType,
    pub material: Zeroizing<Vec<u8>>,
}

/// Random bytes that `split` wants: the coefficients, and the mark of this set.
pub fn random_bytes(material: &[u8], threshold: u8) -> usize {
    (material.len() + PROOF_BYTES) * usize::from(threshold.saturating_sub(1)) + MARK_BYTES
}

/// The shares as text; nothing for kinds of keys whose secret is not 32 bytes.
pub fn split(
    id: Uuid,
    kind: KeyType,
    material: &[u8],
    shares: u8,
    threshold: u8,
    random: &[u8],
) -> Option<Vec<String>> {
    let (mark, random) = random.split_at_checked(MARK_BYTES)?;
    let proof = Sha256::digest(material);
    let secret = Zeroizing::new([material, &proof[..PROOF_BYTES]].concat());
    let kind = code_of(kind)?;
    let text = |share: &Share| {
        let head = [&[kind, threshold, share.x][..], id.as_bytes(), mark].concat();
        let bytes = [&head[..], &share.values].concat();
        let check = Sha256::digest(&bytes);
        format!("{PREFIX}{}", base64url(&[&bytes[..], &check[..CHECK_BYTES]].concat()))
    };
    Some(shamir::split(&secret, shares, threshold, random)?.iter().map(text).collect())
}

/// The key behind enough shares.
pub fn combine(texts: &[String]) -> Result<Recovered, Refusal> {
    let read: Option<Vec<_>> = texts.iter().map(|text| read(text)).collect();
    let read = read.ok_or(ShareForm.at("shares"))?;
    let (head, _) = read.first().ok_or(SharesTooFew.at("shares"))?;
    if read.iter().any(|(other, _)| other != head) {
        return Err(SharesDiffer.at("shares"));
    }
    let needed = usize::from(head.threshold);
    if read.len() < needed {
        return Err(SharesTooFew.at("shares"));
    }
    let shares: Vec<Share> = read.iter().take(needed).map(|(_, share)| share.clone()).collect();
    let secret = shamir::combine(&shares).ok_or(SharesDiffer.at("shares"))?;
    let (material, proof) = secret
        .split_at_checked(secret.len().saturating_sub(PROOF_BYTES))
        .ok_or(ShareForm.at("shares"))?;
    match Sha256::digest(material)[..PROOF_BYTES] == *proof {
        true => Ok(Recovered { kind: head.kind, material: Zeroizing::new(material.to_vec()) }),
        false => Err(SharesDiffer.at("shares")),
    }
}

/// What all shares of one set have in common.
#[derive(PartialEq, Eq)]
struct Head {
    kind: KeyType,
    threshold: u8,
    of: Vec<u8>,
}

fn read(text: &str) -> Option<(Head, Share)> {
    let bytes = unbase64url(text.trim().strip_prefix(PREFIX)?)?;
    let (bytes, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
    if Sha256::digest(bytes)[..CHECK_BYTES] != *check {
        return None;
    }
    let (head, values) = bytes.split_at_checked(HEAD_BYTES)?;
    let [kind, threshold, x, of @ ..] = head else { return None };
    let head = Head { kind: kind_of(*kind)?, threshold: *threshold, of: of.to_vec() };
    (values.len() > PROOF_BYTES).then(|| (head, Share { x: *x, values: values.to_vec() }))
}

fn code_of(kind: KeyType) -> Option<u8> {
    match kind {
        KeyType::Ed25519 => Some(1),
        KeyType::EcdsaP256 => Some(2),
        _ => None,
    }
}

fn kind_of(code: u8) -> Option<KeyType> {
    match code {
        1 => Some(KeyType::Ed25519),
        2 => Some(KeyType::EcdsaP256),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(seed: u8) -> Vec<String> {
        let material = [7; 32];
        let random: Vec<u8> =
            (0..random_bytes(&material, 3)).map(|at| (at as u8).wrapping_mul(31) ^ seed).collect();
        split(Uuid::from_u128(1), KeyType::Ed25519, &material, 5, 3, &random).unwrap()
    }

    fn refused(texts: &[String]) -> &'static str {
        combine(texts).err().unwrap().name
    }

    #[test]
    fn enough_shares_give_the_key_and_fewer_do_not() {
        let all = shares(1);
        for chosen in [[0, 1, 2], [4, 2, 0], [1, 3, 4]] {
            let texts: Vec<String> = chosen.iter().map(|at| all[*at].clone()).collect();
            let recovered = combine(&texts).unwrap();
            assert_eq!((recovered.kind, &recovered.material[..]), (KeyType::Ed25519, &[7; 32][..]));
        }
        assert!(combine(&all).is_ok());
        assert_eq!(refused(&all[..2]), "SharesTooFew");
        assert_eq!(refused(&[]), "SharesTooFew");
    }

    #[test]
    fn shares_of_two_sets_or_one_share_twice_are_noticed() {
        let (one, other) = (shares(1), shares(2));
        assert_eq!(refused(&[one[0].clone(), one[1].clone(), other[2].clone()]), "SharesDiffer");
        assert_eq!(refused(&[one[0].clone(), one[1].clone(), one[0].clone()]), "SharesDiffer");
    }

    #[test]
    fn a_slip_of_the_pen_is_noticed() {
        let mut all = shares(1);
        let slip = if all[0].ends_with('A') { "B" } else { "A" };
        let end = all[0].len() - 1;
        all[0].replace_range(end.., slip);
        assert_eq!(refused(&all), "ShareForm");
        assert_eq!(refused(&["nxshare1_".into()]), "ShareForm");
        assert_eq!(refused(&["hunter2".into()]), "ShareForm");
    }
}
