//! `session.rs` without a host: the same calls over a plain PostgreSQL connection.
//!
//! Knows the value mapping of `spin:postgres` as far as the tests need it.

use std::error::Error as StdError;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike, Utc};
use spin_sdk::pg::{Column, DbDataType, DbError, DbValue, ParameterValue, PgError, QueryError};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, Row};
use uuid::Uuid;

use crate::outcome::{Fault, classify};
use crate::row::Rows;
use crate::sql::Statement;
use crate::tests::cluster_url;

pub(crate) async fn query(
    statement: &Statement,
    params: Vec<ParameterValue>,
) -> Result<Rows, Fault> {
    Session::open().await?.query(statement, params).await
}

pub(crate) async fn execute(
    statement: &Statement,
    params: Vec<ParameterValue>,
) -> Result<u64, Fault> {
    Session::open().await?.execute(statement, params).await
}

#[derive(Debug)]
pub(crate) struct Session(Client);

impl Session {
    pub(crate) async fn open() -> Result<Session, Fault> {
        let away = |why: String| classify("open a connection", PgError::ConnectionFailed(why));
        let url = cluster_url().ok_or_else(|| away("the test took the database away".into()))?;
        let opened = tokio_postgres::connect(&url, NoTls).await;
        let (client, connection) = opened.map_err(|why| away(why.to_string()))?;
        tokio::spawn(connection);
        Ok(Session(client))
    }

    pub(crate) async fn execute(
        &self,
        statement: &Statement,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Fault> {
        let params: Vec<Parameter> = params.into_iter().map(Parameter).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let ran = self.0.execute(statement.text(), &params).await;
        ran.map_err(|why| classify(&statement.name(), error(&why)))
    }

    async fn query(
        &self,
        statement: &Statement,
        params: Vec<ParameterValue>,
    ) -> Result<Rows, Fault> {
        let params: Vec<Parameter> = params.into_iter().map(Parameter).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let rows = self.0.query(statement.text(), &params).await;
        let rows = rows.map_err(|why| classify(&statement.name(), error(&why)))?;
        // Like the host: no rows, no columns.
        let columns = rows.first().map(|row| {
            let column = |name: &str| Column { name: name.into(), data_type: DbDataType::Str };
            row.columns().iter().map(|it| column(it.name())).collect()
        });
        let values = rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect());
        Ok(Rows { columns: columns.unwrap_or_default(), values: values.collect() })
    }
}

fn error(error: &tokio_postgres::Error) -> PgError {
    let Some(told) = error.as_db_error() else {
        return match error.is_closed() {
            true => PgError::ConnectionFailed(error.to_string()),
            false => PgError::QueryFailed(QueryError::Text(format!("{error:?}"))),
        };
    };
    let constraint = told.constraint().map(|name| ("constraint".to_owned(), name.to_owned()));
    PgError::QueryFailed(QueryError::DbError(DbError {
        as_text: told.to_string(),
        severity: told.severity().to_owned(),
        code: told.code().code().to_owned(),
        message: told.message().to_owned(),
        detail: told.detail().map(str::to_owned),
        extras: constraint.into_iter().collect(),
    }))
}

#[derive(Debug)]
struct Parameter(ParameterValue);

impl ToSql for Parameter {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match &self.0 {
            ParameterValue::Boolean(v) => v.to_sql_checked(kind, out),
            ParameterValue::Int16(v) => v.to_sql_checked(kind, out),
            ParameterValue::Int32(v) => v.to_sql_checked(kind, out),
            ParameterValue::Int64(v) => v.to_sql_checked(kind, out),
            ParameterValue::Str(v) => v.to_sql_checked(kind, out),
            ParameterValue::Binary(v) => v.to_sql_checked(kind, out),
            ParameterValue::Uuid(v) => v.parse::<Uuid>()?.to_sql_checked(kind, out),
            ParameterValue::ArrayStr(v) => v.to_sql_checked(kind, out),
            ParameterValue::Jsonb(v) => {
                serde_json::from_slice::<serde_json::Value>(v)?.to_sql_checked(kind, out)
            }
            ParameterValue::Datetime((year, month, day, h, m, s, n)) => {
                let date = NaiveDate::from_ymd_opt(*year, (*month).into(), (*day).into());
                let time = date
                    .and_then(|d| d.and_hms_nano_opt((*h).into(), (*m).into(), (*s).into(), *n))
                    .ok_or("no such time")?;
                match *kind {
                    Type::TIMESTAMPTZ => time.and_utc().to_sql_checked(kind, out),
                    _ => time.to_sql_checked(kind, out),
                }
            }
            ParameterValue::DbNull => Ok(IsNull::Yes),
            other => Err(format!("no test binds {other:?}").into()),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn value(row: &Row, at: usize) -> DbValue {
    macro_rules! cell {
        ($rust:ty => |$value:ident| $made:expr) => {
            row.get::<_, Option<$rust>>(at).map_or(DbValue::DbNull, |$value| $made)
        };
    }
    let tuple = |t: NaiveDateTime| {
        let (month, day) = (t.month() as u8, t.day() as u8);
        let (hour, minute, second) = (t.hour() as u8, t.minute() as u8, t.second() as u8);
        DbValue::Datetime((t.year(), month, day, hour, minute, second, t.nanosecond()))
    };
    match *row.columns()[at].type_() {
        Type::BOOL => cell!(bool => |v| DbValue::Boolean(v)),
        Type::INT4 => cell!(i32 => |v| DbValue::Int32(v)),
        Type::INT8 => cell!(i64 => |v| DbValue::Int64(v)),
        Type::TEXT => cell!(String => |v| DbValue::Str(v)),
        Type::BYTEA => cell!(Vec<u8> => |v| DbValue::Binary(v)),
        Type::UUID => cell!(Uuid => |v| DbValue::Uuid(v.to_string())),
        Type::JSONB => cell!(serde_json::Value => |v| DbValue::Jsonb(v.to_string().into())),
        Type::TIMESTAMPTZ => cell!(DateTime<Utc> => |v| tuple(v.naive_utc())),
        Type::TEXT_ARRAY => cell!(Vec<Option<String>> => |v| DbValue::ArrayStr(v)),
        ref other => panic!("no test reads {other}"),
    }
}
