//! What is protected, by how many keys, and what has to be done for that. Pure.

use media_contract::drm::Protection;
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// Lines of the largest picture of a class.
const SD_LINES: u16 = 480;
const HD_LINES: u16 = 1080;

/// Tracks that share a key: who may have a small picture has no key of a large one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Audio,
    Sd,
    Hd,
    Uhd,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Audio, Class::Sd, Class::Hd, Class::Uhd];

    /// Of a track by its name: `a0`, `v720`, `f480`.
    pub fn of(track: &str) -> Class {
        match lines_of(track) {
            None => Class::Audio,
            Some(..=SD_LINES) => Class::Sd,
            Some(..=HD_LINES) => Class::Hd,
            Some(_) => Class::Uhd,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Class::Audio => "audio",
            Class::Sd => "sd",
            Class::Hd => "hd",
            Class::Uhd => "uhd",
        }
    }

    /// Whether somebody who may have pictures up to `height_max` needs the key for any of `tracks`.
    pub fn is_covered(self, tracks: &[String], height_max: u16) -> bool {
        let covered = |track: &str| lines_of(track).is_none_or(|lines| lines <= height_max);
        tracks.iter().any(|track| Class::of(track) == self && covered(track))
    }
}

impl ToParam for Class {
    fn to_param(&self) -> Param {
        word(self)
    }
}

fn lines_of(track: &str) -> Option<u16> {
    track.strip_prefix(['v', 'f'])?.parse().ok()
}

/// Whether a folder of a package is a track, by its name.
pub fn is_track(name: &str) -> bool {
    let number = |digits: &str| {
        (1..=5).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit())
    };
    name.strip_prefix(['v', 'f', 'a']).is_some_and(number)
}

/// How far a protected package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing can be played yet.
    Making,
    /// Some tracks can be played.
    Playable,
    /// No track comes any more.
    Complete,
    /// It cannot be made, and why is known.
    Failed,
}

impl ToParam for State {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// An asset, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Asset {
    pub id: AssetId,
    pub owner_id: Option<Uuid>,
    /// Its own; absent where the tenant's holds.
    pub protection: Option<Protection>,
    pub rotate_days: Option<i32>,
    /// The newest clear package and its tracks.
    pub clear_id: Option<PackageId>,
    pub tracks: Json<Vec<String>>,
    pub is_complete: bool,
    pub is_deleted: bool,
    /// 0 for one that is not kept yet.
    pub version: i64,
}

impl Asset {
    pub fn new(id: AssetId) -> Asset {
        Asset {
            id,
            owner_id: None,
            protection: None,
            rotate_days: None,
            clear_id: None,
            tracks: Json(Vec::new()),
            is_complete: false,
            is_deleted: false,
            version: 0,
        }
    }

    /// Takes what is told of a clear package: of two packages the newer one counts, in whatever
    /// order they are told.
    pub fn hear(&mut self, owner: Uuid, clear: PackageId, tracks: &[String], is_complete: bool) {
        if self.is_deleted || self.clear_id.is_some_and(|known| known > clear) {
            return;
        }
        self.owner_id = Some(owner);
        if self.clear_id != Some(clear) {
            (self.tracks, self.is_complete) = (Json(Vec::new()), false);
        }
        self.clear_id = Some(clear);
        self.is_complete |= is_complete;
        for track in tracks.iter().filter(|track| is_track(track)) {
            if !self.tracks.contains(track) {
                self.tracks.push(track.clone());
            }
        }
    }

    pub fn is_protected(&self, default: Protection) -> bool {
        !self.is_deleted && self.protection.unwrap_or(default) != Protection::None
    }
}

/// A protected package.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Package {
    pub id: PackageId,
    pub asset_id: AssetId,
    pub clear_id: PackageId,
    pub scheme: Protection,
    pub state: State,
    pub failure: Option<String>,
    pub created_at: Time,
    pub changed_at: Time,
    pub retired_at: Option<Time>,
    pub withdrawn_at: Option<Time>,
}

/// A track of a protected package.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Track {
    pub name: String,
    /// 32 hexadecimal digits.
    pub vector: String,
    pub next: i32,
    pub done_at: Option<Time>,
}

/// What has to be done for an asset.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Another package is to be made, of the clear one.
    pub begin: Option<PackageId>,
    /// Tracks that the newest package has not heard of.
    pub add: Vec<String>,
    /// The newest package has become this.
    pub becomes: Option<State>,
    /// All packages are of no use any more.
    pub retire: bool,
}

