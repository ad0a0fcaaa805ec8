//! What a file is, by its first bytes. Pure. What a client or a name says is no evidence: a page
//! with scripts can be called `holiday.mp4`.
//!
//! A table of our own: it holds what this suite takes and what it must never take, and a file that
//! is neither is of no known kind.

/// The kind of nothing at all.
pub const EMPTY: &str = "application/x-empty";
/// The kind of what nobody knows.
pub const UNKNOWN: &str = "application/octet-stream";

/// Bytes at an offset that only one kind of file has there.
struct Magic(usize, &'static [u8], &'static str);

const TABLE: &[Magic] = &[
    // What runs on a machine.
    Magic(0, b"\x7fELF", "application/x-executable"),
    Magic(0, b"MZ", "application/x-msdownload"),
    Magic(0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    Magic(0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    Magic(0, b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    Magic(0, b"\0asm", "application/wasm"),
    Magic(0, b"#!", "text/x-script"),
    // Moving pictures.
    Magic(0, b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    Magic(0, b"FLV\x01", "video/x-flv"),
    Magic(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    Magic(0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", "application/mxf"),
    Magic(0, b"\0\0\x01\xba", "video/mpeg"),
    Magic(0, b"\0\0\x01\xb3", "video/mpeg"),
    Magic(0, b"\0\0\0\x01\x67", "video/h264"),
    Magic(0, b"\0\0\x01\x67", "video/h264"),
    Magic(0, b"DKIF", "video/x-ivf"),
    Magic(0, b"YUV4MPEG2 ", "video/x-yuv4mpeg"),
    // Sound.
    Magic(0, b"ID3", "audio/mpeg"),
    Magic(0, b"fLaC", "audio/flac"),
    Magic(0, b"caff\0\x01", "audio/x-caf"),
    Magic(0, b"#!AMR", "audio/amr"),
    Magic(0, b"\x0b\x77", "audio/ac3"),
    Magic(0, b"MThd", "audio/midi"),
    // Pictures.
    Magic(0, b"\x89PNG\r\n\x1a\n", "image/png"),
    Magic(0, b"\xff\xd8\xff", "image/jpeg"),
    Magic(0, b"GIF87a", "image/gif"),
    Magic(0, b"GIF89a", "image/gif"),
    Magic(0, b"II*\0", "image/tiff"),
    Magic(0, b"MM\0*", "image/tiff"),
    Magic(0, b"BM", "image/bmp"),
    // Neither seen nor heard.
    Magic(0, b"%PDF-", "application/pdf"),
    Magic(0, b"PK\x03\x04", "application/zip"),
    Magic(0, b"\x1f\x8b", "application/gzip"),
    Magic(0, b"Rar!\x1a\x07", "application/vnd.rar"),
    Magic(0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
];

/// The media type of a file that begins with `head`: 64 KiB of it, or all of a smaller one.
pub fn media_type(head: &[u8]) -> &'static str {
    if head.is_empty() {
        return EMPTY;
    }
    // Longer words first: `#!AMR` is no script.
    let matching = TABLE.iter().filter(|magic| at(head, magic.0, magic.1));
    if let Some(found) = matching.max_by_key(|magic| magic.1.len()) {
        return match found.2 {
            "video/x-matroska" if has(head, b"webm", 64) => "video/webm",
            // MXF says nothing of what is inside, and is used for moving pictures.
            "application/mxf" => "video/mxf",
            // A JPEG of several pictures and a film of JPEGs begin alike; the first is what comes.
            other => other,
        };
    }
    riff(head)
        .or_else(|| iff(head))
        .or_else(|| boxes(head))
        .or_else(|| ogg(head))
        .or_else(|| transport_stream(head))
        .or_else(|| frames_of_sound(head))
        .or_else(|| text(head))
        .unwrap_or(UNKNOWN)
}

fn at(head: &[u8], offset: usize, bytes: &[u8]) -> bool {
    head.get(offset..).is_some_and(|rest| rest.starts_with(bytes))
}

fn has(head: &[u8], word: &[u8], within: usize) -> bool {
    head[..head.len().min(within)].windows(word.len()).any(|window| window == word)
}

fn riff(head: &[u8]) -> Option<&'static str> {
    if !at(head, 0, b"RIFF") && !at(head, 0, b"RF64") && !at(head, 0, b"RIFX") {
        return None;
    }
    match head.get(8..12)? {
        b"AVI " => Some("video/x-msvideo"),
        b"WAVE" => Some("audio/wav"),
        b"WEBP" => Some("image/webp"),
        _ => None,
    }
}

fn iff(head: &[u8]) -> Option<&'static str> {
    match (at(head, 0, b"FORM"), head.get(8..12)?) {
        (true, b"AIFF" | b"AIFC") => Some("audio/aiff"),
        _ => None,
    }
}

/// ISO base media files: the first box says its name, and mostly a brand.
fn boxes(head: &[u8]) -> Option<&'static str> {
    match head.get(4..8)? {
        b"ftyp" | b"styp" => Some(match head.get(8..12)? {
            b"avif" | b"avis" => "image/avif",
            b"heic" | b"heix" | b"mif1" | b"msf1" => "image/heic",
            b"M4A " | b"M4B " | b"M4P " => "audio/mp4",
            b"qt  " => "video/quicktime",
            b"jp2 " => "image/jp2",
            _ => "video/mp4",
        }),
        // QuickTime before it had brands.
        b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" => Some("video/quicktime"),
        b"moof" | b"sidx" => Some("video/mp4"),
        _ => None,
    }
}

fn ogg(head: &[u8]) -> Option<&'static str> {
    if !at(head, 0, b"OggS") {
        return None;
    }
    let moves = has(head, b"\x80theora", 4096) || has(head, b"OVP80", 4096);
    Some(if moves { "video/ogg" } else { "audio/ogg" })
}

/// A packet begins with 0x47 every 188 bytes; on discs four bytes stand before each.
fn transport_stream(head: &[u8]) -> Option<&'static str> {
    let every = |first: usize, step: usize| {
        let places = (first..head.len()).step_by(step).take(4);
        places.clone().count() >= 2 && places.clone().all(|place| head[place] == 0x47)
    };
    (every(0, 188) || every(4, 192)).then_some("video/mp2t")
}

/// MPEG layers and AAC have no head, but frames: eleven (twelve) set bits, and fields in which not
/// everything is possible.
fn frames_of_sound(head: &[u8]) -> Option<&'static str> {
    let [first, second, third, ..] = *head else {
        return None;
    };
    if first != 0xff {
        return None;
    }
    if second & 0xf6 == 0xf0 && third >> 2 & 0xf < 13 {
        return Some("audio/aac");
    }
    let possible = second & 0xe0 == 0xe0
        && second >> 3 & 3 != 1
        && second >> 1 & 3 != 0
        && third >> 4 != 0xf
        && third >> 2 & 3 != 3;
    possible.then_some("audio/mpeg")
}

