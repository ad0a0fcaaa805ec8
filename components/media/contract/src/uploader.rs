//! The facts that `uploader` publishes.

use crate::{Object, UploadId};
use nexus_sdk::serde_json::{Map, Value};
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// A file is here whole, and its bytes are durable.
    "media.upload.completed.v1" => UploadCompleted about upload {
        upload: UploadId,
        /// The user whose it is.
        owner: Uuid,
        /// As its owner calls it; a text of the client's, never a path.
        file_name: String,
        bytes: i64,
        /// Of the whole file, 64 lower-case hexadecimal digits.
        sha256: String,
        /// As the bytes say, not as the client does.
        media_type: String,
        object: Object,
        /// What it was uploaded for: `asset`, `avatar`, …
        purpose: String,
        /// What the client said beside it.
        metadata: Map<String, Value>,
    }
    /// A file was not taken, and nothing of it is kept.
    "media.upload.rejected.v1" => UploadRejected about upload {
        upload: UploadId,
        owner: Uuid,
        /// A word: `media-type`, `too-large`, `checksum`, `virus`, …
        reason: String,
    }
}
