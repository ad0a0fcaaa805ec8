//! What a player tells of how it went, in batches. A batch has an id of the player's, so that one
//! that is sent again counts once; a playback is named, and counts only when it is the teller's.

use crate::measures::{Measures, Told};
use crate::store;
use media_contract::PlaybackId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    BeaconEvents = 422, "a batch takes 1 to 200 events";
    BeaconWord = 422, "a device and a code are 0 to 40 of a-z, 0-9 and dash"
}

/// More than a player sees in a minute.
pub const EVENTS_MAX: usize = 200;
const WORD_MAX: usize = 40;

pub fn router() -> Router {
    Router::new().route("/beacons", post(take))
}

/// What a player has seen since it told last.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Made by the player: a batch that comes twice counts once.
    id: Uuid,
    playback: PlaybackId,
    /// The name of a device profile.
    #[serde(default)]
    device: String,
    events: Vec<Told>,
}

fn is_word(word: &str) -> bool {
    let letter = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    word.len() <= WORD_MAX && word.bytes().all(letter)
}

async fn take(by: SignedIn, Json(batch): Json<Batch>) -> Result<NoContent> {
    if !(1..=EVENTS_MAX).contains(&batch.events.len()) {
        return Err(BeaconEvents.at("events").into());
    }
    if !is_word(&batch.device) {
        return Err(BeaconWord.at("device").into());
    }
    if let Some(at) = batch.events.iter().position(|it| !is_word(&it.code)) {
        return Err(BeaconWord.at(format!("events/{at}/code")).into());
    }
    let beacon = store::beacons::Beacon {
        id: by.new_id(),
        batch_id: batch.id,
        playback_id: batch.playback,
        viewer_id: crate::viewer(&by)?,
        device: batch.device,
        measures: Json(Measures::of(&batch.events)),
        received_at: by.now(),
    };
    by.commit(store::beacons::insert(&beacon)).await
}

#[test]
fn a_word_is_short_and_plain() {
    for (word, is) in [("", true), ("tv-4k", true), ("Web", false), ("a b", false), ("é", false)] {
        assert_eq!(is_word(word), is, "{word}");
    }
    assert!(!is_word(&"a".repeat(41)));
}
