//! Walks the tree in the order of the keys, from a cursor, until a page is full.
//! Knows the names of files and, of each object, its record; never its content.

use super::disk::Record;
use super::path::{self, Kind};
use super::sealed::{Sealed, failed};
use crate::name::invalid;
use crate::store::{BlobError, Entry, Page, Query};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::path::Path;

/// How far the listing has come; also what a cursor says.
enum After {
    Start,
    /// This key was the last one.
    Key(Vec<u8>),
    /// This rolled-up prefix was the last one.
    Prefix(Vec<u8>),
}

impl After {
    fn from_cursor(cursor: Option<&str>) -> Result<Self, BlobError> {
        let Some(cursor) = cursor else { return Ok(Self::Start) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        match bytes.as_deref().and_then(<[u8]>::split_first) {
            Some((b'k', key)) => Ok(Self::Key(key.to_vec())),
            Some((b'p', prefix)) => Ok(Self::Prefix(prefix.to_vec())),
            _ => Err(invalid("the cursor is none of this store".into())),
        }
    }

    fn to_cursor(&self) -> Option<String> {
        let (mark, bytes) = match self {
            Self::Start => return None,
            Self::Key(key) => (b'k', key),
            Self::Prefix(prefix) => (b'p', prefix),
        };
        Some(URL_SAFE_NO_PAD.encode([&[mark], bytes.as_slice()].concat()))
    }

    /// Whether the key itself comes later.
    fn precedes(&self, key: &[u8]) -> bool {
        match self {
            Self::Start => true,
            Self::Key(last) => key > last.as_slice(),
            Self::Prefix(last) => key > last.as_slice() && !key.starts_with(last),
        }
    }

    /// Whether any key that starts with `bytes` can come later.
    fn precedes_some_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Start => true,
            Self::Key(last) => bytes > last.as_slice() || last.starts_with(bytes),
            Self::Prefix(last) => {
                !bytes.starts_with(last) && (bytes > last.as_slice() || last.starts_with(bytes))
            }
        }
    }
}

struct Walk<'a> {
    query: &'a Query,
    after: After,
    page: Page,
}

/// One page of the bucket in `folder`.
pub(super) fn list(folder: &Path, query: &Query) -> Result<Page, BlobError> {
    let after = After::from_cursor(query.cursor.as_deref())?;
    let mut walk = Walk { query, after, page: Page::default() };
    walk.folder(folder, &[])?;
    Ok(walk.page)
}

impl Walk<'_> {
    /// True when the page is full.
    fn folder(&mut self, folder: &Path, start: &[u8]) -> Result<bool, BlobError> {
        let prefix = self.query.prefix.as_bytes();
        for node in path::nodes(folder, start).map_err(|e| failed(&e))? {
            let full = if node.kind == Kind::Object {
                let wanted = node.bytes.starts_with(prefix) && self.after.precedes(&node.bytes);
                wanted && self.object(&node.path, node.bytes)?
            } else {
                let wanted = (node.bytes.starts_with(prefix) || prefix.starts_with(&node.bytes))
                    && self.after.precedes_some_in(&node.bytes);
                wanted && self.folder(&node.path, &node.bytes)?
            };
            if full {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn object(&mut self, file: &Path, bytes: Vec<u8>) -> Result<bool, BlobError> {
        let full = self.page.entries.len() + self.page.prefixes.len() == self.query.limit;
        if let Some(prefix) = self.rolled_up(&bytes) {
            if full {
                self.page.next = self.after.to_cursor();
                return Ok(true);
            }
            self.page.prefixes.push(prefix.to_owned());
            self.after = After::Prefix(prefix.into());
            return Ok(false);
        }
        let sealed = match Sealed::<Record>::open(file) {
            Ok(Some(sealed)) => sealed,
            // Deleted since we read the folder.
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::warn!(%error, "a damaged object is left out of a listing");
                return Ok(false);
            }
        };
        if full {
            self.page.next = self.after.to_cursor();
            return Ok(true);
        }
        let modified = sealed.record.modified();
        let Record { key, etag, .. } = sealed.record;
        self.page.entries.push(Entry { key, size: sealed.size, etag, modified });
        self.after = After::Key(bytes);
        Ok(false)
    }

    /// The key up to and with the first delimiter after the prefix, if it has one.
    fn rolled_up<'k>(&self, key: &'k [u8]) -> Option<&'k str> {
        let delimiter = self.query.delimiter.as_deref()?;
        let key = std::str::from_utf8(key).ok()?;
        let from = self.query.prefix.len();
        let found = key.get(from..)?.find(delimiter)?;
        key.get(..from + found + delimiter.len())
    }
}
