//! Digests that are made while bytes pass: of a whole upload, across requests and hosts, and of one
//! chunk, as tus' checksum extension asks. Pure.
//!
//! The state of the whole's SHA-256 is kept beside the offset, because hashing at the end would
//! read every byte again before anybody may use the file: for a film, minutes.

use crate::domain::ChecksumMalformed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_sdk::prelude::*;
use sha2_resumable::digest::common::hazmat::{SerializableState, SerializedState};
use sha2_resumable::{Digest as _, Sha256};

/// The digest of everything so far.
#[derive(Clone, Default)]
pub struct Running(Sha256);

impl Running {
    /// Goes on where `state` ended.
    pub fn resume(state: Option<&[u8]>) -> Result<Running, Failure> {
        let Some(state) = state else {
            return Ok(Running::default());
        };
        let odd = || Failure::msg("resume a digest: the state kept is none");
        let state = SerializedState::<Sha256>::try_from(state).map_err(|_| odd())?;
        Ok(Running(Sha256::deserialize(&state).map_err(|_| odd())?))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// What [`Running::resume`] takes.
    pub fn state(&self) -> Vec<u8> {
        self.0.serialize().to_vec()
    }

    /// 64 lower-case hexadecimal digits.
    pub fn digest(&self) -> String {
        hexadecimal(&self.0.clone().finalize())
    }
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The algorithms of [`Checksum`], as `tus-checksum-algorithm` names them.
pub const ALGORITHMS: &str = "sha1,sha256,crc32c";

/// What one chunk must hash to, and its digest so far.
pub struct Checksum {
    expected: Vec<u8>,
    running: Algorithm,
}

enum Algorithm {
    Sha1(sha1::Sha1),
    Sha256(Sha256),
    /// Told as four bytes, the highest first.
    Crc32c(u32),
}

impl Checksum {
    /// The value of `upload-checksum`.
    pub fn parse(field: &str) -> Result<Checksum, Refusal> {
        let (name, digest) = field.trim().split_once(' ').ok_or(ChecksumMalformed)?;
        let expected = STANDARD.decode(digest.trim()).map_err(|_| ChecksumMalformed)?;
        let (running, length) = match name {
            "sha1" => (Algorithm::Sha1(sha1::Digest::new()), 20),
            "sha256" => (Algorithm::Sha256(Sha256::new()), 32),
            "crc32c" => (Algorithm::Crc32c(!0), 4),
            _ => {
                let known = format!("the algorithms here are {ALGORITHMS}");
                return Err(ChecksumMalformed.because(known));
            }
        };
        if expected.len() != length {
            return Err(ChecksumMalformed);
        }
        Ok(Checksum { expected, running })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.running {
            Algorithm::Sha1(hash) => sha1::Digest::update(hash, bytes),
            Algorithm::Sha256(hash) => hash.update(bytes),
            Algorithm::Crc32c(sum) => *sum = crc32c(*sum, bytes),
        }
    }

    /// Whether the chunk is the one that was meant.
    pub fn holds(self) -> bool {
        let found = match self.running {
            Algorithm::Sha1(hash) => sha1::Digest::finalize(hash).to_vec(),
            Algorithm::Sha256(hash) => hash.finalize().to_vec(),
            Algorithm::Crc32c(sum) => (!sum).to_be_bytes().to_vec(),
        };
        found == self.expected
    }
}

/// Of the reflected Castagnoli polynomial (RFC 3720 appendix B.4), one byte at a time.
const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut value, mut bit) = (at as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| CRC32C[(sum as u8 ^ byte) as usize] ^ sum >> 8;
    bytes.iter().fold(sum, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(field: &str, bytes: &[u8]) -> bool {
        let mut checksum = Checksum::parse(field).unwrap();
        bytes.chunks(3).for_each(|chunk| checksum.update(chunk));
        checksum.holds()
    }

    #[test]
    fn each_algorithm_knows_its_test_vector() {
        for field in [
            "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            "sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        ] {
            assert!(holds(field, b"abc"), "{field}");
            assert!(!holds(field, b"abd"), "{field}");
        }
        // RFC 3720 appendix B.4: 32 bytes of zeros, 0x8a9136aa.
        assert!(holds("crc32c ipE2qg==", &[0; 32]));
        assert!(!holds("crc32c ipE2qg==", &[0; 31]));
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        for odd in ["", "sha1", "sha1 !", "md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha1 YWJj"] {
            assert!(Checksum::parse(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_state_that_is_none_is_no_digest() {
        assert!(Running::resume(Some(&[1, 2, 3])).is_err());
    }

    proptest! {
        #[test]
        fn a_digest_is_the_same_however_often_it_was_put_down(
            pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6),
        ) {
            let mut put_down = Running::default();
            for piece in &pieces {
                put_down.update(piece);
                put_down = Running::resume(Some(&put_down.state())).unwrap();
            }
            prop_assert_eq!(put_down.digest(), hexadecimal(&Sha256::digest(pieces.concat())));
        }
    }
}
