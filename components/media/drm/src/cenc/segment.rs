//! Media segments: samples encrypted where they lie, and their fragment's head told which bytes
//! are. Nothing else changes, so that times and sizes of samples stay what they are.

use super::Malformed;
use super::avc::{Avc, Range};
use super::boxes::{Atom, Numbers, boxes, full, one, plain};
use super::cipher::Cipher;
use super::init::{Codec, Head};

/// Of a subsample's clear bytes, which are told in 16 bits.
const CLEAR_MAX: usize = 0xffff;
/// Of what is told of one sample, which has 8 bits for its length.
const TOLD_BYTES_MAX: usize = 0xff;
const RANGE_BYTES: usize = 6;
/// Of a `trun`: an offset of the samples' bytes, flags of the first sample, and what each says.
const TRUN_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_COMPOSITION: u32 = 0x800;
/// Of a `tfhd`.
const TFHD_OFFSET: u32 = 0x1;
const TFHD_DESCRIPTION: u32 = 0x2;
const TFHD_DURATION: u32 = 0x8;
const TFHD_SIZE: u32 = 0x10;
/// A `senc` names subsamples.
const SENC_RANGES: u32 = 0x2;
/// Of one run: an hour of sound has fewer frames.
const SAMPLES_MAX: u32 = 1 << 20;
/// A `saio` of one offset.
const SAIO_BYTES: usize = 20;
/// Of a `senc`, before what is told of its first sample.
const SENC_HEAD_BYTES: usize = 16;

/// A segment that was encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    pub bytes: Vec<u8>,
    /// Ends of the fragments' heads as they were, and by how much each has grown.
    grown: Vec<(u64, u64)>,
}

impl Protected {
    /// Where a byte that lay at `offset` lies now. What is told of a fragment begins with its head.
    pub fn moved(&self, offset: u64) -> u64 {
        let before = self.grown.iter().filter(|(end, _)| *end <= offset);
        offset + before.map(|(_, by)| by).sum::<u64>()
    }
}

/// Encrypts a segment of the track that `head` describes.
///
/// # Errors
/// A segment that is no CMAF, or whose samples cannot be read.
pub fn protect(segment: &[u8], head: &mut Head, cipher: &Cipher) -> Result<Protected, Malformed> {
    let mut bytes = Vec::with_capacity(segment.len() + segment.len() / 64 + 1024);
    let (mut grown, mut at) = (Vec::new(), 0);
    let mut open: Option<Fragment> = None;
    for part in boxes(segment)? {
        let end = at + part.whole.len();
        match &part.name {
            b"moof" if open.is_some() => return Err(Malformed("a fragment without its bytes")),
            b"moof" => open = Some(Fragment::read(part, head.sample_bytes)?),
            b"mdat" => {
                let fragment = open.take().ok_or(Malformed("bytes of no fragment"))?;
                let Written { moof, mdat, by } = fragment.write(part, head, cipher)?;
                grown.push((at as u64, by as u64));
                bytes.extend(moof);
                bytes.extend(mdat);
            }
            // Its sizes would be wrong from here on, and nobody asks it.
            b"sidx" => return Err(Malformed("a segment with an index of its own")),
            _ if open.is_some() => return Err(Malformed("a fragment far from its bytes")),
            _ => bytes.extend(part.whole),
        }
        at = end;
    }
    match open {
        Some(_) => Err(Malformed("a fragment without its bytes")),
        None => Ok(Protected { bytes, grown }),
    }
}

/// A fragment's head.
struct Fragment<'a> {
    moof: Atom<'a>,
    runs: Vec<Run>,
}

/// Samples whose bytes lie one after another.
struct Run {
    /// From the beginning of the fragment.
    offset: usize,
    sizes: Vec<usize>,
}

struct Written {
    moof: Vec<u8>,
    mdat: Vec<u8>,
    /// By how much the head has grown.
    by: usize,
}

impl<'a> Fragment<'a> {
    fn read(moof: Atom<'a>, sample_bytes: u32) -> Result<Self, Malformed> {
        let traf = one(moof.body, b"traf")?.body;
        let sample_bytes = default_size(one(traf, b"tfhd")?.body)?.unwrap_or(sample_bytes);
        let parts = boxes(traf)?;
        if parts.iter().any(|it| [*b"senc", *b"saiz", *b"saio"].contains(&it.name)) {
            return Err(Malformed("a fragment is protected already"));
        }
        let runs = parts.iter().filter(|it| it.name == *b"trun");
        let runs = runs.map(|it| Run::read(it.body, sample_bytes)).collect::<Result<_, _>>()?;
        Ok(Self { moof, runs })
    }

    /// The head with what is told of its samples, and the samples.
    fn write(
        &self,
        mdat: Atom<'_>,
        head: &mut Head,
        cipher: &Cipher,
    ) -> Result<Written, Malformed> {
        let mut bytes = mdat.whole.to_vec();
        let mut told = Vec::new();
        for run in &self.runs {
            let outside = Malformed("samples lie outside of their fragment");
            let at = run.offset.checked_sub(self.moof.whole.len());
            let mut at =
                at.filter(|at| *at >= mdat.whole.len() - mdat.body.len()).ok_or(outside)?;
            for size in &run.sizes {
                let sample = bytes.get_mut(at..at + size).ok_or(outside)?;
                at += size;
                match &mut head.codec {
                    Codec::Avc(avc) => told.push(encrypt_picture(sample, avc, cipher)?),
                    Codec::Sound => cipher.sound(sample),
                }
            }
        }
        let by = added(&told);
        Ok(Written { moof: self.head(&told, by)?, mdat: bytes, by })
    }

