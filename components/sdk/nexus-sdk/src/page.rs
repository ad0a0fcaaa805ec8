//! Keyset pagination: a cursor in, a page out, and the row comparison between them.
//!
//! Knows the token (base64url JSON of the last row's sort values) and the wrapping SQL.
//! Refuses offsets: they skip and repeat rows as soon as somebody writes.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spin_sdk::pg::{Column, DbValue, ParameterValue};
use uuid::Uuid;

use crate::extract::{Json, query_of};
use crate::problem::{Error, Failure, FieldError, Refusal, standard};
use crate::sql::{Bind, Statement};

const LIMIT_DEFAULT: usize = 50;
/// A page is held in memory twice, as rows and as JSON; 200 of anything is still small.
const LIMIT_MAX: usize = 200;

/// Where in a list to start and how far to go: the query parameters `cursor` and `limit`.
#[derive(Debug, PartialEq)]
pub struct Cursor {
    limit: usize,
    after: Option<Token>,
}

/// One page of a list, with the cursor of the next one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// At most `limit` items.
    pub items: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The same page with each item seen differently.
    pub fn map<U>(self, view: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(view).collect(), next: self.next }
    }
}

/// The next cursor, on its way to the `link` header.
#[derive(Clone)]
pub(crate) struct NextPage(pub(crate) String);

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let next = self.next.clone();
        let mut response = Json(self).into_response();
        if let Some(next) = next {
            response.extensions_mut().insert(NextPage(next));
        }
        response
    }
}

/// The order of a list.
#[derive(Debug)]
pub struct Sort {
    columns: Vec<&'static str>,
    descending: bool,
}

/// Smallest first, by columns that together are unique.
pub fn ascending<const N: usize>(columns: [&'static str; N]) -> Sort {
    Sort { columns: columns.to_vec(), descending: false }
}

/// Greatest first, by columns that together are unique.
pub fn descending<const N: usize>(columns: [&'static str; N]) -> Sort {
    Sort { columns: columns.to_vec(), descending: true }
}

/// What a cursor says once opened: the order it belongs to and the last row's values.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    by: String,
    after: Vec<Mark>,
}

/// A value to start after, with the type its column had.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    Bool(bool),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Text(String),
    Uuid(Uuid),
    Date((i32, u8, u8)),
    Time((i32, u8, u8, u8, u8, u8, u32)),
    Decimal(String),
}

impl Mark {
    fn of(value: &DbValue) -> Option<Mark> {
        Some(match value {
            DbValue::Boolean(v) => Mark::Bool(*v),
            DbValue::Int16(v) => Mark::Int16(*v),
            DbValue::Int32(v) => Mark::Int32(*v),
            DbValue::Int64(v) => Mark::Int64(*v),
            DbValue::Str(v) => Mark::Text(v.clone()),
            DbValue::Uuid(v) => Mark::Uuid(v.parse().ok()?),
            DbValue::Date(v) => Mark::Date(*v),
            DbValue::Datetime(v) => Mark::Time(*v),
            DbValue::Decimal(v) => Mark::Decimal(v.clone()),
            _ => return None,
        })
    }

    fn param(&self) -> ParameterValue {
        match self {
            Mark::Bool(v) => ParameterValue::Boolean(*v),
            Mark::Int16(v) => ParameterValue::Int16(*v),
            Mark::Int32(v) => ParameterValue::Int32(*v),
            Mark::Int64(v) => ParameterValue::Int64(*v),
            Mark::Text(v) => ParameterValue::Str(v.clone()),
            Mark::Uuid(v) => ParameterValue::Uuid(v.to_string()),
            Mark::Date(v) => ParameterValue::Date(*v),
            Mark::Time(v) => ParameterValue::Datetime(*v),
            Mark::Decimal(v) => ParameterValue::Decimal(v.clone()),
        }
    }
}

impl Sort {
    fn name(&self) -> String {
        let sign = if self.descending { "-" } else { "" };
        format!("{sign}{}", self.columns.join(","))
    }

    /// The token that starts after this row.
    pub(crate) fn token_after(
        &self,
        columns: &[Column],
        row: &[DbValue],
    ) -> Result<String, Failure> {
        let mark = |name: &&'static str| {
            let at = columns.iter().position(|column| column.name == **name);
            at.and_then(|at| Mark::of(row.get(at)?)).ok_or_else(|| {
                Failure::msg(format!("a page cannot be sorted by {name:?}: it is null or odd"))
            })
        };
        let after = self.columns.iter().map(mark).collect::<Result<Vec<_>, _>>()?;
        let token = Token { by: self.name(), after };
        let json = serde_json::to_vec(&token).expect("strings and numbers always serialize");
        Ok(URL_SAFE_NO_PAD.encode(json))
    }
}

