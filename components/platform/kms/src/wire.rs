//! How requests and answers of this service write bytes: base64 in a string. What was read is wiped
//! when it is dropped.

use crate::crypto::text::{base64, unbase64};
use nexus_sdk::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use std::borrow::Cow;
use std::ops::Deref;
use zeroize::Zeroizing;

/// Bytes as base64 with padding (RFC 4648 section 4).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Base64(Zeroizing<Vec<u8>>);

impl Deref for Base64 {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Base64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<Zeroizing<Vec<u8>>> for Base64 {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = unbase64(&text).ok_or_else(|| D::Error::custom("expected base64"))?;
        Ok(bytes.into())
    }
}

impl JsonSchema for Base64 {
    fn schema_name() -> Cow<'static, str> {
        "Base64".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

#[test]
fn bytes_are_a_string_of_base64() {
    let bytes: Base64 = serde_json::from_value(json!("bGFtcA==")).unwrap();
    assert_eq!(&*bytes, b"lamp");
    assert_eq!(serde_json::to_value(&bytes).unwrap(), "bGFtcA==");
    for odd in [json!("no base64!"), json!(7), json!("bGFtcA")] {
        assert!(serde_json::from_value::<Base64>(odd).is_err());
    }
}
