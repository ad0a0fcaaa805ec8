//! What a bucket, a key, a content type and metadata may look like. Knows no store; the rules are
//! the narrower of S3's and of file systems, so that one guest runs on both.
//! Source: "Naming Amazon S3 objects" and "User-defined object metadata" in the S3 user guide.

use crate::store::BlobError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// S3 allows 1,024 bytes; a logical bucket is a prefix of at most 63 bytes and a slash there.
pub const KEY_BYTES_MAX: usize = 960;

/// Names and values together; S3's limit for user metadata.
pub const METADATA_BYTES_MAX: usize = 2048;
const METADATA_ENTRIES_MAX: usize = 32;
const METADATA_NAME_BYTES_MAX: usize = 64;
const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// Metadata names that carry what S3 has no field for.
pub(crate) const RESERVED_PREFIX: &str = "nexus-";

/// The name of a logical bucket: 1 to 63 lower-case letters, digits and inner dashes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(Arc<str>);

impl BucketName {
    /// # Errors
    ///
    /// [`BlobError::Invalid`].
    pub fn new(name: &str) -> Result<Self, BlobError> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=63).contains(&name.len())
            && name.chars().all(inner)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if fits { Ok(Self(name.into())) } else { Err(invalid(format!("bucket name {name:?}"))) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an object: segments of UTF-8 divided by `/`, none empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// # Errors
    ///
    /// [`BlobError::Invalid`], which says the rule.
    pub fn new(key: &str) -> Result<Self, BlobError> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(invalid(format!("a key has 1 to {KEY_BYTES_MAX} bytes")));
        }
        if !key.chars().all(is_plain) {
            return Err(invalid("a key has no control characters".into()));
        }
        if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(invalid("no segment of a key is empty, `.` or `..`".into()));
        }
        Ok(Self(key.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// XML, in which S3 speaks, cannot say the others.
fn is_plain(c: char) -> bool {
    !c.is_control() && c != '\u{fffe}' && c != '\u{ffff}'
}

/// A bucket and a key in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub bucket: BucketName,
    pub key: Key,
}

/// Checks the prefix of a listing, which need not be a whole key.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), BlobError> {
    if prefix.len() > KEY_BYTES_MAX || !prefix.chars().all(is_plain) {
        return Err(invalid(format!("a prefix has at most {KEY_BYTES_MAX} plain bytes")));
    }
    // One S3 server trims these, and no key can start so.
    if prefix.starts_with('/') {
        return Err(invalid("no key starts with a slash".into()));
    }
    Ok(())
}

/// What travels beside the bytes and is given by whoever writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

impl Attributes {
    /// # Errors
    ///
    /// [`BlobError::Invalid`], which says the rule.
    pub fn checked(self) -> Result<Self, BlobError> {
        if let Some(content_type) = &self.content_type {
            check_content_type(content_type)?;
        }
        if self.metadata.len() > METADATA_ENTRIES_MAX {
            return Err(invalid(format!("metadata has at most {METADATA_ENTRIES_MAX} entries")));
        }
        let bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > METADATA_BYTES_MAX {
            return Err(invalid(format!("metadata has at most {METADATA_BYTES_MAX} bytes")));
        }
        for (name, value) in &self.metadata {
            check_metadata(name, value)?;
        }
        Ok(self)
    }
}

pub(crate) fn check_content_type(content_type: &str) -> Result<(), BlobError> {
    let fits =
        (1..=CONTENT_TYPE_BYTES_MAX).contains(&content_type.len()) && is_header_value(content_type);
    if fits { Ok(()) } else { Err(invalid(format!("content type {content_type:?}"))) }
}

fn check_metadata(name: &str, value: &str) -> Result<(), BlobError> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let named = (1..=METADATA_NAME_BYTES_MAX).contains(&name.len())
        && name.chars().all(letter)
        && !name.starts_with(RESERVED_PREFIX);
    if !named {
        return Err(invalid(format!("metadata name {name:?}")));
    }
    if !is_header_value(value) {
        return Err(invalid(format!("the metadata value of {name} is not printable ASCII")));
    }
    Ok(())
}

/// Outer spaces would not survive HTTP.
fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| (b' '..=b'~').contains(&b)) && value.trim() == value
}

pub(crate) fn invalid(rule: String) -> BlobError {
    BlobError::Invalid(rule)
}

macro_rules! displayed {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}
displayed!(BucketName);
displayed!(Key);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_out_of_other_folders() {
        for key in ["a", "a/b.mp4", "..a", "a..", "a/...", "Ünïcode/ключ/鍵", "a b+c%2e", "~"]
        {
            assert!(Key::new(key).is_ok(), "{key}");
        }
        for key in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb"]
        {
            assert!(Key::new(key).is_err(), "{key}");
        }
        assert!(Key::new("a\u{85}").is_err() && Key::new("a\u{ffff}").is_err());
        assert!(Key::new(&"k".repeat(960)).is_ok() && Key::new(&"k".repeat(961)).is_err());
        assert!(Key::new(&"é".repeat(481)).is_err(), "bytes are counted, not characters");
    }

    #[test]
    fn a_bucket_name_is_a_host_name_label() {
        for name in ["a", "media", "v-screen", "2024"] {
            assert!(BucketName::new(name).is_ok(), "{name}");
        }
        for name in ["", "A", "a_b", "a/b", "-a", "a-", "..", "a.b", &"a".repeat(64)] {
            assert!(BucketName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn metadata_survives_http() {
        let with = |name: &str, value: &str| {
            let metadata = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            Attributes { content_type: None, metadata }.checked().is_ok()
        };
        assert!(with("title", "Ocean 11") && with("a.b-c_d", ""));
        assert!(
            !with("Title", "x") && !with("", "x") && !with("a b", "x") && !with("nexus-a", "x")
        );
        assert!(!with("a", "é") && !with("a", " x") && !with("a", "x\r\ny: z"));
        assert!(!with("a", &"x".repeat(2048)) && with("a", &"x".repeat(2047)));
    }
}
