//! What the media context tells the others: its ids, the words its services share, and the facts
//! each of them publishes. Plain data; no I/O, and no logic but the one proof that several of them
//! must make and read alike (`playback`).

pub mod asset_pipeline;
pub mod content_cms;
pub mod drm;
pub mod facts;
pub mod manifest_builder;
pub mod media_metadata;
pub mod playback;
pub mod player_api;
pub mod step;
pub mod streaming;
pub mod thumbnailer;
pub mod transcoder;
pub mod uploader;

use nexus_sdk::schemars::JsonSchema;
use nexus_sdk::serde::{Deserialize, Serialize};

nexus_sdk::id! {
    /// Something that a creator has uploaded and wants to be seen or heard.
    AssetId;
    /// One file on its way here; the original's name in the store.
    UploadId;
    /// What processing made of an asset: immutable, and another one each time.
    PackageId;
    /// One processing of an asset, from its first step to its last.
    RunId;
    /// Somebody playing something, from pressing play until the end.
    PlaybackId
}

/// The bucket of originals and packages.
pub const BUCKET: &str = "media";

/// Where an object lies; never its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde")]
#[schemars(crate = "nexus_sdk::schemars")]
pub struct Object {
    pub bucket: String,
    pub key: String,
}

/// Why something did not come about, so that programs and people can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde")]
#[schemars(crate = "nexus_sdk::schemars")]
pub struct Reason {
    /// A word of this context: `empty`, `unreadable`, `no-media-streams`, `too-long`, …
    pub code: String,
    /// In words, for people.
    pub detail: String,
}

/// Words with which workers say what is wrong with a source. No other attempt ends otherwise.
pub const CODES: &[&str] = &[
    "empty",
    "no-media-streams",
    "not-remuxable",
    "too-large",
    "too-long",
    "too-many-streams",
    "truncated",
    "unreadable",
    "unsupported-codec",
];

impl Reason {
    /// What a worker said, when it said `{code}: {words}` with a code of this context.
    pub fn told(error: &str) -> Option<Reason> {
        let (code, detail) = error.split_once(": ")?;
        let code = CODES.iter().find(|known| **known == code)?;
        Some(Reason { code: (*code).to_owned(), detail: detail.to_owned() })
    }
}

#[test]
fn a_worker_that_names_no_code_of_ours_has_told_no_reason() {
    let told = Reason::told("too-long: 13 hours").map(|reason| reason.code);
    assert_eq!(told.as_deref(), Some("too-long"));
    for error in ["ffmpeg: it was killed", "the last worker was lost", "too-long", ""] {
        assert_eq!(Reason::told(error), None, "{error}");
    }
}
