//! How far a viewer is, as `streaming` remembers it.

use crate::catalogue::{Card, Listed};
use nexus_sdk::prelude::*;
use std::collections::HashMap;
use web_kit::prelude::*;

/// As many as anybody goes on with.
const SHOWN_MAX: usize = 20;

#[derive(Debug, Clone, Deserialize)]
pub struct Progress {
    pub asset_id: Uuid,
    pub position_ms: i64,
    pub duration_ms: i64,
    pub is_finished: bool,
}

impl Progress {
    /// Hundredths of it that were seen.
    pub fn percent(&self) -> i64 {
        match self.duration_ms {
            ..=0 => 0,
            _ if self.is_finished => 100,
            duration => (self.position_ms.clamp(0, duration) * 100 / duration).clamp(1, 99),
        }
    }

    /// Minutes that are left.
    pub fn minutes_left(&self) -> i64 {
        ((self.duration_ms - self.position_ms).max(0) + 59_999) / 60_000
    }
}

/// What was begun and not finished, newest first; nothing for who is not signed in.
pub async fn list(visitor: &Visitor) -> Result<Vec<Progress>, Trouble> {
    if !visitor.is_signed_in() {
        return Ok(Vec::new());
    }
    let path = format!("/api/streaming/v1/progress?limit={SHOWN_MAX}");
    let listed: Option<Listed<Progress>> = visitor.want(call("streaming").get(path)).await?;
    Ok(listed.map(|it| it.items).unwrap_or_default())
}

/// How far somebody is with some titles. Each is asked for by itself, so only as many as a page
/// shows at a glance.
pub async fn of(visitor: &Visitor, cards: &[&Card]) -> Result<Known, Trouble> {
    let mut known = HashMap::new();
    if !visitor.is_signed_in() {
        return Ok(Known(known));
    }
    let begun = list(visitor).await?;
    known.extend(begun.into_iter().map(|it| (it.asset_id, it)));
    // Finished ones are not in the list.
    for asset in cards.iter().filter_map(|it| it.asset).take(ASKED_MAX) {
        if known.contains_key(&asset) {
            continue;
        }
        let path = format!("/api/streaming/v1/progress/{asset}");
        if let Some(found) = visitor.want::<Progress>(call("streaming").get(path)).await? {
            known.insert(asset, found);
        }
    }
    Ok(Known(known))
}

/// Questions of a page beside those that every page has.
const ASKED_MAX: usize = 12;

/// How far somebody is, by asset.
#[derive(Debug, Default)]
pub struct Known(HashMap<Uuid, Progress>);

impl Known {
    pub fn of(&self, card: &Card) -> Option<&Progress> {
        self.0.get(&card.asset?)
    }

    /// Which of the episodes comes next for somebody: the first that is not finished after the last
    /// that was begun, otherwise the first of all.
    pub fn next<'a>(&self, episodes: &[&'a Card]) -> Option<&'a Card> {
        let last = episodes.iter().rposition(|it| self.of(it).is_some());
        let from = match last {
            None => 0,
            Some(at) if self.of(episodes[at]).is_some_and(|it| it.is_finished) => at + 1,
            Some(at) => at,
        };
        episodes.get(from).or_else(|| episodes.first()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(n: u128) -> Card {
        let card = json!({
            "id": Uuid::from_u128(n), "kind": "episode", "name": "E", "asset": Uuid::from_u128(n),
        });
        serde_json::from_value(card).unwrap()
    }

    fn seen(n: u128, position_ms: i64, is_finished: bool) -> (Uuid, Progress) {
        let asset_id = Uuid::from_u128(n);
        (asset_id, Progress { asset_id, position_ms, duration_ms: 100_000, is_finished })
    }

    #[test]
    fn a_series_goes_on_where_somebody_was() {
        let all = [card(1), card(2), card(3)];
        let all: Vec<&Card> = all.iter().collect();
        let next = |known: &[(Uuid, Progress)]| {
            Known(known.iter().cloned().collect()).next(&all).unwrap().id.as_u128()
        };
        assert_eq!(next(&[]), 1);
        assert_eq!(next(&[seen(1, 50_000, false)]), 1);
        assert_eq!(next(&[seen(1, 100_000, true)]), 2);
        assert_eq!(next(&[seen(1, 100_000, true), seen(2, 1_000, false)]), 2);
        // Who has seen it all begins again.
        assert_eq!(next(&[seen(3, 100_000, true)]), 1);
    }

    #[test]
    fn a_share_is_seen_as_soon_as_anything_is() {
        let percent = |position, finished| seen(1, position, finished).1.percent();
        assert_eq!((percent(10, false), percent(50_000, false)), (1, 50));
        assert_eq!((percent(99_999, false), percent(96_000, true)), (99, 100));
        assert_eq!(seen(1, 30_000, false).1.minutes_left(), 2);
    }
}
