//! Sizes, lengths and reasons as people say them. Pure.

use crate::film::Reason;

/// "24.3 MB": units of a thousand, as file managers count.
pub fn bytes(bytes: i64) -> String {
    let mut amount = bytes.max(0) as f64;
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    while amount >= 1000.0 && unit + 1 < units.len() {
        amount /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{amount:.0} {}", units[unit]),
        _ if amount < 10.0 => format!("{amount:.1} {}", units[unit]),
        _ => format!("{amount:.0} {}", units[unit]),
    }
}

/// "1:02:03" of milliseconds.
pub fn length(ms: i64) -> String {
    let seconds = (ms.max(0) + 500) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// What a step of processing is called.
pub fn step(name: &str, lane: &str) -> &'static str {
    match (name, lane) {
        ("probe", _) => "Looking inside",
        ("metadata", _) => "Reading what it says of itself",
        ("transcode", "fast") => "First version to watch",
        ("transcode", _) => "Every size",
        ("thumbnail", _) => "Pictures",
        _ => "More work",
    }
}

/// Why a film did not come about: what is the matter, and what its owner can do.
pub fn reason(reason: &Reason) -> (&'static str, &'static str) {
    match reason.code.as_str() {
        "empty" => (
            "The file is empty.",
            "It may not have been saved yet when it was uploaded. Upload it again.",
        ),
        "no-media-streams" => (
            "There is no picture and no sound in it.",
            "It may be another kind of file with a film's name. Upload the film itself.",
        ),
        "unreadable" => (
            "We could not read it.",
            "It may be damaged, or protected against copying. Export it again, as MP4 if you can.",
        ),
        "truncated" => (
            "The file breaks off before its beginning can be read.",
            "It may not have been written to its end. Export it again and upload that.",
        ),
        "unsupported-codec" => (
            "It is encoded in a way that we cannot play.",
            "Export it with H.264, H.265, VP9 or AV1, and AAC or Opus for the sound.",
        ),
        "too-long" => {
            ("It is longer than we can process.", "Cut it into parts and make a series of them.")
        }
        "too-large" => {
            ("Its picture is larger than we can process.", "Export it in 4K or smaller.")
        }
        "too-many-streams" => (
            "There are more tracks in it than we can process.",
            "Export it with one picture and the sound tracks that you need.",
        ),
        "cancelled" => ("It was stopped.", "Try again whenever you like."),
        _ => (
            "Something went wrong on our side.",
            "Try again. If it stays, tell us the words below.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_lengths_are_short() {
        for (amount, said) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (24_300_000, "24 MB"),
            (1_500_000_000, "1.5 GB"),
            (-5, "0 bytes"),
        ] {
            assert_eq!(bytes(amount), said);
        }
        for (ms, said) in [(0, "0:00"), (9_499, "0:09"), (61_000, "1:01"), (3_723_000, "1:02:03")] {
            assert_eq!(length(ms), said);
        }
    }

    #[test]
    fn every_reason_that_a_worker_knows_has_words_of_its_own() {
        let of = |code: &str| reason(&Reason { code: code.into(), detail: String::new() }).0;
        let unknown = of("a-code-that-nobody-has");
        for code in [
            "empty",
            "no-media-streams",
            "too-large",
            "too-long",
            "too-many-streams",
            "truncated",
            "unreadable",
            "unsupported-codec",
        ] {
            assert_ne!(of(code), unknown, "{code}");
        }
    }
}
