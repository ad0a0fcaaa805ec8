//! A moving picture in a source: how large it is shown, at which rate, and the filters that bring
//! it upright, square, progressive and to standard dynamic range.

use nexus_media_probe::{Rate, Stream};

/// Rates that cameras and cinemas have.
const STANDARD_RATES: [(u32, u32); 9] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
];
const RATE_MAX: f64 = 60.0;
/// Slower than this is a slide show: players and segments want frames now and then.
const RATE_MIN: f64 = 5.0;
/// What a file's average may be off its nominal rate, as a share.
const RATE_SLACK: f64 = 0.01;
const RATE_UNKNOWN: Rate = Rate { numerator: 25, denominator: 1 };

/// Codecs that may hold two half pictures in one frame; of the others none is looked for.
const MAYBE_INTERLACED: [&str; 9] =
    ["dvvideo", "ffv1", "h264", "mjpeg", "mpeg2video", "mpeg4", "prores", "rawvideo", "vc1"];

/// Pixels, square and upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its number in the file.
    pub stream: u32,
    pub codec: String,
    pub profile: Option<String>,
    pub pixel_format: Option<String>,
    /// Pixels as they are stored.
    pub width: u32,
    pub height: u32,
    /// As it is shown.
    pub shown: Size,
    pub rotation_degrees: u16,
    pub pixel_aspect: Rate,
    /// The constant rate that fits it.
    pub rate: Rate,
    /// None where the file does not say.
    pub is_interlaced: Option<bool>,
    /// PQ or HLG.
    pub is_hdr: bool,
    /// How long after the film's beginning it begins.
    pub late_ms: i64,
    pub duration_ms: Option<u64>,
    /// ffmpeg's word for the coefficients of its colours.
    matrix: &'static str,
}

impl Picture {
    /// `start_ms` is when the film begins by the file's clock. None for what cannot be decoded.
    pub(crate) fn of(stream: &Stream, start_ms: i64) -> Option<Self> {
        let (width, height) = (stream.width?, stream.height?);
        let codec = stream.codec.clone()?;
        if width == 0 || height == 0 {
            return None;
        }
        let color = stream.color.clone().unwrap_or_default();
        let pixel_aspect = stream.pixel_aspect.filter(is_sane_aspect).unwrap_or(SQUARE);
        let rotation_degrees = stream.rotation_degrees.unwrap_or(0);
        let is_hdr = matches!(color.transfer.as_deref(), Some("smpte2084" | "arib-std-b67"));
        Some(Self {
            stream: stream.index,
            shown: shown(width, height, pixel_aspect, rotation_degrees),
            rate: nominal(stream.frames_per_second, stream.nominal_rate),
            is_interlaced: match stream.interlaced {
                None if !MAYBE_INTERLACED.contains(&codec.as_str()) => Some(false),
                told => told,
            },
            late_ms: stream.start_ms.unwrap_or(start_ms) - start_ms,
            duration_ms: stream.duration_ms,
            matrix: matrix(color.matrix.as_deref(), height),
            profile: stream.profile.clone(),
            pixel_format: stream.pixel_format.clone(),
            codec,
            width,
            height,
            rotation_degrees,
            pixel_aspect,
            is_hdr,
        })
    }

    /// Its size at a height, even in both directions; never larger than the source.
    pub fn size_at(&self, height: u32) -> Size {
        let Size { width: full, height: most } = self.shown;
        let height = height.min(most);
        let width = u64::from(full) * u64::from(height) + u64::from(most) / 2;
        let width = u32::try_from(width / u64::from(most.max(1))).unwrap_or(full);
        Size { width: even(width.min(full)), height: even(height) }
    }

    /// Filters that make frames of half pictures; empty where there are none.
    pub fn deinterlacing(&self) -> Option<&'static str> {
        match self.is_interlaced {
            Some(true) => Some("bwdif=mode=send_frame:deint=all"),
            // Frames say it of themselves.
            None => Some("bwdif=mode=send_frame:deint=interlaced"),
            Some(false) => None,
        }
    }

    /// Filters that bring it to standard dynamic range, at most at `size`: floating point on every
    /// pixel is dear. None where it is there already.
    pub fn tone_mapping(&self, size: Size) -> Option<String> {
        let Size { width, height } = size;
        self.is_hdr.then(|| {
            format!(
                "zscale=w={width}:h={height}:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
                 tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
            )
        })
    }

    /// Filters that scale it, as H.264 wants it. Stand behind [`Picture::tone_mapping`].
    pub fn scaling(&self, size: Size) -> String {
        let matrix = if self.is_hdr { "bt709" } else { self.matrix };
        let Size { width, height } = size;
        format!(
            "scale=w={width}:h={height}:flags=bicubic+accurate_rnd:in_color_matrix={matrix}:\
             out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p"
        )
    }
}

