//! Reads a fragmented MP4 file with one track: its head, then fragment by fragment the samples and
//! their bytes.

use super::boxes::{Numbers, boxes, find, full_box, plain_box};
use super::{Mp4Error, Sample};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// A fragment holds a group of pictures: more is a mistake.
const BOX_BYTES_MAX: u64 = 1 << 30;
const NON_SYNC: u32 = 0x0001_0000;
/// Of the sample entries, before the boxes within: ISO 14496-12, 12.1.3 and 12.2.3.
const VIDEO_ENTRY_BYTES: usize = 78;
const AUDIO_ENTRY_BYTES: usize = 28;

/// What a track says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// As the encoder's muxer wrote it.
    moov: Vec<u8>,
    /// Ticks a second.
    pub(crate) timescale: u32,
    /// By RFC 6381, e.g. `avc1.64001f`.
    pub(crate) codec: String,
    defaults: Defaults,
}

impl Head {
    /// The initialization segment of a track whose first picture is shown so many ticks after it is
    /// decoded: an edit takes them off, so that presentation begins where decoding does.
    pub(crate) fn bytes(&self, shift: i32) -> Vec<u8> {
        let mut moov = Vec::new();
        for part in boxes(self.moov.get(8..).unwrap_or_default()) {
            match &part.name {
                b"trak" => moov.extend(edited(part.body, shift)),
                _ => moov.extend(plain_box(&part.name, &[part.body])),
            }
        }
        let ftyp = plain_box(b"ftyp", &[b"iso6", &0u32.to_be_bytes(), b"iso6", b"cmfc", b"mp41"]);
        [ftyp, plain_box(b"moov", &[&moov])].concat()
    }
}

