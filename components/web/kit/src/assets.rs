//! Files beside the pages. Each stands under a name with the hash of its content, so that a
//! browser keeps it for ever and a new one is a new name.
//!
//! Knows how such a file is named and answered, and the kit's own: style sheet, typeface, mark.
//! Those stand at one address for all front ends (`frontend-app` answers there), so that a visitor
//! who goes from one to another loads them once.

use crate::trouble::Trouble;
use nexus_sdk::prelude::*;

/// A file under its name; the hash tells versions apart and guards nothing.
#[derive(Debug)]
pub struct Asset {
    /// Where its front end answers for files: `/account/assets`.
    pub prefix: &'static str,
    pub stem: &'static str,
    pub extension: &'static str,
    pub media_type: &'static str,
    pub content: &'static [u8],
    pub hash: u64,
}

/// A front end's own files, out of its `assets/` folder:
///
/// ```ignore
/// web_kit::files! { "/creator/assets":
///     UPLOAD = "upload"."js", "text/javascript; charset=utf-8";
/// }
/// ```
/// makes `UPLOAD`, an [`Asset`], and `ALL`, which [`answer`] looks names up in.
#[macro_export]
macro_rules! files {
    ($prefix:literal: $($name:ident = $stem:literal . $extension:literal, $media_type:literal);*
        $(;)?) => {
        $(pub const $name: $crate::assets::Asset = {
            const CONTENT: &[u8] =
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/", $stem, ".",
                    $extension));
            const HASH: u64 = $crate::assets::fnv(CONTENT);
            $crate::assets::Asset {
                prefix: $prefix,
                stem: $stem,
                extension: $extension,
                media_type: $media_type,
                content: CONTENT,
                hash: HASH,
            }
        };)*

        pub const ALL: &[$crate::assets::Asset] = &[$($name),*];
    };
}

/// The kit's own.
mod own {
    use super::{Asset, fnv};

    files! { "/account/assets":
        INTER = "inter-latin"."woff2", "font/woff2";
        MARK = "mark"."svg", "image/svg+xml";
    }

    /// What is under all pages of the suite, then what the front ends have in common.
    pub const STYLE: Asset = {
        const CONTENT: &[u8] =
            concat!(include_str!("../assets/ground.css"), include_str!("../assets/style.css"))
                .as_bytes();
        Asset {
            prefix: "/account/assets",
            stem: "style",
            extension: "css",
            media_type: "text/css; charset=utf-8",
            content: CONTENT,
            hash: fnv(CONTENT),
        }
    };
}

/// Digits of a hash in a name.
const HASH_DIGITS: usize = 16;

/// FNV-1a, 64 bits (draft-eastlake-fnv), at compile time.
pub const fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash ^= bytes[at] as u64;
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

impl Asset {
    /// Where it is.
    pub fn path(&self) -> String {
        format!("{}/{}", self.prefix, self.file())
    }

    /// The name it stands under.
    pub fn file(&self) -> String {
        format!("{}.{:016x}.{}", self.stem, self.hash, self.extension)
    }

    /// Whether `file` is this one, as it was before or will be.
    fn is_version(&self, file: &str) -> bool {
        let hash = file
            .strip_prefix(self.stem)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|rest| rest.strip_suffix(self.extension))
            .and_then(|rest| rest.strip_suffix('.'));
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        hash.is_some_and(|hash| hash.len() == HASH_DIGITS && hash.bytes().all(is_digit))
    }
}

/// Where the style sheet is.
pub fn style() -> String {
    own::STYLE.path()
}

/// Where the typeface is.
pub fn typeface() -> String {
    own::INTER.path()
}

/// Where the mark is.
pub fn mark() -> String {
    own::MARK.path()
}

/// The file of that name among `files` and the kit's own. While front ends of two versions run
/// beside each other, pages name versions that are not here: those get today's file, unkept.
///
/// # Errors
/// [`Trouble::Missing`] for every other name.
pub fn answer(files: &[Asset], file: &str) -> Result<Response, Trouble> {
    let all = || files.iter().chain(own::ALL).chain([&own::STYLE]);
    let exact = all().find(|asset| asset.file() == file);
    let kept = match exact {
        Some(_) => "public, max-age=31536000, immutable",
        None => "no-cache",
    };
    let asset = exact.or_else(|| all().find(|asset| asset.is_version(file)));
    let asset = asset.ok_or(Trouble::Missing)?;
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, kept),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    // The style sheet names the typeface by its plain name; here it gets the one with the hash.
    if asset.stem == own::STYLE.stem {
        let style = String::from_utf8_lossy(asset.content);
        let style = style.replace("inter-latin.woff2", &own::INTER.file());
        return Ok((headers, style).into_response());
    }
    Ok((headers, asset.content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_name() {
        assert_ne!(fnv(b"a { color: red }"), fnv(b"a { color: blue }"));
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325, "the offset basis");
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c, "the published vector");
    }

    fn kept(file: &str) -> String {
        let response = answer(&[], file).unwrap();
        response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_file_is_kept_for_ever_and_another_version_of_it_is_not() {
        assert!(kept(&own::STYLE.file()).contains("immutable"));
        assert_eq!(kept("style.0000000000000000.css"), "no-cache");
    }

    #[test]
    fn any_other_name_is_not_there() {
        for other in ["style.css", "style.0.css", "style.zzzzzzzzzzzzzzzz.css", "../mark.svg", ""] {
            assert!(answer(&[], other).is_err(), "{other}");
        }
    }
}
