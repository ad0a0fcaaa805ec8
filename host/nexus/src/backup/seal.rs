//! Sealed streams: bytes in, pieces out that nobody can change, move, leave out or cut off
//! unnoticed. The construction is described in [`super`]. Knows no file.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use std::io::{self, Read, Write};

/// Bytes of a piece before it is sealed.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// What sealing adds to each piece.
const TAG_BYTES: usize = 16;

/// Seals what is written, piece by piece.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    beside: Vec<u8>,
    pieces: u64,
    waiting: Vec<u8>,
    /// Bytes written so far.
    pub(super) stored: u64,
}

impl Sealer {
    /// `beside` is authenticated and not stored.
    pub(super) fn new(key: &[u8; 32], beside: &[u8]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            beside: beside.to_owned(),
            pieces: 0,
            waiting: Vec::with_capacity(PIECE_BYTES),
            stored: 0,
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        while !bytes.is_empty() {
            // A full piece waits for more: only then is it known not to be the last.
            if self.waiting.len() == PIECE_BYTES {
                self.seal(false, out)?;
            }
            let room = PIECE_BYTES - self.waiting.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Seals the last piece, which may be empty.
    pub(super) fn finish(mut self, out: &mut impl Write) -> io::Result<u64> {
        self.seal(true, out)?;
        Ok(self.stored)
    }

    fn seal(&mut self, last: bool, out: &mut impl Write) -> io::Result<()> {
        let payload = Payload { msg: &self.waiting, aad: &self.beside };
        let sealed = self.cipher.encrypt(&nonce(self.pieces, last), payload);
        let sealed = sealed.map_err(|_| io::Error::other("a piece could not be sealed"))?;
        out.write_all(&sealed)?;
        self.pieces += 1;
        self.stored += sealed.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// Why a stream does not open.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    /// A piece is not what was sealed, or not where it was.
    Piece,
}

/// Opens a sealed stream, piece by piece.
pub(super) struct Opener<R> {
    cipher: XChaCha20Poly1305,
    beside: Vec<u8>,
    pieces: u64,
    left: u64,
    done: bool,
    from: R,
}

impl<R: Read> Opener<R> {
    /// Of the next `stored` bytes of `from`.
    pub(super) fn new(key: &[u8; 32], beside: &[u8], stored: u64, from: R) -> Self {
        let cipher = XChaCha20Poly1305::new(key.into());
        Self { cipher, beside: beside.to_owned(), pieces: 0, left: stored, done: false, from }
    }

    /// The next piece; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        if self.done {
            return Ok(None);
        }
        let take = self.left.min((PIECE_BYTES + TAG_BYTES) as u64);
        let mut sealed = vec![0; usize::try_from(take).expect("a piece is small")];
        self.from.read_exact(&mut sealed).map_err(Broken::Io)?;
        self.left -= take;
        self.done = self.left == 0;
        let payload = Payload { msg: &sealed, aad: &self.beside };
        let opened = self.cipher.decrypt(&nonce(self.pieces, self.done), payload);
        self.pieces += 1;
        opened.map(Some).map_err(|_| Broken::Piece)
    }
}

fn nonce(piece: u64, last: bool) -> XNonce {
    let mut nonce = [0; 24];
    nonce[15] = u8::from(last);
    nonce[16..].copy_from_slice(&piece.to_be_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let (mut sealer, mut out) = (Sealer::new(&KEY, b"beside"), Vec::new());
        // Odd sizes, so that pieces are not what was written at once.
        for chunk in plain.chunks(1_000) {
            sealer.write(chunk, &mut out).unwrap();
        }
        assert_eq!(sealer.finish(&mut out).unwrap(), out.len() as u64);
        out
    }

    fn opened(sealed: &[u8], beside: &[u8]) -> Option<Vec<u8>> {
        let mut opener = Opener::new(&KEY, beside, sealed.len() as u64, sealed);
        let mut plain = Vec::new();
        loop {
            match opener.next() {
                Ok(Some(piece)) => plain.extend(piece),
                Ok(None) => return Some(plain),
                Err(_) => return None,
            }
        }
    }

    #[test]
    fn what_is_opened_is_what_was_sealed_at_every_length_around_a_piece() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            assert_eq!(opened(&sealed(&plain), b"beside"), Some(plain), "{length}");
        }
    }

    #[test]
    fn nothing_can_be_changed_moved_or_cut_off() {
        let plain = vec![5; 3 * PIECE_BYTES];
        let whole = sealed(&plain);
        let piece = PIECE_BYTES + TAG_BYTES;
        for at in [0, piece - 1, piece, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(opened(&changed, b"beside"), None, "byte {at}");
        }
        let swapped = [&whole[piece..2 * piece], &whole[..piece], &whole[2 * piece..]].concat();
        assert_eq!(opened(&swapped, b"beside"), None);
        for end in [0, 1, piece, 2 * piece, whole.len() - 1] {
            assert_eq!(opened(&whole[..end], b"beside"), None, "cut at {end}");
        }
        assert_eq!(opened(&whole, b"beyond"), None);
    }
}
