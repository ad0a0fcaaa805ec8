//! Following what changes, without missing anything and without a lock: a notice carries the number
//! of its transaction, and whoever has seen all below the oldest running one goes on from there.
//! What commits later has a higher number than that, whatever order things commit in.

use super::{Identity, RevocationKind};
use crate::error::Error;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio_postgres::Row;
use uuid::Uuid;

/// Notices are kept for an hour; who has not looked for half of it begins afresh.
const GAP_MAX: Duration = Duration::from_secs(1800);

/// Transactions told while an older one still runs. Beyond that some are told twice, which costs a
/// lookup and nothing else.
const TOLD_MAX: usize = 10_000;

const SQL: &str = "select h.horizon, n.xact::text::int8, n.kind, n.tenant_id, n.key \
     from (select pg_snapshot_xmin(pg_current_snapshot())::text::int8 as horizon) h \
     left join platform.identity_notice n \
     on n.xact >= $1::text::xid8 and n.xact::text::int8 <> all ($2)";

/// What is no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Notice {
    Tenants,
    Keys,
    Subject { tenant: Uuid, subject: String },
    Credential(Uuid),
    Revocation { tenant: Uuid, kind: RevocationKind, key: String },
}

/// What a look has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Anything may have changed: this is the first look, or the first after a long time or after
    /// the database was put back.
    Everything,
    Changed(Vec<Notice>),
}

/// One who follows.
pub struct Notices {
    identity: Identity,
    /// All transactions below are seen.
    place: Option<i64>,
    /// Those at or above `place` that are seen as well.
    told: HashSet<i64>,
    looked: Instant,
}

impl Notices {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, place: None, told: HashSet::new(), looked: Instant::now() }
    }

    /// The next look finds everything changed: for whoever could not act on the last one.
    pub fn forget(&mut self) {
        self.place = None;
    }

    /// What was committed since the last look. What is read after this returns is at least as new.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`]; the next look then finds what this one would have.
    pub async fn look(&mut self) -> Result<News, Error> {
        let began = Instant::now();
        let place = self.place.filter(|_| began.duration_since(self.looked) < GAP_MAX);
        let Some(place) = place else {
            let sql = "select pg_snapshot_xmin(pg_current_snapshot())::text::int8";
            let rows = self.identity.session().await?.query(sql, &[]).await?;
            self.begin(rows[0].try_get(0)?, began);
            return Ok(News::Everything);
        };
        let told: Vec<i64> = self.told.iter().copied().collect();
        let session = self.identity.session().await?;
        let rows = session.query(SQL, &[&place.to_string(), &told]).await?;
        let horizon: i64 = rows[0].try_get(0)?;
        if horizon < place {
            // Numbers never go back in one life of a database.
            self.begin(horizon, began);
            return Ok(News::Everything);
        }
        let mut changed = HashSet::new();
        let mut found = Vec::new();
        for row in &rows {
            if let Some(xact) = row.try_get::<_, Option<i64>>(1)? {
                found.push(xact);
                changed.extend(notice(row)?);
            }
        }
        self.told.extend(found);
        self.told.retain(|xact| *xact >= horizon);
        if self.told.len() > TOLD_MAX {
            self.told.clear();
        }
        (self.place, self.looked) = (Some(horizon), began);
        Ok(News::Changed(changed.into_iter().collect()))
    }

    fn begin(&mut self, horizon: i64, looked: Instant) {
        self.told.clear();
        (self.place, self.looked) = (Some(horizon), looked);
    }
}

/// None for what this version does not know.
fn notice(row: &Row) -> Result<Option<Notice>, Error> {
    let (kind, key): (&str, &str) = (row.try_get(2)?, row.try_get(4)?);
    let tenant: Option<Uuid> = row.try_get(3)?;
    Ok(match (kind, tenant) {
        ("tenant", _) => Some(Notice::Tenants),
        ("key", _) => Some(Notice::Keys),
        ("subject", Some(tenant)) => Some(Notice::Subject { tenant, subject: key.to_owned() }),
        ("credential", _) => key.parse().ok().map(Notice::Credential),
        ("revocation", Some(tenant)) => key.split_once(':').map(|(kind, key)| {
            let kind = RevocationKind::of(kind);
            Notice::Revocation { tenant, kind, key: key.to_owned() }
        }),
        _ => None,
    })
}
