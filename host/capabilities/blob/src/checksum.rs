//! CRC32C and SHA-256 of bytes as they pass, and whether they are the ones expected.
//! Knows no store. Sources: RFC 3720 appendix B.4 (CRC32C), FIPS 180-4 (SHA-256).

use crate::store::BlobError;
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use sha2::{Digest as _, Sha256};

/// What is known of the content of an object or a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksums {
    pub crc32c: Option<u32>,
    pub sha256: Option<[u8; 32]>,
}

impl Checksums {
    /// Compares what both sides know.
    ///
    /// # Errors
    ///
    /// [`BlobError::ChecksumMismatch`].
    pub fn agree(&self, other: &Self) -> Result<(), BlobError> {
        let differ = matches!((self.crc32c, other.crc32c), (Some(a), Some(b)) if a != b)
            || matches!((self.sha256, other.sha256), (Some(a), Some(b)) if a != b);
        if differ { Err(BlobError::ChecksumMismatch) } else { Ok(()) }
    }
}

/// Both checksums and the count of what has passed so far.
#[derive(Clone)]
pub struct Hasher {
    crc32c: crc_fast::Digest,
    sha256: Sha256,
    bytes: u64,
}

impl Default for Hasher {
    fn default() -> Self {
        let crc32c = crc_fast::Digest::new(Crc32Iscsi);
        Self { crc32c, sha256: Sha256::new(), bytes: 0 }
    }
}

impl Hasher {
    pub fn update(&mut self, chunk: &[u8]) {
        self.crc32c.update(chunk);
        self.sha256.update(chunk);
        self.bytes += chunk.len() as u64;
    }

    /// Bytes seen.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(self) -> Checksums {
        Checksums {
            crc32c: Some(narrow(self.crc32c.finalize())),
            sha256: Some(self.sha256.finalize().into()),
        }
    }
}

/// CRC32C alone, for reading: an order of magnitude cheaper.
pub(crate) struct Crc32c(crc_fast::Digest);

impl Default for Crc32c {
    fn default() -> Self {
        Self(crc_fast::Digest::new(Crc32Iscsi))
    }
}

impl Crc32c {
    pub(crate) fn update(&mut self, chunk: &[u8]) {
        self.0.update(chunk);
    }

    pub(crate) fn finish(&self) -> u32 {
        narrow(self.0.finalize())
    }

    pub(crate) fn of(bytes: &[u8]) -> u32 {
        narrow(crc_fast::checksum(Crc32Iscsi, bytes))
    }

    /// The CRC32C of two pieces put together, from theirs.
    pub(crate) fn join(first: u32, second: u32, second_bytes: u64) -> u32 {
        narrow(crc_fast::checksum_combine(Crc32Iscsi, first.into(), second.into(), second_bytes))
    }
}

fn narrow(crc: u64) -> u32 {
    u32::try_from(crc).expect("CRC32C has 32 bits")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// 64 lower-case hexadecimal digits.
pub(crate) fn sha256_from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok()?;
    let mut sha256 = [0; 32];
    for (byte, [high, low]) in sha256.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    rest.is_empty().then_some(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720 appendix B.4 and FIPS 180-4's example "abc".
    #[test]
    fn checksums_equal_the_published_examples() {
        let crc32c = |bytes: &[u8]| Crc32c::of(bytes);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hasher.finish().sha256, sha256_from_hex(sha256));
    }

    #[test]
    fn the_crc_of_joined_pieces_needs_no_second_reading() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i * 31 >> 3) as u8).collect();
        for cut in [0, 1, 4096, 65_537, 99_999, 100_000] {
            let (first, second) = bytes.split_at(cut);
            let joined = Crc32c::join(Crc32c::of(first), Crc32c::of(second), second.len() as u64);
            assert_eq!(joined, Crc32c::of(&bytes), "cut at {cut}");
        }
    }

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_a_sha256() {
        let good = "0f".repeat(32);
        assert_eq!(hex(&sha256_from_hex(&good).unwrap()), good);
        for bad in ["", "0F", &"0F".repeat(32), &"0f".repeat(31), &format!("{good}0"), "é"] {
            assert!(sha256_from_hex(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn checksums_disagree_only_about_what_both_know() {
        let crc = |crc32c| Checksums { crc32c: Some(crc32c), sha256: None };
        let sha = |byte| Checksums { crc32c: None, sha256: Some([byte; 32]) };
        assert!(crc(1).agree(&crc(1)).is_ok() && crc(1).agree(&sha(1)).is_ok());
        assert_eq!(crc(1).agree(&crc(2)), Err(BlobError::ChecksumMismatch));
        assert_eq!(sha(1).agree(&sha(2)), Err(BlobError::ChecksumMismatch));
    }
}
