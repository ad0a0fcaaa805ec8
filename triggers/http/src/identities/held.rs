//! An opaque credential as this host holds it: who it stands for, where it may come from, and when
//! it was last used, which is written back now and then. Refuses to know its secret.

use ipnet::IpNet;
use nexus_storage::identity::Credential;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Uses are written back at most so often, in seconds: a row written at every request would be the
/// most expensive part of it.
const WRITE_EVERY: i64 = 60;

/// A short idle time is written four times while it runs, so that hosts agree about its end.
const WRITES_PER_IDLE: i64 = 4;

/// A credential that was not revoked when it was read.
pub(crate) struct Held {
    pub(crate) row: Credential,
    networks: Option<Vec<IpNet>>,
    /// Unix seconds: last used here or, as the database says, anywhere.
    seen: AtomicI64,
    written: AtomicI64,
}

impl Held {
    pub(crate) fn new(row: Credential) -> Self {
        // One that cannot be read lets nobody in: a limit must not vanish by a typing error.
        let parse = |text: &String| {
            text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        };
        let networks = row.networks.as_ref().map(|all| all.iter().filter_map(parse).collect());
        let seen = row.seen_at;
        Self { row, networks, seen: AtomicI64::new(seen), written: AtomicI64::new(seen) }
    }

    pub(crate) fn has_expired(&self, now: i64) -> bool {
        self.row.expires_at.is_some_and(|expires| now >= expires)
    }

    /// Unused for too long, as far as this host knows.
    pub(crate) fn is_idle(&self, now: i64) -> bool {
        self.row.idle_seconds.is_some_and(|idle| now >= self.seen.load(Relaxed) + idle)
    }

    pub(crate) fn may_come_from(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.networks.as_ref().is_none_or(|all| all.iter().any(|net| net.contains(&client)))
    }

    /// Notes a use; true when it is time to write it back.
    pub(crate) fn touch(&self, now: i64) -> bool {
        if self.seen.load(Relaxed) < now {
            self.seen.store(now, Relaxed);
        }
        let written = self.written.load(Relaxed);
        let every = self
            .row
            .idle_seconds
            .map_or(WRITE_EVERY, |idle| (idle / WRITES_PER_IDLE).clamp(1, WRITE_EVERY));
        now - written >= every
            && self.written.compare_exchange(written, now, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_storage::identity::CredentialKind;
    use uuid::Uuid;

    fn held(idle_seconds: Option<i64>, networks: Option<&[&str]>) -> Held {
        Held::new(Credential {
            digest: [0; 32],
            id: Uuid::nil(),
            tenant: Uuid::nil(),
            kind: CredentialKind::Session,
            subject: "u".into(),
            organisation: None,
            permission_limit: None,
            networks: networks.map(|all| all.iter().map(|net| (*net).to_owned()).collect()),
            auth_time: None,
            acr: None,
            expires_at: Some(10_000),
            idle_seconds,
            seen_at: 1_000,
        })
    }

    #[test]
    fn a_use_puts_off_the_idle_end_but_not_the_absolute_one() {
        let held = held(Some(100), None);
        assert!(!held.is_idle(1_099) && held.is_idle(1_100));
        held.touch(1_099);
        assert!(!held.is_idle(1_198) && held.is_idle(1_199));
        held.touch(1_050);
        assert!(held.is_idle(1_199), "a use never moves back");
        assert!(!held.has_expired(9_999) && held.has_expired(10_000));
    }

    #[test]
    fn uses_are_written_once_a_minute_and_more_often_where_idleness_is_short() {
        let writes = |held: &Held, to: i64| (1_000..to).filter(|now| held.touch(*now)).count();
        assert_eq!(writes(&held(None, None), 1_601), 10);
        assert_eq!(writes(&held(Some(1800), None), 1_601), 10);
        assert_eq!(writes(&held(Some(40), None), 1_101), 10);
    }

    #[test]
    fn a_credential_may_be_bound_to_networks() {
        let from = |held: &Held, ip: &str| held.may_come_from(ip.parse().unwrap());
        assert!(from(&held(None, None), "192.0.2.1"));
        let bound = held(None, Some(&["192.0.2.0/24", "2001:db8::1"]));
        assert!(from(&bound, "192.0.2.1") && from(&bound, "::ffff:192.0.2.1"));
        assert!(from(&bound, "2001:db8::1") && !from(&bound, "2001:db8::2"));
        assert!(!from(&bound, "198.51.100.1"));
        assert!(!from(&held(None, Some(&["nonsense"])), "192.0.2.1"));
        assert!(!from(&held(None, Some(&[])), "192.0.2.1"));
    }
}
