//! The facts that `thumbnailer` publishes: none but what the platform tells it.

use nexus_sdk::serde_json::Value;
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// A worker is done with the pictures of an asset; told by the platform for this service
    /// itself.
    "media.thumbnail_job.settled.v1" => ThumbnailJobSettled {
        /// The job's.
        id: Uuid,
        /// `thumbnail` or `image`.
        kind: String,
        /// `succeeded`, `failed` or `cancelled`.
        state: String,
        attempt: i32,
        /// What the worker says; see `media-native/thumbnail`.
        output: Option<Value>,
        error: Option<String>,
    }
}
