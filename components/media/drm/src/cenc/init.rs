//! Initialization segments: what a track says of itself, and the same with the word that it is
//! protected, by which key, and for whom.

use super::avc::Avc;
use super::boxes::{Atom, Numbers, boxes, find, full, one, plain};
use super::cipher::PATTERN;
use super::{BLOCK, Malformed};

/// Of the sample entries, before the boxes within: ISO 14496-12, 12.1.3 and 12.2.3.
const VIDEO_ENTRY_BYTES: usize = 78;
const AUDIO_ENTRY_BYTES: usize = 28;
/// Before the first sample entry of an `stsd`.
const STSD_HEAD_BYTES: usize = 8;
/// Major and minor version of the scheme.
const SCHEME_VERSION: u32 = 0x0001_0000;
/// Of licences that name keys by their ids and nothing else (W3C, "cenc" initialization data).
const COMMON_SYSTEM: [u8; BLOCK] = [
    0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02, 0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2, 0xfb, 0x4b,
];

/// What a track says that decides how its samples are read.
#[derive(Debug, Clone)]
pub struct Head {
    pub(super) codec: Codec,
    /// Of samples whose fragment names no size.
    pub(super) sample_bytes: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Codec {
    Avc(Avc),
    Sound,
}

/// What an initialization segment says of its protection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark<'a> {
    pub key_id: [u8; BLOCK],
    pub vector: [u8; BLOCK],
    /// Of all keys of the package, so that one licence can bring all of them.
    pub all_key_ids: &'a [[u8; BLOCK]],
}

impl Head {
    /// # Errors
    /// A track that is no H.264 and no AAC, or of more than one kind.
    pub fn read(init: &[u8]) -> Result<Head, Malformed> {
        let entry = entry(find(init, &[b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"])?)?;
        let codec = match &entry.name {
            b"avc1" | b"avc3" => {
                let within = entry.body.get(VIDEO_ENTRY_BYTES..).unwrap_or_default();
                Codec::Avc(Avc::of_record(one(within, b"avcC")?.body)?)
            }
            b"mp4a" => Codec::Sound,
            b"encv" | b"enca" => return Err(Malformed("the track is protected already")),
            _ => return Err(Malformed("the track is neither H.264 nor AAC")),
        };
        let mut trex = Numbers(find(init, &[b"moov", b"mvex", b"trex"])?);
        trex.take(16)?;
        Ok(Head { codec, sample_bytes: trex.u32()? })
    }

    pub fn is_video(&self) -> bool {
        matches!(self.codec, Codec::Avc(_))
    }
}

impl Mark<'_> {
    /// The same initialization segment, of a protected track.
    ///
    /// # Errors
    /// As [`Head::read`].
    pub fn put(&self, init: &[u8]) -> Result<Vec<u8>, Malformed> {
        let is_video = Head::read(init)?.is_video();
        let path = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
        let mut marked = rewritten(init, &path, &|stsd| {
            let (head, entries) =
                stsd.split_at_checked(STSD_HEAD_BYTES).ok_or(Malformed("a short stsd"))?;
            Ok([head, &self.entry(boxes(entries)?[0], is_video)].concat())
        })?;
        marked = rewritten(&marked, &[b"moov"], &|moov| Ok([moov, &self.pssh()].concat()))?;
        Ok(marked)
    }

    /// ISO 14496-12, 8.12: the entry under another name, its own kept inside.
    fn entry(&self, clear: Atom<'_>, is_video: bool) -> Vec<u8> {
        let original = plain(b"frma", &[&clear.name]);
        let scheme = [&b"cbcs"[..], &SCHEME_VERSION.to_be_bytes()].concat();
        let scheme = full(b"schm", 0, &scheme);
        let keys = plain(b"schi", &[&self.tenc(is_video)]);
        let sinf = plain(b"sinf", &[&original, &scheme, &keys]);
        plain(if is_video { b"encv" } else { b"enca" }, &[clear.body, &sinf])
    }

    /// ISO/IEC 23001-7, 8.2: samples are protected by default, with a constant vector.
    fn tenc(&self, is_video: bool) -> Vec<u8> {
        let (encrypted, skipped) = if is_video { PATTERN } else { (0, 0) };
        let pattern = (encrypted << 4 | skipped) as u8;
        let vector_bytes = BLOCK as u8;
        let body = [&[0, pattern, 1, 0][..], &self.key_id, &[vector_bytes], &self.vector].concat();
        full(b"tenc", 1 << 24, &body)
    }

    /// ISO/IEC 23001-7, 8.1.
    fn pssh(&self) -> Vec<u8> {
        let count = u32::try_from(self.all_key_ids.len()).unwrap_or(u32::MAX);
        let body = [
            &COMMON_SYSTEM[..],
            &count.to_be_bytes(),
            &self.all_key_ids.concat(),
            &0u32.to_be_bytes(),
        ];
        full(b"pssh", 1 << 24, &body.concat())
    }
}

/// The only sample entry.
fn entry(stsd: &[u8]) -> Result<Atom<'_>, Malformed> {
    let entries = boxes(stsd.get(STSD_HEAD_BYTES..).unwrap_or_default())?;
    match entries.as_slice() {
        [only] => {
            let fields = if only.name == *b"mp4a" { AUDIO_ENTRY_BYTES } else { VIDEO_ENTRY_BYTES };
            let fits = only.body.len() >= fields;
            fits.then_some(*only).ok_or(Malformed("a short sample entry"))
        }
        _ => Err(Malformed("a track of several kinds of samples")),
    }
}

/// All boxes as they are, but for the body of the one at the end of a path.
fn rewritten(
    bytes: &[u8],
    path: &[&[u8; 4]],
    change: &dyn Fn(&[u8]) -> Result<Vec<u8>, Malformed>,
) -> Result<Vec<u8>, Malformed> {
    let Some((name, rest)) = path.split_first() else { return change(bytes) };
    one(bytes, name)?;
    let mut written = Vec::with_capacity(bytes.len() + 256);
    for part in boxes(bytes)? {
        match part.name == **name {
            true => written.extend(plain(name, &[&rewritten(part.body, rest, change)?])),
            false => written.extend(part.whole),
        }
    }
    Ok(written)
}