/// Text that a browser would take for something, and subtitles.
fn text(head: &[u8]) -> Option<&'static str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = &head[..head.len().min(4096)];
    // A character may be cut at the end.
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if whole.contains('\0') {
        return None;
    }
    let start = whole.trim_start().to_ascii_lowercase();
    let is_page = ["<!doctype html", "<html", "<head", "<body", "<script", "<iframe"];
    if start.contains("<svg") {
        return Some("image/svg+xml");
    }
    if is_page.iter().any(|tag| start.contains(tag)) {
        return Some("text/html");
    }
    if start.starts_with("<?xml") {
        return Some("text/xml");
    }
    if start.starts_with("webvtt") {
        return Some("text/vtt");
    }
    // SubRip: a number, then a time with an arrow.
    let mut lines = start.lines();
    let number = lines.next().is_some_and(|line| line.trim().parse::<u32>().is_ok());
    if number && lines.next().is_some_and(|line| line.contains("-->")) {
        return Some("application/x-subrip");
    }
    Some("text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn padded(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = parts.concat();
        bytes.resize(600, 0);
        bytes
    }

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        for (head, kind) in [
            (padded(&[b"\0\0\0\x20ftypisom"]), "video/mp4"),
            (padded(&[b"\0\0\0\x14ftypqt  "]), "video/quicktime"),
            (padded(&[b"\0\0\0\x08wide\0\0\0\0mdat"]), "video/quicktime"),
            (padded(&[b"\0\0\0\x20ftypM4A "]), "audio/mp4"),
            (padded(&[b"\0\0\0\x20ftypavif"]), "image/avif"),
            (padded(&[b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x84webm"]), "video/webm"),
            (
                padded(&[b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x88matroska"]),
                "video/x-matroska",
            ),
            (padded(&[b"RIFF\0\0\0\0AVI LIST"]), "video/x-msvideo"),
            (padded(&[b"RIFF\0\0\0\0WAVEfmt "]), "audio/wav"),
            (padded(&[b"RIFF\0\0\0\0WEBPVP8 "]), "image/webp"),
            (padded(&[b"FORM\0\0\0\0AIFFCOMM"]), "audio/aiff"),
            (padded(&[b"OggS", &[0; 24], b"\x01vorbis"]), "audio/ogg"),
            (padded(&[b"OggS", &[0; 24], b"\x80theora"]), "video/ogg"),
            (padded(&[b"\xff\xfb\x90\x64"]), "audio/mpeg"),
            (padded(&[b"\xff\xf1\x50\x80"]), "audio/aac"),
            (padded(&[b"#!AMR\n"]), "audio/amr"),
            (padded(&[b"\x7fELF\x02"]), "application/x-executable"),
            (padded(&[b"MZ\x90\0"]), "application/x-msdownload"),
            (padded(&[b"#!/bin/sh\n"]), "text/x-script"),
            (b"  <!DOCTYPE html><html>".to_vec(), "text/html"),
            (b"<?xml version=\"1.0\"?><svg xmlns=\"x\"/>".to_vec(), "image/svg+xml"),
            (b"\xef\xbb\xbfWEBVTT\n\n00:01.000 --> 00:02.000\nHi".to_vec(), "text/vtt"),
            (b"1\n00:00:01,000 --> 00:00:02,000\nHi\n".to_vec(), "application/x-subrip"),
            (b"only words".to_vec(), "text/plain"),
            (vec![0x90; 600], UNKNOWN),
            (Vec::new(), EMPTY),
        ] {
            let shown = String::from_utf8_lossy(&head[..head.len().min(16)]).into_owned();
            assert_eq!(media_type(&head), kind, "{shown:?}");
        }
    }

    #[test]
    fn packets_of_a_transport_stream_are_known_by_their_distance() {
        let mut stream = vec![0; 188 * 4];
        (0..4).for_each(|packet| stream[packet * 188] = 0x47);
        assert_eq!(media_type(&stream), "video/mp2t");
        stream[188] = 0;
        assert_eq!(media_type(&stream), UNKNOWN);
    }

    #[test]
    fn a_page_stays_a_page_behind_words() {
        let hidden = b"hello there <script>alert(1)</script>";
        assert_eq!(media_type(hidden), "text/html");
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_table(head in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(!media_type(&head).is_empty());
        }
    }
}
