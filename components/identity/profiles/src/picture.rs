//! What a picture is, by its first bytes and never by what somebody calls it. Pure. Knows the forms
//! that browsers show and that cannot act; SVG is a program and is refused.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    PictureForm = 415, "a picture is a PNG, JPEG, WebP, GIF or AVIF; SVG is not taken";
    PictureSize = 413, "a picture has at most 5 MiB";
    PictureEmpty = 422, "this picture has no pixels, or more than 8192 along a side"
}

/// Largest picture that is taken.
pub const BYTES_MAX: usize = 5 * 1024 * 1024;
/// Longest side, where the form says it at its beginning: a small file can be a large picture.
const SIDE_MAX: u32 = 8192;

/// The media type of a picture that may be kept.
///
/// # Errors
/// What is wrong with it.
pub fn media_type(bytes: &[u8]) -> Result<&'static str, Refusal> {
    if bytes.len() > BYTES_MAX {
        return Err(PictureSize);
    }
    let (kind, size) = match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => ("image/png", png(bytes)),
        [0xff, 0xd8, 0xff, ..] => ("image/jpeg", jpeg(bytes)),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', w0, w1, h0, h1, ..] => {
            let side = |low: &u8, high: &u8| u32::from(u16::from_le_bytes([*low, *high]));
            ("image/gif", Some((side(w0, w1), side(h0, h1))))
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            ("image/webp", webp(bytes))
        }
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f' | b's', ..] => {
            // Its size stands deep inside; the bytes are bounded all the same.
            ("image/avif", Some((1, 1)))
        }
        _ => return Err(PictureForm),
    };
    let side = |side| (1..=SIDE_MAX).contains(&side);
    match size {
        Some((width, height)) if side(width) && side(height) => Ok(kind),
        _ => Err(PictureEmpty),
    }
}

fn big(bytes: &[u8]) -> Option<u32> {
    Some(bytes.iter().take(4).fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}

/// Width and height of the header chunk (PNG §11.2.1).
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    Some((big(bytes.get(16..20)?)?, big(bytes.get(20..24)?)?))
}

/// Walks the segments to the frame header (ITU-T T.81 §B.2.2).
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else { return None };
        if marker == 0xff {
            at += 1;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?));
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            let [h0, h1, w0, w1] = *bytes.get(at + 5..at + 9)? else { return None };
            let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
            return Some((side(w0, w1), side(h0, h1)));
        }
        if length < 2 || marker == 0xda {
            return None;
        }
        at += 2 + length;
    }
}

/// The three forms of a first chunk (RFC 9649 §2).
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let little = |at: usize, count: usize| -> Option<u32> {
        let bytes = bytes.get(at..at + count)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
    };
    match bytes.get(12..16)? {
        b"VP8X" => Some((little(24, 3)? + 1, little(27, 3)? + 1)),
        b"VP8L" => {
            let packed = little(21, 4)?;
            Some(((packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1))
        }
        b"VP8 " => Some((little(26, 2)? & 0x3fff, little(28, 2)? & 0x3fff)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    #[test]
    fn a_picture_is_known_by_its_bytes() {
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x10\0\x20\x03\x01\x22\0\x02\x11\x01";
        let webp = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x0f\0\0";
        for (bytes, kind) in [
            (png_of(64, 64), "image/png"),
            (jpeg.to_vec(), "image/jpeg"),
            (webp.to_vec(), "image/webp"),
            (b"GIF89a\x10\0\x10\0".to_vec(), "image/gif"),
            (b"\0\0\0\x1cftypavif\0\0\0\0".to_vec(), "image/avif"),
        ] {
            assert_eq!(media_type(&bytes), Ok(kind));
        }
    }

    #[test]
    fn what_can_act_or_is_no_picture_is_refused() {
        for bytes in [
            &b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"[..],
            b"<?xml version='1.0'?><svg/>",
            b"<!doctype html><script>alert(1)</script>",
            b"%PDF-1.7",
            b"BM\0\0",
            b"",
        ] {
            assert_eq!(media_type(bytes), Err(PictureForm), "{bytes:?}");
        }
    }

    #[test]
    fn a_picture_without_pixels_or_with_far_too_many_is_refused() {
        for bytes in [png_of(0, 9), png_of(9, 8193), png_of(u32::MAX, u32::MAX)] {
            assert_eq!(media_type(&bytes), Err(PictureEmpty));
        }
        assert_eq!(media_type(b"\xff\xd8\xff\xe0\0\x04ab"), Err(PictureEmpty), "cut short");
        assert_eq!(media_type(&vec![0; BYTES_MAX + 1]), Err(PictureSize));
    }
}
