//! What an upload is, how it is cut into parts, how long it may take, and what is refused. Pure: no
//! clock, no database, no HTTP.

use media_contract::UploadId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    ProtocolVersion = 412, "this speaks version 1.0.0 of tus: say so in tus-resumable";
    OffsetType = 415, "the bytes of an upload come as application/offset+octet-stream";
    OffsetMissing = 400, "upload-offset says where the bytes belong, as a number";
    OffsetConflict = 409, "the upload does not stand at this offset";
    LengthMissing = 400, "say upload-length, or upload-defer-length: 1";
    LengthFixed = 400, "the length of this upload was said already";
    UploadTooLarge = 413, "the upload is larger than this installation takes";
    UploadHeld = 423, "somebody else is writing to this upload";
    UploadGone = 410, "this upload was not finished in time, or was refused";
    UploadOfParts = 403, "a final upload takes no bytes of its own";
    UploadDirect = 403, "these bytes go to the signed URL";
    PartialUnfinished = 409, "not all partial uploads are finished";
    PartialUnknown = 400, "upload-concat names an upload that is no partial one of yours";
    MetadataMalformed = 400, "upload-metadata is a list of keys with values in base64";
    ChecksumMalformed = 400, "upload-checksum is an algorithm and a digest in base64";
    /// Of tus' checksum extension; registered nowhere.
    ChecksumMismatch = 460, "the bytes are not those that the checksum was made of";
    MediaRefused = 422, "a file of this kind is not taken for this purpose";
    PurposeUnknown = 422, "a file is uploaded as asset, image, avatar or subtitle";
    QuotaReached = 413, "there is no room left for so many bytes";
    NotAPerson = 403, "uploads belong to people";
    DirectIncomplete = 409, "not all bytes have arrived at the signed URL";
    MediaTypeMalformed = 422, "a media type is two words with a slash between them";
    MetadataRefused = 422, "metadata are at most 32 short texts";
    Sha256Malformed = 422, "a sha256 is 64 lower-case hexadecimal digits";
}

/// The largest upload: an hour and a half of camera originals at 200 Mb/s.
pub const UPLOAD_BYTES_MAX: i64 = 128 << 30;

/// A part while it is made is held in memory, so it is as small as the store allows.
const PART_BYTES: i64 = 5 << 20;
/// Parts of the largest uploads: 10,000 of the small ones would not reach.
const LARGE_PART_BYTES: i64 = 16 << 20;
/// Numbers of parts that are used at most; the store has 10,000, and whoever takes over from a
/// writer that died leaves one out.
const PARTS_MAX: i64 = 8_192;

/// An upload without activity is forgotten after this.
const IDLE_MAX: nexus_sdk::chrono::TimeDelta = hours(24);
/// No upload takes longer: the store forgets parts after seven days.
const AGE_MAX: nexus_sdk::chrono::TimeDelta = days(6);

/// What an owner may hold, unless an administrator says otherwise: some hundred films.
pub const OWNER_BYTES_DEFAULT: i64 = 1 << 40;

/// Enough bytes to see what a file is.
pub const SNIFF_BYTES: usize = 64 << 10;

/// How an upload gets here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By tus.
    Resumable,
    /// By one signed URL.
    Direct,
    /// By a signed URL for each part.
    DirectParts,
}

/// What an upload is to others (tus' concatenation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Whole,
    /// A piece of a final one.
    Partial,
    /// Made of partial ones.
    Final,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Bytes are missing.
    Receiving,
    /// All bytes are safe; what they are is not decided yet.
    Received,
    Completed,
    Rejected,
}

/// What a file is uploaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To be seen or heard.
    Asset,
    Image,
    Avatar,
    Subtitle,
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl ToParam for $kind {
            fn to_param(&self) -> Param {
                word(self)
            }
        }
    )*};
}

words! { Way, Kind, State, Purpose }

impl Purpose {
    /// The purpose by its word; a client that names none means an asset.
    pub fn named(word: Option<&str>) -> Result<Purpose, Refusal> {
        match word {
            None | Some("" | "asset") => Ok(Purpose::Asset),
            Some("image") => Ok(Purpose::Image),
            Some("avatar") => Ok(Purpose::Avatar),
            Some("subtitle") => Ok(Purpose::Subtitle),
            Some(_) => Err(PurposeUnknown),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Purpose::Asset => "asset",
            Purpose::Image => "image",
            Purpose::Avatar => "avatar",
            Purpose::Subtitle => "subtitle",
        }
    }

    /// How large such a file may be.
    pub fn bytes_max(self) -> i64 {
        match self {
            Purpose::Asset => UPLOAD_BYTES_MAX,
            // A poster of a cinema's size without loss.
            Purpose::Image => 256 << 20,
            Purpose::Avatar => 16 << 20,
            Purpose::Subtitle => 8 << 20,
        }
    }

    /// Whether a file of this media type serves the purpose.
    pub fn takes(self, media_type: &str) -> bool {
        let class = media_type.split('/').next().unwrap_or_default();
        match self {
            Purpose::Asset => matches!(class, "video" | "audio"),
            Purpose::Image | Purpose::Avatar => class == "image",
            Purpose::Subtitle => matches!(media_type, "text/vtt" | "application/x-subrip"),
        }
    }
}

