//! From a database row to a Rust value, by column name.
//!
//! Knows how each value of the host becomes one of serde's. Refuses to guess: a missing
//! column, a null that nobody expects and a type that does not fit are errors that name the
//! column. (One silence remains serde's own: behind `#[serde(flatten)]` it asks for no names,
//! so a missing optional column reads as none there.)

use std::fmt::{self, Display};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;
use spin_sdk::pg::{Column, DbValue};

use crate::cell::Cell;

/// The rows of one answer.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<Column>,
    pub(crate) values: Vec<Vec<DbValue>>,
}

/// Why a row is not the value that was asked for; the sentence names the column.
#[derive(Debug)]
pub(crate) struct RowError(pub(crate) String);

impl Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RowError {}

impl de::Error for RowError {
    fn custom<T: Display>(reason: T) -> Self {
        RowError(reason.to_string())
    }
}

impl RowError {
    fn in_column(self, column: &Column) -> RowError {
        RowError(format!("column {:?}: {}", column.name, self.0))
    }
}

/// Reads one row as `T`: a struct by column name, a tuple by position, anything else from the
/// only column.
pub(crate) fn decode<T: DeserializeOwned>(
    columns: &[Column],
    values: &[DbValue],
) -> Result<T, RowError> {
    if columns.len() != values.len() {
        let counts = format!("{} columns, {} values", columns.len(), values.len());
        return Err(RowError(counts));
    }
    T::deserialize(Row { columns, values })
}

#[derive(Clone, Copy)]
struct Row<'a> {
    columns: &'a [Column],
    values: &'a [DbValue],
}

impl<'a> Row<'a> {
    fn only(self) -> Result<Cell<'a>, RowError> {
        match (self.columns, self.values) {
            ([column], [value]) => Ok(Cell { column, value }),
            _ => Err(RowError(format!("one column was expected, not {}", self.columns.len()))),
        }
    }

    fn cells(self) -> Cells<'a> {
        Cells { row: self, at: 0 }
    }
}

macro_rules! from_the_only_column {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
            let cell = self.only()?;
            cell.$method(visitor).map_err(|why| why.in_column(cell.column))
        }
    )*};
}

impl<'de> Deserializer<'de> for Row<'de> {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_map(self.cells())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        // Serde would read a missing column as `None` where the field is an option.
        let is_column = |field: &&&str| self.columns.iter().any(|column| column.name == **field);
        match fields.iter().find(|field| !is_column(field)) {
            Some(missing) => Err(RowError(format!("column {missing:?} is missing"))),
            None => visitor.visit_map(self.cells()),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        if len != self.columns.len() {
            let counts = format!("{len} columns were expected, not {}", self.columns.len());
            return Err(RowError(counts));
        }
        visitor.visit_seq(self.cells())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        let cell = self.only()?;
        let read = cell.deserialize_enum(name, variants, visitor);
        read.map_err(|why| why.in_column(cell.column))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.only() {
            Ok(cell) if matches!(cell.value, DbValue::DbNull) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    from_the_only_column! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_seq
        deserialize_unit
    }

    forward_to_deserialize_any! { unit_struct tuple_struct map identifier ignored_any }
}

/// Gives a row's cells in order: with their names to a map, without to a sequence.
struct Cells<'a> {
    row: Row<'a>,
    at: usize,
}

impl<'a> Cells<'a> {
    fn take(&mut self) -> Option<Cell<'a>> {
        let column = self.row.columns.get(self.at)?;
        let value = self.row.values.get(self.at)?;
        self.at += 1;
        Some(Cell { column, value })
    }
}

