//! What is in a database, in numbers that two databases can be compared by: rows and a fingerprint
//! of each table, and one of all grants. Refuses to know what the rows mean.

use super::quoted;
use crate::error::Error;
use crate::session::Session;

/// How values look as text depends on these. A fingerprint is of the text.
pub(super) const PLAIN: &str = "
set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres';
set local extra_float_digits = 1; set local bytea_output = 'hex';
set local search_path = pg_catalog";

/// Stands in the list of tables for who may do what.
pub const GRANTS: &str = "(grants)";

/// One line of the census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// `schema.table`, or [`GRANTS`].
    pub table: String,
    pub rows: i64,
    /// The sum of a 64-bit hash of each row's text: it does not depend on their order, and two rows
    /// that are the same count twice. Against mistakes, not against forgers.
    pub hash: String,
}

pub(super) async fn take(session: &Session, schemas: &[String]) -> Result<Vec<Counted>, Error> {
    let tables = "select n.nspname::text, c.relname::text from pg_class c \
                  join pg_namespace n on n.oid = c.relnamespace \
                  where c.relkind = 'r' and n.nspname = any($1) \
                  order by n.nspname, c.relname";
    let mut census = Vec::new();
    for row in session.query(tables, &[&schemas]).await? {
        let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (quoted_schema, quoted_table) = (quoted(&schema), quoted(&table));
        let sql = format!(
            "select count(*), coalesce(sum(hashtextextended(counted::text, 0)::numeric), 0)::text \
             from only {quoted_schema}.{quoted_table} as counted"
        );
        census.push(line(session, &sql, &[], format!("{schema}.{table}")).await?);
    }
    census.push(line(session, SQL_GRANTS, &[&schemas], GRANTS.to_owned()).await?);
    Ok(census)
}

async fn line(
    session: &Session,
    sql: &str,
    params: &[crate::session::Param<'_>],
    table: String,
) -> Result<Counted, Error> {
    let rows = session.query(sql, params).await?;
    Ok(Counted { table, rows: rows[0].try_get(0)?, hash: rows[0].try_get(1)? })
}

/// Grants by name, not by number: a role has another number in another server.
const SQL_GRANTS: &str = "
with reach (what, acl) as (
  select 'schema ' || n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner))
  from pg_namespace n where n.nspname = any($1)
  union all
  select 'relation ' || c.oid::regclass::text,
    coalesce(c.relacl,
      acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any($1) and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
  union all
  select 'routine ' || p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner))
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any($1)
  union all
  select 'default ' || d.defaclobjtype::text || ' ' || coalesce(n.nspname, ''), d.defaclacl
  from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
  where n.nspname = any($1) or n.oid is null
), granted (line) as (
  select r.what || ' ' || coalesce(g.rolname, 'public') || ' ' || a.privilege_type
  from reach r, aclexplode(r.acl) a left join pg_roles g on g.oid = a.grantee
)
select count(*), coalesce(sum(hashtextextended(line, 0)::numeric), 0)::text from granted";
