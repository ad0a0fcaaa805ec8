//! The variable parts of a path: found by the route's pattern, read as the type a function wants.
//!
//! Knows how text is a number, an id or a variant. Refuses to know patterns.

use percent_encoding::percent_decode_str;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Names and what stands in their places, decoded, in the path's order; or the name of what is no
/// UTF-8 when it is decoded.
pub(crate) struct Parts(Result<Vec<(String, String)>, String>);

/// What is wrong with a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The client's: which part, and why.
    Part(Option<String>, String),
    /// The route and the function disagree.
    Route(String),
}

impl Parts {
    /// None where a pattern has none.
    pub(crate) fn of(found: matchit::Params<'_, '_>) -> Option<Self> {
        if found.is_empty() {
            return None;
        }
        let decoded = |(name, text): (&str, &str)| match percent_decode_str(text).decode_utf8() {
            Ok(text) => Ok((name.to_owned(), text.into_owned())),
            Err(_) => Err(name.to_owned()),
        };
        Some(Self(found.iter().map(decoded).collect()))
    }
}

/// # Errors
/// [`Wrong`].
pub(crate) fn read<T: DeserializeOwned>(parts: Option<&Parts>) -> Result<T, Wrong> {
    match parts {
        Some(Parts(Ok(parts))) => T::deserialize(All(parts)),
        Some(Parts(Err(name))) => Err(Wrong::Part(Some(name.clone()), "expected UTF-8".into())),
        None => T::deserialize(All(&[])),
    }
}

impl std::error::Error for Wrong {}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Part(_, why) | Self::Route(why) => f.write_str(why),
        }
    }
}

impl serde::de::Error for Wrong {
    fn custom<T: std::fmt::Display>(why: T) -> Self {
        Self::Part(None, why.to_string())
    }
}

/// All parts: a tuple, a struct by their names, or one value where there is one.
struct All<'de>(&'de [(String, String)]);

impl<'de> All<'de> {
    fn only(&self) -> Result<Part<'de>, Wrong> {
        match self.0 {
            [(name, text)] => Ok(Part(name, text)),
            all => Err(Wrong::Route(format!("the path has {} parts, wanted is one", all.len()))),
        }
    }

    fn list<V: Visitor<'de>>(self, wanted: usize, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.len() != wanted {
            let there = self.0.len();
            return Err(Wrong::Route(format!("the path has {there} parts, wanted are {wanted}")));
        }
        self.deserialize_seq(visitor)
    }
}

/// One part: its name and its text.
struct Part<'de>(&'de str, &'de str);

impl<'de> Part<'de> {
    fn named(&self, wrong: Wrong) -> Wrong {
        match wrong {
            Wrong::Part(None, why) => Wrong::Part(Some(self.0.to_owned()), why),
            named => named,
        }
    }
}

macro_rules! numbers {
    ($($read:ident $visit:ident $kind:ident)*) => {
        impl<'de> Deserializer<'de> for All<'de> {
            type Error = Wrong;

            $(
                fn $read<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                    self.only()?.$read(visitor)
                }
            )*

            fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                self.only()?.deserialize_any(visitor)
            }

            fn deserialize_enum<V: Visitor<'de>>(
                self,
                name: &'static str,
                variants: &'static [&'static str],
                visitor: V,
            ) -> Result<V::Value, Wrong> {
                self.only()?.deserialize_enum(name, variants, visitor)
            }

            fn deserialize_newtype_struct<V: Visitor<'de>>(
                self,
                _name: &'static str,
                visitor: V,
            ) -> Result<V::Value, Wrong> {
                visitor.visit_newtype_struct(self)
            }

            fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                let parts = self.0.iter().map(|(name, text)| Part(name, text));
                visitor.visit_seq(SeqDeserializer::new(parts))
            }

            fn deserialize_tuple<V: Visitor<'de>>(
                self,
                wanted: usize,
                visitor: V,
            ) -> Result<V::Value, Wrong> {
                self.list(wanted, visitor)
            }

            fn deserialize_tuple_struct<V: Visitor<'de>>(
                self,
                _name: &'static str,
                wanted: usize,
                visitor: V,
            ) -> Result<V::Value, Wrong> {
                self.list(wanted, visitor)
            }

            fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                let parts = self.0.iter().map(|(name, text)| (name.as_str(), Part(name, text)));
                visitor.visit_map(MapDeserializer::new(parts))
            }

            fn deserialize_struct<V: Visitor<'de>>(
                self,
                _name: &'static str,
                _fields: &'static [&'static str],
                visitor: V,
            ) -> Result<V::Value, Wrong> {
                self.deserialize_map(visitor)
            }

            fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                visitor.visit_unit()
            }

            forward_to_deserialize_any! {
                str string char bytes byte_buf option unit_struct identifier ignored_any
            }
        }

        impl<'de> Deserializer<'de> for Part<'de> {
            type Error = Wrong;

            $(
                fn $read<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                    let number: $kind = self.1.parse().map_err(|_| {
                        self.named(Wrong::custom(concat!("expected ", stringify!($kind))))
                    })?;
                    visitor.$visit(number).map_err(|wrong| self.named(wrong))
                }
            )*

            fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                visitor.visit_borrowed_str(self.1).map_err(|wrong| self.named(wrong))
            }

            fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                visitor.visit_some(self)
            }

            fn deserialize_enum<V: Visitor<'de>>(
                self,
                _name: &'static str,
                _variants: &'static [&'static str],
                visitor: V,
            ) -> Result<V::Value, Wrong> {
                let text: serde::de::value::StrDeserializer<'_, Wrong> = self.1.into_deserializer();
                visitor.visit_enum(text).map_err(|wrong| self.named(wrong))
            }

            fn deserialize_newtype_struct<V: Visitor<'de>>(
                self,
                _name: &'static str,
                visitor: V,
            ) -> Result<V::Value, Wrong> {
                visitor.visit_newtype_struct(self)
            }

            forward_to_deserialize_any! {
                str string char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
                identifier ignored_any
            }
        }
    };
}