/// One row of `uploader.upload`.
#[derive(Debug, Clone, Deserialize)]
pub struct Upload {
    pub id: UploadId,
    pub owner_id: Uuid,
    pub way: Way,
    pub kind: Kind,
    pub state: State,
    pub length: Option<i64>,
    pub received: i64,
    pub reserved: i64,
    pub part_bytes: i64,
    pub metadata_line: String,
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub file_name: String,
    pub purpose: Purpose,
    pub partials: Vec<String>,
    pub media_type: Option<String>,
    pub reason: Option<String>,
    pub hash_state: Option<Vec<u8>>,
    pub sha256: Option<String>,
    pub expected_sha256: Option<String>,
    pub multipart: Option<String>,
    pub next_part: i32,
    pub scan: Option<String>,
    pub content_id: Option<Uuid>,
    pub created_at: Time,
    pub completed_at: Option<Time>,
    pub expires_at: Option<Time>,
    /// Somebody writes to it at this moment.
    pub is_held: bool,
}

impl Upload {
    /// Whether bytes are still missing and nothing speaks against them.
    pub fn is_open(&self, now: Time) -> bool {
        let in_time = self.expires_at.is_none_or(|expires| now < expires);
        self.state == State::Receiving && in_time
    }

    /// Refuses what can take no bytes any more.
    pub fn require_alive(&self, now: Time) -> Result<(), Refusal> {
        let over = self.state == State::Receiving && !self.is_open(now);
        if over || self.state == State::Rejected { Err(UploadGone) } else { Ok(()) }
    }

    /// Where the bytes lie.
    pub fn key(&self) -> String {
        key_of(self.id)
    }

    /// Where a signed URL puts them, until they were looked at.
    pub fn incoming_key(&self) -> String {
        format!("incoming/{}", self.id)
    }
}

/// Where the bytes of an upload lie.
pub fn key_of(id: UploadId) -> String {
    format!("uploads/{id}")
}

/// How large the parts of an upload are; all but its last have exactly this size.
pub fn part_bytes(length: Option<i64>) -> i64 {
    match length {
        Some(length) if length > PART_BYTES * PARTS_MAX => LARGE_PART_BYTES,
        _ => PART_BYTES,
    }
}

/// The most that may come for an upload.
pub fn room(length: Option<i64>, purpose: Purpose) -> i64 {
    length.unwrap_or_else(|| purpose.bytes_max().min(PART_BYTES * PARTS_MAX))
}

/// A length that a client says.
pub fn length(said: i64, purpose: Purpose) -> Result<i64, Refusal> {
    match said {
        0.. if said <= purpose.bytes_max() => Ok(said),
        0.. => Err(UploadTooLarge.because(format!("it may have {} bytes", purpose.bytes_max()))),
        _ => Err(LengthMissing),
    }
}

/// When an unfinished upload is forgotten, seen from `now`.
pub fn expires(created_at: Time, now: Time) -> Time {
    (now + IDLE_MAX).min(created_at + AGE_MAX)
}

/// What of `announced` bytes at `offset` is too much, if anything.
pub fn refuse_overflow(upload: &Upload, announced: Option<u64>) -> Result<(), Refusal> {
    let left = room(upload.length, upload.purpose) - upload.received;
    let announced = announced.map_or(Ok(0), i64::try_from);
    if announced.is_ok_and(|announced| announced <= left) { Ok(()) } else { Err(UploadTooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_length_that_is_taken_fits_into_the_parts_that_there_are() {
        for length in [0, 1, PART_BYTES, PART_BYTES * PARTS_MAX, UPLOAD_BYTES_MAX] {
            let parts = length.div_euclid(part_bytes(Some(length))) + 1;
            assert!(parts <= PARTS_MAX + 1, "{length} bytes are {parts} parts");
        }
        assert!(room(None, Purpose::Asset) <= part_bytes(None) * PARTS_MAX);
    }

    #[test]
    fn a_purpose_takes_what_serves_it_and_never_what_a_browser_would_run() {
        for (purpose, media_type, taken) in [
            (Purpose::Asset, "video/mp4", true),
            (Purpose::Asset, "audio/flac", true),
            (Purpose::Asset, "image/png", false),
            (Purpose::Asset, "text/html", false),
            (Purpose::Avatar, "image/png", true),
            (Purpose::Avatar, "video/mp4", false),
            (Purpose::Subtitle, "text/vtt", true),
            (Purpose::Subtitle, "text/html", false),
        ] {
            assert_eq!(purpose.takes(media_type), taken, "{purpose:?} {media_type}");
        }
    }

    #[test]
    fn an_upload_lives_a_day_after_the_last_bytes_and_never_longer_than_its_parts() {
        let born: Time = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(expires(born, born), born + hours(24));
        assert_eq!(expires(born, born + days(3)), born + days(4));
        assert_eq!(expires(born, born + days(6) - hours(1)), born + days(6));
    }

    proptest! {
        #[test]
        fn a_length_is_taken_only_when_its_purpose_has_room_for_it(said in any::<i64>()) {
            let taken = length(said, Purpose::Avatar);
            prop_assert_eq!(taken.is_ok(), (0..=Purpose::Avatar.bytes_max()).contains(&said));
        }
    }
}
