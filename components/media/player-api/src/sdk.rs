//! The player as files that any page of ours may load: the module, its style, and the two engines
//! of others under it. Each stands under a name with the hash of its content, so that a browser
//! keeps it for ever; the plain name leads to the newest.
//!
//! Knows the files, which are part of the component. Refuses every other name.

use nexus_sdk::prelude::*;
use nexus_sdk::{Operation, Output};

/// A file under its name; the hash tells versions apart and guards nothing.
struct File {
    stem: &'static str,
    extension: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    /// The same, packed (RFC 1952): an engine is most of what is loaded before the first picture.
    packed: Option<&'static [u8]>,
    hash: u64,
}

/// The module, in one piece: a browser asks once.
const MODULE: &str = concat!(
    include_str!("../assets/player/header.js"),
    include_str!("../assets/player/marks.js"),
    include_str!("../assets/player/spoken.js"),
    include_str!("../assets/player/playback.js"),
    include_str!("../assets/player/engines.js"),
    include_str!("../assets/player/beacons.js"),
    include_str!("../assets/player/storyboard.js"),
    include_str!("../assets/player/menus.js"),
    include_str!("../assets/player/controls.js"),
    include_str!("../assets/player/keys.js"),
    include_str!("../assets/player/player.js"),
);

// The engines are too long to be hashed by the compiler: these begin their SHA-256, which a test
// compares.
const HLS: File = File {
    packed: Some(include_bytes!("../assets/vendor/hls.min.js.gz")),
    ..script("hls", include_bytes!("../assets/vendor/hls.min.js"), 0xcfc7_0cc9_e9fc_63d0)
};
const SHAKA: File = File {
    packed: Some(include_bytes!("../assets/vendor/shaka-player.dash.js.gz")),
    ..script(
        "shaka",
        include_bytes!("../assets/vendor/shaka-player.dash.js"),
        0xb7d8_9228_bbda_e7b9,
    )
};
const LOOKS: &[u8] = include_bytes!("../assets/player/player.css");
const STYLE: File = File {
    stem: "nexus-player",
    extension: "css",
    media_type: "text/css; charset=utf-8",
    content: LOOKS,
    packed: None,
    hash: fnv(LOOKS, FNV),
};
/// It names the engines, so theirs is a part of its hash.
const PLAYER: File = script(
    "nexus-player",
    MODULE.as_bytes(),
    fnv(MODULE.as_bytes(), HLS.hash ^ SHAKA.hash.rotate_left(1)),
);

const ALL: [&File; 4] = [&PLAYER, &STYLE, &HLS, &SHAKA];

const fn script(stem: &'static str, content: &'static [u8], hash: u64) -> File {
    File {
        stem,
        extension: "js",
        media_type: "text/javascript; charset=utf-8",
        content,
        packed: None,
        hash,
    }
}

