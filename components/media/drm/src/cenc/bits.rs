//! Bits of a NAL unit as its syntax sees them: bytes that only prevent start codes are skipped
//! (ISO 14496-10, 7.4.1), and counted, because what is encrypted is counted in all bytes.

use super::Malformed;

/// A number of more bits than this is in no header.
const EXP_GOLOMB_ZEROS_MAX: u32 = 32;

pub struct Bits<'a> {
    bytes: &'a [u8],
    /// Bytes that were begun, those that are skipped included.
    at: usize,
    current: u8,
    left: u32,
    zeros: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, current: 0, left: 0, zeros: 0 }
    }

    /// Bytes of which at least one bit was read.
    pub fn bytes_begun(&self) -> usize {
        self.at
    }

    pub fn bit(&mut self) -> Result<bool, Malformed> {
        if self.left == 0 {
            self.next_byte()?;
        }
        self.left -= 1;
        Ok(self.current >> self.left & 1 == 1)
    }

    fn next_byte(&mut self) -> Result<(), Malformed> {
        let ends = Malformed("a header ends too early");
        let mut byte = *self.bytes.get(self.at).ok_or(ends)?;
        self.at += 1;
        if self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            byte = *self.bytes.get(self.at).ok_or(ends)?;
            self.at += 1;
        }
        self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        (self.current, self.left) = (byte, 8);
        Ok(())
    }

    pub fn skip(&mut self, count: u32) -> Result<(), Malformed> {
        (0..count).try_for_each(|_| self.bit().map(drop))
    }

    /// Up to 32 bits.
    pub fn number(&mut self, count: u32) -> Result<u32, Malformed> {
        (0..count).try_fold(0, |number, _| Ok(number << 1 | u32::from(self.bit()?)))
    }

    /// ue(v), ISO 14496-10, 9.1.
    pub fn ue(&mut self) -> Result<u32, Malformed> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > EXP_GOLOMB_ZEROS_MAX {
                return Err(Malformed("a number of a header is too long"));
            }
        }
        let rest = (0..zeros).try_fold(1u64, |n, _| Ok(n << 1 | u64::from(self.bit()?)))?;
        u32::try_from(rest - 1).map_err(|_| Malformed("a number of a header is too long"))
    }

    /// se(v), of which nothing but its length matters here.
    pub fn se(&mut self) -> Result<(), Malformed> {
        self.ue().map(drop)
    }

    /// se(v) with its value.
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

#[test]
fn numbers_are_read_as_the_standard_writes_them() {
    // 1 | 010 | 011 | 00100 | 00101, then ones.
    let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1111_1111]);
    assert_eq!([0, 1, 2, 3, 4].map(|_| bits.ue().unwrap()), [0, 1, 2, 3, 4]);
    assert_eq!(bits.bytes_begun(), 3);
    let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1111_1111]);
    assert_eq!([0, 1, 2, 3, 4].map(|_| bits.signed().unwrap()), [0, 1, -1, 2, -2]);
    assert!(Bits::new(&[0; 9]).ue().is_err());
}

#[test]
fn bytes_that_prevent_a_start_code_are_no_bits_but_count() {
    let mut bits = Bits::new(&[0, 0, 3, 1, 0xff]);
    assert_eq!(bits.number(16), Ok(0));
    assert_eq!(bits.bytes_begun(), 2);
    assert_eq!(bits.number(8), Ok(1));
    assert_eq!(bits.bytes_begun(), 4);
    assert_eq!(bits.number(8), Ok(0xff));
    assert!(bits.bit().is_err());
}
