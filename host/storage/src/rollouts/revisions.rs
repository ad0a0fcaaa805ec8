//! Revisions: numbered per component, never changed, made once from the same parts.

use super::Rollouts;
use super::rows::{number, signed};
use crate::error::Error;
use std::time::SystemTime;
use tokio_postgres::Row;

/// What a revision is made from.
#[derive(Debug, Clone)]
pub struct NewRevision<'a> {
    pub component: &'a str,
    /// None: it came with a release of the host.
    pub artifact: Option<&'a str>,
    /// `sha256:<hex>` of the component's bytes.
    pub wasm: &'a str,
    pub fragment: &'a str,
    pub configuration: u64,
    pub version: &'a str,
    /// `manifest`, `push` or `configuration`.
    pub origin: &'a str,
    pub note: &'a str,
    pub by: &'a str,
}

/// A number, and whether it is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    pub number: u32,
    pub is_new: bool,
}

/// A revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRow {
    pub component: String,
    pub number: u32,
    pub artifact: Option<String>,
    pub wasm: String,
    pub fragment: String,
    pub configuration: u64,
    pub version: String,
    pub origin: String,
    pub note: String,
    pub created_at: SystemTime,
    pub created_by: String,
    /// Of all calls now, per 10,000.
    pub weight: Option<u16>,
}

impl Rollouts {
    /// Makes a revision, or finds the same one.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] for words that the table does not allow (class 23).
    pub async fn make_revision(&self, new: &NewRevision<'_>) -> Result<Made, Error> {
        let sql = "select * from platform.revision_make($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let configuration = i64::try_from(new.configuration).unwrap_or(i64::MAX);
        let values: [crate::session::Param<'_>; 9] = [
            &new.component,
            &new.artifact,
            &new.wasm,
            &new.fragment,
            &configuration,
            &new.version,
            &new.origin,
            &new.note,
            &new.by,
        ];
        let rows = self.session().await?.query(sql, &values).await?;
        Ok(Made { number: number(rows[0].try_get(0)?), is_new: rows[0].try_get(1)? })
    }

    /// Makes many, in one transaction; the answers are in their order.
    ///
    /// # Errors
    ///
    /// As [`Rollouts::make_revision`].
    pub async fn make_revisions<'a>(&self, all: &'a [NewRevision<'a>]) -> Result<Vec<Made>, Error> {
        let texts =
            |read: fn(&'a NewRevision<'a>) -> &'a str| all.iter().map(read).collect::<Vec<_>>();
        let sql = "select m.number, m.made \
            from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]) \
              with ordinality u (component, wasm, fragment, configuration, version, place), \
            lateral platform.revision_make(u.component, null, u.wasm, u.fragment, u.configuration, \
              u.version, 'manifest', '', 'manifest') m order by u.place";
        let configurations: Vec<i64> =
            all.iter().map(|one| i64::try_from(one.configuration).unwrap_or(i64::MAX)).collect();
        let (components, wasms) = (texts(|one| one.component), texts(|one| one.wasm));
        let (fragments, versions) = (texts(|one| one.fragment), texts(|one| one.version));
        let values: [crate::session::Param<'_>; 5] =
            [&components, &wasms, &fragments, &configurations, &versions];
        let rows = self.session().await?.query(sql, &values).await?;
        let made = |row: &Row| -> Result<Made, tokio_postgres::Error> {
            Ok(Made { number: number(row.try_get(0)?), is_new: row.try_get(1)? })
        };
        Ok(rows.iter().map(made).collect::<Result<_, _>>()?)
    }

    /// The number of the last change of configuration that concerns each of these components, in
    /// their order; 0 where there is none.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn configurations(&self, components: &[&str]) -> Result<Vec<u64>, Error> {
        let sql = "select coalesce((select max(c.version) from platform.configuration_change c \
              where c.component in (u.component, '_')), 0) \
            from unnest($1::text[]) with ordinality u (component, place) order by u.place";
        let rows = self.session().await?.query(sql, &[&components]).await?;
        let number = |row: &Row| Ok(row.try_get::<_, i64>(0)?.cast_unsigned());
        rows.iter().map(number).collect()
    }

    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn revision(
        &self,
        component: &str,
        number: u32,
    ) -> Result<Option<RevisionRow>, Error> {
        let sql = format!("{SHOWN} where r.component = $1 and r.number = $2");
        let rows = self.session().await?.query(&sql, &[&component, &signed(number)]).await?;
        rows.first().map(revision).transpose()
    }

    /// The revision of each component that has the greatest share of its calls.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn leads(&self) -> Result<Vec<RevisionRow>, Error> {
        let sql = format!(
            "{SHOWN} where r.number = (select w.key::int from jsonb_each_text(t.weights) w \
             order by w.value::int desc, w.key::int limit 1)"
        );
        self.session().await?.query(&sql, &[]).await?.iter().map(revision).collect()
    }

    /// Revisions of a component, the newest first, at most `rows_max` below `before`.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn revisions(
        &self,
        component: &str,
        before: Option<u32>,
        rows_max: u32,
    ) -> Result<Vec<RevisionRow>, Error> {
        let sql = format!(
            "{SHOWN} where r.component = $1 and ($2::int is null or r.number < $2) \
             order by r.number desc limit $3"
        );
        let (before, limit) = (before.map(signed), i64::from(rows_max));
        let rows = self.session().await?.query(&sql, &[&component, &before, &limit]).await?;
        rows.iter().map(revision).collect()
    }
}

const SHOWN: &str = "select r.*, (t.weights ->> r.number::text)::int as weight \
    from platform.revision r left join platform.traffic t using (component)";

fn revision(row: &Row) -> Result<RevisionRow, Error> {
    let configuration: i64 = row.try_get("configuration")?;
    let weight: Option<i32> = row.try_get("weight")?;
    Ok(RevisionRow {
        component: row.try_get("component")?,
        number: number(row.try_get("number")?),
        artifact: row.try_get("artifact")?,
        wasm: row.try_get("wasm")?,
        fragment: row.try_get("fragment")?,
        configuration: u64::try_from(configuration).unwrap_or_default(),
        version: row.try_get("version")?,
        origin: row.try_get("origin")?,
        note: row.try_get("note")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        weight: weight.map(super::rows::share),
    })
}