/// The offset basis.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits (draft-eastlake-fnv), at compile time.
const fn fnv(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = seed;
    let mut at = 0;
    while at < bytes.len() {
        hash ^= bytes[at] as u64;
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

impl File {
    fn plain(&self) -> String {
        format!("{}.{}", self.stem, self.extension)
    }

    fn name(&self) -> String {
        format!("{}.{:016x}.{}", self.stem, self.hash, self.extension)
    }

    fn path(&self) -> String {
        format!("/api/player-api/v1/sdk/{}", self.name())
    }

    fn text(&self) -> Bytes {
        if self.stem != PLAYER.stem || self.extension != PLAYER.extension {
            return Bytes::from_static(self.content);
        }
        let module = MODULE.replace("{{hls}}", &HLS.path()).replace("{{shaka}}", &SHAKA.path());
        Bytes::from(module)
    }
}

pub fn router() -> Router {
    Router::new().route("/sdk", get(list)).route("/sdk/{file}", get(show))
}

/// Where the player is. A page loads `player` as a module and `style` as a style sheet; the engines
/// are loaded by the player, and may be fetched ahead.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Files {
    pub player: String,
    pub style: String,
    pub hls: String,
    pub shaka: String,
}

pub fn files() -> Files {
    Files { player: PLAYER.path(), style: STYLE.path(), hls: HLS.path(), shaka: SHAKA.path() }
}

async fn list() -> Json<Files> {
    Json(files())
}

/// A file, kept for ever under its hash and for a moment under its plain name.
struct Sent {
    file: &'static File,
    forever: bool,
    /// The browser unpacks it.
    packed: bool,
}

impl IntoResponse for Sent {
    fn into_response(self) -> Response {
        let kept = match self.forever {
            true => "public, max-age=31536000, immutable",
            false => "public, max-age=300",
        };
        let headers = [
            (header::CONTENT_TYPE, self.file.media_type),
            (header::CACHE_CONTROL, kept),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::VARY, "accept-encoding"),
        ];
        match self.file.packed.filter(|_| self.packed) {
            Some(packed) => (headers, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
            None => (headers, self.file.text()).into_response(),
        }
    }
}

impl Output for Sent {
    fn describe(operation: &mut Operation) {
        let text = json!({ "type": "string" });
        operation.response(StatusCode::OK, "text/javascript; charset=utf-8", text);
        operation.problem(404);
    }
}

async fn show(headers: HeaderMap, Path(file): Path<String>) -> Result<Sent> {
    let packed = unpacks(&headers);
    let found = ALL.iter().find_map(|it| match file {
        _ if it.name() == file => Some(Sent { file: it, forever: true, packed }),
        _ if it.plain() == file => Some(Sent { file: it, forever: false, packed }),
        _ => None,
    });
    Ok(found.ok_or(standard::NotFound)?)
}

/// Whether a client takes gzip; one that weighs it (`q=`) gets it unless it is refused.
fn unpacks(headers: &HeaderMap) -> bool {
    let taken = headers.get(header::ACCEPT_ENCODING).and_then(|it| it.to_str().ok());
    taken.unwrap_or_default().split(',').any(|it| {
        let (coding, weight) = it.split_once(';').unwrap_or((it, ""));
        let weight = weight.trim().trim_start_matches("q=");
        coding.trim() == "gzip" && !matches!(weight, "0" | "0.0" | "0.00" | "0.000")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    /// What `vendor.json` says of a file of others.
    #[derive(Deserialize)]
    struct Vendored {
        name: String,
        file: String,
        licence: String,
        licence_file: String,
        sha256: String,
    }

    #[test]
    fn every_file_of_others_is_the_one_that_is_written_down_and_brings_its_licence() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/vendor");
        let list = std::fs::read(folder.join("vendor.json")).unwrap();
        let list: Vec<Vendored> = serde_json::from_slice(&list).unwrap();
        assert_eq!(list.len(), 2);
        for it in list {
            let digest = Sha256::digest(std::fs::read(folder.join(&it.file)).unwrap());
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, it.sha256, "{}", it.file);
            let known = if it.name == "hls.js" { HLS.hash } else { SHAKA.hash };
            assert_eq!(digest[..16], format!("{known:016x}"), "{}", it.file);
            assert_eq!(it.licence, "Apache-2.0");
            assert!(folder.join(&it.licence_file).is_file(), "{}", it.licence_file);
        }
    }

    #[test]
    fn what_is_packed_is_the_same_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/vendor");
        for (name, file) in [("hls.min.js.gz", &HLS), ("shaka-player.dash.js.gz", &SHAKA)] {
            let mut gzip = std::process::Command::new("gzip");
            let output = gzip.arg("-dc").arg(folder.join(name)).output().unwrap();
            assert!(output.stdout == file.content, "{name} is not {}", file.plain());
        }
    }

    #[test]
    fn nobody_gets_packed_what_they_do_not_unpack() {
        let of = |taken: &'static str| {
            let value = nexus_sdk::axum::http::HeaderValue::from_static(taken);
            unpacks(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
        };
        assert!(of("gzip, deflate, br") && of("br;q=1, gzip;q=0.5"));
        assert!(!of("br") && !of("gzip;q=0") && !unpacks(&HeaderMap::new()));
    }

    #[test]
    fn the_module_is_one_piece_that_names_its_engines() {
        let text = PLAYER.text();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains(&HLS.path()) && text.contains(&SHAKA.path()));
        assert!(!text.contains("{{"), "a name was not filled in");
        assert!(!text.contains("\nimport "), "a part would be asked for");
        assert_eq!(text.matches("\nexport ").count(), 1, "one way in");
    }

    #[test]
    fn a_changed_file_has_another_name_and_so_has_what_names_it() {
        assert_ne!(fnv(b"a", FNV), fnv(b"b", FNV));
        assert_eq!(fnv(b"a", FNV), 0xaf63_dc4c_8601_ec8c, "the published vector");
        assert_ne!(fnv(b"a", 1), fnv(b"a", 2));
    }
}
