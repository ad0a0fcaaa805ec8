//! The files beside the reference, each under a name with the hash of its content, so that a
//! browser keeps it for ever and a new one is a new name.

use nexus_sdk::prelude::*;

/// What is under all pages of the suite, then the reference's own.
const STYLE: &str = concat!(
    include_str!("../../../../web/kit/assets/ground.css"),
    include_str!("../../assets/docs.css")
);
/// The suite has one typeface, and it lies with what all pages are made of (OFL,
/// beside it).
const INTER: &[u8] = include_bytes!("../../../../web/kit/assets/inter-latin.woff2");

pub fn router() -> Router {
    Router::new().route("/docs/assets/{file}", get(show))
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): tells versions apart and guards nothing.
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

const STYLE_HASH: u64 = fnv(STYLE.as_bytes());
const INTER_HASH: u64 = fnv(INTER);

fn style_file() -> String {
    format!("docs.{STYLE_HASH:016x}.css")
}

fn typeface_file() -> String {
    format!("inter-latin.{INTER_HASH:016x}.woff2")
}

/// Where the style sheet is.
pub fn style() -> String {
    format!("/docs/assets/{}", style_file())
}

/// Where the typeface is.
pub fn typeface() -> String {
    format!("/docs/assets/{}", typeface_file())
}

async fn show(Path(file): Path<String>) -> Result<Response> {
    let (media_type, content) = match file {
        file if file == style_file() => {
            let style = STYLE.replace("inter-latin.woff2", &typeface_file());
            ("text/css; charset=utf-8", style.into_bytes())
        }
        file if file == typeface_file() => ("font/woff2", INTER.to_vec()),
        _ => return Err(standard::NotFound.into()),
    };
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_loads_nothing_from_elsewhere() {
        assert!(!STYLE.contains("http") && !STYLE.contains("@import"), "self-contained");
        assert_eq!(STYLE.matches("url(").count(), 1, "the typeface and nothing else");
        assert_ne!(STYLE_HASH, INTER_HASH);
    }
}
