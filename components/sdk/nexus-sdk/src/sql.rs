//! One SQL statement as a value: what `sql!` makes, reads run and `commit` runs together.
//!
//! Knows whether the tenant is bound and what a statement's outcome means. Refuses to run
//! anything.

use std::borrow::Cow;

use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

use crate::id::{Mint, TenantId};
use crate::param::ToParam;
use crate::problem::{Failure, Refusal};

/// One SQL statement with its parameters and what its outcome means.
#[derive(Debug)]
#[must_use = "a statement does nothing until it is read or committed"]
pub struct Statement {
    text: Cow<'static, str>,
    binds: Vec<Bind>,
    across_tenants: bool,
    pub(crate) rows: Option<u64>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) conflicts: Vec<(&'static str, Refusal)>,
}

/// A change as a value: the same statement, seen from `commit`.
pub type Write = Statement;

/// What stands behind a `$n`.
#[doc(hidden)]
#[derive(Debug)]
pub enum Bind {
    /// The tenant of whoever runs the statement.
    Tenant,
    /// The W3C trace context of the request, or null.
    Trace,
    /// A fresh UUIDv7.
    NewId,
    /// A value of the author's, or why it could not be written.
    Value(Result<ParameterValue, String>),
}

impl Bind {
    #[doc(hidden)]
    pub fn value<T: ToParam + ?Sized>(value: &T) -> Bind {
        Bind::Value(value.to_param().map_err(|failure| format!("{failure:#}")))
    }
}

/// What the SDK binds when a statement runs.
pub(crate) struct Scope<'a> {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) trace: Option<&'a str>,
    pub(crate) mint: Option<&'a Mint>,
}

impl Statement {
    #[doc(hidden)]
    pub fn from_template(text: impl Into<Cow<'static, str>>, binds: Vec<Bind>) -> Statement {
        Statement {
            text: text.into(),
            binds,
            across_tenants: false,
            rows: None,
            refusal: None,
            conflicts: Vec::new(),
        }
    }

    /// Says aloud that this statement concerns every tenant; without these words one that
    /// does not bind `{tenant}` is refused.
    pub fn across_tenants(mut self) -> Statement {
        self.across_tenants = true;
        self
    }

    /// As a write: exactly `rows` rows must be touched; otherwise the whole commit is undone
    /// and refused with 409 `conflict`.
    pub fn expect_rows(mut self, rows: u64) -> Statement {
        self.rows = Some(rows);
        self
    }

    /// Names another refusal for a missed `expect_rows`, or for a `one` that finds nothing.
    pub fn or_refuse(mut self, refusal: Refusal) -> Statement {
        self.refusal = Some(refusal);
        self
    }

    /// Translates a violated constraint into a refusal; the whole commit is undone.
    pub fn on_conflict_refuse(mut self, constraint: &'static str, refusal: Refusal) -> Statement {
        self.conflicts.push((constraint, refusal));
        self
    }

    /// The SQL with `$n` in place of the placeholders.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parameters in order, as text for a test to compare: `tenant`, `Str("Lamp")`, …
    pub fn params(&self) -> Vec<String> {
        let shown = |bind: &Bind| match bind {
            Bind::Tenant => "tenant".to_owned(),
            Bind::Trace => "trace".to_owned(),
            Bind::NewId => "new id".to_owned(),
            Bind::Value(Ok(value)) => format!("{value:?}").replace("ParameterValue::", ""),
            Bind::Value(Err(reason)) => reason.clone(),
        };
        self.binds.iter().map(shown).collect()
    }

    /// Whether it may run: it binds `{tenant}` or says `.across_tenants()`.
    ///
    /// # Errors
    /// A failure that names the statement.
    pub fn check(&self) -> Result<(), Failure> {
        let bound = self.binds.iter().any(|bind| matches!(bind, Bind::Tenant));
        if bound || self.across_tenants {
            return Ok(());
        }
        let rule = "it binds no {tenant} and does not say .across_tenants()";
        Err(Failure::msg(format!("{rule}: {}", self.name())))
    }

    /// The statement's beginning on one line, for messages.
    pub(crate) fn name(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let line = words.join(" ");
        match line.char_indices().nth(NAME_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    /// The parameters, with the SDK's own filled in from `scope`.
    pub(crate) fn bind(&self, scope: &Scope<'_>) -> Result<Vec<ParameterValue>, Failure> {
        self.check()?;
        let missing = |what: &str| Failure::msg(format!("there is no {what} here"));
        let bind = |bind: &Bind| match bind {
            Bind::Tenant => scope.tenant.ok_or_else(|| missing("tenant"))?.to_param(),
            Bind::Trace => scope.trace.map(str::to_owned).to_param(),
            Bind::NewId => Uuid::to_param(&scope.mint.ok_or_else(|| missing("mint"))?.next()),
            Bind::Value(Ok(value)) => Ok(value.clone()),
            Bind::Value(Err(reason)) => Err(Failure::msg(reason.clone())),
        };
        let params: Result<Vec<_>, Failure> = self.binds.iter().map(bind).collect();
        params.map_err(|failure| failure.context(format!("bind {}", self.name())))
    }

    /// The parameters of the author, for the SDK to add its own after them.
    pub(crate) fn wrapped(self, text: String, more: Vec<Bind>) -> Statement {
        let mut binds = self.binds;
        binds.extend(more);
        Statement { text: text.into(), binds, ..self }
    }

    pub(crate) fn bind_count(&self) -> usize {
        self.binds.len()
    }
}

/// Enough to find the statement in `store.rs`, not enough to fill a log.
const NAME_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    struct Product {
        id: Uuid,
        title: String,
    }

    fn scope(tenant: Option<TenantId>) -> Scope<'static> {
        Scope { tenant, trace: None, mint: None }
    }

    #[test]
    fn a_statement_shows_its_text_and_its_parameters() {
        let p = &Product { id: Uuid::from_u128(2), title: "Lamp".into() };
        let insert = sql!(
            "insert into catalog.product (tenant_id, id, title)
             values ({tenant}, {p.id}, {p.title})"
        );
        let values = "values ($1, $2, $3)";
        assert!(insert.text().ends_with(values), "{}", insert.text());
        assert_eq!(
            insert.params(),
            ["tenant", "Uuid(\"00000000-0000-0000-0000-000000000002\")", "Str(\"Lamp\")"]
        );
    }

    #[test]
    fn a_statement_without_the_tenant_is_refused_by_name_unless_it_says_so() {
        let id = Uuid::from_u128(2);
        let careless = sql!("delete from catalog.product where id = {id}");
        let refused = careless.bind(&scope(Some(id.into()))).unwrap_err();
        assert!(refused.to_string().contains("delete from catalog.product"), "{refused:#}");
        assert!(careless.across_tenants().bind(&scope(None)).is_ok());
    }

    #[test]
    fn the_tenant_bound_is_that_of_the_one_who_runs_it() {
        let read = sql!("select * from catalog.product where tenant_id = {tenant}");
        let tenant: TenantId = Uuid::from_u128(9).into();
        let bound = read.bind(&scope(Some(tenant))).unwrap();
        assert!(format!("{bound:?}").contains(&tenant.to_string()));
        assert!(read.bind(&scope(None)).unwrap_err().root_cause().to_string().contains("tenant"));
    }

    #[test]
    fn a_statements_name_is_one_short_line() {
        let long = Statement::from_template(format!("select\n  {}", "x, ".repeat(200)), vec![]);
        assert!(long.name().starts_with("select x, x,"));
        assert!(long.name().chars().count() <= NAME_CHARS_MAX + 1);
    }
}
