//! Authenticator data (§6.1): the bytes that an authenticator signs. Pure.

use super::cbor;

const RP_ID_HASH_BYTES: usize = 32;
const AAGUID_BYTES: usize = 16;

mod flags {
    pub const USER_PRESENT: u8 = 1;
    pub const USER_VERIFIED: u8 = 1 << 2;
    pub const BACKUP_ELIGIBLE: u8 = 1 << 3;
    pub const BACKED_UP: u8 = 1 << 4;
    pub const ATTESTED: u8 = 1 << 6;
    pub const EXTENSIONS: u8 = 1 << 7;
}

/// What an authenticator says of itself and of what just happened.
#[derive(Debug)]
pub struct AuthenticatorSays {
    pub rp_id_hash: [u8; RP_ID_HASH_BYTES],
    pub user_present: bool,
    pub user_verified: bool,
    pub backup_eligible: bool,
    pub backed_up: bool,
    pub sign_count: u32,
    pub attested: Option<AttestedCredential>,
}

/// A credential that was just made (§6.5.1).
#[derive(Debug)]
pub struct AttestedCredential {
    pub aaguid: [u8; AAGUID_BYTES],
    pub credential_id: Vec<u8>,
    /// COSE_Key, as it came.
    pub public_key: Vec<u8>,
}

impl AuthenticatorSays {
    /// None when it is not exactly what the flags announce.
    pub fn read(bytes: &[u8]) -> Option<AuthenticatorSays> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<RP_ID_HASH_BYTES>()?;
        let (&[flags], rest) = rest.split_first_chunk::<1>()?;
        let (sign_count, mut rest) = rest.split_first_chunk::<4>()?;
        let is_set = |flag: u8| flags & flag != 0;
        let mut attested = None;
        if is_set(flags::ATTESTED) {
            let (credential, after) = AttestedCredential::read(rest)?;
            (attested, rest) = (Some(credential), after);
        }
        if is_set(flags::EXTENSIONS) {
            rest = cbor::first(rest)?.1;
        }
        rest.is_empty().then_some(AuthenticatorSays {
            rp_id_hash: *rp_id_hash,
            user_present: is_set(flags::USER_PRESENT),
            user_verified: is_set(flags::USER_VERIFIED),
            backup_eligible: is_set(flags::BACKUP_ELIGIBLE),
            backed_up: is_set(flags::BACKED_UP),
            sign_count: u32::from_be_bytes(*sign_count),
            attested,
        })
    }
}

impl AttestedCredential {
    fn read(bytes: &[u8]) -> Option<(AttestedCredential, &[u8])> {
        let (aaguid, rest) = bytes.split_first_chunk::<AAGUID_BYTES>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (id, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (_, after) = cbor::first(rest)?;
        let key = &rest[..rest.len() - after.len()];
        let (credential_id, public_key) = (id.to_vec(), key.to_vec());
        Some((AttestedCredential { aaguid: *aaguid, credential_id, public_key }, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_flags_announce_must_be_there_and_nothing_else() {
        let plain = |flags: u8, tail: &[u8]| {
            let mut bytes = vec![7; RP_ID_HASH_BYTES];
            bytes.push(flags);
            bytes.extend([0, 0, 1, 0]);
            bytes.extend(tail);
            AuthenticatorSays::read(&bytes)
        };
        let says = plain(flags::USER_PRESENT | flags::BACKUP_ELIGIBLE, &[]).unwrap();
        assert!(says.user_present && says.backup_eligible);
        assert!(!says.user_verified && !says.backed_up && says.attested.is_none());
        assert_eq!(says.sign_count, 256);
        assert!(plain(flags::USER_PRESENT, &[0xa0]).is_none());
        assert!(plain(flags::EXTENSIONS, &[0xa0]).is_some());
        assert!(plain(flags::EXTENSIONS, &[]).is_none());
        assert!(plain(flags::ATTESTED, &[0; 18]).is_none());
        let mut credential = vec![9; AAGUID_BYTES];
        credential.extend([0, 2, 0xca, 0xfe, 0xa1, 0x01, 0x02]);
        let attested = plain(flags::ATTESTED, &credential).unwrap().attested.unwrap();
        assert_eq!(attested.credential_id, [0xca, 0xfe]);
        assert_eq!(attested.public_key, [0xa1, 0x01, 0x02]);
        assert!(AuthenticatorSays::read(&[0; 36]).is_none());
    }
}
