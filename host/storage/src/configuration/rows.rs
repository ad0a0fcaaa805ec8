//! Changes and settings as the database keeps them.

use crate::error::Error;
use std::fmt;
use std::time::SystemTime;
use tokio_postgres::Row;

/// What was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Value(String),
    Secret(Sealed),
    /// The name has no value of this scope any more.
    Unset,
}

/// A secret as nobody can read it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub bytes: Vec<u8>,
    /// Under which key, 16 hexadecimal digits.
    pub key_id: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed under {}", self.key_id)
    }
}

/// A name of a component's configuration at some number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    /// The component's own, or `_`.
    pub scope: String,
    /// The change that has set it.
    pub version: u64,
    pub kept: Kept,
    pub changed_at: SystemTime,
    pub changed_by: String,
}

/// One entry of the history, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    pub version: u64,
    pub scope: String,
    /// None when something outside of the database has changed.
    pub name: Option<String>,
    /// `value`, `secret`, `unset` or `outside`.
    pub kind: String,
    pub changed_at: SystemTime,
    pub changed_by: String,
    pub reason: String,
}

impl Kept {
    /// Kind, value and secret, as the table has them.
    pub(super) fn columns(&self) -> (&'static str, Option<&str>, Option<&Sealed>) {
        match self {
            Self::Value(value) => ("value", Some(value), None),
            Self::Secret(sealed) => ("secret", None, Some(sealed)),
            Self::Unset => ("unset", None, None),
        }
    }
}

pub(super) fn setting(row: &Row) -> Result<Setting, Error> {
    let kept = match row.try_get::<_, &str>("kind")? {
        "value" => Kept::Value(row.try_get("value")?),
        "secret" => {
            Kept::Secret(Sealed { bytes: row.try_get("sealed")?, key_id: row.try_get("key_id")? })
        }
        _ => Kept::Unset,
    };
    Ok(Setting {
        name: row.try_get("name")?,
        scope: row.try_get("component")?,
        version: row.try_get::<_, i64>("version")?.cast_unsigned(),
        kept,
        changed_at: row.try_get("changed_at")?,
        changed_by: row.try_get("changed_by")?,
    })
}

pub(super) fn change(row: &Row) -> Result<ChangeRow, Error> {
    Ok(ChangeRow {
        version: row.try_get::<_, i64>("version")?.cast_unsigned(),
        scope: row.try_get("component")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        changed_at: row.try_get("changed_at")?,
        changed_by: row.try_get("changed_by")?,
        reason: row.try_get("reason")?,
    })
}