/// What has to be done, where `newest` is the newest package that was not retired, with its tracks.
pub fn due(asset: &Asset, default: Protection, newest: Option<(&Package, &[Track])>) -> Due {
    if !asset.is_protected(default) {
        return Due { retire: newest.is_some(), ..Due::default() };
    }
    let Some(clear) = asset.clear_id else { return Due::default() };
    let Some((package, tracks)) = newest.filter(|(package, _)| package.clear_id == clear) else {
        return Due { begin: Some(clear), ..Due::default() };
    };
    if package.state == State::Failed {
        return Due::default();
    }
    let known = |name: &&String| !tracks.iter().any(|track| track.name == **name);
    let add: Vec<String> = asset.tracks.iter().filter(known).cloned().collect();
    let is_done = add.is_empty() && tracks.iter().all(|track| track.done_at.is_some());
    let state = if asset.is_complete { State::Complete } else { State::Playable };
    let becomes = (is_done && !tracks.is_empty() && package.state != state).then_some(state);
    // What was complete once stays so.
    let becomes = becomes.filter(|_| package.state != State::Complete);
    Due { add, becomes, ..Due::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protection::{Cbcs, None as Clear};

    fn at(second: i64) -> Time {
        nexus_sdk::chrono::DateTime::from_timestamp(second, 0).unwrap()
    }

    fn id<I: From<Uuid>>(number: u128) -> I {
        Uuid::from_u128(number).into()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn asset(protection: Option<Protection>) -> Asset {
        let mut asset = Asset { protection, ..Asset::new(id(1)) };
        asset.hear(id(7), id(10), &names(&["f480", "a0"]), false);
        asset
    }

    fn package(state: State) -> Package {
        Package {
            id: id(20),
            asset_id: id(1),
            clear_id: id(10),
            scheme: Cbcs,
            state,
            failure: None,
            created_at: at(0),
            changed_at: at(0),
            retired_at: None,
            withdrawn_at: None,
        }
    }

    fn track(name: &str, is_done: bool) -> Track {
        let done_at = is_done.then(|| at(1));
        Track { name: name.into(), vector: "0".repeat(32), next: 0, done_at }
    }

    #[test]
    fn a_key_is_for_tracks_of_a_class_and_for_whoever_may_have_one_of_them() {
        let classes = ["a0", "v240", "f480", "v720", "v1080", "v1440"].map(Class::of);
        use Class::{Audio, Hd, Sd, Uhd};
        assert_eq!(classes, [Audio, Sd, Sd, Hd, Hd, Uhd]);
        let tracks = names(&["a0", "v240", "v480", "v1080"]);
        let covered = |height| Class::ALL.map(|class| class.is_covered(&tracks, height));
        assert_eq!(covered(720), [true, true, false, false]);
        assert_eq!(covered(2160), [true, true, true, false]);
        assert_eq!(covered(100), [true, false, false, false]);
    }

    #[test]
    fn what_is_told_of_packages_counts_in_whatever_order_it_comes() {
        let mut asset = asset(None);
        asset.hear(id(7), id(10), &names(&["v720", "a0", "images"]), true);
        assert_eq!(asset.tracks.0, names(&["f480", "a0", "v720"]));
        asset.hear(id(7), id(11), &names(&["f480"]), false);
        asset.hear(id(7), id(10), &names(&["v240"]), true);
        assert_eq!((asset.clear_id, asset.is_complete), (Some(id(11)), false));
        assert_eq!(asset.tracks.0, names(&["f480"]));
    }

    #[test]
    fn a_package_is_made_when_the_asset_or_else_the_tenant_says_so() {
        for (own, default, begins) in
            [(None, Clear, false), (None, Cbcs, true), (Some(Cbcs), Clear, true)]
        {
            let due = due(&asset(own), default, None);
            assert_eq!(due.begin.is_some(), begins, "{own:?} {default:?}");
        }
        let made = package(State::Complete);
        let refused = due(&asset(Some(Clear)), Cbcs, Some((&made, &[])));
        assert_eq!(refused, Due { retire: true, ..Due::default() });
        let unknown = Asset { protection: Some(Cbcs), ..Asset::new(id(1)) };
        assert_eq!(due(&unknown, Clear, None), Due::default());
    }

    #[test]
    fn a_package_can_be_played_when_all_its_tracks_are_done_and_grows_when_more_come() {
        let mut asset = asset(Some(Cbcs));
        let next = |asset: &Asset, state, tracks: &[Track]| {
            due(asset, Clear, Some((&package(state), tracks)))
        };
        let half = [track("f480", true), track("a0", false)];
        assert_eq!(next(&asset, State::Making, &half), Due::default());
        let done = [track("f480", true), track("a0", true)];
        let playable = Due { becomes: Some(State::Playable), ..Due::default() };
        assert_eq!(next(&asset, State::Making, &done), playable);
        assert_eq!(next(&asset, State::Playable, &done), Due::default());
        asset.hear(id(7), id(10), &names(&["v720", "a0"]), true);
        let more = Due { add: names(&["v720"]), ..Due::default() };
        assert_eq!(next(&asset, State::Playable, &done), more);
        let all = [&done[..], &[track("v720", true)]].concat();
        let complete = Due { becomes: Some(State::Complete), ..Due::default() };
        assert_eq!(next(&asset, State::Playable, &all), complete);
        assert_eq!(next(&asset, State::Complete, &all), Due::default());
        assert_eq!(next(&asset, State::Failed, &half), Due::default());
    }

    #[test]
    fn processing_again_makes_another_package() {
        let mut asset = asset(Some(Cbcs));
        asset.hear(id(7), id(11), &names(&["f480"]), false);
        let done = [track("f480", true), track("a0", true)];
        let again = due(&asset, Clear, Some((&package(State::Complete), &done)));
        assert_eq!(again, Due { begin: Some(id(11)), ..Due::default() });
    }
}
