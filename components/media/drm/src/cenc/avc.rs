//! Pictures of H.264 as far as it takes to leave clear what must stay clear: NAL units that are no
//! slices, and of each slice its header (ISO/IEC 23001-7, 9.6.2). Headers are read as ISO 14496-10
//! writes them; what is in a slice is not looked at.

use super::Malformed;
use super::bits::Bits;
use super::boxes::Numbers;
use std::collections::BTreeMap;

/// Of parameter sets: ISO 14496-10, 7.4.2.
const SPS_MAX: u32 = 31;
const PPS_MAX: u32 = 255;
/// References of a list, 7.4.3.
const REFERENCES_MAX: u32 = 32;
/// Profiles whose sequence parameter sets say more of colours, 7.3.2.1.1.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// A part of a sample: bytes that stay, then bytes that are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub clear: usize,
    pub protected: usize,
}

/// What a stream of pictures has said of itself.
#[derive(Debug, Clone, Default)]
pub struct Avc {
    length_bytes: usize,
    sequences: BTreeMap<u32, Sequence>,
    pictures: BTreeMap<u32, Picture>,
}

/// A sequence parameter set.
#[derive(Debug, Clone)]
struct Sequence {
    /// No colours, or each in slices of its own.
    separate_colours: bool,
    chroma: u32,
    frame_number_bits: u32,
    order: Order,
    frames_only: bool,
}

/// How a slice says when its picture is shown.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// With so many bits.
    Number(u32),
    Deltas {
        always_zero: bool,
    },
    Decoding,
}

/// A picture parameter set.
#[derive(Debug, Clone)]
struct Picture {
    sequence: u32,
    is_cabac: bool,
    says_bottom_order: bool,
    references: [u32; 2],
    weighs_p: bool,
    weighs_b: bool,
    says_deblocking: bool,
    says_redundant: bool,
}

impl Avc {
    /// By the record `avcC`, ISO 14496-15, 5.3.3.1.
    pub fn of_record(record: &[u8]) -> Result<Avc, Malformed> {
        let mut numbers = Numbers(record);
        numbers.take(4)?;
        let length_bytes = usize::from(numbers.u8()? & 3) + 1;
        let mut avc = Avc { length_bytes, ..Avc::default() };
        for mask in [0x1f, 0xff] {
            for _ in 0..numbers.u8()? & mask {
                let length = numbers.u16()?;
                avc.heed(numbers.take(length.into())?)?;
            }
        }
        Ok(avc)
    }

    /// The parts of a sample; parameter sets in it hold from there on.
    pub fn ranges(&mut self, sample: &[u8]) -> Result<Vec<Range>, Malformed> {
        let mut found = Vec::new();
        let (mut rest, mut clear) = (sample, 0);
        while !rest.is_empty() {
            let outside = Malformed("a NAL unit ends outside of its sample");
            let (length, after) = rest.split_at_checked(self.length_bytes).ok_or(outside)?;
            let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            let (unit, after) = after.split_at_checked(length).ok_or(outside)?;
            rest = after;
            let head = match unit.first().map(|first| first & 0x1f) {
                Some(1 | 5) => self.slice_head(unit)?,
                Some(2..=4) => return Err(Malformed("pictures are in data partitions")),
                Some(_) => {
                    self.heed(unit)?;
                    unit.len()
                }
                None => 0,
            };
            clear += self.length_bytes + head;
            if head < unit.len() {
                found.push(Range { clear, protected: unit.len() - head });
                clear = 0;
            }
        }
        if clear > 0 {
            found.push(Range { clear, protected: 0 });
        }
        Ok(found)
    }

    /// Remembers a parameter set; other units say nothing of headers.
    fn heed(&mut self, unit: &[u8]) -> Result<(), Malformed> {
        let (Some(first), body) = (unit.first(), unit.get(1..).unwrap_or_default()) else {
            return Ok(());
        };
        match first & 0x1f {
            7 => {
                let (id, sequence) = Sequence::read(body)?;
                self.sequences.insert(id, sequence);
            }
            8 => {
                let (id, picture) = Picture::read(body)?;
                self.pictures.insert(id, picture);
            }
            _ => {}
        }
        Ok(())
    }

