//! Boxes of ISO 14496-12 in bytes: a length, four letters, a body.

use super::Malformed;

const HEAD: usize = 8;

#[derive(Debug, Clone, Copy)]
pub struct Atom<'a> {
    pub name: [u8; 4],
    pub body: &'a [u8],
    /// With its head.
    pub whole: &'a [u8],
}

/// The boxes that stand one after another and fill `bytes`.
///
/// # Errors
/// One that ends outside, or of 4 GiB and more, which no fragment needs.
pub fn boxes(mut bytes: &[u8]) -> Result<Vec<Atom<'_>>, Malformed> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let mut numbers = Numbers(bytes);
        let size = numbers.u32()? as usize;
        let name = numbers.u32()?.to_be_bytes();
        let whole = bytes.get(..size).filter(|_| size >= HEAD);
        let whole = whole.ok_or(Malformed("a box ends outside of what holds it"))?;
        found.push(Atom { name, body: &whole[HEAD..], whole });
        bytes = &bytes[size..];
    }
    Ok(found)
}

/// The only box of a name.
pub fn one<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Result<Atom<'a>, Malformed> {
    let mut named = boxes(bytes)?.into_iter().filter(|it| it.name == *name);
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (None, _) => Err(Malformed("a box is missing")),
        (Some(_), Some(_)) => Err(Malformed("a box is there twice")),
    }
}

/// The body of the only box at the end of a path.
pub fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Result<&'a [u8], Malformed> {
    path.iter().try_fold(bytes, |at, name| one(at, name).map(|found| found.body))
}

/// Reads big-endian numbers one after another.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a>(pub &'a [u8]);

impl<'a> Numbers<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or(Malformed("a box ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|it| it[0])
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.take(2).map(|it| u16::from_be_bytes([it[0], it[1]]))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.take(4).map(|it| u32::from_be_bytes([it[0], it[1], it[2], it[3]]))
    }

    /// A number that is there only when a flag says so.
    pub fn if_flag(&mut self, flags: u32, flag: u32) -> Result<Option<u32>, Malformed> {
        if flags & flag == 0 { Ok(None) } else { self.u32().map(Some) }
    }
}

/// A box with a version and flags.
pub fn full(name: &[u8; 4], version_and_flags: u32, body: &[u8]) -> Vec<u8> {
    plain(name, &[&version_and_flags.to_be_bytes(), body])
}

pub fn plain(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let size = HEAD + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(name);
    parts.iter().for_each(|part| bytes.extend(*part));
    bytes
}

#[test]
fn a_box_that_ends_outside_is_none() {
    let good = [plain(b"free", &[b"abc"]), full(b"mfhd", 1, b"")].concat();
    let names: Vec<_> = boxes(&good).unwrap().iter().map(|it| it.name).collect();
    assert_eq!(names, [*b"free", *b"mfhd"]);
    assert_eq!(find(&good, &[b"free"]), Ok(&b"abc"[..]));
    for broken in [&good[..good.len() - 1], b"\0\0\0\x07free", b"\0\0\0\x01moov", b"\0\0"] {
        assert!(boxes(broken).is_err(), "{broken:?}");
    }
    assert_eq!(one(&good.repeat(2), b"free").unwrap_err(), Malformed("a box is there twice"));
}
