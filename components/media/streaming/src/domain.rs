//! What a plan allows, which place a player takes, and what counts as watched. Pure.

use media_contract::drm::Protection;
use media_contract::{PackageId, PlaybackId};
use nexus_sdk::chrono::TimeDelta;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    TooManySessions = 409, "as many players run as your plan allows: stop one of them first";
    NotPlayable = 409, "there is nothing to play yet: it is being processed";
    NoSizeForPlan = 409, "no size that your plan includes is there yet: ask again in a moment";
    ProtectionPending = 409, "it is being protected: ask again in a moment"
}

/// Between two words of a player.
pub const HEARTBEAT_SECONDS: i32 = 30;
/// After so many missed ones nobody is there any more.
const MISSED_MAX: i32 = 3;
/// Of a token: what a player can go on for when this service is away.
pub const TOKEN_SECONDS: i32 = 300;
/// From here on somebody has seen something, and not only looked whether it is worth it.
const QUALIFIED_MS: i64 = 30_000;
/// Of what everybody leaves out: credits.
const CREDITS_SHARE: i64 = 20;
const CREDITS_MS_MAX: i64 = 120_000;
/// Before this nobody has seen anything that they would want to go on from.
const BEGINNING_MS: i64 = 5_000;
const CONCURRENCY_MAX: i32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    #[default]
    Free,
    Creator,
    Hollywood,
    Enterprise,
}

/// What a player does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlayState {
    Playing,
    Paused,
    /// Waits for what is to come.
    Buffering,
    /// Has come to the end.
    Ended,
}

/// Why a playback is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// By the viewer.
    Closed,
    /// Nothing was heard of the player.
    Stale,
    /// Another player took its place.
    Replaced,
    Unpublished,
    Deleted,
    /// Another plan allows less.
    Plan,
    /// What it played is only there protected from now on.
    Protection,
    /// The keys of what it played were replaced.
    Withdrawn,
    Erased,
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl ToParam for $kind {
            fn to_param(&self) -> Param {
                word(self)
            }
        }
    )*};
}

words! { Plan, PlayState, EndReason }

impl EndReason {
    pub fn name(self) -> &'static str {
        match self {
            EndReason::Closed => "closed",
            EndReason::Stale => "stale",
            EndReason::Replaced => "replaced",
            EndReason::Unpublished => "unpublished",
            EndReason::Deleted => "deleted",
            EndReason::Plan => "plan",
            EndReason::Protection => "protection",
            EndReason::Withdrawn => "withdrawn",
            EndReason::Erased => "erased",
        }
    }
}

impl Plan {
    /// Lines of the largest picture.
    pub fn height_max(self) -> u16 {
        match self {
            Plan::Free => 720,
            Plan::Creator => 1080,
            Plan::Hollywood => 2160,
            Plan::Enterprise => 4320,
        }
    }

    /// Players at once.
    fn concurrency(self) -> i32 {
        match self {
            Plan::Free => 1,
            Plan::Creator => 2,
            Plan::Hollywood => 4,
            Plan::Enterprise => 10,
        }
    }
}

/// What there is of an asset to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Offered {
    /// The newest clear package.
    pub package_id: Option<PackageId>,
    /// Whether that may be played.
    pub protection: Protection,
    /// The newest protected package, which may be of an earlier clear one.
    pub protected_id: Option<PackageId>,
    pub scheme: Option<Protection>,
}

impl Offered {
    /// What a new player gets, and how it is protected.
    ///
    /// # Errors
    /// 409 while there is nothing yet; what is to be protected is never given otherwise.
    pub fn choose(&self) -> Result<(PackageId, Option<Protection>), Refusal> {
        let clear = self.package_id.ok_or(NotPlayable)?;
        match self.protection {
            Protection::None => Ok((clear, None)),
            Protection::Cbcs => {
                let protected = self.protected_id.ok_or(ProtectionPending)?;
                Ok((protected, Some(self.scheme.unwrap_or(Protection::Cbcs))))
            }
        }
    }
}

/// What somebody may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    pub plan: Plan,
    /// Players at once, where that is not what the plan says.
    #[serde(default)]
    pub concurrency: Option<i32>,
}

impl Entitlement {
    pub fn concurrency(&self) -> i32 {
        self.concurrency.unwrap_or_else(|| self.plan.concurrency()).clamp(1, CONCURRENCY_MAX)
    }

    pub fn is_sane(&self) -> bool {
        self.concurrency.is_none_or(|number| (1..=CONCURRENCY_MAX).contains(&number))
    }
}