    /// Bytes of a slice's NAL unit that are its header, the last one perhaps in part.
    fn slice_head(&self, unit: &[u8]) -> Result<usize, Malformed> {
        let first = *unit.first().ok_or(Malformed("a NAL unit is empty"))?;
        let mut bits = Bits::new(&unit[1..]);
        self.read_slice(&mut bits, first >> 5 & 3 != 0, first & 0x1f == 5)?;
        Ok(1 + bits.bytes_begun())
    }

    /// 7.3.3.
    fn read_slice(
        &self,
        bits: &mut Bits<'_>,
        is_reference: bool,
        is_idr: bool,
    ) -> Result<(), Malformed> {
        bits.ue()?;
        let kind = Kind::of(bits.ue()?)?;
        let picture = self.pictures.get(&bits.ue()?);
        let picture = picture.ok_or(Malformed("a slice is of no known picture parameters"))?;
        let sequence = self.sequences.get(&picture.sequence);
        let sequence = sequence.ok_or(Malformed("a slice is of no known sequence parameters"))?;
        sequence.read_place(bits, picture, is_idr)?;
        if picture.says_redundant {
            bits.ue()?;
        }
        let references = kind.read_references(bits, picture)?;
        let weighs = match kind {
            Kind::P | Kind::Sp => picture.weighs_p,
            Kind::B => picture.weighs_b,
            Kind::I | Kind::Si => false,
        };
        if weighs {
            read_weights(bits, sequence.has_chroma(), references)?;
        }
        if is_reference {
            read_marking(bits, is_idr)?;
        }
        if picture.is_cabac && !kind.is_intra() {
            bits.ue()?;
        }
        bits.se()?;
        if kind == Kind::Sp {
            bits.bit()?;
        }
        if matches!(kind, Kind::Sp | Kind::Si) {
            bits.se()?;
        }
        if picture.says_deblocking && bits.ue()? != 1 {
            bits.se()?;
            bits.se()?;
        }
        Ok(())
    }
}

impl Sequence {
    /// 7.3.2.1.1, as far as slices need it.
    fn read(body: &[u8]) -> Result<(u32, Sequence), Malformed> {
        let mut bits = Bits::new(body);
        let profile = bits.number(8)?;
        bits.skip(16)?;
        let id = known(bits.ue()?, SPS_MAX)?;
        let (mut chroma, mut separate_colours) = (1, false);
        if HIGH_PROFILES.iter().any(|high| u32::from(*high) == profile) {
            chroma = bits.ue()?;
            separate_colours = chroma == 3 && bits.bit()?;
            bits.ue()?;
            bits.ue()?;
            bits.bit()?;
            if bits.bit()? {
                let lists = if chroma == 3 { 12 } else { 8 };
                (0..lists).try_for_each(|list| read_scaling_list(&mut bits, list))?;
            }
        }
        let frame_number_bits = known(bits.ue()?, 12)? + 4;
        let order = match bits.ue()? {
            0 => Order::Number(known(bits.ue()?, 12)? + 4),
            1 => {
                let always_zero = bits.bit()?;
                bits.se()?;
                bits.se()?;
                let cycle = known(bits.ue()?, 255)?;
                (0..cycle).try_for_each(|_| bits.se())?;
                Order::Deltas { always_zero }
            }
            _ => Order::Decoding,
        };
        bits.ue()?;
        bits.bit()?;
        bits.ue()?;
        bits.ue()?;
        let frames_only = bits.bit()?;
        Ok((id, Sequence { separate_colours, chroma, frame_number_bits, order, frames_only }))
    }

    fn has_chroma(&self) -> bool {
        self.chroma != 0 && !self.separate_colours
    }