numbers! {
    deserialize_bool visit_bool bool
    deserialize_i8 visit_i8 i8
    deserialize_i16 visit_i16 i16
    deserialize_i32 visit_i32 i32
    deserialize_i64 visit_i64 i64
    deserialize_i128 visit_i128 i128
    deserialize_u8 visit_u8 u8
    deserialize_u16 visit_u16 u16
    deserialize_u32 visit_u32 u32
    deserialize_u64 visit_u64 u64
    deserialize_u128 visit_u128 u128
    deserialize_f32 visit_f32 f32
    deserialize_f64 visit_f64 f64
}

impl<'de> IntoDeserializer<'de, Wrong> for Part<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use uuid::Uuid;

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    struct EntryId(Uuid);

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(rename_all = "kebab-case")]
    enum Measure {
        OfSpace,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    struct Both {
        id: EntryId,
        number: i32,
    }

    fn found<T: DeserializeOwned>(pattern: &str, path: &str) -> Result<T, Wrong> {
        let mut table = matchit::Router::new();
        table.insert(pattern, ()).unwrap();
        read(Parts::of(table.at(path).unwrap().params).as_ref())
    }

    fn part(name: &str, why: &str) -> Wrong {
        Wrong::Part(Some(name.into()), why.into())
    }

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn one_part_is_read_as_the_type_that_is_wanted() {
        assert_eq!(found("/{a}", "/b%20c%2Fd"), Ok("b c/d".to_owned()));
        assert_eq!(found("/{a}", "/-7"), Ok(-7_i32));
        assert_eq!(found("/{a}", "/of-space"), Ok(Measure::OfSpace));
        assert_eq!(found("/{id}", &format!("/{ID}")), Ok(EntryId(ID.parse().unwrap())));
        assert_eq!(found("/{*rest}", "/a/b"), Ok("a/b".to_owned()));
        assert_eq!(found("/{a}", "/x"), Ok(("x".to_owned(),)));
    }

    #[test]
    fn several_parts_are_a_tuple_or_a_struct_by_their_names() {
        let path = format!("/7/{ID}");
        let id: EntryId = found("/{id}", &format!("/{ID}")).unwrap();
        assert_eq!(found("/{number}/{id}", &path), Ok(Both { id, number: 7 }));
        assert_eq!(found("/{number}/{id}", &path), Ok((7_u8, ID.to_owned())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(found::<i32>("/{a}", "/b"), Err(part("a", "expected i32")));
        assert_eq!(found::<(String, u8)>("/{a}/{b}", "/1/256"), Err(part("b", "expected u8")));
        assert_eq!(found::<String>("/{a}", "/%ff"), Err(part("a", "expected UTF-8")));
        for wrong in [
            found::<EntryId>("/{id}", "/7").unwrap_err(),
            found::<Both>("/{number}/{id}", "/7/7").map(|_| EntryId(Uuid::nil())).unwrap_err(),
            found::<Measure>("/{id}", "/of-time").map(|_| EntryId(Uuid::nil())).unwrap_err(),
        ] {
            let Wrong::Part(Some(name), why) = &wrong else { panic!("{wrong:?}") };
            assert!(name == "id" && !why.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn a_function_that_wants_other_parts_is_the_services_own_mistake() {
        let ours = |wrong: Wrong| matches!(wrong, Wrong::Route(_));
        assert!(ours(found::<String>("/a", "/a").unwrap_err()));
        assert!(ours(found::<String>("/{a}/{b}", "/1/2").unwrap_err()));
        assert!(ours(found::<(String, String)>("/{a}", "/1").unwrap_err()));
        assert!(ours(found::<(String,)>("/{a}/{b}", "/1/2").unwrap_err()));
    }
}
