//! What a ciphertext is bound to, as additional data: parts that nobody can shift into one another.

/// Each part with its length before it, so that `["ab", "c"]` and `["a", "bc"]` differ.
pub fn bound(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    all
}

#[test]
fn parts_cannot_be_shifted_into_one_another() {
    assert_ne!(bound(&[b"ab", b"c"]), bound(&[b"a", b"bc"]));
    assert_ne!(bound(&[b"a"]), bound(&[b"a", b""]));
    assert_eq!(bound(&[b"a"]), [0, 0, 0, 0, 0, 0, 0, 1, b'a']);
}
