//! Boxes in bytes: a length, four letters, a body.

use super::Mp4Error;

#[derive(Debug, Clone, Copy)]
pub(super) struct Atom<'a> {
    pub(super) name: [u8; 4],
    pub(super) body: &'a [u8],
}

/// The boxes that stand one after another in `bytes`; ends at what is none.
pub(super) fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = Atom<'_>> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(*bytes.first_chunk()?);
        let name = *bytes.get(4..)?.first_chunk()?;
        let size = usize::try_from(size).ok().filter(|size| *size >= 8)?;
        let whole = bytes.get(..size)?;
        bytes = &bytes[size..];
        Some(Atom { name, body: &whole[8..] })
    })
}

/// The first box at the end of a path.
pub(super) fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Result<&'a [u8], Mp4Error> {
    let mut at = bytes;
    for name in path {
        let found = boxes(at).find(|it| it.name == **name);
        at = found.ok_or(Mp4Error::Shape("a box is missing"))?.body;
    }
    Ok(at)
}

/// Reads big-endian numbers one after another.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl Numbers<'_> {
    pub(super) fn u32(&mut self) -> Result<u32, Mp4Error> {
        let (first, rest) =
            self.0.split_first_chunk().ok_or(Mp4Error::Shape("a box ends too early"))?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*first))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Mp4Error> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    /// A number that is there only when a flag says so.
    pub(super) fn if_flag(&mut self, flags: u32, flag: u32) -> Result<Option<u32>, Mp4Error> {
        if flags & flag == 0 { Ok(None) } else { self.u32().map(Some) }
    }
}

/// A box with a version and flags.
pub(super) fn full_box(name: &[u8; 4], version_and_flags: u32, body: &[u8]) -> Vec<u8> {
    plain_box(name, &[&version_and_flags.to_be_bytes(), body])
}

pub(super) fn plain_box(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let size = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(name);
    parts.iter().for_each(|part| bytes.extend(*part));
    bytes
}
