//! The dates of a certificate, and nothing else of it: a few steps into its DER.
//! Source: RFC 5280, section 4.1: a certificate is a sequence whose first member has, after an
//! optional version, serial number, algorithm and issuer, the validity as two times.

use jiff::Timestamp;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Not before, not after; None for what is no certificate.
pub(super) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_, outer, _) = element(certificate)?;
    let (tag, mut inside, _) = element(outer)?;
    if tag != SEQUENCE {
        return None;
    }
    if inside.first() == Some(&VERSION) {
        inside = element(inside)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        inside = element(inside)?.2;
    }
    let (tag, validity, _) = element(inside)?;
    let (first, second) = (element(validity)?, element(element(validity)?.2)?);
    let times = (time(first.0, first.1)?, time(second.0, second.1)?);
    (tag == SEQUENCE).then_some(times)
}

/// One element: its tag, what is in it, and what stands behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short if *short < 0x80 => (usize::from(*short), rest),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if length.len() > 4 {
                return None;
            }
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
    };
    let (inside, behind) = rest.split_at_checked(length)?;
    Some((*tag, inside, behind))
}

/// `YYMMDDHHMMSSZ` (before 2050), or the same with four digits of the year.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let full = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| full.get(from..to);
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
    );
    written.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_what_is_no_certificate_has_none() {
        let mut params = rcgen::CertificateParams::new(["nexus.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2051, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let (from, to) = validity(made.der()).unwrap();
        assert_eq!(from.to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(to.to_string(), "2051-03-04T00:00:00Z");
        for cut in 0..made.der().len().min(200) {
            assert_eq!(validity(&made.der()[..cut]), None, "{cut}");
        }
        assert_eq!(validity(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
