//! When signing keys begin, sign, are believed and end. Pure: from what is known and an instant
//! follows what to do.
//!
//! A key is published a day before it signs, so that whoever keeps our key set for a day knows it
//! in time; it signs for thirty days; it is believed until a day after the last token that it can
//! have signed has expired.

use nexus_sdk::prelude::*;

/// How long a key signs.
pub const ACTIVE_DAYS: i32 = 30;
/// How long it is known before.
pub const PUBLISHED_BEFORE_DAYS: i32 = 1;
/// The longest that any token lives, in seconds; see [`crate::limits`].
pub const TOKEN_SECONDS_MAX: i32 = 24 * 3600;
/// For clocks that differ and key sets that are kept too long.
pub const BELIEVED_AFTER_DAYS: i32 = 1;

/// A key as the installation knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SigningKey {
    pub kid: String,
    pub version: i32,
    pub active_at: Time,
    pub expires_at: Option<Time>,
}

/// The one that signs now: of those whose time has come, the newest. Where nobody's has, the next
/// one does not wait: there is none to take over from, and whoever made it known may have done so a
/// moment later than `now`, or by another host's clock.
pub fn signer(keys: &[SigningKey], now: Time) -> Option<&SigningKey> {
    let ready = keys.iter().filter(|key| key.active_at <= now);
    let newest = ready.max_by_key(|key| (key.active_at, key.version));
    newest.or_else(|| keys.iter().min_by_key(|key| key.version))
}

/// Whether the next one has to be made: the newest will have signed long enough by the time that it
/// can take over.
pub fn is_due(keys: &[SigningKey], now: Time) -> bool {
    let lead = days(ACTIVE_DAYS - PUBLISHED_BEFORE_DAYS);
    keys.iter().map(|key| key.active_at).max().is_some_and(|newest| newest + lead <= now)
}

/// When a key that is new to us may sign: at once where nobody waits for another to go on.
pub fn active_at(keys: &[SigningKey], now: Time) -> Time {
    match signer(keys, now) {
        Some(_) => now + days(PUBLISHED_BEFORE_DAYS),
        None => now,
    }
}

/// Keys that have been taken over from and have no end yet, each with its end.
pub fn retired(keys: &[SigningKey], now: Time) -> Vec<(&SigningKey, Time)> {
    let Some(signer) = signer(keys, now) else {
        return Vec::new();
    };
    let end = signer.active_at + seconds(TOKEN_SECONDS_MAX) + days(BELIEVED_AFTER_DAYS);
    let before = keys.iter().filter(|key| {
        (key.active_at, key.version) < (signer.active_at, signer.version)
            && key.expires_at.is_none()
    });
    before.map(|key| (key, end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Time {
        Time::from_timestamp(n * 86_400, 0).unwrap()
    }

    fn key(version: i32, active: i64) -> SigningKey {
        let kid = format!("k{version}");
        SigningKey { kid, version, active_at: day(active), expires_at: None }
    }

    #[test]
    fn the_first_key_signs_at_once_and_the_next_a_day_after_it_is_known() {
        assert_eq!(active_at(&[], day(5)), day(5));
        assert_eq!(active_at(&[key(1, 0)], day(29)), day(30));
        // Where all have been withdrawn there is nobody to wait for.
        assert_eq!(active_at(&[key(2, 9)], day(5)), day(6));
    }

    #[test]
    fn where_no_keys_time_has_come_the_one_that_is_known_longest_signs() {
        // Another host has made it known, and its clock is ahead of ours.
        assert_eq!(signer(&[key(2, 6)], day(5)).unwrap().version, 2);
        // Its predecessor was withdrawn a day before it would have taken over.
        assert_eq!(signer(&[key(3, 6), key(2, 9)], day(5)).unwrap().version, 2);
        assert_eq!(signer(&[key(3, 6), key(2, 9)], day(6)).unwrap().version, 3);
        assert_eq!(signer(&[], day(5)), None);
    }

    #[test]
    fn a_key_signs_for_thirty_days_and_hands_over_without_a_gap() {
        let mut keys = vec![key(1, 0)];
        assert!(!is_due(&keys, day(28)));
        assert!(is_due(&keys, day(29)));
        keys.push(key(2, 30));
        assert!(!is_due(&keys, day(29)));
        assert_eq!(signer(&keys, day(29)).unwrap().version, 1);
        assert_eq!(signer(&keys, day(30)).unwrap().version, 2);
        assert!(retired(&keys, day(29)).is_empty());
        let ends = retired(&keys, day(30));
        assert_eq!(ends.len(), 1);
        assert_eq!((ends[0].0.version, ends[0].1), (1, day(32)));
    }

    #[test]
    fn an_end_is_given_once_and_never_to_the_one_that_signs() {
        let ended = SigningKey { expires_at: Some(day(3)), ..key(1, 0) };
        assert!(retired(&[ended, key(2, 1)], day(2)).is_empty());
        assert!(retired(&[key(1, 0)], day(500)).is_empty());
        assert!(retired(&[], day(1)).is_empty());
        assert!(!is_due(&[], day(1)));
    }
}
