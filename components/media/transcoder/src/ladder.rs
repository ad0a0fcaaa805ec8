//! Sizes: which of a profile fit a source. A size is named by its short side, so that a picture
//! that stands upright gets the same ones as one that lies. Pure.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    RungCount = 422, "a profile takes 1 to 8 sizes";
    RungSide = 422, "a side takes an even number from 90 to 2160, each of them once";
    RungRate = 422, "a rate takes 50000 to 60000000 bits a second, more for more points";
    RungFrames = 422, "fps_max takes 10 to 60";
    Quality = 422, "crf takes 15 to 40";
    PresetUnknown = 422, "there is no such preset: ultrafast to slow, as x264 has them"
}

const RUNGS: std::ops::RangeInclusive<usize> = 1..=8;
const SIDES: std::ops::RangeInclusive<i32> = 90..=2160;
const RATES: std::ops::RangeInclusive<i64> = 50_000..=60_000_000;
const PRESETS: [&str; 7] =
    ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"];
/// A source that is so much larger than the largest size that fits gets its own size, too.
const OWN_SIZE_FROM: f64 = 1.15;
/// Of the first tracks: what a telephone shows well, and a processor makes in no time.
const FAST_SIDE: i32 = 480;
const FAST_RATE: i64 = 1_400_000;

/// One size of the picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// The short one, in points.
    pub side: i32,
    /// At no time more than this, held over two seconds.
    pub maxrate_bps: i64,
    /// Every second frame where the source has more.
    #[serde(default)]
    pub fps_max: Option<i32>,
}

/// All sizes of a profile and how they are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// Constant quality, smaller is better.
    pub crf: i32,
    /// How much work goes into few bits.
    pub preset: String,
    /// Smallest first.
    pub rungs: Vec<Rung>,
}

/// Built-in profiles. `standard` follows the sizes and rates of Apple's authoring specification
/// for HLS.
pub const BUILT_IN: [&str; 3] = ["standard", "compact", "uhd"];

pub fn built_in(name: &str) -> Option<Ladder> {
    let rung = |(side, maxrate_bps, fps_max)| Rung { side, maxrate_bps, fps_max };
    let standard = [
        (234, 145_000, Some(30)),
        (360, 365_000, Some(30)),
        (432, 1_100_000, Some(30)),
        (540, 2_000_000, None),
        (720, 4_500_000, None),
        (1080, 7_800_000, None),
    ];
    let rungs: Vec<Rung> = match name {
        "standard" => standard.map(rung).into(),
        "compact" => [(360, 600_000, Some(30)), (720, 3_000_000, None)].map(rung).into(),
        "uhd" => {
            let more = [(1440, 13_000_000, None), (2160, 22_000_000, None)];
            standard.into_iter().chain(more).map(rung).collect()
        }
        _ => return None,
    };
    Some(Ladder { crf: 23, preset: "veryfast".into(), rungs })
}

/// No sizes at all, for what needs none.
pub fn none() -> Ladder {
    Ladder { crf: 23, preset: "veryfast".into(), rungs: Vec::new() }
}

impl Ladder {
    pub fn check(&self) -> Result<(), Refusal> {
        if !RUNGS.contains(&self.rungs.len()) {
            return Err(RungCount.at("ladder/rungs"));
        }
        for (at, rung) in self.rungs.iter().enumerate() {
            let earlier = at.checked_sub(1).and_then(|earlier| self.rungs.get(earlier));
            let field = |name: &str| format!("ladder/rungs/{at}/{name}");
            let grows = earlier.is_none_or(|earlier| earlier.side < rung.side);
            if !SIDES.contains(&rung.side) || rung.side % 2 != 0 || !grows {
                return Err(RungSide.at(field("side")));
            }
            let dearer = earlier.is_none_or(|earlier| earlier.maxrate_bps < rung.maxrate_bps);
            if !RATES.contains(&rung.maxrate_bps) || !dearer {
                return Err(RungRate.at(field("maxrate_bps")));
            }
            if rung.fps_max.is_some_and(|most| !(10..=60).contains(&most)) {
                return Err(RungFrames.at(field("fps_max")));
            }
        }
        if !(15..=40).contains(&self.crf) {
            return Err(Quality.at("ladder/crf"));
        }
        match PRESETS.contains(&self.preset.as_str()) {
            true => Ok(()),
            false => Err(PresetUnknown.at("ladder/preset")),
        }
    }

