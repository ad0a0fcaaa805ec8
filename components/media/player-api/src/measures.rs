//! What players tell, and what it comes to. Numbers of others are bounded before they are added:
//! whoever lies about a playback of theirs changes an average a little, and overflows nothing.
//! Pure.

use nexus_sdk::prelude::*;

/// Longest that anything of a playback lasts: a day.
const MS_MAX: i64 = 86_400_000;
/// No picture takes more than a gigabit a second.
const KBPS_MAX: i64 = 1_000_000;
/// A thousand hours of sixty pictures a second.
const FRAMES_MAX: i64 = 216_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody wants to see something.
    Start,
    /// The first picture is there: `ms` after `start`.
    FirstFrame,
    /// It stood still for `ms`, without being asked to.
    Stall,
    /// Another size: `height`, `kbps`.
    Rung,
    /// It cannot go on (`fatal`), or could: `code`.
    Error,
    /// What happened since the last one: `played_ms`, `kbps`, `frames`, `dropped`, `cmcd`.
    Sample,
    /// The player is closed.
    End,
}

/// Something that a player has seen. Which of the numbers there are depends on its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Told {
    pub kind: Kind,
    /// Where in the film.
    #[serde(default)]
    pub position_ms: i64,
    #[serde(default)]
    pub ms: i64,
    #[serde(default)]
    pub played_ms: i64,
    #[serde(default)]
    pub kbps: i64,
    #[serde(default)]
    pub height: i64,
    #[serde(default)]
    pub frames: i64,
    #[serde(default)]
    pub dropped: i64,
    /// Of an error: a word, `network`, `media`, `denied`, …
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub fatal: bool,
    #[serde(default)]
    pub cmcd: Option<Cmcd>,
}

/// Keys of CTA-5004 (Common Media Client Data, version 1), as requests for segments have them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cmcd {
    /// Encoded bitrate, kb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub br: Option<i64>,
    /// Buffer length, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bl: Option<i64>,
    /// Buffer starvation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bs: Option<bool>,
    /// Measured throughput, kb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtp: Option<i64>,
    /// Top bitrate, kb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tb: Option<i64>,
    /// Playback rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<f64>,
    /// `d` (DASH) or `h` (HLS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sf: Option<String>,
    /// `v` (on demand) or `l` (live).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub st: Option<String>,
}

/// What many players told, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Measures {
    /// Somebody wanted to see something.
    pub plays: i64,
    /// … and saw it, after `startup_ms` in sum.
    pub first_frames: i64,
    pub startup_ms: i64,
    /// Of the first pictures, those that were there so soon.
    pub within_500_ms: i64,
    pub within_1000_ms: i64,
    pub within_2000_ms: i64,
    pub within_4000_ms: i64,
    /// Ended by an error before the first picture, and after it.
    pub failures: i64,
    pub errors: i64,
    /// Closed before the first picture.
    pub left_early: i64,
    pub stalls: i64,
    pub stall_ms: i64,
    pub played_ms: i64,
    pub rung_changes: i64,
    /// Of what was played: kb/s times seconds.
    pub kilobits: i64,
    pub frames: i64,
    pub frames_dropped: i64,
    /// Sum of measured throughputs, and how many there are.
    pub throughput_kbps: i64,
    pub throughputs: i64,
    /// Buffers that ran empty.
    pub starved: i64,
}

impl Measures {
    /// What a batch of one player comes to.
    pub fn of(told: &[Told]) -> Measures {
        let mut sum = Measures::default();
        // Whether the first picture has come may be known from an earlier batch only; then this one
        // has no `start` either.
        let waits = told.iter().any(|it| it.kind == Kind::Start);
        let seen =
            |upto: usize| !waits || told[..upto].iter().any(|it| it.kind == Kind::FirstFrame);
        for (at, it) in told.iter().enumerate() {
            sum.take(it, seen(at));
        }
        sum
    }

    fn take(&mut self, it: &Told, seen: bool) {
        let ms = it.ms.clamp(0, MS_MAX);
        match it.kind {
            Kind::Start => self.plays += 1,
            Kind::FirstFrame => {
                self.first_frames += 1;
                self.startup_ms += ms;
                self.within_500_ms += i64::from(ms <= 500);
                self.within_1000_ms += i64::from(ms <= 1000);
                self.within_2000_ms += i64::from(ms <= 2000);
                self.within_4000_ms += i64::from(ms <= 4000);
            }
            Kind::Stall => {
                self.stalls += 1;
                self.stall_ms += ms;
            }
            Kind::Rung => self.rung_changes += 1,
            Kind::Error if !it.fatal => {}
            Kind::Error if seen => self.errors += 1,
            Kind::Error => self.failures += 1,
            Kind::Sample => self.sample(it),
            Kind::End => self.left_early += i64::from(!seen),
        }
    }

    fn sample(&mut self, it: &Told) {
        let played = it.played_ms.clamp(0, MS_MAX);
        let frames = it.frames.clamp(0, FRAMES_MAX);
        self.played_ms += played;
        self.kilobits += it.kbps.clamp(0, KBPS_MAX) * played / 1000;
        self.frames += frames;
        self.frames_dropped += it.dropped.clamp(0, frames);
        let Some(cmcd) = &it.cmcd else { return };
        if let Some(throughput) = cmcd.mtp {
            self.throughput_kbps += throughput.clamp(0, KBPS_MAX);
            self.throughputs += 1;
        }
        self.starved += i64::from(cmcd.bs == Some(true));
    }