/// A `trak` whose times begin at `shift`.
fn edited(trak: &[u8], shift: i32) -> Vec<u8> {
    // One entry: as long as there are fragments, from there on, at usual speed.
    let entry = [1u32, 0, shift.cast_unsigned(), 0x0001_0000].map(u32::to_be_bytes).concat();
    let edts = plain_box(b"edts", &[&full_box(b"elst", 0, &entry)]);
    let mut body = Vec::new();
    for part in boxes(trak).filter(|part| &part.name != b"edts") {
        body.extend(plain_box(&part.name, &[part.body]));
        if &part.name == b"tkhd" && shift > 0 {
            body.extend(&edts);
        }
    }
    plain_box(b"trak", &[&body])
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

pub(crate) struct Reader {
    file: BufReader<File>,
    head: Head,
}

impl Reader {
    /// Reads up to the first fragment.
    pub(crate) fn open(path: &Path) -> Result<Self, Mp4Error> {
        let mut file = BufReader::new(File::open(path)?);
        loop {
            let (name, bytes) = next(&mut file)?.ok_or(Mp4Error::Shape("it has no head"))?;
            if &name == b"moov" {
                let head = head(&bytes)?;
                return Ok(Self { file, head });
            }
        }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The next fragment: when it is decoded, its samples, their bytes. None at the end.
    pub(crate) fn fragment(&mut self) -> Result<Option<(i64, Vec<Sample>, Vec<u8>)>, Mp4Error> {
        let moof = loop {
            match next(&mut self.file)? {
                Some((name, bytes)) if &name == b"moof" => break bytes,
                Some(_) => {}
                None => return Ok(None),
            }
        };
        let Some((name, mdat)) = next(&mut self.file)? else {
            return Ok(None);
        };
        if &name != b"mdat" {
            return Err(Mp4Error::Shape("a fragment without its bytes"));
        }
        let (time, samples) = samples(&moof, self.head.defaults)?;
        let bytes: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
        let body = mdat.get(8..8 + usize::try_from(bytes).unwrap_or(usize::MAX));
        let body = body.ok_or(Mp4Error::Shape("a fragment with too few bytes"))?;
        Ok(Some((time, samples, body.to_vec())))
    }
}

/// The next box of the file, with its head; bodies that nobody needs are skipped.
fn next(file: &mut BufReader<File>) -> Result<Option<([u8; 4], Vec<u8>)>, Mp4Error> {
    let mut head = [0; 8];
    let mut have = 0;
    while have < head.len() {
        match file.read(&mut head[have..])? {
            0 if have == 0 => return Ok(None),
            0 => return Err(Mp4Error::Shape("it ends within a box")),
            count => have += count,
        }
    }
    let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    let name = [head[4], head[5], head[6], head[7]];
    if !(8..=BOX_BYTES_MAX).contains(&size) {
        return Err(Mp4Error::Shape("a box of an odd size"));
    }
    let rest = size - 8;
    if ![b"moov", b"moof", b"mdat"].contains(&&name) {
        file.seek(SeekFrom::Current(rest.cast_signed()))?;
        return Ok(Some((name, Vec::new())));
    }
    let mut bytes = head.to_vec();
    if file.take(rest).read_to_end(&mut bytes)? as u64 != rest {
        return Err(Mp4Error::Shape("it ends within a box"));
    }
    Ok(Some((name, bytes)))
}

fn head(moov: &[u8]) -> Result<Head, Mp4Error> {
    let media = find(moov, &[b"moov", b"trak", b"mdia"])?;
    let mdhd = find(media, &[b"mdhd"])?;
    // Two times stand before it, of 32 or 64 bits by the version.
    let skipped = if mdhd.first() == Some(&1) { 20 } else { 12 };
    let timescale = Numbers(mdhd.get(skipped..).unwrap_or_default()).u32()?;
    let stsd = find(media, &[b"minf", b"stbl", b"stsd"])?;
    let trex = find(moov, &[b"moov", b"mvex", b"trex"])?;
    let mut numbers = Numbers(trex.get(12..).unwrap_or_default());
    let defaults =
        Defaults { duration: numbers.u32()?, size: numbers.u32()?, flags: numbers.u32()? };
    let codec = codec(stsd.get(8..).unwrap_or_default())?;
    Ok(Head { moov: moov.to_vec(), timescale, codec, defaults })
}

/// The codec's name of RFC 6381 by the first sample entry.
fn codec(entries: &[u8]) -> Result<String, Mp4Error> {
    let entry = boxes(entries).next().ok_or(Mp4Error::Shape("no sample entry"))?;
    match &entry.name {
        b"avc1" | b"avc3" => {
            let within = entry.body.get(VIDEO_ENTRY_BYTES..).unwrap_or_default();
            let record = find(within, &[b"avcC"])?;
            let Some([profile, constraints, level]) = record.get(1..4) else {
                return Err(Mp4Error::Shape("a short avcC"));
            };
            let name = String::from_utf8_lossy(&entry.name);
            Ok(format!("{name}.{profile:02x}{constraints:02x}{level:02x}"))
        }
        b"mp4a" => {
            let within = entry.body.get(AUDIO_ENTRY_BYTES..).unwrap_or_default();
            let kind = object_type(find(within, &[b"esds"])?);
            Ok(format!("mp4a.40.{}", kind.unwrap_or(2)))
        }
        _ => Err(Mp4Error::Shape("a codec that nobody has asked for")),
    }
}

/// The audio object type in an `esds`: the first five bits of the decoder's own description, which
/// follows the tag 5 and its length.
fn object_type(esds: &[u8]) -> Option<u8> {
    // Behind version and flags: ES descriptor (3), decoder configuration (4), its details (5).
    let mut rest = esds.get(4..)?;
    for (tag, skipped) in [(3, 3), (4, 13), (5, 0)] {
        (rest.first()? == &tag).then_some(())?;
        let length = rest.iter().skip(1).position(|byte| byte & 0x80 == 0)? + 2;
        rest = rest.get(length + skipped..)?;
    }
    rest.first().map(|byte| byte >> 3)
}

fn samples(moof: &[u8], defaults: Defaults) -> Result<(i64, Vec<Sample>), Mp4Error> {
    let traf = find(moof, &[b"moof", b"traf"])?;
    let tfdt = find(traf, &[b"tfdt"])?;
    let mut numbers = Numbers(tfdt.get(4..).unwrap_or_default());
    let time = match tfdt.first() {
        Some(1) => numbers.u64()?.cast_signed(),
        _ => i64::from(numbers.u32()?),
    };
    let mut tfhd = Numbers(find(traf, &[b"tfhd"])?);
    let flags = tfhd.u32()?;
    let _track = tfhd.u32()?;
    if flags & 1 != 0 {
        let _offset = tfhd.u64()?;
    }
    let _description = tfhd.if_flag(flags, 2)?;
    let defaults = Defaults {
        duration: tfhd.if_flag(flags, 8)?.unwrap_or(defaults.duration),
        size: tfhd.if_flag(flags, 0x10)?.unwrap_or(defaults.size),
        flags: tfhd.if_flag(flags, 0x20)?.unwrap_or(defaults.flags),
    };
    let mut samples = Vec::new();
    for trun in boxes(traf).filter(|it| &it.name == b"trun") {
        run(trun.body, defaults, &mut samples)?;
    }
    Ok((time, samples))
}

fn run(trun: &[u8], defaults: Defaults, samples: &mut Vec<Sample>) -> Result<(), Mp4Error> {
    let mut numbers = Numbers(trun);
    let flags = numbers.u32()?;
    let count = numbers.u32()?;
    let _offset = numbers.if_flag(flags, 1)?;
    let mut first = numbers.if_flag(flags, 4)?;
    for _ in 0..count {
        let duration = numbers.if_flag(flags, 0x100)?.unwrap_or(defaults.duration);
        let size = numbers.if_flag(flags, 0x200)?.unwrap_or(defaults.size);
        let own = numbers.if_flag(flags, 0x400)?;
        let offset = numbers.if_flag(flags, 0x800)?.unwrap_or(0).cast_signed();
        let flags = own.or(first.take()).unwrap_or(defaults.flags);
        samples.push(Sample { duration, size, is_sync: flags & NON_SYNC == 0, offset });
    }
    Ok(())
}
