//! Random bytes of the host (`wasi:random`), or of the machine in unit tests. Nothing else here
//! draws any, so that all cryptography below is a function of its arguments.

use zeroize::Zeroizing;

/// An array of random bytes, for nonces and the like.
pub fn array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Random bytes that are wiped once they are not needed.
pub fn secret(len: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; len]);
    fill(&mut bytes);
    bytes
}

pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the host and every machine that runs tests give random bytes");
}
