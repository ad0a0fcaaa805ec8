//! Reading: each statement runs now, by itself, and gives rows by name.
//!
//! Knows how rows become values and pages. Refuses to change anything: that is `commit`.

use serde::de::DeserializeOwned;

use crate::id::TenantId;
use crate::outcome::Fault;
use crate::page::{Cursor, Page, Sort};
use crate::problem::{Error, Failure, Result, standard};
use crate::row::{self, Rows};
use crate::session;
use crate::sql::{Scope, Statement};

/// The service's own database, as one tenant sees it (or, in a cron, all of them).
#[derive(Debug)]
pub struct Db {
    tenant: Option<TenantId>,
}

impl Db {
    pub(crate) fn new(tenant: Option<TenantId>) -> Db {
        Db { tenant }
    }

    pub(crate) fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }

    /// The one row there must be.
    ///
    /// # Errors
    /// No row is 404 `not-found`, or what `.or_refuse` named; two rows are a failure.
    pub async fn one<T: DeserializeOwned>(&self, statement: Statement) -> Result<T> {
        let missing = statement.refusal.clone().unwrap_or(standard::NotFound);
        self.optional(statement).await?.ok_or_else(|| missing.into())
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// Two rows are a failure.
    pub async fn optional<T: DeserializeOwned>(&self, statement: Statement) -> Result<Option<T>> {
        let rows = self.rows(&statement).await?;
        match rows.values.len() {
            0 => Ok(None),
            1 => Ok(decode(&statement, &rows)?.pop()),
            n => {
                let failure = Failure::msg(format!("{n} rows where one was expected"));
                Err(failure.context(statement.name()).into())
            }
        }
    }

    /// Every row. Bound the number in the statement: all of them are held in memory.
    pub async fn all<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>> {
        let rows = self.rows(&statement).await?;
        Ok(decode(&statement, &rows)?)
    }

    /// One page of a list, by keyset: the statement gives the whole list, unordered, and the
    /// SDK wraps it with the order, the place to start and the limit.
    ///
    /// `sort` names columns of the statement that are never null and together unique:
    /// `db.page(sql!("select * from …"), &cursor, descending(["created_at", "id"]))`.
    ///
    /// # Errors
    /// A cursor of another list is 400 `invalid-cursor`.
    pub async fn page<T: DeserializeOwned>(
        &self,
        statement: Statement,
        cursor: &Cursor,
        sort: Sort,
    ) -> Result<Page<T>> {
        let statement = cursor.narrow(statement, &sort)?;
        let mut rows = match self.run(&statement).await {
            // A forged token can put any value where a column's type belongs.
            Err(Fault::Failed(_)) if cursor.continues() => {
                return Err(standard::InvalidCursor.into());
            }
            other => other?,
        };
        let more = rows.values.len() > cursor.limit();
        rows.values.truncate(cursor.limit());
        let next = match rows.values.last() {
            Some(last) if more => Some(sort.token_after(&rows.columns, last)?),
            _ => None,
        };
        Ok(Page { items: decode(&statement, &rows)?, next })
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let ping = Statement::from_template("select 1", Vec::new()).across_tenants();
        self.rows(&ping).await.map(drop)
    }

    async fn rows(&self, statement: &Statement) -> Result<Rows> {
        Ok(self.run(statement).await?)
    }

    async fn run(&self, statement: &Statement) -> std::result::Result<Rows, Fault> {
        let scope = Scope { tenant: self.tenant, trace: None, mint: None };
        let params = statement.bind(&scope)?;
        refuse_change(statement)?;
        session::query(statement, params).await
    }
}

/// Catches a change that was meant for `commit`. A change hidden in a function or a `with`
/// passes: this is a guard rail, not a wall.
fn refuse_change(statement: &Statement) -> std::result::Result<(), Failure> {
    let verb = statement.text().split_whitespace().next().unwrap_or_default();
    let changes = ["insert", "update", "delete", "merge", "truncate"];
    if changes.iter().any(|change| verb.eq_ignore_ascii_case(change)) {
        let name = statement.name();
        return Err(Failure::msg(format!("a read may not change anything; commit it: {name}")));
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(
    statement: &Statement,
    rows: &Rows,
) -> std::result::Result<Vec<T>, Failure> {
    let decode = |values: &Vec<_>| row::decode(&rows.columns, values);
    let decoded: std::result::Result<Vec<T>, _> = rows.values.iter().map(decode).collect();
    decoded.map_err(|why| Failure::new(why).context(format!("read {}", statement.name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    #[test]
    fn a_change_is_not_run_as_a_read() {
        let change = sql!("Update catalog.product set title = '' where tenant_id = {tenant}");
        assert!(refuse_change(&change).unwrap_err().to_string().contains("commit it"));
        let read = sql!("select updated_at from catalog.product where tenant_id = {tenant}");
        assert!(refuse_change(&read).is_ok());
    }
}