    /// Which picture a slice belongs to.
    fn read_place(
        &self,
        bits: &mut Bits<'_>,
        picture: &Picture,
        is_idr: bool,
    ) -> Result<(), Malformed> {
        if self.separate_colours {
            bits.skip(2)?;
        }
        bits.skip(self.frame_number_bits)?;
        let is_field = !self.frames_only && bits.bit()?;
        if is_field {
            bits.bit()?;
        }
        if is_idr {
            bits.ue()?;
        }
        let says_bottom = picture.says_bottom_order && !is_field;
        let deltas = match self.order {
            Order::Number(count) => {
                bits.skip(count)?;
                usize::from(says_bottom)
            }
            Order::Deltas { always_zero: false } => 1 + usize::from(says_bottom),
            Order::Deltas { always_zero: true } | Order::Decoding => 0,
        };
        (0..deltas).try_for_each(|_| bits.se())
    }
}

impl Picture {
    /// 7.3.2.2, as far as slices need it.
    fn read(body: &[u8]) -> Result<(u32, Picture), Malformed> {
        let mut bits = Bits::new(body);
        let id = known(bits.ue()?, PPS_MAX)?;
        let sequence = known(bits.ue()?, SPS_MAX)?;
        let is_cabac = bits.bit()?;
        let says_bottom_order = bits.bit()?;
        if bits.ue()? != 0 {
            return Err(Malformed("pictures are in groups of slices"));
        }
        let references = [bits.ue()?, bits.ue()?];
        let weighs_p = bits.bit()?;
        let weighs_b = bits.number(2)? == 1;
        bits.se()?;
        bits.se()?;
        bits.se()?;
        let says_deblocking = bits.bit()?;
        bits.bit()?;
        let says_redundant = bits.bit()?;
        let picture = Picture {
            sequence,
            is_cabac,
            says_bottom_order,
            references,
            weighs_p,
            weighs_b,
            says_deblocking,
            says_redundant,
        };
        Ok((id, picture))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P,
    B,
    I,
    Sp,
    Si,
}

impl Kind {
    /// Table 7-6.
    fn of(number: u32) -> Result<Kind, Malformed> {
        let kinds = [Kind::P, Kind::B, Kind::I, Kind::Sp, Kind::Si];
        let known = (number < 10).then(|| kinds[number as usize % kinds.len()]);
        known.ok_or(Malformed("a slice is of no known kind"))
    }

    fn is_intra(self) -> bool {
        matches!(self, Kind::I | Kind::Si)
    }

    fn lists(self) -> usize {
        match self {
            Kind::B => 2,
            Kind::P | Kind::Sp => 1,
            Kind::I | Kind::Si => 0,
        }
    }