    /// The `moof`, grown by so many bytes.
    fn head(&self, told: &[Vec<u8>], by: usize) -> Result<Vec<u8>, Malformed> {
        let mut body = Vec::with_capacity(self.moof.whole.len() + by);
        for part in boxes(self.moof.body)? {
            if part.name != *b"traf" {
                body.extend(part.whole);
                continue;
            }
            let mut traf = Vec::with_capacity(part.whole.len() + by);
            for inner in boxes(part.body)? {
                match inner.name == *b"trun" {
                    true => traf.extend(plain(b"trun", &[&displaced(inner.body, by)?])),
                    false => traf.extend(inner.whole),
                }
            }
            if !told.is_empty() {
                // From the fragment's first byte to what is told of its first sample: two heads of
                // boxes stand before what is written here.
                let before = 8 + body.len() + 8 + traf.len();
                traf.extend(auxiliary(told, before));
            }
            body.extend(plain(b"traf", &[&traf]));
        }
        Ok(plain(b"moof", &[&body]))
    }
}

impl Run {
    fn read(trun: &[u8], sample_bytes: u32) -> Result<Run, Malformed> {
        let mut numbers = Numbers(trun);
        let flags = numbers.u32()? & 0x00ff_ffff;
        let count = numbers.u32()?;
        let offset = numbers.if_flag(flags, TRUN_OFFSET)?;
        let offset = offset.ok_or(Malformed("a run of samples does not say where they lie"))?;
        numbers.if_flag(flags, TRUN_FIRST_FLAGS)?;
        if count > SAMPLES_MAX {
            return Err(Malformed("a run of very many samples"));
        }
        let mut sizes = Vec::new();
        for _ in 0..count {
            numbers.if_flag(flags, TRUN_DURATION)?;
            let size = numbers.if_flag(flags, TRUN_SIZE)?.unwrap_or(sample_bytes);
            numbers.if_flag(flags, TRUN_FLAGS)?;
            numbers.if_flag(flags, TRUN_COMPOSITION)?;
            sizes.push(size as usize);
        }
        Ok(Run { offset: offset as usize, sizes })
    }
}

/// The size that a `tfhd` gives to samples that name none.
fn default_size(tfhd: &[u8]) -> Result<Option<u32>, Malformed> {
    let mut numbers = Numbers(tfhd);
    let flags = numbers.u32()? & 0x00ff_ffff;
    numbers.u32()?;
    if flags & TFHD_OFFSET != 0 {
        return Err(Malformed("a fragment counts from the beginning of a file"));
    }
    numbers.if_flag(flags, TFHD_DESCRIPTION)?;
    numbers.if_flag(flags, TFHD_DURATION)?;
    numbers.if_flag(flags, TFHD_SIZE)
}

/// A `trun` whose samples lie so many bytes later.
fn displaced(trun: &[u8], by: usize) -> Result<Vec<u8>, Malformed> {
    let mut numbers = Numbers(trun);
    let head = numbers.take(8)?;
    let offset = numbers.u32()? as usize + by;
    let offset = i32::try_from(offset).map_err(|_| Malformed("a fragment of 2 GiB"))?;
    Ok([head, &offset.to_be_bytes(), numbers.0].concat())
}

/// Encrypts a picture; what is told of it.
fn encrypt_picture(
    sample: &mut [u8],
    avc: &mut Avc,
    cipher: &Cipher,
) -> Result<Vec<u8>, Malformed> {
    let ranges = avc.ranges(sample)?;
    let mut at = 0;
    for range in &ranges {
        let from = at + range.clear;
        at = from + range.protected;
        cipher.pictures(&mut sample[from..at]);
    }
    let ranges: Vec<Range> = ranges.into_iter().flat_map(tellable).collect();
    let count = ranges.len();
    if 2 + count * RANGE_BYTES > TOLD_BYTES_MAX {
        return Err(Malformed("a picture of more slices than can be told of"));
    }
    let mut told = (count as u16).to_be_bytes().to_vec();
    for Range { clear, protected } in ranges {
        told.extend((clear as u16).to_be_bytes());
        told.extend((protected as u32).to_be_bytes());
    }
    Ok(told)
}

/// More clear bytes than can be told at once become several ranges.
fn tellable(range: Range) -> impl Iterator<Item = Range> {
    let whole = range.clear.saturating_sub(1) / CLEAR_MAX;
    let last = Range { clear: range.clear - whole * CLEAR_MAX, ..range };
    let full = Range { clear: CLEAR_MAX, protected: 0 };
    std::iter::repeat_n(full, whole).chain([last])
}

/// Bytes by which a head grows that tells this.
fn added(told: &[Vec<u8>]) -> usize {
    if told.is_empty() { 0 } else { auxiliary(told, 0).len() }
}

/// ISO 14496-12, 8.7.8 and 8.7.9, and ISO/IEC 23001-7, 7.2: how much is told of each sample, where,
/// and what. `before` are the bytes of the fragment that stand before all this.
fn auxiliary(told: &[Vec<u8>], before: usize) -> Vec<u8> {
    let count = (told.len() as u32).to_be_bytes();
    let first = told.first().map_or(0, Vec::len);
    let mut sizes = Vec::new();
    match told.iter().all(|it| it.len() == first) {
        true => sizes.push(first as u8),
        false => sizes.push(0),
    }
    sizes.extend(count);
    if sizes[0] == 0 {
        sizes.extend(told.iter().map(|it| it.len() as u8));
    }
    let saiz = full(b"saiz", 0, &sizes);
    let at = before + saiz.len() + SAIO_BYTES + SENC_HEAD_BYTES;
    let saio = full(b"saio", 0, &[1u32, at as u32].map(u32::to_be_bytes).concat());
    let senc = full(b"senc", SENC_RANGES, &[&count[..], &told.concat()].concat());
    [saiz, saio, senc].concat()
}
