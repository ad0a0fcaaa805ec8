//! Several writes as one statement, where that comes to the same: each statement is a round trip to
//! the database, and one alone needs no `begin` and no `commit` around it.
//!
//! Knows which writes may share a statement: those of the SDK itself, and of the author's at most
//! one, because two in one statement would not see each other. Refuses to parse SQL beyond its
//! first word: what it does not know stands alone.

use std::fmt::Write as _;

use spin_sdk::pg::ParameterValue;

use super::{Errand, ErrandKind};
use crate::event::PUBLISH;
use crate::param::ToParam;
use crate::problem::{Failure, Refusal};
use crate::sql::{Scope, Statement, Write};

/// What may stand in a `with` and change rows there (PostgreSQL manual, "Data-Modifying Statements
/// in WITH").
const FOLDABLE: [&str; 3] = ["insert", "update", "delete"];

/// One statement of a commit.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) statement: Statement,
    pub(super) params: Vec<ParameterValue>,
    /// So many rows must be touched, or this is refused.
    pub(super) rows: Option<(u64, Option<&'a Refusal>)>,
}

/// The statements of a commit, in order.
///
/// # Errors
/// A parameter that cannot be bound.
pub(super) fn steps<'a>(
    scope: &Scope<'_>,
    errand: Option<&Errand>,
    writes: &'a [Write],
) -> Result<Vec<Step<'a>>, Failure> {
    let mut steps = Vec::with_capacity(writes.len());
    let mut group = Group::default();
    if let Some(errand) = errand {
        group.take_along(scope, errand)?;
    }
    for write in writes {
        match kind(write) {
            Kind::Told => group.tell(write, scope)?,
            Kind::Foldable if group.written.is_none() => group.write(write, scope)?,
            Kind::Foldable => {
                steps.extend(std::mem::take(&mut group).into_step());
                group.write(write, scope)?;
            }
            Kind::Alone => {
                steps.extend(std::mem::take(&mut group).into_step());
                let statement = Statement::from_template(write.text().to_owned(), Vec::new());
                let rows = write.rows.map(|rows| (rows, write.refusal.as_ref()));
                steps.push(Step { statement, params: write.bind(scope)?, rows });
            }
        }
    }
    steps.extend(group.into_step());
    Ok(steps)
}

enum Kind {
    /// Tells an event.
    Told,
    Foldable,
    Alone,
}

fn kind(write: &Write) -> Kind {
    if write.rows.is_some() {
        return Kind::Alone;
    }
    if write.text() == PUBLISH {
        return Kind::Told;
    }
    let text = write.text().trim_end_matches(is_end);
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_change = FOLDABLE.iter().any(|word| first.eq_ignore_ascii_case(word));
    // Where there is one in the middle, the statement may end there, before a comment.
    if is_change && !text.contains(';') { Kind::Foldable } else { Kind::Alone }
}

/// Writes that become one statement.
#[derive(Default)]
struct Group<'a> {
    /// The author's; its parameters come first, so that its text stays as it is.
    written: Option<&'a str>,
    own_params: Vec<ParameterValue>,
    /// The SDK's: a function, and its parameters.
    calls: Vec<(&'static str, Vec<ParameterValue>)>,
}

impl<'a> Group<'a> {
    fn take_along(&mut self, scope: &Scope<'_>, errand: &Errand) -> Result<(), Failure> {
        let call = match &errand.kind {
            ErrandKind::Key { subject, key, fingerprint } => {
                let tenant = scope.tenant.ok_or_else(|| Failure::msg("there is no tenant here"))?;
                let params = [&tenant as &dyn ToParam, subject, key, fingerprint];
                ("platform.idempotency_claim", bound(&params)?)
            }
            ErrandKind::Event { id, subscription } => {
                ("platform.inbox_take", bound(&[id as &dyn ToParam, subscription])?)
            }
        };
        self.calls.push(call);
        Ok(())
    }

    fn tell(&mut self, write: &Write, scope: &Scope<'_>) -> Result<(), Failure> {
        self.calls.push(("platform.publish", write.bind(scope)?));
        Ok(())
    }

    fn write(&mut self, write: &'a Write, scope: &Scope<'_>) -> Result<(), Failure> {
        self.own_params = write.bind(scope)?;
        self.written = Some(write.text());
        Ok(())
    }

    fn into_step(self) -> Option<Step<'static>> {
        let mut text = match self.written {
            None if self.calls.is_empty() => return None,
            Some(own) if self.calls.is_empty() => own.to_owned(),
            // The line ends so that a comment at its end does not swallow the rest.
            Some(own) => format!("with written as ({}\n) select ", own.trim_end_matches(is_end)),
            None => "select ".to_owned(),
        };
        let mut params = self.own_params;
        for (n, (function, more)) in self.calls.into_iter().enumerate() {
            let first = params.len() + 1;
            params.extend(more);
            let places: Vec<String> = (first..=params.len()).map(|n| format!("${n}")).collect();
            let comma = if n == 0 { "" } else { ", " };
            write!(text, "{comma}{function}({})", places.join(", ")).expect("a String takes all");
        }
        let statement = Statement::from_template(text, Vec::new());
        Some(Step { statement, params, rows: None })
    }
}

