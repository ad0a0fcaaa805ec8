//! What operators have set for components: a history in which every change has a number, and the
//! configuration of a component at each of these numbers
//! (`migrations/platform/0012_configuration.sql`).
//!
//! Knows scopes, names and the order of changes. Refuses to know what a secret says: it comes
//! sealed and goes sealed.

mod rows;

pub use rows::{ChangeRow, Kept, Sealed, Setting};

use crate::database::Database;
use crate::error::Error;
use crate::session::{Param, Session};
use rows::{change, setting};

/// The scope of every component.
pub const ALL: &str = "_";

/// Names that one component can have: more than any manifest declares.
const SETTINGS_MAX: i64 = 2_000;

/// The configuration of one database. Cheap to clone.
#[derive(Clone)]
pub struct Configurations {
    database: Database,
}

/// Who changes what, and why.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// 1 to 200 characters.
    pub by: &'a str,
    /// At most 1,000 characters.
    pub reason: &'a str,
}

/// What went wrong while something was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    #[error(transparent)]
    Storage(#[from] Error),
    /// The caller's own, of the sealing.
    #[error("{0}")]
    Sealing(E),
}

/// A secret that is sealed under another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub component: String,
    pub name: String,
    pub version: u64,
    pub sealed: Sealed,
}

impl Configurations {
    /// Needs the platform's migrations.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn session(&self) -> Result<Session, Error> {
        self.database.host().await
    }

    /// Adds a change of one name and returns its number. `kept` is called with that number while
    /// nobody else can take it, so that a secret can be sealed for its own place.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] of class 23 for a scope, a name or a value that the table does not allow.
    pub async fn write<E>(
        &self,
        component: &str,
        name: &str,
        author: Author<'_>,
        kept: impl FnOnce(u64) -> Result<Kept, E>,
    ) -> Result<u64, WriteError<E>> {
        let session = self.session().await?;
        let version = next(&session).await?;
        // What fails from here on is undone when the session is given back.
        let kept = kept(version).map_err(WriteError::Sealing)?;
        let number = version.cast_signed();
        let (kind, value, sealed) = kept.columns();
        let (bytes, key) = sealed.map(|sealed| (&sealed.bytes[..], &*sealed.key_id)).unzip();
        let sql = "insert into platform.configuration_change \
                   (version, component, name, kind, value, sealed, key_id, changed_by, reason) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let params: [Param<'_>; 9] =
            [&number, &component, &name, &kind, &value, &bytes, &key, &author.by, &author.reason];
        session.execute(sql, &params).await?;
        session.batch("commit").await?;
        Ok(version)
    }

    /// Notes that what a component reads outside of the database has this fingerprint now; returns
    /// the number of the change, None when that was known already. Hosts that read the same note it
    /// once.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`], as all of the following.
    pub async fn note_outside(
        &self,
        component: &str,
        fingerprint: &[u8; 32],
        author: Author<'_>,
    ) -> Result<Option<u64>, Error> {
        let session = self.session().await?;
        let version = next(&session).await?;
        let number = version.cast_signed();
        let sql = "insert into platform.configuration_change \
                   (version, component, kind, fingerprint, changed_by, reason) \
                   select $1, $2, 'outside', $3, $4, $5 where $3 is distinct from (\
                   select c.fingerprint from platform.configuration_change c \
                   where c.component = $2 and c.kind = 'outside' order by c.version desc limit 1)";
        let fingerprint = fingerprint.as_slice();
        let params: [Param<'_>; 5] =
            [&number, &component, &fingerprint, &author.by, &author.reason];
        let noted = session.execute(sql, &params).await?;
        session.batch("commit").await?;
        Ok((noted == 1).then_some(version))
    }

    /// The configuration of a component at a number, by name. Of `_` it is what all components
    /// have.
    pub async fn at(&self, component: &str, version: u64) -> Result<Vec<Setting>, Error> {
        let sql = "select name, component, version, kind, value, sealed, key_id, changed_at, \
                   changed_by from platform.configuration_at($1, $2) order by name limit $3";
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let rows = self.session().await?.query(sql, &[&component, &version, &SETTINGS_MAX]).await?;
        rows.iter().map(setting).collect()
    }

    /// The number of the last change that concerns a component; 0 when there is none.
    pub async fn newest(&self, component: &str) -> Result<u64, Error> {
        let sql = "select coalesce(max(version), 0) from platform.configuration_change \
                   where component in ($1, '_')";
        let rows = self.session().await?.query(sql, &[&component]).await?;
        Ok(rows[0].try_get::<_, i64>(0)?.cast_unsigned())
    }

    /// The changes that concern a component, the newest first, at most `rows_max` before `before`.
    pub async fn changes(
        &self,
        component: &str,
        before: Option<u64>,
        rows_max: u32,
    ) -> Result<Vec<ChangeRow>, Error> {
        let sql = "select version, component, name, kind, changed_at, changed_by, reason \
                   from platform.configuration_change \
                   where component in ($1, '_') and ($2::bigint is null or version < $2) \
                   order by version desc limit $3";
        let before = before.map(|version| i64::try_from(version).unwrap_or(i64::MAX));
        let rows_max = i64::from(rows_max);
        let rows = self.session().await?.query(sql, &[&component, &before, &rows_max]).await?;
        rows.iter().map(change).collect()
    }

    /// Secrets of the whole history that are sealed under another key than this one, a bounded
    /// number.
    pub async fn stale(&self, key_id: &str, rows_max: u32) -> Result<Vec<Stale>, Error> {
        let sql = "select component, name, version, sealed, key_id \
                   from platform.configuration_change where key_id <> $1 order by version limit $2";
        let rows_max = i64::from(rows_max);
        let rows = self.session().await?.query(sql, &[&key_id, &rows_max]).await?;
        let stale = rows.iter().map(|row| {
            let sealed = Sealed { bytes: row.try_get("sealed")?, key_id: row.try_get("key_id")? };
            Ok(Stale {
                component: row.try_get("component")?,
                name: row.try_get("name")?,
                version: row.try_get::<_, i64>("version")?.cast_unsigned(),
                sealed,
            })
        });
        stale.collect()
    }

    /// Puts a secret under another key; false when it is no longer under the one that was read.
    pub async fn reseal(&self, stale: &Stale, sealed: &Sealed) -> Result<bool, Error> {
        let sql = "update platform.configuration_change set sealed = $3, key_id = $4 \
                   where version = $1 and key_id = $2";
        let version = stale.version.cast_signed();
        let params: [Param<'_>; 4] =
            [&version, &stale.sealed.key_id, &sealed.bytes, &sealed.key_id];
        Ok(self.session().await?.execute(sql, &params).await? == 1)
    }

    /// Secrets by the key that they are sealed under.
    pub async fn keys(&self) -> Result<Vec<(String, u64)>, Error> {
        let sql = "select key_id, count(*) from platform.configuration_change \
                   where key_id is not null group by key_id order by key_id";
        let rows = self.session().await?.query(sql, &[]).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned())))
            .collect()
    }
}

/// Takes the next number: until this transaction ends, nobody else gets one, so that they are in
/// the order of the commits.
async fn next(session: &Session) -> Result<u64, Error> {
    let sql = "begin; lock table platform.configuration_change in share row exclusive mode";
    session.batch(sql).await?;
    let sql = "select coalesce(max(version), 0) + 1 from platform.configuration_change";
    let rows = session.query(sql, &[]).await?;
    Ok(rows[0].try_get::<_, i64>(0)?.cast_unsigned())
}