/// A player that runs, as far as it stands in the way of another one.
#[derive(Debug, Clone, Deserialize)]
pub struct Running {
    pub id: PlaybackId,
    pub slot: i32,
    pub device: String,
    pub state: PlayState,
    pub heard_at: Time,
}

impl Running {
    /// Whether somebody would miss it: it stands still, or says nothing.
    fn is_idle(&self, now: Time) -> bool {
        let is_silent = now - self.heard_at > seconds(2 * HEARTBEAT_SECONDS);
        is_silent || matches!(self.state, PlayState::Paused | PlayState::Ended)
    }
}

/// Where a new player goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    pub slot: i32,
    /// Whoever has to go for it.
    pub replaces: Vec<PlaybackId>,
}

/// The place of a new player. The same device has one player: what is begun there again takes the
/// place of what was there. Otherwise the one that has been idle for longest goes.
///
/// # Errors
/// 409 `too-many-sessions` when all of them are being watched.
pub fn place(
    running: &[Running],
    device: &str,
    concurrency: i32,
    now: Time,
) -> Result<Place, Refusal> {
    let same = |it: &&Running| !device.is_empty() && it.device == device;
    let mut replaces: Vec<PlaybackId> = running.iter().filter(same).map(|it| it.id).collect();
    let mut left: Vec<&Running> = running.iter().filter(|it| !same(it)).collect();
    left.sort_by_key(|it| it.heard_at);
    while i32::try_from(left.len()).unwrap_or(i32::MAX) >= concurrency {
        let idle = left.iter().position(|it| it.is_idle(now)).ok_or(TooManySessions)?;
        replaces.push(left.remove(idle).id);
    }
    let is_free = |slot: &i32| left.iter().all(|it| it.slot != *slot);
    let slot = (1..=CONCURRENCY_MAX).find(is_free).ok_or(TooManySessions)?;
    Ok(Place { slot, replaces })
}

/// Before this nobody is there any more who was not heard since.
pub fn stale_before(now: Time) -> Time {
    now - seconds(MISSED_MAX * HEARTBEAT_SECONDS)
}

pub fn token_expires(now: Time) -> Time {
    now + seconds(TOKEN_SECONDS)
}

/// What was played between two words of a player: never more than time has passed, whatever the
/// player says of its position.
pub fn watched(from_ms: i64, to_ms: i64, passed: TimeDelta, state: PlayState) -> i64 {
    if state == PlayState::Buffering && to_ms <= from_ms {
        return 0;
    }
    (to_ms - from_ms).clamp(0, passed.num_milliseconds().max(0))
}

/// Whether so much of something counts as a view: half a minute, or half of what is shorter.
pub fn is_qualified(watched_ms: i64, duration_ms: i64) -> bool {
    let enough = if duration_ms > 0 { QUALIFIED_MS.min(duration_ms / 2) } else { QUALIFIED_MS };
    watched_ms >= enough
}

/// Whether nobody would go on from here.
pub fn is_finished(position_ms: i64, duration_ms: i64) -> bool {
    let credits = (duration_ms / CREDITS_SHARE).min(CREDITS_MS_MAX);
    duration_ms > 0 && position_ms >= duration_ms - credits
}

/// Where somebody goes on.
pub fn resume(position_ms: i64, is_finished: bool) -> i64 {
    if is_finished || position_ms < BEGINNING_MS { 0 } else { position_ms }
}

/// A position within something.
pub fn bounded(position_ms: i64, duration_ms: i64) -> i64 {
    let most = if duration_ms > 0 { duration_ms } else { i64::MAX };
    position_ms.clamp(0, most)
}