fn is_end(c: char) -> bool {
    c == ';' || c.is_whitespace()
}

fn bound(params: &[&dyn ToParam]) -> Result<Vec<ParameterValue>, Failure> {
    params.iter().map(|param| param.to_param()).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::id::{Mint, TenantId};
    use crate::sql;
    use crate::sql::Bind;

    crate::event! {
        /// A lamp burns.
        "commerce.lamp.lit.v1" => LampLit { id: TenantId }
    }

    fn tenant() -> TenantId {
        Uuid::from_u128(1).into()
    }

    fn texts(errand: Option<ErrandKind>, writes: &[Write]) -> Vec<String> {
        let mint = Mint::new(crate::time::now());
        let scope = Scope { tenant: Some(tenant()), trace: None, mint: Some(&mint) };
        let errand = errand.map(Errand::new);
        let steps = steps(&scope, errand.as_ref(), writes).unwrap();
        for step in &steps {
            let places = step.statement.text().matches('$').count();
            assert_eq!(places, step.params.len(), "{}", step.statement.text());
        }
        let text = |step: &Step<'_>| step.statement.text().replace('\n', " ");
        steps.iter().map(text).collect()
    }

    fn event() -> Option<ErrandKind> {
        let subscription = "commerce.lamp.lit.v1".to_owned();
        Some(ErrandKind::Event { id: Uuid::from_u128(2), subscription })
    }

    fn insert() -> Write {
        let watts = 7;
        sql!("insert into catalog.lamp (tenant_id, watts) values ({tenant}, {watts})")
    }

    fn told() -> Write {
        crate::emit(LampLit { id: tenant() })
    }

    const INSERT: &str = "insert into catalog.lamp (tenant_id, watts) values ($1, $2)";

    #[test]
    fn an_events_commit_is_one_statement() {
        let taken = format!("with written as ({INSERT} ) select platform.inbox_take($3, $4)");
        assert_eq!(texts(event(), &[insert()]), [taken.clone()]);
        let told_too = format!("{taken}, platform.publish($5, $6, $7, $8, $9, $10)");
        assert_eq!(texts(event(), &[insert(), told()]), [told_too.clone()]);
        assert_eq!(texts(event(), &[told(), insert()]), [told_too]);
        assert_eq!(texts(event(), &[]), ["select platform.inbox_take($1, $2)"]);
    }

    #[test]
    fn a_requests_commit_is_one_statement_with_its_key() {
        let key =
            ErrandKind::Key { subject: "ada".into(), key: "k".into(), fingerprint: "f".into() };
        let claimed = format!(
            "with written as ({INSERT} ) select platform.idempotency_claim($3, $4, $5, $6)"
        );
        assert_eq!(texts(Some(key), &[insert()]), [claimed]);
        assert_eq!(texts(None, &[insert()]), [INSERT]);
    }

    #[test]
    fn two_of_the_authors_writes_see_each_other() {
        let taken = format!("with written as ({INSERT} ) select platform.inbox_take($3, $4)");
        let publish = "platform.publish($3, $4, $5, $6, $7, $8)";
        let with_event = format!("with written as ({INSERT} ) select {publish}");
        assert_eq!(texts(event(), &[insert(), insert(), told()]), [taken, with_event]);
    }

    #[test]
    fn what_counts_its_rows_or_is_no_plain_change_stands_alone() {
        let counted = || insert().expect_rows(1);
        assert_eq!(texts(event(), &[counted()]), ["select platform.inbox_take($1, $2)", INSERT]);
        let tenant_id = tenant();
        let called = sql!("select catalog.light({tenant}, {tenant_id})");
        let texts_of_call = texts(None, &[insert(), called, told()]);
        assert_eq!(texts_of_call[0], INSERT);
        assert_eq!(texts_of_call[1], "select catalog.light($1, $2)");
        assert_eq!(texts_of_call.len(), 3);
    }

    #[test]
    fn a_statement_keeps_its_end_to_itself() {
        let plain = "delete from catalog.lamp where tenant_id = $1";
        for end in ["", ";", " ;\n", " -- all of them", " -- all of them;"] {
            let text = format!("{plain}{end}");
            let write = Write::from_template(text, vec![Bind::Tenant]);
            let kept = end.trim_end_matches(is_end);
            let expected =
                format!("with written as ({plain}{kept} ) select platform.inbox_take($2, $3)");
            assert_eq!(texts(event(), &[write]), [expected]);
        }
        let early = format!("{plain}; -- all of them");
        let write = Write::from_template(early.clone(), vec![Bind::Tenant]);
        assert_eq!(texts(event(), &[write])[1], early);
    }
}