    #[must_use]
    pub fn plus(self, other: Measures) -> Measures {
        Measures {
            plays: self.plays + other.plays,
            first_frames: self.first_frames + other.first_frames,
            startup_ms: self.startup_ms + other.startup_ms,
            within_500_ms: self.within_500_ms + other.within_500_ms,
            within_1000_ms: self.within_1000_ms + other.within_1000_ms,
            within_2000_ms: self.within_2000_ms + other.within_2000_ms,
            within_4000_ms: self.within_4000_ms + other.within_4000_ms,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            left_early: self.left_early + other.left_early,
            stalls: self.stalls + other.stalls,
            stall_ms: self.stall_ms + other.stall_ms,
            played_ms: self.played_ms + other.played_ms,
            rung_changes: self.rung_changes + other.rung_changes,
            kilobits: self.kilobits + other.kilobits,
            frames: self.frames + other.frames,
            frames_dropped: self.frames_dropped + other.frames_dropped,
            throughput_kbps: self.throughput_kbps + other.throughput_kbps,
            throughputs: self.throughputs + other.throughputs,
            starved: self.starved + other.starved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(kind: Kind) -> Told {
        serde_json::from_value(json!({ "kind": kind })).unwrap()
    }

    fn first_frame(ms: i64) -> Told {
        Told { ms, ..told(Kind::FirstFrame) }
    }

    #[test]
    fn a_first_picture_counts_in_every_span_that_it_came_within() {
        let sum = Measures::of(&[told(Kind::Start), first_frame(900)]);
        assert_eq!((sum.plays, sum.first_frames, sum.startup_ms), (1, 1, 900));
        let within = [sum.within_500_ms, sum.within_1000_ms, sum.within_2000_ms];
        assert_eq!(within, [0, 1, 1]);
    }

    #[test]
    fn an_error_before_the_first_picture_is_a_failure_and_a_later_one_is_an_error() {
        let fatal = Told { fatal: true, ..told(Kind::Error) };
        let early = Measures::of(&[told(Kind::Start), fatal.clone()]);
        assert_eq!((early.failures, early.errors), (1, 0));
        let late = Measures::of(&[told(Kind::Start), first_frame(100), fatal.clone()]);
        assert_eq!((late.failures, late.errors), (0, 1));
        // Of a later batch.
        assert_eq!(Measures::of(&[fatal]).errors, 1);
        // What the player has got over is nothing that a viewer has seen.
        assert_eq!(Measures::of(&[told(Kind::Error)]), Measures::default());
    }

    #[test]
    fn whoever_closes_before_the_first_picture_has_left_early() {
        assert_eq!(Measures::of(&[told(Kind::Start), told(Kind::End)]).left_early, 1);
        let seen = [told(Kind::Start), first_frame(1), told(Kind::End)];
        assert_eq!(Measures::of(&seen).left_early, 0);
        assert_eq!(Measures::of(&[told(Kind::End)]).left_early, 0);
    }

    #[test]
    fn a_sample_weighs_its_bitrate_by_what_was_played() {
        let cmcd = Some(Cmcd { mtp: Some(8000), bs: Some(true), ..Cmcd::default() });
        let sample = Told { played_ms: 2500, kbps: 2000, cmcd, ..told(Kind::Sample) };
        let sum = Measures::of(&[sample]);
        assert_eq!((sum.kilobits, sum.throughput_kbps, sum.throughputs), (5000, 8000, 1));
        assert_eq!(sum.starved, 1);
    }

    fn any_told() -> impl Strategy<Value = Told> {
        let kinds = [
            Kind::Start,
            Kind::FirstFrame,
            Kind::Stall,
            Kind::Rung,
            Kind::Error,
            Kind::Sample,
            Kind::End,
        ];
        let number = any::<i64>;
        let numbers = (number(), number(), number(), number(), number(), any::<bool>());
        (0..kinds.len(), numbers).prop_map(
            move |(kind, (ms, played_ms, kbps, frames, dropped, fatal))| {
                let cmcd = Some(Cmcd { mtp: Some(kbps), bs: Some(fatal), ..Cmcd::default() });
                Told { ms, played_ms, kbps, frames, dropped, fatal, cmcd, ..told(kinds[kind]) }
            },
        )
    }

    proptest! {
        #[test]
        fn no_player_makes_a_sum_overflow_or_shrink(
            all in prop::collection::vec(any_told(), 0..200),
        ) {
            let sum = Measures::of(&all);
            let json = serde_json::to_value(sum).unwrap();
            for (name, value) in json.as_object().unwrap() {
                prop_assert!(value.as_i64().unwrap() >= 0, "{name}");
            }
            prop_assert!(sum.frames_dropped <= sum.frames);
            prop_assert!(sum.within_500_ms <= sum.within_4000_ms);
            prop_assert!(sum.within_4000_ms <= sum.first_frames);
            // A year of such batches fits as well.
            prop_assert!(sum.kilobits < i64::MAX / 1_000_000);
        }

        #[test]
        fn the_order_in_which_batches_arrive_changes_nothing(
            one in prop::collection::vec(any_told(), 0..20),
            other in prop::collection::vec(any_told(), 0..20),
        ) {
            let (one, other) = (Measures::of(&one), Measures::of(&other));
            prop_assert_eq!(one.plus(other), other.plus(one));
        }
    }
}
