//! What follows from what, asked of the graph.

use super::*;
use media_contract::facts::VideoFacts;
use media_contract::{AssetId, RunId};

fn now() -> Time {
    "2026-03-01T10:00:00Z".parse().unwrap()
}

fn moving() -> Facts {
    let video: VideoFacts = serde_json::from_value(json!({
        "stream": 0, "codec": "h264", "profile": null, "pixel_format": null, "width": 640,
        "height": 360, "pixel_aspect": [1, 1], "rotation_degrees": 0, "shown_width": 640,
        "shown_height": 360, "frames_per_second": [30, 1], "is_constant_rate": true,
        "is_interlaced": false, "is_hdr": false, "bits_per_second": null, "frames": null,
        "duration_ms": null,
    }))
    .unwrap();
    Facts { video: Some(video), ..Facts::default() }
}

const PROBE: (Step, Option<Lane>) = (Step::Probe, None);
const FAST: (Step, Option<Lane>) = (Step::Transcode, Some(Lane::Fast));
const LADDER: (Step, Option<Lane>) = (Step::Transcode, Some(Lane::Ladder));
const THUMBNAIL: (Step, Option<Lane>) = (Step::Thumbnail, None);
const METADATA: (Step, Option<Lane>) = (Step::Metadata, None);

fn step((name, lane): (Step, Option<Lane>), state: StepState) -> StepRow {
    let reason_code = (state == StepState::Failed).then(|| "unreadable".to_owned());
    StepRow { state, reason_code, ..StepRow::requested(name, lane, now()) }
}

fn done(outcome: Outcome, attempt: i32, may_retry: bool) -> StepDone {
    StepDone {
        asset: AssetId::from(Uuid::nil()),
        run: RunId::from(Uuid::nil()),
        step: Step::Transcode,
        lane: Some(Lane::Ladder),
        attempt,
        outcome,
        reason: Some(Reason { code: "worker".into(), detail: "no luck".into() }),
        may_retry,
        result: json!({ "tracks": [{ "track": "v360" }, { "track": "a0" }] }),
    }
}

use StepState::{Failed, Requested, Running, Succeeded};

#[test]
fn each_step_is_asked_for_once_what_it_needs_is_there() {
    let facts = moving();
    let due = |steps: &[StepRow]| next(steps, Some(&facts)).due;
    assert_eq!(due(&[]), [PROBE]);
    assert_eq!(due(&[step(PROBE, Running)]), []);
    assert_eq!(due(&[step(PROBE, Succeeded)]), [FAST, METADATA]);
    let fast = [step(PROBE, Succeeded), step(FAST, Running), step(METADATA, Succeeded)];
    assert_eq!(due(&fast), []);
    let played = [step(PROBE, Succeeded), step(FAST, Succeeded), step(METADATA, Requested)];
    assert_eq!(due(&played), [THUMBNAIL, LADDER]);
}

#[test]
fn an_asset_can_be_played_before_it_is_ready_and_is_ready_when_all_is_over() {
    let facts = moving();
    let mut steps = vec![step(PROBE, Succeeded), step(FAST, Succeeded), step(METADATA, Succeeded)];
    steps.extend([step(THUMBNAIL, Succeeded), step(LADDER, Running)]);
    let half = next(&steps, Some(&facts));
    assert_eq!((half.is_playable, half.ending), (true, None));
    steps[4].state = Succeeded;
    let whole = next(&steps, Some(&facts));
    assert_eq!(whole.ending, Some(Ending::Ready { is_degraded: false }));
    steps[4].state = Failed;
    let less = next(&steps, Some(&facts));
    assert_eq!(less.ending, Some(Ending::Ready { is_degraded: true }));
}

#[test]
fn without_the_first_two_steps_there_is_nothing_to_play() {
    for steps in [
        vec![step(PROBE, Failed)],
        vec![step(PROBE, Succeeded), step(FAST, Failed), step(METADATA, Running)],
    ] {
        let Some(Ending::Failed(reason)) = next(&steps, Some(&moving())).ending else {
            panic!("{steps:?} is no failure")
        };
        assert_eq!(reason.code, "unreadable");
    }
}

#[test]
fn sound_alone_has_neither_pictures_nor_sizes() {
    let steps = [step(PROBE, Succeeded), step(FAST, Succeeded), step(METADATA, Succeeded)];
    let next = next(&steps, Some(&Facts::default()));
    assert_eq!(next.due, []);
    assert_eq!(next.ending, Some(Ending::Ready { is_degraded: false }));
}

#[test]
fn what_is_told_twice_or_of_an_earlier_attempt_changes_nothing() {
    let mut ladder = step(LADDER, Running);
    assert!(!ladder.take(&done(Outcome::Succeeded, 2, false), now()));
    assert!(ladder.take(&done(Outcome::Succeeded, 1, false), now()));
    let told = ladder.clone();
    assert!(!ladder.take(&done(Outcome::Failed, 1, false), now()));
    assert_eq!(ladder, told);
    assert_eq!(ladder.tracks(), ["v360", "a0"]);
}

#[test]
fn a_step_that_failed_by_bad_luck_is_tried_once_more() {
    let mut ladder = step(LADDER, Running);
    assert!(ladder.take(&done(Outcome::Failed, 1, true), now()));
    assert_eq!((ladder.state, ladder.attempt), (Requested, 2));
    assert!(ladder.take(&done(Outcome::Failed, 2, true), now()));
    assert_eq!((ladder.state, ladder.attempt), (Failed, 2));
    let mut wrong = step(LADDER, Running);
    assert!(wrong.take(&done(Outcome::Failed, 1, false), now()));
    assert_eq!(wrong.state, Failed);
}

#[test]
fn a_title_is_the_files_name_without_what_programs_add() {
    for (file, title) in [
        ("My_Holiday 2026.mp4", "My Holiday 2026"),
        ("C:\\films\\Dr. No.mkv", "Dr. No"),
        ("../../etc/passwd", "passwd"),
        (".mp4", ".mp4"),
        ("   ", "Untitled"),
        ("a\u{0}b.mov", "a b"),
    ] {
        assert_eq!(title_of(file), title, "{file}");
    }
    assert_eq!(title_of(&"x".repeat(300)).chars().count(), TITLE_CHARS_MAX);
}

#[test]
fn a_bar_never_goes_beyond_the_whole() {
    let facts = moving();
    let mut steps = vec![step(PROBE, Succeeded), step(FAST, Running)];
    let at = |steps: &[StepRow]| fraction(steps, Some(&facts), |_| 0.5);
    assert!((at(&steps) - 0.11).abs() < 1e-9, "{}", at(&steps));
    steps = [PROBE, FAST, METADATA, THUMBNAIL, LADDER].map(|it| step(it, Succeeded)).into();
    assert!((at(&steps) - 1.0).abs() < 1e-9);
}