    /// How many references there are less one, for each list that the slice has; and their order.
    fn read_references(
        self,
        bits: &mut Bits<'_>,
        picture: &Picture,
    ) -> Result<Vec<u32>, Malformed> {
        if self == Kind::B {
            bits.bit()?;
        }
        let mut references = picture.references[..self.lists()].to_vec();
        if self.lists() > 0 && bits.bit()? {
            for number in &mut references {
                *number = bits.ue()?;
            }
        }
        // 7.3.3.1.
        for _ in 0..self.lists() {
            if bits.bit()? {
                while bits.ue()? != 3 {
                    bits.ue()?;
                }
            }
        }
        Ok(references)
    }
}

fn known(number: u32, most: u32) -> Result<u32, Malformed> {
    (number <= most).then_some(number).ok_or(Malformed("a number of a header is out of range"))
}

/// 7.3.2.1.1.1.
fn read_scaling_list(bits: &mut Bits<'_>, list: u32) -> Result<(), Malformed> {
    if !bits.bit()? {
        return Ok(());
    }
    let size = if list < 6 { 16 } else { 64 };
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

/// 7.3.3.2.
fn read_weights(
    bits: &mut Bits<'_>,
    has_chroma: bool,
    references: Vec<u32>,
) -> Result<(), Malformed> {
    bits.ue()?;
    if has_chroma {
        bits.ue()?;
    }
    for number in references {
        for _ in 0..=known(number, REFERENCES_MAX - 1)? {
            if bits.bit()? {
                bits.se()?;
                bits.se()?;
            }
            if has_chroma && bits.bit()? {
                (0..4).try_for_each(|_| bits.se())?;
            }
        }
    }
    Ok(())
}

/// 7.3.3.3.
fn read_marking(bits: &mut Bits<'_>, is_idr: bool) -> Result<(), Malformed> {
    if is_idr {
        return bits.skip(2);
    }
    if !bits.bit()? {
        return Ok(());
    }
    loop {
        match bits.ue()? {
            0 => return Ok(()),
            3 => {
                bits.ue()?;
                bits.ue()?;
            }
            5 => {}
            1 | 2 | 4 | 6 => {
                bits.ue()?;
            }
            _ => return Err(Malformed("a slice marks references in no known way")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Of x264, High profile, CABAC, three references: what ffmpeg wrote for 320 by 180.
    const SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x0c, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03,
        0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60,
    ];
    const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

    fn avc() -> Avc {
        let mut avc = Avc { length_bytes: 4, ..Avc::default() };
        avc.heed(SPS).unwrap();
        avc.heed(PPS).unwrap();
        avc
    }

    fn unit(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    #[test]
    fn a_record_is_read_as_its_parameter_sets_are() {
        let length = |set: &[u8]| u16::try_from(set.len()).unwrap().to_be_bytes();
        let record = [
            &[1, 0x64, 0, 0x0c, 0xff, 0xe1][..],
            &length(SPS),
            SPS,
            &[1],
            &length(PPS),
            PPS,
            // Of the High profiles; of no interest here.
            &[0xfd, 0xf8, 0xf8, 0],
        ];
        let avc = Avc::of_record(&record.concat()).unwrap();
        assert_eq!((avc.length_bytes, avc.sequences.len(), avc.pictures.len()), (4, 1, 1));
        assert!(Avc::of_record(&record[..3].concat()).is_err());
    }

    #[test]
    fn all_but_what_is_in_a_slice_stays_clear() {
        let mut avc = avc();
        // An IDR slice: first_mb 0, type 7, pps 0, frame_num 0, idr_pic_id 0, …
        let slice = [&[0x65, 0x88, 0x84, 0x00][..], &[0xaa; 96]].concat();
        let sei = [&[0x06, 0x05][..], &[0x55; 30]].concat();
        let sample = [unit(&sei), unit(SPS), unit(PPS), unit(&slice)].concat();
        let ranges = avc.ranges(&sample).unwrap();
        let all: usize = ranges.iter().map(|it| it.clear + it.protected).sum();
        assert_eq!((ranges.len(), all), (1, sample.len()));
        let before = sample.len() - slice.len();
        let head = ranges[0].clear - before;
        assert!((4..=8).contains(&head), "{head} bytes of a slice's header");
    }

    #[test]
    fn what_cannot_be_left_clear_rightly_is_refused() {
        let mut none = Avc { length_bytes: 4, ..Avc::default() };
        let slice = unit(&[0x65, 0x88, 0x84, 0x00, 0xaa, 0xaa]);
        let unknown = Malformed("a slice is of no known picture parameters");
        assert_eq!(none.ranges(&slice), Err(unknown));
        let outside = Malformed("a NAL unit ends outside of its sample");
        assert_eq!(avc().ranges(&slice[..8]), Err(outside));
        let partition = Malformed("pictures are in data partitions");
        assert_eq!(avc().ranges(&unit(&[0x42, 0])), Err(partition));
    }

    proptest! {
        #[test]
        fn the_parts_of_whatever_comes_are_all_of_it(
            units in vec(vec(any::<u8>(), 1..200), 1..9),
        ) {
            let sample: Vec<u8> = units.iter().flat_map(|it| unit(it)).collect();
            if let Ok(ranges) = avc().ranges(&sample) {
                let all: usize = ranges.iter().map(|it| it.clear + it.protected).sum();
                prop_assert_eq!(all, sample.len());
            }
        }
    }
}