impl Cursor {
    /// How many items a page has at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn continues(&self) -> bool {
        self.after.is_some()
    }

    /// Wraps the statement of a whole list into that of one page, and one row more, which
    /// says whether there is a next page.
    pub(crate) fn narrow(&self, statement: Statement, sort: &Sort) -> Result<Statement, Error> {
        let columns: Vec<String> = sort.columns.iter().map(|name| format!("\"{name}\"")).collect();
        let columns = columns.join(", ");
        let mut number = statement.bind_count();
        let mut binds = Vec::new();
        let mut parameter = |value| {
            binds.push(Bind::Value(Ok(value)));
            number += 1;
            format!("${number}")
        };
        let start = match &self.after {
            None => String::new(),
            Some(token) if token.by == sort.name() && token.after.len() == sort.columns.len() => {
                let marks: Vec<String> =
                    token.after.iter().map(|mark| parameter(mark.param())).collect();
                let beyond = if sort.descending { "<" } else { ">" };
                format!("where ({columns}) {beyond} ({})", marks.join(", "))
            }
            Some(_) => return Err(standard::InvalidCursor.into()),
        };
        let way = if sort.descending { " desc" } else { "" };
        let order = columns.replace(", ", &format!("{way}, "));
        let limit = parameter(ParameterValue::Int64(self.limit as i64 + 1));
        let list = statement.text();
        let text =
            format!("select * from ({list}) as page {start} order by {order}{way} limit {limit}");
        Ok(statement.wrapped(text, binds))
    }

    fn of_query(query: &str) -> Result<Cursor, Error> {
        #[derive(Deserialize)]
        struct Asked {
            cursor: Option<String>,
            limit: Option<String>,
        }
        let asked: Asked = query_of(query)?;
        let limit = match asked.limit.map(|text| text.parse()) {
            None => LIMIT_DEFAULT,
            Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => limit,
            Some(_) => {
                let detail = format!("takes 1 to {LIMIT_MAX}");
                return Err(wrong("limit", standard::InvalidQuery, detail).into());
            }
        };
        let open = |token: String| {
            let json = URL_SAFE_NO_PAD.decode(token).ok()?;
            serde_json::from_slice(&json).ok()
        };
        let after = match asked.cursor {
            None => None,
            Some(token) => Some(open(token).ok_or(standard::InvalidCursor)?),
        };
        Ok(Cursor { limit, after })
    }
}

fn wrong(parameter: &str, refusal: Refusal, detail: String) -> Refusal {
    refusal.with(FieldError { pointer: None, parameter: Some(parameter.to_owned()), detail })
}

impl<S: Sync> FromRequestParts<S> for Cursor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Cursor, Error> {
        Cursor::of_query(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;
    use spin_sdk::pg::DbDataType;

    fn last_row() -> (Vec<Column>, Vec<DbValue>) {
        let column = |name: &str| Column { name: name.into(), data_type: DbDataType::Str };
        let values = vec![
            DbValue::Datetime((2026, 3, 1, 9, 8, 7, 123_456_000)),
            DbValue::Uuid("01890a5d-ac96-774b-bcce-b302099a8057".into()),
            DbValue::DbNull,
        ];
        (vec![column("created_at"), column("id"), column("note")], values)
    }

    fn list() -> Statement {
        sql!("select * from catalog.product where tenant_id = {tenant}")
    }

    #[test]
    fn the_first_page_takes_fifty_and_asks_for_one_more() {
        let cursor = Cursor::of_query("").unwrap();
        let first = cursor.narrow(list(), &ascending(["id"])).unwrap();
        assert_eq!(
            first.text(),
            "select * from (select * from catalog.product where tenant_id = $1) as page  \
             order by \"id\" limit $2"
        );
        assert_eq!(first.params(), ["tenant", "Int64(51)"]);
    }

    #[test]
    fn the_next_page_starts_after_the_last_row_with_its_types() {
        let sort = || descending(["created_at", "id"]);
        let (columns, row) = last_row();
        let token = sort().token_after(&columns, &row).unwrap();
        let cursor = Cursor::of_query(&format!("limit=2&cursor={token}")).unwrap();
        let next = cursor.narrow(list(), &sort()).unwrap();
        assert!(next.text().ends_with(
            "where (\"created_at\", \"id\") < ($2, $3) \
             order by \"created_at\" desc, \"id\" desc limit $4"
        ));
        assert_eq!(
            next.params()[1..],
            [
                "Datetime((2026, 3, 1, 9, 8, 7, 123456000))",
                "Uuid(\"01890a5d-ac96-774b-bcce-b302099a8057\")",
                "Int64(3)"
            ]
        );
    }

    #[test]
    fn a_cursor_of_another_list_or_of_nobody_is_refused() {
        let (columns, row) = last_row();
        let token = ascending(["id"]).token_after(&columns, &row).unwrap();
        let cursor = Cursor::of_query(&format!("cursor={token}")).unwrap();
        let other = cursor.narrow(list(), &descending(["created_at", "id"])).unwrap_err();
        assert!(other.is(&standard::InvalidCursor));
        assert!(Cursor::of_query("cursor=nonsense").unwrap_err().is(&standard::InvalidCursor));
    }

    #[test]
    fn a_limit_outside_one_to_two_hundred_is_refused() {
        assert_eq!(Cursor::of_query("limit=200").unwrap().limit(), 200);
        for limit in ["0", "201", "-1", "many"] {
            let refused = Cursor::of_query(&format!("limit={limit}")).unwrap_err();
            assert!(refused.is(&standard::InvalidQuery), "{limit}");
        }
    }

    #[test]
    fn a_null_sort_column_is_a_failure_and_not_a_page_that_loses_rows() {
        let (columns, row) = last_row();
        assert!(ascending(["note"]).token_after(&columns, &row).is_err());
        assert!(ascending(["absent"]).token_after(&columns, &row).is_err());
    }
}