/// Lines of the smallest picture among tracks, by their names; none of sound alone.
pub fn lowest(tracks: &[String]) -> Option<i32> {
    let lines = |track: &String| track.strip_prefix(['v', 'f'])?.parse().ok();
    tracks.iter().filter_map(lines).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        nexus_sdk::chrono::DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn the_smallest_picture_is_found_by_the_names_of_tracks() {
        let lowest =
            |names: &[&str]| lowest(&names.iter().map(|it| (*it).into()).collect::<Vec<_>>());
        assert_eq!(lowest(&["a0", "v1080", "f480", "v720"]), Some(480));
        assert_eq!(lowest(&["a0", "a1"]), None, "sound alone has no size");
        assert_eq!(lowest(&["video", "fast", "v"]), None, "no track of ours");
    }

    #[test]
    fn what_is_to_be_protected_is_given_protected_or_not_at_all() {
        let id = |number| -> PackageId { Uuid::from_u128(number).into() };
        let clear = Offered {
            package_id: Some(id(1)),
            protection: Protection::None,
            protected_id: None,
            scheme: None,
        };
        assert_eq!(clear.choose(), Ok((id(1), None)));
        let pending = Offered { protection: Protection::Cbcs, ..clear };
        assert_eq!(pending.choose(), Err(ProtectionPending));
        let protected = Offered { protected_id: Some(id(2)), ..pending };
        assert_eq!(protected.choose(), Ok((id(2), Some(Protection::Cbcs))));
        // One that is there from before is no reason to give it.
        let open = Offered { protection: Protection::None, ..protected };
        assert_eq!(open.choose(), Ok((id(1), None)));
        assert_eq!(Offered { package_id: None, ..protected }.choose(), Err(NotPlayable));
    }

    fn running(id: u128, slot: i32, device: &str, state: PlayState, heard: i64) -> Running {
        let id = PlaybackId::from(Uuid::from_u128(id));
        Running { id, slot, device: device.into(), state, heard_at: at(heard) }
    }

    fn ids(place: &Place) -> Vec<u128> {
        place.replaces.iter().map(|id| Uuid::from(*id).as_u128()).collect()
    }

    #[test]
    fn plans_go_up_to_sizes_and_numbers_of_players() {
        let of =
            |plan: Plan| (plan.height_max(), Entitlement { plan, concurrency: None }.concurrency());
        assert_eq!(of(Plan::default()), (720, 1));
        assert_eq!(of(Plan::Creator), (1080, 2));
        assert_eq!(of(Plan::Hollywood), (2160, 4));
        assert_eq!(of(Plan::Enterprise), (4320, 10));
        let more = Entitlement { plan: Plan::Free, concurrency: Some(3) };
        assert_eq!(more.concurrency(), 3);
        assert!(!Entitlement { concurrency: Some(0), ..more }.is_sane());
    }

    #[test]
    fn a_player_takes_a_free_place_or_that_of_whoever_is_idle_for_longest() {
        use PlayState::{Paused, Playing};
        let busy = [running(1, 1, "tv", Playing, 100), running(2, 2, "phone", Playing, 99)];
        assert_eq!(place(&busy, "pad", 3, at(100)), Ok(Place { slot: 3, replaces: vec![] }));
        assert_eq!(place(&busy, "pad", 2, at(100)), Err(TooManySessions));
        // Whatever nothing was heard of for two words is idle.
        let silent = place(&busy, "pad", 2, at(160)).unwrap();
        assert_eq!((silent.slot, ids(&silent)), (2, vec![2]));
        let idle = [running(1, 1, "tv", Paused, 100), running(2, 2, "phone", Paused, 90)];
        assert_eq!(ids(&place(&idle, "", 2, at(100)).unwrap()), [2]);
        assert_eq!(ids(&place(&idle, "", 1, at(100)).unwrap()), [2, 1]);
    }

    #[test]
    fn what_is_begun_again_on_a_device_takes_its_own_place() {
        let busy = [running(1, 1, "tv", PlayState::Playing, 100)];
        let again = place(&busy, "tv", 1, at(100)).unwrap();
        assert_eq!((again.slot, ids(&again)), (1, vec![1]));
        // Nobody has said which device it is.
        let unnamed = [running(1, 1, "", PlayState::Playing, 100)];
        assert_eq!(place(&unnamed, "", 1, at(100)), Err(TooManySessions));
    }

    #[test]
    fn nobody_watches_more_than_time_passes() {
        let passed = seconds(30);
        assert_eq!(watched(0, 29_000, passed, PlayState::Playing), 29_000);
        assert_eq!(watched(0, 3_600_000, passed, PlayState::Playing), 30_000);
        assert_eq!(watched(60_000, 1_000, passed, PlayState::Playing), 0);
        assert_eq!(watched(0, 10_000, passed, PlayState::Paused), 10_000);
    }

    #[test]
    fn a_view_counts_from_half_a_minute_or_half_of_what_is_shorter() {
        assert!(!is_qualified(29_999, 600_000) && is_qualified(30_000, 600_000));
        assert!(!is_qualified(4_999, 10_000) && is_qualified(5_000, 10_000));
    }

    #[test]
    fn nobody_goes_on_from_the_credits_or_from_the_first_seconds() {
        assert!(is_finished(95_000, 100_000) && !is_finished(94_000, 100_000));
        assert!(!is_finished(7_000_000, 7_200_000) && is_finished(7_080_000, 7_200_000));
        assert_eq!(
            (resume(60_000, false), resume(60_000, true), resume(4_000, false)),
            (60_000, 0, 0)
        );
        assert_eq!(bounded(-5, 100), 0);
        assert_eq!(bounded(500, 100), 100);
    }
}
