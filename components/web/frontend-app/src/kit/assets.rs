//! The files beside the pages: style sheet, passkey script, typeface, mark. Each stands under a
//! name with the hash of its content, so that a browser keeps it for ever and a new one is a new
//! name.
//!
//! Knows the files, which are part of the component. Refuses every other name.

use super::trouble::Trouble;
use nexus_sdk::prelude::*;

/// A file under its name; the hash tells versions apart and guards nothing.
struct Asset {
    stem: &'static str,
    extension: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    hash: u64,
}

macro_rules! assets {
    ($($name:ident = $stem:literal . $extension:literal, $media_type:literal);* $(;)?) => {
        $(const $name: Asset = {
            const CONTENT: &[u8] =
                include_bytes!(concat!("../../assets/", $stem, ".", $extension));
            const HASH: u64 = fnv(CONTENT);
            Asset {
                stem: $stem,
                extension: $extension,
                media_type: $media_type,
                content: CONTENT,
                hash: HASH,
            }
        };)*

        const ALL: &[Asset] = &[$($name),*];
    };
}

assets! {
    STYLE = "style"."css", "text/css; charset=utf-8";
    PASSKEY_SCRIPT = "passkey"."js", "text/javascript; charset=utf-8";
    INTER = "inter-latin"."woff2", "font/woff2";
    MARK = "mark"."svg", "image/svg+xml";
}

/// FNV-1a, 64 bits (draft-eastlake-fnv), at compile time.
const fn fnv(bytes: &[u8]) -> u64 {
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
    fn path(&self) -> String {
        format!("/account/assets/{}", self.file())
    }

    fn file(&self) -> String {
        format!("{}.{:016x}.{}", self.stem, self.hash, self.extension)
    }
}

pub fn router() -> Router {
    Router::new().route("/account/assets/{file}", get(show))
}

/// Where the style sheet is.
pub fn style() -> String {
    STYLE.path()
}

/// Where the script is that speaks with the browser's passkeys.
pub fn passkey_script() -> String {
    PASSKEY_SCRIPT.path()
}

/// Where the typeface is.
pub fn typeface() -> String {
    INTER.path()
}

/// Where the mark is.
pub fn mark() -> String {
    MARK.path()
}

async fn show(Path(file): Path<String>) -> Result<Response, Trouble> {
    let asset = ALL.iter().find(|asset| asset.file() == file).ok_or(Trouble::Missing)?;
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    // The style sheet names the typeface by its plain name; here it gets the one with the hash.
    if asset.stem == STYLE.stem {
        let style =
            String::from_utf8_lossy(asset.content).replace("inter-latin.woff2", &INTER.file());
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

    #[tokio::test]
    async fn a_file_is_kept_for_ever_and_any_other_name_is_not_there() {
        let response = show(Path(STYLE.file())).await.unwrap();
        assert!(response.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        for other in ["style.css", "style.0000000000000000.css", "../mark.svg", ""] {
            assert!(show(Path(other.into())).await.is_err(), "{other}");
        }
    }
}
