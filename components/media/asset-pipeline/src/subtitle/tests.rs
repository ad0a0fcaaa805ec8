//! Files as people have them, and what becomes of them.

use super::*;
use proptest::prelude::*;

fn vtt(text: &str) -> String {
    Subtitles::read(text.as_bytes()).unwrap().vtt()
}

fn refused(text: &str) -> String {
    let refusal = Subtitles::read(text.as_bytes()).unwrap_err();
    assert_eq!(refusal.name, "SubtitleBroken");
    format!("{refusal:?}")
}

#[test]
fn subrip_becomes_webvtt_in_its_order() {
    let told = "\u{feff}2\r\n00:00:03,000 --> 00:00:04,000\r\n\
                {\\an8}<font color=\"red\">Later</font>\r\n\r\n\
                1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello,\r\nworld & <b>all</i>\r\n\r\n";
    let subtitles = Subtitles::read(told.as_bytes()).unwrap();
    assert_eq!((subtitles.format, subtitles.encoding), (Format::Srt, Encoding::Utf8));
    assert_eq!((subtitles.len(), subtitles.end_ms()), (2, 4_000));
    assert_eq!(
        subtitles.vtt(),
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\n<i>Hello,\nworld &amp; <b>all</b></i>\n\n\
         00:00:03.000 --> 00:00:04.000\nLater\n"
    );
}

#[test]
fn webvtt_keeps_its_places_and_loses_what_could_act() {
    let told = "WEBVTT - of a film\nKind: captions\n\n\
                STYLE\n::cue { background: url(https://x) }\n\n\
                NOTE a --> b\nmore\n\nintro\n00:01.000 --> 00:02.000 align:start line:10% bad:1 \
                region:x\n<v.loud Ada>Hi</v> <script>alert(1)</script> a < b --> <00:01.500>c\n\n\
                00:03.000 --> 00:04.000\n<i></i>\n";
    assert_eq!(
        vtt(told),
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000 align:start line:10%\n\
         <v.loud Ada>Hi</v> alert(1) a &lt; b --&gt; c\n"
    );
}

#[test]
fn each_line_that_is_wrong_is_named() {
    let told = "1\n00:00:01,000 --> 00:00:02,000\nfine\n\n\
                2\n00:00:05,000 --> 00:00:04,000\nback\n\n\
                three\nno time at all\n\n4\n00:00:9x,000 --> 00:00:10,000\nodd\n";
    let refusal = refused(told);
    for words in ["line 6: it ends before", "line 9: a time", "line 13: a time", "#/line/13"] {
        assert!(refusal.contains(words), "{words} in {refusal}");
    }
    assert!(!refusal.contains("line 2:"), "{refusal}");
}

#[test]
fn what_says_nothing_is_no_subtitles() {
    for told in ["", "\n\n", "WEBVTT\n", "WEBVTT\n\nNOTE only this\n"] {
        assert!(refused(told).contains("not one subtitle"), "{told:?}");
    }
    assert!(refused("Once upon a time").contains("line 1: a time"));
    // The word must stand alone.
    assert!(refused("WEBVTTX\n\n").contains("line 1: a time"));
    let large = vec![b'a'; BYTES_MAX + 1];
    assert_eq!(Subtitles::read(&large).unwrap_err(), SubtitleTooLarge);
}

#[test]
fn a_file_of_another_encoding_reads_the_same() {
    let told = "1\n00:00:01,000 --> 00:00:02,000\nGrüße\n";
    let wide: Vec<u8> = told.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let narrow: Vec<u8> = told.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for (bytes, encoding) in [(wide, Encoding::Utf16), (narrow, Encoding::Latin1)] {
        let read = Subtitles::read(&bytes).unwrap();
        assert_eq!((read.vtt(), read.encoding), (vtt(told), encoding));
    }
}

/// Words as people write them, with all that could be taken for a mark.
fn words() -> impl Strategy<Value = String> {
    "[a-zß<>&;/{}.\\\\\\-: \n]{1,40}"
}

proptest! {
    #[test]
    fn whatever_comes_is_refused_or_becomes_webvtt_that_reads_as_itself(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(read) = Subtitles::read(&bytes) {
            let again = read.vtt();
            prop_assert_eq!(Subtitles::read(again.as_bytes()).unwrap().vtt(), again);
        }
    }

    #[test]
    fn words_survive_once_they_are_clean(
        cues in prop::collection::vec((0..90_000_000i64, 1..60_000i64, words()), 1..20),
        as_vtt in any::<bool>(),
    ) {
        let mut told = String::from(if as_vtt { "WEBVTT\n\n" } else { "" });
        for (start, length, text) in cues {
            let text = text.replace("-->", "").replace("\n\n", "\n");
            let (from, to) = (time::written(start), time::written(start + length));
            told += &format!("{from} --> {to}\nx{text}\n\n");
        }
        // A line of blanks within words ends them, and what follows has no time.
        let Ok(read) = Subtitles::read(told.as_bytes()) else { return Ok(()) };
        let clean = read.vtt();
        prop_assert!(clean.lines().all(|line| line.matches("-->").count() <= 1));
        let again = Subtitles::read(clean.as_bytes()).unwrap();
        prop_assert_eq!(again.len(), read.len());
        prop_assert_eq!(again.vtt(), clean);
    }
}