    /// The sizes that a source with this short side gets: none above it, and its own where that is
    /// well above the largest that fits.
    pub fn fit(&self, source_side: i32) -> Vec<Rung> {
        let own = even(source_side);
        let mut fit: Vec<Rung> =
            self.rungs.iter().filter(|rung| rung.side <= own).cloned().collect();
        let largest = fit.last().map_or(0, |rung| rung.side);
        let above = self.rungs.iter().find(|rung| rung.side > own);
        if let Some(above) = above
            && f64::from(own) >= f64::from(largest) * OWN_SIZE_FROM
        {
            let maxrate_bps = scaled(above.maxrate_bps, own, above.side);
            fit.push(Rung { side: own, maxrate_bps, fps_max: above.fps_max });
        }
        fit
    }
}

/// The size that is made first.
pub fn fast(source_side: i32) -> Rung {
    let side = even(source_side.min(FAST_SIDE));
    Rung { side, maxrate_bps: scaled(FAST_RATE, side, FAST_SIDE), fps_max: Some(30) }
}

/// A rate for fewer points, by their number.
fn scaled(rate: i64, side: i32, of_side: i32) -> i64 {
    let (side, of_side) = (i64::from(side), i64::from(of_side));
    (rate * side * side / (of_side * of_side)).max(*RATES.start())
}

/// Encoders count points in pairs.
pub fn even(side: i32) -> i32 {
    (side / 2 * 2).max(2)
}

/// Width and height of a picture whose short side is `side`.
pub fn size(shown: (i32, i32), side: i32) -> (i32, i32) {
    let (width, height) = (i64::from(shown.0.max(1)), i64::from(shown.1.max(1)));
    let short = width.min(height);
    let long = (width.max(height) * i64::from(side) + short) / (2 * short) * 2;
    let long = i32::try_from(long).unwrap_or(i32::MAX).max(side);
    if width <= height { (side, long) } else { (long, side) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(profile: &str, source: i32) -> Vec<i32> {
        let fit = built_in(profile).unwrap().fit(source);
        fit.into_iter().map(|rung| rung.side).collect()
    }

    #[test]
    fn no_size_is_above_the_source() {
        assert_eq!(sides("standard", 1080), [234, 360, 432, 540, 720, 1080]);
        assert_eq!(sides("standard", 2160), [234, 360, 432, 540, 720, 1080]);
        assert_eq!(sides("uhd", 2160).last(), Some(&2160));
        assert_eq!(sides("standard", 1079), [234, 360, 432, 540, 720, 1078]);
        assert_eq!(sides("standard", 480), [234, 360, 432]);
        assert_eq!(sides("standard", 180), [180]);
        assert_eq!(sides("standard", 1), [2]);
    }

    #[test]
    fn a_size_between_two_costs_what_lies_between_them() {
        let fit = built_in("standard").unwrap().fit(1000);
        let own = fit.last().unwrap();
        assert_eq!(own.side, 1000);
        assert!((4_500_000..7_800_000).contains(&own.maxrate_bps), "{own:?}");
    }

    #[test]
    fn a_picture_keeps_its_form_and_has_even_sides() {
        for (shown, side, size) in [
            ((1920, 1080), 720, (1280, 720)),
            ((1080, 1920), 720, (720, 1280)),
            ((1920, 1080), 234, (416, 234)),
            ((1024, 576), 360, (640, 360)),
            ((641, 359), 234, (418, 234)),
            ((100, 100), 90, (90, 90)),
            ((2, 20_000), 2, (2, 20_000)),
        ] {
            assert_eq!(super::size(shown, side), size, "{shown:?} at {side}");
        }
    }

    #[test]
    fn the_first_size_is_small_and_never_above_the_source() {
        assert_eq!((fast(1080).side, fast(360).side, fast(1).side), (480, 360, 2));
        assert!(fast(360).maxrate_bps < fast(480).maxrate_bps);
    }

    #[test]
    fn built_in_profiles_keep_their_own_rules() {
        for name in BUILT_IN {
            assert_eq!(built_in(name).unwrap().check(), Ok(()), "{name}");
        }
        assert_eq!(built_in("none"), None);
    }

    #[test]
    fn a_profile_that_makes_no_sense_is_refused() {
        let name = |change: fn(&mut Ladder)| {
            let mut ladder = built_in("standard").unwrap();
            change(&mut ladder);
            ladder.check().err().map(|refusal| refusal.name)
        };
        assert_eq!(name(|ladder| ladder.rungs.clear()), Some("RungCount"));
        assert_eq!(name(|ladder| ladder.rungs[1].side = 233), Some("RungSide"));
        assert_eq!(name(|ladder| ladder.rungs[1].side = 234), Some("RungSide"));
        assert_eq!(name(|ladder| ladder.rungs[1].maxrate_bps = 145_000), Some("RungRate"));
        assert_eq!(name(|ladder| ladder.rungs[0].fps_max = Some(9)), Some("RungFrames"));
        assert_eq!(name(|ladder| ladder.crf = 51), Some("Quality"));
        assert_eq!(name(|ladder| ladder.preset = "placebo".into()), Some("PresetUnknown"));
    }
}
