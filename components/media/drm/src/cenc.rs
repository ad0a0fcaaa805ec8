//! Common encryption of CMAF tracks, ISO/IEC 23001-7, scheme `cbcs`: a tenth of the bytes of
//! pictures, and whole frames of sound, by AES-128 in CBC. Functions of their arguments: no clock,
//! no store, no randomness. Refuses to know whose key it is.

mod avc;
mod bits;
mod boxes;
mod cipher;
mod init;
mod segment;

#[cfg(test)]
mod films;

pub use cipher::Cipher;
pub use init::{Head, Mark};
pub use segment::{Protected, protect};

/// Of AES-128: keys, key ids, initialization vectors.
pub const BLOCK: usize = 16;

/// What a track says that cannot be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}