impl<'de> MapAccess<'de> for Cells<'de> {
    type Error = RowError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, RowError> {
        let column = self.row.columns.get(self.at);
        column.map(|column| seed.deserialize(column.name.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, RowError> {
        let cell = self.take().ok_or_else(|| RowError("there is no further column".into()))?;
        seed.deserialize(cell).map_err(|why| why.in_column(cell.column))
    }
}

impl<'de> SeqAccess<'de> for Cells<'de> {
    type Error = RowError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, RowError> {
        let Some(cell) = self.take() else {
            return Ok(None);
        };
        seed.deserialize(cell).map(Some).map_err(|why| why.in_column(cell.column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TenantId;
    use crate::time::{Date, Time};
    use serde::Deserialize;
    use spin_sdk::pg::DbDataType;

    fn row<T: DeserializeOwned>(cells: Vec<(&str, DbValue)>) -> Result<T, String> {
        let column = |name: &str| Column { name: name.into(), data_type: DbDataType::Str };
        let columns: Vec<Column> = cells.iter().map(|(name, _)| column(name)).collect();
        let values: Vec<DbValue> = cells.into_iter().map(|(_, value)| value).collect();
        decode(&columns, &values).map_err(|why| why.to_string())
    }

    fn text(text: &str) -> DbValue {
        DbValue::Str(text.into())
    }

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[derive(Debug, PartialEq, Deserialize)]
    struct Product {
        id: TenantId,
        title: String,
        stock: i64,
        weight: f64,
        price: String,
        live: bool,
        state: State,
        archived_at: Option<Time>,
        created_at: Time,
        released_on: Date,
        tags: Vec<String>,
        sizes: Vec<Option<i32>>,
        settings: Settings,
        digest: Vec<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        InReview,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Settings {
        loud: bool,
        depth: Option<u8>,
    }

    fn full() -> Vec<(&'static str, DbValue)> {
        vec![
            ("tenant_id", DbValue::Uuid(ID.into())),
            ("title", text("Lamp")),
            ("id", DbValue::Uuid(ID.into())),
            ("stock", DbValue::Int64(7)),
            ("weight", DbValue::Floating64(1.5)),
            ("price", DbValue::Decimal("12.50".into())),
            ("live", DbValue::Boolean(true)),
            ("state", text("in_review")),
            ("archived_at", DbValue::DbNull),
            ("created_at", DbValue::Datetime((2026, 3, 1, 9, 8, 7, 123_456_000))),
            ("released_on", DbValue::Date((2026, 3, 1))),
            ("tags", DbValue::ArrayStr(vec![Some("a".into()), Some("b".into())])),
            ("sizes", DbValue::ArrayInt32(vec![Some(1), None])),
            ("settings", DbValue::Jsonb(br#"{"loud": true, "depth": null}"#.to_vec())),
            ("digest", DbValue::Binary(vec![1, 255])),
        ]
    }

    #[test]
    fn a_row_is_read_by_name_and_a_column_more_disturbs_nobody() {
        let product: Product = row(full()).unwrap();
        assert_eq!(product.id.to_string(), ID);
        assert_eq!(product.title, "Lamp");
        assert_eq!(product.price, "12.50");
        assert_eq!(product.state, State::InReview);
        assert_eq!(product.archived_at, None);
        assert_eq!(product.created_at.to_rfc3339(), "2026-03-01T09:08:07.123456+00:00");
        assert_eq!(product.released_on.to_string(), "2026-03-01");
        assert_eq!(product.tags, ["a", "b"]);
        assert_eq!(product.sizes, [Some(1), None]);
        assert_eq!(product.settings, Settings { loud: true, depth: None });
        assert_eq!(product.digest, [1, 255]);
    }

    #[test]
    fn a_missing_column_is_loud_even_where_the_field_is_optional() {
        for gone in ["title", "archived_at"] {
            let cells = full().into_iter().filter(|(name, _)| *name != gone).collect();
            let refused = row::<Product>(cells).unwrap_err();
            assert!(refused.contains(gone) && refused.contains("missing"), "{refused}");
        }
    }

    #[test]
    fn a_wrong_type_and_an_unexpected_null_name_their_column() {
        for (name, wrong) in [
            ("stock", text("many")),
            ("title", DbValue::Int32(3)),
            ("title", DbValue::DbNull),
            ("id", text("not-an-id")),
            ("state", text("unheard_of")),
            ("settings", DbValue::Jsonb(b"[1]".to_vec())),
            ("created_at", DbValue::Unsupported(vec![0; 8])),
            ("tags", DbValue::ArrayStr(vec![None])),
        ] {
            let swap = |(own, value)| {
                if own == name { (own, wrong.clone()) } else { (own, value) }
            };
            let refused = row::<Product>(full().into_iter().map(swap).collect()).unwrap_err();
            assert!(refused.contains(&format!("column \"{name}\"")), "{name}: {refused}");
        }
    }

    #[test]
    fn one_column_is_read_as_a_plain_value() {
        assert_eq!(row::<i64>(vec![("count", DbValue::Int64(3))]).unwrap(), 3);
        assert_eq!(row::<Option<i64>>(vec![("max", DbValue::DbNull)]).unwrap(), None);
        assert_eq!(row::<Option<i64>>(vec![("max", DbValue::Int64(3))]).unwrap(), Some(3));
        assert_eq!(row::<State>(vec![("state", text("in_review"))]).unwrap(), State::InReview);
        let id: TenantId = row(vec![("id", DbValue::Uuid(ID.into()))]).unwrap();
        assert_eq!(id.to_string(), ID);
        let refused = row::<i64>(vec![("a", DbValue::Int64(1)), ("b", DbValue::Int64(2))]);
        assert!(refused.unwrap_err().contains("one column"));
    }

    #[test]
    fn a_tuple_is_read_by_position() {
        let cells = || vec![("a", text("x")), ("b", DbValue::Int64(2))];
        assert_eq!(row::<(String, i64)>(cells()).unwrap(), ("x".to_owned(), 2));
        assert!(row::<(String, i64, i64)>(cells()).is_err());
    }

    #[test]
    fn the_same_name_twice_is_refused_rather_than_one_of_them_chosen() {
        let mut cells = full();
        cells.push(("title", text("Other")));
        assert!(row::<Product>(cells).unwrap_err().contains("duplicate"));
    }
}
