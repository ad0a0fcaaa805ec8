//! AES-128 as the scheme `cbcs` uses it: CBC, begun anew for each sample or subsample with the
//! track's constant vector, over one block of ten of pictures and over all blocks of sound. What is
//! left at an end and is no whole block stays clear.

use super::BLOCK;
use aes::Aes128;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt as _, KeyInit as _};

/// Blocks that are encrypted, and such that follow them and are not.
pub const PATTERN: (usize, usize) = (1, 9);

/// A key and a vector, ready for use.
pub struct Cipher {
    key: Aes128,
    vector: [u8; BLOCK],
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(…)")
    }
}

impl Cipher {
    pub fn new(key: &[u8; BLOCK], vector: [u8; BLOCK]) -> Self {
        Self { key: Aes128::new(GenericArray::from_slice(key)), vector }
    }

    /// One range of a picture: a block, then nine that stay as they are, and so on.
    pub fn pictures(&self, range: &mut [u8]) {
        let (encrypted, skipped) = PATTERN;
        self.chain(range, (encrypted + skipped) * BLOCK);
    }

    /// One frame of sound.
    pub fn sound(&self, frame: &mut [u8]) {
        self.chain(frame, BLOCK);
    }

    /// Encrypts the first block of every `stride` bytes, each chained to the one before.
    fn chain(&self, range: &mut [u8], stride: usize) {
        let mut last = self.vector;
        for piece in range.chunks_mut(stride) {
            let Some(block) = piece.first_chunk_mut::<BLOCK>() else { return };
            block.iter_mut().zip(last).for_each(|(byte, before)| *byte ^= before);
            self.key.encrypt_block(GenericArray::from_mut_slice(block));
            last = *block;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let digit = |at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(digit)
    }

    /// NIST SP 800-38A, F.2.1: CBC-AES128.Encrypt.
    const KEY: &str = "2b7e151628aed2a6abf7158809cf4f3c";
    const VECTOR: &str = "000102030405060708090a0b0c0d0e0f";
    const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    const ENCRYPTED: &str = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
                             73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7";

    #[test]
    fn sound_is_encrypted_as_nist_has_published_and_what_is_no_block_stays() {
        let cipher = Cipher::new(&bytes(KEY), bytes(VECTOR));
        let mut frame = [&bytes::<64>(PLAIN)[..], b"the end"].concat();
        cipher.sound(&mut frame);
        assert_eq!(frame, [&bytes::<64>(ENCRYPTED)[..], b"the end"].concat());
    }

    #[test]
    fn of_pictures_each_tenth_block_is_encrypted_in_the_same_chain() {
        let cipher = Cipher::new(&bytes(KEY), bytes(VECTOR));
        let mut range = [7; 333];
        let (plain, encrypted) = (bytes::<64>(PLAIN), bytes::<64>(ENCRYPTED));
        for at in 0..3 {
            let from = at * 10 * BLOCK;
            let count = BLOCK.min(range.len() - from);
            range[from..from + count].copy_from_slice(&plain[at * BLOCK..][..count]);
        }
        let mut expected = range;
        cipher.pictures(&mut range);
        expected[..16].copy_from_slice(&encrypted[..16]);
        expected[160..176].copy_from_slice(&encrypted[16..32]);
        // 13 bytes are left of the third: no block.
        assert_eq!(range, expected);
    }
}