const SQUARE: Rate = Rate { numerator: 1, denominator: 1 };

/// Beyond this a file makes fun of us.
fn is_sane_aspect(aspect: &Rate) -> bool {
    (0.1..=10.0).contains(&value(*aspect))
}

fn value(rate: Rate) -> f64 {
    f64::from(rate.numerator) / f64::from(rate.denominator)
}

fn even(side: u32) -> u32 {
    (side & !1).max(2)
}

fn shown(width: u32, height: u32, aspect: Rate, rotation: u16) -> Size {
    // The longer way, so that nothing is lost: wide pixels make it wider, tall ones taller.
    let stretch = value(aspect);
    let (width, height) = match stretch >= 1.0 {
        true => ((f64::from(width) * stretch).round() as u32, height),
        false => (width, (f64::from(height) / stretch).round() as u32),
    };
    match rotation {
        90 | 270 => Size { width: height, height: width },
        _ => Size { width, height },
    }
}

/// What untagged pictures mean by their colours: small ones are of the time of tubes.
fn matrix(told: Option<&str>, height: u32) -> &'static str {
    match told {
        Some("bt709") => "bt709",
        Some("smpte170m" | "bt470bg") => "bt601",
        Some("smpte240m") => "smpte240m",
        Some("fcc") => "fcc",
        Some("bt2020nc" | "bt2020c") => "bt2020",
        _ if height >= 720 => "bt709",
        _ => "bt601",
    }
}

/// The constant rate for a film, from its average and from what its frames' times are multiples
/// of.
fn nominal(average: Option<Rate>, base: Option<Rate>) -> Rate {
    let near = |rate: Rate, to: f64| (value(rate) / to - 1.0).abs() <= RATE_SLACK;
    let sane = |rate: &Rate| (RATE_MIN..=RATE_MAX + 0.01).contains(&value(*rate));
    let Some(average) = average.or(base) else { return RATE_UNKNOWN };
    let mean = value(average);
    if let Some(base) = base.filter(sane).filter(|base| near(*base, mean)) {
        return base;
    }
    let standard = STANDARD_RATES.map(|(numerator, denominator)| Rate { numerator, denominator });
    // A film that drops frames now and then has a lower average than its rate.
    let off = |rate: &Rate| (value(*rate) - mean).abs();
    let known = standard.into_iter().filter(|rate| near(*rate, mean));
    let known = known.min_by(|a, b| off(a).total_cmp(&off(b)));
    let whole = mean.clamp(RATE_MIN, RATE_MAX).round() as u32;
    known.unwrap_or(Rate { numerator: whole, denominator: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_film_gets_the_rate_that_fits_it() {
        let rate = |numerator, denominator| Some(Rate { numerator, denominator });
        let table = [
            (rate(30_000, 1001), rate(30_000, 1001), (30_000, 1001)),
            // A telephone that drops a frame now and then.
            (rate(17_969, 600), rate(30, 1), (30, 1)),
            (rate(24, 1), rate(1000, 1), (24, 1)),
            (rate(120, 1), rate(120, 1), (60, 1)),
            (rate(1, 10), rate(1, 10), (5, 1)),
            (rate(15, 1), rate(15, 1), (15, 1)),
            (None, None, (25, 1)),
            (rate(2997, 100), rate(90_000, 1), (30_000, 1001)),
            (rate(41, 2), rate(1000, 1), (21, 1)),
        ];
        for (average, base, expected) in table {
            let found = nominal(average, base);
            let found = (found.numerator, found.denominator);
            assert_eq!(found, expected, "{average:?} {base:?}");
        }
    }

    #[test]
    fn a_picture_is_measured_as_it_is_shown() {
        let aspect = |numerator, denominator| Rate { numerator, denominator };
        let of = |w, h, aspect, turned| {
            let Size { width, height } = shown(w, h, aspect, turned);
            (width, height)
        };
        assert_eq!(of(720, 576, aspect(64, 45), 0), (1024, 576));
        assert_eq!(of(1920, 1080, SQUARE, 90), (1080, 1920));
        assert_eq!(of(1440, 1080, aspect(4, 3), 270), (1080, 1920));
        assert_eq!(of(720, 480, aspect(8, 9), 0), (720, 540));
    }
}
